"""Sessions that one server keeps for itself: what they may do, when they end, how one becomes known to all."""

import pytest

from tests.compat import requests as ask
from tests.compat import wire
from tests.server.house import House
from tests.server.stand import Peer
from tests.server.test_ensemble import attached, opened, say
from zoopark import errors
from zoopark.record import Now
from zoopark.server.localsessions import creates_ephemeral

LOCAL = {"localSessionsEnabled": "true", "4lw.commands.whitelist": "*"}
UPGRADING = {**LOCAL, "localSessionsUpgradingEnabled": "true"}


def formed(keys: dict[str, str]) -> tuple[House, str, str]:
    """An ensemble of four with its leader and a follower; d observes."""
    house = House("abcd", keys=keys)
    leader = house.form()
    return house, leader, next(name for name in "abc" if name != leader)


def zxid_of(house: House, name: str) -> int:
    return house.member(name).tree.last_zxid


def gone(house: House, peer: Peer, name: str) -> bool:
    """Whether the session of a client cannot go on at a member."""
    return attached(house, name, peer.session_id).session_id == 0


@pytest.mark.parametrize("place", ["leader", "follower", "observer"])
def test_a_local_session_costs_no_transaction(place: str) -> None:
    """Neither its beginning nor its end; its id says where it began."""
    house, leader, follower = formed(LOCAL)
    name = {"leader": leader, "follower": follower, "observer": "d"}[place]
    before = zxid_of(house, name)
    peer = opened(house, name)
    assert peer.session_id >> 56 == house.rooms[name].sid
    assert peer.ask(ask.get_data("/")).err == errors.OK
    assert peer.ask(ask.close_session()).err == errors.OK
    assert peer.why == "the client closed its session"
    assert zxid_of(house, name) == before
    assert gone(house, peer, name)
    assert all(not house.member(other).tree.sessions for other in house.names)


@pytest.mark.parametrize("place", ["leader", "follower", "observer"])
def test_a_local_session_writes_as_anybody_does(place: str) -> None:
    """In its order, and a multi and a sync too."""
    house, leader, follower = formed(LOCAL)
    peer = opened(house, {"leader": leader, "follower": follower, "observer": "d"}[place])
    peer.send(
        ask.create("/a"),
        ask.set_data("/a", b"1"),
        ask.get_data("/a"),
        ask.named(wire.SYNC, "/a"),
        ask.multi(ask.create("/b"), ask.set_data("/a", b"2")),
        ask.delete("/none"),
        ask.set_acl("/b", ask.OPEN),
        ask.delete("/b"),
        ask.close_session(),
    )
    house.settle()
    replies = peer.replies()
    assert [reply.err for reply in replies] == [0, 0, 0, 0, 0, errors.NO_NODE, 0, 0, 0]
    assert [reply.xid for reply in replies] == list(range(1, 10))
    assert replies[-1].zxid == replies[-2].zxid == zxid_of(house, leader)
    assert len({house.member(name).tree.digest for name in house.names}) == 1


@pytest.mark.parametrize("place", ["leader", "follower"])
def test_nobody_else_knows_it(place: str) -> None:
    """Wherever else its client goes on, the session has expired; where it began, it goes on."""
    house, leader, follower = formed(LOCAL)
    name = leader if place == "leader" else follower
    peer = opened(house, name)
    for other in house.names:
        if other != name:
            assert gone(house, peer, other)
    again = attached(house, name, peer.session_id)
    assert again.session_id == peer.session_id and peer.why is not None
    assert again.ask(ask.create("/a")).err == errors.OK


@pytest.mark.parametrize("place", ["leader", "follower"])
def test_a_silent_local_session_expires_where_it_is(place: str) -> None:
    house, leader, follower = formed(LOCAL)
    name = leader if place == "leader" else follower
    silent, busy = opened(house, name, 6_000), opened(house, name, 6_000)
    for _ in range(4):
        house.wait(2_000)
        assert busy.ask(ask.ping()).err == errors.OK
    assert silent.why is not None and "expired" in silent.why
    assert busy.why is None
    assert gone(house, silent, name)
    assert "zk_stale_sessions_expired\t1\n" in say(house, name, "mntr")


