"""What ZooKeeper's documentation guarantees about sessions and ephemeral nodes, claim by claim, over one whole server.

Source: programmer's guide, "ZooKeeper Sessions" and "Ephemeral Nodes". The claims are in our words.
"""

from tests.compat import requests as ask
from tests.compat import wire
from tests.server.stand import TIMEOUT_MS, Peer, Stand, greeting, wire_session
from zoopark import errors
from zoopark.jute import proto


def attached(stand: Stand, session_id: int) -> Peer:
    """A new connection of an old session."""
    peer = stand.connect()
    peer.raw(greeting(session_id, wire.session_password(session_id)))
    stand.settle()
    return peer


def test_ephemerals_live_as_long_as_their_session() -> None:
    """And no longer: they are gone, once, when the session is closed."""
    stand = Stand()
    owner, other = stand.open(), stand.open()
    owner.ask(ask.create("/e", flags=proto.EPHEMERAL_FLAG))
    assert other.ask(ask.exists("/e")).err == errors.OK
    owner.send(ask.close_session())
    stand.settle()
    assert other.ask(ask.exists("/e")).err == errors.NO_NODE


def test_a_session_outlives_its_connection() -> None:
    """Within its timeout a client may come back, and finds its ephemerals."""
    stand = Stand()
    peer = stand.open()
    peer.ask(ask.create("/e", flags=proto.EPHEMERAL_FLAG))
    stand.drop(peer)
    stand.wait(TIMEOUT_MS // 2)
    again = attached(stand, peer.session_id)
    assert wire_session(again.frames.pop()) == peer.session_id
    assert again.ask(ask.exists("/e")).err == errors.OK


def test_expiry_is_decided_by_the_service() -> None:
    """A client that is not heard for its timeout is expired; if it comes back it is told so."""
    stand = Stand()
    peer = stand.open()
    stand.drop(peer)
    stand.wait(2 * TIMEOUT_MS)
    again = attached(stand, peer.session_id)
    assert wire_session(again.frames.pop()) == 0


def test_heartbeats_keep_a_session_alive() -> None:
    stand = Stand()
    peer = stand.open()
    for _ in range(6):
        stand.wait(TIMEOUT_MS // 2)
        peer.send(ask.ping())
        stand.settle()
    assert peer.why is None and peer.session_id in stand.member.tree.sessions


def test_a_session_needs_its_password() -> None:
    """Nobody takes over the session of another by its id alone."""
    stand = Stand()
    peer = stand.open()
    thief = stand.connect()
    thief.raw(greeting(peer.session_id, bytes(16)))
    stand.settle()
    assert wire_session(thief.frames.pop()) == 0 and peer.session_id in stand.member.tree.sessions


def test_ephemerals_have_no_children() -> None:
    stand = Stand()
    peer = stand.open()
    peer.ask(ask.create("/e", flags=proto.EPHEMERAL_FLAG))
    assert peer.ask(ask.create("/e/child")).err == errors.NO_CHILDREN_FOR_EPHEMERALS


def test_a_closed_session_creates_nothing() -> None:
    """What a client asked for behind its closeSession never happens."""
    stand = Stand()
    peer, other = stand.open(), stand.open()
    peer.send(ask.close_session(), ask.create("/e", flags=proto.EPHEMERAL_FLAG))
    stand.settle()
    assert other.ask(ask.exists("/e")).err == errors.NO_NODE
