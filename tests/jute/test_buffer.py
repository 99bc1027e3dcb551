"""Primitive values: their bytes, and what is no value."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoopark.errors import Malformed
from zoopark.jute.buffer import I32, I64, NULL, Reader, pack_buffer, pack_vector

BUFFERS = st.none() | st.binary(max_size=40)


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (I32.pack(-2), "ff ff ff fe"),
        (I64.pack(1 << 40), "00 00 01 00 00 00 00 00"),
        (pack_buffer(None), "ff ff ff ff"),
        (pack_buffer(b""), "00 00 00 00"),
        (pack_buffer(b"/a"), "00 00 00 02 2f 61"),
        (pack_vector(None), "ff ff ff ff"),
        (pack_vector([]), "00 00 00 00"),
        (pack_vector([b"\x07", b"\x08\x09"]), "00 00 00 02 07 08 09"),
    ],
)
def test_bytes(encoded: bytes, expected: str) -> None:
    assert encoded == bytes.fromhex(expected)


@given(st.lists(BUFFERS, max_size=6), st.binary(max_size=5))
def test_what_was_packed_comes_back(values: list[bytes | None], tail: bytes) -> None:
    """And the reader stops where the value ends."""
    reader = Reader(pack_vector([pack_buffer(value) for value in values]) + tail)
    assert reader.vector(reader.buffer) == values
    assert reader.rest() == len(tail)


@given(st.integers(-(1 << 31), (1 << 31) - 1), st.integers(-(1 << 63), (1 << 63) - 1), st.integers(0, 255))
def test_numbers_come_back(small: int, large: int, byte: int) -> None:
    reader = Reader(I32.pack(small) + I64.pack(large) + bytes([byte]))
    assert (reader.i32(), reader.i64(), reader.bool()) == (small, large, byte != 0)


READS: list[Callable[[Reader], object]] = [
    Reader.i32,
    Reader.i64,
    Reader.bool,
    Reader.buffer,
    lambda reader: reader.vector(reader.i32),
]


@pytest.mark.parametrize("read", READS)
@given(st.binary(max_size=12))
def test_any_bytes_are_a_value_or_malformed(read: Callable[[Reader], object], data: bytes) -> None:
    """Nothing else may be raised, and nothing behind the end may be read."""
    reader = Reader(data)
    try:
        read(reader)
    except Malformed:
        return
    assert 0 < reader.position <= len(data)


@pytest.mark.parametrize("size", [-2, -(1 << 31), 3])
def test_a_length_that_lies(size: int) -> None:
    with pytest.raises(Malformed):
        Reader(I32.pack(size) + b"ab").buffer()


@pytest.mark.parametrize("count", [3, (1 << 31) - 1])
def test_a_count_that_lies(count: int) -> None:
    """It must end where the bytes end, not gather billions of nothing."""
    with pytest.raises(Malformed):
        reader = Reader(I32.pack(count) + b"ab")
        reader.vector(reader.i32)


@pytest.mark.parametrize("count", [-2, -(1 << 31)])
def test_a_negative_count_holds_nothing(count: int) -> None:
    """As in Java, whose loop then does not run; only -1 is null."""
    reader = Reader(I32.pack(count))
    assert reader.vector(reader.i32) == []


def test_a_field_may_be_as_long_as_allowed() -> None:
    assert Reader(pack_buffer(b"abc"), max_field_bytes=3).buffer() == b"abc"
    with pytest.raises(Malformed, match="unreasonable length 4"):
        Reader(pack_buffer(b"abcd"), max_field_bytes=3).buffer()


def test_null_is_not_empty() -> None:
    """A znode without data and one with empty data differ in every file and reply."""
    assert (Reader(NULL).buffer(), Reader(bytes(4)).buffer()) == (None, b"")


def test_a_reader_may_start_anywhere() -> None:
    assert Reader(b"xx" + I32.pack(5), 2).i32() == 5
