"""Names, choice, writing and deletion of snapshots."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.log.samples import entries, golden
from zoopark.errors import CorruptSnapshot, StorageError
from zoopark.log.snapfiles import (
    GZ,
    PLAIN,
    SEAL,
    SNAPPY,
    SnapshotFile,
    SnapshotReader,
    SnapshotWriter,
    candidates,
    check_placement,
    is_plausible,
    parse_snapshot_name,
    purge,
    remove_unfinished,
    snapshot_name,
    snapshots,
)
from zoopark.log.snappy import Deflate
from zoopark.log.txnlog import TxnLog
from zoopark.sim.disk import SimDisk

D = "/data"
L = "/logs"


def disk_with(files: dict[str, bytes]) -> SimDisk:
    disk = SimDisk()
    disk.make_directory(D)
    disk.make_directory(L)
    for path, data in files.items():
        disk.write(path, 0, data, is_synced=True)
    return disk


def read(disk: SimDisk, file: SnapshotFile) -> bytes:
    reader = SnapshotReader(disk, file)
    return b"".join(iter(reader.next_chunk, b""))


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("snapshot.0", (0, PLAIN)),
        ("snapshot.1f", (31, PLAIN)),
        ("snapshot.1F", (31, PLAIN)),
        ("snapshot.100000002.gz", (0x100000002, GZ)),
        ("snapshot.a.snappy", (10, SNAPPY)),
        ("snapshot.a.", None),
        ("snapshot.a.tmp", None),
        ("snapshot.a.gz.tmp", None),
        ("snapshot.x", None),
        ("snapshot.", None),
        ("unfinished.snapshot.a", None),
        ("log.1", None),
    ],
)
def test_names(name: str, parsed: tuple[int, str] | None) -> None:
    assert parsed == parse_snapshot_name(name)


@given(st.integers(0, (1 << 63) - 1), st.sampled_from([PLAIN, GZ, SNAPPY]))
def test_names_round_trip(zxid: int, method: str) -> None:
    assert (zxid, method) == parse_snapshot_name(snapshot_name(zxid, method))


@pytest.mark.parametrize(
    ("suffix", "data", "expected"),
    [
        ("", b"12345" + SEAL, True),
        ("", b"1234" + SEAL, False),
        ("", b"", False),
        ("", b"0" * 100, False),
        ("", SEAL + b"12345", False),
        (".gz", b"\x1f\x8b", True),
        (".gz", b"\x1f", False),
        (".gz", b"12345" + SEAL, False),
        (".snappy", b"\x82SNAPPY\x00rest", True),
        (".snappy", b"\x82SNAPP", False),
    ],
)
def test_the_quick_test(suffix: str, data: bytes, expected: bool) -> None:
    disk = disk_with({f"{D}/snapshot.1{suffix}": data})
    assert [expected] == [is_plausible(disk, file) for file in snapshots(disk, D)]


def test_candidates_are_plausible_and_newest_first() -> None:
    good = b"12345" + SEAL
    files = {f"{D}/snapshot.{zxid:x}": good for zxid in (1, 2, 15, 16, 0x100000001)} | {f"{D}/snapshot.20": b"part"}
    disk = disk_with(files)
    assert [file.zxid for file in candidates(disk, D)] == [0x100000001, 16, 15, 2, 1]
    assert [file.zxid for file in candidates(disk, D, 2)] == [0x100000001, 16]


def test_at_most_a_hundred_candidates() -> None:
    disk = disk_with({f"{D}/snapshot.{zxid:x}": b"12345" + SEAL for zxid in range(120)})
    assert [file.zxid for file in candidates(disk, D)] == list(range(119, 19, -1))


@pytest.mark.parametrize("name", ["snapshot.0", "snapshot.a"])
def test_reads_what_zookeeper_wrote(name: str) -> None:
    disk = disk_with({f"{D}/{name}": golden(name)})
    (file,) = candidates(disk, D)
    assert golden(name) == read(disk, file)


def test_reads_what_zookeeper_compressed() -> None:
    """Inside it has the shape of the plain one: the header, and the seal at the end."""
    disk = disk_with({f"{D}/snapshot.a.gz": golden("snapshot.a.gz")})
    data = read(disk, candidates(disk, D)[0])
    assert len(data) == len(golden("snapshot.a"))
    assert data[:16] == golden("snapshot.a")[:16] and data.endswith(SEAL)


def snapped(data: bytes) -> bytes:
    deflate = Deflate()
    return Deflate.header() + deflate.compress(data) + deflate.flush()


def test_snappy_comes_back_as_it_was() -> None:
    disk = disk_with({})
    writer = SnapshotWriter(disk, D, 10, SNAPPY)
    data = golden("snapshot.a") * 300
    for at in range(0, len(data), 1000):
        writer.write(data[at : at + 1000])
    file = writer.finish()
    assert file.path.endswith("/snapshot.a.snappy") and disk.size(file.path) < len(data)
    assert data == read(disk, file)


@pytest.mark.parametrize("cut", [9, 15, 17, 100, -1])
def test_a_snappy_stream_that_ends_early_is_corrupt(cut: int) -> None:
    disk = disk_with({f"{D}/snapshot.a.snappy": snapped(golden("snapshot.a"))[:cut]})
    with pytest.raises(CorruptSnapshot, match=r"snapshot\.a\.snappy: the snappy stream ends early"):
        read(disk, candidates(disk, D)[0])


@pytest.mark.parametrize("cut", [2, 10, 100, -1])
def test_a_gzip_stream_that_ends_early_is_corrupt(cut: int) -> None:
    disk = disk_with({f"{D}/snapshot.a.gz": golden("snapshot.a.gz")[:cut]})
    with pytest.raises(CorruptSnapshot, match="ends early"):
        read(disk, candidates(disk, D)[0])


def test_a_damaged_gzip_stream_is_corrupt() -> None:
    """By its own checksum at the latest."""
    whole = golden("snapshot.a.gz")
    for at in range(10, len(whole)):
        disk = disk_with({f"{D}/snapshot.a.gz": whole})
        disk.flip_byte(f"{D}/snapshot.a.gz", at)
        with pytest.raises(CorruptSnapshot):
            read(disk, candidates(disk, D)[0])


def test_bytes_behind_the_gzip_stream_are_corrupt() -> None:
    disk = disk_with({f"{D}/snapshot.a.gz": golden("snapshot.a.gz") + b"x"})
    with pytest.raises(CorruptSnapshot, match="follow"):
        read(disk, candidates(disk, D)[0])


@given(st.lists(st.binary(max_size=400), max_size=30), st.sampled_from([PLAIN, GZ]), st.integers(1, 500))
def test_what_is_written_is_read(pieces: list[bytes], method: str, repeat: int) -> None:
    """In pieces of any size, over many chunks."""
    disk = disk_with({})
    writer = SnapshotWriter(disk, D, 0x2A, method)
    for piece in pieces:
        writer.write(piece * repeat)
    file = writer.finish()
    assert file == SnapshotFile(0x2A, f"{D}/{snapshot_name(0x2A, method)}", method)
    assert b"".join(piece * repeat for piece in pieces) == read(disk, file)


def test_gz_is_one_ordinary_gzip_member() -> None:
    disk = disk_with({})
    writer = SnapshotWriter(disk, D, 1, GZ)
    writer.write(golden("snapshot.a"))
    file = writer.finish()
    assert golden("snapshot.a") == gzip.decompress(disk.read(file.path, 0, 10_000))


def test_a_snapshot_has_no_name_before_it_is_finished() -> None:
    disk = disk_with({})
    writer = SnapshotWriter(disk, D, 5)
    writer.write(b"x" * (3 << 20))
    assert disk.list(D) == ["unfinished.snapshot.5"]
    assert snapshots(disk, D) == []
    writer.finish()
    assert disk.list(D) == ["snapshot.5"]


def test_large_writes_are_synced_on_the_way() -> None:
    """A single sync of everything would stall the log's syncs at the end."""
    disk = disk_with({})
    before = disk.mutation_count
    writer = SnapshotWriter(disk, D, 5, sync_every_bytes=2 << 20)
    for _ in range(8):
        writer.write(b"x" * (1 << 20))
    writer.finish()
    writes, syncs, renames = 9, 5, 1
    assert disk.mutation_count == before + writes + syncs + renames


