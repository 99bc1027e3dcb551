"""Runs one server: opens its directories and its port, and carries out what its member asks for.

    directories locked ─> port bound ─> recovered ─> port opened ─> serving ─> drained ─> stopped
         exit 3             exit 1      exit 3, 10                  exit 1, 10

The port is bound first, so that a long recovery does not end in a port that is in use, and opened last, so that nobody
is accepted who cannot be served. One turn of the loop: chunks are fed to their connections, then `turn` carries out the
member's effects until there are none, with one log write for everything that came in.
"""

import asyncio
import errno
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from random import Random
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, cast, final

from zoopark.errors import StorageError, ZooparkError
from zoopark.host.listener import ClientLink
from zoopark.host.logwriter import Gathering, LogWriter
from zoopark.host.ports import CLIENTS, ELECTION, QUORUM, PortError, bind, in_use
from zoopark.host.ring import Ring
from zoopark.host.screen import Screen
from zoopark.host.snapshotter import Snapshotter, save
from zoopark.host.storage import DirectoryLock, FileDisk, explain, lock_directory
from zoopark.host.survey import LoadTimes, Surveyor
from zoopark.log.snapfiles import SNAPPY, purge
from zoopark.log.snappy import require_snappy
from zoopark.log.txnlog import MAX_BATCH_ENTRIES
from zoopark.record import Effect, Now
from zoopark.server.config import Config
from zoopark.server.effects import Append, CloseLink, Flush, Note, Purge, TakeSnapshot
from zoopark.server.ensemble import EnsembleMember
from zoopark.server.member import Member
from zoopark.server.recovery import Recovered, log_directory, recover, snapshot_directory

if TYPE_CHECKING:
    from zoopark.host.ensemble import Agreement

EXIT_STOPPED: Final = 0
EXIT_UNEXPECTED: Final = 1
EXIT_BAD_CONFIG: Final = 2
EXIT_DATA_DIR: Final = 3
EXIT_SNAPSHOT: Final = 10
LATE_S: Final = 0.2
MAX_FILES: Final = 1 << 20
SWITCH_S: Final = 0.0005
"""How long the log's thread waits for the interpreter once its disk is done; the default is ten times as long."""
COLLECT_THRESHOLDS: Final = (50_000, 20, 100_000)
CLOCK_CHECK_S: Final = 1.0
BACKLOG: Final = 511
"""Connections waiting to be accepted, unless clientPortListenBacklog says otherwise."""
STOP_S: Final = 5.0
"""How long a stop waits for the disk, and for clients to take their replies."""
LINGER_S: Final = 5.0
"""How long a client that is closed may take for what is left to say."""
_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_LOOK_S: Final = 0.005
_NO_ROOM: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_log = logging.getLogger("zoopark")


