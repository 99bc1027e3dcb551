"""The end of a tree's stream is found wherever the bytes are cut, and whatever the znodes hold."""

import pytest

from tests.compat import requests as ask
from tests.properties.workshop import KINDS, Workshop
from tests.tree.test_snapshot import furnished
from zoopark.errors import CorruptSnapshot
from zoopark.jute.buffer import I32
from zoopark.tree.cutter import MAX_COUNT, StreamCutter
from zoopark.tree.snapshot import STREAM_END, read_stream, write_stream
from zoopark.tree.tree import Tree

EMPTY: bytes = I32.pack(0) + I32.pack(0)
END: bytes = I32.pack(1) + b"/"


def _stream(tree: Tree) -> bytes:
    return b"".join(write_stream(tree))


def _deceitful() -> Tree:
    """A tree whose data looks like the end of a stream, several times over."""
    shop = Workshop()
    shop.open(0x1234, 0x5678)
    shop.do(ask.create("/a", (END + STREAM_END) * 3), 0x1234)
    shop.do(ask.create("/b", STREAM_END), 0x1234)
    return shop.tree


@pytest.mark.parametrize("make", [furnished, _deceitful, lambda: Tree(KINDS)])
@pytest.mark.parametrize("piece_bytes", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize("tail", [b"", b"x", STREAM_END])
def test_the_stream_is_cut_where_it_ends(make: object, piece_bytes: int, tail: bytes) -> None:
    """Whole, byte by byte, and with a tail: what is behind belongs to packets."""
    assert callable(make)
    data = _stream(make())
    cutter, behind, fed = StreamCutter(), b"", 0
    while not cutter.is_whole:
        assert fed < len(data), "the end was passed over"
        piece = (data + tail)[fed : fed + piece_bytes]
        behind = cutter.feed(piece)
        fed += len(piece)
    assert b"".join(cutter.pieces) == data
    assert behind == (data + tail)[len(data) : fed]
    tree = Tree(KINDS)
    read_stream(tree, cutter.pieces)
    assert list(tree.nodes) == list(make().nodes)


@pytest.mark.parametrize(
    "data",
    [
        I32.pack(-2),
        I32.pack(MAX_COUNT + 1),
        I32.pack(0) + I32.pack(-5),
        EMPTY + I32.pack(-1) + b"/",
        EMPTY + I32.pack(0x7FFFFFFF) + b"/",
        EMPTY + I32.pack(0) + I32.pack(0x7FFFFFFF) + b"x",
        EMPTY + END + bytes(len(STREAM_END)),
        I32.pack(0) + I32.pack(1) + bytes(8) + I32.pack(1) + bytes(4) + I32.pack(0x7FFFFFFF),
    ],
)
def test_what_can_be_no_stream_is_refused_at_once(data: bytes) -> None:
    """A length is not believed: nobody waits for two gigabytes that a stranger announces."""
    with pytest.raises(CorruptSnapshot):
        StreamCutter().feed(data)


def test_nothing_is_nothing() -> None:
    """An empty piece changes nothing."""
    cutter = StreamCutter()
    assert cutter.feed(b"") == b"" and cutter.pieces == [] and not cutter.is_whole
