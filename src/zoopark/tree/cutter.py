"""Finds where the stream of a tree ends that comes over a link, without building the tree.

The stream of `zoopark.tree.snapshot.write_stream` has no length in front, and packets follow it. So its records are
walked by their lengths alone, as far as they have come. Any bytes that look like the end may be data of a znode, so
searching for the signature would not do.

Must never look at bytes twice but for a record that is not whole, nor trust a length.
"""

from collections.abc import Generator
from struct import Struct
from typing import Final, final

from zoopark.errors import CorruptSnapshot
from zoopark.jute.buffer import I32
from zoopark.tree.snapshot import STREAM_END

MAX_FIELD_BYTES: Final = 1 << 28
MAX_COUNT: Final = 1 << 27
_SESSION_BYTES: Final = 12
_NODE_TAIL_BYTES: Final = 68
_SLASH: Final = b"/"
_ACL_HEAD: Final = Struct(">qi")


@final
class StreamCutter:
    """Takes the bytes of one stream until it is whole.

    Attributes:
        pieces: the stream so far.
        is_whole: whether its last byte has come.
    """

    __slots__ = ("_at", "_data", "_walk", "is_whole", "pieces")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.is_whole = False
        self._data = b""
        self._at = 0
        self._walk = self._walk_all()
        next(self._walk)

    def feed(self, piece: bytes) -> bytes:
        """Take the next bytes; returns those that are behind the stream's end.

        Errors: CorruptSnapshot if the bytes can be no such stream.
        """
        assert not self.is_whole, "fed behind its end"
        if not piece:
            return b""
        self.pieces.append(piece)
        self._data = self._data[self._at :] + piece
        self._at = 0
        if next(self._walk, True) is None:
            return b""
        self.is_whole = True
        rest = self._data[self._at :]
        if rest:
            self.pieces[-1] = piece[: -len(rest)]
        self._data = b""
        return rest

    def _walk_all(self) -> Generator[None, None, None]:
        """Yields whenever it has come to the end of what is there."""
        yield
        n_sessions = yield from self._count()
        yield from self._skip(n_sessions * _SESSION_BYTES)
        for _ in range((yield from self._count())):
            yield from self._need(_ACL_HEAD.size)
            n_entries = self._checked(int(_ACL_HEAD.unpack_from(self._data, self._at)[1]), MAX_COUNT)
            self._at += _ACL_HEAD.size
            for _ in range(max(n_entries, 0)):
                yield from self._skip(4)
                yield from self._skip(max((yield from self._length()), 0))
                yield from self._skip(max((yield from self._length()), 0))
        while not self._is_behind_nodes():
            yield
        yield from self._need(len(STREAM_END))
        if self._data[self._at : self._at + len(STREAM_END)] != STREAM_END:
            raise CorruptSnapshot("no signature behind the last node")
        self._at += len(STREAM_END)

    def _is_behind_nodes(self) -> bool:
        """Pass over the nodes that are whole; True behind the "/" that ends them."""
        unpack, data, at = I32.unpack_from, self._data, self._at
        end = len(data)
        while at + 5 <= end:
            path_bytes = unpack(data, at)[0]
            if path_bytes == 1 and data[at + 4 : at + 5] == _SLASH:
                self._at = at + 5
                return True
            if path_bytes < 0:
                raise CorruptSnapshot("a znode without a path in the stream of a snapshot")
            size_at = at + 4 + self._checked(path_bytes, MAX_FIELD_BYTES)
            if size_at + 4 > end:
                break
            data_bytes = self._checked(unpack(data, size_at)[0], MAX_FIELD_BYTES)
            behind = size_at + 4 + max(data_bytes, 0) + _NODE_TAIL_BYTES
            if behind > end:
                break
            at = behind
        self._at = at
        return False

    def _count(self) -> Generator[None, None, int]:
        yield from self._need(4)
        self._at += 4
        return self._checked(int(I32.unpack_from(self._data, self._at - 4)[0]), MAX_COUNT)

    def _length(self) -> Generator[None, None, int]:
        yield from self._need(4)
        self._at += 4
        return self._checked(int(I32.unpack_from(self._data, self._at - 4)[0]), MAX_FIELD_BYTES)

    def _need(self, size: int) -> Generator[None, None, None]:
        while len(self._data) - self._at < size:
            yield

    def _skip(self, size: int) -> Generator[None, None, None]:
        """Pass over bytes, dropping them as they come."""
        while len(self._data) - self._at < size:
            size -= len(self._data) - self._at
            self._at = len(self._data)
            yield
        self._at += size

    def _checked(self, size: int, limit: int) -> int:
        if not -1 <= size <= limit:
            raise CorruptSnapshot(f"a length of {size} in the stream of a snapshot")
        return size
