"""Runs one server: opens its directories and its port, and carries out what its member asks for.

One turn of the loop: chunks are fed to their connections, then `turn` carries out the member's effects until there are
none, with one log write for everything that came in.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from random import Random
from typing import Any, Final, final

from zoopark import __version__
from zoopark.errors import StorageError, ZooparkError
from zoopark.host.listener import ClientLink
from zoopark.host.logwriter import LogWriter
from zoopark.host.snapshotter import Snapshotter, save
from zoopark.host.storage import DirectoryLock, FileDisk, lock_directory
from zoopark.log.snapfiles import purge
from zoopark.record import Effect, Now
from zoopark.server.config import Config
from zoopark.server.effects import Append, CloseLink, Flush, Note, Purge, TakeSnapshot
from zoopark.server.member import Member
from zoopark.server.recovery import Recovered, log_directory, recover, snapshot_directory

EXIT_UNEXPECTED: Final = 1
EXIT_DATA_DIR: Final = 3
EXIT_SNAPSHOT: Final = 10
COLLECT_THRESHOLDS: Final = (50_000, 20, 100_000)
CLOCK_CHECK_S: Final = 1.0

_log = logging.getLogger("zoopark")


@final
class Server:
    """The thin floor between a member and the world."""

    def __init__(self, config: Config, found: Recovered, loop: asyncio.AbstractEventLoop) -> None:
        self.config = config
        self.loop = loop
        self.links: dict[int, ClientLink] = {}
        self.paused: dict[ClientLink, None] = {}
        self.exit_code = 0
        self.stopped = asyncio.Event()
        self._wall_offset_ms = 0
        self._checked_s = -CLOCK_CHECK_S
        self._now = Now(0, 0)
        self.member = Member(config, found.tree, Random(), self.now())
        self.member.logged_since_snapshot = found.n_txns
        self.log_writer = LogWriter(found.log, self._on_logged, self._on_log_error)
        self.snapshotter = Snapshotter(config, found.tree, self._on_snapshot)
        self._is_awake = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = -1

    def now(self) -> Now:
        """The moment of this turn; the loop's clock is read once a turn by the loop itself."""
        seconds = self.loop.time()
        mono_ms = int(seconds * 1000)
        if mono_ms == self._now.mono_ms:
            return self._now
        if seconds - self._checked_s >= CLOCK_CHECK_S:
            self._checked_s = seconds
            self._wall_offset_ms = int(time.time() * 1000) - mono_ms
        self._now = Now(mono_ms, mono_ms + self._wall_offset_ms)
        return self._now

    def wake(self) -> None:
        """Have `turn` run once, after the chunks of this wake-up."""
        if not self._is_awake:
            self._is_awake = True
            self.loop.call_soon(self.turn)

    def turn(self) -> None:
        """Carry out effects until there are none."""
        self._is_awake = False
        while effects := self.member.take():
            for effect in effects:
                self._carry_out(effect)
        for link in list(self.paused):
            link.resume()
        self._arm()

    def fail(self, code: int, text: str) -> None:
        """Stop the server: something happened after which it must not promise anything."""
        _log.error(text)
        self.exit_code = code
        self.stopped.set()

    def on_broken(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception that nobody expected: an invariant is broken, so the server must not go on."""
        _log.critical("%s", context.get("message"), exc_info=context.get("exception"))
        self.fail(EXIT_UNEXPECTED, "stopping, because an invariant does not hold; nothing that was answered is lost")

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, Append):
            if not self.exit_code:
                self.log_writer.append(effect.entries)
        elif isinstance(effect, Flush):
            for connection in effect.connections:
                link = self.links.get(connection.connection_id)
                if link is not None and connection.out:
                    link.write()
        elif isinstance(effect, CloseLink):
            link = self.links.get(effect.connection.connection_id)
            if link is not None:
                _log.info("%s:%d: %s", effect.connection.address, effect.connection.port, effect.why)
                link.close()
        elif isinstance(effect, TakeSnapshot):
            self.log_writer.log.roll()
            self.snapshotter.start()
        elif isinstance(effect, Purge):
            self._purge(effect.keep)
        elif isinstance(effect, Note):
            _log.info(effect.text)

    def _on_logged(self, zxid: int) -> None:
        member, log = self.member, self.log_writer.log
        member.on_logged(zxid, self.now())
        member.logged_bytes_since_snapshot = log.bytes_since_mark
        limit_kb = self.config.txn_log_size_limit_kb
        if 0 < limit_kb * 1024 < log.file_bytes:
            log.roll()
        self.wake()

    def _on_log_error(self, error: BaseException) -> None:
        self.fail(EXIT_UNEXPECTED, f"cannot write the transaction log: {error}")

    def _on_snapshot(self, problem: str | None) -> None:
        if problem is not None:
            self.fail(EXIT_SNAPSHOT, problem)
            return
        self.member.on_snapshot()
        self.wake()

    def _purge(self, keep: int) -> None:
        for path in purge(FileDisk(), snapshot_directory(self.config), log_directory(self.config), keep):
            _log.info("purged %s", path)

    def _arm(self) -> None:
        """Set the one timer to the member's deadline."""
        due_ms = self.member.deadline()
        if due_ms == self._timer_ms:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_ms = None, -1
        if due_ms is not None:
            self._timer_ms = due_ms
            self._timer = self.loop.call_at(due_ms / 1000, self._on_time)

    def _on_time(self) -> None:
        self._timer, self._timer_ms = None, -1
        now = self.now()
        due_ms = self.member.deadline()
        if due_ms is not None and due_ms <= now.mono_ms:
            self.member.on_timeout(now)
        self.wake()


def run_server(config: Config) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code.

    0 stopped cleanly, 1 unexpected or a failing log disk, 3 the data directory cannot be used, 10 a snapshot could not
    be written.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        lock = _open_directories(config)
    except (ZooparkError, OSError) as error:
        print(f"zoopark: {error}", file=sys.stderr)
        return EXIT_DATA_DIR
    try:
        return _run_locked(config)
    finally:
        lock.release()


def _run_locked(config: Config) -> int:
    gc.disable()
    start = time.perf_counter()
    try:
        found = recover(config, FileDisk(), lambda what, done, size: None)
        if found.snapshot is None:
            save(config, found.tree)
    except (StorageError, OSError) as error:
        print(f"zoopark: {error}", file=sys.stderr)
        return EXIT_DATA_DIR
    seconds = time.perf_counter() - start
    gc.freeze()
    gc.enable()
    gc.set_threshold(*COLLECT_THRESHOLDS)
    _say_found(config, found, seconds)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(config, found))


