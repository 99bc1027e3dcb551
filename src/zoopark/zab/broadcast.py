"""Broadcast: the leader's half of a write, from the proposal to the commit.

    propose ---> Append to our log, PROPOSAL to followers
    on_ack  ---> how far each server's log reaches
    advance ---> as far as a quorum's logs reach: COMMIT to followers, INFORM to observers, Deliver here, SYNC answers

Acknowledgements are cumulative: a link is first in, first out and so is a log. They belong to a link: who comes back
may be told to truncate what its former link acknowledged, so that counts no more. Commits are in the order of
proposals because they are a prefix of them. Our own acknowledgement comes from our own disk.

What this must never do: commit without a quorum of every active verifier; commit out of order; answer a SYNC before
everything that was proposed ahead of it is committed.
Source: Zab (Junqueira, Reed, Serafini, DSN 2011), phase 3; ZooKeeper's Leader.tryToCommit.
"""

from collections import deque
from typing import Final, final

from zoopark.jute.quorum import COMMIT, INFORM, PROPOSAL, SYNC, QuorumPacket
from zoopark.zab.effects import Passed
from zoopark.zab.history import History
from zoopark.zab.outbox import Outbox
from zoopark.zab.quorum import Verifier
from zoopark.zxid import COUNTER_MASK, counter_of, make_zxid

SYNC_ANSWER: Final = QuorumPacket(SYNC, 0)


@final
class Broadcast:
    """What is proposed in one epoch and not committed.

    Args:
        sid: this server, the leader.
        verifier: what a quorum is.
        history: the pending part of it is what waits for a quorum.
        outbox: followers and observers have joined it.
    """

    __slots__ = ("_acked", "_history", "_is_dirty", "_outbox", "_sid", "_syncs", "_verifier")

    def __init__(self, sid: int, verifier: Verifier, history: History, outbox: Outbox) -> None:
        self._sid = sid
        self._verifier = verifier
        self._history = history
        self._outbox = outbox
        self._acked: dict[int, int] = {}
        self._syncs: deque[tuple[int, int | None]] = deque()
        self._is_dirty = False

    def may_propose(self, epoch: int) -> bool:
        """Whether the epoch has a zxid left: the last counter is never used (ZOOKEEPER-1277)."""
        last = self._history.last_zxid
        return last < make_zxid(epoch, COUNTER_MASK - 1)

    def propose(self, zxid: int, txn: bytes) -> None:
        """Effects: Append, and PROPOSAL to every follower that was sent NEWLEADER, whether it answered or not."""
        assert counter_of(zxid) < COUNTER_MASK, zxid
        entry = (zxid, txn)
        self._history.append(entry)
        self._outbox.append(entry)
        self._outbox.to_followers(QuorumPacket(PROPOSAL, zxid, txn))

    def on_logged(self) -> None:
        """Our own log reaches as far as the history says."""
        assert self._history.durable_zxid <= self._history.last_zxid
        self._acked[self._sid] = self._history.durable_zxid
        self._is_dirty = True

    def on_ack(self, sid: int, zxid: int) -> bool:
        """The log of `sid` reaches to `zxid`; False if no such transaction was proposed."""
        if zxid > self._history.last_zxid:
            return False
        if zxid > self._acked.get(sid, -1):
            self._acked[sid] = zxid
            self._is_dirty = True
        return True

    def forget(self, sid: int) -> None:
        """The link of `sid` is gone, and with it what it acknowledged."""
        assert sid != self._sid, sid
        self._acked.pop(sid, None)

    def advance(self) -> None:
        """Commit what can be committed. Effects: COMMIT, INFORM, Deliver, and answers to syncs."""
        history, outbox = self._history, self._outbox
        if not self._is_dirty:
            return
        self._is_dirty = False
        if not history.pending:
            return
        entries = history.apply(min(self._quorum_zxid(), history.last_zxid))
        if not entries:
            return
        for zxid, _ in entries:
            outbox.to_followers(QuorumPacket(COMMIT, zxid))
        if outbox.has_observers():
            for zxid, txn in entries:
                outbox.to_observers(QuorumPacket(INFORM, zxid, txn))
        outbox.deliver(entries)
        self._answer_syncs()

    def sync(self, link: int | None) -> None:
        """Answer when everything that is proposed by now is committed."""
        assert not self._syncs or self._syncs[-1][0] <= self._history.last_zxid
        self._syncs.append((self._history.last_zxid, link))
        self._answer_syncs()

    def n_waiting(self) -> int:
        """How many proposals and syncs wait."""
        return max(len(self._history.pending), len(self._syncs))

    def n_syncs(self) -> int:
        """How many syncs wait."""
        return len(self._syncs)

    def _quorum_zxid(self) -> int:
        """How far the logs of a quorum reach; 0 if there is none."""
        acked, applied = self._acked, self._history.applied_zxid
        for zxid in sorted(set(acked.values()), reverse=True):
            if zxid <= applied:
                break
            if self._verifier.has_quorum([sid for sid, reached in acked.items() if reached >= zxid]):
                return zxid
        return 0

    def _answer_syncs(self) -> None:
        applied = self._history.applied_zxid
        while self._syncs and self._syncs[0][0] <= applied:
            _, link = self._syncs.popleft()
            if link is None:
                self._outbox.emit(Passed(None, [SYNC_ANSWER]))
            elif self._outbox.has_joined(link):
                self._outbox.send(link, SYNC_ANSWER)
