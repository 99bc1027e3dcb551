"""Has the kernel write a file durably while the loop goes on: io_uring, without a thread of ours.

A thread would have to be given the interpreter back once its disk is done, which costs more than a fast disk takes, and
Linux AIO syncs in a worker bound to the processor that this process keeps busy. Here a write is one system call that
returns at once, and its completion makes the ring's file readable.

    rings (shared with the kernel)
    submissions   the head is the kernel's, the tail ours    tail += 1, then io_uring_enter
    completions   the tail is the kernel's, the head ours    the file is readable, then head += 1

    io_uring_params (u32 each)   20 features; from 40 on offsets of the submissions' head, tail, mask, size, flags,
                                 dropped and array; from 80 on of the completions' head, tail, mask, size, overflow
                                 and entries
    submission (64 bytes)        u8 opcode, u8 flags, u16, i32 file, u64 offset, u64 address, u32 length, i32 rw_flags,
                                 u64 our mark, 24 reserved
    completion (16 bytes)        u64 our mark, i32 bytes written or -errno, u32 flags

One request at a time is all that the log may have under way. Since Linux 5.6; the C library has no functions for these
calls, so they are made by number, which is the same on every machine. Source: io_uring(7), linux/io_uring.h.
"""

import ctypes
import mmap
import os
import struct
import sys
from contextlib import suppress
from errno import EIO, ENOSYS
from typing import Final, final

_SETUP: Final = 425
_ENTER: Final = 426
_SUBMISSIONS_AT: Final = 0x10000000
_PARAMETERS_BYTES: Final = 120
_ONE_MAPPING: Final = 1
_OP_WRITE: Final = 23
# A worker takes it at once: a durable write always waits, so the kernel need not try without waiting first.
_ASYNC: Final = 1 << 4
_GETEVENTS: Final = 1
_DSYNC: Final = 2
"""RWF_DSYNC."""
# Places in the tables of offsets.
_HEAD: Final = 0
_TAIL: Final = 1
_MASK: Final = 2
_CQES: Final = 5
_ARRAY: Final = 6
_U32: Final = struct.Struct("=I")
_SUBMISSION: Final = struct.Struct("=BBHiQQIiQ24x")
_COMPLETION: Final = struct.Struct("=QiI")


@final
class Ring:
    """Durable writes, one at a time.

    Errors: OSError where the kernel is too old or does not let this process (many containers); nothing is open then.

    Attributes:
        fd: readable once the write that was started is over.
    """

    __slots__ = ("_cq", "_data", "_file", "_offset", "_path", "_rings", "_sq", "_submissions", "_syscall", "fd")

    def __init__(self) -> None:
        if not sys.platform.startswith("linux"):
            raise OSError(ENOSYS, os.strerror(ENOSYS))
        self._syscall = ctypes.CDLL(None, use_errno=True).syscall
        self._syscall.restype = ctypes.c_long
        parameters = ctypes.create_string_buffer(_PARAMETERS_BYTES)
        self.fd = self._call(_SETUP, 1, parameters)
        try:
            if not _U32.unpack_from(parameters, 20)[0] & _ONE_MAPPING:
                raise OSError(ENOSYS, os.strerror(ENOSYS))
            self._sq = struct.unpack_from("=7I", parameters, 40)
            self._cq = struct.unpack_from("=7I", parameters, 80)
            self._rings = mmap.mmap(self.fd, max(self._sq[_ARRAY] + 4, self._cq[_CQES] + 2 * _COMPLETION.size))
            _U32.pack_into(self._rings, self._sq[_ARRAY], 0)  # the only submission is always the first
            self._submissions = mmap.mmap(self.fd, _SUBMISSION.size, offset=_SUBMISSIONS_AT)
        except BaseException:
            os.close(self.fd)
            raise
        self._path = ""
        self._file = -1
        self._data = b""
        self._offset = 0

    def start(self, path: str, offset: int, data: bytes) -> None:
        """Begin to write all of `data` to an existing file, as `Disk.write` does with is_synced.

        Errors: OSError; nothing has begun.
        """
        assert data and not self._data, "one write at a time"
        if path != self._path:
            self.forget()
            self._file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            self._path = path
        self._data, self._offset = data, offset
        self._submit()

    def finish(self) -> bool:
        """Take note of what became of the write; waits for it if need be.

        False if the system took only a part of the bytes, as it may at any time: the rest is now under way.
        Errors: OSError with what the disk said.
        """
        assert self._data, "nothing was started"
        rings, at = self._rings, self._cq
        head = _U32.unpack_from(rings, at[_HEAD])[0]
        while _U32.unpack_from(rings, at[_TAIL])[0] == head:
            self._call(_ENTER, self.fd, 0, 1, _GETEVENTS, None, 0)
        entry = at[_CQES] + (head & _U32.unpack_from(rings, at[_MASK])[0]) * _COMPLETION.size
        result = _COMPLETION.unpack_from(rings, entry)[1]
        _U32.pack_into(rings, at[_HEAD], head + 1 & 0xFFFFFFFF)
        if result <= 0:
            self._data = b""
            code = -result or EIO
            raise OSError(code, os.strerror(code), self._path)
        self._data = self._data[result:]
        if not self._data:
            return True
        self._offset += result
        self._submit()
        return False

    def close(self) -> None:
        """Wait for a write under way, and give everything back."""
        with suppress(OSError):
            while self._data and not self.finish():
                pass
        self.forget()
        self._submissions.close()
        self._rings.close()
        os.close(self.fd)

    def _submit(self) -> None:
        """The bytes stay where they are until the completion: `_data` holds them."""
        address = ctypes.cast(ctypes.c_char_p(self._data), ctypes.c_void_p).value or 0
        _SUBMISSION.pack_into(
            self._submissions, 0, _OP_WRITE, _ASYNC, 0, self._file, self._offset, address, len(self._data), _DSYNC, 0
        )
        rings, at = self._rings, self._sq
        tail = _U32.unpack_from(rings, at[_TAIL])[0]
        _U32.pack_into(rings, at[_TAIL], tail + 1 & 0xFFFFFFFF)
        try:
            self._call(_ENTER, self.fd, 1, 0, 0, None, 0)
        except OSError:
            self._data = b""
            raise

    def forget(self) -> None:
        """Close the file that was written last: its name may become another file's."""
        assert not self._data, "a write is under way"
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _call(self, *arguments: object) -> int:
        result = int(self._syscall(*arguments))
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return result
