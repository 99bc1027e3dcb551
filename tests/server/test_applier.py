"""What was prepared here is applied, and told in order."""

from tests.compat import requests as ask
from tests.server.stand import Stand


def test_watchers_hear_before_who_asked() -> None:
    """A client that is told of its write must have been told of the watch that the write fired."""
    stand = Stand()
    peer = stand.open()
    peer.ask(ask.create("/a"))
    peer.ask(ask.get_data("/a", True))
    peer.send(ask.set_data("/a", b"x"))
    stand.settle()
    assert [reply.is_event() for reply in peer.replies()] == [True, False]


def test_a_session_begins_and_ends_with_its_transactions() -> None:
    stand = Stand()
    peer = stand.open()
    assert stand.member.sessions.is_open(peer.session_id)
    peer.send(ask.close_session())
    stand.turn()
    assert peer.session_id in stand.member.sessions.by_id
    stand.settle()
    assert peer.session_id not in stand.member.sessions.by_id


def test_nothing_logged_is_nothing_counted() -> None:
    stand = Stand()
    stand.member.applier.apply([], stand.now)
    assert stand.member.metrics.batch_size.count == 0
