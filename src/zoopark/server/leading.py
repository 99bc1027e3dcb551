"""The leader's server: everybody's writes are prepared here and proposed, and all sessions live and die here.

    own clients   Pipeline.submit        \\
    learners      REQUEST -> on_request   > prepared against one Overlay -> propose ... Deliver -> applied, answered
    expiry, reaping, orphans             /

A session belongs to the server through which it was opened last; what comes through another one is refused with
SESSIONMOVED, as an error transaction, so that it returns to where it came from.

What it must never do: let a session expire that a learner heard of in time; answer a REVALIDATE ahead of what the
session wrote before, so that a client finds its writes wherever it goes on.
Source: ZooKeeper's LeaderZooKeeperServer, LearnerHandler and SessionTrackerImpl.
"""

from collections import deque
from typing import Final, final

from zoopark import errors
from zoopark.jute import proto
from zoopark.jute.buffer import I32
from zoopark.jute.quorum import QuorumPacket
from zoopark.record import Now
from zoopark.server.applier import Applier
from zoopark.server.forwarding import (
    FORWARDED,
    Request,
    is_readable,
    read_request,
    read_revalidate,
    read_touches,
    valid_packet,
)
from zoopark.server.housekeeping import Housekeeping
from zoopark.server.pipeline import Pipeline
from zoopark.server.sessions import NOBODY
from zoopark.server.syncs import finish_sync
from zoopark.zab.peer import Peer
from zoopark.zxid import make_zxid

_PREPARED_WHOLE: Final = (proto.SET_DATA, proto.CREATE, proto.CREATE2)
"""The frequent writes, which `Pipeline.submit` refuses if their record is not whole."""


@final
class Leading:
    """What a member does while it leads.

    Args:
        peer: proposes.
        pipeline: prepares, and keeps what waits for its commit.
        applier: the tree, the sessions, and who is told.

    Attributes:
        housekeeping: ends sessions and reaps nodes; None while this member does not lead.
    """

    def __init__(self, peer: Peer, pipeline: Pipeline, applier: Applier) -> None:
        self.peer = peer
        self.pipeline = pipeline
        self.applier = applier
        self.tree = applier.tree
        self.sessions = applier.sessions
        self.clients = applier.clients
        self.metrics = applier.metrics
        self.housekeeping: Housekeeping | None = None
        self._answers: deque[tuple[int, int, QuorumPacket]] = deque()

    def begin(self, epoch: int, now: Now) -> None:
        """Clients are served from now on, with the first zxid of `epoch`; every session has its whole timeout."""
        assert not self.pipeline.pending, "requests of another epoch"
        self.pipeline.is_replicated = True
        self.pipeline.preparer.restart(make_zxid(epoch, 0))
        self.sessions.restart(self.tree.sessions, now.mono_ms, is_expiring=True)
        self.housekeeping = Housekeeping(self.pipeline, self.clients, now)

    def end(self) -> None:
        """Nothing that waits will come back."""
        self.pipeline.is_replicated = False
        self.housekeeping = None
        self._answers.clear()

    # ---- writes

    def propose(self) -> None:
        """Propose what was prepared; once per wake-up."""
        entries = self.pipeline.take_entries()
        if not entries:
            return
        # The moment of the last request: nobody tells the time when effects are taken.
        now = Now(self.pipeline.pending[-1][5], 0)
        propose, add = self.peer.propose, self.metrics.proposals.add
        for zxid, txn in entries:
            add(len(txn))
            propose(zxid, txn, now)

    def on_request(self, link: int, packet: QuorumPacket, now: Now) -> str:
        """A request of a learner's client; why the learner cannot be right, or ""."""
        request = read_request(packet)
        if request is None:
            return "a REQUEST without a request"
        if request.op == proto.SYNC:
            self.propose()
            self.peer.sync(link, now)
            return ""
        err = self._why_refused(link, request)
        if err != errors.OK:
            self._refuse(request, err, now)
        elif not self.pipeline.submit(request.requester, 0, request.cxid, request.op, request.body, now):
            self._refuse(request, errors.MARSHALLING_ERROR, now)
        elif request.op == proto.CREATE_SESSION:
            self._begin_session(request, now)
        return ""

    def _begin_session(self, request: Request, now: Now) -> None:
        """What comes next is from this session, if it was a local one until now."""
        session_id = request.requester.session_id
        if session_id not in self.sessions.by_id:
            self.sessions.add(session_id, I32.unpack_from(request.body)[0], now.mono_ms)

    def _why_refused(self, link: int, request: Request) -> int:
        """The error for a request that is not even looked at, OK if it is."""
        if request.op not in FORWARDED:
            return errors.UNIMPLEMENTED
        if request.op not in _PREPARED_WHOLE and not is_readable(request.op, request.body):
            return errors.MARSHALLING_ERROR
        session = self.sessions.by_id.get(request.requester.session_id)
        if session is None or request.op == proto.CLOSE_SESSION:
            return errors.OK
        if session.owner == NOBODY:
            session.owner = link
        return errors.OK if session.owner == link else errors.SESSION_MOVED

    def _refuse(self, request: Request, err: int, now: Now) -> None:
        self.pipeline.refuse(request.requester, request.cxid, err, now)

    def on_delivered(self, upto_zxid: int, now: Now) -> None:
        """Everything up to `upto_zxid` is committed: apply it, tell watchers, answer."""
        pipeline, applier, syncs = self.pipeline, self.applier, self.pipeline.syncs
        while syncs and syncs[0][0] <= upto_zxid:
            sync = syncs.popleft()
            applier.apply(pipeline.take_logged(sync[0]), now)
            finish_sync(sync, self.clients, now)
        applier.apply(pipeline.take_logged(upto_zxid), now)
        assert self.tree.last_zxid == upto_zxid, (self.tree.last_zxid, upto_zxid)
        pipeline.preparer.on_applied(upto_zxid)
        while self._answers and self._answers[0][0] <= upto_zxid:
            _, link, packet = self._answers.popleft()
            self.peer.answer(link, packet, now)

    # ---- sessions

    def on_revalidate(self, link: int, packet: QuorumPacket, now: Now) -> str:
        """A learner's client goes on with a session; why the learner cannot be right, or ""."""
        asked = read_revalidate(packet)
        if asked is None:
            return "a REVALIDATE without a session"
        session_id, timeout_ms = asked
        session = self.sessions.by_id.get(session_id)
        is_open = session is not None and not session.is_closing
        if session is not None and is_open:
            if session.connection:
                self.clients.parts.to_close.append((session.connection, "its session moved to another server"))
                session.connection = 0
            session.owner = link
            session.timeout_ms = timeout_ms
            session.heard_ms = now.mono_ms
        answer = valid_packet(session_id, is_open)
        if self.pipeline.pending:
            self._answers.append((self.pipeline.preparer.zxid, link, answer))
        else:
            self.peer.answer(link, answer, now)
        return ""

    def on_touches(self, packet: QuorumPacket, now: Now) -> None:
        """A learner has heard of sessions since it was pinged last."""
        for session_id, timeout_ms in read_touches(packet):
            session = self.sessions.by_id.get(session_id)
            if session is not None and timeout_ms > 0:
                session.timeout_ms = timeout_ms
                session.heard_ms = now.mono_ms
