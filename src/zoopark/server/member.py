"""One server alone, without the world around it: connections, sessions, writes and their order.

    on_connect, Connection.on_bytes, on_disconnect   what clients do
    on_logged, on_snapshot                           what the disk finished
    on_timeout                                       the time is up
    take() -> effects, deadline()                    what the host is to do, and when to come back

A standalone server commits what it has logged. The member routes and holds no policy: validation is in `prepare`,
order in `pipeline`, connections in `clients`, what is applied in `applier`, expiry and reaping in `housekeeping`.
A member of an ensemble is `ensemble.EnsembleMember`, composed of the same parts.
What it must never do: block, look at a clock, or let a reply leave before its transaction is logged and applied.
"""

from collections.abc import Callable
from random import Random
from typing import Final, final

from zoopark.record import Effect, Now, earliest
from zoopark.server.applier import Applier
from zoopark.server.clients import Clients
from zoopark.server.config import Config
from zoopark.server.connection import Connection
from zoopark.server.effects import Append, Purge, TakeSnapshot
from zoopark.server.housekeeping import Housekeeping
from zoopark.server.metrics import Metrics, Survey, nothing_known
from zoopark.server.pipeline import Pipeline
from zoopark.server.prepare import Preparer
from zoopark.server.sessions import SessionTracker, first_session_id
from zoopark.server.snapshots import SnapshotSchedule
from zoopark.tree.tree import Tree

STANDALONE_SERVER_ID: Final = 1
HOUR_MS: Final = 3_600_000


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
        self.metrics = Metrics(now, survey)
        self.clients = Clients(config, tree, self.pipeline, self.metrics, random, now)
        self.connections, self.parts = self.clients.connections, self.clients.parts
        self.applier = Applier(config, tree, self.sessions, self.clients, self.metrics)
        self.snapshots = SnapshotSchedule(config, random)
        self._purge_ms = now.mono_ms  # at the start, as ZooKeeper: one that restarts every night purges too
        for session_id, timeout_ms in tree.sessions.items():
            self.sessions.add(session_id, timeout_ms, now.mono_ms)
        self.housekeeping = Housekeeping(self.pipeline, self.clients, now)

    @property
    def logged_since_snapshot(self) -> int:
        """Transactions since the last snapshot; the host sets it at the start."""
        return self.snapshots.n_txns

    @logged_since_snapshot.setter
    def logged_since_snapshot(self, count: int) -> None:
        self.snapshots.n_txns = count

    @property
    def logged_bytes_since_snapshot(self) -> int:
        """Bytes of log since the last snapshot; the host sets it."""
        return self.snapshots.n_bytes

    @logged_bytes_since_snapshot.setter
    def logged_bytes_since_snapshot(self, size: int) -> None:
        self.snapshots.n_bytes = size

    @property
    def is_snapshot_running(self) -> bool:
        """Whether a snapshot is being written."""
        return self.snapshots.is_running

    def on_connect(self, address: str, port: int, now: Now) -> Connection | None:
        """Somebody connected from this IP address; None if a limit is reached and the host should close at once."""
        return self.clients.on_connect(address, port, now)

    def on_disconnect(self, connection: Connection) -> None:
        """The connection is gone; its session lives on until it expires."""
        self.clients.on_disconnect(connection)

    def on_logged(self, zxid: int, now: Now) -> None:
        """Every transaction up to `zxid` is durable: apply it, tell watchers, answer."""
        logged = self.pipeline.take_logged(zxid)
        self.snapshots.n_txns += len(logged)
        self.applier.apply(logged, now)
        self.preparer.on_applied(zxid)

    def on_snapshot(self) -> None:
        """The snapshot that was asked for is complete."""
        self.snapshots.on_snapshot()

    def on_timeout(self, now: Now) -> None:
        """`deadline` has come."""
        self.housekeeping.on_timeout(now)
        self.clients.close_silent(now)
        if self.config.purge_interval_hours > 0 and now.mono_ms >= self._purge_ms:
            self._purge_ms = now.mono_ms + self.config.purge_interval_hours * HOUR_MS
            self.clients.effects.append(Purge(self.config.snap_retain_count))

    def deadline(self) -> int | None:
        """When to call on_timeout at the latest, on the monotonic clock; None for never."""
        purge_ms = self._purge_ms if self.config.purge_interval_hours > 0 else None
        return earliest(self.housekeeping.deadline(), self.clients.deadline(), purge_ms)

    def take(self) -> list[Effect]:
        """What the host is to do now, in this order."""
        clients = self.clients
        effects, clients.effects = clients.effects, []
        entries = self.pipeline.take_entries()
        if entries:
            self.metrics.batch_size.add(len(entries))
            effects.append(Append(entries, entries[-1][0]))
        clients.take(effects)
        if self.snapshots.is_due():
            effects.append(self.begin_snapshot())
        return effects

    def has_effects(self) -> bool:
        """Whether take() would return something."""
        return bool(self.pipeline.entries) or self.clients.has_effects()

    def begin_snapshot(self) -> TakeSnapshot:
        """Note that a snapshot begins now; the effect that asks for it."""
        self.snapshots.begin()
        return TakeSnapshot(self.tree.last_zxid)
