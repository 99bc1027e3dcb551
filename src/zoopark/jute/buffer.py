"""Primitive values of the jute encoding: big-endian ints, and buffers, strings and vectors behind an i32 count.

A null buffer, string or vector has the count -1. This module never looks at what the values mean.
"""

from collections.abc import Callable
from struct import Struct
from typing import Final, TypeVar, final

from zoopark.errors import Malformed

I32: Final = Struct(">i")
I64: Final = Struct(">q")
NULL: Final = b"\xff\xff\xff\xff"
MAX_FIELD_BYTES: Final = 0x7FFFFFFF

T = TypeVar("T")


def pack_buffer(value: bytes | None) -> bytes:
    """A buffer or string: i32 length and the bytes; None is the null buffer."""
    if value is None:
        return NULL
    return I32.pack(len(value)) + value


def pack_vector(items: list[bytes] | None) -> bytes:
    """A vector of items that are encoded already: i32 count and the items; None is the null vector."""
    if items is None:
        return NULL
    return I32.pack(len(items)) + b"".join(items)


@final
class Reader:
    """Reads values one after the other from `data`, starting at `position`, never past its end.

    Every method raises Malformed when the bytes are not such a value, or are longer than `max_field_bytes`.
    """

    __slots__ = ("data", "max_field_bytes", "position")

    def __init__(self, data: bytes, position: int = 0, max_field_bytes: int = MAX_FIELD_BYTES) -> None:
        self.data = data
        self.position = position
        self.max_field_bytes = max_field_bytes

    def i32(self) -> int:
        at = self._advance(4)
        return int(I32.unpack_from(self.data, at)[0])

    def i64(self) -> int:
        at = self._advance(8)
        return int(I64.unpack_from(self.data, at)[0])

    def bool(self) -> bool:
        """One byte; any but 0 is true, as for Java's DataInput.readBoolean."""
        at = self._advance(1)
        return self.data[at] != 0

    def buffer(self) -> bytes | None:
        """i32 length and the bytes; None for -1."""
        size = self.i32()
        if size == -1:
            return None
        if size < 0 or size > self.max_field_bytes:
            raise Malformed(f"unreasonable length {size} of a field")
        at = self._advance(size)
        return self.data[at : at + size]

    def string(self) -> bytes | None:
        """A string, kept as its UTF-8 bytes."""
        return self.buffer()

    def vector(self, item: Callable[[], T]) -> list[T] | None:
        """i32 count and the items, each read by `item`; None for -1, nothing for any other count below 0."""
        count = self.i32()
        return None if count == -1 else [item() for _ in range(count)]

    def rest(self) -> int:
        """How many bytes are left."""
        return len(self.data) - self.position

    def _advance(self, size: int) -> int:
        at = self.position
        if at + size > len(self.data):
            raise Malformed(f"{size} bytes wanted where {len(self.data) - at} are left")
        self.position = at + size
        return at
