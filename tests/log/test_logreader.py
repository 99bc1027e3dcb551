"""Reading the log, mending its end and cutting it."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.log.samples import entries, read_all, recover, txn
from zoopark.errors import CorruptLog
from zoopark.log.logreader import Gap, LogReader, parse_entries, read_from, repair, truncate
from zoopark.log.txnlog import FILE_HEADER, TxnLog, encode_entries
from zoopark.sim.disk import SimDisk
from zoopark.zxid import make_zxid

D = "/log"


def disk_of(*rolls: int, size_bytes: int = 60) -> SimDisk:
    """A log of files with these many entries each, zxids from 1 on."""
    disk = SimDisk()
    disk.make_directory(D)
    log, zxid = TxnLog(disk, D, 0, 4096), 1
    for count in rolls:
        log.append(entries(zxid, count, size_bytes))
        log.roll()
        zxid += count
    return disk


def test_no_directory_is_an_empty_log() -> None:
    found, reader = read_all(SimDisk(), D)
    assert found == [] and reader.last_zxid == 0 and reader.is_at_end()


@pytest.mark.parametrize("first_zxid", range(14))
def test_reading_starts_at_the_zxid_wanted(first_zxid: int) -> None:
    found, reader = read_all(disk_of(4, 4, 4), D, first_zxid)
    assert found == entries(max(1, first_zxid), 13 - max(1, first_zxid))
    assert reader.last_zxid == 12 and reader.gaps == []


def test_older_files_are_not_read() -> None:
    disk = disk_of(4, 4, 4)
    disk.flip_byte(f"{D}/log.1", 0)
    assert list(read_from(disk, D, 5)) == entries(5, 8)


def test_entries_larger_than_a_chunk_and_many_chunks() -> None:
    disk = SimDisk()
    disk.make_directory(D)
    sizes = [100, 3 << 20, 50, *([900] * 3000), (1 << 20) - 13, 1 << 20, 60]
    listed = [(zxid, txn(zxid, size)) for zxid, size in enumerate(sizes, 1)]
    TxnLog(disk, D, 0).append(listed)
    assert list(read_from(disk, D, 0)) == listed


def test_a_gap_of_zxids_is_noted() -> None:
    """A snapshot took the place of the missing ones, or a file was deleted: who recovers must decide."""
    disk = disk_of(4, 4, 4)
    disk.remove(f"{D}/log.5")
    assert read_all(disk, D)[1].gaps == [Gap(4, 9)]
    assert read_all(disk, D, 9)[1].gaps == []
    assert read_all(disk, D, 7)[1].gaps == [Gap(4, 9)]


def test_a_log_that_starts_too_late_is_a_gap() -> None:
    disk = disk_of(4, 4)
    disk.remove(f"{D}/log.1")
    assert read_all(disk, D, 3)[1].gaps == [Gap(2, 5)]


def test_a_new_epoch_is_no_gap() -> None:
    disk = SimDisk()
    disk.make_directory(D)
    log = TxnLog(disk, D, 0, 4096)
    log.append(entries(1, 3))
    log.append(entries(make_zxid(2, 1), 3))
    found, reader = read_all(disk, D, 2)
    assert found == entries(2, 2) + entries(make_zxid(2, 1), 3)
    assert reader.gaps == []


def test_a_new_epoch_without_its_beginning_is_a_gap() -> None:
    """As when the snapshot between two logs cannot be read any more: what it held would be lost in silence."""
    disk = SimDisk()
    disk.make_directory(D)
    log = TxnLog(disk, D, 0, 4096)
    log.append(entries(1, 3))
    log.append(entries(make_zxid(2, 2), 3))
    assert read_all(disk, D)[1].gaps == [Gap(3, make_zxid(2, 2))]
    assert read_all(disk, D, make_zxid(2, 2))[1].gaps == []


def test_an_entry_that_repeats_is_passed_over_and_counted() -> None:
    disk = SimDisk()
    disk.make_directory(D)
    data = FILE_HEADER + encode_entries([*entries(1, 3), *entries(2, 3)])
    disk.write(f"{D}/log.1", 0, data, is_synced=True)
    found, reader = read_all(disk, D)
    assert found == entries(1, 4) and reader.repeated_count == 2


@pytest.mark.parametrize(
    "header", [b"ZKSN" + FILE_HEADER[4:], FILE_HEADER[:7] + b"\x03" + FILE_HEADER[8:], b"\x00" * 15 + b"x"]
)
def test_a_file_that_is_no_log_is_refused(header: bytes) -> None:
    disk = disk_of(2)
    disk.write(f"{D}/log.1", 0, header, is_synced=True)
    with pytest.raises(CorruptLog, match=r"/log/log\.1: not a transaction log of version 2.*Restore"):
        read_all(disk, D)


@pytest.mark.parametrize("size", range(17))
def test_a_last_file_without_entries_is_removed(size: int) -> None:
    """ZOOKEEPER-2332: a crash right after the file was created, with any part of its header."""
    disk = disk_of(3)
    disk.write(f"{D}/log.4", 0, FILE_HEADER[:size], is_synced=True)
    found, log = recover(disk, D)
    assert found == entries(1, 3)
    assert disk.list(D) == ["log.1"]
    log.append(entries(4, 1))
    assert list(read_from(disk, D, 0)) == entries(1, 4)


def test_an_empty_file_before_another_of_its_epoch_is_rot() -> None:
    disk = disk_of(3, 3, 3)
    disk.truncate(f"{D}/log.4", 0)
    assert read_all(disk, D)[1].gaps == [Gap(3, 7)]
    disk.truncate(f"{D}/log.1", 16 + 73 + 40)
    with pytest.raises(CorruptLog):
        read_all(disk, D)


def test_repair_leaves_a_sound_log_alone() -> None:
    disk = disk_of(3, 3)
    before = [disk.read(path, 0, 1 << 20) for path, _ in disk.files(D, "log.")]
    _, reader = read_all(disk, D)
    repair(disk, D, reader)
    assert [disk.read(path, 0, 1 << 20) for path, _ in disk.files(D, "log.")] == before


def test_repair_makes_durable_what_it_found() -> None:
    """After a failed sync the kernel shows what it may never write: who relies on it has to write it again.

    A member acknowledged such a transaction, began the next file behind it, and lost it with the power.
    """
    disk = disk_of(3)
    disk.sicken(errno.EIO)
    with pytest.raises(OSError, match="output"):
        disk.write(f"{D}/log.1", 16 + 3 * 73, encode_entries(entries(4, 1)), is_synced=True)
    disk.heal()
    assert recover(disk, D)[0] == entries(1, 4)
    disk.lose_all_unsynced()
    assert list(read_from(disk, D, 0)) == entries(1, 4)


def test_repair_writes_no_more_than_the_last_write_again() -> None:
    """A start must not take long because a file is long."""
    disk = disk_of(3)
    log = TxnLog(disk, D, 3, 0)
    for first in range(4, 40_004, 1000):
        log.append(entries(first, 1000))
    _, reader = read_all(disk, D)
    path, start, end = reader.last_write()
    assert (path, end) == (f"{D}/log.4", 16 + 40_000 * 73)
    assert 1000 * 73 <= end - start <= 2 << 20


def test_repair_before_the_end_is_our_bug() -> None:
    disk = disk_of(3)
    with pytest.raises(AssertionError, match="before the log was read"):
        repair(disk, D, LogReader(disk, D, 0))


def test_repair_cuts_so_that_any_reader_finds_a_clean_end() -> None:
    disk = disk_of(3)
    disk.write(f"{D}/log.1", 16 + 3 * 73, encode_entries(entries(4, 1))[:50], is_synced=True)
    recover(disk, D)
    assert disk.size(f"{D}/log.1") == 16 + 3 * 73
    assert read_all(disk, D)[1].torn is None


@pytest.mark.parametrize("last_zxid", range(14))
def test_truncate_keeps_what_is_up_to_the_zxid(last_zxid: int) -> None:
    disk = disk_of(4, 4, 4)
    truncate(disk, D, last_zxid)
    kept = min(12, last_zxid)
    assert list(read_from(disk, D, 0)) == entries(1, kept)
    log = TxnLog(disk, D, kept, 4096)
    log.append(entries(kept + 1, 2))
    assert list(read_from(disk, D, 0)) == entries(1, kept + 2)


def test_truncate_gives_up_what_is_behind_rot() -> None:
    """The way out that CorruptLog names."""
    disk = disk_of(4, 4, 4)
    disk.flip_byte(f"{D}/log.5", 16 + 73 + 30)
    with pytest.raises(CorruptLog, match="zxid 0x5,"):
        read_all(disk, D)
    truncate(disk, D, 5)
    assert list(read_from(disk, D, 0)) == entries(1, 5)


@given(st.lists(st.integers(32, 300), max_size=20), st.binary(max_size=60))
def test_parsing_stops_at_what_is_no_entry(sizes: list[int], tail: bytes) -> None:
    listed = [(zxid, txn(zxid, size)) for zxid, size in enumerate(sizes, 1)]
    data = encode_entries(listed) if listed else b""
    found, end, _ = parse_entries(data + tail)
    assert found[: len(listed)] == listed and end >= len(data)


def test_parsing_fed_by_every_prefix() -> None:
    data = encode_entries(entries(1, 4, 50))
    for cut in range(len(data)):
        found, end, _ = parse_entries(data[:cut])
        assert found == entries(1, cut // 63, 50) and end == cut // 63 * 63
