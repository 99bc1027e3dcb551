"""`SimDisk`: the port `zoopark.log.disk.Disk` in memory; it fails, tears writes and loses what was not synced.

Every file has a durable and a current state. A synced write makes its sectors durable; other writes leave versions of
the sectors they touch, of which a crash keeps any one. Sectors are written whole or not at all. Directory entries are
durable as the port promises. Reserved bytes cost no memory.

It must never be kinder than a disk: what the port does not promise is lost sometimes.
"""

import errno
import os.path
from random import Random
from typing import Final, TypeAlias, final

SECTOR_BYTES: Final = 512
NEVER: Final = 1 << 62


Sizes: TypeAlias = list[tuple[str, int]]


class SimCrash(BaseException):
    """The simulated machine lost power in this call: no code sees it coming. Nothing works until `SimDisk.crash`."""


@final
class SimDisk:
    """A disk that forgets.

    Attributes:
        call_count: how many calls were made so far, reading ones included.
        mutation_count: how many of them could change something.
    """

    __slots__ = (
        "_crash_at",
        "_directories",
        "_fail_at",
        "_fail_errno",
        "_files",
        "_in_flight",
        "_is_down",
        "_sick_errno",
        "_trip_at",
        "call_count",
        "mutation_count",
    )

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        self._directories: set[str] = {"", "/"}
        self._crash_at = NEVER
        self._fail_at = 0
        self._fail_errno = errno.EIO
        self._in_flight: tuple[str, ...] = ()
        self._is_down = False
        self._sick_errno = 0
        self._trip_at = NEVER
        self.call_count = 0
        self.mutation_count = 0

    # The port.

    def list(self, directory: str) -> "list[str]":
        self._count()
        prefix = directory.rstrip("/") + "/"
        children = [path[len(prefix) :] for path in (*self._files, *self._directories) if path.startswith(prefix)]
        return sorted({child.partition("/")[0] for child in children if child})

    def make_directory(self, directory: str) -> None:
        self._count_mutation("make_directory", directory)
        self._make_directory(directory)

    def size(self, path: str) -> int:
        self._count()
        return self._file(path).size

    def read(self, path: str, offset: int, size: int) -> bytes:
        self._count()
        return self._file(path).read(offset, size)

    def write(self, path: str, offset: int, data: bytes, *, is_synced: bool) -> None:
        is_failing = self._is_next_call_failing()
        try:
            self._count_mutation("write", path)
        except SimCrash:
            self._write_volatile(path, offset, data)
            raise
        except OSError as error:
            if error.errno == errno.EIO and (is_failing or self._sick_errno):
                self._write_volatile(path, offset, data)
            raise
        self._write_volatile(path, offset, data)
        file = self._files[path]
        file.is_entry_durable = True
        if is_synced:
            file.sync(offset, len(data))

    def sync(self, path: str) -> None:
        self._count_mutation("sync", path)
        self._file(path).sync_all()

    def reserve(self, path: str, size: int) -> None:
        self._count_mutation("reserve", path, str(size))
        file = self._file(path)
        file.size = max(file.size, size)

    def truncate(self, path: str, size: int) -> None:
        self._count_mutation("truncate", path, str(size))
        self._file(path).truncate(size)

    def rename(self, old: str, new: str) -> None:
        self._count_mutation("rename", old, new)
        self._file(old)
        self._rename(old, new)

    def remove(self, path: str) -> None:
        self._count_mutation("remove", path)
        self._file(path)
        del self._files[path]

    # What a test does to it.

    def fail_at(self, count: int, error: int = errno.EIO) -> None:
        """Let the `count`-th call from now raise OSError(error), once. A write failing with EIO reached the cache."""
        assert count >= 1, count
        self._fail_at = self.call_count + count
        self._fail_errno = error

    def crash_at(self, count: int) -> None:
        """Let the `count`-th mutating call from now take effect in part and raise SimCrash; `crash` must follow."""
        assert count >= 1, count
        self._crash_at = self._trip_at = self.mutation_count + count

    def sicken(self, error: int) -> None:
        """Let every mutating call from now on raise OSError(error), until `heal`.

        ENOSPC is a full disk. EIO is one whose fsync fails: what is written reaches the cache and is never durable.
        """
        self._sick_errno = error
        self._trip_at = 0

    def heal(self) -> None:
        """The disk works again."""
        self._sick_errno = 0
        self._trip_at = self._crash_at

    def files(self, directory: str, prefix: str) -> Sizes:
        """(path, length of what was written) of the files in a directory whose names begin so, sorted by name."""
        start = f"{directory.rstrip('/')}/{prefix}"
        return [(path, len(file.data)) for path, file in sorted(self._files.items()) if path.startswith(start)]

    def wipe(self) -> None:
        """Lose every file; directories stay."""
        self._files.clear()

    def crash(self, random: Random) -> None:
        """Lose power and come back: each sector that was not synced keeps one of its versions, by chance."""
        self._finish_in_flight(random)
        for path in sorted(self._files):
            file = self._files[path]
            if not file.is_entry_durable and random.random() < 0.5:
                del self._files[path]
                continue
            file.crash(random)
        self._is_down = False
        self._crash_at = NEVER
        self._fail_at = 0
        self.heal()

    def lose_all_unsynced(self) -> None:
        """Lose power and come back, and no write that was not synced had reached the disk."""
        for file in self._files.values():
            file.lose_all_unsynced()
        self._in_flight = ()
        self._is_down = False

    def flip_byte(self, path: str, offset: int, mask: int = 0xFF) -> None:
        """Rot: change the bits of `mask` in one byte that is durable."""
        file = self._file(path)
        byte = file.read(offset, 1)
        assert len(byte) == 1 and 0 < mask < 256, (path, offset, mask)
        file.write(offset, bytes([byte[0] ^ mask]))
        file.sync(offset, 1)

    def clone(self) -> "SimDisk":
        """A disk with the same current content, all of it durable, and no plans of failure."""
        twin = SimDisk()
        twin._directories = set(self._directories)
        for path, file in self._files.items():
            twin._files[path] = file.copy()
        return twin

    # Inside.

    def _count(self) -> None:
        if self._is_down:
            raise SimCrash("the machine is down")
        self.call_count += 1
        if self.call_count == self._fail_at:
            raise OSError(self._fail_errno, os.strerror(self._fail_errno))

    def _count_mutation(self, *call: str) -> None:
        self._count()
        self.mutation_count += 1
        if self.mutation_count >= self._trip_at:
            self._trip(call)

    def _trip(self, call: tuple[str, ...]) -> None:
        if self.mutation_count == self._crash_at:
            self._in_flight = call
            self._is_down = True
            raise SimCrash(" ".join(call))
        if self._sick_errno:
            raise OSError(self._sick_errno, os.strerror(self._sick_errno))

    def _is_next_call_failing(self) -> bool:
        return self.call_count + 1 == self._fail_at

    def _finish_in_flight(self, random: Random) -> None:
        """The call that the crash interrupted happened, or it did not."""
        call, self._in_flight = self._in_flight, ()
        if not call or random.random() < 0.5:
            return
        if call[0] == "make_directory":
            self._make_directory(call[1])
        if call[0] in ("write", "make_directory") or call[1] not in self._files:
            return
        file = self._files[call[1]]
        if call[0] == "reserve":
            file.size = max(file.size, int(call[2]))
        elif call[0] == "truncate":
            file.truncate(int(call[2]))
        elif call[0] == "rename":
            self._rename(call[1], call[2])
        elif call[0] == "remove":
            del self._files[call[1]]

    def _make_directory(self, directory: str) -> None:
        while directory not in self._directories:
            self._directories.add(directory)
            directory = os.path.dirname(directory)

    def _rename(self, old: str, new: str) -> None:
        self._files[new] = self._files.pop(old)

    def _write_volatile(self, path: str, offset: int, data: bytes) -> None:
        if path not in self._files:
            if os.path.dirname(path) not in self._directories:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            self._files[path] = _File()
        self._files[path].write(offset, data)

    def _file(self, path: str) -> "_File":
        if path not in self._files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self._files[path]


