"""The disk of the operating system: `FileDisk` carries out the port `zoopark.log.disk.Disk`, and a lock on directories.

What the port promises as durable is paid here: data by RWF_DSYNC or fdatasync, directory entries by fsync of the
directory on every create, rename and unlink (Pillai et al., OSDI 2014). Nothing is retried.
"""

import errno
import fcntl
import os
from threading import Lock
from typing import Final, final

from zoopark.errors import StorageError

MAX_OPEN_FILES: Final = 2
LOCK_NAME: Final = ".zoopark.lock"

# One system call in place of two, and on ext4 no slower than pwrite + fdatasync. Linux has it since 4.7.
_RWF_DSYNC: Final[int] = getattr(os, "RWF_DSYNC", 0)


@final
class FileDisk:
    """The port Disk on files of the operating system.

    Methods may be called from several threads, but not for one path while it is renamed, cut or removed. At most
    MAX_OPEN_FILES files that were written last stay open; `close` closes them.
    """

    __slots__ = ("_flags", "_open_files", "_reserve_lock")

    def __init__(self) -> None:
        self._open_files: dict[str, int] = {}
        self._flags = _RWF_DSYNC
        # Where the file system has no fallocate, the C library writes zeros in its place; two of these must not meet,
        # and whoever then writes behind the old end first calls `reserve` and so waits here.
        self._reserve_lock = Lock()

    def list(self, directory: str) -> "list[str]":
        try:
            return sorted(os.listdir(directory))
        except FileNotFoundError:
            return []

    def make_directory(self, directory: str) -> None:
        if os.path.isdir(directory):
            return
        parent = os.path.dirname(directory.rstrip("/")) or "."
        self.make_directory(parent)
        os.mkdir(directory, 0o755)
        _sync_directory(parent)

    def size(self, path: str) -> int:
        return os.stat(path).st_size

    def read(self, path: str, offset: int, size: int) -> bytes:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            parts: list[bytes] = []
            while size > 0 and (part := os.pread(fd, size, offset)):
                parts.append(part)
                offset += len(part)
                size -= len(part)
            return parts[0] if len(parts) == 1 else b"".join(parts)
        finally:
            os.close(fd)

    def write(self, path: str, offset: int, data: bytes, *, is_synced: bool) -> None:
        fd = self._borrow(path)
        try:
            if is_synced:
                self._write_synced(fd, data, offset)
            else:
                _write_all(fd, data, offset)
        finally:
            self._give_back(path, fd)

    def sync(self, path: str) -> None:
        fd = self._open_files.pop(path, -1)
        if fd < 0:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.fdatasync(fd)
        finally:
            self._give_back(path, fd)

    def reserve(self, path: str, size: int) -> None:
        with self._reserve_lock:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                length = os.fstat(fd).st_size
                if length < size:
                    _extend(fd, length, size)
            finally:
                os.close(fd)

    def truncate(self, path: str, size: int) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.ftruncate(fd, size)
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, old: str, new: str) -> None:
        self._forget(old)
        self._forget(new)
        os.rename(old, new)
        _sync_directory(os.path.dirname(new))

    def remove(self, path: str) -> None:
        self._forget(path)
        os.unlink(path)
        _sync_directory(os.path.dirname(path))

    def close(self) -> None:
        """Close the files that were kept open. The disk may be used again afterwards."""
        for path in sorted(self._open_files):
            self._forget(path)

    def _borrow(self, path: str) -> int:
        """A file to write to, taken out of the kept ones, so that no other thread closes it meanwhile."""
        fd = self._open_files.pop(path, -1)
        if fd >= 0:
            return fd
        try:
            return os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_CREAT, 0o644)
        try:
            _sync_directory(os.path.dirname(path))
        except OSError:
            os.close(fd)
            raise
        return fd

    def _give_back(self, path: str, fd: int) -> None:
        """Keep a borrowed file open as the one used last; close the one unused for longest if there are too many."""
        other = self._open_files.pop(path, -1)
        if other >= 0:
            os.close(other)
        self._open_files[path] = fd
        if len(self._open_files) > MAX_OPEN_FILES:
            self._forget(next(iter(self._open_files)))

    def _forget(self, path: str) -> None:
        fd = self._open_files.pop(path, -1)
        if fd >= 0:
            os.close(fd)

    def _write_synced(self, fd: int, data: bytes, offset: int) -> None:
        if self._flags:
            try:
                done = os.pwritev(fd, (data,), offset, self._flags)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
                    raise
                self._flags = 0  # this file system or kernel cannot; nothing was written
                done = 0
            if done == len(data):
                return
            data, offset = data[done:], offset + done
        _write_all(fd, data, offset)
        os.fdatasync(fd)


@final
class DirectoryLock:
    """An exclusive hold on a directory, given up by `release` or when the process ends.

    A forked child shares it: it calls `release` first thing, which leaves its parent's hold alone; else the directory
    stays locked until the child ends.
    """

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def release(self) -> None:
        """Give the directory up; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def lock_directory(path: str) -> DirectoryLock:
    """Refuse a second server on one data directory.

    Args:
        path: an existing directory; an empty file `.zoopark.lock` is left in it.

    Errors: StorageError, one line, if another process holds it or the file cannot be made.
    """
    name = f"{path}/{LOCK_NAME}"
    try:
        fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StorageError(f"{name}: cannot lock the data directory: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise StorageError(f"{name}: cannot lock the data directory: {error.strerror}") from error
        raise StorageError(
            f"{path}: in use by another server; stop it, or give this one a dataDir of its own"
        ) from error
    return DirectoryLock(fd)


def _write_all(fd: int, data: bytes, offset: int) -> None:
    done = os.pwrite(fd, data, offset)
    while done < len(data):
        done += os.pwrite(fd, data[done:], offset + done)


def _extend(fd: int, length: int, size: int) -> None:
    """Extend by real blocks where the file system can, so that a full disk shows here and not in a log write."""
    try:
        os.posix_fallocate(fd, length, size - length)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
        os.pwrite(fd, b"\x00", size - 1)


def _sync_directory(directory: str) -> None:
    fd = os.open(directory or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def explain(error: BaseException) -> str:
    """What the system said, in a few words."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
