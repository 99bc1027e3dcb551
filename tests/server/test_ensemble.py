"""Whole members in one ensemble: roles, and what survives them."""

from collections.abc import Callable

import pytest

from tests.compat import requests as ask
from tests.compat import wire
from tests.server.house import House
from tests.server.stand import Peer, greeting, wire_session
from zoopark import errors
from zoopark.jute import quorum as jute
from zoopark.record import Effect
from zoopark.server.effects import SaveSnapshot, TakeSnapshot
from zoopark.zab.effects import SendSnapshot, Truncate


def opened(house: House, name: str, timeout_ms: int = 10_000) -> Peer:
    """A client with a new session at a member."""
    peer = house.connect(name)
    peer.raw(greeting(timeout_ms=timeout_ms))
    house.settle()
    peer.session_id = wire_session(peer.frames.pop())
    assert peer.session_id
    return peer


def attached(house: House, name: str, session_id: int, last_zxid: int = 0) -> Peer:
    """A client that goes on with a session at another member."""
    peer = house.connect(name)
    peer.raw(greeting(session_id, wire.session_password(session_id), last_zxid=last_zxid))
    house.settle()
    peer.session_id = wire_session(peer.frames.pop()) if peer.frames else 0
    return peer


def say(house: House, name: str, word: str) -> str:
    peer = house.connect(name)
    peer.connection.on_bytes(word.encode(), house.now)
    return peer.connection.take_out().decode()


def test_a_write_at_a_follower_is_everywhere() -> None:
    house = House()
    leader = house.form()
    follower = next(name for name in house.names if name != leader)
    peer = opened(house, follower)
    assert peer.ask(ask.create("/a", b"x")).err == errors.OK
    house.settle()
    assert len({(house.member(name).tree.last_zxid, house.member(name).tree.digest) for name in house.names}) == 1
    assert all(b"/a" in house.member(name).tree.nodes for name in house.names)


def test_session_ids_carry_the_sid() -> None:
    house = House()
    house.form()
    assert [opened(house, name).session_id >> 56 for name in house.names] == [1, 2, 3]


def test_pipelined_requests_are_answered_in_their_order() -> None:
    """Writes and syncs go to the leader and come back, reads are answered here: each waits for those before it."""
    house = House()
    leader = house.form()
    for name in house.names:
        peer = opened(house, name)
        path = f"/{name}"
        peer.send(
            ask.create(path, b"1"),
            ask.get_data(path),
            ask.named(wire.SYNC, path),
            ask.set_data(path, b"2"),
            ask.get_data(path),
            ask.named(wire.SYNC, path),
            ask.delete("/none"),
            ask.get_data(path),
            ask.delete(path),
        )
        house.settle()
        replies = peer.replies()
        assert [reply.xid for reply in replies] == list(range(1, 10)), (name, leader)
        assert [reply.err for reply in replies] == [0, 0, 0, 0, 0, 0, errors.NO_NODE, 0, 0]
        zxids = [reply.zxid for reply in replies]
        assert zxids == sorted(zxids)


def test_nobody_is_served_without_a_leader() -> None:
    house = House(keys={"4lw.commands.whitelist": "*"})
    house.start("a")
    assert say(house, "a", "srvr") == "This ZooKeeper instance is not currently serving requests\n"
    assert say(house, "a", "ruok") == "imok"
    peer = house.connect("a")
    peer.raw(greeting())
    house.settle()
    assert peer.frames == [] and peer.why is not None


def test_the_words_tell_the_role() -> None:
    house = House("abcd", keys={"4lw.commands.whitelist": "*"})
    leader = house.form()
    modes = {name: say(house, name, "srvr").partition("Mode: ")[2].split()[0] for name in house.names}
    assert modes == {name: "leader" if name == leader else "follower" for name in "abc"} | {"d": "observer"}
    assert "Proposal sizes last/min/max: -1/-1/-1" in say(house, leader, "srvr")
    opened(house, leader)
    assert "Proposal sizes last/min/max: 48/48/48" in say(house, leader, "srvr")
    assert "zk_server_state\tobserver\n" in say(house, "d", "mntr")


