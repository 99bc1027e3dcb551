"""Keeps those in bounds who knock at a port between servers before they have said who they are.

Anybody may open these ports. Whoever does not introduce himself in time, or says nonsense, is closed; of those who say
nothing yet only so many are kept, the oldest go first. What is refused is logged once a minute per source, so that a
flood neither fills the disk nor hides.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, final

MAX_STRANGERS: Final = 64
MAX_SOURCES: Final = 1024
"""Who is complained of by himself within a minute; those beyond are one source."""
QUIET_S: Final = 60.0
_OTHERS: Final = "all others"
_NO_MORE: Final = " (no more of this is told until a minute after the first of it)"

_log = logging.getLogger("zoopark")


@final
class Complaints:
    """Lines for the log, so many a minute for each source.

    Args:
        clock: seconds that never go back.
        most: how many lines. The last of several says that there may be more.
        level: theirs.
    """

    def __init__(self, clock: Callable[[], float], most: int = 1, level: int = logging.WARNING) -> None:
        self._clock = clock
        self._most = most
        self._level = level
        self._began_s: dict[str, float] = {}
        self._n_said: dict[str, int] = {}

    def say(self, source: str, text: str) -> bool:
        """Log `text`, unless enough was said of this source since a minute began with it; whether it was logged."""
        now_s = self._clock()
        began_s, n_said = self._began_s, self._n_said
        while began_s and next(iter(began_s.values())) <= now_s - QUIET_S:
            oldest = next(iter(began_s))
            del began_s[oldest], n_said[oldest]
        if len(n_said) >= MAX_SOURCES and source not in n_said:
            source = _OTHERS
        count = n_said.get(source, 0) + 1
        if count > self._most:
            return False
        if count == 1:
            began_s[source] = now_s
        n_said[source] = count
        is_last = 1 < count == self._most
        _log.log(self._level, "%s%s", text, _NO_MORE if is_last else "")
        return True


@final
class Strangers:
    """Connections to one port that have not introduced themselves.

    Args:
        port_name: "quorum" or "election", for the log.
        patience_s: how long one may take.
        complaints: where refusals go.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, port_name: str, patience_s: float, complaints: Complaints
    ) -> None:
        self._loop = loop
        self._port_name = port_name
        self._patience_s = patience_s
        self._complaints = complaints
        self._waiting: dict[asyncio.Transport, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, transport: asyncio.Transport) -> None:
        """Somebody has connected; the one who waits for longest is closed if there are too many."""
        if len(self._waiting) >= MAX_STRANGERS:
            self.refuse(next(iter(self._waiting)), "too many connections without an introduction")
        why = f"no introduction within {self._patience_s:.0f} s"
        self._waiting[transport] = self._loop.call_later(self._patience_s, self.refuse, transport, why)

    def settle(self, transport: asyncio.Transport) -> None:
        """It is no stranger any more, or it is gone."""
        timer = self._waiting.pop(transport, None)
        if timer is not None:
            timer.cancel()

    def refuse(self, transport: asyncio.Transport, why: str) -> None:
        """Close it, and say so."""
        self.settle(transport)
        source = source_of(transport)
        self._complaints.say(f"{self._port_name} {source}", f"{source} on the {self._port_name} port: {why}")
        transport.abort()

    def close(self) -> None:
        """Close all of them."""
        for transport in list(self._waiting):
            self.settle(transport)
            transport.abort()


def source_of(transport: asyncio.BaseTransport) -> str:
    """The IP address on the other side."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else "somebody"


def report(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[None]") -> None:
    """Let the loop know at once if a task has ended by an exception that nobody expected."""
    if not task.cancelled() and (error := task.exception()) is not None:
        loop.call_exception_handler({"message": "a task of the server failed", "exception": error})
