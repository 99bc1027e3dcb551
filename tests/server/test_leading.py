"""The leader's server: what learners ask of it."""

import pytest

from tests.compat import requests as ask
from tests.server.house import House
from tests.server.test_ensemble import opened
from zoopark import errors
from zoopark.jute import proto
from zoopark.jute import txn as txns
from zoopark.jute.buffer import I32
from zoopark.jute.quorum import PING, REQUEST, REVALIDATE, QuorumPacket
from zoopark.server.forwarding import pack_touches, request_packet
from zoopark.server.leading import Leading
from zoopark.server.prepare import Requester

LINK = 77


def led(house: House) -> Leading:
    return house.member(house.form()).leading


def last_txn(leading: Leading) -> tuple[int, int, int, int]:
    """(session id, cxid, type, error) of what was prepared last."""
    txn = leading.pipeline.entries[-1][1]
    session_id, cxid, _, _, kind = txns.HEADER.unpack_from(txn)
    return session_id, cxid, kind, I32.unpack_from(txn, 32)[0] if kind == txns.ERROR else 0


@pytest.mark.parametrize(
    ("op", "body", "err"),
    [
        (proto.SET_DATA, b"", errors.MARSHALLING_ERROR),
        (proto.CREATE_SESSION, b"\x00", errors.MARSHALLING_ERROR),
        (proto.CHECK, b"", errors.UNIMPLEMENTED),
        (99, b"", errors.UNIMPLEMENTED),
    ],
)
def test_every_request_becomes_a_transaction(op: int, body: bytes, err: int) -> None:
    """Whoever sent it waits for one: what cannot be prepared becomes an error."""
    house = House()
    leading = led(house)
    why = leading.on_request(LINK, request_packet(Requester(5, []), 9, op, body), house.now)
    assert (why, last_txn(leading)) == ("", (5, 9, txns.ERROR, err))
    house.settle()
    assert not leading.pipeline.pending


@pytest.mark.parametrize("kind", [REQUEST, REVALIDATE])
def test_nonsense_is_said_to_be_nonsense(kind: int) -> None:
    house = House()
    leading = led(house)
    packet = QuorumPacket(kind, -1, b"?")
    why = (leading.on_request if kind == REQUEST else leading.on_revalidate)(LINK, packet, house.now)
    assert why.startswith("a RE")


def test_a_session_has_one_owner() -> None:
    house = House()
    leading = led(house)
    peer = opened(house, house.leader())
    body = ask.create("/a").body
    assert isinstance(body, bytes)
    leading.on_request(LINK, request_packet(Requester(peer.session_id, []), 1, proto.CREATE, body), house.now)
    assert last_txn(leading) == (peer.session_id, 1, txns.ERROR, errors.SESSION_MOVED)
    leading.on_request(LINK, request_packet(Requester(peer.session_id, []), 2, proto.CLOSE_SESSION, b""), house.now)
    assert last_txn(leading)[2] == txns.CLOSE_SESSION


def test_touches_count_as_heard_of() -> None:
    house = House()
    leading = led(house)
    peer = opened(house, house.leader(), 6000)
    session = leading.sessions.by_id[peer.session_id]
    house.wait(4000)
    assert session.heard_ms <= house.now.mono_ms - 4000
    packet = QuorumPacket(PING, 0, pack_touches([(peer.session_id, 8000), (12345, 1), (peer.session_id, -1)]))
    leading.on_touches(packet, house.now)
    assert (session.heard_ms, session.timeout_ms) == (house.now.mono_ms, 8000)


def test_a_sync_waits_for_everybodys_writes() -> None:
    """In an ensemble it stands behind whatever was proposed before it, also of others."""
    house = House()
    leader = house.form()
    one, other = opened(house, leader), opened(house, leader)
    house.held_disks = set(house.names)
    one.send(ask.create("/a"))
    other.send(ask.named(9, "/a"), ask.get_data("/a"))
    house.settle()
    assert other.frames == []
    house.held_disks = set()
    house.settle()
    assert [reply.err for reply in other.replies()] == [errors.OK, errors.OK]