@final
class _File:
    """One file. `data` is what a reader sees, without the zeros up to `size`; `versions` are the older contents of the
    sectors that were not synced, oldest (the durable one) first."""

    __slots__ = ("data", "durable_size", "is_entry_durable", "size", "versions")

    def __init__(self) -> None:
        self.data = bytearray()
        self.size = 0
        self.durable_size = 0
        self.versions: dict[int, list[bytes]] = {}
        self.is_entry_durable = False

    def copy(self) -> "_File":
        twin = _File()
        twin.data = bytearray(self.data)
        twin.size = twin.durable_size = self.size
        twin.is_entry_durable = True
        return twin

    def read(self, offset: int, size: int) -> bytes:
        size = max(0, min(size, self.size - offset))
        return bytes(self.data[offset : offset + size]).ljust(size, b"\x00")

    def write(self, offset: int, data: bytes) -> None:
        end = offset + len(data)
        for sector in range(offset // SECTOR_BYTES, -(-end // SECTOR_BYTES)):
            self.versions.setdefault(sector, []).append(self._sector(sector))
        if len(self.data) < end:
            self.data.extend(bytes(end - len(self.data)))
        self.data[offset:end] = data
        self.size = max(self.size, end)

    def sync(self, offset: int, size: int) -> None:
        end = offset + size
        for sector in range(offset // SECTOR_BYTES, -(-end // SECTOR_BYTES)):
            self.versions.pop(sector, None)
        self.durable_size = max(self.durable_size, min(self.size, end))

    def sync_all(self) -> None:
        self.versions.clear()
        self.durable_size = self.size

    def truncate(self, size: int) -> None:
        assert size <= self.size, "the port only cuts"
        del self.data[size:]
        self.size = self.durable_size = size
        for sector in sorted(self.versions):
            kept = size - sector * SECTOR_BYTES
            if kept <= 0:
                del self.versions[sector]
            elif kept < SECTOR_BYTES:
                self.versions[sector] = [old[:kept].ljust(SECTOR_BYTES, b"\x00") for old in self.versions[sector]]

    def crash(self, random: Random) -> None:
        """Keep one version of each sector that was not synced: all the newest, all the oldest, a prefix or any."""
        mood = random.choice(("newest", "oldest", "prefix", "any", "any"))
        cut = random.choice(sorted(self.versions)) if self.versions else 0
        for sector, versions in sorted(self.versions.items()):
            is_kept = mood == "newest" or (mood == "prefix" and sector < cut)
            if not is_kept:
                choices = versions if mood == "any" else versions[:1]
                pick = random.randrange(len(choices) + 1) if mood == "any" else 0
                if pick < len(choices):
                    self._set_sector(sector, choices[pick])
        self.versions.clear()
        if mood != "newest" and random.random() < 0.5:
            self.size = self.durable_size
        del self.data[self.size :]
        self.durable_size = self.size
        self.is_entry_durable = True

    def lose_all_unsynced(self) -> None:
        for sector, versions in sorted(self.versions.items()):
            self._set_sector(sector, versions[0])
        self.versions.clear()
        self.size = self.durable_size
        del self.data[self.size :]

    def _sector(self, sector: int) -> bytes:
        at = sector * SECTOR_BYTES
        return bytes(self.data[at : at + SECTOR_BYTES]).ljust(SECTOR_BYTES, b"\x00")

    def _set_sector(self, sector: int, content: bytes) -> None:
        at = sector * SECTOR_BYTES
        end = min(at + SECTOR_BYTES, len(self.data))
        self.data[at:end] = content[: end - at]
