"""What the real disk adds to the port: open files, threads, fallbacks, durability calls, and the lock."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from tests.log.samples import entries, read_all, recover
from zoopark.errors import StorageError
from zoopark.host.storage import MAX_OPEN_FILES, FileDisk, lock_directory
from zoopark.log.txnlog import TxnLog


def open_file_count(directory: Path) -> int:
    """How many files below a directory this process has open; what else it has may come and go."""
    links = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            links.append(os.readlink(f"/proc/self/fd/{name}"))
    return sum(link.startswith(f"{directory}/") for link in links)


def test_few_files_stay_open(tmp_path: Path) -> None:
    disk = FileDisk()
    for i in range(3 * MAX_OPEN_FILES):
        disk.write(f"{tmp_path}/{i}", 0, b"x", is_synced=i % 2 == 0)
        disk.sync(f"{tmp_path}/{i // 2}")
    assert open_file_count(tmp_path) == MAX_OPEN_FILES
    disk.close()
    assert open_file_count(tmp_path) == 0


@pytest.mark.parametrize("call", ["remove", "rename", "replace"])
def test_a_file_that_is_gone_does_not_stay_open(tmp_path: Path, call: str) -> None:
    """Else a later write of that name would go to the file that nobody sees any more."""
    disk = FileDisk()
    old, new = f"{tmp_path}/old", f"{tmp_path}/new"
    disk.write(old, 0, b"x", is_synced=True)
    disk.write(new, 0, b"y", is_synced=True)
    assert open_file_count(tmp_path) == 2
    if call == "remove":
        disk.remove(old)
        disk.remove(new)
    else:
        disk.rename(old, new)
    assert open_file_count(tmp_path) == 0


def test_large_writes_arrive_whole(tmp_path: Path) -> None:
    disk = FileDisk()
    data = os.urandom(1 << 20) * 5
    for is_synced in (True, False):
        disk.write(f"{tmp_path}/{is_synced}", 7, data, is_synced=is_synced)
        assert disk.read(f"{tmp_path}/{is_synced}", 7, len(data) + 1) == data
    disk.close()


def test_reserved_bytes_are_real(tmp_path: Path) -> None:
    """So that a full disk shows when the block is reserved, not in the middle of a write."""
    disk = FileDisk()
    disk.write(f"{tmp_path}/file", 0, b"x", is_synced=True)
    disk.reserve(f"{tmp_path}/file", 1 << 20)
    assert os.stat(f"{tmp_path}/file").st_blocks * 512 >= 1 << 20
    disk.close()


def trace(tmp_path: Path, lines: str) -> list[str]:
    """The durability calls of a program on a FileDisk, in order, as the audit of its own functions sees them."""
    program = f"""
import os, sys
seen = []
def noting(name):
    call = getattr(os, name)
    def noted(fd, *rest):
        seen.append(name + " " + os.path.basename(os.readlink(f"/proc/self/fd/{{fd}}")))
        return call(fd, *rest)
    setattr(os, name, noted)
for name in ("fsync", "fdatasync", "pwritev", "pwrite"):
    noting(name)
from zoopark.host.storage import FileDisk
disk, root = FileDisk(), {str(tmp_path)!r}
{lines}
print("\\n".join(seen))
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("disk.write(root + '/a', 0, b'x', is_synced=False)", ["fsync ROOT", "pwrite a"]),
        (
            "disk.write(root + '/a', 0, b'x', is_synced=False); disk.sync(root + '/a')",
            [*["fsync ROOT", "pwrite a", "fdatasync a"]],
        ),
        ("disk.make_directory(root + '/x/y')", ["fsync ROOT", "fsync x"]),
    ],
)
def test_directories_are_synced(tmp_path: Path, lines: str, expected: list[str]) -> None:
    """A new log file without its directory entry is lost data (Pillai et al., OSDI 2014)."""
    assert [line.replace("ROOT", tmp_path.name) for line in expected] == trace(tmp_path, lines)


@pytest.mark.parametrize("lines", ["disk.rename(root + '/a', root + '/b')", "disk.remove(root + '/a')"])
def test_rename_and_remove_are_synced(tmp_path: Path, lines: str) -> None:
    (tmp_path / "a").write_bytes(b"x")
    assert trace(tmp_path, lines) == [f"fsync {tmp_path.name}"]


