"""One client's connection: the handshake, frames in any pieces, and the order of what is said."""

import pytest

from tests.compat import requests as ask
from tests.compat import wire
from tests.server.stand import TIMEOUT_MS, Stand, greeting, wire_session
from zoopark import errors


def test_a_new_session() -> None:
    """Nothing is said before the session is on disk; then its id, its password and the timeout that was granted."""
    stand = Stand()
    peer = stand.connect()
    peer.raw(greeting())
    stand.turn()
    assert peer.frames == []
    stand.sync()
    stand.turn()
    reader = wire.Reader(peer.frames.pop())
    assert (reader.i32(), reader.i32()) == (0, TIMEOUT_MS)
    session_id = reader.i64()
    assert (reader.buf(), reader.rest()) == (wire.session_password(session_id), b"\0")


@pytest.mark.parametrize(("asked_ms", "granted_ms"), [(0, 6000), (-1, 6000), (7000, 7000), (1 << 30, 60_000)])
def test_the_timeout_is_kept_within_bounds(asked_ms: int, granted_ms: int) -> None:
    """Two and twenty times tickTime."""
    stand = Stand({"tickTime": "3000"})
    peer = stand.connect()
    peer.raw(greeting(timeout_ms=asked_ms))
    stand.settle()
    assert peer.frames[0][4:8] == wire.i32(granted_ms)


def test_an_old_client_gets_an_old_answer() -> None:
    """Without readOnly in the request there is none in the response."""
    stand = Stand()
    peer = stand.connect()
    peer.raw(wire.frame(wire.connect_request(0, 9000, 0, bytes(16))))
    stand.settle()
    assert len(peer.frames[0]) == 36


def test_requests_that_come_with_the_greeting_are_held() -> None:
    stand = Stand()
    peer = stand.connect()
    peer.raw(greeting() + peer.encode(ask.create("/a")) + peer.encode(ask.get_data("/a"))[:-3])
    stand.settle()
    peer.raw(wire.request(2, wire.GET_DATA, ask.plain(ask.get_data("/a")))[-3:])
    stand.settle()
    assert [reply.err for reply in peer.replies()[1:]] == [errors.OK, errors.OK]


def test_a_client_that_has_seen_more_is_turned_away() -> None:
    """It must find a server that is not behind what it knows."""
    stand = Stand()
    peer = stand.connect()
    peer.raw(greeting(last_zxid=1))
    stand.settle()
    assert (peer.frames, peer.why is None) == ([], False)


@pytest.mark.parametrize("spoil", ["password", "id", "closed"])
def test_a_session_that_cannot_be_taken_over(spoil: str) -> None:
    """All zeros, then the connection closes."""
    stand = Stand()
    old = stand.open()
    session_id, password = old.session_id, wire.session_password(old.session_id)
    if spoil == "closed":
        old.ask(ask.close_session())
    if spoil == "password":
        password = bytes(16)
    if spoil == "id":
        session_id += 1
    peer = stand.connect()
    peer.raw(greeting(session_id, password))
    stand.settle()
    assert wire_session(peer.frames.pop()) == 0
    assert peer.why is not None


def test_a_session_moves() -> None:
    """The old connection is closed at once, and what it says afterwards is not heard."""
    stand = Stand()
    old = stand.open()
    old.ask(ask.create("/e", flags=1))
    new = stand.connect()
    new.raw(greeting(old.session_id, wire.session_password(old.session_id)))
    old.send(ask.create("/late"))
    stand.settle()
    assert wire_session(new.frames.pop()) == old.session_id
    assert (old.replies(), old.why is None) == ([], False)
    assert {path for path in stand.member.tree.nodes if path in (b"/e", b"/late")} == {b"/e"}
    assert new.ask(ask.delete("/e")).err == errors.OK


REQUESTS = [
    ask.create("/a", b"1"),
    ask.get_data("/a"),
    ask.ping(),
    ask.set_data("/a", b"2"),
    ask.set_data("/a", b"3"),
    ask.get_data("/a", watch=True),
    ask.multi(ask.set_data("/a", b"4"), ask.check("/a", 3)),
    ask.get_data("/a"),
    ask.get_children("/none"),
    ask.delete("/a"),
    ask.exists("/a"),
]


def said(pieces: list[int], is_synced_between: bool = False) -> list[tuple[int, int]]:
    """(xid, err) of everything that comes back when REQUESTS arrive in pieces of these sizes, the rest in one."""
    stand = Stand()
    peer = stand.open()
    data = b"".join(map(peer.encode, REQUESTS))
    for size in pieces:
        peer.raw(data[:size])
        data = data[size:]
        if is_synced_between:
            stand.settle()
    peer.raw(data)
    stand.settle()
    return [(reply.xid, reply.err) for reply in peer.replies()]


EXPECTED = said([])


def test_replies_come_in_the_order_of_requests() -> None:
    """Reads wait for the writes before them; the events come before the replies that show the change."""
    none = errors.NO_NODE
    before_the_event = [(1, 0), (2, 0), (wire.PING_XID, 0), (3, 0), (4, 0), (5, 0)]
    behind_it = [(6, 0), (7, 0), (8, none), (9, 0), (10, none)]
    assert [*before_the_event, (wire.EVENT_XID, 0), *behind_it] == EXPECTED


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 12, 13, 29, 64])
@pytest.mark.parametrize("is_synced_between", [False, True])
def test_pieces_make_no_difference(size: int, is_synced_between: bool) -> None:
    assert said([size] * 600, is_synced_between) == EXPECTED


