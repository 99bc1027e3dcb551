"""The answer to a sync."""

from tests.compat import requests as ask
from tests.compat import wire
from tests.server.stand import Stand
from zoopark import errors
from zoopark.server.syncs import finish_sync


def test_a_sync_is_answered_in_its_turn() -> None:
    stand = Stand()
    peer = stand.open()
    peer.connection.accepted += 1
    peer.send(ask.get_data("/"))
    assert peer.replies() == []
    finish_sync(
        (0, peer.connection.connection_id, 9, wire.string("/a"), stand.now.mono_ms), stand.member.clients, stand.now
    )
    stand.turn()
    replies = peer.replies()
    assert [(reply.xid, reply.err) for reply in replies] == [(9, errors.OK), (1, errors.OK)]
    assert replies[0].body == wire.string("/a")


def test_a_sync_that_cannot_be_read() -> None:
    stand = Stand()
    peer = stand.open()
    peer.connection.accepted += 1
    finish_sync((0, peer.connection.connection_id, 9, b"", stand.now.mono_ms), stand.member.clients, stand.now)
    stand.turn()
    assert [reply.err for reply in peer.replies()] == [errors.MARSHALLING_ERROR]


def test_who_is_gone_is_not_answered() -> None:
    stand = Stand()
    peer = stand.open()
    stand.drop(peer)
    finish_sync((0, peer.connection.connection_id, 9, b"", stand.now.mono_ms), stand.member.clients, stand.now)
    assert not stand.member.has_effects()
