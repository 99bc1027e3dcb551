"""Frames that come in pieces: an i32 length, then as many bytes.

A chunk from a socket holds any part of any number of frames. What does not make a whole frame yet is kept here as the
pieces it came in, and joined once, when a frame is whole.
"""

from typing import Final, final

from zoopark.jute.buffer import I32

LENGTH_BYTES: Final = 4
MAX_PIECES: Final = 256
"""More pieces are joined to one: a piece of two bytes takes more than fifty."""


@final
class Pieces:
    """The bytes of one stream that were received and not looked at."""

    __slots__ = ("_pieces", "size_bytes")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size_bytes = 0

    def add(self, piece: bytes) -> None:
        """Keep one more piece."""
        if piece:
            self._pieces.append(piece)
            self.size_bytes += len(piece)
            if len(self._pieces) > MAX_PIECES:
                self._pieces = [b"".join(self._pieces)]

    def take(self) -> bytes:
        """Everything kept, which is then forgotten."""
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.clear()
        return data

    def clear(self) -> None:
        self._pieces = []
        self.size_bytes = 0

    def has_frame(self, limit: int) -> bool:
        """Whether they begin with a whole frame, or with a length outside 0 … `limit` that no frame can have."""
        if self.size_bytes < LENGTH_BYTES:
            return False
        while len(self._pieces[0]) < LENGTH_BYTES:
            self._pieces[:2] = [self._pieces[0] + self._pieces[1]]
        size = int(I32.unpack_from(self._pieces[0])[0])
        return not 0 <= size <= limit or self.size_bytes >= LENGTH_BYTES + size
