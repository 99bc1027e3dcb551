"""The port Disk: what both implementations do alike."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zoopark.host.storage import FileDisk
from zoopark.log.disk import Disk
from zoopark.sim.disk import SimDisk

Place = tuple[Disk, str]


@pytest.fixture(params=["files", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "memory":
        disk = SimDisk()
        disk.make_directory("/data")
        yield disk, "/data"
        return
    files = FileDisk()
    yield files, str(tmp_path)
    files.close()


def test_list(place: Place) -> None:
    disk, root = place
    assert disk.list(root) == [] == disk.list(f"{root}/none")
    disk.write(f"{root}/b", 0, b"", is_synced=True)
    disk.write(f"{root}/a", 0, b"x", is_synced=False)
    disk.make_directory(f"{root}/c/d")
    assert disk.list(root) == ["a", "b", "c"]
    assert disk.list(f"{root}/c") == ["d"]


def test_make_directory_twice(place: Place) -> None:
    disk, root = place
    disk.make_directory(f"{root}/x/y/z")
    disk.make_directory(f"{root}/x/y/z")
    disk.write(f"{root}/x/y/z/file", 0, b"1", is_synced=True)
    assert disk.read(f"{root}/x/y/z/file", 0, 9) == b"1"


@pytest.mark.parametrize("is_synced", [True, False])
def test_write_and_read(place: Place, is_synced: bool) -> None:
    disk, root = place
    path = f"{root}/file"
    disk.write(path, 0, b"hello world", is_synced=is_synced)
    disk.write(path, 6, b"there!", is_synced=is_synced)
    disk.write(path, 15, b"x", is_synced=is_synced)
    assert disk.size(path) == 16
    assert disk.read(path, 0, 100) == b"hello there!\x00\x00\x00x"
    assert disk.read(path, 6, 5) == b"there"
    assert disk.read(path, 16, 5) == disk.read(path, 99, 5) == disk.read(path, 3, 0) == b""
    disk.sync(path)
    assert disk.read(path, 14, 100) == b"\x00x"


def test_reserve_only_extends(place: Place) -> None:
    disk, root = place
    path = f"{root}/file"
    disk.write(path, 0, b"abc", is_synced=True)
    disk.reserve(path, 5000)
    disk.reserve(path, 10)
    assert disk.size(path) == 5000
    assert disk.read(path, 0, 6000) == b"abc" + bytes(4997)


def test_truncate_and_extend_again_reads_zeros(place: Place) -> None:
    """Nothing of what was cut off comes back."""
    disk, root = place
    path = f"{root}/file"
    disk.write(path, 0, b"x" * 3000, is_synced=True)
    disk.truncate(path, 1000)
    assert disk.size(path) == 1000
    disk.reserve(path, 3000)
    assert disk.read(path, 0, 4000) == b"x" * 1000 + bytes(2000)


def test_rename_replaces(place: Place) -> None:
    disk, root = place
    disk.write(f"{root}/old", 0, b"one", is_synced=True)
    disk.write(f"{root}/new", 0, b"other", is_synced=True)
    disk.rename(f"{root}/old", f"{root}/new")
    assert disk.list(root) == ["new"]
    disk.write(f"{root}/new", 3, b"!", is_synced=True)
    assert disk.read(f"{root}/new", 0, 9) == b"one!"


def test_a_removed_file_is_written_anew(place: Place) -> None:
    disk, root = place
    disk.write(f"{root}/file", 0, b"one", is_synced=True)
    disk.remove(f"{root}/file")
    assert disk.list(root) == []
    disk.write(f"{root}/file", 1, b"x", is_synced=True)
    assert disk.read(f"{root}/file", 0, 9) == b"\x00x"


@pytest.mark.parametrize("call", ["size", "read", "sync", "reserve", "truncate", "rename", "remove", "write"])
def test_what_is_not_there(place: Place, call: str) -> None:
    disk, root = place
    path = f"{root}/none"
    calls: dict[str, Callable[[], object]] = {
        "size": lambda: disk.size(path),
        "read": lambda: disk.read(path, 0, 1),
        "sync": lambda: disk.sync(path),
        "reserve": lambda: disk.reserve(path, 1),
        "truncate": lambda: disk.truncate(path, 0),
        "rename": lambda: disk.rename(path, f"{root}/new"),
        "remove": lambda: disk.remove(path),
        "write": lambda: disk.write(f"{path}/file", 0, b"x", is_synced=True),
    }
    with pytest.raises(FileNotFoundError):
        calls[call]()
