"""When snapshots were being written, and which replies count as answered meanwhile."""

import time
from pathlib import Path

from bench.large import BEFORE_NS, SLICE_MS, SnapshotWatch, overlapping
from bench.load import Slice

DEADLINE_SECONDS = 60


def wait_for_window(watch: SnapshotWatch, count: int, after_ns: int) -> None:
    """Spin until so many windows are seen, the last of them ending after a time; AssertionError after the deadline."""
    until = time.monotonic() + DEADLINE_SECONDS
    while len(watch.windows()) < count or watch.windows()[-1][1] <= after_ns:
        assert time.monotonic() < until, watch.windows()


def test_a_file_that_is_written_and_renamed_is_one_window(tmp_path: Path) -> None:
    """Renaming does not make a second snapshot, and files that were there before are none."""
    (tmp_path / "snapshot.1").write_bytes(b"old")
    (tmp_path / "log.1").write_bytes(b"log")
    began = time.monotonic_ns()
    with SnapshotWatch(tmp_path) as watch:
        temporary = tmp_path / "snapshot.2.tmp"
        temporary.write_bytes(b"half")
        wait_for_window(watch, 1, began)
        ((_, half),) = watch.windows()
        with temporary.open("ab") as file:
            file.write(b", whole")
        wait_for_window(watch, 1, half)
        temporary.rename(tmp_path / "snapshot.2")
    ((start, end),) = watch.windows()
    assert began <= start <= half < end


def test_a_purged_file_whose_inode_comes_back_is_a_second_window(tmp_path: Path) -> None:
    """Servers purge old snapshots, and file systems give the next file the inode of the last."""
    began = time.monotonic_ns()
    with SnapshotWatch(tmp_path) as watch:
        (tmp_path / "snapshot.1").write_bytes(b"a whole snapshot")
        wait_for_window(watch, 1, began)
        (tmp_path / "snapshot.1").unlink()
        (tmp_path / "snapshot.2").write_bytes(b"half")
        wait_for_window(watch, 2, began)
    assert len(watch.windows()) == 2


def test_slices_beside_a_window() -> None:
    """A slice counts when it shares time with the window or with the moments before its file appeared."""
    length = SLICE_MS * 1_000_000
    slices = [Slice(i * length, {1.0: 1}) for i in range(20)]
    start, end = 10 * length + 1, 12 * length + 1
    first = (start - BEFORE_NS) // length
    assert [one.start_ns // length for one in overlapping(slices, [(start, end)])] == list(range(first, 13))
    assert overlapping(slices, []) == []