class StartError(ZooparkError):
    """A server that cannot start, with the exit code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@final
class Server:
    """The thin floor between a member and the world.

    Args:
        disk: where `found` was recovered from.

    Attributes:
        agreement: what else is done for a member of an ensemble; None for one server alone.
    """

    def __init__(self, config: Config, found: Recovered, disk: FileDisk, loop: asyncio.AbstractEventLoop) -> None:
        self.config = config
        self.disk = disk
        self.loop = loop
        self.links: dict[int, ClientLink] = {}
        self.paused: dict[ClientLink, None] = {}
        self.exit_code = EXIT_STOPPED
        self.stopped = asyncio.Event()
        self._wall_offset_ms = 0
        self._checked_s = -CLOCK_CHECK_S
        self._now = Now(0, 0)
        self.surveyor = Surveyor(config, config.client_port)
        self.agreement: Agreement | None = None
        self.member = self._build_member(found)
        self.member.logged_since_snapshot = found.n_txns
        delay_ms, most = config.flush_delay_ms, config.max_batch_size
        self.log_writer = LogWriter(
            found.log,
            _open_ring(),
            self._on_logged,
            self._on_log_error,
            delay_ms,
            most if most < MAX_BATCH_ENTRIES else 0,
        )
        self.snapshotter = Snapshotter(config, found.tree, self._on_snapshot)
        self._chores = ThreadPoolExecutor(1, "purge")
        self.files_lock = Lock()
        self.gathering = Gathering()
        self.n_chunks = 0
        self._is_turning = False
        self._is_late = False
        self._is_awake = False
        self._is_stopping = False
        self._snapshot_began_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = -1

    def _build_member(self, found: Recovered) -> Member | EnsembleMember:
        if self.config.membership is None:
            return Member(self.config, found.tree, Random(), self.now(), self.surveyor.look)
        from zoopark.host.ensemble import Agreement

        self.agreement = Agreement(self, found)
        return self.agreement.member

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
        entries = self.member.pipeline.entries
        if entries and self.gathering.may_wait(len(entries)) and not self._is_stopping:
            self.wake()
            return
        self._is_turning = True
        carry_out = self.carry_out if self.agreement is None else self.agreement.carry_out
        has_effects = True
        while has_effects:
            for effect in self.member.take():
                carry_out(effect)
            has_effects = self.member.has_effects()
        self._is_turning = False
        if self.agreement is not None:
            self.agreement.look_at_role()
        if self._is_stopping:
            return
        if self.paused:
            for link in list(self.paused):
                link.resume()
        self._arm()

    def fail(self, code: int, text: str) -> None:
        """Stop the server: something happened after which it must not promise anything."""
        _log.error(text)
        self.exit_code = self.exit_code or code
        self.stopped.set()

    def on_broken(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception that nobody expected: an invariant is broken, so the server must not go on."""
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            _log.warning("a connection cannot be accepted: %s", error.strerror)
            return
        _log.critical("%s", context.get("message"), exc_info=error)
        self.fail(EXIT_UNEXPECTED, "stopping, because an invariant does not hold; nothing that was answered is lost")

    async def drain(self) -> None:
        """Read nothing more; log and answer what came in, then close every connection. Takes STOP_S at most."""
        self._is_stopping = True
        self.log_writer.flush()
        until_s = self.loop.time() + STOP_S
        for link in list(self.links.values()):
            link.pause()
        self.turn()
        await self._wait(lambda: not self._is_busy(), until_s)
        for link in list(self.links.values()):
            link.close()
        await self._wait(lambda: not self.links or bool(self.exit_code), until_s)

    def close(self) -> None:
        """Give up what is still under way: a snapshot, connections that do not end."""
        self._is_stopping = True
        if self.agreement is not None:
            self.agreement.close()
        if self._timer is not None:
            self._timer.cancel()
        self.snapshotter.stop()
        for link in list(self.links.values()):
            if link.transport is not None:
                link.transport.abort()
        self.log_writer.close()
        self._chores.shutdown()

    async def _wait(self, is_done: Callable[[], bool], until_s: float) -> None:
        """Wait for what happens in other turns, looking every now and then, until the loop's clock shows until_s."""
        come = asyncio.Event()

        def look() -> None:
            if is_done() or self.loop.time() >= until_s:
                come.set()
            else:
                self.loop.call_later(_LOOK_S, look)

        look()
        await come.wait()

    def _is_busy(self) -> bool:
        return not self.exit_code and (bool(self.member.pipeline.pending) or self.member.has_effects())

    def carry_out(self, effect: Effect) -> None:
        """One effect that every server has."""
        if isinstance(effect, Append):
            if not self.exit_code:
                self.gathering.on_batch(len(effect.entries))
                self.log_writer.append(effect.entries, is_alone=self.n_chunks <= 1)
                self.n_chunks = 0
        elif isinstance(effect, Flush):
            for connection in effect.connections:
                link = self.links.get(connection.connection_id)
                if link is not None and connection.out:
                    link.write()
        elif isinstance(effect, CloseLink):
            self._close_link(effect)
        elif isinstance(effect, TakeSnapshot):
            self.log_writer.roll(is_marked=True)
            self._snapshot_began_s = self.loop.time()
            self.snapshotter.start()
        elif isinstance(effect, Purge):
            self._purge(effect.keep)
        elif isinstance(effect, Note):
            _log.info(effect.text)

    def _close_link(self, effect: CloseLink) -> None:
        link = self.links.get(effect.connection.connection_id)
        if link is None:
            return
        _log.info("%s:%d: %s", effect.connection.address, effect.connection.port, effect.why)
        link.close()
        transport = link.transport
        if transport is not None and transport.get_write_buffer_size():
            self.loop.call_later(LINGER_S, transport.abort)

    def _on_logged(self, zxid: int) -> None:
        member, log = self.member, self.log_writer.log
        if self.log_writer.last_ms > self.config.fsync_warning_threshold_ms:
            _log.warning("writing the transaction log took %d ms, which delays every write", self.log_writer.last_ms)
        if self.config.has_force_sync:
            member.metrics.fsync_us.add(int(self.log_writer.last_ms * 1000))
        member.on_logged(zxid, self.now())
        member.logged_bytes_since_snapshot = log.bytes_since_mark
        limit_kb = self.config.txn_log_size_limit_kb
        if 0 < limit_kb * 1024 < log.file_bytes:
            self.log_writer.roll(is_marked=False)
        if not self._is_turning:
            self.wake()

    def _on_log_error(self, error: BaseException) -> None:
        self.fail(
            EXIT_UNEXPECTED, f"cannot write the transaction log in {log_directory(self.config)}: {explain(error)}"
        )

    def _on_snapshot(self, problem: str | None, is_fatal: bool) -> None:
        if problem is not None and is_fatal:
            self.fail(EXIT_SNAPSHOT, problem)
            return
        if problem is not None:
            _log.warning(problem)
            self.member.metrics.snapshot_errors += 1
        else:
            self.member.metrics.snapshot_us.add(int((self.loop.time() - self._snapshot_began_s) * 1_000_000))
        self.member.on_snapshot()
        self.wake()

    def _purge(self, keep: int) -> None:
        """Remove files in a thread: the file system may take its time for large ones."""
        data_dir, log_dir = snapshot_directory(self.config), log_directory(self.config)
        future = self.loop.run_in_executor(self._chores, self._purge_files, data_dir, log_dir, keep)
        future.add_done_callback(self._on_purged)

    def _purge_files(self, data_dir: str, log_dir: str, keep: int) -> list[str]:
        with self.files_lock:
            return purge(FileDisk(), data_dir, log_dir, keep)

    def _on_purged(self, done: "asyncio.Future[list[str]]") -> None:
        error = done.exception()
        if isinstance(error, FileNotFoundError):
            _log.warning("purge: somebody else removed %s meanwhile", error.filename)
        elif isinstance(error, OSError):
            self.fail(EXIT_UNEXPECTED, f"cannot purge old files: {explain(error)}")
        else:
            for path in done.result():
                _log.info("purged %s", path)

    def _arm(self) -> None:
        """Set the one timer to the member's deadline; one that comes too early is set anew when it comes."""
        due_ms = self.member.deadline()
        if due_ms == self._timer_ms or (due_ms is not None and 0 <= self._timer_ms < due_ms):
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
        if due_ms is None or due_ms > now.mono_ms:
            self.wake()
        elif now.mono_ms - due_ms > self.config.tick_time_ms and not self._is_late:
            # This process stood still. What its clients sent meanwhile must be read before any session expires.
            self._is_late = True
            self.loop.call_later(LATE_S, self._on_time)
        else:
            self._is_late = False
            self.member.on_timeout(now)
            self.wake()


