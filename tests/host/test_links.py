"""The quorum channel over loopback: links, snapshots between packets, and what strangers get."""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Coroutine

import pytest

from tests.compat.oracle import free_port
from tests.tree.test_snapshot import furnished
from zoopark.host.links import MAX_UNSENT_BYTES, Inputs, QuorumLinks
from zoopark.host.strangers import MAX_STRANGERS, Complaints
from zoopark.jute.quorum import (
    ACK,
    FOLLOWERINFO,
    NEWLEADER,
    PING,
    PROPOSAL,
    SNAP,
    LearnerInfo,
    QuorumPacket,
    encode_learner_info,
    encode_packet,
)
from zoopark.tree.snapshot import write_stream
from zoopark.zab.effects import ReceiveSnapshot

PATIENCE_S = 10.0
Heard = tuple[object, ...]


class Post:
    """One server's quorum port; what its member would be told waits in `heard`."""

    def __init__(self, sid: int, addresses: dict[int, tuple[str, int]]) -> None:
        loop = asyncio.get_running_loop()
        self.address = addresses[sid]
        self.heard: asyncio.Queue[Heard] = asyncio.Queue()
        tell = self.heard.put_nowait
        inputs = Inputs()
        inputs.on_link = lambda link: tell(("link", link))
        inputs.on_dialled = lambda sid, link: tell(("dialled", sid, link))
        inputs.on_dial_failed = lambda sid: tell(("dial failed", sid))
        inputs.on_packets = self._on_packets
        inputs.on_link_lost = lambda link: tell(("lost", link))
        inputs.on_snapshot = lambda link, pieces: tell(("snapshot", link, b"".join(pieces)))
        inputs.on_snapshot_lost = lambda: tell(("snapshot lost",))
        self.links = QuorumLinks(
            loop, sid, {at: [place] for at, place in addresses.items()}, inputs, lambda: None, Complaints(loop.time)
        )
        self.listener: asyncio.Server | None = None

    async def open(self) -> None:
        self.listener = await asyncio.get_running_loop().create_server(self.links.accept, *self.address)

    def _on_packets(self, link: int, packets: list[QuorumPacket]) -> None:
        for packet in packets:
            self.heard.put_nowait(("packet", link, packet.type, packet.zxid))

    async def hear(self, count: int = 1) -> list[Heard]:
        """The next things that the member is told."""
        return [await asyncio.wait_for(self.heard.get(), PATIENCE_S) for _ in range(count)]

    def close(self) -> None:
        if self.listener is not None:
            self.listener.close()
        self.links.close()


def _play(scene: Callable[[Post, Post], Coroutine[None, None, None]]) -> None:
    """A scene with a leader, server 1, that listens, and server 2 that does not; 3 is configured and absent."""

    async def run() -> None:
        addresses = {sid: ("127.0.0.1", free_port()) for sid in (1, 2, 3)}
        leader, learner = Post(1, addresses), Post(2, addresses)
        await leader.open()
        try:
            await scene(leader, learner)
        finally:
            leader.close()
            learner.close()

    asyncio.run(run())


def _info(sid: int) -> QuorumPacket:
    return QuorumPacket(FOLLOWERINFO, 0, encode_learner_info(LearnerInfo(sid)))


async def _join(leader: Post, learner: Post) -> None:
    """Link 1 of each: the learner has dialled and said who it is."""
    learner.links.dial(1)
    assert await learner.hear() == [("dialled", 1, 1)]
    learner.links.send(1, [_info(2)])
    assert await leader.hear(2) == [("link", 1), ("packet", 1, FOLLOWERINFO, 0)]


async def _is_closed(plug: socket.socket) -> bool:
    plug.setblocking(False)
    try:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(plug, 1), PATIENCE_S) == b""
    except ConnectionError:
        return True


def test_a_stranger_that_hangs_up_is_no_error() -> None:
    """On asyncio's own loop, which calls what uvloop does without."""

    async def scene(leader: Post, learner: Post) -> None:
        errors: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        reader, writer = await asyncio.open_connection(*leader.address)
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
        writer.close()
        assert errors == []

    _play(scene)