@pytest.mark.parametrize("place", ["leader", "follower"])
def test_an_expired_local_session_cannot_become_known_to_all(place: str) -> None:
    """Its client's last bytes come in the turn in which it expires; a session without an owner would never end."""
    house, leader, follower = formed(UPGRADING)
    name = leader if place == "leader" else follower
    member, peer = house.member(name), opened(house, name)
    member.on_timeout(Now(house.now.mono_ms + 20_000, house.now.wall_ms + 20_000))
    peer.send(ask.create("/e", flags=1))
    house.settle()
    assert peer.why is not None and "expired" in peer.why
    assert peer.replies() == []
    assert all(not house.member(other).tree.sessions for other in house.names)


def test_a_local_session_ends_with_its_servers_role() -> None:
    """A server with another leader is another server."""
    house, leader, follower = formed(LOCAL)
    peer = opened(house, follower)
    house.crash(leader)
    house.wait(10_000)
    assert peer.why is not None
    assert house.is_serving(follower)
    assert gone(house, peer, follower)


@pytest.mark.parametrize("place", ["leader", "follower"])
def test_without_upgrading_it_may_own_nothing(place: str) -> None:
    """The request is refused by a transaction, as any write is, and so is each part of a multi."""
    house, leader, follower = formed(LOCAL)
    name = leader if place == "leader" else follower
    peer = opened(house, name)
    assert peer.ask(ask.create("/q")).err == errors.OK
    before = zxid_of(house, name)
    assert peer.ask(ask.create("/e", flags=1)).err == errors.EPHEMERAL_ON_LOCAL_SESSION
    assert zxid_of(house, name) == before + 1
    reply = peer.ask(ask.multi(ask.create("/p"), ask.create("/e", flags=3)))
    assert reply.err == errors.OK
    assert b"/p" not in house.member(leader).tree.nodes
    assert peer.ask(ask.create("/p")).err == errors.OK


@pytest.mark.parametrize("place", ["leader", "follower", "observer"])
@pytest.mark.parametrize("request_of_an_owner", [ask.create("/e", flags=1), ask.multi(ask.create("/e", flags=1))])
def test_an_ephemeral_makes_it_known_to_all(place: str, request_of_an_owner: ask.Request) -> None:
    """The same id, and from then on it moves, expires and takes its ephemerals along as any session does."""
    house, leader, follower = formed(UPGRADING)
    name = {"leader": leader, "follower": follower, "observer": "d"}[place]
    peer = opened(house, name)
    peer.send(
        ask.create("/before"),
        request_of_an_owner,
        ask.get_data("/e"),
        ask.create("/after"),
        ask.create("/s", flags=3),
    )
    house.settle()
    assert [reply.err for reply in peer.replies()] == [0] * 5
    assert all(list(house.member(other).tree.sessions) == [peer.session_id] for other in house.names)
    assert house.member(name).local.tracker.by_id == {}
    elsewhere = follower if place == "leader" else leader
    moved = attached(house, elsewhere, peer.session_id)
    assert moved.session_id == peer.session_id
    assert moved.ask(ask.set_data("/e", b"mine")).err == errors.OK
    house.drop(moved)
    house.wait(20_000)
    assert all(b"/e" not in house.member(other).tree.nodes for other in house.names)
    assert gone(house, peer, leader)


def test_an_upgraded_session_lives_by_what_its_server_hears() -> None:
    house, leader, follower = formed(UPGRADING)
    peer = opened(house, follower, 6_000)
    peer.ask(ask.create("/e", flags=1))
    for _ in range(10):
        house.wait(3_000)
        assert peer.ask(ask.get_data("/e")).err == errors.OK
    assert peer.ask(ask.close_session()).err == errors.OK
    assert b"/e" not in house.member(leader).tree.nodes
    assert all(not house.member(name).tree.sessions for name in house.names)


