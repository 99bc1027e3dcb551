"""What a server does of itself; how it looks from outside is told in test_member."""

from tests.compat import requests as ask
from tests.properties.workshop import Workshop
from tests.server.stand import Stand
from zoopark.jute import txn as txns


def kinds_of(entries: list[tuple[int, bytes]]) -> list[int]:
    return [txns.HEADER.unpack_from(txn)[4] for _, txn in entries]


def test_orphans_are_closed_at_once() -> None:
    shop = Workshop()
    shop.open(7)
    shop.do(ask.create("/e", flags=1), 7)
    del shop.tree.sessions[7]
    stand = Stand(tree=shop.tree)
    assert kinds_of(stand.member.pipeline.entries) == [txns.CLOSE_SESSION]


def test_a_session_is_closed_once() -> None:
    """It stays on its way to the end until that is applied."""
    stand = Stand()
    stand.open(6000)
    house = stand.member.housekeeping
    due_ms = house.deadline()
    assert due_ms is not None
    stand.move_clock(due_ms)
    house.on_timeout(stand.now)
    assert kinds_of(stand.member.pipeline.entries) == [txns.CLOSE_SESSION]
    stand.move_clock(due_ms + 60_000)
    house.on_timeout(stand.now)
    assert kinds_of(stand.member.pipeline.entries) == [txns.CLOSE_SESSION]
