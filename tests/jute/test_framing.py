"""Frames that come in pieces, whole and byte by byte."""

import tracemalloc

import pytest

from zoopark.jute.framing import Pieces

FRAME = b"\x00\x00\x00\x03abc"
LIMIT = 100


def _pieces(*parts: bytes) -> Pieces:
    pieces = Pieces()
    for part in parts:
        pieces.add(part)
    return pieces


@pytest.mark.parametrize("cut", range(len(FRAME)))
def test_a_frame_is_whole_only_when_all_of_it_has_come(cut: int) -> None:
    """Parsing a part of a frame would take bytes for what they are not."""
    pieces = _pieces(FRAME[:cut])
    assert not pieces.has_frame(LIMIT)
    pieces.add(FRAME[cut:])
    assert pieces.has_frame(LIMIT)


def test_bytes_that_come_one_by_one_are_joined_in_order() -> None:
    """A slow network cuts anywhere, within the length too."""
    pieces = _pieces(*(FRAME[at : at + 1] for at in range(len(FRAME))))
    assert pieces.has_frame(LIMIT)
    assert pieces.take() == FRAME


def test_taking_leaves_nothing() -> None:
    """What was looked at must not be looked at twice."""
    pieces = _pieces(FRAME, b"tail")
    assert pieces.take() == FRAME + b"tail"
    assert (pieces.size_bytes, pieces.take()) == (0, b"")


@pytest.mark.parametrize("length", [b"\xff\xff\xff\xff", b"\x80\x00\x00\x00", b"\x00\x00\x00\x65"])
def test_a_length_that_no_frame_can_have_needs_no_waiting(length: bytes) -> None:
    """Otherwise a stranger could have any number of bytes kept for a frame that never ends."""
    assert _pieces(length[:2], length[2:]).has_frame(LIMIT)


def test_an_empty_piece_changes_nothing() -> None:
    """Hosts may say that nothing came."""
    pieces = _pieces(b"", FRAME[:5], b"")
    assert pieces.size_bytes == 5
    assert not pieces.has_frame(LIMIT)


def test_tiny_pieces_take_no_more_memory_than_their_bytes() -> None:
    """A piece costs fifty bytes beside its own: a stranger who sends two at a time would fill the memory."""
    n_pieces = 50_000
    tracemalloc.start()
    try:
        pieces = _pieces((2 * n_pieces).to_bytes(4, "big"))
        for number in range(n_pieces - 1):
            pieces.add(number.to_bytes(2, "big"))
        held_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert not pieces.has_frame(2 * n_pieces)
    assert held_bytes < 2 * 2 * n_pieces
    pieces.add(b"\xff\xff")
    assert pieces.has_frame(2 * n_pieces)
    assert pieces.take()[4:] == b"".join(number.to_bytes(2, "big") for number in range(n_pieces - 1)) + b"\xff\xff"
