"""A learner's clients: what comes back finds who sent it, whatever else comes."""

from tests.compat import requests as ask
from tests.compat import wire
from tests.server.house import House
from tests.server.test_ensemble import attached, opened
from zoopark import errors
from zoopark.jute import proto
from zoopark.jute.quorum import REVALIDATE, QuorumPacket
from zoopark.record import Now
from zoopark.server.connection import CLOSING
from zoopark.server.forwarding import pack_touches, valid_packet
from zoopark.zab.effects import CloseLink


def follower_of(house: House) -> str:
    leader = house.form()
    return next(name for name in house.names if name != leader)


def test_what_cannot_be_read_is_refused_here() -> None:
    """ZooKeeper's leader makes no transaction of it, so it must not be sent."""
    house = House()
    name = follower_of(house)
    peer = opened(house, name)
    house.held_links = {(name, house.leader())}
    peer.send(ask.raw(proto.SET_DATA, b"\x00\x00", "set"))
    assert [reply.err for reply in peer.replies()] == [errors.MARSHALLING_ERROR]
    assert not house.member(name).pipeline.pending


def test_others_writes_in_between_are_nobodys_answer() -> None:
    house = House()
    name = follower_of(house)
    peer, other = opened(house, name), opened(house, house.leader())
    house.held_disks = set(house.names)
    for number in range(5):
        peer.send(ask.create(f"/p{number}"))
        other.send(ask.create(f"/o{number}"))
        house.settle()
    house.held_disks = set()
    house.settle()
    assert [wire.Reader(reply.body).buf() for reply in peer.replies()] == [b"/p%d" % number for number in range(5)]


def test_a_client_that_counts_anew_gets_its_own_answer() -> None:
    """A client may begin with xid 1 again at its next server, while a write of the same number is still on its way."""
    house = House()
    leader = house.form()
    first, second = [name for name in house.names if name != leader]
    peer = opened(house, first)
    house.held_disks = set(house.names)
    peer.send(ask.create("/old"))
    house.settle()
    moved = house.connect(second)
    moved.raw(
        wire.frame(wire.connect_request(0, 10_000, peer.session_id, wire.session_password(peer.session_id)) + b"\x00")
    )
    moved.send(ask.create("/new"))
    house.settle()
    assert moved.frames == []
    house.held_disks = set()
    house.settle()
    moved.frames.pop(0)
    assert [wire.Reader(reply.body).buf() for reply in moved.replies()] == [b"/new"]
    assert b"/old" in house.member(leader).tree.nodes


def test_a_write_behind_a_sync_finishes_the_sync() -> None:
    """What was sent behind it is applied, so is what it waits for; the SYNC that follows says nothing new."""
    house = House()
    name = follower_of(house)
    peer = opened(house, name)
    house.held_disks = set(house.names)
    peer.send(ask.create("/a"), ask.named(wire.SYNC, "/a"), ask.create("/b"), ask.named(wire.SYNC, "/b"))
    house.settle()
    house.held_disks = set()
    house.settle()
    assert [reply.xid for reply in peer.replies()] == [1, 2, 3, 4]
    assert not house.member(name).pipeline.syncs


def test_a_sync_that_nobody_asked_for_ends_the_link() -> None:
    house = House()
    name = follower_of(house)
    learning = house.member(name).learning
    assert learning.on_sync(house.now) != ""
    assert learning.on_revalidated(valid_packet(5, True), house.now) != ""
    assert learning.on_revalidated(QuorumPacket(REVALIDATE, 0, None), house.now) != ""
    opened(house, name)
    house.take_effects()
    leader_link = next(wire.number for wire in house.wires.values() if wire.receiver == name)
    house.member(name).on_packet(leader_link, valid_packet(5, True), house.now)
    house.settle()
    closed = [effect for at, effect in house.take_effects() if at == name and isinstance(effect, CloseLink)]
    assert [effect.link for effect in closed] == [leader_link]
    house.wait(10_000)
    assert house.is_serving(name)


def test_touches_are_told_once() -> None:
    house = House()
    name = follower_of(house)
    peer, _ = opened(house, name), opened(house, name)
    house.wait(5000)
    peer.ask(ask.get_data("/"))
    learning = house.member(name).learning
    assert learning.touches(house.now) == pack_touches([(peer.session_id, 10_000)])
    later = Now(house.now.mono_ms + 1, house.now.wall_ms + 1)
    assert learning.touches(later) == pack_touches([(peer.session_id, 10_000)])
    assert learning.touches(later) == b""


def test_a_session_that_ends_elsewhere_ends_here() -> None:
    house = House()
    name = follower_of(house)
    peer = opened(house, name)
    moved = attached(house, house.leader(), peer.session_id)
    moved.send(ask.close_session())
    house.settle()
    assert peer.connection.state == CLOSING and peer.why is not None


def test_a_tree_that_differs_is_counted_and_told_of_once() -> None:
    house = House()
    name = follower_of(house)
    member, peer = house.member(name), opened(house, name)
    member.tree.digest ^= 1
    peer.ask(ask.create("/a"))
    peer.ask(ask.create("/b"))
    assert member.metrics.digest_mismatches == 2
    notes = [effect for at, effect in house.take_effects() if at == name and "tree digest" in repr(effect)]
    assert len(notes) == 1
