"""One server, without the world around it: connections, sessions, writes and their order.

    on_connect, Connection.on_bytes, on_disconnect   what clients do
    on_logged, on_snapshot                           what the disk finished
    on_timeout                                       the time is up
    take() -> effects, deadline()                    what the host is to do, and when to come back

A standalone server commits what it has logged. The member routes and holds no policy: validation is in `prepare`,
order in `pipeline`, expiry in `sessions`, reaping in `reaper`.
What it must never do: block, look at a clock, or let a reply leave before its transaction is logged and applied.
"""

from collections.abc import Callable
from random import Random
from typing import Final, final

from zoopark.jute import proto
from zoopark.record import Effect, Now
from zoopark.server.config import Config
from zoopark.server.connection import CLOSING, NEW, OPENING, Connection
from zoopark.server.effects import Append, CloseLink, Flush, Note, Purge, TakeSnapshot
from zoopark.server.metrics import DIGEST_INTERVAL, Metrics, Survey, nothing_known
from zoopark.server.parts import Parts
from zoopark.server.pipeline import Pipeline
from zoopark.server.prepare import Preparer, Requester
from zoopark.server.reaper import Reaper
from zoopark.server.sessions import SessionTracker, first_session_id
from zoopark.server.throttles import ConnectionThrottle
from zoopark.server.words import Words
from zoopark.tree.tree import Tree

STANDALONE_SERVER_ID: Final = 1
HOUR_MS: Final = 3_600_000
HEAVY: Final = 10_000
SNAPSHOT_REST: Final = 5
LONGEST_REST: Final = 3