def test_abandoning_leaves_nothing() -> None:
    disk = disk_with({})
    writer = SnapshotWriter(disk, D, 5)
    writer.abandon()
    writer.write(b"x" * (2 << 20))
    writer.abandon()
    assert disk.list(D) == []


def test_a_longer_leftover_does_not_show_behind_the_end() -> None:
    disk = disk_with({f"{D}/unfinished.snapshot.5": b"z" * 100})
    writer = SnapshotWriter(disk, D, 5)
    writer.write(b"short")
    assert read(disk, writer.finish()) == b"short"


def test_leftovers_are_removed_at_start() -> None:
    names = ["unfinished.snapshot.5", "unfinished.snapshot.5.gz", "snapshot.6.tmp", "snapshot.7", "currentEpoch.tmp"]
    disk = disk_with({f"{D}/{name}": b"x" for name in names})
    assert len(remove_unfinished(disk, D)) == 3
    assert disk.list(D) == ["currentEpoch.tmp", "snapshot.7"]


def purge_disk(zxids: list[int], log_zxids: list[int], invalid: list[int]) -> SimDisk:
    files = {f"{D}/snapshot.{zxid:x}": b"12345" + SEAL for zxid in zxids}
    files |= {f"{D}/snapshot.{zxid:x}": b"part" for zxid in invalid}
    return disk_with(files | {f"{L}/log.{zxid:x}": b"" for zxid in log_zxids})


