"""The container of snappy snapshots: any pieces, blocks as snappy-java makes them, and what is no such stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoopark.errors import CorruptSnapshot
from zoopark.log.snappy import BLOCK_BYTES, MAX_BLOCK_BYTES, Deflate, Inflate

HEADER = bytes.fromhex("82534e4150505900 00000001 00000001")
# "abc" as raw snappy: its length, then one literal.
ABC = bytes.fromhex("00000005 03 08 616263")


def packed(data: bytes) -> bytes:
    deflate = Deflate()
    return Deflate.header() + deflate.compress(data) + deflate.flush()


def unpacked(*pieces: bytes) -> tuple[bytes, bool]:
    inflate = Inflate()
    return b"".join([inflate.decompress(piece) for piece in pieces]), inflate.is_whole


def test_the_bytes_of_the_container() -> None:
    assert packed(b"abc") == HEADER + ABC
    assert unpacked(HEADER + ABC + ABC) == (b"abcabc", True)


def test_streams_may_be_put_behind_one_another() -> None:
    """As snappy-java allows."""
    assert unpacked(HEADER + ABC + HEADER + ABC) == (b"abcabc", True)


def test_a_block_is_no_longer_than_those_of_the_original() -> None:
    size = int.from_bytes(packed(bytes(5 * BLOCK_BYTES))[16:20], "big")
    assert unpacked(HEADER + packed(bytes(5 * BLOCK_BYTES))[16 : 20 + size]) == (bytes(BLOCK_BYTES), True)


@given(st.binary(max_size=3 * BLOCK_BYTES), st.lists(st.integers(1, 50_000), max_size=8))
def test_any_bytes_in_any_pieces(data: bytes, sizes: list[int]) -> None:
    whole, pieces, at = packed(data), [], 0
    for size in sizes:
        pieces.append(whole[at : at + size])
        at += size
    assert unpacked(*pieces, whole[at:]) == (data, True)


def test_byte_by_byte() -> None:
    whole = packed(b"abc" * 50)
    assert unpacked(*[whole[at : at + 1] for at in range(len(whole))]) == (b"abc" * 50, True)


@pytest.mark.parametrize("cut", range(len(HEADER + ABC)))
def test_an_early_end_shows(cut: int) -> None:
    assert unpacked((HEADER + ABC)[:cut])[1] == (cut == len(HEADER))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (ABC, "a block of 5 bytes"),
        (HEADER + bytes(4), "a block of 0 bytes"),
        (HEADER + (MAX_BLOCK_BYTES + 1).to_bytes(4, "big"), "a block of 67108865 bytes"),
        (HEADER + b"\x80" + bytes(3), "a block of -2147483648 bytes"),
        (HEADER[:12] + b"\x00\x00\x00\x02", "compatible down to 2"),
        (HEADER + bytes.fromhex("00000005 03 08 6162"), ""),
        (HEADER + bytes.fromhex("00000005 ffffffff0f"), "a damaged block"),
    ],
)
def test_what_is_no_stream_is_corrupt(data: bytes, words: str) -> None:
    if not words:
        assert unpacked(data) == (b"", False)
        return
    with pytest.raises(CorruptSnapshot, match=words):
        unpacked(data)
