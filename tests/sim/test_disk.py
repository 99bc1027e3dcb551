"""The simulated disk: what it loses, what it never loses, and when it fails. Its port: tests/log/test_disk.py."""

import errno
from collections.abc import Callable
from contextlib import suppress
from random import Random

import pytest

from zoopark.sim.disk import SECTOR_BYTES, SimCrash, SimDisk

P = "/d/file"


def fresh() -> SimDisk:
    disk = SimDisk()
    disk.make_directory("/d")
    return disk


def outcomes(act: Callable[[SimDisk], None], seeds: int = 200) -> set[bytes | None]:
    """What may be left of P after `act` and a crash; None for no file."""
    found: set[bytes | None] = set()
    for seed in range(seeds):
        disk = fresh()
        with suppress(SimCrash):
            act(disk)
        disk.crash(Random(seed))
        found.add(disk.read(P, 0, 1 << 20) if "file" in disk.list("/d") else None)
    return found


def test_synced_bytes_survive() -> None:
    assert outcomes(lambda disk: disk.write(P, 0, b"x" * 2000, is_synced=True)) == {b"x" * 2000}


def test_unsynced_sectors_survive_in_any_combination() -> None:
    """Also the later without the earlier one: a disk reorders."""

    def act(disk: SimDisk) -> None:
        disk.write(P, 0, b"a" * 2 * SECTOR_BYTES, is_synced=True)
        disk.write(P, 0, b"b" * 2 * SECTOR_BYTES, is_synced=False)

    sectors = [b"a" * SECTOR_BYTES, b"b" * SECTOR_BYTES]
    assert outcomes(act) == {first + second for first in sectors for second in sectors}


def test_a_sector_is_never_torn() -> None:
    def act(disk: SimDisk) -> None:
        disk.write(P, 0, b"a" * 100, is_synced=True)
        disk.write(P, 40, b"b" * 40, is_synced=False)

    assert outcomes(act) == {b"a" * 100, b"a" * 40 + b"b" * 40 + b"a" * 20}


def test_any_version_of_a_sector_may_be_the_last() -> None:
    def act(disk: SimDisk) -> None:
        disk.write(P, 0, b"a", is_synced=True)
        disk.write(P, 0, b"b", is_synced=False)
        disk.write(P, 0, b"c", is_synced=False)

    assert outcomes(act) == {b"a", b"b", b"c"}


def test_sync_makes_all_durable() -> None:
    def act(disk: SimDisk) -> None:
        disk.write(P, 0, b"a" * 3000, is_synced=False)
        disk.write(P, 700, b"b", is_synced=False)
        disk.sync(P)

    assert outcomes(act) == {b"a" * 700 + b"b" + b"a" * 2299}


def test_a_synced_write_does_not_sync_others() -> None:
    """RWF_DSYNC reaches only the bytes of its call."""

    def act(disk: SimDisk) -> None:
        disk.write(P, 0, b"a" * SECTOR_BYTES, is_synced=False)
        disk.write(P, SECTOR_BYTES, b"b", is_synced=True)

    assert outcomes(act) == {b"a" * SECTOR_BYTES + b"b", bytes(SECTOR_BYTES) + b"b"}


def test_a_reserved_length_may_be_lost() -> None:
    def act(disk: SimDisk) -> None:
        disk.write(P, 0, b"a", is_synced=True)
        disk.reserve(P, 3)

    assert outcomes(act) == {b"a", b"a\x00\x00"}


def test_an_interrupted_synced_write_is_torn() -> None:
    def act(disk: SimDisk) -> None:
        disk.write(P, 0, bytes(2 * SECTOR_BYTES), is_synced=True)
        disk.crash_at(1)
        disk.write(P, 0, b"b" * 2 * SECTOR_BYTES, is_synced=True)

    sectors = [bytes(SECTOR_BYTES), b"b" * SECTOR_BYTES]
    assert outcomes(act) == {first + second for first in sectors for second in sectors}


