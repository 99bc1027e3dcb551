"""The quorum channel: links between a leader and its learners, which carry packets and, behind a SNAP, a whole tree.

    accepted   a stranger, until it has said with its first packet which configured server it is; only then a link
    dialled    a link at once; the address is resolved at every dial
    SNAP in    what follows is cut off by `StreamCutter` and handed over whole; the packets behind it wait for that
    SNAP out   a child process writes the tree as it is at the fork; packets behind it wait here

A learner that does not take what it is sent is dropped once MAX_UNSENT_BYTES lie here, so that it costs the others
nothing. What this must never do: change the order of anything on a link, tell of a link after it was closed, or keep
more of a stranger than an introduction has.
Source: ZooKeeper's Learner, LearnerHandler and Leader.LearnerCnxAcceptor.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast, final

from zoopark.errors import CorruptSnapshot, Malformed
from zoopark.host.dialling import dial
from zoopark.host.strangers import Complaints, Strangers, report
from zoopark.jute.quorum import (
    FOLLOWERINFO,
    OBSERVERINFO,
    SNAP,
    Address,
    PacketReader,
    QuorumPacket,
    decode_learner_info,
    encode_packet,
)
from zoopark.tree.cutter import StreamCutter
from zoopark.zab.effects import ReceiveSnapshot

DIAL_S: Final = 5.0
LINGER_S: Final = 5.0
PATIENCE_S: Final = 10.0
MAX_INTRODUCTION_BYTES: Final = 64
MAX_UNSENT_BYTES: Final = 64 << 20
"""A learner that lets so much lie is dropped."""
HIGH_WATER_BYTES: Final = 1 << 20

_log = logging.getLogger("zoopark")


@final
class Inputs:
    """Who is told what happens on links; the meaning is that of the inputs of `zoopark.zab.peer.Peer`.

    Args:
        on_link: a learner has dialled: (link).
        on_dialled: a Dial succeeded: (sid, link); `on_dial_failed` did not: (sid).
        on_packets: (link, packets), in the order they came; `on_link_lost`: (link).
        on_snapshot: all that ReceiveSnapshot asked for has come: (link, pieces); `on_snapshot_lost`: it never will.
    """

    __slots__ = (
        "on_dial_failed",
        "on_dialled",
        "on_link",
        "on_link_lost",
        "on_packets",
        "on_snapshot",
        "on_snapshot_lost",
    )

    on_link: Callable[[int], None]
    on_dialled: Callable[[int, int], None]
    on_dial_failed: Callable[[int], None]
    on_packets: Callable[[int, list[QuorumPacket]], None]
    on_link_lost: Callable[[int], None]
    on_snapshot: Callable[[int, list[bytes]], None]
    on_snapshot_lost: Callable[[], None]


@final
class QuorumLink:
    """One connection; does what asyncio.Protocol asks for without being one, so that it can be compiled.

    Attributes:
        number: what the member knows it by; 0 for a stranger, and once it is closed.
        sid: who is on the other side; -1 for a stranger.
        heard_s: when something came last.
    """

    def __init__(self, links: "QuorumLinks", sid: int) -> None:
        self.links = links
        self.sid = sid
        self.number = 0
        self.heard_s = 0.0
        self.is_choked = False
        self.transport: asyncio.Transport | None = None
        self._reader = PacketReader(MAX_INTRODUCTION_BYTES) if sid < 0 else PacketReader()
        self._cutter: StreamCutter | None = None
        self._behind = b""
        self._wanted: ReceiveSnapshot | None = None
        self._source: Callable[[bool], None] | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._is_ending = False

    # ---- what the loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do what asyncio.Transport promises without being one.
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(HIGH_WATER_BYTES)
        if self.sid < 0:
            self.links.strangers.add(self.transport)

    def data_received(self, data: bytes) -> None:
        if not self.number and self.sid >= 0:
            return  # closed from here, and what the other side still says does not matter
        self.heard_s = self.links.loop.time()
        try:
            if self._cutter is not None:
                self._receive(self._cutter, data)
            else:
                self._read(data)
        except (Malformed, CorruptSnapshot) as error:
            self._break(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        assert self.transport is not None
        self.links.strangers.settle(self.transport)
        self.end()

    def eof_received(self) -> None:
        """The other side says no more; the loop closes the socket then."""

    def pause_writing(self) -> None:
        self.is_choked = True
        if self._source is not None:
            self._source(False)

    def resume_writing(self) -> None:
        self.is_choked = False
        if self._source is not None:
            self._source(True)

    # ---- what the member asks for

    def write(self, data: bytes) -> None:
        """Send packets, behind a snapshot that is under way."""
        assert self.transport is not None
        if self._source is not None:
            self._held.append(data)
            self._held_bytes += len(data)
        else:
            self.transport.write(data)
        unsent = self._held_bytes + (self.transport.get_write_buffer_size() if self.is_choked else 0)
        if unsent > MAX_UNSENT_BYTES:
            self._break("it does not take what it is sent")

    def want(self, wanted: ReceiveSnapshot) -> None:
        """The member is ready for the snapshot."""
        assert self._cutter is not None, "no SNAP came"
        self._wanted = wanted
        self.heard_s = self.links.loop.time()
        self._look_if_idle(wanted)
        try:
            self._hand_over()
        except (Malformed, CorruptSnapshot) as error:
            self._break(str(error))

    def begin_stream(self, source: Callable[[bool], None]) -> None:
        """A snapshot is written from now on; `source` is told whether it may go on, whenever that changes."""
        assert self._source is None, "two snapshots at a time"
        self._source = source
        if self.is_choked:
            source(False)

    def write_stream(self, piece: bytes) -> None:
        """The next bytes of the snapshot."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(piece)

    def end_stream(self, problem: str) -> None:
        """The snapshot is complete; or it never will be, and why."""
        self._source = None
        if problem and self.is_open():
            self._break(problem)
            return
        held, self._held, self._held_bytes = self._held, [], 0
        if self.transport is not None and held and not self.transport.is_closing():
            self.transport.write(b"".join(held))

    def close(self) -> None:
        """Send what is left, then close; nothing is heard of it any more."""
        self._leave()
        transport = self.transport
        assert transport is not None
        transport.close()
        self.links.loop.call_later(LINGER_S, transport.abort)

    def end(self) -> None:
        """It is gone."""
        number = self.number
        self._leave()
        if number:
            self.links.inputs.on_link_lost(number)
            self.links.wake()

    def is_open(self) -> bool:
        """Whether the member knows it still."""
        return self.number > 0

    # ---- inside

    def _leave(self) -> None:
        number, self.number = self.number, 0
        self.links.by_number.pop(number, None)
        if self._wanted is not None:
            self._wanted = None
            self.links.lose_snapshot()
        if self._source is not None:
            self._source(True)  # it finds nobody there
        self._cutter = None
        self._behind = b""

    def _break(self, why: str) -> None:
        """The link is of no more use."""
        assert self.transport is not None
        if self.sid < 0:
            self.links.strangers.refuse(self.transport, why)
            return
        _log.warning("the link with server %d is closed: %s", self.sid, why)
        self.transport.abort()
        if not self._is_ending:  # not within the carrying out of an effect: the member is told in a turn of its own
            self._is_ending = True
            self.links.loop.call_soon(self.end)

    def _read(self, data: bytes) -> None:
        packets = self._reader.feed(data)
        if not packets:
            return
        if self.sid < 0 and not self.links.introduce(self, packets[0]):
            return
        self.links.inputs.on_packets(self.number, packets)
        self.links.wake()
        if packets[-1].type == SNAP and self.number:
            self._cutter = StreamCutter()
            self._receive(self._cutter, self._reader.rest())

    def grow(self) -> None:
        """It has said who it is, and may say more than that."""
        rest, self._reader = self._reader.rest(), PacketReader()
        assert not self._reader.feed(rest), "a packet behind the introduction was passed over"

    def _receive(self, cutter: StreamCutter, data: bytes) -> None:
        if cutter.is_whole:
            self._behind += data
            if len(self._behind) > MAX_UNSENT_BYTES:
                self._break("too much behind a snapshot that is not taken")
            return
        self._behind = cutter.feed(data)
        self._hand_over()

    def _hand_over(self) -> None:
        cutter = self._cutter
        if self._wanted is None or cutter is None or not cutter.is_whole:
            return
        self._cutter = self._wanted = None
        self.links.inputs.on_snapshot(self.number, cutter.pieces)
        self.links.wake()
        behind, self._behind = self._behind, b""
        if behind:
            self._read(behind)

    def _look_if_idle(self, wanted: ReceiveSnapshot) -> None:
        """Give the snapshot up if nothing comes for too long."""
        if self._wanted is not wanted:
            return
        left_s = self.heard_s + wanted.idle_ms / 1000 - self.links.loop.time()
        if left_s > 0:
            self.links.loop.call_later(left_s, self._look_if_idle, wanted)
        else:
            self._break("the snapshot does not go on")