def test_a_session_that_a_follower_hears_of_lives() -> None:
    """Reads that a follower answers count: the leader learns of them from the answers to its pings (hazards)."""
    house = House()
    leader = house.form()
    follower = next(name for name in house.names if name != leader)
    busy, silent = opened(house, follower, 6000), opened(house, follower, 6000)
    for _ in range(10):
        house.wait(3000)
        assert busy.ask(ask.get_data("/")).err == errors.OK
    assert busy.why is None
    assert silent.why is not None
    assert busy.session_id in house.member(leader).tree.sessions
    assert silent.session_id not in house.member(leader).tree.sessions


def test_ephemerals_go_once_with_their_session() -> None:
    house = House()
    leader = house.form()
    follower = next(name for name in house.names if name != leader)
    peer, watcher = opened(house, follower, 6000), opened(house, leader, 60_000)
    peer.ask(ask.create("/e", flags=1))
    assert watcher.ask(ask.get_data("/e", True)).err == errors.OK
    house.drop(peer)
    house.wait(12_000)
    assert [reply.event() for reply in watcher.replies() if reply.is_event()] == [(2, "/e")]
    assert all(b"/e" not in house.member(name).tree.nodes for name in house.names)


def test_a_session_moves_and_its_former_connection_is_closed() -> None:
    """Without a reply: the client is somewhere else already."""
    house = House()
    leader = house.form()
    first, second = [name for name in house.names if name != leader]
    for source, target in ((first, second), (first, leader), (leader, first)):
        peer = opened(house, source)
        moved = attached(house, target, peer.session_id)
        assert moved.session_id == peer.session_id
        peer.replies()
        peer.send(ask.create("/stale"))
        house.settle()
        assert (peer.frames, peer.why is None) == ([], False), (source, target)
        assert moved.ask(ask.create(f"/{source}{target}")).err == errors.OK
        assert b"/stale" not in house.member(leader).tree.nodes


def test_a_session_that_nobody_knows_is_refused_by_the_leader() -> None:
    house = House()
    leader = house.form()
    for name in house.names:
        peer = attached(house, name, 0x1234567)
        assert (peer.session_id, peer.why is None) == (0, False), (name, leader)


def test_a_wrong_password_is_refused_without_asking() -> None:
    house = House()
    leader = house.form()
    follower = next(name for name in house.names if name != leader)
    peer = opened(house, follower)
    house.held_links = {(follower, leader)}
    thief = house.connect(follower)
    thief.raw(greeting(peer.session_id, b"x" * 16))
    house.settle()
    assert wire_session(thief.frames.pop()) == 0


def test_a_leader_that_is_lost_takes_writes_in_flight_along() -> None:
    """Nobody is told anything of them; sessions live on, and their clients come back."""
    house = House()
    leader = house.form()
    follower = next(name for name in house.names if name != leader)
    peer = opened(house, follower, 20_000)
    house.held_links = {(follower, leader)}
    peer.send(ask.create("/lost"))
    house.settle()
    house.lose(follower, leader)
    house.crash(leader)
    house.wait(10_000)
    assert (peer.frames, peer.why is None) == ([], False)
    assert b"/lost" not in house.member(follower).tree.nodes
    back = attached(house, follower, peer.session_id)
    assert back.session_id == peer.session_id
    assert back.ask(ask.create("/again")).err == errors.OK


