"""A learner's clients: their writes and syncs go to the leader and come back, their sessions are the leader's to know.

    relay      -> REQUEST ... Deliver -> applied; the head of what was sent is answered when its transaction comes
    ask        -> REVALIDATE ... REVALIDATE -> the connection is opened or refused
    touches    -> which sessions were heard of here, for the answer to a PING

Everything that is sent comes back as a transaction, refused requests too, in the order it was sent: the link, the
leader and the log keep it. Transactions that nobody here asked for lie in between. A sync has no transaction: it is
finished when SYNC comes, or a transaction that was sent behind it, which says more.

What it must never do: answer a request before its transaction is applied, or two requests of a connection out of order.
Source: ZooKeeper's FollowerRequestProcessor, CommitProcessor and LearnerSessionTracker.
"""

from collections import deque
from struct import Struct
from typing import Final, final

from zoopark.jute import proto
from zoopark.jute import txn as txns
from zoopark.jute.quorum import QuorumPacket
from zoopark.record import Now
from zoopark.server.applier import Applier
from zoopark.server.connection import OPENING, Connection
from zoopark.server.forwarding import (
    KEY_BYTES,
    is_readable,
    pack_touches,
    read_valid,
    request_packet,
    revalidate_packet,
)
from zoopark.server.handshake import TAKEN_OVER, refusal_of
from zoopark.server.metrics import DIGEST_INTERVAL
from zoopark.server.pipeline import Pending, Pipeline
from zoopark.server.prepare import Requester
from zoopark.server.sessions import UNHEARD, Session
from zoopark.server.syncs import finish_sync
from zoopark.tree.tree import Outcome
from zoopark.zab.outbox import Entry
from zoopark.zab.peer import Peer

_SESSION_AND_KIND: Final = Struct(">q20xi")


