"""From files to a tree: what is found again, what is mended, and what is refused."""

import pytest

from tests.compat import requests as ask
from tests.compat import wire
from tests.log.samples import golden
from tests.properties.workshop import KINDS, Workshop, digest_from_scratch, replay, state_of
from zoopark.errors import CorruptLog, StorageError
from zoopark.log.logreader import truncate
from zoopark.log.snapfiles import SnapshotWriter
from zoopark.log.txnlog import TxnLog
from zoopark.server.config import Config, default_config, load_config
from zoopark.server.recovery import Recovered, log_directory, recover, snapshot_directory
from zoopark.sim.disk import SimDisk
from zoopark.tree.snapshot import write_snapshot
from zoopark.tree.tree import Tree

ME = 7
KEYS = {"extendedTypesEnabled": "true", "preAllocSize": "4"}
CONFIG = default_config("/data", KEYS)
TEXT = "dataDir=/data\nclientPort=2181\n" + "".join(f"{key}={value}\n" for key, value in KEYS.items())
LOGS = log_directory(CONFIG)
SNAPSHOTS = snapshot_directory(CONFIG)


def busy_shop(count: int = 12) -> Workshop:
    """Session ME opened by zxid 1, then `count` changes."""
    shop = Workshop()
    shop.open(ME)
    for number in range(count):
        if number % 4 == 3:
            shop.do(ask.delete(f"/{number - 1}"), ME)
        elif number % 4 == 2:
            shop.do(ask.create(f"/{number}", flags=1), ME)
        else:
            shop.do(ask.create(f"/{number}", b"%d" % number), ME)
    return shop


def disk_with(shop: Workshop, snapshots: tuple[int, ...] = (0,), roll_at: int = 0) -> SimDisk:
    """What a server leaves: the log, rolled once after zxid `roll_at`, and snapshots as of these zxids."""
    disk = SimDisk()
    disk.make_directory(SNAPSHOTS)
    log = TxnLog(disk, LOGS, 0, 4096)
    for entry in shop.log:
        log.append([entry])
        if entry[0] == roll_at:
            log.roll()
    for zxid in snapshots:
        tree = replay(Tree(KINDS), [entry for entry in shop.log if entry[0] <= zxid])
        writer = SnapshotWriter(disk, SNAPSHOTS, zxid, "", 1 << 20)
        for piece in write_snapshot(tree, has_digest=True, has_last_zxid=True):
            writer.write(piece)
        writer.finish()
    return disk


def recovered(disk: SimDisk, config: Config = CONFIG) -> Recovered:
    return recover(config, disk, lambda what, done, size: None)


@pytest.mark.parametrize(("snapshots", "n_txns"), [((0,), 13), ((5,), 8), ((0, 5), 8), ((13,), 0), ((0, 5, 9), 4)])
def test_the_newest_snapshot_and_the_log_behind_it(snapshots: tuple[int, ...], n_txns: int) -> None:
    shop = busy_shop()
    found = recovered(disk_with(shop, snapshots))
    assert state_of(found.tree) == state_of(shop.tree)
    assert (found.n_txns, found.snapshot is not None and found.snapshot.zxid) == (n_txns, snapshots[-1])
    assert (found.notes, found.log.last_zxid) == ([], 13)


def test_an_empty_directory_is_a_new_database() -> None:
    disk = SimDisk()
    disk.make_directory(SNAPSHOTS)
    found = recovered(disk)
    assert (state_of(found.tree), found.snapshot, found.n_txns) == (state_of(Tree(KINDS)), None, 0)


def test_the_log_goes_on_behind_it() -> None:
    """What is appended after one recovery is found by the next."""
    shop = busy_shop()
    disk = disk_with(shop)
    found = recovered(disk)
    later = Workshop(tree=found.tree)
    later.sessions.add(ME, 1000, 0)
    later.do(ask.create("/later"), ME)
    found.log.append(later.log)
    again = recovered(disk)
    assert b"/later" in again.tree.nodes
    assert state_of(again.tree) == state_of(later.tree)


def test_a_damaged_snapshot_gives_way_to_an_older_one() -> None:
    shop = busy_shop()
    disk = disk_with(shop, (5, 9))
    disk.flip_byte(f"{SNAPSHOTS}/snapshot.9", 200)
    found = recovered(disk)
    assert state_of(found.tree) == state_of(shop.tree)
    assert found.snapshot is not None
    assert found.snapshot.zxid == 5
    assert len([note for note in found.notes if "snapshot.9" in note]) == 1


def test_every_flipped_byte_of_a_snapshot_is_survived() -> None:
    """Whatever it hits, the older snapshot and the log give the same tree."""
    shop = busy_shop()
    disk = disk_with(shop, (5, 9))
    expected = state_of(shop.tree)
    for offset in range(0, disk.size(f"{SNAPSHOTS}/snapshot.9"), 7):
        spoiled = disk.clone()
        spoiled.flip_byte(f"{SNAPSHOTS}/snapshot.9", offset, 0x80)
        assert state_of(recovered(spoiled).tree) == expected, offset


def test_no_readable_snapshot_is_refused() -> None:
    """Starting empty over data would be the end of it."""
    disk = disk_with(busy_shop())
    disk.flip_byte(f"{SNAPSHOTS}/snapshot.0", 100)
    with pytest.raises(StorageError, match="none of the 1 snapshots can be read"):
        recovered(disk)


def test_logs_without_a_snapshot_are_refused() -> None:
    """ZOOKEEPER-2325; unless the user says that the logs are complete."""
    shop = busy_shop()
    disk = disk_with(shop, ())
    with pytest.raises(StorageError, match=r"snapshot\.trust\.empty=true"):
        recovered(disk.clone())
    trusting = default_config("/data", {**KEYS, "snapshot.trust.empty": "true"})
    assert state_of(recovered(disk, trusting).tree) == state_of(shop.tree)