def test_packets_travel_both_ways_in_order_and_a_close_is_heard_on_the_other_side_only() -> None:
    """No input of a link follows its CloseLink."""

    async def scene(leader: Post, learner: Post) -> None:
        await _join(leader, learner)
        leader.links.send(1, [QuorumPacket(PROPOSAL, zxid, b"x" * zxid) for zxid in range(300)])
        assert await learner.hear(300) == [("packet", 1, PROPOSAL, zxid) for zxid in range(300)]
        leader.links.send(1, [QuorumPacket(PING, 7)])
        leader.links.close_link(1, "done")
        leader.links.send(1, [QuorumPacket(PING, 8)])
        assert await learner.hear(2) == [("packet", 1, PING, 7), ("lost", 1)]
        assert leader.heard.empty()

    _play(scene)


def test_a_dial_to_nobody_fails() -> None:
    """It is answered all the same, once."""

    async def scene(leader: Post, learner: Post) -> None:
        learner.links.dial(3)
        assert await learner.hear() == [("dial failed", 3)]

    _play(scene)


@pytest.mark.parametrize("is_wanted_first", [True, False])
def test_a_snapshot_arrives_between_packets(is_wanted_first: bool) -> None:
    """Whether the member asks before the bytes are there or after; the packets behind wait for it."""

    async def scene(leader: Post, learner: Post) -> None:
        await _join(leader, learner)
        stream = b"".join(write_stream(furnished()))
        leader.links.send(1, [QuorumPacket(SNAP, 9)])
        link = leader.links.by_number[1]
        states: list[bool] = []
        link.begin_stream(states.append)
        leader.links.send(1, [QuorumPacket(NEWLEADER, 5), QuorumPacket(PING, 6)])
        assert await learner.hear() == [("packet", 1, SNAP, 9)]
        wanted = ReceiveSnapshot(1, 9, 10_000)
        if is_wanted_first:
            learner.links.receive(wanted)
        for at in range(0, len(stream), 100):
            link.write_stream(stream[at : at + 100])
        link.end_stream("")
        if not is_wanted_first:
            leader.links.dial(3)
            assert await leader.hear() == [("dial failed", 3)]
            learner.links.receive(wanted)
        expected = [("snapshot", 1, stream), ("packet", 1, NEWLEADER, 5), ("packet", 1, PING, 6)]
        assert await learner.hear(3) == expected

    _play(scene)


@pytest.mark.parametrize("how", ["closed there", "closed here", "idle", "nonsense"])
def test_a_snapshot_that_never_becomes_whole_is_lost(how: str) -> None:
    """Exactly one answer, whatever happened to the link."""

    async def scene(leader: Post, learner: Post) -> None:
        await _join(leader, learner)
        leader.links.send(1, [QuorumPacket(SNAP, 9)])
        link = leader.links.by_number[1]
        link.begin_stream(lambda may: None)
        assert await learner.hear() == [("packet", 1, SNAP, 9)]
        learner.links.receive(ReceiveSnapshot(1, 9, 50 if how == "idle" else 10_000))
        link.write_stream(bytes(4) if how != "nonsense" else b"\xff\xff\xff\x00")
        if how == "closed there":
            link.end_stream("the child died")
        if how == "closed here":
            learner.links.close_link(1, "enough")
        heard = await learner.hear(1 if how == "closed here" else 2)
        assert sorted(map(str, heard)) == sorted(map(str, [("snapshot lost",), ("lost", 1)][: len(heard)]))
        assert learner.heard.empty()

    _play(scene)


def test_a_snapshot_of_a_link_that_is_gone_is_lost() -> None:
    """The effect may have been on its way when the link ended."""

    async def scene(leader: Post, learner: Post) -> None:
        learner.links.receive(ReceiveSnapshot(5, 9, 10_000))
        assert await learner.hear() == [("snapshot lost",)]

    _play(scene)


