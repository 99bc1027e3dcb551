"""What a server does of itself to the tree that it leads, or has for itself: it ends sessions and reaps nodes.

All of it is submitted as any client's request is.
"""

from typing import final

from zoopark.jute import proto
from zoopark.record import Now, earliest
from zoopark.server.clients import Clients
from zoopark.server.pipeline import Pipeline
from zoopark.server.prepare import Requester
from zoopark.server.reaper import Reaper


@final
class Housekeeping:
    """Begins with a look at what a server that crashed may have left.

    Args:
        pipeline: takes the requests; its preparer knows tree and sessions, which hold exactly what the tree holds.
        clients: for notes and counts.
        now: the moment of the start.
    """

    def __init__(self, pipeline: Pipeline, clients: Clients, now: Now) -> None:
        self.pipeline = pipeline
        self.clients = clients
        self.sessions = pipeline.preparer.sessions
        self.reaper = Reaper(clients.config, clients.tree, now)
        self._close_orphans(now)

    def on_timeout(self, now: Now) -> None:
        """Sessions expire; containers and TTL nodes are reaped."""
        for session in self.sessions.take_expired(now.mono_ms):
            self.clients.metrics.sessions_expired += 1
            self.clients.note(f"session {session.session_id:#x} expired, timeout {session.timeout_ms} ms")
            self._submit(session.session_id, proto.CLOSE_SESSION, b"", now)
        for path in self.reaper.take_due(now):
            self._submit(0, proto.DELETE_CONTAINER, len(path).to_bytes(4, "big") + path, now)

    def deadline(self) -> int | None:
        """When to call `on_timeout`."""
        return earliest(self.sessions.deadline(), self.reaper.deadline())

    def _close_orphans(self, now: Now) -> None:
        """Close the sessions that own ephemerals and are not known."""
        tree = self.clients.tree
        for session_id in [owner for owner in tree.ephemerals if owner not in tree.sessions]:
            self.clients.note(f"session {session_id:#x} owns ephemerals and is unknown: closing it")
            self._submit(session_id, proto.CLOSE_SESSION, b"", now)

    def _submit(self, session_id: int, op: int, body: bytes, now: Now) -> None:
        self.pipeline.submit(Requester(session_id, []), 0, 0, op, body, now)
