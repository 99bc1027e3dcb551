"""Limits and who a member is."""

import pytest

from zoopark.zab.quorum import Majority
from zoopark.zab.settings import Limits, PeerSettings


def test_times_are_ticks() -> None:
    limits = Limits(tick_ms=1000, init_limit=10, sync_limit=5)
    assert (limits.init_ms(), limits.sync_ms()) == (10_000, 5_000)


@pytest.mark.parametrize(("given", "expected"), [(0.5, 0.5), (1.0, 1.0), (1.5, 0.33), (-1.0, -1.0)])
def test_a_size_factor_above_one_means_the_default(given: float, expected: float) -> None:
    """As in ZooKeeper; below 0 the log is not read for learners."""
    assert Limits(size_factor=given).size_factor == expected


@pytest.mark.parametrize(("sid", "expected"), [(1, True), (3, True), (4, False)])
def test_who_is_no_voter_is_an_observer(sid: int, expected: bool) -> None:
    assert PeerSettings(sid, Majority([1, 2, 3])).is_voter() is expected
