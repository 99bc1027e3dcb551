"""Links between places, as TCP gives them: in order, nothing lost but with the whole link.

    open ── break_link, close ──> each end hears of it in its own time, what was under way may arrive before or is lost

A partition blocks directions between places: what is sent waits, as TCP's retransmissions do, and arrives when the
partition heals, unless the link broke before. Nobody is told of a partition.

It must never be kinder than TCP: to be connected says nothing about the other way, and a closed link tells nobody which
of the last bytes arrived.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias, final

from zoopark.sim.world import LOST, MS, SECOND, World

Receive: TypeAlias = Callable[["Link", Any], None]
"""Is given what arrived, or GONE once when the link is lost."""

GONE: Final = "gone"
TYPICAL_US: Final = 150
SPREAD_US: Final = 700
SPIKE_ODDS: Final = 0.01
SPIKE_US: Final = 40 * MS
SILENT_LOSS_US: Final = 15 * SECOND


@final
class Link:
    """One connection between two places; side 0 opened it.

    Attributes:
        serial: names it, from 1.
        places: the two places, by side.
        kind: the kind of event that an arrival is, by side.
        is_alive: whether each side still listens.
    """

    __slots__ = ("busy_us", "held", "is_alive", "is_dropping", "is_open", "kind", "places", "receive", "serial")

    def __init__(
        self, serial: int, places: tuple[int, int], receive: tuple[Receive, Receive], kind: tuple[int, int]
    ) -> None:
        self.serial = serial
        self.places = places
        self.receive = receive
        self.kind = kind
        self.is_alive = [True, True]
        self.is_dropping = [False, False]
        self.is_open = True
        self.busy_us = [0, 0]
        self.held: tuple[list[tuple[int, Any]], list[tuple[int, Any]]] = ([], [])

    def side_of(self, place: int) -> int:
        """Which side a place is."""
        return 0 if self.places[0] == place else 1


@final
class Network:
    """All links.

    Attributes:
        links: those that at least one end still listens to, by serial.
        blocked: (from, to) pairs of places between which nothing arrives.
        stretch: how many times longer everything takes.
        n_messages: arrivals so far.
    """

    __slots__ = ("_last_serial", "_random", "blocked", "links", "n_messages", "stretch", "world")

    def __init__(self, world: World) -> None:
        self.world = world
        self.links: dict[int, Link] = {}
        self.blocked: dict[tuple[int, int], None] = {}
        self.stretch = 1
        self.n_messages = 0
        self._last_serial = 0
        self._random = world.random.random

    def open(self, places: tuple[int, int], receive: tuple[Receive, Receive], kind: tuple[int, int]) -> Link:
        """A new link; both ends listen from now on."""
        self._last_serial += 1
        link = Link(self._last_serial, places, receive, kind)
        self.links[link.serial] = link
        return link

    def delay_us(self) -> int:
        """How long a message takes: mostly less than a millisecond, sometimes much more."""
        chance = self._random()
        if chance < SPIKE_ODDS:
            return int(self._random() * SPIKE_US) * self.stretch
        return (TYPICAL_US + int(chance * SPREAD_US)) * self.stretch

    def send(self, link: Link, side: int, fingerprint: int, payload: Any) -> None:
        """Send from one side to the other; `fingerprint` goes into the trace hash. A closed link is silent."""
        if not link.is_open:
            return
        to = 1 - side
        when_us = self.world.now_us + self.delay_us()
        when_us = max(when_us, link.busy_us[to])
        link.busy_us[to] = when_us
        self.world.at(when_us, self._arrive, link.kind[to], (link.places[to], fingerprint), (link, to, payload))

    def close(self, link: Link, side: int) -> None:
        """One end closes: it hears nothing more; the other end hears what was sent before, or, after a reset, not."""
        link.is_alive[side] = False
        if not link.is_open:
            self._forget(link)
            return
        self._end(link, 1 - side, has_reset=self._random() < 0.3)
        link.is_open = False
        self._forget(link)

    def break_link(self, link: Link) -> None:
        """The link is lost: both ends hear of it, each in its own time."""
        if not link.is_open:
            return
        for side in (0, 1):
            if link.is_alive[side]:
                self._end(link, side, has_reset=self._random() < 0.5)
        link.is_open = False

    def vanish(self, link: Link, side: int) -> None:
        """One end lost power: nobody is told; the other end finds out much later."""
        link.is_alive[side] = False
        if link.is_open:
            link.is_open = False
            to = 1 - side
            link.is_dropping[to] = True
            delay_us = int(self._random() * SILENT_LOSS_US)
            self.world.after(delay_us, self._lose, LOST, link.places[to], link.serial, (link, to))
        self._forget(link)

    def is_reachable(self, here: int, there: int) -> bool:
        """Whether a new link may come about: both directions are needed."""
        return not self.blocked or ((here, there) not in self.blocked and (there, here) not in self.blocked)

    def block(self, pairs: list[tuple[int, int]]) -> None:
        """From now on nothing gets from the first to the second place of these pairs."""
        for pair in pairs:
            self.blocked[pair] = None

    def heal(self) -> None:
        """No partition any more; what waited arrives."""
        self.blocked.clear()
        for link in list(self.links.values()):
            for to in (0, 1):
                self._release(link, to)

    def _release(self, link: Link, to: int) -> None:
        """Let what waits arrive one by one; what is under way already queues up behind it."""
        if link.held[to]:
            self.world.after(self.delay_us(), self._flush, link.kind[to], link.places[to], link.serial, (link, to))

    def _flush(self, who: int, serial: int, payload: Any) -> None:
        link, to = payload
        if not link.held[to] or (link.places[1 - to], who) in self.blocked:
            return
        _, message = link.held[to].pop(0)
        if link.is_alive[to] and not link.is_dropping[to]:
            self._hand_over(link, to, message)
        self._release(link, to)

    def _end(self, link: Link, to: int, has_reset: bool) -> None:
        """Let one side hear that the link is lost, after everything that is under way or in place of it."""
        if has_reset:
            link.is_dropping[to] = True
            self.world.after(self.delay_us(), self._lose, LOST, link.places[to], link.serial, (link, to))
        else:
            self.send(link, 1 - to, link.serial, GONE)

    def _arrive(self, who: int, fingerprint: int, payload: Any) -> None:
        link, to, message = payload
        if link.is_dropping[to] or not link.is_alive[to]:
            return
        if link.held[to] or (self.blocked and (link.places[1 - to], who) in self.blocked):
            link.held[to].append((fingerprint, message))
            return
        self._hand_over(link, to, message)

    def _hand_over(self, link: Link, to: int, message: Any) -> None:
        self.n_messages += 1
        if message is GONE:
            self._tell_lost(link, to)
        else:
            link.receive[to](link, message)

    def _lose(self, who: int, serial: int, payload: Any) -> None:
        link, to = payload
        self._tell_lost(link, to)

    def _tell_lost(self, link: Link, to: int) -> None:
        if link.is_alive[to]:
            link.is_alive[to] = False
            link.receive[to](link, GONE)
        self._forget(link)

    def _forget(self, link: Link) -> None:
        if not link.is_alive[0] and not link.is_alive[1]:
            link.held[0].clear()
            link.held[1].clear()
            self.links.pop(link.serial, None)