def run_server(config: Config) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code.

    0 stopped cleanly, 1 unexpected, a port that cannot be had or a failing log disk, 2 a configuration that cannot be
    served, 3 a data directory that cannot be used, 10 a snapshot that cannot be written. Anything but 0 comes with one
    line on stderr.

    Effects: takes over the signals SIGTERM and SIGINT, the root logger and the garbage collector of the process.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    screen = Screen(sys.stdout, sys.stderr)
    held: list[DirectoryLock] = []
    try:
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.default_int_handler)  # until the loop takes them
        _check(config)
        screen.show_places(config)
        _open_directories(config, held)
        return _run_locked(config, screen)
    except StartError as error:
        screen.refuse(str(error))
        return error.code
    except PortError as error:
        screen.refuse(str(error))
        return EXIT_UNEXPECTED
    except KeyboardInterrupt:
        screen.end_progress()
        return EXIT_STOPPED
    finally:
        for lock in held:
            lock.release()


def _run_locked(config: Config, screen: Screen) -> int:
    doors: dict[str, list[socket.socket]] = {}
    try:
        _bind_all(config, doors)
        times = LoadTimes(screen.progress)
        disk = FileDisk()
        found = _recover(config, disk, times, screen)
        _allow_many_files()
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_serve((config, found, disk), times, doors, screen))
    finally:
        for sockets in doors.values():
            for sock in sockets:
                sock.close()