def test_a_wiped_member_gets_the_tree_by_snapshot() -> None:
    house = House()
    leader = house.form()
    follower = next(name for name in house.names if name != leader)
    peer = opened(house, leader, 40_000)
    peer.ask(ask.create("/a", b"x"))
    peer.ask(ask.create("/e", flags=1))
    for name in house.names:
        house.crash(name)
        house.forget_log(name)
    house.wipe(follower)
    house.take_effects()
    leader = house.form()
    done = [effect for _, effect in house.take_effects() if isinstance(effect, SendSnapshot | SaveSnapshot)]
    assert len(done) == 2
    assert len({house.member(name).tree.digest for name in house.names}) == 1
    back = attached(house, follower, peer.session_id)
    back.send(ask.close_session())
    house.settle()
    assert all(b"/e" not in house.member(name).tree.nodes for name in house.names)


def test_a_snapshot_of_a_tree_that_went_on_is_no_difference_and_not_the_last() -> None:
    """Apache's leader serialises while it writes: what it does meanwhile comes again, and only then digests match.

    The snapshot that was saved stands in the way of who loads it next: there is one of a single moment soon.
    """
    house = House()
    leader = house.form()
    wiped, other = (name for name in house.names if name != leader)
    peer = opened(house, leader, 60_000)
    for number in range(3):
        peer.ask(ask.create(f"/{number}"))
    for name in house.names:
        house.crash(name)
        house.forget_log(name)
    house.wipe(wiped)
    house.start(leader, other)
    house.wait(5_000)
    leader = house.leader()
    writer = opened(house, leader)
    house.held_disks = {wiped}
    house.start(wiped)
    house.wait(1_000)
    work = house.rooms[wiped].work
    while not isinstance(work[0], SaveSnapshot):
        house.rooms[wiped].finish(house.now)
        house.wait(1_000)
    for number in range(3):
        assert writer.ask(ask.set_data(f"/{number}", b"ahead")).err == errors.OK
    sent = work[0]
    for _, txn in house.rooms[leader].log[-2:]:
        sent.tree.apply(txn)
    sent.tree.last_zxid = sent.zxid
    house.take_effects()
    house.held_disks = set()
    house.wait(1_000)
    assert house.is_serving(wiped)
    assert house.member(wiped).metrics.digest_mismatches == 0
    assert len({house.member(name).tree.digest for name in house.names}) == 1
    assert [name for name, effect in house.take_effects() if isinstance(effect, TakeSnapshot)] == [wiped]


def crash(house: House, leader: str) -> None:
    """The leader ends with its log, whose last transaction nobody else has."""
    for name in house.names:
        house.lose(leader, name)
    house.crash(leader)
    house.wait(10_000)


def isolate(house: House, leader: str) -> None:
    """The leader goes on alone until it notices, and replays what it logged."""
    for name in house.names:
        house.held_links |= {(leader, name), (name, leader)}
    house.wait(20_000)
    assert not house.is_serving(leader)
    assert b"/taken-back" in house.member(leader).tree.nodes


@pytest.mark.parametrize(("is_written_to", "expected"), [(False, Truncate), (True, SaveSnapshot)])
@pytest.mark.parametrize("end", [crash, isolate])
def test_a_deposed_leader_takes_back_what_was_not_committed(
    end: Callable[[House, str], None], is_written_to: bool, expected: type[Effect]
) -> None:
    """It has logged and replayed it, but nobody else has; its tree, sessions and reads follow the truncation."""
    house = House()
    leader = house.form()
    others = [name for name in house.names if name != leader]
    peer = opened(house, leader, 60_000)
    peer.ask(ask.create("/kept"))
    house.held_links = {(leader, name) for name in others}
    peer.send(ask.create("/taken-back"))
    house.settle()
    end(house, leader)
    assert any(b"/taken-back" in txn for _, txn in house.rooms[leader].log)
    assert (peer.frames, peer.why is None) == ([], False)
    if is_written_to:
        assert opened(house, others[0]).ask(ask.create("/new")).err == errors.OK
    house.take_effects()
    if house.rooms[leader].member is None:
        house.start(leader)
    for name in others:
        house.lose(leader, name)
        house.lose(name, leader)
        house.cut(leader, name)
    house.wait(60_000)
    done = {type(effect) for _, effect in house.take_effects()} & {Truncate, SaveSnapshot}
    assert done == {expected}
    assert house.is_serving(leader)
    assert len({(house.member(name).tree.digest) for name in house.names}) == 1
    reader = opened(house, leader)
    assert reader.ask(ask.get_data("/taken-back")).err == errors.NO_NODE
    assert reader.ask(ask.get_data("/kept")).err == errors.OK
    assert reader.ask(ask.exists("/new")).err == (errors.OK if is_written_to else errors.NO_NODE)


