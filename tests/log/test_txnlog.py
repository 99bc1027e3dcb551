"""The bytes of the transaction log and what its writer promises."""

import errno
from zlib import adler32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.log.samples import entries, golden, read_all, txn
from zoopark.errors import StorageError
from zoopark.log import txnlog
from zoopark.log.txnlog import MAX_BATCH_ENTRIES, TxnLog, log_files, log_name, padded_size, split_runs, zxid_of_log
from zoopark.sim.disk import SimDisk
from zoopark.zxid import make_zxid

D = "/log"


def fresh(preallocation_bytes: int = 4096, last_zxid: int = 0) -> tuple[SimDisk, TxnLog]:
    disk = SimDisk()
    disk.make_directory(D)
    return disk, TxnLog(disk, D, last_zxid, preallocation_bytes)


def content(disk: SimDisk, name: str) -> bytes:
    path = f"{D}/{name}"
    return disk.read(path, 0, disk.size(path)).rstrip(b"\x00")


@pytest.mark.parametrize("batch", [1, 3, 10])
def test_writes_the_bytes_of_zookeeper(batch: int) -> None:
    """Apache's own log, taken apart and written again in batches, is the same file, its length included."""
    theirs = golden("log.1")
    source = SimDisk()
    source.make_directory(D)
    source.write(f"{D}/log.1", 0, theirs, is_synced=True)
    found, _ = read_all(source, D)
    disk, log = fresh(64 << 20)
    for at in range(0, len(found), batch):
        log.append(found[at : at + batch])
    assert theirs == content(disk, "log.1")
    assert disk.size(f"{D}/log.1") == 67_108_880


def test_the_golden_log_has_every_kind_of_entry() -> None:
    """create session, create, setData, error, multi and failed multi, delete, close session, by their type fields."""
    source = SimDisk()
    source.make_directory(D)
    source.write(f"{D}/log.1", 0, golden("log.1"), is_synced=True)
    found, _ = read_all(source, D)
    types = [int.from_bytes(data[28:32], "big", signed=True) for _, data in found]
    assert types == [-10, 1, 1, 5, -1, 14, 14, 1, 2, -11]


def test_one_entry_in_bytes() -> None:
    disk, log = fresh(0)
    data = txn(0x1F, 40)
    log.append([(0x1F, data)])
    expected = b"ZKLG" + bytes.fromhex("00000002 0000000000000000")
    expected += adler32(data).to_bytes(8, "big") + (40).to_bytes(4, "big") + data + b"B"
    assert expected == content(disk, "log.1f")


@pytest.mark.parametrize(
    ("position", "size", "step", "expected"),
    [
        (16, 16, 67_108_864, 67_108_880),
        (500, 67_108_880, 67_108_864, 67_108_880),
        (67_108_880 - 4097, 67_108_880, 67_108_864, 67_108_880),
        (67_108_880 - 4096, 67_108_880, 67_108_864, 134_217_744),
        (70_000_000, 67_108_880, 67_108_864, 134_217_728),
        (999, 10, 0, 10),
    ],
)
def test_padding_follows_zookeeper(position: int, size: int, step: int, expected: int) -> None:
    assert expected == padded_size(position, size, step)


def test_an_append_is_one_synced_write() -> None:
    """The price of a batch is one system call: no sync, no reservation once the block is there."""
    disk, log = fresh(1 << 20)
    log.append(entries(1, 3))
    calls = disk.call_count
    log.append(entries(4, 500))
    assert disk.call_count == calls + 1


def test_more_than_a_batch_is_written_in_several() -> None:
    """A torn write is told from rot by its size, so no single write may hold more."""
    disk, log = fresh(4 << 20)
    log.append(entries(1, 1))
    mutations = disk.mutation_count
    log.append(entries(2, 2 * txnlog.MAX_BATCH_ENTRIES + 1))
    assert disk.mutation_count == mutations + 3
    found, _ = read_all(disk, D)
    assert found == entries(1, 2 * txnlog.MAX_BATCH_ENTRIES + 2)


