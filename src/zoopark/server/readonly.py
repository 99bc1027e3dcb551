"""A member without a leader answers reads, where `readonlymode.enabled` is: the read-only server.

    looking for a leader ── for two seconds or tickTime, the longer ──> read-only ── a leader is chosen ──> closed

The wait begins anew as long as the disk is still at what the last leader asked for.
It serves clients that ask for no more (`readOnly` in their ConnectRequest) from the tree that its log makes, the end
that was never committed included. Their sessions are its own; a session of the ensemble cannot go on here. Every write
and every sync is refused with NOTREADONLY. When it ends, all connections do: clients come back to one that writes.
What it must never do: serve while this member has a role; serve a tree that the disk is about to replace.
Source: ZooKeeper's ReadOnlyZooKeeperServer, with one difference: its sessions are local whatever localSessionsEnabled
says. ZooKeeper's can open none without it, and answers a ConnectRequest with what is no ConnectResponse.
"""

from typing import Final, final

from zoopark.jute.quorum import LOOKING
from zoopark.record import Now
from zoopark.server.clients import Clients
from zoopark.server.localsessions import LocalSessions
from zoopark.server.sessions import UNHEARD, SessionTracker
from zoopark.server.words import READ_ONLY
from zoopark.zab.effects import Became
from zoopark.zab.history import History

LEAST_WAIT_MS: Final = 2000
"""An election that ends well is over by then."""


@final
class ReadOnly:
    """What a member does while nobody leads.

    Args:
        clients: are served.
        sessions: those of the tree.
        local: takes the sessions that are opened here.
        history: the log.

    Attributes:
        is_serving: whether it does.
    """

    def __init__(self, clients: Clients, sessions: SessionTracker, local: LocalSessions, history: History) -> None:
        config = clients.config
        self.clients = clients
        self.sessions = sessions
        self.local = local
        self.history = history
        self.is_serving = False
        self._is_enabled = config.has_read_only_mode
        self._wait_ms = max(LEAST_WAIT_MS, config.tick_time_ms)
        self._due_ms: int | None = None

    def on_became(self, became: Became, now: Now) -> None:
        """The role changed, and whoever was served is served no more."""
        self.is_serving = False
        self._due_ms = now.mono_ms + self._wait_ms if self._is_enabled and became.state == LOOKING else None

    def on_timeout(self, now: Now) -> None:
        """Nobody was found to lead for long enough: serve, once the tree is what the log makes."""
        if self._due_ms is None or now.mono_ms < self._due_ms:
            return
        if not self._is_tree_at_rest():
            self._due_ms = now.mono_ms + self._wait_ms
            return
        self._due_ms = None
        self.is_serving = True
        self.sessions.restart(self.clients.tree.sessions, UNHEARD, is_expiring=False)
        self.local.begin(now, is_read_only=True)
        self.clients.parts.is_serving = True
        self.clients.words.mode = READ_ONLY
        self.clients.note("there is no leader: read-only from now on")

    def deadline(self) -> int | None:
        """When to call `on_timeout`."""
        return self._due_ms

    def _is_tree_at_rest(self) -> bool:
        """Whether no truncation, snapshot or replay is on its way; without a role, none begins."""
        return self.history.is_settled() and self.history.last_zxid == self.clients.tree.last_zxid