def test_snapshots_hold_only_what_is_committed() -> None:
    """The log of a leader without a quorum goes on; a snapshot of that could not be taken back (ZOOKEEPER-1549)."""
    house = House(keys={"snapCount": "4"})
    leader = house.form()
    peer = opened(house, leader)
    house.held_disks = {name for name in house.names if name != leader}
    house.take_effects()
    peer.send(*(ask.create(f"/{number}") for number in range(20)))
    house.settle()
    assert len(house.rooms[leader].log) > 20
    assert not any(isinstance(effect, TakeSnapshot) for _, effect in house.take_effects())
    house.held_disks = set()
    house.settle()
    assert {name for name, effect in house.take_effects() if isinstance(effect, TakeSnapshot)} == set(house.names)


def test_who_has_seen_more_is_sent_away() -> None:
    house = House()
    leader = house.form()
    peer = opened(house, leader)
    seen = peer.ask(ask.create("/a")).zxid
    assert attached(house, leader, peer.session_id, seen + 1).session_id == 0
    assert attached(house, leader, peer.session_id, seen).session_id == peer.session_id


def test_an_observer_serves_clients() -> None:
    house = House("abcd")
    house.form()
    peer = opened(house, "d")
    peer.send(ask.create("/a", b"1"), ask.named(wire.SYNC, "/a"), ask.get_data("/a"))
    house.settle()
    assert [reply.err for reply in peer.replies()] == [0, 0, 0]
    assert house.member("d").became.state == jute.OBSERVING


@pytest.mark.parametrize("is_wiped", [False, True])
def test_every_member_says_who_is_in_the_ensemble_as_it_was_told(is_wiped: bool) -> None:
    """After a start and after the leader's snapshot, which has the leader's text; any client may read it."""
    house = House("abcd")
    house.form()
    for name in house.names:
        house.crash(name)
        house.forget_log(name)
    if is_wiped:
        house.wipe("a")
    house.form()
    for name in house.names:
        reply = opened(house, name).ask(ask.get_data("/zookeeper/config"))
        assert f"as {name} was told".encode() in reply.body
    assert house.member("a").tree.nodes[b"/zookeeper/config"].data == b"as a was told"


@pytest.mark.parametrize(("is_enabled", "err"), [("false", errors.RECONFIG_DISABLED), ("true", errors.UNIMPLEMENTED)])
def test_nobody_changes_who_is_in_the_ensemble(is_enabled: str, err: int) -> None:
    """At the leader, a follower and an observer alike."""
    house = House("abcd", keys={"reconfigEnabled": is_enabled})
    house.form()
    for name in house.names:
        assert opened(house, name).ask(ask.reconfig("server.5=e:1:2;3", None, None)).err == err


def test_a_leader_may_leave_clients_to_others() -> None:
    """leaderServes=no: who leads serves nobody, and serves again when it follows."""
    house = House(keys={"leaderServes": "no", "4lw.commands.whitelist": "*"})
    leader = house.form()
    follower = next(name for name in house.names if name != leader)
    peer = house.connect(leader)
    peer.raw(greeting())
    assert peer.frames == []
    assert say(house, leader, "srvr") == "This ZooKeeper instance is not currently serving requests\n"
    assert opened(house, follower).ask(ask.create("/a")).err == errors.OK
    house.crash(leader)
    house.wait(10_000)
    house.start(leader)
    house.wait(10_000)
    assert house.leader() != leader
    assert opened(house, leader).ask(ask.get_data("/a")).err == errors.OK