def test_a_learner_that_takes_nothing_is_dropped_and_others_are_served() -> None:
    """What lies for it is bounded."""

    async def scene(leader: Post, learner: Post) -> None:
        await _join(leader, learner)
        loop = asyncio.get_running_loop()
        with socket.create_connection(leader.address, PATIENCE_S) as plug:
            plug.setblocking(False)
            await loop.sock_sendall(plug, encode_packet(_info(3)))
            assert await leader.hear(2) == [("link", 2), ("packet", 2, FOLLOWERINFO, 0)]
            for at in range(100):
                leader.links.send(2, [QuorumPacket(PROPOSAL, at, bytes(1 << 20))])
                if leader.links.by_number[2].transport is None or not leader.heard.empty():
                    break
            assert await leader.hear() == [("lost", 2)]
            assert at < 100 and at << 20 <= 2 * MAX_UNSENT_BYTES
        leader.links.send(1, [QuorumPacket(PING, 4)])
        assert await learner.hear() == [("packet", 1, PING, 4)]

    _play(scene)


STRANGERS = [
    (b"GET / HTTP/1.1\r\n\r\n" * 2, "unreasonable length 774966538 of a field"),
    (struct.pack(">iqi", FOLLOWERINFO, 0, 0x7FFFFFFF) + bytes(4), "unreasonable length 2147483647 of a field"),
    (struct.pack(">iqii", FOLLOWERINFO, 0, -1, 1 << 30), f"{1 << 30} identities in a packet"),
    (encode_packet(QuorumPacket(PROPOSAL, 1, b"")), "a packet of type 2 for an introduction"),
    (encode_packet(QuorumPacket(ACK, 1)), "a packet of type 3 for an introduction"),
    (encode_packet(_info(9)), "says it is server 9, which is not configured"),
    (encode_packet(_info(1)), "has the id of this server, 1: two servers with one myid?"),
    (encode_packet(_info(2)), "says it is server 2, which is connected: two servers with one myid?"),
]


@pytest.mark.parametrize(("data", "why"), STRANGERS)
def test_a_stranger_is_closed_and_disturbs_nobody(data: bytes, why: str, caplog: pytest.LogCaptureFixture) -> None:
    """The member hears nothing of it; one line a minute."""
    caplog.set_level(logging.WARNING)

    async def scene(leader: Post, learner: Post) -> None:
        leader.links.stale_s = 60.0
        await _join(leader, learner)
        for _ in range(3):
            with socket.create_connection(leader.address, PATIENCE_S) as plug:
                plug.sendall(data)
                assert await _is_closed(plug)
        learner.links.send(1, [QuorumPacket(PING, 4)])
        assert await leader.hear() == [("packet", 1, PING, 4)]
        assert leader.heard.empty()

    _play(scene)
    said = [record.message for record in caplog.records if "quorum port" in record.message]
    assert said == [f"127.0.0.1 on the quorum port: {why}"]


def test_who_was_silent_for_long_gives_way_to_a_newer_link() -> None:
    """A machine that lost its power comes back while its old link still seems to be open."""

    async def scene(leader: Post, learner: Post) -> None:
        leader.links.stale_s = -1.0
        await _join(leader, learner)
        with socket.create_connection(leader.address, PATIENCE_S) as plug:
            plug.sendall(encode_packet(_info(2)))
            heard = await leader.hear(3)
        assert sorted(map(str, heard)) == sorted(map(str, [("link", 2), ("packet", 2, FOLLOWERINFO, 0), ("lost", 1)]))

    _play(scene)


def test_a_flood_of_connects_leaves_room_for_a_learner() -> None:
    """Only so many of those who say nothing are kept."""

    async def scene(leader: Post, learner: Post) -> None:
        plugs = []
        for _ in range(3 * MAX_STRANGERS):
            plugs.append(socket.create_connection(leader.address, PATIENCE_S))
            await asyncio.sleep(0)
        await _join(leader, learner)
        assert len(leader.links.strangers) <= MAX_STRANGERS
        for plug in plugs:
            plug.close()

    _play(scene)