def test_runs_end_at_jumps_and_at_the_limit() -> None:
    listed = entries(1, 2) + entries(5, 1) + entries(make_zxid(1, 1), 1001)
    runs = split_runs(listed)
    assert [(run[0][0], len(run)) for run in runs] == [(1, 2), (5, 1), (make_zxid(1, 1), 1000), (make_zxid(1, 1001), 1)]
    assert [entry for run in runs for entry in run] == listed


def test_what_is_begun_is_what_would_be_appended() -> None:
    """Whoever writes it instead: the file ends up the same, and the log goes on behind it."""
    disks = SimDisk(), SimDisk()
    for disk in disks:
        disk.make_directory(D)
    one, other = (TxnLog(disk, D, 0, 4096) for disk in disks)
    for log in (one, other):
        log.append(entries(1, 2))
    for first_zxid in range(3, 40, 3):
        batch = entries(first_zxid, 3, 150)
        one.append(batch)
        path, offset, data = other.begin(batch)
        disks[1].write(path, offset, data, is_synced=True)
        assert (one.file_bytes, one.bytes_since_mark, one.last_zxid) == (
            other.file_bytes,
            other.bytes_since_mark,
            other.last_zxid,
        )
    assert disks[0].read(f"{D}/log.1", 0, 1 << 20) == disks[1].read(f"{D}/log.1", 0, 1 << 20)


def test_only_what_fits_into_one_write_of_the_open_file_continues_it() -> None:
    """A new file needs its directory synced, and a batch of several writes needs a sync between them (rule 5)."""
    disk = SimDisk()
    disk.make_directory(D)
    log = TxnLog(disk, D, 0, 4096)
    assert not log.continues(entries(1, 1))
    log.append(entries(1, 1))
    assert log.continues(entries(2, MAX_BATCH_ENTRIES))
    assert not log.continues(entries(2, MAX_BATCH_ENTRIES + 1))
    assert not log.continues(entries(3, 1))
    log.roll()
    assert not log.continues(entries(2, 1))
    unsynced = TxnLog(disk, D, 1, 4096, is_synced=False)
    unsynced.append(entries(2, 1))
    assert not unsynced.continues(entries(3, 1))


def test_a_jump_begins_a_file_and_a_new_epoch_does_not() -> None:
    disk, log = fresh()
    log.append(entries(1, 2))
    log.append(entries(make_zxid(1, 1), 2))
    log.append(entries(make_zxid(1, 9), 1))
    log.append(entries(make_zxid(3, 4), 1))
    assert [zxid for zxid, _ in log_files(disk, D)] == [1, make_zxid(1, 9), make_zxid(3, 4)]


def test_roll_begins_a_file_named_after_its_first_zxid() -> None:
    disk, log = fresh()
    log.append(entries(1, 9))
    log.roll()
    assert log.file_bytes == 0
    log.append(entries(10, 2))
    assert disk.list(D) == ["log.1", "log.a"]
    assert content(disk, "log.a").startswith(txnlog.FILE_HEADER)
    assert log.file_bytes == len(content(disk, "log.a"))


def test_bytes_are_counted_since_the_mark() -> None:
    """snapSizeLimit counts over files; txnLogSizeLimit within one."""
    _, log = fresh()
    log.append(entries(1, 2))
    before = log.bytes_since_mark
    assert before == log.file_bytes == 16 + 2 * 73
    log.mark()
    log.roll()
    log.append(entries(3, 1))
    assert log.bytes_since_mark == 16 + 73


def test_reserving_ahead_spares_the_append_the_work() -> None:
    disk, log = fresh(65536)
    log.append(entries(1, 1))
    assert not log.wants_reserve()
    log.append(entries(2, 600))
    assert log.wants_reserve()
    log.reserve_ahead()
    assert disk.size(f"{D}/log.1") == 16 + 2 * 65536
    mutations = disk.mutation_count
    log.append(entries(602, 600))
    assert disk.mutation_count == mutations + 1