@pytest.mark.parametrize(
    ("zxids", "log_zxids", "invalid", "kept", "kept_logs"),
    [
        ([1, 2, 3], [1, 2, 3], [], [1, 2, 3], [1, 2, 3]),
        ([1, 2], [1, 2, 3], [], [1, 2], [1, 2, 3]),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5], [], [3, 4, 5], [3, 4, 5]),
        ([2, 4, 6, 8], [1, 3, 5, 7, 9], [], [4, 6, 8], [3, 5, 7, 9]),
        ([2, 4, 6, 8], [1], [], [4, 6, 8], [1]),
        ([2, 4, 6, 8], [9], [], [4, 6, 8], [9]),
        ([2, 4, 6, 8], [], [], [4, 6, 8], []),
        ([2, 4, 6], [1, 3, 5, 7], [7, 9], [2, 4, 6, 7, 9], [1, 3, 5, 7]),
        ([2, 4, 6, 8], [1, 3, 5], [1, 3, 7], [4, 6, 7, 8], [3, 5]),
    ],
)
def test_purge(
    zxids: list[int], log_zxids: list[int], invalid: list[int], kept: list[int], kept_logs: list[int]
) -> None:
    """ZOOKEEPER-3231: broken snapshots do not count. ZOOKEEPER-2574: the log that holds the oldest kept zxid stays."""
    disk = purge_disk(zxids, log_zxids, invalid)
    removed = purge(disk, D, L, 3)
    assert [f"snapshot.{zxid:x}" for zxid in kept] == disk.list(D)
    assert [f"log.{zxid:x}" for zxid in kept_logs] == disk.list(L)
    assert len(removed) == len(zxids) + len(invalid) - len(kept) + len(log_zxids) - len(kept_logs)


def test_purge_keeps_at_least_three() -> None:
    with pytest.raises(AssertionError):
        purge(SimDisk(), D, L, 2)


def test_placement() -> None:
    good = disk_with({f"{D}/snapshot.1": b"", f"{L}/log.1": b""})
    check_placement(good, D, L)
    mixed = disk_with({f"{D}/snapshot.1": b"", f"{D}/log.1": b""})
    check_placement(mixed, D, D)
    with pytest.raises(StorageError, match=r"/data/log\.1: a transaction log in the snapshot directory"):
        check_placement(mixed, D, L)
    with pytest.raises(StorageError, match=r"/logs/snapshot\.7\.gz: a snapshot in the log directory"):
        check_placement(disk_with({f"{L}/snapshot.7.gz": b""}), D, L)


def test_a_snapshot_beside_its_log() -> None:
    """The names of one do not disturb the other."""
    disk = disk_with({})
    TxnLog(disk, D, 0, 0).append(entries(1, 2))
    writer = SnapshotWriter(disk, D, 2)
    writer.write(b"12345" + SEAL)
    assert [writer.finish()] == candidates(disk, D)
