"""How batches get to the disk: in line while it is fast, in a thread while it is slow, in order always."""

import asyncio
import errno
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.log.samples import entries, read_all
from zoopark.host.logwriter import IDLE_LOOKS, THREAD_MS, Gathering, LogWriter
from zoopark.host.ring import Ring
from zoopark.host.storage import FileDisk
from zoopark.log.txnlog import TxnLog
from zoopark.sim.disk import SimDisk

D = "/log"
PATIENCE_S = 30
HOUR_MS = 3_600_000


class SlowDisk:
    """A simulated disk whose writes take their time by a clock of its own, or stop until they are let go."""

    def __init__(self) -> None:
        self.disk = SimDisk()
        self.disk.make_directory(D)
        self.now_s = self.delay_s = 0.0
        self.gate = threading.Event()
        self.gate.set()
        self.writes: list[str] = []
        self.list, self.size, self.read, self.sync = self.disk.list, self.disk.size, self.disk.read, self.disk.sync
        self.make_directory, self.reserve = self.disk.make_directory, self.disk.reserve
        self.truncate, self.rename, self.remove = self.disk.truncate, self.disk.rename, self.disk.remove

    def write(self, path: str, offset: int, data: bytes, *, is_synced: bool) -> None:
        self.writes.append(threading.current_thread().name)
        self.now_s += self.delay_s
        assert self.gate.wait(PATIENCE_S)
        self.disk.write(path, offset, data, is_synced=is_synced)


class Bench:
    """A writer over a slow disk, and what it said."""

    def __init__(self) -> None:
        self.disk = SlowDisk()
        self.logged: list[int] = []
        self.errors: list[BaseException] = []
        self.said = asyncio.Event()
        self.writer = self.new_writer()

    def new_writer(self, flush_delay_ms: int = 0, max_batch_size: int = 0) -> LogWriter:
        log = TxnLog(self.disk, D, 0, 4096)
        writer = LogWriter(log, None, self._on_logged, self._on_error, flush_delay_ms, max_batch_size)
        writer.clock = lambda: self.disk.now_s
        return writer

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
        bench.disk.gate.clear()
        bench.writer.append(entries(2, 2))
        threading.Timer(0.05, bench.disk.gate.set).start()
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


@pytest.mark.parametrize("is_slow", [False, True])
def test_a_new_file_begins_when_nothing_is_being_written(is_slow: bool) -> None:
    """A roll in the middle of a write would count its bytes to the wrong file."""

    async def story(bench: Bench) -> None:
        if is_slow:
            bench.become_slow()
            bench.disk.gate.clear()
        else:
            bench.writer.append(entries(1, 1))
        bench.writer.append(entries(2, 1))
        bench.writer.roll(is_marked=True)
        bench.writer.append(entries(3, 2))
        bench.disk.gate.set()
        await bench.wait_for(4)
        assert bench.writer.log.bytes_since_mark == bench.writer.log.file_bytes

    bench = played(story)
    assert bench.disk.disk.list(D) == ["log.1", "log.3"]
    assert read_all(bench.disk.disk, D)[0] == entries(1, 4)


def test_entries_wait_for_others_to_join_them() -> None:
    """flushDelay: the disk is asked once for all that comes within it."""

    async def story(bench: Bench) -> None:
        bench.writer = bench.new_writer(flush_delay_ms=HOUR_MS)
        for zxid in range(1, 6):
            bench.writer.append(entries(zxid, 1))
            await asyncio.sleep(0)
        assert bench.logged == []
        bench.writer.flush()

    bench = played(story)
    assert bench.logged == [5] and len(bench.disk.writes) == 1


def test_nobody_joins_for_ever() -> None:
    """What has waited for flushDelay is written, though nothing else comes."""

    async def story(bench: Bench) -> None:
        bench.writer = bench.new_writer(flush_delay_ms=20)
        bench.writer.append(entries(1, 1))
        assert bench.logged == []
        await bench.wait_for(1)

    assert played(story).logged == [1]