def test_an_unfinished_write_is_cut_off() -> None:
    """As a crash leaves it: it was acknowledged to nobody."""
    shop = busy_shop()
    disk = disk_with(shop)
    path = f"{LOGS}/log.1"
    end = disk.read(path, 0, disk.size(path)).rstrip(b"\0")
    disk.write(path, len(end), wire.i64(1234) + wire.i32(60) + b"half", is_synced=True)
    found = recovered(disk)
    assert state_of(found.tree) == state_of(shop.tree)
    assert len([note for note in found.notes if "unfinished write" in note]) == 1


def test_damage_in_the_middle_is_refused() -> None:
    """What follows it was acknowledged."""
    disk = disk_with(busy_shop())
    disk.flip_byte(f"{LOGS}/log.1", 120)
    with pytest.raises(CorruptLog):
        recovered(disk)


def test_the_way_out_of_damage_is_the_one_that_the_refusal_names() -> None:
    """A user who has no backup and no other member must be able to go on, knowing what is given up."""
    disk = disk_with(busy_shop())
    disk.flip_byte(f"{LOGS}/log.1", 320)
    with pytest.raises(CorruptLog) as refusal:
        recovered(disk)
    name, _, zxid = str(refusal.value).rpartition("-D ")[2].partition("=")
    found = recovered(disk, load_config(TEXT, source_name="zoo.cfg", overrides={name: zxid})[0])
    assert found.tree.last_zxid == int(zxid, 16) > 0
    assert any("gave up" in note for note in found.notes)
    assert recovered(disk).tree.last_zxid == found.tree.last_zxid


def test_a_missing_log_is_refused() -> None:
    """A hole that no snapshot covers."""
    shop = busy_shop()
    disk = disk_with(shop, (0, 9), roll_at=6)
    assert state_of(recovered(disk.clone()).tree) == state_of(shop.tree)
    disk.remove(f"{LOGS}/log.1")
    assert state_of(recovered(disk.clone()).tree) == state_of(shop.tree)
    disk.remove(f"{SNAPSHOTS}/snapshot.9")
    with pytest.raises(CorruptLog, match="are missing"):
        recovered(disk)


def test_a_transaction_that_cannot_be_read_is_refused() -> None:
    """Its checksum is right, so a program wrote it: perhaps a newer one."""
    shop = busy_shop(1)
    shop.log.append((3, wire.i64(ME) + wire.i32(0) + wire.i64(3) + wire.i64(0) + wire.i32(99) + bytes(20)))
    with pytest.raises(CorruptLog, match="0x3"):
        recovered(disk_with(shop))


def test_a_tree_that_differs_is_noted() -> None:
    """The digest that a transaction carries was computed by the server that prepared it."""
    shop = busy_shop()
    zxid, txn = shop.log[-1]
    shop.log[-1] = (zxid, txn[:-1] + bytes([txn[-1] ^ 1]))
    assert "differs" in recovered(disk_with(shop)).notes[0]


def test_a_snapshot_that_was_never_finished_is_removed() -> None:
    disk = disk_with(busy_shop())
    writer = SnapshotWriter(disk, SNAPSHOTS, 9, "", 1 << 20)
    writer.write(b"ZKSN")
    before = set(disk.list(SNAPSHOTS))
    disk.write(f"{SNAPSHOTS}/snapshot.9.tmp", 0, b"ZKSN", is_synced=True)
    found = recovered(disk)
    assert len(found.notes) == 1
    assert set(disk.list(SNAPSHOTS)) - before == {"acceptedEpoch", "currentEpoch"}


def test_what_apache_left_is_taken_over() -> None:
    """Its snapshot of an empty database and its log give the tree of its own next snapshot."""
    disk = SimDisk()
    disk.make_directory(SNAPSHOTS)
    disk.write(f"{SNAPSHOTS}/snapshot.0", 0, golden("snapshot.0"), is_synced=True)
    disk.write(f"{LOGS}/log.1", 0, golden("log.1") + bytes(4096), is_synced=True)
    found = recovered(disk)
    assert (found.notes, found.tree.digest) == ([], digest_from_scratch(found.tree))
    later = SimDisk()
    later.make_directory(SNAPSHOTS)
    later.write(f"{SNAPSHOTS}/snapshot.{found.tree.last_zxid:x}", 0, golden("snapshot.a"), is_synced=True)
    assert state_of(recovered(later).tree)["nodes"] == state_of(found.tree)["nodes"]


def test_recovering_twice_is_recovering_once() -> None:
    shop = busy_shop()
    disk = disk_with(shop, (0, 5), roll_at=8)
    first = state_of(recovered(disk).tree)
    files = {name: disk.read(f"{LOGS}/{name}", 0, 1 << 20) for name in disk.list(LOGS)}
    assert state_of(recovered(disk).tree) == first
    assert {name: disk.read(f"{LOGS}/{name}", 0, 1 << 20) for name in disk.list(LOGS)} == files


def test_a_log_cut_at_a_zxid_gives_the_tree_of_that_zxid() -> None:
    shop = busy_shop()
    disk = disk_with(shop, roll_at=6)
    truncate(disk, LOGS, 4)
    found = recovered(disk)
    assert state_of(found.tree) == state_of(replay(Tree(KINDS), shop.log[:4]))


def test_the_reader_of_progress_is_told() -> None:
    told: list[tuple[str, int]] = []
    recover(CONFIG, disk_with(busy_shop(), (5,)), lambda what, done, size: told.append((what, done)))
    assert [what for what, _ in told] == ["snapshot", "log"]
    assert told[-1] == ("log", 8)