@final
class Learning:
    """What a member does while somebody else leads.

    Args:
        peer: passes requests up.
        pipeline: keeps what waits; its writes have tickets instead of zxids.
        applier: the tree, the sessions, and who is told.

    A snapshot that Apache's leader sends is fuzzy: it goes on writing, and some of what it does meanwhile is in the
    tree ahead of its transaction. All of that is committed ahead of UPTODATE, so no digest is compared before that.
    """

    def __init__(self, peer: Peer, pipeline: Pipeline, applier: Applier) -> None:
        self.peer = peer
        self.pipeline = pipeline
        self.applier = applier
        self.tree = applier.tree
        self.sessions = applier.sessions
        self.clients = applier.clients
        self.metrics = applier.metrics
        self._asked: deque[tuple[int, int]] = deque()
        self._n_early_syncs = 0
        self._ponged_ms = 0
        self._has_differed = False
        self._is_fuzzy = False
        self._has_been_ahead = False

    def begin(self, now: Now) -> None:
        """Clients are served from now on."""
        assert not self.pipeline.pending and not self._asked, "requests of another epoch"
        self.sessions.restart(self.tree.sessions, UNHEARD, is_expiring=False)
        self._ponged_ms = now.mono_ms
        self.pipeline.relay = self.relay
        self.clients.parts.ask = self.ask

    def end(self) -> None:
        """Whatever waits will not come back."""
        self._asked.clear()
        self._n_early_syncs = 0
        self.pipeline.relay = None
        self.clients.parts.ask = None

    # ---- to the leader

    def relay(self, requester: Requester, connection: int, xid: int, op: int, body: bytes, now: Now) -> bool:
        """Send a write or a sync to the leader; as `Pipeline.submit`."""
        if not is_readable(op, body):
            return False
        packet = request_packet(requester, xid, op, body)
        self.peer.request(packet, now)
        if op == proto.SYNC:
            self.pipeline.hold_sync(connection, xid, body, now)
        else:
            self.pipeline.hold(connection, xid, op, (packet.data or b"")[:KEY_BYTES], now)
        return True

    def ask(self, session_id: int, timeout_ms: int, connection_id: int, now: Now) -> None:
        """Ask the leader for a session that a client wants to go on with; as `Parts.ask`."""
        self._asked.append((session_id, connection_id))
        self.peer.request(revalidate_packet(session_id, timeout_ms), now)

    def touches(self, now: Now) -> bytes:
        """The payload of a PING: the sessions that were heard of here since the last one."""
        since_ms, self._ponged_ms = self._ponged_ms, now.mono_ms
        sessions = self.sessions.by_id.values()
        return pack_touches([(one.session_id, one.timeout_ms) for one in sessions if one.heard_ms >= since_ms])

    # ---- from the leader

    def on_snapshot(self) -> None:
        """The tree is the one of the leader's snapshot."""
        self._is_fuzzy, self._has_been_ahead = True, False

    def on_uptodate(self) -> bool:
        """All is applied that may be in the leader's snapshot; whether its tree was ahead of its zxid."""
        was_ahead, self._is_fuzzy, self._has_been_ahead = self._has_been_ahead, False, False
        return was_ahead

    def on_delivered(self, entries: list[Entry], now: Now) -> None:
        """Apply what is committed, tell watchers, then who asked."""
        answered: list[Pending] = []
        for zxid, txn in entries:
            outcome = self.apply(zxid, txn)
            session_id, kind = _SESSION_AND_KIND.unpack_from(txn)
            mine = self._take_mine(txn, kind, now)
            if kind == proto.CREATE_SESSION:
                self._on_session(session_id)
            elif kind == proto.CLOSE_SESSION:
                self.applier.on_session_txn(kind, txn, mine[1] if mine is not None else 0, now)
            if mine is not None:
                answered.append(mine)
                self._answer(mine, outcome, now)
        if answered:
            self.metrics.on_updates(answered, now)

    def apply(self, zxid: int, txn: bytes) -> Outcome:
        """Apply one transaction and tell watchers; its digest is compared with the tree's."""
        tree = self.tree
        outcome = tree.apply(txn)
        if not tree.digest_matches(txn):
            self._on_difference(zxid)
        if zxid % DIGEST_INTERVAL == 0 and not self._is_fuzzy:
            self.metrics.digests.append((zxid, tree.digest))
        if tree.fired:
            self.metrics.on_fired(tree.fired)
            self.clients.tell_watchers()
        return outcome

    def on_sync(self, now: Now) -> str:
        """The oldest sync that was sent is answered; why the leader cannot be right, or ""."""
        if self._n_early_syncs:
            self._n_early_syncs -= 1
            return ""
        pending, syncs = self.pipeline.pending, self.pipeline.syncs
        if not syncs or (pending and pending[0][0] <= syncs[0][0]):
            return "the leader answered a sync ahead of what was sent before it"
        finish_sync(syncs.popleft(), self.clients, now)
        return ""

    def on_revalidated(self, packet: QuorumPacket, now: Now) -> str:
        """The leader says whether a session is open; why it cannot be right, or ""."""
        answer = read_valid(packet)
        if answer is None or not self._asked or self._asked[0][0] != answer[0]:
            return "the leader answered for a session that it was not asked for"
        session_id, connection_id = self._asked.popleft()
        connection = self.clients.find_dirty(connection_id)
        if connection is not None and connection.state == OPENING:
            self._go_on(connection, self._on_session(session_id) if answer[1] else None, now)
        return ""

    def _go_on(self, connection: Connection, session: Session | None, now: Now) -> None:
        connection.tally.notified(1, 0)
        if session is None:
            connection.out.append(refusal_of(connection.has_read_only))
            connection.close("the leader does not know its session")
            return
        if session.connection:
            self.clients.parts.to_close.append((session.connection, TAKEN_OVER))
        session.timeout_ms = connection.timeout_ms
        connection.open(session, now)

    def _on_session(self, session_id: int) -> Session:
        """The session, which the leader may have known before its transaction came here."""
        session = self.sessions.by_id.get(session_id)
        if session is None:
            session = self.sessions.add(session_id, self.tree.sessions.get(session_id, 0), UNHEARD)
        return session

    def _take_mine(self, txn: bytes, kind: int, now: Now) -> Pending | None:
        """What this transaction answers, if it was asked for here."""
        pending = self.pipeline.pending
        if not pending or not txn.startswith(pending[0][4]) or kind not in (pending[0][3], txns.ERROR):
            return None
        mine = pending.popleft()
        self.pipeline.pending_bytes -= len(mine[4])
        syncs = self.pipeline.syncs
        while syncs and syncs[0][0] < mine[0]:
            self._n_early_syncs += 1
            finish_sync(syncs.popleft(), self.clients, now)
        return mine

    def _answer(self, mine: Pending, outcome: Outcome, now: Now) -> None:
        _, connection_id, xid, op, _, came_ms, _ = mine
        connection = self.clients.find_dirty(connection_id)
        if connection is not None:
            connection.on_outcome(xid, op, outcome, now)
            connection.traffic.on_replies(1, now.mono_ms - came_ms, now.mono_ms)

    def _on_difference(self, zxid: int) -> None:
        if self._is_fuzzy:
            self._has_been_ahead = True
            return
        self.metrics.digest_mismatches += 1
        if not self._has_differed:
            self._has_differed = True
            self.clients.note(f"the tree digest after {zxid:#x} is not the one that the transaction carries")