def _bind_all(config: Config, doors: dict[str, list[socket.socket]]) -> None:
    doors[CLIENTS] = bind(config.client_port_address, config.client_port)
    if config.membership is not None:
        seat = config.membership.own()
        keys = (f"server.{seat.sid}",) * 2
        for door, addresses in ((QUORUM, seat.quorum_addresses()), (ELECTION, seat.election_addresses())):
            places = [("", port) for _, port in addresses] if config.has_quorum_on_all_ips else addresses
            doors[door] = []
            for host, port in dict.fromkeys(places):
                doors[door] += bind(host, port, keys)


def _recover(config: Config, disk: FileDisk, times: LoadTimes, screen: Screen) -> Recovered:
    gc.disable()
    start = time.perf_counter()
    try:
        found = recover(config, disk, times.progress)
    except StorageError as error:
        raise StartError(EXIT_DATA_DIR, str(error)) from error
    except OSError as error:
        raise StartError(EXIT_DATA_DIR, f"cannot read the data directory: {explain(error)}") from error
    times.stop()
    seconds = time.perf_counter() - start
    gc.freeze()
    gc.enable()
    gc.set_threshold(*COLLECT_THRESHOLDS)
    sys.setswitchinterval(SWITCH_S)
    screen.show_recovered(found, seconds)
    if found.snapshot is None:
        try:
            save(config, found.tree)
        except OSError as error:
            raise StartError(EXIT_SNAPSHOT, f"cannot write the first snapshot: {explain(error)}") from error
    return found


async def _serve(
    start: tuple[Config, Recovered, FileDisk], times: LoadTimes, doors: dict[str, list[socket.socket]], screen: Screen
) -> int:
    config, found, disk = start
    loop = asyncio.get_running_loop()
    server = Server(config, found, disk, loop)
    times.tell(server.member.metrics, found)
    server.surveyor.resolve_host_name()
    loop.set_exception_handler(server.on_broken)
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, server.stopped.set)
    backlog = config.client_port_listen_backlog if config.client_port_listen_backlog > 0 else BACKLOG
    listeners: list[asyncio.Server] = []
    try:
        if server.agreement is not None:
            await server.agreement.open(doors, listeners)
        for sock in doors[CLIENTS]:
            try:
                listeners.append(await loop.create_server(lambda: _link_to(server), sock=sock, backlog=backlog))
            except OSError as error:
                raise in_use(sock, error) from error
            host, port = sock.getsockname()[:2]
            server.surveyor.client_port = port
            screen.say(f"listening on {f'[{host}]' if ':' in host else host}:{port}")
        if server.agreement is not None:
            server.agreement.start()
        server.wake()
        await server.stopped.wait()
        for listener in listeners:
            listener.close()
        if not server.exit_code:
            _log.info("stopping")
            await server.drain()
    finally:
        server.close()
    for number in _STOP_SIGNALS:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)  # it is stopping already
    return server.exit_code


def _link_to(server: Server) -> asyncio.Protocol:
    return cast(asyncio.Protocol, ClientLink(server))


def _check(config: Config) -> None:
    """Refuse what the configuration asks for and this installation cannot do."""
    if config.snapshot_compression == SNAPPY:
        try:
            require_snappy()
        except StorageError as error:
            raise StartError(EXIT_BAD_CONFIG, f"snapshot.compression.method=snappy: {error}") from error


def _open_directories(config: Config, held: list[DirectoryLock]) -> None:
    """Have both directories, and hold them against a second server."""
    data_dir, log_dir = snapshot_directory(config), log_directory(config)
    try:
        for directory in (data_dir, log_dir):
            if not config.may_create_data_dir and not os.path.isdir(directory):
                raise StorageError(f"{directory}: there is no such directory, and datadir.autocreate is false")
            FileDisk().make_directory(directory)
        held.append(lock_directory(data_dir))
        if not os.path.samefile(data_dir, log_dir):
            held.append(lock_directory(log_dir))
    except StorageError as error:
        raise StartError(EXIT_DATA_DIR, str(error)) from error
    except (FileExistsError, NotADirectoryError) as error:
        raise StartError(EXIT_DATA_DIR, f"cannot use the data directory: {error.filename}: not a directory") from error
    except OSError as error:
        raise StartError(EXIT_DATA_DIR, f"cannot use the data directory: {explain(error)}") from error


def _allow_many_files() -> None:
    """Every connection is an open file; take as many as this process may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # some systems have a lower limit that they do not tell
        most = hard if 0 <= hard < MAX_FILES else MAX_FILES
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _open_ring() -> Ring | None:
    try:
        return Ring()
    except OSError:
        return None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
