"""One server without the world: sessions that live and die, limits, and what it asks its host to do."""

import pytest

from tests.compat import requests as ask
from tests.compat import wire
from tests.properties.workshop import KINDS, Workshop
from tests.server.stand import Stand, greeting
from zoopark import errors
from zoopark.record import Effect
from zoopark.server.effects import Append, Note, Purge, TakeSnapshot
from zoopark.server.snapshots import HEAVY, LONGEST_REST, SNAPSHOT_REST
from zoopark.tree.tree import Tree


def kinds_of(effects: list[Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


def test_effects_of_a_write_in_order() -> None:
    """First the log; the answer only after the disk."""
    stand = Stand()
    peer = stand.open()
    peer.send(ask.create("/a"), ask.create("/b"))
    effects = stand.member.take()
    assert kinds_of(effects) == ["Append"]
    assert isinstance(effects[0], Append)
    assert [zxid for zxid, _ in effects[0].entries] == [2, 3]
    assert effects[0].zxid == 3
    stand.member.on_logged(3, stand.now)
    assert kinds_of(stand.member.take()) == ["Flush"]
    assert stand.member.take() == []


def test_a_batch_may_be_logged_in_parts() -> None:
    stand = Stand()
    peer = stand.open()
    peer.send(*(ask.create(f"/{number}") for number in range(4)))
    stand.turn()
    stand.sync(2)
    stand.turn()
    assert [reply.zxid for reply in peer.replies()] == [2, 3]
    stand.settle()
    assert [reply.zxid for reply in peer.replies()] == [4, 5]


@pytest.mark.parametrize("timeout_ms", [6000, 6001, 10_000, 59_999])
def test_a_silent_session_expires(timeout_ms: int) -> None:
    """Not before its timeout, and at most one tick after it; its ephemerals go with it."""
    stand = Stand({"tickTime": "3000"})
    peer = stand.open(timeout_ms)
    peer.ask(ask.create("/e", flags=1))
    stand.wait(timeout_ms - 1)
    assert b"/e" in stand.member.tree.nodes
    stand.wait(3001)
    assert b"/e" not in stand.member.tree.nodes
    assert peer.session_id not in stand.member.tree.sessions
    assert peer.why is not None


def test_a_session_that_is_heard_of_lives() -> None:
    stand = Stand()
    peer = stand.open(6000)
    for _ in range(20):
        stand.wait(5000)
        assert peer.ask(ask.ping()).err == errors.OK
    assert peer.session_id in stand.member.tree.sessions


def test_a_session_outlives_its_connection() -> None:
    stand = Stand()
    peer = stand.open(6000)
    peer.ask(ask.create("/e", flags=1))
    stand.drop(peer)
    stand.wait(3000)
    other = stand.connect()
    other.raw(greeting(peer.session_id, wire.session_password(peer.session_id)))
    stand.settle()
    stand.wait(5000)
    assert b"/e" in stand.member.tree.nodes
    stand.wait(20_000)
    assert b"/e" not in stand.member.tree.nodes


def test_a_request_behind_the_end_of_its_session() -> None:
    """The session expires while a write of its client is on the way: nothing is written, and the connection ends."""
    stand = Stand()
    peer = stand.open(6000)
    stand.now = type(stand.now)(stand.now.mono_ms + 60_000, stand.now.wall_ms)
    stand.member.on_timeout(stand.now)
    peer.send(ask.create("/late"), ask.get_data("/"))
    stand.settle()
    assert b"/late" not in stand.member.tree.nodes
    assert peer.why is not None


def test_a_connection_without_a_session_is_closed() -> None:
    stand = Stand()
    silent, busy = stand.connect(), stand.open(60_000)
    stand.wait(9_999)
    assert silent.why is None
    stand.wait(2)
    assert (silent.why is None, busy.why) == (False, None)


def test_limits_per_address_and_in_all() -> None:
    stand = Stand({"maxClientCnxns": "2", "maxCnxns": "3"})
    first, _ = stand.connect("10.0.0.1"), stand.connect("10.0.0.1")
    assert stand.member.on_connect("10.0.0.1", 1, stand.now) is None
    stand.connect("10.0.0.2")
    assert stand.member.on_connect("10.0.0.3", 1, stand.now) is None
    stand.drop(first)
    assert stand.member.on_connect("10.0.0.1", 1, stand.now) is not None
    assert [effect for effect in stand.member.take() if isinstance(effect, Note)] != []


def test_two_goodbyes_count_once() -> None:
    """The host may report a lost connection after the member has closed it."""
    stand = Stand({"maxClientCnxns": "1"})
    peer = stand.connect()
    stand.drop(peer)
    stand.drop(peer)
    assert stand.member.connections == {}
    assert stand.connect() is not None


def test_sessions_live_on_after_a_restart() -> None:
    """Their clients have their whole timeout to come back."""
    stand = Stand()
    peer = stand.open(6000)
    peer.ask(ask.create("/e", flags=1))
    later = Stand(tree=stand.member.tree)
    back = later.connect()
    back.raw(greeting(peer.session_id, wire.session_password(peer.session_id), last_zxid=2))
    later.settle()
    assert len(back.frames) == 1
    later.wait(60_000)
    assert b"/e" not in later.member.tree.nodes


def test_new_sessions_are_new_after_a_restart() -> None:
    """An id given before may still own ephemerals."""
    stand = Stand()
    known = {stand.open().session_id for _ in range(5)}
    later = Stand(tree=stand.member.tree)
    assert known.isdisjoint({later.open().session_id for _ in range(5)})


def test_orphans_go_at_the_start() -> None:
    """Ephemerals of a session that nobody knows, as a crash between two files may leave them."""
    shop = Workshop()
    shop.open(7)
    shop.do(ask.create("/e", flags=1), 7)
    shop.do(ask.create("/kept"), 7)
    del shop.tree.sessions[7]
    stand = Stand(tree=shop.tree)
    stand.settle()
    assert [path in shop.tree.nodes for path in (b"/e", b"/kept")] == [False, True]


def n_snapshots(stand: Stand) -> int:
    return sum(isinstance(effect, TakeSnapshot) for effect in stand.effects)


def test_snapshots_are_asked_for_in_time() -> None:
    """After half to all of snapCount transactions, one at a time."""
    stand = Stand({"snapCount": "10"})
    peer = stand.open()
    for number in range(40):
        peer.ask(ask.create(f"/{number}"))
    first = [effect for effect in stand.effects if isinstance(effect, TakeSnapshot)]
    assert len(first) == 1
    assert 5 < first[0].zxid <= 11
    stand.member.on_snapshot()
    for number in range(40, 60):
        peer.ask(ask.create(f"/{number}"))
    assert n_snapshots(stand) == 2


@pytest.mark.parametrize(
    ("during", "rest"), [(HEAVY, HEAVY), (HEAVY + 1, SNAPSHOT_REST * (HEAVY + 1)), (10**6, LONGEST_REST * 20_000)]
)
def test_snapshots_under_heavy_load_are_followed_by_a_rest(during: int, rest: int) -> None:
    """Otherwise the server would write snapshots and do little else; but a restart must not have too much to replay."""
    stand = Stand({"snapCount": "20000"})
    peer = stand.open()
    stand.member.logged_since_snapshot = 20_000
    peer.ask(ask.create("/s-", flags=2))
    assert n_snapshots(stand) == 1
    stand.member.logged_since_snapshot = during
    stand.member.on_snapshot()
    stand.member.logged_since_snapshot = rest - 1
    peer.ask(ask.create("/s-", flags=2))
    assert n_snapshots(stand) == 1
    stand.member.logged_since_snapshot = max(rest, 20_000)
    peer.ask(ask.create("/s-", flags=2))
    assert n_snapshots(stand) == 2


def test_purging_when_it_is_due() -> None:
    stand = Stand({"autopurge.purgeInterval": "2", "autopurge.snapRetainCount": "4"})
    stand.wait(5 * 3_600_000)
    assert [effect for effect in stand.effects if isinstance(effect, Purge)] == [Purge(4)] * 3


def test_containers_and_ttl_nodes_are_reaped() -> None:
    stand = Stand({"znode.container.checkIntervalMs": "1000"})
    peer = stand.open(40_000)
    for request in (
        ask.create("/used", flags=4, opcode=wire.CREATE_CONTAINER),
        ask.create("/used/x"),
        ask.delete("/used/x"),
        ask.create("/unused", flags=4, opcode=wire.CREATE_CONTAINER),
        ask.create("/full", flags=4, opcode=wire.CREATE_CONTAINER),
        ask.create("/full/x"),
        ask.create_ttl("/short", 500),
        ask.create_ttl("/long", 60_000),
        ask.create_ttl("/parent", 500),
        ask.create("/parent/x"),
    ):
        assert peer.ask(request).err == errors.OK
    stand.wait(2500)
    left = {path.decode() for path in stand.member.tree.nodes if path.count(b"/") == 1}
    assert left == {"/", "/zookeeper", "/unused", "/full", "/long", "/parent"}


def test_nothing_to_do_has_no_deadline() -> None:
    """An idle server sleeps."""
    stand = Stand({"znode.container.checkIntervalMs": "0", "autopurge.purgeInterval": "0"})
    assert (stand.member.deadline(), stand.member.has_effects()) == (None, False)


def test_the_log_is_all_it_takes() -> None:
    """What one member logged makes the same tree elsewhere."""
    stand = Stand()
    peer = stand.open()
    peer.send(ask.create("/a"), ask.create("/a/e", flags=1), ask.multi(ask.set_data("/a", b"x")), ask.delete("/no"))
    stand.settle()
    twin = Tree(KINDS)
    for _, txn in stand.log:
        twin.apply(txn)
        assert twin.digest_matches(txn)
    assert twin.digest == stand.member.tree.digest