def test_an_upgraded_session_survives_its_leader() -> None:
    house, leader, follower = formed(UPGRADING)
    peer = opened(house, follower)
    peer.ask(ask.create("/e", flags=1))
    house.crash(leader)
    house.wait(6_000)
    assert attached(house, follower, peer.session_id).ask(ask.get_data("/e")).err == errors.OK


def test_a_refused_ephemeral_has_made_it_known_all_the_same() -> None:
    """Whether the leader refuses it is known only after it was sent."""
    house, leader, follower = formed(UPGRADING)
    peer = opened(house, follower)
    assert peer.ask(ask.create("no path", flags=1)).err == errors.BAD_ARGUMENTS
    assert list(house.member(leader).tree.sessions) == [peer.session_id]


def test_reads_between_the_upgrade_and_its_create_wait_for_both() -> None:
    house, leader, follower = formed(UPGRADING)
    peer = opened(house, follower)
    house.held_links.add((leader, follower))
    peer.send(ask.create("/e", flags=1), ask.get_data("/e"))
    house.settle()
    assert peer.replies() == []
    house.held_links.clear()
    house.settle()
    assert [(reply.xid, reply.err) for reply in peer.replies()] == [(1, 0), (2, 0)]


def test_the_leader_of_an_ensemble_without_them_lets_nobody_unknown_write() -> None:
    """The key must be the same on all members; a leader without it takes the session for an expired one."""
    house = House()
    leader = house.form()
    follower = next(name for name in house.names if name != leader)
    house.member(follower).local.is_enabled = True
    house.member(follower).local.begin(house.now)
    peer = opened(house, follower)
    peer.send(ask.set_data("/", b""), ask.create("/a"), ask.create("/e", flags=1), ask.create("/b"))
    house.settle()
    expired, unowned = errors.SESSION_EXPIRED, errors.EPHEMERAL_ON_LOCAL_SESSION
    assert [reply.err for reply in peer.replies()] == [expired, expired, unowned, expired]
    assert peer.connection.unowned == set()


def test_the_words_tell_of_both_kinds() -> None:
    house, leader, follower = formed(UPGRADING)
    peer = opened(house, follower)
    opened(house, follower)
    peer.ask(ask.create("/e", flags=1))
    counts = [line for line in say(house, follower, "mntr").splitlines() if "al_sessions" in line]
    assert counts == ["zk_global_sessions\t1", "zk_local_sessions\t1"]
    assert "Local Session Sets (1)/(1):\n" in say(house, follower, "dump")
    assert f"\nGlobal Sessions(1):\n{peer.session_id:#x}\t10000ms\n" in say(house, follower, "dump")
    assert "Local Session Sets (0)/(0):\nGlobal Session Sets (1)/(1):\n" in say(house, leader, "dump")


@pytest.mark.parametrize(
    ("request_of_somebody", "expected"),
    [
        (ask.create("/a"), False),
        (ask.create("/a", flags=1), True),
        (ask.create("/a", flags=2), False),
        (ask.create("/a", flags=3), True),
        (ask.create("/a", flags=77), False),
        (ask.set_data("/a", b""), False),
        (ask.raw(wire.CREATE, b"\x00\x00", "cut"), False),
        (ask.multi(ask.set_data("/a", b""), ask.delete("/b")), False),
        (ask.multi(ask.delete("/b"), ask.create("/a", flags=1)), True),
        (ask.raw(wire.MULTI, b"\x00\x00\x00\x01", "cut"), False),
    ],
)
def test_which_requests_ask_for_an_ephemeral(request_of_somebody: ask.Request, expected: bool) -> None:
    assert isinstance(request_of_somebody.body, bytes)
    assert expected == creates_ephemeral(request_of_somebody.opcode, request_of_somebody.body)