async def _serve(config: Config, found: Recovered) -> int:
    loop = asyncio.get_running_loop()
    server = Server(config, found, loop)
    loop.set_exception_handler(server.on_broken)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stopped.set)
    host, port = config.client_port_address or None, config.client_port
    backlog = config.client_port_listen_backlog if config.client_port_listen_backlog > 0 else 50
    try:
        listener = await loop.create_server(lambda: ClientLink(server), host, port, backlog=max(backlog, 50))
    except OSError as error:
        print(f"zoopark: cannot listen on {host or '*'}:{port}: {error.strerror or error}", file=sys.stderr)
        return EXIT_UNEXPECTED
    for sock in listener.sockets:
        address = sock.getsockname()
        print(f"listening on {address[0]}:{address[1]}", flush=True)
    server.wake()
    await server.stopped.wait()
    listener.close()
    server.turn()
    server.log_writer.close()
    server.snapshotter.stop()
    return server.exit_code


def _open_directories(config: Config) -> DirectoryLock:
    disk = FileDisk()
    for directory in (snapshot_directory(config), log_directory(config)):
        if not config.may_create_data_dir and not os.path.isdir(directory):
            raise StorageError(f"{directory}: there is no such directory, and datadir.autocreate is false")
        disk.make_directory(directory)
    return lock_directory(snapshot_directory(config))


def _say_found(config: Config, found: Recovered, seconds: float) -> None:
    print(f"zoopark {__version__}")
    print(
        f"data in {config.data_dir}"
        + (f", log in {config.data_log_dir}" if config.data_log_dir != config.data_dir else "")
    )
    for note in found.notes:
        print(note)
    if found.snapshot is None:
        print("a new database")
    else:
        print(
            f"recovered {len(found.tree.nodes)} znodes in {seconds:.2f} s from {found.snapshot.path} and "
            f"{found.n_txns} transactions, up to zxid {found.tree.last_zxid:#x}"
        )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
