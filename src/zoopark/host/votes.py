"""The election channel: one connection for each pair of servers, opened by the one with the larger sid.

    a smaller one dials     says who it is and closes; the larger one dials back
    a larger one dials      its connection takes the place of any other with it
    a notification          waits for the connection; a newer one takes its place. The last one is said again to whoever
                            connects anew, since nobody knows what the old connection still carried

While a notification waits, its server is dialled again and again, at growing distances; its address is resolved at
every dial. What this must never do: keep more than one notification for a server, or believe an id that nobody
configured. Source: ZooKeeper's QuorumCnxManager; PROTOCOL 4.2.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast, final

from zoopark.errors import Malformed
from zoopark.host.dialling import dial
from zoopark.host.strangers import Complaints, Strangers, report, source_of
from zoopark.jute.quorum import (
    Address,
    ElectionReader,
    Notification,
    Opening,
    encode_notification,
    encode_opening,
)

DIAL_S: Final = 5.0
PATIENCE_S: Final = 10.0
FIRST_REDIAL_S: Final = 0.1
LAST_REDIAL_S: Final = 2.0
SILENT_S: Final = 2.0
"""A server that is not reached for so long is told of; while an ensemble starts, or one of it, nobody need know."""
YOUNG_S: Final = 1.0
"""Of a connection younger than this a server that knocks need not know yet."""
MAX_UNSENT_BYTES: Final = 1 << 16

_log = logging.getLogger("zoopark")


@final
class VoteLink(asyncio.Protocol):
    """One connection.

    Args:
        sid: whom it was dialled to; -1 if the other side dialled, until it says who it is.
    """

    def __init__(self, votes: "Votes", sid: int) -> None:
        self.votes = votes
        self.sid = sid
        self.is_choked = False
        self.since_s = votes.loop.time()
        self.transport: asyncio.Transport | None = None
        self._reader = ElectionReader(is_accepted=sid < 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do what asyncio.Transport promises without being one.
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(MAX_UNSENT_BYTES)
        if self.sid < 0:
            self.votes.strangers.add(self.transport)

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        try:
            notifications = self._reader.feed(data)
        except Malformed as error:
            self.votes.refuse(self, str(error))
            return
        if self.sid < 0 and (self._reader.opening is None or not self.votes.introduce(self, self._reader.opening)):
            return
        for notification in notifications:
            self.votes.on_notification(self.sid, notification)

    def connection_lost(self, exc: Exception | None) -> None:
        assert self.transport is not None
        self.votes.strangers.settle(self.transport)
        self.votes.forget(self)

    def pause_writing(self) -> None:
        self.is_choked = True

    def resume_writing(self) -> None:
        self.is_choked = False
        self.votes.flush(self.sid)


@final
class _Way:
    """The way to one server: the connection, and what is to be said."""

    __slots__ = ("addresses", "came", "dial", "is_said", "is_told_of", "last", "link", "missed_s", "redial", "redial_s")

    def __init__(self, addresses: Sequence[Address]) -> None:
        self.addresses = addresses
        self.came = ""
        self.link: VoteLink | None = None
        self.dial: asyncio.Task[None] | None = None
        self.redial: asyncio.TimerHandle | None = None
        self.redial_s = FIRST_REDIAL_S
        self.last = b""
        self.is_said = True
        self.missed_s: float | None = None  # since when it has not been reached
        self.is_told_of = False  # and the log says so


@final
class Votes:
    """The election channel of one server.

    Args:
        sid: of this server.
        addresses: where the election ports are, by sid, this server's own included.
        on_notification: told (sid, notification).

    Attributes:
        dial_s: how long an attempt to reach an address may take (cnxTimeout).
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sid: int,
        addresses: Mapping[int, Sequence[Address]],
        on_notification: Callable[[int, Notification], None],
        complaints: Complaints,
    ) -> None:
        self.loop = loop
        self.sid = sid
        self.on_notification = on_notification
        self.strangers = Strangers(loop, "election", PATIENCE_S, complaints)
        self._complaints = complaints
        self.dial_s = DIAL_S
        own = tuple(addresses[sid])
        self._opening = encode_opening(Opening(sid, own), len(own) > 1)
        self._ways = {other: _Way(places) for other, places in addresses.items() if other != sid}
        self._is_closed = False

    def accept(self) -> asyncio.Protocol:
        """The protocol of somebody who connects."""
        return VoteLink(self, -1)

    def notify(self, sid: int, notification: Notification) -> None:
        """Send a notification as soon as there is a way; a newer one takes the place of one that waits."""
        way = self._ways.get(sid)
        if way is None:
            return  # to itself: an election counts its own vote
        way.last = encode_notification(notification)
        way.is_said = False
        way.redial_s = FIRST_REDIAL_S
        self.flush(sid)

    def flush(self, sid: int) -> None:
        """Say what waits for this server."""
        way = self._ways[sid]
        if way.is_said or self._is_closed:
            return
        if way.link is None:
            self._dial(sid, way)
        elif not way.link.is_choked:
            assert way.link.transport is not None
            way.is_said = True
            way.link.transport.write(way.last)

    def introduce(self, link: VoteLink, opening: Opening) -> bool:
        """Somebody says who it is; whether its connection stays."""
        assert link.transport is not None
        if opening.sid == self.sid:
            self.refuse(link, f"has the id of this server, {self.sid}: two servers with one myid?")
            return False
        way = self._ways.get(opening.sid)
        if way is None:
            self.refuse(link, f"says it is server {opening.sid}, which is not configured")
            return False
        self.strangers.settle(link.transport)
        self._compare(link, opening, way)
        if opening.sid < self.sid:
            link.transport.abort()
            self._dial_back(opening.sid, way)
            return False
        link.sid = opening.sid
        self._take(link, way)
        return True

    def refuse(self, link: VoteLink, why: str) -> None:
        """Close a connection on which nonsense came."""
        assert link.transport is not None
        self.strangers.refuse(link.transport, why)

    def forget(self, link: VoteLink) -> None:
        """A connection is gone; what was said last may not have arrived."""
        way = self._ways.get(link.sid)
        if way is None or way.link is not link:
            return
        way.link = None
        way.is_said = not way.last
        if not way.is_said:
            self._redial_later(link.sid, way)

    def close(self) -> None:
        """End everything."""
        self._is_closed = True
        self.strangers.close()
        for way in self._ways.values():
            if way.dial is not None:
                way.dial.cancel()
            if way.redial is not None:
                way.redial.cancel()
            if way.link is not None and way.link.transport is not None:
                way.link.transport.abort()

    def _compare(self, link: VoteLink, opening: Opening, way: _Way) -> None:
        """Say so if the one who came before with this id was elsewhere, or said that it listens elsewhere.

        A server that listens on several networks may come over any of them.
        """
        assert link.transport is not None
        places = sorted(f"{host}:{port}" for host, port in opening.addresses)
        if len(places) < 2:
            places.insert(0, source_of(link.transport))
        came, way.came = way.came, ", at ".join(places)
        if came not in ("", way.came):
            text = f"server {opening.sid} came from {came}, and comes from {way.came}: two servers with one myid?"
            self._complaints.say(f"server {opening.sid}", text)

    def _take(self, link: VoteLink, way: _Way) -> None:
        """This connection is the one with its server from now on."""
        old, way.link = way.link, link
        if old is not None and old.transport is not None:
            old.transport.abort()
        way.redial_s = FIRST_REDIAL_S
        way.missed_s = None
        if way.is_told_of:
            way.is_told_of = False
            _log.info("server %d answers now", link.sid)
        way.is_said = not way.last
        self.flush(link.sid)

    def _dial_back(self, sid: int, way: _Way) -> None:
        """A smaller one asks to be dialled: it has no connection, whatever this side believes."""
        if way.link is not None:
            if self.loop.time() - way.link.since_s < YOUNG_S:
                return
            old, way.link = way.link, None
            assert old.transport is not None
            old.transport.abort()
        self._dial(sid, way)

    def _dial(self, sid: int, way: _Way) -> None:
        if way.dial is None and not self._is_closed:
            if way.redial is not None:
                way.redial.cancel()
                way.redial = None
            way.dial = self.loop.create_task(self._dial_now(sid, way))
            way.dial.add_done_callback(lambda task: report(self.loop, task))

    async def _dial_now(self, sid: int, way: _Way) -> None:
        try:
            link = await dial(self.loop, lambda: VoteLink(self, sid), way.addresses, self.dial_s)
        except OSError as error:
            way.dial = None
            self._miss(sid, way, str(error))
            return
        way.dial = None
        assert link.transport is not None
        if link.transport.is_closing():  # it was closed before anybody could use it; uvloop lets nobody write there
            self._miss(sid, way, "the connection was closed at once")
            return
        link.transport.write(self._opening)
        if sid > self.sid:
            link.sid = self.sid  # no way leads there: it is forgotten
            link.transport.close()
            self._redial_later(sid, way)
        elif way.link is None:
            self._take(link, way)
        else:
            link.transport.abort()

    def _miss(self, sid: int, way: _Way, why: str) -> None:
        """It was not reached: say so if that has lasted, and look again."""
        if way.link is not None:
            return  # it has dialled meanwhile
        if way.missed_s is None:
            way.missed_s = self.loop.time()
        elif self.loop.time() - way.missed_s >= SILENT_S:
            said = self._complaints.say(f"dial {sid}", f"server {sid} does not answer yet ({why}); it is tried again")
            way.is_told_of = way.is_told_of or said
        if not way.is_said:
            self._redial_later(sid, way)

    def _redial_later(self, sid: int, way: _Way) -> None:
        """Look again, at growing distances, whether something still waits."""
        if way.redial is None and not self._is_closed:
            way.redial = self.loop.call_later(way.redial_s, self._on_redial, sid, way)
            way.redial_s = min(2 * way.redial_s, LAST_REDIAL_S)

    def _on_redial(self, sid: int, way: _Way) -> None:
        way.redial = None
        self.flush(sid)
