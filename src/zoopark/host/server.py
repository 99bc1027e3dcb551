"""The thin floor between a member and the world: carries out what the member asks for, turn by turn.

One turn of the loop: chunks are fed to their connections, then `turn` carries out the member's effects until there are
none, with one log write for everything that came in. What this must never do: answer an effect before what it asks for
is durable, or go on after an error of the disk.
"""

import asyncio
import errno
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, final

from zoopark.host.listener import ClientLink
from zoopark.host.logwriter import Gathering, LogWriter
from zoopark.host.ring import Ring
from zoopark.host.snapshotter import Snapshotter
from zoopark.host.storage import FileDisk, explain
from zoopark.host.strangers import Complaints
from zoopark.host.survey import Surveyor
from zoopark.log.snapfiles import purge
from zoopark.log.txnlog import MAX_BATCH_ENTRIES
from zoopark.record import Effect, Now
from zoopark.server.config import Config
from zoopark.server.effects import Append, CloseLink, Flush, Note, Purge, TakeSnapshot
from zoopark.server.ensemble import EnsembleMember
from zoopark.server.member import Member
from zoopark.server.recovery import Recovered, log_directory, snapshot_directory

if TYPE_CHECKING:
    from zoopark.host.ensemble import Agreement

EXIT_STOPPED: Final = 0
EXIT_UNEXPECTED: Final = 1
EXIT_DATA_DIR: Final = 3
EXIT_SNAPSHOT: Final = 10
LATE_S: Final = 0.2
CLOCK_CHECK_S: Final = 1.0
STOP_S: Final = 5.0
"""How long a stop waits for the disk, and for clients to take their replies."""
LINGER_S: Final = 5.0
"""How long a client that is closed may take for what is left to say."""
MOST_TURNED_AWAY: Final = 100
"""Connections refused or closed that are told of in a minute, for each address: such a client comes again at once."""
_LOOK_S: Final = 0.005
_NO_ROOM: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_log = logging.getLogger("zoopark")


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
        self._turned_away = Complaints(loop.time, MOST_TURNED_AWAY, logging.INFO)
        self._without_room = Complaints(loop.time)
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
            self._without_room.say("accept", f"a connection cannot be accepted: {error.strerror}")
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
            if effect.who:
                self._turned_away.say(effect.who, effect.text)
            else:
                _log.info(effect.text)

    def _close_link(self, effect: CloseLink) -> None:
        link = self.links.get(effect.connection.connection_id)
        if link is None:
            return
        connection = effect.connection
        source = f"{connection.address} leaves" if connection.is_leaving else connection.address
        self._turned_away.say(source, f"{connection.address}:{connection.port}: {effect.why}")
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


def _open_ring() -> Ring | None:
    try:
        return Ring()
    except OSError:
        return None
