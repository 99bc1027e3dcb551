"""One whole server without a world: member, recovery and log over a simulated disk, clients as plain objects.

It does what `zoopark.host.server` does, in the same order, but for the world: a turn carries out the member's effects,
then the disk finishes one batch, then a snapshot that is being written comes one piece further. A disk that fails or
crashes raises out of `turn`; the server is then gone, and a new one may be started on the disk.

It must never be kinder than the host: nothing reaches a client before the effects that come first are carried out.
"""

from collections.abc import Iterator
from random import Random
from typing import Final, final

from zoopark.log.disk import Disk
from zoopark.log.snapfiles import SnapshotWriter, purge
from zoopark.record import Effect, Now
from zoopark.server.config import Config
from zoopark.server.connection import Connection
from zoopark.server.effects import Append, CloseLink, Flush, Purge, TakeSnapshot
from zoopark.server.member import Member
from zoopark.server.recovery import log_directory, recover, snapshot_directory
from zoopark.tree.snapshot import write_snapshot

START_MS: Final = 1_000_000
MAX_TURNS: Final = 1000


@final
class Caller:
    """A client: what the server sent to it, and whether the server has closed the connection."""

    __slots__ = ("connection", "inbox", "is_closed")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.inbox = b""
        self.is_closed = False


@final
class Standalone:
    """A server on `disk`, recovered from it.

    Args:
        config: as for a real one; directories are those of the simulated disk.
        disk: keeps what survives.
        random: decides what the member leaves to chance.
        now: the moment of the start.

    Errors: as `recover`, and OSError or a crash from the disk.

    Attributes:
        appended: every transaction that was handed to the log, by its zxid.
    """

    __slots__ = ("_backlog", "_config", "_disk", "_snapshot", "appended", "callers", "found", "member", "now")

    def __init__(self, config: Config, disk: Disk, random: Random, now: Now) -> None:
        for directory in (snapshot_directory(config), log_directory(config)):
            disk.make_directory(directory)
        self._config = config
        self._disk = disk
        self._backlog: list[tuple[int, bytes]] = []
        self._snapshot: tuple[SnapshotWriter, Iterator[bytes]] | None = None
        self.now = now
        self.callers: dict[int, Caller] = {}
        self.appended: dict[int, bytes] = {}
        self.found = recover(config, disk, lambda what, done, size: None)
        if self.found.snapshot is None:
            self._begin_snapshot()
            while self._snapshot is not None:
                self._write_piece()
        self.member = Member(config, self.found.tree, random, now)
        self.member.logged_since_snapshot = self.found.n_txns

    def connect(self, address: str = "127.0.0.1") -> Caller:
        """A new connection; the member's limits must allow it."""
        connection = self.member.on_connect(address, 40_000 + len(self.callers), self.now)
        assert connection is not None
        caller = Caller(connection)
        self.callers[connection.connection_id] = caller
        return caller

    def feed(self, caller: Caller, data: bytes) -> None:
        """Bytes from a client; what can be answered at once is."""
        if not caller.is_closed:
            caller.connection.on_bytes(data, self.now)
            caller.inbox += caller.connection.take_out()

    def hang_up(self, caller: Caller) -> None:
        """The client closed its connection."""
        if not caller.is_closed:
            caller.is_closed = True
            del self.callers[caller.connection.connection_id]
            self.member.on_disconnect(caller.connection)

    def advance(self, spent_ms: int) -> None:
        """Let time pass."""
        self.now = Now(self.now.mono_ms + spent_ms, self.now.wall_ms + spent_ms)
        due_ms = self.member.deadline()
        if due_ms is not None and due_ms <= self.now.mono_ms:
            self.member.on_timeout(self.now)

    def turn(self) -> None:
        """One wake-up of the host."""
        for effect in self.member.take():
            self._carry_out(effect)
        if self._backlog:
            batch, self._backlog = self._backlog, []
            self.found.log.append(batch)
            self.member.on_logged(batch[-1][0], self.now)
            self.member.logged_bytes_since_snapshot = self.found.log.bytes_since_mark
            if 0 < self._config.txn_log_size_limit_kb * 1024 < self.found.log.file_bytes:
                self.found.log.roll()
        if self.found.log.wants_reserve():
            self.found.log.reserve_ahead()
        if self._snapshot is not None:
            self._write_piece()
            if self._snapshot is None:
                self.member.on_snapshot()

    def settle(self) -> None:
        """Turns until nothing is left to do."""
        for _ in range(MAX_TURNS):
            self.turn()
            if not self._backlog and self._snapshot is None and not self.member.has_effects():
                return
        raise AssertionError("the server does not come to rest")

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, Append):
            self._backlog += effect.entries
            self.appended.update(effect.entries)
        elif isinstance(effect, Flush):
            for connection in effect.connections:
                self._flush(connection)
        elif isinstance(effect, CloseLink):
            self._flush(effect.connection)
            caller = self.callers.get(effect.connection.connection_id)
            if caller is not None:
                self.hang_up(caller)
        elif isinstance(effect, TakeSnapshot):
            self.found.log.roll()
            self.found.log.mark()
            self._begin_snapshot()
        elif isinstance(effect, Purge):
            purge(self._disk, snapshot_directory(self._config), log_directory(self._config), effect.keep)

    def _flush(self, connection: Connection) -> None:
        caller = self.callers.get(connection.connection_id)
        if caller is not None:
            caller.inbox += connection.take_out()

    def _begin_snapshot(self) -> None:
        """The tree as it is now, as after a fork; the disk gets it piece by piece."""
        config, tree = self._config, self.found.tree
        pieces = list(write_snapshot(tree, config.has_digest, config.has_last_processed_zxid))
        writer = SnapshotWriter(self._disk, snapshot_directory(config), tree.last_zxid, config.snapshot_compression)
        self._snapshot = (writer, iter(pieces))

    def _write_piece(self) -> None:
        assert self._snapshot is not None
        writer, pieces = self._snapshot
        piece = next(pieces, None)
        if piece is None:
            writer.finish()
            self._snapshot = None
        else:
            writer.write(piece)


def start_now() -> Now:
    """A moment to start at, the same in every run."""
    return Now(START_MS, START_MS + 1_600_000_000_000)
