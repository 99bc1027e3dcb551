"""How batches get to the disk: in line while it is fast, in a thread while it is slow, in order always."""

import asyncio
import errno
import threading
from collections.abc import Awaitable, Callable

import pytest

from tests.log.samples import entries, read_all
from zoopark.host.logwriter import IDLE_LOOKS, THREAD_MS, Gathering, LogWriter
from zoopark.log.txnlog import TxnLog
from zoopark.sim.disk import SimDisk

D = "/log"
PATIENCE_S = 30


class SlowDisk:
    """A simulated disk whose writes take their time, or stop until they are let go."""

    def __init__(self) -> None:
        self.disk = SimDisk()
        self.disk.make_directory(D)
        self.delay_s = 0.0
        self.gate = threading.Event()
        self.gate.set()
        self.writes: list[str] = []
        self.list, self.size, self.read, self.sync = self.disk.list, self.disk.size, self.disk.read, self.disk.sync
        self.make_directory, self.reserve = self.disk.make_directory, self.disk.reserve
        self.truncate, self.rename, self.remove = self.disk.truncate, self.disk.rename, self.disk.remove

    def write(self, path: str, offset: int, data: bytes, *, is_synced: bool) -> None:
        self.writes.append(threading.current_thread().name)
        threading.Event().wait(self.delay_s)
        assert self.gate.wait(PATIENCE_S)
        self.disk.write(path, offset, data, is_synced=is_synced)


class Bench:
    """A writer over a slow disk, and what it said."""

    def __init__(self) -> None:
        self.disk = SlowDisk()
        self.logged: list[int] = []
        self.errors: list[BaseException] = []
        self.said = asyncio.Event()
        self.writer = LogWriter(TxnLog(self.disk, D, 0, 4096), self._on_logged, self._on_error)

    def _on_logged(self, zxid: int) -> None:
        self.logged.append(zxid)
        self.said.set()

    def _on_error(self, error: BaseException) -> None:
        self.errors.append(error)
        self.said.set()

    async def wait_for(self, zxid: int) -> None:
        while (not self.logged or self.logged[-1] < zxid) and not self.errors:
            self.said.clear()
            await asyncio.wait_for(self.said.wait(), PATIENCE_S)

    def become_slow(self) -> None:
        """One long sync is enough for the mean."""
        self.disk.delay_s = THREAD_MS * 20 / 1000
        self.writer.append(entries(1, 1))
        self.disk.delay_s = 0
        self.disk.writes.clear()


def played(story: Callable[[Bench], Awaitable[None]]) -> Bench:
    """A bench after a story in a loop of its own."""

    async def play() -> Bench:
        bench = Bench()
        try:
            await story(bench)
        finally:
            bench.disk.gate.set()
            bench.writer.close()
        return bench

    return asyncio.run(play())


def test_a_fast_disk_is_written_in_line() -> None:
    """Waking a thread costs more than the write; the answer is there when append returns."""

    async def story(bench: Bench) -> None:
        bench.writer.append(entries(1, 3))
        assert bench.logged == [3] and bench.writer.is_idle()
        bench.writer.append(entries(4, 1))
        assert bench.logged == [3, 4]

    bench = played(story)
    assert bench.disk.writes == ["MainThread"] * 2
    assert read_all(bench.disk.disk, D)[0] == entries(1, 4)


def test_behind_a_slow_disk_the_loop_goes_on() -> None:
    """append returns at once; what comes meanwhile is one batch, written when the disk is free."""

    async def story(bench: Bench) -> None:
        bench.become_slow()
        bench.disk.gate.clear()
        for first_zxid in (2, 5, 6):
            bench.writer.append(entries(first_zxid, 3 if first_zxid == 2 else 1))
        assert bench.logged == [1] and not bench.writer.is_idle()
        bench.disk.gate.set()
        await bench.wait_for(6)

    bench = played(story)
    assert bench.logged == [1, 4, 6]
    assert len(bench.disk.writes) == 2 and "MainThread" not in bench.disk.writes
    assert read_all(bench.disk.disk, D)[0] == entries(1, 6)


def test_a_disk_that_becomes_fast_is_written_in_line_again() -> None:
    """A hiccup must not cost a thread for ever."""

    async def story(bench: Bench) -> None:
        bench.become_slow()
        for zxid in range(2, 102):
            bench.writer.append(entries(zxid, 1))
            await bench.wait_for(zxid)

    bench = played(story)
    assert bench.disk.writes[0] != "MainThread" and bench.disk.writes[-1] == "MainThread"
    assert bench.logged == list(range(1, 102))


@pytest.mark.parametrize("is_slow", [False, True])
def test_an_error_is_told_and_nothing_is_logged(is_slow: bool) -> None:
    """After an error the disk's content is unknown: no zxid from it on may be acknowledged."""

    async def story(bench: Bench) -> None:
        first_zxid = 1
        if is_slow:
            bench.become_slow()
            first_zxid = 2
        bench.logged.clear()
        bench.disk.disk.fail_at(1, errno.ENOSPC)
        bench.writer.append(entries(first_zxid, 2))
        await bench.wait_for(first_zxid + 1)

    bench = played(story)
    assert bench.logged == []
    (error,) = bench.errors
    assert isinstance(error, OSError) and error.errno == errno.ENOSPC


def test_close_waits_for_what_is_being_written() -> None:
    """A clean stop leaves no half-written batch behind."""

    async def story(bench: Bench) -> None:
        bench.become_slow()
        bench.disk.delay_s = 0.05
        bench.writer.append(entries(2, 2))
        bench.writer.close()
        assert read_all(bench.disk.disk, D)[0] == entries(1, 3)

    played(story)


def test_the_log_is_extended_ahead_of_need_in_the_thread() -> None:
    """Reserving takes as long as a sync or longer; a client must not wait for it."""

    async def story(bench: Bench) -> None:
        for zxid in range(1, 60):
            bench.writer.append(entries(zxid, 1, 200))

    bench = played(story)
    (path,) = [f"{D}/{name}" for name in bench.disk.disk.list(D)]
    assert bench.disk.disk.size(path) > bench.writer.log.file_bytes + 2048


def test_a_lone_client_never_waits_for_others() -> None:
    """With one request in flight the batch is complete when it has come."""
    gathering = Gathering()
    for _ in range(5):
        assert not gathering.may_wait(1)
        gathering.on_batch(1)


def test_a_batch_waits_while_others_keep_coming() -> None:
    """After a batch of eight, seven clients are about to send again."""
    gathering = Gathering()
    gathering.on_batch(8)
    assert [gathering.may_wait(n) for n in (1, 3, 7, 8)] == [True, True, True, False]


def test_a_batch_does_not_wait_for_those_who_left() -> None:
    """A few looks without anything new end the wait, and in time the expectation."""
    gathering = Gathering()
    gathering.on_batch(50)
    looks = [gathering.may_wait(2) for _ in range(IDLE_LOOKS + 1)]
    assert looks == [True] * IDLE_LOOKS + [False]
    for _ in range(60):
        gathering.on_batch(1)
    assert not gathering.may_wait(1)