@final
class QuorumLinks:
    """All quorum links of one server.

    Args:
        sid: of this server.
        addresses: where the quorum ports are, by sid.
        inputs: who is told.
        wake: called after inputs, so that effects are carried out soon.
        stale_s: who has been silent for so long gives way to another one with its sid.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sid: int,
        addresses: Mapping[int, Sequence[Address]],
        inputs: Inputs,
        wake: Callable[[], None],
        complaints: Complaints,
    ) -> None:
        self.loop = loop
        self.sid = sid
        self.inputs = inputs
        self.wake = wake
        self.stale_s = 1.0
        self.by_number: dict[int, QuorumLink] = {}
        self.strangers = Strangers(loop, "quorum", PATIENCE_S, complaints)
        self._addresses = dict(addresses)
        self._complaints = complaints
        self._last_number = 0
        self._dials: set[asyncio.Task[None]] = set()
        self._encoded: tuple[list[QuorumPacket], bytes] = ([], b"")

    def accept(self) -> asyncio.Protocol:
        """The protocol of somebody who connects."""
        return _link_to(self, -1)

    def dial(self, sid: int) -> None:
        """Open a link to a server; `on_dialled` or `on_dial_failed` follows."""
        task = self.loop.create_task(self._dial(sid))
        self._dials.add(task)
        task.add_done_callback(self._on_dial_over)

    def send(self, number: int, packets: list[QuorumPacket]) -> None:
        """Send packets on a link; nothing happens if it is gone."""
        link = self.by_number.get(number)
        if link is None:
            return
        if self._encoded[0] is not packets:  # several links may be given the very same list
            self._encoded = (packets, b"".join([encode_packet(packet) for packet in packets]))
        link.write(self._encoded[1])

    def close_link(self, number: int, why: str) -> None:
        """Close a link behind what is left to send."""
        link = self.by_number.get(number)
        if link is not None:
            _log.info("the link with server %d is closed: %s", link.sid, why)
            link.close()

    def receive(self, wanted: ReceiveSnapshot) -> None:
        """Take the snapshot that follows on a link: `on_snapshot` or `on_snapshot_lost` comes."""
        link = self.by_number.get(wanted.link)
        if link is None:
            self.lose_snapshot()
        else:
            link.want(wanted)

    def lose_snapshot(self) -> None:
        """Tell that a snapshot will not come, in a turn of its own."""
        self.loop.call_soon(self._on_snapshot_lost)

    def introduce(self, link: QuorumLink, packet: QuorumPacket) -> bool:
        """Somebody has said its first packet; whether it may go on. Raises Malformed."""
        assert link.transport is not None
        if packet.type not in (FOLLOWERINFO, OBSERVERINFO):
            raise Malformed(f"a packet of type {packet.type} for an introduction")
        sid = decode_learner_info(packet.data).sid
        why = self._why_not(sid)
        if why:
            self.strangers.refuse(link.transport, why)
            return False
        self.strangers.settle(link.transport)
        link.sid = sid
        link.grow()
        self._add(link)
        self.inputs.on_link(link.number)
        return True

    def close(self) -> None:
        """End everything; nobody is told."""
        for task in self._dials:
            task.cancel()
        self.strangers.close()
        for link in list(self.by_number.values()):
            link.number = 0
            if link.transport is not None:
                link.transport.abort()
        self.by_number.clear()

    def _why_not(self, sid: int) -> str:
        """Why a learner with this sid is not welcome, or ""."""
        if sid == self.sid:
            return f"has the id of this server, {sid}: two servers with one myid?"
        if sid not in self._addresses:
            return f"says it is server {sid}, which is not configured"
        for other in list(self.by_number.values()):
            if other.sid == sid and self.loop.time() - other.heard_s < self.stale_s:
                return f"says it is server {sid}, which is connected: two servers with one myid?"
            if other.sid == sid and other.transport is not None:
                other.transport.abort()
        return ""

    def _add(self, link: QuorumLink) -> None:
        self._last_number += 1
        link.number = self._last_number
        link.heard_s = self.loop.time()
        self.by_number[link.number] = link

    async def _dial(self, sid: int) -> None:
        try:
            protocol = await dial(self.loop, lambda: _link_to(self, sid), self._addresses[sid], DIAL_S)
        except OSError as error:
            self._complaints.say(f"quorum {sid}", f"server {sid}, the leader, does not answer yet: {error}")
            self.inputs.on_dial_failed(sid)
            self.wake()
            return
        link = cast(QuorumLink, protocol)
        assert link.transport is not None
        self._add(link)
        self.inputs.on_dialled(sid, link.number)
        self.wake()
        if link.transport.is_closing():
            link.end()

    def _on_dial_over(self, task: asyncio.Task[None]) -> None:
        self._dials.discard(task)
        report(self.loop, task)

    def _on_snapshot_lost(self) -> None:
        self.inputs.on_snapshot_lost()
        self.wake()


def _link_to(links: QuorumLinks, sid: int) -> asyncio.Protocol:
    return cast(asyncio.Protocol, QuorumLink(links, sid))
