"""The one port of the project: what a disk can do.

Two implementations exist: `zoopark.host.storage.FileDisk` on the operating system, and `zoopark.sim.disk.SimDisk`
in memory, which loses what was not synced. Nothing else in the package touches a file.

Every method is complete when it returns and raises OSError when the disk fails. A failure is never retried: after a
failed sync the kernel may already have dropped the dirty pages (Rebello et al., USENIX ATC 2020), so the process stops.
"""

from typing import Protocol


class Disk(Protocol):
    """Files by path. Paths are strings joined by '/'; directories must exist before files are written into them."""

    def list(self, directory: str) -> list[str]:
        """The sorted names in a directory; empty if there is no such directory."""

    def make_directory(self, directory: str) -> None:
        """Create a directory with its parents, durably; nothing happens if it exists."""

    def size(self, path: str) -> int:
        """The length of a file in bytes; FileNotFoundError if there is none."""

    def read(self, path: str, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset`; shorter only at the end of the file; FileNotFoundError if none."""

    def write(self, path: str, offset: int, data: bytes, *, is_synced: bool) -> None:
        """Write all of `data` at `offset`, creating the file (its directory entry is durable on return).

        With is_synced the bytes, and a file length needed to read them, are durable on return (as by fdatasync);
        what was written without it before stays volatile until `sync`.
        """

    def sync(self, path: str) -> None:
        """Make all bytes and the length of a file durable."""

    def reserve(self, path: str, size: int) -> None:
        """Extend an existing file to `size` bytes that read as zeros; nothing happens if it is that long already."""

    def truncate(self, path: str, size: int) -> None:
        """Cut a file to `size` bytes, at most its length, durably."""

    def rename(self, old: str, new: str) -> None:
        """Replace `new` by `old` in one step, durably; both in one directory."""

    def remove(self, path: str) -> None:
        """Remove a file, durably."""
