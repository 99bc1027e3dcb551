"""The files of a database that agreement changes: what is left can be recovered, and nothing else."""

import pytest

from tests.properties.workshop import KINDS, replay, state_of
from tests.server.test_recovery import CONFIG, LOGS, SNAPSHOTS, busy_shop, disk_with, recovered
from zoopark.log.logreader import truncate
from zoopark.log.snapfiles import snapshots
from zoopark.log.txnlog import TxnLog, log_files
from zoopark.server.rewriting import begin_with, is_hole, read_for_learner, recent_entries, truncate_files
from zoopark.sim.disk import SimDisk
from zoopark.tree.snapshot import write_snapshot
from zoopark.tree.tree import Tree
from zoopark.zab.effects import ReadLog
from zoopark.zxid import make_zxid

EPOCH_1 = [make_zxid(1, counter) for counter in (1, 2, 3)]


@pytest.mark.parametrize("zxid", [12, 6, 5, 4, 1])
def test_a_truncation_takes_snapshots_back_too(zxid: int) -> None:
    """A snapshot that is newer than the end would bring back what was forgotten (ZOOKEEPER-4837)."""
    shop = busy_shop()
    disk = disk_with(shop, (0, 5, 9), roll_at=6)
    truncate_files(CONFIG, disk, zxid)
    found = recovered(disk)
    assert found.tree.last_zxid == zxid
    assert state_of(found.tree) == state_of(replay(Tree(KINDS), [entry for entry in shop.log if entry[0] <= zxid]))
    assert all(file.zxid <= zxid for file in snapshots(disk, SNAPSHOTS))


def test_a_snapshot_that_came_is_all_there_is() -> None:
    """An older one, with a log that begins behind the new one, would have a hole."""
    disk = disk_with(busy_shop(4), (0, 3), roll_at=2)
    shop = busy_shop(40)
    begin_with(CONFIG, disk, shop.tree.last_zxid, write_snapshot(shop.tree, True, True))
    assert [file.zxid for file in snapshots(disk, SNAPSHOTS)] == [41]
    assert disk.files(LOGS, "log.") == []
    assert state_of(recovered(disk).tree) == state_of(shop.tree)


@pytest.mark.parametrize(("from_zxid", "expected"), [(7, [7, 8, 9, 10]), (6, [6, 7, 8, 9, 10]), (1, [*range(1, 11)])])
def test_a_learner_is_read_what_it_lacks(from_zxid: int, expected: list[int]) -> None:
    """From the last transaction that it has to the end that is asked for, over several files; never behind it."""
    shop = busy_shop()
    disk = disk_with(shop, (0,), roll_at=6)
    entries = read_for_learner(CONFIG, disk, ReadLog(1, from_zxid, 10, 1000.0))
    assert entries == [entry for entry in shop.log if entry[0] in expected]


def test_a_learner_is_read_from_the_last_one_before_what_nobody_has() -> None:
    """Its last transaction may be of a leader that died: the one before it tells where it has to go back to."""
    shop = busy_shop()
    disk = disk_with(shop, (0,), roll_at=6)
    truncate(disk, LOGS, 13)
    entries = read_for_learner(CONFIG, disk, ReadLog(1, 4, 9, 1000.0))
    assert entries is not None and entries[0][0] == 4 and entries[-1][0] == 9


@pytest.mark.parametrize(
    ("from_zxid", "upto_zxid", "size_factor"), [(0, 9, 1000.0), (3, 9, 0.0), (3, 9, 0.01), (3, 99, 1000.0)]
)
def test_what_cannot_be_read_is_a_snapshot_instead(from_zxid: int, upto_zxid: int, size_factor: float) -> None:
    """The log does not reach back, is too large beside the snapshot, or ends before."""
    disk = disk_with(busy_shop(), (0,))
    assert read_for_learner(CONFIG, disk, ReadLog(1, from_zxid, upto_zxid, size_factor)) is None


def test_a_damaged_log_is_a_snapshot_instead() -> None:
    """A leader serves from memory; its disk's rot is no reason to fail a learner."""
    disk = disk_with(busy_shop(), (0,))
    (path, _), *_ = disk.files(LOGS, "log.")
    disk.write(path, 200, b"\x55" * 8, is_synced=True)
    assert read_for_learner(CONFIG, disk, ReadLog(1, 3, 13, 1000.0)) is None


def interrupted() -> SimDisk:
    """A leader's snapshot of 13, the end of epoch 0, was saved, and the crash came before the older log was removed.

    The log holds 1 to 5 of epoch 0, then 1 to 3 of epoch 1.
    """
    shop = busy_shop()
    disk = disk_with(shop, (13,))
    for _, path in log_files(disk, LOGS):
        disk.remove(path)
    TxnLog(disk, LOGS, 0, 4096).append(shop.log[:5])
    later = [
        (zxid, txn[:12] + zxid.to_bytes(8, "big") + txn[20:]) for zxid, (_, txn) in zip(EPOCH_1, shop.log, strict=False)
    ]
    TxnLog(disk, LOGS, 13, 4096).append(later)
    return disk


def test_a_learner_is_not_read_over_a_hole_that_a_snapshot_left() -> None:
    """A kill -9 between the save of a leader's snapshot and the removal of the older log: what follows may be the
    first transaction of an epoch, as if nothing was missing."""
    disk = interrupted()
    for from_zxid in (3, 5):
        assert read_for_learner(CONFIG, disk, ReadLog(1, from_zxid, EPOCH_1[-1], 1000.0)) is None
    entries = read_for_learner(CONFIG, disk, ReadLog(1, EPOCH_1[0], EPOCH_1[-1], 1000.0))
    assert entries is not None and [zxid for zxid, _ in entries] == EPOCH_1


@pytest.mark.parametrize(
    ("zxid", "next_zxid", "expected"), [(5, 6, False), (5, 14, True), (13, 14, False), (5, 13, False), (14, 15, False)]
)
def test_only_a_snapshot_tells_of_a_hole(zxid: int, next_zxid: int, expected: bool) -> None:
    assert is_hole(zxid, next_zxid, [20, 13]) == expected


@pytest.mark.parametrize(("roll_at", "first"), [(0, 1), (6, 7)])
def test_the_window_is_the_end_of_the_last_file(roll_at: int, first: int) -> None:
    """Without holes, up to the log's end."""
    shop = busy_shop()
    assert recent_entries(CONFIG, disk_with(shop, (0,), roll_at), 13) == [e for e in shop.log if e[0] >= first]


def test_there_is_no_window_without_a_log() -> None:
    """After a snapshot that came, or in a new database."""
    shop = busy_shop()
    disk = disk_with(shop, (0,))
    begin_with(CONFIG, disk, 13, write_snapshot(shop.tree, True, True))
    assert recent_entries(CONFIG, disk, 13) == []
    assert recent_entries(CONFIG, disk_with(shop, (0,)), 20) == []