@pytest.mark.skipif(not hasattr(os, "RWF_DSYNC"), reason="needs RWF_DSYNC")
def test_a_synced_write_is_one_call(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert trace(tmp_path, "disk.write(root + '/a', 0, b'x', is_synced=True)") == ["pwritev a"]


def test_without_the_flag_a_synced_write_is_two_calls(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    lines = "import zoopark.host.storage as s; s._RWF_DSYNC = 0; disk = FileDisk()\n"
    assert trace(tmp_path, lines + "disk.write(root + '/a', 0, b'x', is_synced=True)") == ["pwrite a", "fdatasync a"]


def test_a_file_system_without_the_flag_is_written_and_synced(tmp_path: Path) -> None:
    """The kernel says EOPNOTSUPP; nothing was written, so this is no retry."""
    (tmp_path / "a").write_bytes(b"")
    lines = "import zoopark.host.storage as s; s._RWF_DSYNC = 1 << 30; disk = FileDisk()\n"
    write = "disk.write(root + '/a', 0, b'xy', is_synced=True); "
    assert trace(tmp_path, lines + write + write) == ["pwritev a", *["pwrite a", "fdatasync a"] * 2]
    assert (tmp_path / "a").read_bytes() == b"xy"


def test_short_writes_are_continued(tmp_path: Path) -> None:
    """The kernel may take less than it was given, in both ways of writing."""
    short = """
whole_pwrite, whole_pwritev = os.pwrite, os.pwritev
os.pwrite = lambda fd, data, at: whole_pwrite(fd, data[:3], at)
os.pwritev = lambda fd, parts, at, flags: whole_pwritev(fd, [parts[0][:4]], at, flags)
disk.write(root + '/a', 1, b'0123456789', is_synced=True)
disk.write(root + '/a', 11, b'abcdefg', is_synced=False)
"""
    assert trace(tmp_path, short)[-1] == "pwrite a"
    assert (tmp_path / "a").read_bytes() == b"\x000123456789abcdefg"


def test_reserving_in_a_thread_beside_appends(tmp_path: Path) -> None:
    """Every block is reserved by another thread while appends go on; all entries are there."""
    disk = FileDisk()
    log = TxnLog(disk, str(tmp_path), 0, 65536)
    threads: list[Thread] = []
    for batch in range(200):
        log.append(entries(batch * 20 + 1, 20, 100))
        if log.wants_reserve():
            threads.append(Thread(target=log.reserve_ahead))
            threads[-1].start()
    for thread in threads:
        thread.join(60)
    disk.close()
    found, reader = read_all(disk, str(tmp_path))
    assert found == entries(1, 4000, 100)
    assert reader.torn is None and len(threads) >= 3


def test_a_log_on_the_real_disk_is_recovered_and_goes_on(tmp_path: Path) -> None:
    disk, root = FileDisk(), str(tmp_path)
    TxnLog(disk, root, 0, 1 << 20).append(entries(1, 50, 200))
    size = os.stat(f"{root}/log.1").st_size
    with open(f"{root}/log.1", "r+b") as file:
        file.seek(16 + 49 * 213 + 100)
        file.write(bytes(size - file.tell()))
    found, log = recover(disk, root)
    assert found == entries(1, 49, 200)
    log.append(entries(50, 5))
    assert disk.list(root) == ["log.1", "log.32"]
    disk.close()


def test_one_server_per_directory(tmp_path: Path) -> None:
    held = lock_directory(str(tmp_path))
    with pytest.raises(StorageError) as caught:
        lock_directory(str(tmp_path))
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)
    held.release()
    held.release()
    lock_directory(str(tmp_path)).release()


def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    """A killed server leaves nothing that must be cleaned up by hand."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    program = f"""
from zoopark.host.storage import lock_directory
held = lock_directory({str(tmp_path)!r})
print("held", flush=True)
input()
"""
    process = subprocess.Popen([sys.executable, "-c", program], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdin is not None
    try:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(StorageError, match="in use by another server"):
            lock_directory(str(tmp_path))
    finally:
        process.kill()
        process.wait(30)
        process.stdout.close()
        process.stdin.close()
    lock_directory(str(tmp_path)).release()


def test_a_forked_child_gives_up_only_its_own_share(tmp_path: Path) -> None:
    """A snapshot's child must neither unlock its server's directory nor keep it locked after the server died."""
    held = lock_directory(str(tmp_path))
    child = os.fork()
    if child == 0:
        held.release()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with pytest.raises(StorageError, match="in use"):
        lock_directory(str(tmp_path))
    held.release()
    lock_directory(str(tmp_path)).release()


def test_a_directory_that_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot lock the data directory: No such file"):
        lock_directory(f"{tmp_path}/none")
