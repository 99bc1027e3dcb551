"""What is done to one member."""

import subprocess
import sys
from pathlib import Path

import pytest

from chaos.members import BALLAST, SOURCE, Member, Seat

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
from pathlib import Path
from chaos.members import Member, Seat
from chaos.ports import free_ports

(ports,) = free_ports(1)
seat = Seat(1, "127.0.0.1", ports)
member = Member(seat, Path(sys.argv[1]), [], has_small_disk=False)
member.prepare([seat])
member.start()
print(flush=True)
sys.stdin.read()
"""


def test_a_disk_is_filled_to_the_last_byte(tmp_path: Path) -> None:
    """The server writes at the same time, so how much fits is known when no more does."""
    member = Member(Seat(1, "127.0.0.1", (1, 2, 3)), tmp_path, [], has_small_disk=False)
    member.data.mkdir()
    (member.data / BALLAST).symlink_to("/dev/full")
    member.fill_disk()
    assert member.is_sick
    member.heal_disk()
    assert not member.is_sick
    assert not list(member.data.iterdir())


def test_a_disk_that_refuses_otherwise_is_not_full(tmp_path: Path) -> None:
    member = Member(Seat(1, "127.0.0.1", (1, 2, 3)), tmp_path, [], has_small_disk=False)
    (member.data / BALLAST).mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        member.fill_disk()


def test_a_member_ends_with_a_run_that_is_killed(tmp_path: Path) -> None:
    """Who writes down what it says ends when it does, and lets go of the pipe that is read here to its end."""
    run = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "1")],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT}:{SOURCE}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert run.stdout is not None
    assert run.stdout.readline() == b"\n"
    run.kill()
    assert run.communicate(timeout=60)[1] == b""
