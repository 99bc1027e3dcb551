"""Torn or rotten: every rule of `zoopark.log.torn` by an example, and both laws by search."""

from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.log.samples import Entry, entries, read_all, recover, txn
from zoopark.errors import CorruptLog
from zoopark.log.torn import SECTOR_BYTES, Torn
from zoopark.log.txnlog import FILE_HEADER, MAX_BATCH_ENTRIES, TxnLog, encode_entries
from zoopark.sim.disk import SimCrash, SimDisk
from zoopark.zxid import make_zxid

D = "/log"
PATH = "/log/log.1"


def disk_with(data: bytes, name: str = "log.1", padding_bytes: int = 4096) -> SimDisk:
    disk = SimDisk()
    disk.make_directory(D)
    disk.write(f"{D}/{name}", 0, data, is_synced=True)
    disk.reserve(f"{D}/{name}", len(data) + padding_bytes)
    return disk


def log_of(listed: list[Entry]) -> bytes:
    return FILE_HEADER + encode_entries(listed)


def lose(data: bytes, sector: int) -> bytes:
    """`data` with one sector as if it was never written."""
    at = sector * SECTOR_BYTES
    return data[:at] + bytes(len(data[at : at + SECTOR_BYTES])) + data[at + SECTOR_BYTES :]


def torn_of(disk: SimDisk) -> Torn:
    torn = read_all(disk, D)[1].torn
    assert torn is not None
    return torn


def test_only_zeros_behind_the_entries_is_the_clean_end() -> None:
    found, reader = read_all(disk_with(log_of(entries(1, 3))), D)
    assert found == entries(1, 3)
    assert reader.torn is None


@pytest.mark.parametrize("padding_bytes", [0, 4096])
def test_an_entry_cut_anywhere_is_torn(padding_bytes: int) -> None:
    """A killed ZooKeeper leaves a prefix of its buffer, cut at any byte; the entries before it stay."""
    whole = log_of(entries(1, 3, 200))
    keep = len(log_of(entries(1, 2, 200)))
    for cut in range(keep + 5, len(whole)):
        disk = disk_with(whole[:cut], padding_bytes=padding_bytes)
        found, reader = read_all(disk, D)
        assert found == entries(1, 2, 200), cut
        assert reader.torn is not None and reader.torn.offset == keep, cut


@pytest.mark.parametrize("lost", range(1, 5))
def test_any_lost_sector_of_the_last_write_is_torn(lost: int) -> None:
    """1: the reader stops before it and finds valid entries behind it, none of which was acknowledged."""
    disk = disk_with(lose(log_of(entries(1, 12, 200)), lost))
    found, _ = read_all(disk, D)
    assert found == entries(1, len(found), 200) and len(found) < 12
    assert torn_of(disk).last_zxid == len(found)


def test_a_lost_first_sector_takes_the_header_along() -> None:
    disk = disk_with(lose(log_of(entries(1, 12, 200)), 0))
    assert read_all(disk, D)[0] == []
    assert torn_of(disk).offset == 0


def test_a_bit_flip_anywhere_in_the_entries_is_rot() -> None:
    """No acknowledged transaction may go because one bit of it, or of one before it, is wrong."""
    data = log_of(entries(1, 4, 100))
    for at in range(len(data)):
        disk = disk_with(data)
        disk.flip_byte(PATH, at, 1 << at % 8)
        with pytest.raises(CorruptLog, match=r"/log/log\.1"):
            read_all(disk, D)


@given(st.data())
@settings(max_examples=300)
def test_any_bit_flip_is_rot_whatever_the_sizes(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(32, 900), min_size=1, max_size=12))
    log = log_of([(zxid, txn(zxid, size)) for zxid, size in enumerate(sizes, 1)])
    disk = disk_with(log, padding_bytes=data.draw(st.sampled_from([0, 1, 600, 4096])))
    disk.flip_byte(PATH, data.draw(st.integers(0, len(log) - 1)), 1 << data.draw(st.integers(0, 7)))
    with pytest.raises(CorruptLog):
        read_all(disk, D)


def test_the_error_names_file_offset_zxid_and_a_way_out() -> None:
    disk = disk_with(log_of(entries(1, 5)))
    disk.flip_byte(PATH, 16 + 2 * 73 + 20)
    with pytest.raises(CorruptLog) as caught:
        read_all(disk, D)
    text = str(caught.value)
    assert "\n" not in text
    for word in ("/log/log.1", "offset 162", "zxid 0x2", "valid zxid 0x4", "backup", "zoopark.truncateLog=0x2"):
        assert word in text


def test_a_hole_before_more_than_one_batch_is_rot() -> None:
    """Rule 1: what follows the hole was written after it was durable."""
    disk = disk_with(lose(log_of(entries(1, 2 + MAX_BATCH_ENTRIES + 1, 200)), 1))
    with pytest.raises(CorruptLog, match="too far for an unfinished write"):
        read_all(disk, D)


def test_a_hole_before_at_most_one_batch_is_torn() -> None:
    """The other side of rule 1's limit: zxid 3 to 1002 are one full write."""
    data = lose(log_of(entries(1, 2 + MAX_BATCH_ENTRIES, 200)), 1)
    assert torn_of(disk_with(data)).last_zxid == 2