def test_an_append_that_nobody_reserved_for_reserves() -> None:
    disk, log = fresh(8192)
    log.append(entries(1, 1))
    log.append(entries(2, 300))
    assert disk.size(f"{D}/log.1") == 24576
    assert log.file_bytes == 16 + 301 * 73


def test_reserve_ahead_without_a_file_does_nothing() -> None:
    disk, log = fresh()
    calls = disk.call_count
    log.reserve_ahead()
    assert not log.wants_reserve()
    assert disk.call_count == calls


def test_no_reservation_when_switched_off() -> None:
    disk, log = fresh(0)
    log.append(entries(1, 5))
    log.reserve_ahead()
    assert not log.wants_reserve()
    assert disk.size(f"{D}/log.1") == log.file_bytes


def test_a_failed_append_ends_the_log() -> None:
    """After a failed sync nobody knows what is on the disk: a second try could acknowledge what is lost (ATC 2020)."""
    disk, log = fresh()
    log.append(entries(1, 1))
    disk.fail_at(1, errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        log.append(entries(2, 1))
    assert log.last_zxid == 1
    with pytest.raises(AssertionError, match="failed"):
        log.append(entries(2, 1))


def test_refuses_to_write_into_a_file_it_did_not_create() -> None:
    """ZOOKEEPER-1489: appending at a stale offset leaves a gap behind which nothing is read."""
    disk, log = fresh()
    log.append(entries(1, 1))
    other = TxnLog(disk, D, 0, 4096)
    with pytest.raises(StorageError, match=r"/log/log\.1 exists already"):
        other.append(entries(1, 1))


def test_refuses_zxids_that_do_not_rise() -> None:
    _, log = fresh()
    log.append(entries(5, 1))
    with pytest.raises(AssertionError, match="zxid 0x5 after 0x5"):
        log.append(entries(5, 1))


def test_unsynced_appends_are_volatile() -> None:
    """forceSync=no: the bytes are there for a reader, and nothing was waited for."""
    disk = SimDisk()
    disk.make_directory(D)
    log = TxnLog(disk, D, 0, 0, is_synced=False)
    log.append(entries(1, 3))
    assert read_all(disk, D)[0] == entries(1, 3)
    disk.lose_all_unsynced()
    assert read_all(disk, D)[0] == []


@pytest.mark.parametrize(
    ("name", "zxid"),
    [
        ("log.1", 1),
        ("log.1f", 31),
        ("log.1F", 31),
        ("log.01", 1),
        ("log.100000000", 1 << 32),
        ("log.", -1),
        ("log.g", -1),
        ("log.-1", -1),
        ("log.1.gz", -1),
        ("log", -1),
        ("snapshot.1", -1),
        ("log.1_0", -1),
        ("log.ffffffffffffffff", -1),
    ],
)
def test_names(name: str, zxid: int) -> None:
    assert zxid == zxid_of_log(name)


@given(st.integers(0, (1 << 63) - 1))
def test_names_round_trip(zxid: int) -> None:
    assert zxid == zxid_of_log(log_name(zxid))


@given(st.lists(st.integers(32, 700), min_size=1, max_size=40), st.data())
def test_whatever_is_appended_is_read(sizes: list[int], data: st.DataObject) -> None:
    """Any sizes in any batches with rolls anywhere: the same entries in the same order."""
    disk, log = fresh(data.draw(st.sampled_from([0, 512, 4096, 65536])))
    listed = [(zxid, txn(zxid, size)) for zxid, size in enumerate(sizes, 1)]
    at = 0
    while at < len(listed):
        count = data.draw(st.integers(1, 10))
        log.append(listed[at : at + count])
        at += count
        if data.draw(st.booleans()):
            log.roll()
    found, reader = read_all(disk, D)
    assert found == listed
    assert reader.torn is None and reader.gaps == [] and reader.last_zxid == len(sizes)
