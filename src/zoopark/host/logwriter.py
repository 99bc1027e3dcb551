"""Carries out Append, so that the loop goes on while the disk is at work.

The kernel writes (`zoopark.host.ring`) where it may; elsewhere a thread does, but only while the disk is slow: behind
one that answers within INLINE_MS it is cheaper to wait than to hand the interpreter to a thread and back. So it is,
with either, for a request that came alone: nobody is kept waiting, and its client hears sooner. The mean of the last
writes decides what is slow, with a gap between the two limits so that it does not flutter.
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
        ring: has the kernel write while the loop goes on; None for a thread. It is closed by `close`.
        on_logged: called in the loop with the last durable zxid.
        on_error: called in the loop with what the disk said; nothing is written any more.
        flush_delay_ms: how long entries are held back so that more join them (ZooKeeper's flushDelay); 0 for not.
        max_batch_size: entries that one sync takes at most, and that are not held back (maxBatchSize); 0 for no limit.

    Attributes:
        clock: the seconds by which the disk is found slow or fast.
        mean_ms: what the last writes took, and last_ms the last of them.
    """

    def __init__(
        self,
        log: TxnLog,
        ring: Ring | None,
        on_logged: Callable[[int], None],
        on_error: Callable[[BaseException], None],
        flush_delay_ms: int = 0,
        max_batch_size: int = 0,
    ) -> None:
        self.log = log
        self.on_logged = on_logged
        self.on_error = on_error
        self.clock: Callable[[], float] = time.perf_counter
        self.mean_ms = 0.0
        self.last_ms = 0.0
        self._flush_delay_ms = flush_delay_ms
        self._max_batch_size = max_batch_size
        self._delay: asyncio.TimerHandle | None = None
        self._is_due = False
        self._is_failed = False
        self._pool = ThreadPoolExecutor(1, "log")
        self._ring = ring
        self._backlog: list[tuple[int, bytes]] = []
        self._reserving: asyncio.Future[None] | None = None
        self._under_way: list[tuple[int, bytes]] = []
        self._began_s = 0.0
        self._is_slow = False
        self._is_roll_due = False
        self._is_mark_due = False
        self._is_rewriting = False
        if ring is not None:
            asyncio.get_running_loop().add_reader(ring.fd, self._on_ring, ring)

    def append(self, entries: list[tuple[int, bytes]], *, is_alone: bool = False) -> None:
        """Make entries durable; on_logged follows, perhaps before this returns.

        Args:
            is_alone: nothing else came in since the last append, so that nobody is kept by waiting for the disk.
        """
        assert not self._is_rewriting, "an append while the files change"
        if self._under_way or self._flush_delay_ms or 0 < self._max_batch_size < len(entries):
            self._backlog.extend(entries)
            self._flush()
        else:
            self._put(entries, is_alone=is_alone)

    def flush(self) -> None:
        """Hold nothing back any more."""
        self._flush_delay_ms = 0
        self._flush()

    def _flush(self) -> None:
        """Write what has gathered, unless the disk is at work or more is to join it."""
        backlog, most = self._backlog, self._max_batch_size
        while backlog and not self._under_way and not self._is_failed:
            is_full = 0 < most <= len(backlog)
            if self._flush_delay_ms and not is_full and not self._is_due:
                if self._delay is None:
                    self._delay = asyncio.get_running_loop().call_later(self._flush_delay_ms / 1000, self._on_delay)
                return
            self._is_due = False
            batch = backlog[: most or len(backlog)]
            del backlog[: len(batch)]
            self._put(batch)

    def _on_delay(self) -> None:
        self._delay = None
        self._is_due = True
        self._flush()

    def _put(self, entries: list[tuple[int, bytes]], *, is_alone: bool = False) -> None:
        ring = self._ring
        if ring is not None and self.log.continues(entries) and not (is_alone and not self._is_slow):
            self._begin(ring, entries)
        elif self._is_slow and ring is None:
            self._start(entries)
        else:
            try:
                self._write(entries)
            except (OSError, StorageError) as error:
                self._fail(error)
                return
            self._reserve_ahead()
            self.on_logged(entries[-1][0])

    def rewrite(self, act: Callable[[], TxnLog], on_done: Callable[[], None]) -> None:
        """Have `act` change the log's files in the log's thread, while nothing is written and nothing else asked for.

        The log that it returns takes the place of this one, then on_done is called in the loop; or on_error.
        """
        assert self.is_idle() and not self._is_rewriting, "the log is at work"
        self._is_rewriting = True
        future = asyncio.get_running_loop().run_in_executor(self._pool, act)
        future.add_done_callback(lambda done: self._on_rewritten(done, on_done))

    def close(self) -> None:
        """Wait for what is being written."""
        if self._delay is not None:
            self._delay.cancel()
        self._pool.shutdown()
        if self._ring is not None:
            asyncio.get_running_loop().remove_reader(self._ring.fd)
            self._ring.close()
            self._ring = None

    def roll(self, *, is_marked: bool) -> None:
        """Begin a new file once nothing is being written; with is_marked, count the log's bytes from there."""
        self._is_roll_due = True
        self._is_mark_due = self._is_mark_due or is_marked
        if not self._under_way:
            self._roll_if_due()

    def is_idle(self) -> bool:
        """Whether nothing is being written."""
        return not self._under_way

    def _write(self, entries: list[tuple[int, bytes]]) -> None:
        self._began_s = self.clock()
        self.log.append(entries)
        self._note_time(len(entries))

    def _note_time(self, n_entries: int) -> None:
        spent_ms = (self.clock() - self._began_s) * 1000
        self.last_ms = spent_ms
        self.mean_ms += (spent_ms - ENCODE_MS * n_entries - self.mean_ms) * _WEIGHT
        self._is_slow = self.mean_ms > (INLINE_MS if self._is_slow else THREAD_MS)

    def _begin(self, ring: Ring, entries: list[tuple[int, bytes]]) -> None:
        self._began_s = self.clock()
        try:
            ring.start(*self.log.begin(entries))
        except OSError as error:
            self._fail(error)
            return
        self._under_way = entries

    def _on_ring(self, ring: Ring) -> None:
        try:
            if not ring.finish():
                return
        except OSError as error:
            self._fail(error)
            return
        self._note_time(len(self._under_way))
        self._finish()

    def _start(self, entries: list[tuple[int, bytes]]) -> None:
        self._under_way = entries
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, self._write, entries)
        future.add_done_callback(self._on_written)

    def _on_written(self, done: "asyncio.Future[None]") -> None:
        error = done.exception()
        if error is not None:
            self._under_way = []
            self._fail(error)
            return
        self._finish()

    def _finish(self) -> None:
        """A batch is durable. The next one goes to the disk before this one is answered, so that both are at work."""
        zxid = self._under_way[-1][0]
        self._under_way = []
        self._roll_if_due()
        self._reserve_ahead()
        self._flush()
        self.on_logged(zxid)

    def _fail(self, error: BaseException) -> None:
        self._is_failed = True
        self.on_error(error)

    def _on_rewritten(self, done: "asyncio.Future[TxnLog]", on_done: Callable[[], None]) -> None:
        error = done.exception()
        if error is not None:
            self._fail(error)
            return
        self._is_rewriting = self._is_roll_due = self._is_mark_due = False
        self.log = done.result()
        if self._ring is not None:
            self._ring.forget()
        on_done()

    def _roll_if_due(self) -> None:
        if self._is_roll_due:
            self.log.roll()
        if self._is_mark_due:
            self.log.mark()
        self._is_roll_due = self._is_mark_due = False

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
