"""The answer to a sync, once everything that it waited for is applied."""

from zoopark.jute import proto
from zoopark.record import Now
from zoopark.server.clients import Clients
from zoopark.server.pipeline import Sync


def finish_sync(sync: Sync, clients: Clients, now: Now) -> None:
    """Answer a sync of a client, if it is still there; it is the first request of its connection without an answer."""
    _, connection_id, xid, body, came_ms = sync
    connection = clients.find_dirty(connection_id)
    if connection is None:
        return
    err, answer, _ = clients.parts.reads.serve(connection.requester, connection_id, proto.SYNC, body)
    connection.on_outcome(xid, proto.SYNC, (err, answer, None, None), now)
    connection.tally.reads(1, max(now.mono_ms - came_ms, 0), now.mono_ms)
