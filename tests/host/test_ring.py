"""Durable writes by the kernel: what is in the file afterwards, and what is told when the disk does not take it."""

import errno
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from zoopark.host.ring import Ring

PATIENCE_S = 30


@pytest.fixture
def ring() -> Iterator[Ring]:
    try:
        ring = Ring()
    except OSError as error:
        pytest.skip(f"the kernel lets this process have no io_uring: {error.strerror}")
    yield ring
    ring.close()


def file_in(directory: Path, name: str = "log") -> Path:
    path = directory / name
    path.touch()
    return path


def wait_for(ring: Ring) -> None:
    """The completion is announced on the file that a loop would watch."""
    assert select.select([ring.fd], [], [], PATIENCE_S)[0]


def test_bytes_are_where_they_belong(ring: Ring, tmp_path: Path) -> None:
    """Many writes, so that the counters of both rings wrap around their sizes often."""
    path = file_in(tmp_path)
    written = bytearray()
    for number in range(300):
        data = b"%d " % number * (1 + number % 7 * 500)
        ring.start(str(path), len(written), data)
        written += data
        wait_for(ring)
        assert ring.finish()
    assert path.read_bytes() == written


def test_one_file_after_another(ring: Ring, tmp_path: Path) -> None:
    paths = [file_in(tmp_path, name) for name in ("a", "b", "a")]
    for number, path in enumerate(paths):
        ring.start(str(path), number, b"%d" % number)
        assert ring.finish()
    assert [path.read_bytes() for path in paths] == [b"0\x002", b"\x001", b"0\x002"]


def test_nothing_is_announced_before_it_is_there(ring: Ring, tmp_path: Path) -> None:
    path = file_in(tmp_path)
    assert not select.select([ring.fd], [], [], 0)[0]
    ring.start(str(path), 0, b"x")
    wait_for(ring)
    assert ring.finish()
    assert not select.select([ring.fd], [], [], 0)[0]


def test_a_full_disk_is_told(ring: Ring, tmp_path: Path) -> None:
    """As write(2) would say it; the file it was about is named."""
    path = tmp_path / "log"
    path.symlink_to("/dev/full")
    ring.start(str(path), 0, b"x" * 100)
    with pytest.raises(OSError, match="log") as caught:
        ring.finish()
    assert caught.value.errno == errno.ENOSPC


def test_a_file_that_cannot_be_opened_is_told_at_once(ring: Ring, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ring.start(str(tmp_path / "none"), 0, b"x")


PARTLY = """
import resource, signal, sys
from zoopark.host.ring import Ring
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ring = Ring()
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
ring.start(sys.argv[1], 0, b"x" * 10000)
print(ring.finish())
try:
    ring.finish()
except OSError as error:
    print(error.errno)
"""


def test_a_write_taken_in_part_goes_on(ring: Ring, tmp_path: Path) -> None:
    """The system may take less than all at any time; here since the file may not grow beyond a limit."""
    path = file_in(tmp_path)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PARTLY, str(path)]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert said.stdout.split() == ["False", str(errno.EFBIG)]
    assert path.read_bytes() == b"x" * 8192
    assert ring.fd >= 0


def test_close_waits_for_a_write(ring: Ring, tmp_path: Path) -> None:
    path = file_in(tmp_path)
    other = Ring()
    other.start(str(path), 0, b"x" * 100_000)
    other.close()
    assert path.read_bytes() == b"x" * 100_000
