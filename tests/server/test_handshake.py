"""The first bytes of a connection, and who may take a session over."""

import struct

import pytest

from zoopark.jute.proto import password_of
from zoopark.server.handshake import WORDS, read_opening

LIMIT = 1000
REQUEST = struct.pack(">iqiqi", 0, 7, 4000, 0x1234, 16) + password_of(0x1234)
FRAME = struct.pack(">i", len(REQUEST)) + REQUEST


@pytest.mark.parametrize("word", sorted(WORDS))
def test_a_four_letter_word_is_told_from_a_length(word: bytes) -> None:
    """Both start a connection on the same port."""
    assert read_opening(word + b"\n", LIMIT).is_word


@pytest.mark.parametrize("cut", range(len(FRAME)))
def test_a_connect_request_is_waited_for(cut: int) -> None:
    """Whatever pieces it comes in."""
    opening = read_opening(FRAME[:cut], LIMIT)
    assert (opening.is_word, opening.request, opening.end, opening.problem) == (False, None, 0, "")


@pytest.mark.parametrize(("tail", "has_read_only", "is_read_only"), [(b"", 0, 0), (b"\x00", 1, 0), (b"\x01", 1, 1)])
def test_the_read_only_byte_may_be_missing(tail: bytes, has_read_only: int, is_read_only: int) -> None:
    """Clients of before 3.4 do not send it, and must not be sent it (ZOOKEEPER-4814)."""
    opening = read_opening(struct.pack(">i", len(REQUEST + tail)) + REQUEST + tail + b"more", LIMIT)
    request = opening.request
    assert request is not None
    assert (request.last_zxid_seen, request.timeout_ms, request.session_id) == (7, 4000, 0x1234)
    assert (request.has_read_only, request.is_read_only) == (bool(has_read_only), bool(is_read_only))
    assert opening.end == len(FRAME) + len(tail)


@pytest.mark.parametrize("size", [-1, -(2**31), LIMIT + 1, 2**31 - 1])
def test_a_length_out_of_bounds_is_a_problem_at_once(size: int) -> None:
    """Nothing must be kept for a frame that is refused anyway."""
    assert f"{size} bytes" in read_opening(struct.pack(">i", size), LIMIT).problem


@pytest.mark.parametrize("size", [0, 1, 20, 43])
def test_a_short_request_is_malformed(size: int) -> None:
    """A record that ends early must not be guessed at."""
    opening = read_opening(struct.pack(">i", size) + REQUEST[:size], LIMIT)
    assert opening.request is None
    assert "malformed" in opening.problem
