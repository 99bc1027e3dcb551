"""Writes on their way: prepared, waiting for the disk, then applied in the order of their zxids.

    submit -> prepare -> entries -> Append … on_logged -> take_logged -> applied by the member

In an ensemble a leader's writes wait for the commit instead of the disk. A learner's are relayed and prepared by the
leader; they wait here too, with a ticket in the place of the zxid.

What it must never do: let a transaction be applied, or its request be answered, before it is on disk.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias, final

from zoopark.jute import proto
from zoopark.record import Now
from zoopark.server.prepare import Preparer, Requester
from zoopark.tree.tree import Change

MAX_PENDING_BYTES: Final = 32 << 20
"""Of transactions on their way to the disk; with more, connections that wait for one are not read from."""

Pending: TypeAlias = tuple[int, int, int, int, bytes, int, Change | None]
"""(zxid, connection id or 0, xid, opcode, transaction, when its request came in, what it changes if that is known)."""
Sync: TypeAlias = tuple[int, int, int, bytes, int]
"""(zxid or ticket of the last write before it, connection id, xid, record, when it came in)."""
Relay: TypeAlias = Callable[[Requester, int, int, int, bytes, Now], bool]
"""As `Pipeline.submit`."""


@final
class Pipeline:
    """The writes of all connections, in one order.

    Args:
        preparer: gives every request its transaction.

    Attributes:
        relay: takes requests to the leader; None where they are prepared here.
        is_replicated: whether a sync waits for others' writes too.
        syncs: those that wait, in the order they came.
    """

    def __init__(self, preparer: Preparer) -> None:
        self.preparer = preparer
        self.entries: list[tuple[int, bytes]] = []
        self.pending: deque[Pending] = deque()
        self.pending_bytes = 0
        self.relay: Relay | None = None
        self.is_replicated = False
        self.syncs: deque[Sync] = deque()

    def submit(self, requester: Requester, connection: int, xid: int, op: int, body: bytes, now: Now) -> bool:
        """Take up a write request; `connection` is the id of the one to answer, 0 for nobody.

        False if its record cannot be read: then there is no transaction and nothing to wait for.
        """
        if self.relay is not None:
            return self.relay(requester, connection, xid, op, body, now)
        preparer = self.preparer
        txn = preparer.prepare(requester, xid, op, body, now.wall_ms)
        if txn is None:
            return False
        zxid = preparer.zxid
        self.entries.append((zxid, txn))
        self.pending.append((zxid, connection, xid, op, txn, now.mono_ms, preparer.change))
        self.pending_bytes += len(txn)
        return True

    def refuse(self, requester: Requester, xid: int, err: int, now: Now) -> None:
        """Answer a request of a learner's client with an error transaction, so that it comes back in its turn."""
        txn = self.preparer.refuse(requester, xid, err, now.wall_ms)
        self.entries.append((self.preparer.zxid, txn))
        self.pending.append((self.preparer.zxid, 0, xid, 0, txn, now.mono_ms, None))
        self.pending_bytes += len(txn)

    def sync(self, requester: Requester, connection: int, xid: int, body: bytes, now: Now) -> bool:
        """Take up a sync, which is answered behind everything that was prepared before it.

        False if it need not wait for anything but the writes of its own session.
        """
        if self.relay is not None:
            return self.relay(requester, connection, xid, proto.SYNC, body, now)
        if not self.is_replicated or not self.pending:
            return False
        self.hold_sync(connection, xid, body, now)
        return True

    def hold(self, connection: int, xid: int, op: int, key: bytes, now: Now) -> None:
        """A write waits for the transaction that begins with `key`, which somebody else prepares."""
        self.preparer.zxid += 1
        self.pending.append((self.preparer.zxid, connection, xid, op, key, now.mono_ms, None))
        self.pending_bytes += len(key)

    def hold_sync(self, connection: int, xid: int, body: bytes, now: Now) -> None:
        """A sync waits behind all writes that came before it."""
        self.syncs.append((self.preparer.zxid, connection, xid, body, now.mono_ms))

    def drop(self) -> None:
        """Forget everything that is on its way."""
        self.entries = []
        self.pending.clear()
        self.syncs.clear()
        self.pending_bytes = 0

    def is_full(self, limit: int) -> bool:
        """Whether more than `limit` writes, or MAX_PENDING_BYTES of them, wait for the disk."""
        return len(self.pending) > limit or self.pending_bytes > MAX_PENDING_BYTES

    def take_entries(self) -> list[tuple[int, bytes]]:
        """The transactions to append now, in order."""
        entries = self.entries
        self.entries = []
        return entries

    def take_logged(self, zxid: int) -> list[Pending]:
        """The writes that are durable once everything up to `zxid` is."""
        pending = self.pending
        if pending and pending[-1][0] <= zxid:
            logged = list(pending)
            pending.clear()
            self.pending_bytes = 0
            return logged
        logged = []
        while pending and pending[0][0] <= zxid:
            logged.append(pending.popleft())
            self.pending_bytes -= len(logged[-1][4])
        return logged