def test_a_sector_end_that_holds_only_the_zeros_of_a_checksum_is_no_hole() -> None:
    """The first four bytes of every entry are zeros: were their sector lost, they would not show it."""
    data = log_of([(1, txn(1, 1020 - 16 - 13)), *entries(2, 2, 900)])
    assert data[1020:1024] == bytes(4)
    disk = disk_with(data)
    disk.flip_byte(PATH, 1500)
    with pytest.raises(CorruptLog):
        read_all(disk, D)


@pytest.mark.parametrize("count", [1, 2])
def test_one_byte_of_a_checksum_may_be_all_that_is_lost(count: int) -> None:
    """The last write began five bytes before the end of a sector, and only that one did not reach the disk."""
    data = log_of([(1, txn(1, 1019 - 16 - 13)), *entries(2, count, 900)])
    assert data[1019:1024].count(0) == 4
    disk = disk_with(data[:1019] + bytes(5) + data[1024:])
    assert torn_of(disk).last_zxid == 1


def test_two_holes_are_torn_and_a_hole_and_a_flip_are_rot() -> None:
    """Every damage in the last write needs a lost sector of its own."""
    data = log_of(entries(1, 40, 200))
    assert torn_of(disk_with(lose(lose(data, 3), 7))).last_zxid > 0
    disk = disk_with(lose(data, 3))
    disk.flip_byte(PATH, 12 * SECTOR_BYTES)
    with pytest.raises(CorruptLog):
        read_all(disk, D)


def test_a_zero_gap_before_the_next_zxid_is_rot() -> None:
    """Rule 2, ZOOKEEPER-1489: nothing is missing in the gap, so the entries behind it were acknowledged."""
    data = log_of(entries(1, 3)) + bytes(2000) + encode_entries(entries(4, 3))
    with pytest.raises(CorruptLog, match="although zxid 0x4 follows"):
        read_all(disk_with(data), D)


def test_a_large_torn_entry_is_torn() -> None:
    """One transaction larger than any read: only its own length says where it ends."""
    data = log_of([*entries(1, 2), (3, txn(3, 3 << 20))])
    for lost in (1, 4000, 6143):
        assert torn_of(disk_with(lose(data, lost))).last_zxid == 2


def test_a_lone_byte_in_the_reserved_zeros_is_cut() -> None:
    """No transaction can be behind it."""
    disk = disk_with(log_of(entries(1, 2)))
    disk.flip_byte(PATH, 3000)
    assert torn_of(disk) == Torn(PATH, 162, 3001, 2)


@pytest.mark.parametrize(
    ("next_zxid", "is_rot"),
    [(4, True), (5, True), (make_zxid(1, 1), False), (make_zxid(1, 9), False)],
)
def test_a_torn_tail_before_another_file(next_zxid: int, is_rot: bool) -> None:
    """Rules 8 and 9: in the same epoch what is missing was durable; a later epoch may have begun after the crash."""
    disk = disk_with(lose(log_of(entries(1, 3, 400)), 1))
    disk.write(f"{D}/log.{next_zxid:x}", 0, FILE_HEADER + encode_entries(entries(next_zxid, 2)), is_synced=True)
    if is_rot:
        with pytest.raises(CorruptLog, match="although the next file begins with"):
            read_all(disk, D)
        return
    found, reader = read_all(disk, D)
    assert found == entries(1, 1, 400) + entries(next_zxid, 2)
    assert reader.torn is None


@pytest.mark.parametrize("garbage", [b"\xff" * 700, b"\x01", bytes(600) + b"x"])
def test_whatever_is_behind_the_point_where_the_next_file_goes_on_is_void(garbage: bytes) -> None:
    """Rule 7: ZooKeeper leaves its torn tail where it is and goes on in a new file."""
    disk = disk_with(log_of(entries(1, 3)) + garbage)
    disk.write(f"{D}/log.4", 0, FILE_HEADER + encode_entries(entries(4, 2)), is_synced=True)
    assert read_all(disk, D)[0] == entries(1, 5)


def test_rot_in_an_older_file_is_rot() -> None:
    disk = disk_with(log_of(entries(1, 3)))
    disk.write(f"{D}/log.4", 0, FILE_HEADER + encode_entries(entries(4, 2)), is_synced=True)
    for at in (20, 100, 16 + 3 * 73 - 1):
        rotten = disk.clone()
        rotten.flip_byte(PATH, at)
        with pytest.raises(CorruptLog):
            read_all(rotten, D)


@given(st.integers(0, 1 << 32), st.lists(st.integers(32, 1500), min_size=1, max_size=30), st.integers(0, 8))
@settings(max_examples=400)
def test_any_torn_write_is_torn(seed: int, sizes: list[int], acknowledged: int) -> None:
    """Power is lost in the middle of the last write, with any of its sectors on the disk: what was acknowledged is
    there, what was not is there in order from its start or gone, and the log goes on."""
    disk = SimDisk()
    disk.make_directory(D)
    log = TxnLog(disk, D, 0, 4096)
    listed = [(zxid, txn(zxid, size)) for zxid, size in enumerate(sizes, 1)]
    acknowledged = min(acknowledged, len(listed))
    for entry in listed[:acknowledged]:
        log.append([entry])
    if len(listed) > acknowledged:
        disk.crash_at(1 if Random(seed).random() < 0.7 else 2)
        with suppress(SimCrash):
            log.append(listed[acknowledged:])
            acknowledged = len(listed)
    disk.crash(Random(seed))
    found, log = recover(disk, D)
    assert found == listed[: len(found)]
    assert len(found) >= acknowledged
    log.append(entries(len(found) + 1, 3))
    assert read_all(disk, D)[0] == found + entries(len(found) + 1, 3)
