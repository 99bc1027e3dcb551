"""When snapshots are due."""

from random import Random

import pytest

from zoopark.server.config import default_config
from zoopark.server.snapshots import SnapshotSchedule


def schedule_of(**keys: str) -> SnapshotSchedule:
    return SnapshotSchedule(default_config("/data", keys), Random(1))


def test_one_at_a_time() -> None:
    schedule = schedule_of(snapCount="10")
    schedule.n_txns = 11
    assert schedule.is_due()
    schedule.begin()
    schedule.n_txns = 100
    assert not schedule.is_due()
    schedule.on_snapshot()
    assert schedule.is_due()


@pytest.mark.parametrize("n_txns", [4, 5])
def test_not_before_half_of_snap_count(n_txns: int) -> None:
    schedule = schedule_of(snapCount="10")
    schedule.n_txns = n_txns
    assert not schedule.is_due()


def test_a_log_that_grows_is_a_reason_too() -> None:
    schedule = schedule_of(snapCount="1000000", snapSizeLimitInKb="10")
    schedule.n_bytes = 10 * 1024
    assert schedule.is_due()
    schedule.n_bytes = 5 * 1024 - 1
    assert not schedule.is_due()


def test_servers_draw_their_limits() -> None:
    """Servers of one ensemble that snapshot at the same transaction are slow at the same time."""
    limits = set()
    for seed in range(20):
        schedule = SnapshotSchedule(default_config("/data", {"snapCount": "1000"}), Random(seed))
        schedule.n_txns = 0
        while not schedule.is_due():
            schedule.n_txns += 1
        limits.add(schedule.n_txns)
    assert len(limits) > 10


def test_one_that_is_hastened_comes_after_the_next_transaction() -> None:
    """One: the limits after it are the usual ones."""
    schedule = schedule_of(snapCount="1000")
    schedule.hasten()
    assert not schedule.is_due()
    schedule.n_txns = 1
    assert schedule.is_due()
    schedule.begin()
    schedule.on_snapshot()
    schedule.n_txns = 1
    assert not schedule.is_due()