@final
class Member:
    """A standalone server over a recovered tree.

    Args:
        config: what it is told.
        tree: the tree as recovered; its last_zxid is where the next transaction continues.
        random: decides when snapshots are taken, so that servers of one ensemble do not take them together, and which
            connections a throttle drops.
        now: the moment of the start.
        survey: tells what only the host knows.
    """

    def __init__(
        self, config: Config, tree: Tree, random: Random, now: Now, survey: Callable[[], Survey] = nothing_known
    ) -> None:
        self.config = config
        self.tree = tree
        self.random = random
        self.sessions = SessionTracker(config.tick_time_ms, first_session_id(STANDALONE_SERVER_ID, now.wall_ms))
        self.preparer = Preparer(config, tree, self.sessions, tree.last_zxid)
        self.pipeline = Pipeline(self.preparer)
        self.reaper = Reaper(config, tree, now)
        self.connections: dict[int, Connection] = {}
        self.metrics = Metrics(now, survey)
        words = Words(config, tree, self.sessions, self.pipeline, self.connections, self.metrics)
        admission = ConnectionThrottle(config, random, self.metrics, now.mono_ms)
        self.parts = Parts(config, tree, self.pipeline, self.metrics, admission, words.answer)
        self.logged_since_snapshot = 0
        self.logged_bytes_since_snapshot = 0
        self.is_snapshot_running = False
        self._snapshot_txns = 0
        self._snapshot_bytes = 0
        self._greeting: dict[int, int] = {}
        self._effects: list[Effect] = []
        self._dirty: list[Connection] = []
        self._n_by_address: dict[str, int] = {}
        self._last_connection_id = 0
        self._purge_ms = now.mono_ms  # at the start, as ZooKeeper: one that restarts every night purges too
        self._draw_snapshot_limits()
        for session_id, timeout_ms in tree.sessions.items():
            self.sessions.add(session_id, timeout_ms, now.mono_ms)
        self._close_orphans(now)

    def on_connect(self, address: str, port: int, now: Now) -> Connection | None:
        """Somebody connected from this IP address; None if a limit is reached and the host should close at once."""
        config = self.config
        n_same = self._n_by_address.get(address, 0)
        if 0 < config.max_client_cnxns <= n_same:
            self._effects.append(Note(f"too many connections from {address}: {n_same} (maxClientCnxns)"))
            self.metrics.connections_rejected += 1
            return None
        if 0 < config.max_cnxns <= len(self.connections):
            self._effects.append(Note(f"too many connections: {len(self.connections)} (maxCnxns)"))
            self.metrics.connections_rejected += 1
            return None
        self._last_connection_id += 1
        connection = Connection(self._last_connection_id, address, port, self.parts, now.mono_ms)
        self.connections[connection.connection_id] = connection
        self._n_by_address[address] = n_same + 1
        self._greeting[connection.connection_id] = now.mono_ms + config.sessionless_cnxn_timeout_ms
        return connection

    def on_disconnect(self, connection: Connection) -> None:
        """The connection is gone; its session lives on until it expires."""
        if self.connections.pop(connection.connection_id, None) is None:
            return
        self._greeting.pop(connection.connection_id, None)
        left = self._n_by_address[connection.address] - 1
        if left:
            self._n_by_address[connection.address] = left
        else:
            del self._n_by_address[connection.address]
        connection.settle_counts()
        connection.state = CLOSING
        connection.waiting.clear()
        self.tree.watches.leave(connection.connection_id)
        session = connection.session
        if session is not None and session.connection == connection.connection_id:
            session.connection = 0

    def on_logged(self, zxid: int, now: Now) -> None:
        """Every transaction up to `zxid` is durable: apply it, tell watchers, answer."""
        tree, fired = self.tree, self.tree.fired
        has_digest, apply_own = self.config.has_digest, tree.apply_own
        logged = self.pipeline.take_logged(zxid)
        self.logged_since_snapshot += len(logged)
        connection: Connection | None = None
        run_id = run_came_ms = n_run = 0
        for txn_zxid, connection_id, xid, op, txn, came_ms, change in logged:
            outcome = apply_own(txn, change) if has_digest else tree.apply(txn)
            if txn_zxid % DIGEST_INTERVAL == 0:
                self.metrics.digests.append((txn_zxid, tree.digest))
            if fired:
                self.metrics.on_fired(fired)
                self._tell_watchers()
            if op <= 0:
                self._on_session_txn(op, txn, connection_id, now)
            if connection_id != run_id or came_ms != run_came_ms:
                if connection is not None:
                    connection.traffic.on_replies(n_run, now.mono_ms - run_came_ms, now.mono_ms)
                connection = self._find_dirty(connection_id)
                run_id, run_came_ms, n_run = connection_id, came_ms, 0
            if connection is not None:
                connection.on_outcome(xid, op, outcome, now)
                n_run += 1
        if connection is not None:
            connection.traffic.on_replies(n_run, now.mono_ms - run_came_ms, now.mono_ms)
        if logged:
            self.metrics.on_updates(logged, now)
        self.preparer.on_applied(zxid)

    def _find_dirty(self, connection_id: int) -> Connection | None:
        """The connection, noted as one that has something to say; None if it is gone."""
        connection = self.connections.get(connection_id)
        if connection is not None and not connection.is_dirty:
            connection.is_dirty = True
            self._dirty.append(connection)
        return connection

    def on_snapshot(self) -> None:
        """The snapshot that was asked for is complete.

        Under a load so heavy that more than HEAVY transactions came while it was written, the next one waits for
        SNAPSHOT_REST times as many, but no more than LONGEST_REST times snapCount, so that a restart does not have to
        replay too much: otherwise the server would do little else than write snapshots.
        """
        self.is_snapshot_running = False
        if self.logged_since_snapshot > HEAVY:
            rest = min(SNAPSHOT_REST * self.logged_since_snapshot, LONGEST_REST * self.config.snap_count)
            self._snapshot_txns = max(self._snapshot_txns, rest)

    def on_timeout(self, now: Now) -> None:
        """`deadline` has come."""
        for session in self.sessions.take_expired(now.mono_ms):
            self.metrics.sessions_expired += 1
            self._effects.append(Note(f"session {session.session_id:#x} expired, timeout {session.timeout_ms} ms"))
            self._submit(session.session_id, proto.CLOSE_SESSION, b"", now)
        for path in self.reaper.take_due(now):
            self._submit(0, proto.DELETE_CONTAINER, len(path).to_bytes(4, "big") + path, now)
        self._close_silent(now)
        if self.config.purge_interval_hours > 0 and now.mono_ms >= self._purge_ms:
            self._purge_ms = now.mono_ms + self.config.purge_interval_hours * HOUR_MS
            self._effects.append(Purge(self.config.snap_retain_count))

    def deadline(self) -> int | None:
        """When to call on_timeout at the latest, on the monotonic clock; None for never."""
        times = [self.sessions.deadline(), self.reaper.deadline()]
        if self._greeting:
            times.append(next(iter(self._greeting.values())))
        if self.config.purge_interval_hours > 0:
            times.append(self._purge_ms)
        return min((time for time in times if time is not None), default=None)

    def take(self) -> list[Effect]:
        """What the host is to do now, in this order."""
        effects, self._effects = self._effects, []
        entries = self.pipeline.take_entries()
        if entries:
            effects.append(Append(entries, entries[-1][0]))
        if self._dirty:
            effects.append(Flush(self._dirty))
            for connection in self._dirty:
                connection.is_dirty = False
            self._dirty = []
        if self.parts.to_close:
            self._take_closing(effects)
        if self._is_snapshot_due():
            effects.append(self.begin_snapshot())
        return effects

    def has_effects(self) -> bool:
        """Whether take() would return something."""
        return bool(self.pipeline.entries or self._dirty or self.parts.to_close or self._effects)

    def begin_snapshot(self) -> TakeSnapshot:
        """Note that a snapshot begins now; the effect that asks for it."""
        self.is_snapshot_running = True
        self.logged_since_snapshot = 0
        self.logged_bytes_since_snapshot = 0
        self._draw_snapshot_limits()
        return TakeSnapshot(self.tree.last_zxid)

    def _on_session_txn(self, op: int, txn: bytes, asker: int, now: Now) -> None:
        session_id = int.from_bytes(txn[:8], "big", signed=True)
        if op == proto.CREATE_SESSION:
            self.sessions.add(session_id, self.tree.sessions[session_id], now.mono_ms)
        elif op == proto.CLOSE_SESSION:
            session = self.sessions.remove(session_id)
            owner = self.connections.get(session.connection) if session is not None else None
            if owner is not None and owner.connection_id != asker:
                owner.close("its session is gone")

    def _tell_watchers(self) -> None:
        for watcher, event, path, zxid, acl in self.tree.fired:
            connection = self._find_dirty(watcher)
            if connection is not None:
                connection.on_event(event, path, zxid, acl)
        self.tree.fired.clear()

    def _submit(self, session_id: int, op: int, body: bytes, now: Now) -> None:
        self.pipeline.submit(Requester(session_id, []), 0, 0, op, body, now)

    def _take_closing(self, effects: list[Effect]) -> None:
        for connection_id, why in self.parts.to_close:
            connection = self.connections.get(connection_id)
            if connection is not None:
                connection.state = CLOSING
                effects.append(CloseLink(connection, why))
        self.parts.to_close = []

    def _close_silent(self, now: Now) -> None:
        """Close connections that did not open a session in time."""
        for connection_id, due_ms in list(self._greeting.items()):
            if due_ms > now.mono_ms:
                return
            del self._greeting[connection_id]
            connection = self.connections.get(connection_id)
            if connection is not None and connection.state in (NEW, OPENING):
                self.metrics.sessionless_expired += 1
                connection.close("no session within nio.sessionlessCnxnTimeout")

    def _close_orphans(self, now: Now) -> None:
        """Close the sessions that own ephemerals and are not known, as a server that crashed may leave them."""
        for session_id in [owner for owner in self.tree.ephemerals if owner not in self.tree.sessions]:
            self._effects.append(Note(f"session {session_id:#x} owns ephemerals and is unknown: closing it"))
            self._submit(session_id, proto.CLOSE_SESSION, b"", now)

    def _is_snapshot_due(self) -> bool:
        if self.is_snapshot_running:
            return False
        return (
            self.logged_since_snapshot > self._snapshot_txns
            or 0 < self._snapshot_bytes < self.logged_bytes_since_snapshot
        )

    def _draw_snapshot_limits(self) -> None:
        """Between half and all of snapCount transactions and snapSizeLimitInKb of log, drawn anew each time."""
        half = self.config.snap_count // 2
        self._snapshot_txns = half + self.random.randrange(max(half, 1))
        limit = self.config.snap_size_limit_kb * 1024
        self._snapshot_bytes = limit // 2 + self.random.randrange(max(limit // 2, 1)) if limit > 0 else 0
