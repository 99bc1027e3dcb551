"""Any bytes in any pieces: a client may say what it likes and harms nobody but itself."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compat import requests as ask
from tests.compat import wire
from tests.properties.workshop import digest_from_scratch
from tests.server.stand import Peer, Stand, greeting
from zoopark import errors

SANE = [
    ask.create("/a", b"data"),
    ask.create("/a/b", b"", flags=3),
    ask.create("/c", flags=4, opcode=wire.CREATE_CONTAINER),
    ask.create_ttl("/t", 1000),
    ask.create("/s", b"", [ask.Acl(31, "ip", "10.0.0.0/8"), ask.Acl(1, "auth", "")]),
    ask.delete("/a"),
    ask.set_data("/a", b"x"),
    ask.set_acl("/a", ask.READ_ONLY),
    ask.get_data("/a", watch=True),
    ask.exists("/x", watch=True),
    ask.get_children2("/", watch=True),
    ask.get_acl("/s"),
    ask.named(wire.SYNC, "/"),
    ask.named(wire.GET_EPHEMERALS, "/a"),
    ask.named(wire.GET_ALL_CHILDREN_NUMBER, "/"),
    ask.add_watch("/", 1),
    ask.watches(wire.REMOVE_WATCHES, "/", 5),
    ask.multi(ask.create("/m"), ask.check("/a", 3), ask.delete("/m")),
    ask.multi(ask.get_data("/a"), ask.get_children("/"), opcode=wire.MULTI_READ),
    ask.raw(wire.SET_WATCHES2, wire.i64(0) + wire.vector([wire.string("/a")]) * 5),
    ask.auth("digest", b"u:p"),
    ask.sasl(b"token"),
    ask.reconfig(None, "1", None),
    ask.raw(wire.DELETE_CONTAINER, wire.string("/c")),
    ask.create("/zookeeper/quota/a"),
    ask.create("/zookeeper/quota/a/zookeeper_limits", b"count=1,bytes=-1=;countHardLimit=x"),
    ask.create("/zookeeper/quota/a/zookeeper_stats", b"\xff"),
    ask.who_am_i(),
    ask.ping(),
    ask.close_session(),
]


@st.composite
def spoiled_requests(draw: st.DrawFn) -> bytes:
    """A frame that began as a sane request; some of its bytes, its end, its opcode or its length may have changed."""
    request = draw(st.sampled_from(SANE))
    opcode = draw(st.sampled_from([request.opcode] * 5 + [0, -1, -10, 13, 77]))
    body = bytearray(ask.plain(request))
    for _ in range(draw(st.integers(0, 2)) if body else 0):
        body[draw(st.integers(0, len(body) - 1))] = draw(st.sampled_from([0, 1, 0x2F, 0x7F, 0x80, 0xFF]))
    cut = draw(st.sampled_from([0] * 6 + [1, 4, 9]))
    frame = wire.request(draw(st.integers(-9, 9)), opcode, bytes(body[: max(0, len(body) - cut)]))
    return replace_length(frame, draw(st.sampled_from([0] * 12 + [1, -1, 1 << 20])))


def replace_length(frame: bytes, by: int) -> bytes:
    return wire.i32(len(frame) - 4 + by) + frame[4:]


STREAMS = st.lists(spoiled_requests() | st.binary(max_size=30), max_size=12).map(b"".join)
SIZES = st.lists(st.integers(1, 60), max_size=30)


def feed(peer: Peer, data: bytes, sizes: list[int]) -> None:
    """The bytes arrive in pieces; after every third one the disk gets its turn."""
    for number, size in enumerate([*sizes, len(data)]):
        peer.raw(data[:size])
        data = data[size:]
        if number % 3 == 2:
            peer.stand.settle()
    peer.stand.settle()


def check_unharmed(stand: Stand, witness: Peer) -> None:
    """Another session goes on, the tree is in order, and little is held for the one that babbled."""
    assert witness.ask(replace(ask.exists("/"), xid=77)).xid == 77
    assert witness.ask(ask.create("/witness", flags=2)).err in (errors.OK, errors.NO_AUTH)
    assert witness.why is None
    assert stand.member.tree.digest == digest_from_scratch(stand.member.tree)
    assert stand.member.preparer.view.digest == stand.member.tree.digest
    limit = stand.config.jute_max_buffer_bytes
    assert all(peer.connection.partial.size_bytes <= limit + 4 for peer in stand.peers)
    assert [peer.why for peer in stand.peers if peer.connection.state == 3 and peer.why is None] == []


@settings(max_examples=250)
@given(STREAMS, SIZES)
def test_from_a_session(data: bytes, sizes: list[int]) -> None:
    stand = Stand()
    witness, peer = stand.open(), stand.open()
    feed(peer, data, sizes)
    check_unharmed(stand, witness)


@settings(max_examples=150)
@given(st.booleans(), STREAMS | st.binary(max_size=80), SIZES)
def test_from_a_stranger(is_greeting: bool, data: bytes, sizes: list[int]) -> None:
    stand = Stand()
    witness, peer = stand.open(), stand.connect()
    feed(peer, (greeting() if is_greeting else b"") + data, sizes)
    check_unharmed(stand, witness)


@settings(max_examples=100)
@given(STREAMS, SIZES, SIZES)
def test_pieces_do_not_change_what_happens(data: bytes, sizes: list[int], other_sizes: list[int]) -> None:
    """The same bytes cut in two ways: the same frames in the same order, and the same tree.

    With one sync at the end, because a request's answer may depend on when the disk was done.
    """
    found = []
    for cuts in (sizes, other_sizes):
        stand = Stand()
        peer, rest = stand.open(), data
        for size in [*cuts, len(data)]:
            peer.raw(rest[:size])
            rest = rest[size:]
        stand.settle()
        found.append((peer.frames, peer.why, stand.member.tree.digest))
    assert found[0] == found[1]
