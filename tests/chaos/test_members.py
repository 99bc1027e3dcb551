"""What is done to one member."""

from pathlib import Path

import pytest

from chaos.members import BALLAST, Member, Seat


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
