"""Transactions that this server prepared itself are applied, watchers are told, and who asked is answered.

What it must never do: answer before watchers were told, or tell anybody of what is not in the tree.
"""

from typing import final

from zoopark.jute import proto
from zoopark.record import Now
from zoopark.server.clients import Clients
from zoopark.server.config import Config
from zoopark.server.connection import Connection
from zoopark.server.metrics import DIGEST_INTERVAL, Metrics
from zoopark.server.pipeline import Pending
from zoopark.server.sessions import SessionTracker
from zoopark.tree.tree import Tree


@final
class Applier:
    """Brings the tree, the sessions and the connections of one server together.

    Args:
        config: whether transactions carry digests.
        tree: is changed here.
        sessions: those of the tree.
        clients: who is told.
        metrics: counts.
    """

    def __init__(
        self, config: Config, tree: Tree, sessions: SessionTracker, clients: Clients, metrics: Metrics
    ) -> None:
        self.config = config
        self.tree = tree
        self.sessions = sessions
        self.clients = clients
        self.metrics = metrics

    def apply(self, logged: list[Pending], now: Now) -> None:
        """Apply what was prepared here, in order; tell watchers, then who asked."""
        tree, fired, find_dirty = self.tree, self.tree.fired, self.clients.find_dirty
        has_digest, apply_own = self.config.has_digest, tree.apply_own
        connection: Connection | None = None
        run_id = run_came_ms = n_run = 0
        for txn_zxid, connection_id, xid, op, txn, came_ms, change in logged:
            outcome = apply_own(txn, change) if has_digest else tree.apply(txn)
            if txn_zxid % DIGEST_INTERVAL == 0:
                self.metrics.digests.append((txn_zxid, tree.digest))
            if fired:
                self.metrics.on_fired(fired)
                self.clients.tell_watchers()
            if op <= 0:
                self.on_session_txn(op, txn, connection_id, now)
            if connection_id != run_id or came_ms != run_came_ms:
                if connection is not None:
                    connection.traffic.on_replies(n_run, now.mono_ms - run_came_ms, now.mono_ms)
                connection = find_dirty(connection_id)
                run_id, run_came_ms, n_run = connection_id, came_ms, 0
            if connection is not None:
                connection.on_outcome(xid, op, outcome, now)
                n_run += 1
        if connection is not None:
            connection.traffic.on_replies(n_run, now.mono_ms - run_came_ms, now.mono_ms)
        if logged:
            self.metrics.on_updates(logged, now)

    def on_session_txn(self, kind: int, txn: bytes, asker: int, now: Now) -> None:
        """A transaction of this kind was applied: a session may have begun or ended.

        `asker` is the id of the connection that asked for it, which is answered later.
        """
        session_id = int.from_bytes(txn[:8], "big", signed=True)
        if kind == proto.CREATE_SESSION:
            if session_id not in self.sessions.by_id:
                self.sessions.add(session_id, self.tree.sessions[session_id], now.mono_ms)
        elif kind == proto.CLOSE_SESSION:
            session = self.sessions.remove(session_id)
            owner = self.clients.connections.get(session.connection) if session is not None else None
            if owner is not None and owner.connection_id != asker:
                owner.close("its session is gone")
