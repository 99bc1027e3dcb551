"""Carries out Append: in line while the disk is fast, in a thread of its own while it is slow.

A disk that answers within INLINE_MS is cheaper to wait for than a thread is to wake. Behind a slower one the loop goes
on serving reads and gathers the next batch. The mean of the last syncs decides, with a gap between the two limits so
that it does not flutter.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, final

from zoopark.errors import StorageError
from zoopark.host.ring import Ring
from zoopark.log.txnlog import TxnLog

INLINE_MS: Final = 1.0
THREAD_MS: Final = 2.0
ENCODE_MS: Final = 0.0005
"""What one entry costs before the disk sees it: no time that a thread would save."""
IDLE_LOOKS: Final = 3
MOST_EXPECTED: Final = 64
FORGET: Final = 0.9
_WEIGHT: Final = 1 / 16


@final
class Gathering:
    """Decides whether a batch waits for the next look at the sockets before it is written.

    Clients that wait for their replies send again one after the other, while a batch is written and answered. Written
    at once, their requests would split into many small batches with a sync each. So a batch waits while it is smaller
    than the last ones were, and more requests keep coming in; IDLE_LOOKS looks without a new one end it.
    """

    def __init__(self) -> None:
        self._expected = 1.0
        self._seen = 0
        self._idle = 0

    def may_wait(self, n_entries: int) -> bool:
        """Whether `n_entries`, all that has come in, should wait for one more look."""
        if n_entries >= self._expected:
            return False
        if n_entries > self._seen:
            self._seen = n_entries
            self._idle = 0
            return True
        self._idle += 1
        return self._idle < IDLE_LOOKS

    def on_batch(self, n_entries: int) -> None:
        """A batch of so many is written now."""
        self._expected = min(max(n_entries, self._expected * FORGET), MOST_EXPECTED)
        self._seen = 0
        self._idle = 0


@final
class LogWriter:
    """Writes batches in order, one at a time.

    Args:
        log: the transaction log.
        on_logged: called in the loop with the last durable zxid.
        on_error: called in the loop with what the disk said; nothing is written any more.
    """

    def __init__(
        self, log: TxnLog, on_logged: Callable[[int], None], on_error: Callable[[BaseException], None]
    ) -> None:
        self.log = log
        self.on_logged = on_logged
        self.on_error = on_error
        self.mean_ms = 0.0
        self.max_ms = 0.0
        self.last_ms = 0.0
        self.n_syncs = 0
        self._pool = ThreadPoolExecutor(1, "log")
        self._backlog: list[tuple[int, bytes]] = []
        self._reserving: asyncio.Future[None] | None = None
        self._is_busy = False
        self._is_threaded = False
        self._ring: Ring | None = None
        self._in_flight = 0
        self._started = 0.0

    def use_ring(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._ring = Ring()
        except OSError:
            return
        loop.add_reader(self._ring.fd, self._on_synced)

    def _begin(self, ring: Ring, entries: list[tuple[int, bytes]]) -> None:
        self._started = time.perf_counter()
        try:
            ring.start(*self.log.begin(entries))
        except OSError as error:
            self.on_error(error)
            return
        self._is_busy = True
        self._in_flight = entries[-1][0]

    def _on_synced(self) -> None:
        assert self._ring is not None and self._is_busy
        try:
            is_done = self._ring.finish()
        except OSError as error:
            self.on_error(error)
            return
        if not is_done:
            return
        self.last_ms = (time.perf_counter() - self._started) * 1000
        self.n_syncs += 1
        self.max_ms = max(self.max_ms, self.last_ms)
        self._finish(self._in_flight)

    def append(self, entries: list[tuple[int, bytes]]) -> None:
        """Make entries durable; on_logged follows, perhaps before this returns."""
        if self._is_busy:
            self._backlog.extend(entries)
        elif self._ring is not None and self.log.continues(entries):
            self._begin(self._ring, entries)
        elif self._is_threaded:
            self._start(entries)
        else:
            try:
                self._write(entries)
            except (OSError, StorageError) as error:
                self.on_error(error)
                return
            self._reserve_ahead()
            self.on_logged(entries[-1][0])

    def close(self) -> None:
        """Wait for what is being written."""
        self._pool.shutdown()

    def is_idle(self) -> bool:
        return not self._is_busy

    def _write(self, entries: list[tuple[int, bytes]]) -> None:
        start = time.perf_counter()
        self.log.append(entries)
        spent_ms = (time.perf_counter() - start) * 1000
        self.n_syncs += 1
        self.last_ms = spent_ms
        self.mean_ms += (spent_ms - ENCODE_MS * len(entries) - self.mean_ms) * _WEIGHT
        self.max_ms = max(self.max_ms, spent_ms)
        self._is_threaded = self.mean_ms > (INLINE_MS if self._is_threaded else THREAD_MS)

    def _start(self, entries: list[tuple[int, bytes]]) -> None:
        self._is_busy = True
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, self._write, entries)
        future.add_done_callback(lambda done: self._on_written(done, entries[-1][0]))

    def _on_written(self, done: "asyncio.Future[None]", zxid: int) -> None:
        error = done.exception()
        if error is not None:
            self._is_busy = False
            self.on_error(error)
            return
        self._finish(zxid)

    def _finish(self, zxid: int) -> None:
        self._is_busy = False
        self._reserve_ahead()
        backlog, self._backlog = self._backlog, []
        if backlog:
            self.append(backlog)
        self.on_logged(zxid)

    def _reserve_ahead(self) -> None:
        if self._reserving is None and self.log.wants_reserve():
            loop = asyncio.get_running_loop()
            self._reserving = loop.run_in_executor(self._pool, self.log.reserve_ahead)
            self._reserving.add_done_callback(self._on_reserved)

    def _on_reserved(self, done: "asyncio.Future[None]") -> None:
        self._reserving = None
        error = done.exception()
        if error is not None:
            self.on_error(error)