def test_a_full_batch_waits_for_nobody() -> None:
    """maxBatchSize: with so many entries there is a sync, and it holds no more."""

    async def story(bench: Bench) -> None:
        bench.writer = bench.new_writer(HOUR_MS, 4)
        bench.writer.append(entries(1, 9))
        assert bench.logged == [4, 8]
        bench.writer.flush()
        assert bench.logged == [4, 8, 9]

    played(story)


def test_an_error_ends_the_batches_behind_it() -> None:
    async def story(bench: Bench) -> None:
        bench.writer = bench.new_writer(0, 2)
        bench.disk.disk.fail_at(1, errno.EIO)
        bench.writer.append(entries(1, 9))

    bench = played(story)
    assert bench.logged == [] and len(bench.errors) == 1


class RingBench:
    """A writer that has the kernel write into a directory, and what it said, in order."""

    def __init__(self, directory: Path) -> None:
        try:
            ring = Ring()
        except OSError as error:
            pytest.skip(f"the kernel lets this process have no io_uring: {error.strerror}")
        self.disk = FileDisk()
        self.directory = str(directory)
        self.said: list[int | BaseException] = []
        self.news = asyncio.Event()
        self.writer = LogWriter(TxnLog(self.disk, self.directory, 0, 1 << 20), ring, self.say, self.say)

    def say(self, what: int | BaseException) -> None:
        self.said.append(what)
        self.news.set()

    async def wait_for(self, count: int) -> None:
        while len(self.said) < count:
            self.news.clear()
            await asyncio.wait_for(self.news.wait(), PATIENCE_S)


def played_on_ring(directory: Path, story: Callable[[RingBench], Awaitable[None]]) -> RingBench:
    async def play() -> RingBench:
        bench = RingBench(directory)
        try:
            await story(bench)
        finally:
            bench.writer.close()
            bench.disk.close()
        return bench

    return asyncio.run(play())


def test_the_kernel_writes_while_the_loop_goes_on(tmp_path: Path) -> None:
    """The first batch makes the file and is waited for; later ones are not, and what comes meanwhile is one batch."""

    async def story(bench: RingBench) -> None:
        bench.writer.append(entries(1, 2))
        assert bench.said == [2]
        for first_zxid in (3, 6, 7):
            bench.writer.append(entries(first_zxid, 3 if first_zxid == 3 else 1))
        assert bench.said == [2] and not bench.writer.is_idle()
        await bench.wait_for(3)

    bench = played_on_ring(tmp_path, story)
    assert bench.said == [2, 5, 7]
    assert read_all(bench.disk, str(tmp_path))[0] == entries(1, 7)


def test_a_request_that_came_alone_is_waited_for(tmp_path: Path) -> None:
    async def story(bench: RingBench) -> None:
        bench.writer.clock = lambda: 0.0  # whatever the disk is here, it is fast
        for zxid in range(1, 20):
            bench.writer.append(entries(zxid, 1), is_alone=True)
            assert bench.said[-1] == zxid

    bench = played_on_ring(tmp_path, story)
    assert read_all(bench.disk, str(tmp_path))[0] == entries(1, 19)


def test_the_next_batch_is_at_the_disk_before_the_last_is_answered(tmp_path: Path) -> None:
    """Else the disk would wait for the loop, and the loop for the disk."""
    busy: list[bool] = []

    async def story(bench: RingBench) -> None:
        def on_logged(zxid: int) -> None:
            busy.append(not bench.writer.is_idle())
            bench.say(zxid)

        bench.writer.on_logged = on_logged
        bench.writer.append(entries(1, 1))
        bench.writer.append(entries(2, 1))
        bench.writer.append(entries(3, 1))
        await bench.wait_for(3)

    played_on_ring(tmp_path, story)
    assert busy == [False, True, False]


def test_an_error_of_the_kernel_s_write_is_told(tmp_path: Path) -> None:
    async def story(bench: RingBench) -> None:
        bench.writer.append(entries(1, 1))
        (tmp_path / "log.1").unlink()
        (tmp_path / "log.1").symlink_to("/dev/full")
        bench.writer.append(entries(2, 1))
        bench.writer.append(entries(3, 1))
        await bench.wait_for(2)

    bench = played_on_ring(tmp_path, story)
    first, error = bench.said
    assert first == 1 and isinstance(error, OSError) and error.errno == errno.ENOSPC


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
