"""What a wake-up leads to, gathered so that each link, the log and the tree are touched once.

    to_followers, to_observers   one list of packets for all of them       } at most one of these two
    send                         a list of packets for each link           } is filled at any time
    deliver, append              one list each
    pass_up                      what comes from one link, until another link's or an `emit`

`flush` turns the lists into effects: first what others wait for (Send), then what clients wait for (Deliver), and last
what takes longest (Append). Nothing that is sent promises what the Append behind it has yet to make durable: promises
leave after `on_logged`, in a later wake-up. An effect whose place matters is given to `emit`, which flushes first.
"""

from typing import Final, TypeAlias, final

from zoopark.jute.quorum import QuorumPacket
from zoopark.record import Effect
from zoopark.zab.effects import Append, CloseLink, Deliver, Passed, Send

Entry: TypeAlias = tuple[int, bytes]
"""(zxid, transaction)."""

_FOLLOWERS: Final = 0
_OBSERVERS: Final = 1


@final
class Outbox:
    """The effects of one member that have not been taken.

    Attributes:
        n_joined: how many links have ever joined.
    """

    __slots__ = ("_appended", "_delivered", "_effects", "_groups", "_passed", "_personal", "_shared", "n_joined")

    def __init__(self) -> None:
        self._effects: list[Effect] = []
        self._passed: tuple[int, list[QuorumPacket]] | None = None
        self._appended: list[Entry] = []
        self._delivered: list[Entry] = []
        self._personal: dict[int, list[QuorumPacket]] = {}
        self._shared: tuple[list[QuorumPacket], list[QuorumPacket]] = ([], [])
        self._groups: tuple[list[int], list[int]] = ([], [])
        self.n_joined = 0

    def take(self) -> list[Effect]:
        """All effects in order; each is given once."""
        self.flush()
        effects, self._effects, self._passed = self._effects, [], None
        return effects

    def emit(self, effect: Effect) -> None:
        """An effect behind everything that came before it."""
        self.flush()
        self._effects.append(effect)
        self._passed = None

    def add(self, effect: Effect) -> None:
        """An effect that may overtake packets, transactions and writes of the same wake-up."""
        self._effects.append(effect)

    def pass_up(self, link: int, packet: QuorumPacket) -> None:
        """A packet for the server, which may overtake packets, transactions and writes of the same wake-up."""
        passed = self._passed
        if passed is not None and passed[0] == link:
            passed[1].append(packet)
        else:
            self._passed = (link, [packet])
            self._effects.append(Passed(link, self._passed[1]))

    def append(self, entry: Entry) -> None:
        """Log a transaction."""
        assert not self._appended or entry[0] > self._appended[-1][0], entry[0]
        self._appended.append(entry)

    def deliver(self, entries: list[Entry]) -> None:
        """Apply transactions."""
        assert not self._delivered or entries[0][0] > self._delivered[-1][0], entries[0][0]
        self._delivered += entries

    def send(self, link: int, packet: QuorumPacket) -> None:
        """Send a packet to one link."""
        self.send_all(link, [packet])

    def send_all(self, link: int, packets: list[QuorumPacket]) -> None:
        """Send packets, at least one, to one link; the list is given away."""
        assert packets[0].type > 0, packets[0]
        self._close_shared()
        burst = self._personal.get(link)
        if burst is None:
            self._personal[link] = packets
        else:
            burst += packets

    def to_followers(self, packet: QuorumPacket) -> None:
        """Send a packet to every link that joined as a follower."""
        assert packet.type > 0, packet
        if self._personal:
            self._close_personal()
        self._shared[_FOLLOWERS].append(packet)

    def to_observers(self, packet: QuorumPacket) -> None:
        """Send a packet to every link that joined as an observer."""
        assert packet.type > 0, packet
        if self._personal:
            self._close_personal()
        self._shared[_OBSERVERS].append(packet)

    def join(self, link: int, is_observer: bool) -> None:
        """From now on the link gets what all followers, or all observers, get."""
        assert not self.has_joined(link), link
        self._close_shared()
        self._groups[is_observer].append(link)
        self.n_joined += 1

    def has_joined(self, link: int) -> bool:
        """Whether the link gets what all get."""
        return link in self._groups[_FOLLOWERS] or link in self._groups[_OBSERVERS]

    def has_observers(self) -> bool:
        """Whether any link joined as an observer."""
        return bool(self._groups[_OBSERVERS])

    def leave(self, link: int) -> None:
        """The link is gone: what it has not been sent is dropped."""
        self._close_shared()
        self._personal.pop(link, None)
        for group in self._groups:
            if link in group:
                group.remove(link)
        assert not self.has_joined(link), link

    def close(self, link: int, why: str) -> None:
        """Close a link behind what it was sent."""
        self.emit(CloseLink(link, why))
        self.leave(link)

    def flush(self) -> None:
        """Turn what is gathered into effects."""
        assert not (self._personal and (self._shared[_FOLLOWERS] or self._shared[_OBSERVERS])), "order of packets lost"
        self._close_shared()
        self._close_personal()
        if self._delivered:
            self._effects.append(Deliver(self._delivered))
            self._delivered = []
        if self._appended:
            self._effects.append(Append(self._appended, self._appended[-1][0]))
            self._appended = []

    def _close_personal(self) -> None:
        for link, packets in self._personal.items():
            self._effects.append(Send(link, packets))
        self._personal = {}

    def _close_shared(self) -> None:
        if not self._shared[_FOLLOWERS] and not self._shared[_OBSERVERS]:
            return
        for links, packets in zip(self._groups, self._shared, strict=True):
            if packets:
                self._effects += [Send(link, packets) for link in links]
        self._shared = ([], [])