def test_an_interrupted_creation_may_leave_no_file() -> None:
    def act(disk: SimDisk) -> None:
        disk.crash_at(1)
        disk.write(P, 0, b"b", is_synced=True)

    assert outcomes(act) == {None, b"", b"\x00", b"b"}


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda disk: disk.truncate(P, 1), {b"abc", b"a"}),
        (lambda disk: disk.remove(P), {b"abc", None}),
        (lambda disk: disk.rename(P, "/d/other"), {b"abc", None}),
        (lambda disk: disk.rename("/d/twin", P), {b"abc", b"xyz"}),
        (lambda disk: disk.reserve(P, 4), {b"abc", b"abc\x00"}),
        (lambda disk: disk.sync(P), {b"abc"}),
        (lambda disk: disk.make_directory("/d/e"), {b"abc"}),
    ],
)
def test_an_interrupted_call_happened_or_not(act: Callable[[SimDisk], None], expected: set[bytes | None]) -> None:
    def all_of_it(disk: SimDisk) -> None:
        disk.write(P, 0, b"abc", is_synced=True)
        disk.write("/d/twin", 0, b"xyz", is_synced=True)
        disk.crash_at(1)
        act(disk)

    assert expected == outcomes(all_of_it)


def test_cut_bytes_never_come_back() -> None:
    def act(disk: SimDisk) -> None:
        disk.write(P, 0, b"a" * 100, is_synced=True)
        disk.write(P, 0, b"b" * 100, is_synced=False)
        disk.truncate(P, 10)
        disk.reserve(P, 20)
        disk.sync(P)
        disk.write(P, 15, b"c", is_synced=False)

    tails = {bytes(10), bytes(5) + b"c" + bytes(4)}
    assert outcomes(act) == {b"b" * 10 + tail for tail in tails}


def test_nothing_works_between_the_crash_and_the_restart() -> None:
    disk = fresh()
    disk.crash_at(1)
    for _ in range(2):
        with pytest.raises(SimCrash):
            disk.write(P, 0, b"x", is_synced=True)
    with pytest.raises(SimCrash):
        disk.list("/d")
    disk.crash(Random(1))
    disk.write(P, 0, b"x", is_synced=True)


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_fails_once_at_the_call_wanted(error: int) -> None:
    disk = fresh()
    disk.write(P, 0, b"x", is_synced=True)
    disk.fail_at(2, error)
    assert disk.size(P) == 1
    with pytest.raises(OSError) as caught:
        disk.write(P, 0, b"yy", is_synced=True)
    assert caught.value.errno == error
    assert disk.size(P) == (2 if error == errno.EIO else 1)


def test_losing_all_is_the_worst_crash() -> None:
    disk = fresh()
    disk.write(P, 0, b"a", is_synced=True)
    disk.write(P, 0, b"b" * 600, is_synced=False)
    disk.reserve(P, 5000)
    disk.lose_all_unsynced()
    assert disk.read(P, 0, 9) == b"a"


def test_flipping_and_cloning() -> None:
    disk = fresh()
    disk.write(P, 0, b"abc", is_synced=True)
    twin = disk.clone()
    disk.flip_byte(P, 1, 0x01)
    assert disk.read(P, 0, 9) == b"acc"
    disk.lose_all_unsynced()
    assert disk.read(P, 0, 9) == b"acc"
    assert twin.read(P, 0, 9) == b"abc"


def test_reserved_bytes_cost_no_memory() -> None:
    disk = fresh()
    disk.write(P, 0, b"a", is_synced=True)
    disk.reserve(P, 1 << 60)
    assert disk.size(P) == 1 << 60
    assert disk.read(P, (1 << 60) - 4, 100) == bytes(4)


@pytest.mark.parametrize(("error", "size"), [(errno.EIO, 2), (errno.ENOSPC, 1)])
def test_a_sick_disk_fails_until_it_is_healed(error: int, size: int) -> None:
    """What a failing fsync left in the cache is never durable; a full disk takes nothing."""
    disk = fresh()
    disk.write(P, 0, b"x", is_synced=True)
    disk.sicken(error)
    for _ in range(2):
        with pytest.raises(OSError, match=r"output|space"):
            disk.write(P, 0, b"yy", is_synced=True)
    assert disk.size(P) == size
    disk.heal()
    disk.lose_all_unsynced()
    assert disk.read(P, 0, 9) == b"x"
    disk.write(P, 0, b"zz", is_synced=True)
    assert disk.files("/d", "fi") == [(P, 2)]


def test_a_crash_that_was_planned_still_comes_after_sickness() -> None:
    disk = fresh()
    disk.crash_at(2)
    disk.sicken(errno.ENOSPC)
    with pytest.raises(OSError, match=r"output|space"):
        disk.write(P, 0, b"x", is_synced=True)
    disk.heal()
    with pytest.raises(SimCrash):
        disk.write(P, 0, b"x", is_synced=True)


def test_a_wiped_disk_is_empty() -> None:
    disk = fresh()
    disk.write(P, 0, b"x", is_synced=True)
    disk.wipe()
    assert disk.list("/d") == []
