"""Connections of one server: what they are told of, and how they end."""

from tests.compat import requests as ask
from tests.server.stand import Stand
from zoopark.server.connection import CLOSING, NEW
from zoopark.server.effects import CloseLink, Flush, Note


def test_a_connection_with_something_to_say_is_named_once() -> None:
    stand = Stand()
    peer = stand.open()
    clients = stand.member.clients
    identity = peer.connection.connection_id
    assert clients.find_dirty(identity) is peer.connection
    clients.find_dirty(identity)
    effects = stand.member.take()
    assert effects == [Flush([peer.connection])]
    assert not clients.has_effects()


def test_a_connection_that_is_gone_has_nothing_to_say() -> None:
    stand = Stand()
    peer = stand.open()
    stand.drop(peer)
    assert stand.member.clients.find_dirty(peer.connection.connection_id) is None


def test_close_all_spares_those_who_only_ask_a_word() -> None:
    """Somebody who looks after a server that cannot serve must be able to ask how it is."""
    stand = Stand()
    peer, stranger = stand.open(), stand.connect()
    stand.member.clients.close_all("a reason")
    effects = stand.member.take()
    assert effects == [CloseLink(peer.connection, "a reason")]
    assert (peer.connection.state, stranger.connection.state) == (CLOSING, NEW)


def test_who_is_silent_has_a_deadline() -> None:
    stand = Stand()
    assert stand.member.clients.deadline() is None
    stand.connect()
    assert stand.member.clients.deadline() == stand.now.mono_ms + 10_000


def test_watches_leave_with_their_connection() -> None:
    stand = Stand()
    peer = stand.open()
    peer.ask(ask.get_data("/", True))
    assert stand.member.tree.watches.n_watches() == 1
    stand.drop(peer)
    assert stand.member.tree.watches.n_watches() == 0


def test_notes_come_first() -> None:
    stand = Stand()
    peer = stand.open()
    stand.member.clients.find_dirty(peer.connection.connection_id)
    stand.member.clients.note("first")
    assert stand.member.take() == [Note("first"), Flush([peer.connection])]
