"""Writes on their way: prepared, waiting for the disk, then applied in the order of their zxids.

    submit -> prepare -> entries -> Append … on_logged -> take_logged -> applied by the member

What it must never do: let a transaction be applied, or its request be answered, before it is on disk.
"""

from collections import deque
from typing import Final, TypeAlias, final

from zoopark.record import Now
from zoopark.server.prepare import Preparer, Requester
from zoopark.tree.tree import Change

MAX_PENDING_BYTES: Final = 32 << 20
"""Of transactions on their way to the disk; with more, connections that wait for one are not read from."""

Pending: TypeAlias = tuple[int, int, int, int, bytes, int, Change | None]
"""(zxid, connection id or 0, xid, opcode, transaction, when its request came in, what it changes if that is known)."""


@final
class Pipeline:
    """The writes of all connections, in one order.

    Args:
        preparer: gives every request its transaction.
    """

    def __init__(self, preparer: Preparer) -> None:
        self.preparer = preparer
        self.entries: list[tuple[int, bytes]] = []
        self.pending: deque[Pending] = deque()
        self.pending_bytes = 0

    def submit(self, requester: Requester, connection: int, xid: int, op: int, body: bytes, now: Now) -> bool:
        """Take up a write request; `connection` is the id of the one to answer, 0 for nobody.

        False if its record cannot be read: then there is no transaction and nothing to wait for.
        """
        preparer = self.preparer
        txn = preparer.prepare(requester, xid, op, body, now.wall_ms)
        if txn is None:
            return False
        zxid = preparer.zxid
        self.entries.append((zxid, txn))
        self.pending.append((zxid, connection, xid, op, txn, now.mono_ms, preparer.change))
        self.pending_bytes += len(txn)
        return True

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