def test_one_piece_cut_anywhere() -> None:
    length = sum(len(wire.request(1, request.opcode, ask.plain(request))) for request in REQUESTS)
    assert [cut for cut in range(length) if said([cut]) != EXPECTED] == []


@pytest.mark.parametrize("size", [-1, 0, 7, 1_048_576, (1 << 31) - 1, -(1 << 31)])
def test_a_frame_of_a_size_that_cannot_be(size: int) -> None:
    """Too short for a header or longer than jute.maxbuffer: closed, and what came before is answered."""
    stand = Stand()
    peer = stand.open()
    peer.raw(peer.encode(ask.ping()) + wire.i32(size))
    stand.settle()
    assert [reply.xid for reply in peer.replies()] == [wire.PING_XID]
    assert peer.why is not None


@pytest.mark.parametrize("size", [-1, 1_048_576])
def test_a_greeting_of_a_size_that_cannot_be(size: int) -> None:
    stand = Stand()
    peer = stand.connect()
    peer.raw(wire.i32(size) + bytes(44))
    stand.settle()
    assert peer.why is not None


def test_a_greeting_that_is_none() -> None:
    stand = Stand()
    peer = stand.connect()
    peer.raw(wire.frame(bytes(5)))
    stand.settle()
    assert peer.why is not None


def test_the_longest_frame() -> None:
    stand = Stand()
    peer = stand.open()
    overhead = len(wire.request(1, wire.SET_DATA, ask.plain(ask.set_data("/", b"")))) - 4
    longest = stand.config.jute_max_buffer_bytes
    assert peer.ask(ask.set_data("/", bytes(longest - overhead))).err == errors.OK
    peer.send(ask.set_data("/", bytes(longest - overhead + 1)))
    stand.settle()
    assert peer.why is not None


def test_an_unknown_request_ends_the_connection() -> None:
    """Err -6 under zxid -1, then the end; the session lives on."""
    stand = Stand()
    peer = stand.open()
    reply = peer.ask(ask.raw(77, b""))
    assert (reply.err, reply.zxid, peer.why is None) == (errors.UNIMPLEMENTED, -1, False)
    assert stand.member.sessions.is_open(peer.session_id)


@pytest.mark.parametrize("op", [wire.CREATE_SESSION, wire.CHECK, -1, 0])
def test_requests_that_are_not_for_clients(op: int) -> None:
    """A check outside a multi once left logs that could not be read back (ZOOKEEPER-2623)."""
    stand = Stand()
    peer = stand.open()
    zxid = stand.member.tree.last_zxid
    assert peer.ask(ask.raw(op, bytes(8))).err == errors.UNIMPLEMENTED
    assert stand.member.tree.last_zxid == zxid


AUTH = [
    (ask.auth("digest", b"me:pw"), errors.OK),
    (ask.auth("ip", b""), errors.OK),
    (ask.auth("nonsense", b"x"), errors.AUTH_FAILED),
    (ask.auth("world", b"anyone"), errors.AUTH_FAILED),
    (ask.auth(None, b"x"), errors.AUTH_FAILED),
]


@pytest.mark.parametrize(("request_", "err"), AUTH, ids=lambda value: getattr(value, "text", None))
def test_authentication(request_: ask.Request, err: int) -> None:
    """Answered under zxid 0; a failure ends the connection."""
    peer = Stand().open()
    reply = peer.ask(request_)
    assert (reply.xid, reply.zxid, reply.err) == (wire.AUTH_XID, 0, err)
    assert (peer.why is None) == (err == errors.OK)


def test_the_super_user_is_known_by_the_digest() -> None:
    stand = Stand()
    owner, root = stand.open(), stand.open()
    owner.ask(ask.create("/mine", b"", [ask.Acl(31, "ip", "10.0.0.1")]))
    assert root.ask(ask.get_data("/mine")).err == errors.NO_AUTH
    root.ask(ask.auth("digest", b"super:secret"))
    assert root.ask(ask.get_data("/mine")).err == errors.OK


def test_closing_is_answered_before_the_end() -> None:
    stand = Stand()
    peer = stand.open()
    peer.ask(ask.create("/e", flags=1))
    assert peer.ask(ask.close_session()).err == errors.OK
    assert (peer.why is None, b"/e" in stand.member.tree.nodes) == (False, False)


def test_a_write_is_not_answered_before_it_is_durable() -> None:
    stand = Stand()
    peer = stand.open()
    peer.send(ask.create("/a"), ask.get_data("/a"))
    stand.turn()
    stand.turn()
    assert peer.replies() == []
    stand.sync()
    stand.turn()
    assert [reply.err for reply in peer.replies()] == [errors.OK, errors.OK]


def test_much_to_do_stops_the_reading() -> None:
    """One client must not fill the server's memory with what it sends and does not wait for."""
    stand = Stand({"globalOutstandingLimit": "5"})
    peer = stand.open()
    for number in range(6):
        assert not peer.connection.has_much_to_do()
        peer.send(ask.set_data("/", b"%d" % number))
    assert peer.connection.has_much_to_do()
    stand.settle()
    assert not peer.connection.has_much_to_do()


def test_a_held_back_greeting_stops_the_reading() -> None:
    stand = Stand()
    peer = stand.connect()
    peer.raw(greeting())
    peer.raw(bytes(stand.config.jute_max_buffer_bytes + 1))
    assert peer.connection.has_much_to_do()


def test_events_go_to_the_living_only() -> None:
    stand = Stand()
    watcher, writer = stand.open(), stand.open()
    watcher.ask(ask.add_watch("/", 1))
    stand.drop(watcher)
    writer.ask(ask.create("/a"))
    assert watcher.replies() == []
    assert stand.member.tree.watches.is_empty()
