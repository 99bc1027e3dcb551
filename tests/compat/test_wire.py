"""The second codec and the masks, on bytes captured from Apache ZooKeeper 3.9.3."""

import socket
from collections.abc import Iterator

import pytest

from tests.compat import masks as masking
from tests.compat import wire
from tests.compat.masks import Masks
from tests.compat.oracle import LOOPBACK
from tests.compat.wire import Link, Reader, ShortError, SilenceError

STAT = bytes.fromhex(
    "00000000000001ba00000000000001bb000001a2001a3e0f000001a2001a3e10000000010000000000000000"
    "00000000000000000000000100000000" + "00000000000001ba"
)
"""A Stat of 3.9.3: created by zxid 0x1ba, changed by the next one a millisecond later."""


@pytest.fixture
def ends() -> Iterator[tuple[Link, socket.socket]]:
    """A link and the socket at its other end."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        link = Link(listener.getsockname())
        other, _ = listener.accept()
        yield link, other
        link.close()
        other.close()


@pytest.mark.parametrize("value", [None, b"", b"x", bytes(300)])
def test_a_buffer_is_read_as_it_was_written(value: bytes | None) -> None:
    reader = Reader(wire.buf(value) + b"rest")
    assert (value, b"rest") == (reader.buf(), reader.rest())


@pytest.mark.parametrize("data", [b"", b"\x00\x00\x00", b"\x00\x00\x00\x02x", b"\xff\xff\xff\xfe"])
def test_a_buffer_that_is_not_there_is_refused(data: bytes) -> None:
    with pytest.raises(ShortError):
        Reader(data).buf()


def test_a_session_password_is_that_of_a_real_server() -> None:
    """Captured from a ConnectResponse of 3.9.3."""
    assert bytes.fromhex("9a89d4ac1f24acbc080754d400771ae7") == wire.session_password(0x100002950580000)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_frames_come_out_whole_however_they_arrive(ends: tuple[Link, socket.socket], size: int) -> None:
    link, other = ends
    stream = wire.frame(b"one") + wire.frame(b"") + wire.frame(b"three")
    for start in range(0, len(stream), size):
        other.sendall(stream[start : start + size])
    assert [link.receive(), link.receive(), link.receive()] == [b"one", b"", b"three"]


def test_a_closed_connection_ends_with_none(ends: tuple[Link, socket.socket]) -> None:
    link, other = ends
    other.sendall(wire.frame(b"last") + b"\x00\x00")
    other.close()
    assert [link.receive(), link.receive()] == [b"last", None]
    assert not link.is_open


def test_silence_is_told_from_an_end(ends: tuple[Link, socket.socket]) -> None:
    with pytest.raises(SilenceError):
        ends[0].receive(0.01)


def test_zxids_are_told_by_the_step_that_took_them() -> None:
    masks = Masks(100)
    masks.end_step(102)
    masks.end_step(102)
    masks.end_step(103)
    shown = [masks.zxid(zxid) for zxid in (0, -1, 7, 100, 101, 102, 103, 105)]
    assert shown == ["0", "-1", "old", "old", "<1.1>", "<1.2>", "<3.1>", "<+2>"]


def test_a_stat_hides_moments_but_not_their_relations() -> None:
    masks = Masks(0x1B9)
    masks.wall_ms = (0x1A2001A3E00, 0x1A2001A3E20)
    masks.end_step(0x1BB)
    first = masking.stat(Reader(STAT), masks)
    moved = STAT[:23] + b"\x11" + STAT[24:]
    assert first == "(c=<1.1>@t m=<1.2>@t p=<1.1> v=1 cv=0 av=0 owner=0 len=1 n=0)"
    assert "c=<1.1>@another time than that of <1.1>" in masking.stat(Reader(moved), masks)


def test_a_moment_outside_of_its_step_is_shown() -> None:
    masks = Masks(0x1B9)
    masks.wall_ms = (0x1A2001A3F00, 0x1A2001A3F10)
    masks.end_step(0x1BB)
    assert "c=<1.1>@-241 ms off" in masking.stat(Reader(STAT), masks)


def test_bytes_behind_a_reply_are_shown() -> None:
    masks = Masks(0)
    header = wire.i32(5) + wire.i64(0) + wire.i32(0)
    assert (
        masking.reply(header + wire.buf(b"/a") + b"\x07", wire.SYNC, masks) == "reply xid=5 zxid=0 err=0 b'/a' tail=07"
    )
    assert masking.reply(header + b"\x00\x07", wire.SYNC, masks) == "reply xid=5 zxid=0 err=0 unreadable tail=0007"


def test_children_are_compared_as_a_set() -> None:
    masks = Masks(0)
    header = wire.i32(5) + wire.i64(0) + wire.i32(0)
    orders = [wire.vector([wire.buf(name) for name in names]) for names in ((b"a", b"b"), (b"b", b"a"))]
    shown = {masking.reply(header + order, wire.GET_CHILDREN, masks) for order in orders}
    assert len(shown) == 1
