"""One clock, one queue of events, one source of chance: everything that happens in a simulation happens here.

An event is a tuple (when, serial, act, kind, who, what, payload) and happens as `act(who, what, payload)`. The serial
breaks ties, so that the order never depends on what an event holds. Every event goes into a running hash: the same
seed gives the same hash, or something looked at a clock, at an address or at the order of a set.

It must never: look at the real clock, or draw chance from anywhere but `random`.
"""

from collections.abc import Callable
from hashlib import blake2b
from heapq import heappop, heappush
from random import Random
from struct import Struct
from typing import Any, Final, TypeAlias, final

MS: Final = 1_000
SECOND: Final = 1_000_000

START: Final = 0
STEP: Final = 1
TO_CLIENT: Final = 2
TO_SERVER: Final = 3
PACKET: Final = 4
VOTE: Final = 5
DIAL: Final = 6
LOST: Final = 7
DISK: Final = 8
EPOCH: Final = 9
SNAPSHOT: Final = 10
TIMER: Final = 11
WAKE: Final = 12
NEMESIS: Final = 13
RESTART: Final = 14
KINDS: Final = (
    "start",
    "step",
    "to client",
    "to server",
    "packet",
    "vote",
    "dial",
    "lost",
    "disk",
    "epoch",
    "snapshot",
    "timer",
    "wake",
    "nemesis",
    "restart",
)

Act: TypeAlias = Callable[[int, int, Any], None]
Event: TypeAlias = tuple[int, int, Act, int, int, int, Any]
_FINGERPRINT: Final = Struct("<qhqq")
_MASK: Final = (1 << 63) - 1


@final
class World:
    """A simulated world at its beginning.

    Args:
        seed: decides everything.
        tell: is given one line per event; None for silence, which costs nothing.

    Attributes:
        now_us: microseconds since the beginning.
        count: events that happened.
        counts: how often something rare happened, by name.
    """

    __slots__ = ("_digest", "_queue", "_serial", "count", "counts", "kinds", "now_us", "random", "tell")

    def __init__(self, seed: int, tell: Callable[[str], None] | None = None) -> None:
        self.random = Random(seed)
        self.now_us = 0
        self.count = 0
        self.counts: dict[str, int] = {}
        self.kinds = [0] * len(KINDS)
        self.tell = tell
        self._queue: list[Event] = []
        self._serial = 0
        self._digest = blake2b(digest_size=8)

    def after(self, delay_us: int, act: Act, kind: int, who: int, what: int, payload: Any) -> None:
        """Have `act(who, what, payload)` happen `delay_us` from now.

        Args:
            delay_us: at least 0.
            kind: START … RESTART, for the trace.
            who: the member or client it happens to.
            what: a number that tells events of one kind apart; goes into the hash, as `payload` does not.
        """
        self._serial += 1
        heappush(self._queue, (self.now_us + delay_us, self._serial, act, kind, who, what, payload))

    def at(self, when_us: int, act: Act, kind: int, where: tuple[int, int], payload: Any) -> None:
        """As `after`, at a moment that is not past; `where` is (who, what)."""
        self._serial += 1
        heappush(self._queue, (when_us, self._serial, act, kind, where[0], where[1], payload))

    def run(self, n_events: int, until_us: int = _MASK) -> int:
        """Let at most `n_events` events happen, none later than `until_us`; returns how many did."""
        queue, update, pack, kinds = self._queue, self._digest.update, _FINGERPRINT.pack, self.kinds
        done = 0
        while done < n_events and queue and queue[0][0] <= until_us:
            when_us, _, act, kind, who, what, payload = heappop(queue)
            self.now_us = when_us
            done += 1
            self.count += 1
            kinds[kind] += 1
            update(pack(when_us, kind, who, what & _MASK))
            if self.tell is not None:
                self.tell(f"{self.count:>7} {when_us / MS:>12.3f} ms  {KINDS[kind]} {who} {what} {_shown(payload)}")
            act(who, what, payload)
        if done < n_events and until_us < _MASK:
            self.now_us = max(self.now_us, until_us)
        return done

    def trace_hash(self) -> str:
        """The hash of every event so far, 16 hex digits."""
        return self._digest.hexdigest()

    def mark(self, name: str) -> None:
        """Count something rare."""
        self.counts[name] = self.counts.get(name, 0) + 1

    def note(self, text: str) -> None:
        """One more line for the trace."""
        if self.tell is not None:
            self.tell(f"{'':>7} {self.now_us / MS:>12.3f} ms  | {text}")


def _shown(payload: Any) -> str:
    """A payload in a few words, without addresses of objects."""
    if isinstance(payload, tuple):
        return " ".join(_shown(part) for part in payload)
    if isinstance(payload, bytes):
        return payload.hex() if len(payload) <= 64 else f"{len(payload)} bytes"
    if isinstance(payload, list):
        return f"[{', '.join(_shown(part) for part in payload[:5])}{', …' if len(payload) > 5 else ''}]"
    text = str(payload) if payload is not None else ""
    return type(payload).__name__ if " at 0x" in text else text[:200]
