"""Delivery: a learner's half of a write, from the proposal that comes to the transaction that is applied.

    on_proposal ---> Append                      observers: INFORM is proposal and commit in one
    on_logged   ---> ACK of each by itself, as ZooKeeper's leader counts them; observers say nothing
    on_commit   ---> remembered
    advance     ---> Deliver what is committed and durable here, then the SYNC answers that waited for it

What this must never do: acknowledge what is not durable; deliver what is not committed, or not durable in its own log;
accept a hole; let the answer to a SYNC pass a transaction that was committed ahead of it.
Source: Zab, phase 3; ZooKeeper's Follower, Observer and CommitProcessor.
"""

from collections import deque
from typing import final

from zoopark.jute.quorum import ACK, QuorumPacket
from zoopark.zab.effects import Passed
from zoopark.zab.history import History, is_next
from zoopark.zab.outbox import Outbox
from zoopark.zxid import epoch_of


@final
class Delivery:
    """What has come from a leader and is not delivered. Methods that can refuse say why, or "" if all is well.

    Args:
        history: the pending part of it is what is logged, or being logged, and not delivered.
        outbox: where effects go.
        is_observer: observers acknowledge nothing.
        max_pending: transactions, and syncs, that may wait.

    Public state: `committed_zxid`, the last commit that came.
    """

    __slots__ = ("_history", "_is_observer", "_max_pending", "_outbox", "_syncs", "_unacked", "committed_zxid")

    def __init__(self, history: History, outbox: Outbox, is_observer: bool, max_pending: int) -> None:
        assert max_pending > 0, max_pending
        self._history = history
        self._outbox = outbox
        self._is_observer = is_observer
        self._max_pending = max_pending
        self._unacked: deque[int] = deque()
        self._syncs: deque[tuple[int, QuorumPacket]] = deque()
        self.committed_zxid = history.last_zxid

    def begin(self) -> None:
        """The history as it is, is the beginning of the leader's: all of it is committed."""
        assert not self._history.pending, "transactions whose fate is open"
        self.committed_zxid = self._history.last_zxid

    def on_proposal(self, zxid: int, txn: bytes | None, epoch: int) -> str:
        """Log a transaction of `epoch` or before; one that is here already may come again."""
        history = self._history
        if zxid <= history.last_zxid:
            return ""
        if not is_next(zxid, history.last_zxid) or epoch_of(zxid) > epoch or len(history.pending) >= self._max_pending:
            return f"proposal {zxid:#x} after {history.last_zxid:#x}: {len(history.pending)} pending"
        entry = (zxid, txn or b"")
        history.append(entry)
        self._outbox.append(entry)
        if not self._is_observer:
            self._unacked.append(zxid)
        return ""

    def on_commit(self, zxid: int, last_zxid: int) -> str:
        """Commits come in the order of proposals, the last of which is `last_zxid`; none may be left out."""
        if zxid <= self.committed_zxid:
            return ""
        if zxid > last_zxid or not is_next(zxid, self.committed_zxid):
            return f"commit of {zxid:#x} after {self.committed_zxid:#x}, the log ends at {last_zxid:#x}"
        self.committed_zxid = zxid
        return ""

    def on_sync(self, packet: QuorumPacket) -> str:
        """The answer to a SYNC: it counts once everything committed ahead of it is delivered."""
        if len(self._syncs) >= self._max_pending:
            return f"{len(self._syncs)} answers to syncs wait for the disk"
        self._syncs.append((self.committed_zxid, packet))
        return ""

    def acknowledge_history(self, link: int) -> None:
        """What came ahead of NEWLEADER and is not committed: it is durable, and a leader waits for each."""
        assert self._history.is_settled(), "acknowledged ahead of the disk"
        if self._is_observer:
            return
        for zxid, _ in self._history.pending:
            if zxid > self.committed_zxid:
                self._outbox.send(link, QuorumPacket(ACK, zxid))

    def acknowledge(self, link: int) -> None:
        """The log is durable up to `history.durable_zxid`."""
        unacked, durable_zxid = self._unacked, self._history.durable_zxid
        packets: list[QuorumPacket] = []
        while unacked and unacked[0] <= durable_zxid:
            packets.append(QuorumPacket(ACK, unacked.popleft()))
        if packets:
            self._outbox.send_all(link, packets)
        assert not unacked or unacked[-1] == self._history.last_zxid, unacked[-1]

    def advance(self, link: int) -> None:
        """Deliver what can be delivered; once per wake-up."""
        history = self._history
        reach = min(self.committed_zxid, history.durable_zxid)
        if reach > history.applied_zxid:
            self._outbox.deliver(history.apply(reach))
        while self._syncs and self._syncs[0][0] <= history.applied_zxid:
            self._outbox.emit(Passed(link, [self._syncs.popleft()[1]]))
