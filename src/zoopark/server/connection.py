"""One client's connection: bytes in, replies and notifications out, in the order the protocol promises.

    NEW ── four-letter word ──────────────────────────> CLOSING
     │
     ├── ConnectRequest, new session ──> OPENING ── createSession applied ──> OPEN
     ├── ConnectRequest, old session, or a new one that is local ───────────> OPEN
     └── the same on a learner ───────> OPENING ── the leader confirms it ──> OPEN
    any ── closeSession, expiry, a bad frame, a refused session ──> CLOSING

Replies leave in the order of their requests: a read behind a write that is not applied yet waits with the count of
writes that must be finished first. Reads are answered while their bytes are parsed; what is to be sent gathers in
`out`, which the host writes once per wake-up.
What it must never do: answer a write before it is applied, or let one connection's bytes harm another.
"""

import struct
from collections import deque
from typing import Final, final

from zoopark import errors
from zoopark.jute import proto
from zoopark.jute import stat as stats
from zoopark.jute.buffer import I32, pack_buffer
from zoopark.jute.framing import Pieces
from zoopark.record import Now
from zoopark.server.authentication import has_sasl_token, is_admitted, prove
from zoopark.server.handshake import begin_session, read_opening
from zoopark.server.localsessions import creates_ephemeral
from zoopark.server.parts import Parts
from zoopark.server.prepare import Requester
from zoopark.server.reads import NOT_READ_ONLY, THROTTLED, UNREADABLE
from zoopark.server.replies import body_of, is_moved
from zoopark.server.sessions import OWN, Session
from zoopark.server.tally import Tally
from zoopark.server.throttles import GO_ON, INCOMPLETE, NOT_STALLED, REFUSED, STALLED, TOO_MANY, why_closed
from zoopark.server.traffic import Traffic
from zoopark.tree.acl import READ, Acl, Identity
from zoopark.tree.tree import Outcome

NEW: Final = 0
OPENING: Final = 1
OPEN: Final = 2
CLOSING: Final = 3

NO_ZXID: Final = -1
LEAST_GET_BYTES: Final = 13
"""The frame of a getData without its path."""
LARGE_ANSWER_BYTES: Final = 512
MAX_OUT_BYTES: Final = 4 << 20
"""Of large answers, or of work in their measure; no more requests are looked at before others had their turn and the
client has taken them."""

_FREQUENT_WRITES: Final = (proto.SET_DATA, proto.CREATE, proto.CREATE2, proto.DELETE)
_GET_HEAD: Final = struct.Struct(">iiii")
"""Frame length, xid, opcode and length of the path."""
_WRITES: Final = frozenset(
    (
        proto.CREATE,
        proto.CREATE2,
        proto.CREATE_CONTAINER,
        proto.CREATE_TTL,
        proto.DELETE,
        proto.DELETE_CONTAINER,
        proto.SET_DATA,
        proto.SET_ACL,
        proto.MULTI,
        proto.RECONFIG,
        proto.CLOSE_SESSION,
    )
)
_FOR_THE_LEADER: Final = _WRITES | {proto.SYNC}
_CONSEQUENTIAL: Final = (proto.SET_WATCHES, proto.SET_WATCHES2, proto.CLOSE_SESSION)
"""Answered as reads are, and then something follows."""
_READS: Final = frozenset(
    (
        proto.EXISTS,
        proto.GET_DATA,
        proto.GET_ACL,
        proto.GET_CHILDREN,
        proto.GET_CHILDREN2,
        proto.SYNC,
        proto.PING,
        proto.CHECK_WATCHES,
        proto.REMOVE_WATCHES,
        proto.MULTI_READ,
        proto.SET_WATCHES,
        proto.SET_WATCHES2,
        proto.GET_EPHEMERALS,
        proto.GET_ALL_CHILDREN_NUMBER,
        proto.ADD_WATCH,
        proto.WHO_AM_I,
    )
)


@final
class Connection:
    """The server's end of one connection.

    Args:
        connection_id: names it among all of this server, from 1.
        address: the peer's IP address as text; `port` its port.
        parts: what it talks to.
        now_ms: when it was opened.

    `accepted` and `finished` number the writes and syncs that were taken up and are done; `unowned` are the numbers of
    creates of ephemerals that a local session cannot own.
    """

    __slots__ = (
        "accepted",
        "address",
        "connection_id",
        "finished",
        "has_read_only",
        "identities",
        "is_admitted",
        "is_dirty",
        "is_held",
        "is_leaving",
        "is_stalled",
        "last_op",
        "last_xid",
        "last_zxid",
        "opened_ms",
        "out",
        "out_bytes",
        "partial",
        "parts",
        "port",
        "requester",
        "session",
        "stalled_ms",
        "state",
        "tally",
        "timeout_ms",
        "traffic",
        "unowned",
        "waiting",
        "watches_due",
    )

    def __init__(self, connection_id: int, address: str, port: int, parts: Parts, now_ms: int) -> None:
        self.connection_id = connection_id
        self.address = address
        self.port = port
        self.parts = parts
        self.opened_ms = now_ms
        self.state = NEW
        self.out: list[bytes] = []
        self.out_bytes = 0
        self.partial = Pieces()
        self.identities: list[Identity] = [(b"ip", address.encode())]
        self.requester = Requester(0, self.identities)
        self.session: Session | None = None
        self.timeout_ms = 0
        self.has_read_only = False
        self.accepted = 0
        self.finished = 0
        self.unowned: set[int] = set()
        self.waiting: deque[tuple[int, int, int, bytes, int]] = deque()
        self.traffic = Traffic()
        self.tally = Tally(self.traffic, parts.metrics)
        self.last_op = 0
        self.last_xid = -1
        self.last_zxid = -1
        self.is_dirty = False
        self.is_held = False
        self.is_leaving = False
        self.is_stalled = False
        self.stalled_ms = NOT_STALLED
        self.watches_due = 0
        self.is_admitted = is_admitted(parts.config, self.identities)

    def on_bytes(self, chunk: bytes, now: Now) -> None:
        """Bytes came in; any bytes in any pieces."""
        pieces = self.partial
        if self.state == OPEN and len(chunk) >= 17 and self.accepted == self.finished:
            size, xid, op, path_bytes = _GET_HEAD.unpack_from(chunk)
            if op == proto.GET_DATA and size == path_bytes + LEAST_GET_BYTES and size + 4 == len(chunk):
                answer = self.parts.tree.answers.get(chunk[16:-1])
                if answer is not None and chunk[-1] == 0 and self._answer_quickly(xid, answer, size, now):
                    return
        if pieces.size_bytes or self.state == OPENING:
            pieces.add(chunk)
            if self.state == OPENING or (
                self.state == OPEN and not pieces.has_frame(self.parts.config.jute_max_buffer_bytes)
            ):
                return
            chunk = pieces.take()
        if self.state == OPEN:
            self._serve(chunk, now)
        elif self.state == NEW:
            self._greet(chunk, now)

    def settle_counts(self) -> None:
        """Count what was answered quickly where everything is counted."""
        self.tally.settle(self.session.heard_ms if self.session is not None else 0)

    def _answer_quickly(self, xid: int, answer: bytes, size: int, now: Now) -> bool:
        """Answer one getData alone in its chunk whose answer is at hand: the most frequent case.

        False if something speaks against it: bytes or requests before it, a session that has moved away.
        """
        session = self.session
        assert session is not None
        if self.partial.size_bytes or self.waiting or session.connection != self.connection_id or not self.is_admitted:
            return False
        session.heard_ms = now.mono_ms
        zxid = self.parts.tree.last_zxid
        self.last_op, self.last_xid, self.last_zxid = proto.GET_DATA, xid, zxid
        tally = self.tally
        tally.n_quick += 1
        tally.n_quick_bytes += size + 4
        self.out.append(proto.REPLY_HEADER.pack(proto.REPLY_HEADER_BYTES + len(answer), xid, zxid, errors.OK) + answer)
        return True

    def on_outcome(self, xid: int, op: int, outcome: Outcome, now: Now) -> None:
        """A write of this connection is applied, or a sync finished, the first one that was not."""
        self.finished += 1
        if self.state == CLOSING:
            return
        if op == proto.CREATE_SESSION:
            self._on_session_created(now)
            return
        err, _, node, _ = outcome
        zxid = self.parts.tree.last_zxid
        self.last_zxid = zxid
        if op == proto.SET_DATA and node is not None and not node.children and stats.is_plain(node.stat):
            self.out.append(stats.plain_stat_reply(xid, zxid, node.stat, len(node.data) if node.data else 0))
            if self.waiting:
                self._serve_waiting(now)
            return
        if err != errors.OK:
            self.last_op = 0
            err = _as_seen_here(self, err)
        if (err != errors.OK or op == proto.MULTI) and is_moved(outcome):
            self.close("its session has moved to another server")
            return
        body = body_of(self.parts.tree, op, outcome)
        self.out.append(proto.REPLY_HEADER.pack(proto.REPLY_HEADER_BYTES + len(body), xid, zxid, err))
        self.out.append(body)
        if op == proto.CLOSE_SESSION:
            self.close("the client closed its session", is_leaving=True)
        elif self.waiting:
            self._serve_waiting(now)

    def on_event(self, event: int, path: bytes, zxid: int, acl: Acl) -> None:
        """A watch of this connection fired. Nothing is said to somebody who may not read the node (CVE-2024-23944)."""
        if self.state != OPEN:
            return
        if self.parts.config.is_acl_skipped or acl.allows(READ, self.identities):
            notification = proto.encode_event(event, path, zxid)
            self.out.append(notification)
            self.tally.notified(1, len(notification) - 4)

    def close(self, why: str, *, is_leaving: bool = False) -> None:
        """Take no more requests; the host writes what is left in `out` and closes. is_leaving: the client wants it."""
        if self.state != CLOSING:
            self.state = CLOSING
            self.is_leaving = is_leaving
            self.waiting.clear()
            self.partial.clear()
            self.parts.to_close.append((self.connection_id, why))

    def take_out(self) -> bytes:
        """What is to be written now."""
        out = self.out
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        self.out_bytes = 0
        return data

    def on_written(self, now: Now) -> None:
        """The client has taken what was written: go on with what was held back for that."""
        if self.is_held and self.state == OPEN:
            self.is_held = self.is_stalled = False
            self._serve_waiting(now)
            if self.partial.size_bytes and not self.is_held:
                self.on_bytes(b"", now)
            if not self.is_held:
                self.stalled_ms = NOT_STALLED

    def n_outstanding(self) -> int:
        """Requests that came in and are not answered."""
        return self.accepted - self.finished + len(self.waiting)

    def has_much_to_do(self) -> bool:
        """Whether the host should stop reading until some of it is done, or until the client has read."""
        limit = self.parts.config.global_outstanding_limit
        if self.state == OPENING:
            return self.partial.size_bytes > self.parts.config.jute_max_buffer_bytes
        if self.is_held or sum(len(read[3]) for read in self.waiting) > MAX_OUT_BYTES:
            return True
        n_outstanding = self.n_outstanding()
        return n_outstanding > limit or (n_outstanding > 0 and self.parts.pipeline.is_full(limit))

    def _greet(self, chunk: bytes, now: Now) -> None:
        opening = read_opening(chunk, self.parts.config.jute_max_buffer_bytes)
        if opening.is_word:
            self.tally.received(1, 4)
            self.out.append(self.parts.say(chunk, now))
            self.parts.metrics.sent_other += 1
            self.close(f"the four-letter word {chunk[:4].decode('latin-1')} was answered", is_leaving=True)
        elif opening.end == 0 and not opening.problem:
            self.partial.add(chunk)
        else:
            self.tally.received(opening.end > 0, opening.end)
            self.partial.add(chunk[opening.end :])
            if opening.request is None:
                self.close(opening.problem)
            else:
                _connect(self, opening.request, now)

    def _on_session_created(self, now: Now) -> None:
        session = self.parts.sessions.by_id.get(self.requester.session_id)
        if self.state == OPENING and session is not None and not session.is_closing:
            self.open_new(session, now)
        elif self.waiting:
            self._serve_waiting(now)

    def open_new(self, session: Session, now: Now) -> None:
        """As `open`, for a session that has just begun."""
        self.last_op, self.last_xid, self.last_zxid = proto.CREATE_SESSION, 0, self.parts.tree.last_zxid
        self.open(session, now)

    def open(self, session: Session, now: Now) -> None:
        """This connection speaks for the session from now on."""
        self.state = OPEN
        self.session = session
        session.connection = self.connection_id
        session.owner = OWN
        session.heard_ms = now.mono_ms
        self.requester = Requester(session.session_id, self.identities)
        password = proto.password_of(session.session_id)
        self.out.append(
            proto.encode_connect_response(
                self.timeout_ms, session.session_id, password, self.has_read_only, self.parts.is_read_only()
            )
        )
        if self.partial.size_bytes:
            self._serve(self.partial.take(), now)

    def _serve(self, chunk: bytes, now: Now) -> None:
        """Every whole frame of the chunk; the rest is kept."""
        at, end, limit = 0, len(chunk), self.parts.gate.plain_bytes
        session = self.session
        assert session is not None
        if session.connection != self.connection_id:
            return  # it has moved to another connection, and this one is about to be closed
        session.heard_ms = now.mono_ms
        is_local = session.is_local
        unpack = proto.FRAME_AND_REQUEST_HEADER.unpack_from
        unpack_length, pack_reply = I32.unpack_from, proto.REPLY_HEADER.pack
        submit, answers = self.parts.pipeline.submit, self.parts.tree.answers
        n_frames = n_reads = 0
        while end - at >= 12:
            size, xid, op = unpack(chunk, at)
            stop = at + 4 + size
            if size < 8 or size > limit or stop > end:
                verdict = self._judge(xid, op, size, stop <= end, now)
                if verdict == REFUSED:
                    at, n_frames = stop, n_frames + 1
                    continue
                if verdict != GO_ON:
                    break
            n_frames += 1
            body = chunk[at + 12 : stop]
            at = stop
            if op == proto.GET_DATA and self.accepted == self.finished and self.is_admitted and not self.waiting:
                n_reads += 1
                answer = answers.get(body[4:-1]) if size > LEAST_GET_BYTES else None
                if answer is None or body[-1] or unpack_length(body)[0] != size - LEAST_GET_BYTES:
                    self._answer(xid, op, body)
                else:
                    zxid = self.parts.tree.last_zxid
                    self.out.append(pack_reply(proto.REPLY_HEADER_BYTES + len(answer), xid, zxid, 0) + answer)
            elif op in _FREQUENT_WRITES and self.is_admitted and not is_local:
                if submit(self.requester, self.connection_id, xid, op, body, now):
                    self.accepted += 1
                else:
                    self.take_read(xid, UNREADABLE, b"", now)
            else:
                self._on_request(xid, op, body, now)
                if self.state != OPEN:
                    break
            if self.out_bytes > MAX_OUT_BYTES:
                self.is_held = True
                break
        if n_frames:
            self.tally.received(n_frames, at)
            if xid >= 0 and op != proto.SASL:
                self.last_op, self.last_xid = op, xid
            else:
                op, xid = _last_of(chunk, at)
                self.last_op, self.last_xid = op or self.last_op, xid if xid >= 0 else self.last_xid
            if n_reads:
                self.tally.reads(n_reads, 0, now.mono_ms)
                self.last_zxid = self.parts.tree.last_zxid
            if self.traffic.received >= self.watches_due:
                _count_watches(self)
        if self.state == OPEN and at < end:
            _keep_rest(self, chunk[at:], self.parts.config.jute_max_buffer_bytes)

    def _judge(self, xid: int, op: int, size: int, is_whole: bool, now: Now) -> int:
        """What becomes of a frame that cannot simply be taken."""
        gate = self.parts.gate
        if not 8 <= size <= self.parts.config.jute_max_buffer_bytes:
            return INCOMPLETE
        if not is_whole:
            verdict = gate.judge_length(size)
        else:
            waited_ms = NOT_STALLED if self.stalled_ms == NOT_STALLED else now.mono_ms - self.stalled_ms
            verdict = gate.judge(op, size, len(self.waiting), waited_ms, self.timeout_ms)
        if verdict == REFUSED:
            self.take_read(xid, THROTTLED, b"", now)
        elif verdict == STALLED:
            self.is_held = self.is_stalled = True
            self.stalled_ms = now.mono_ms if self.stalled_ms == NOT_STALLED else self.stalled_ms
        elif why := why_closed(verdict):
            self.close(why)
        return verdict

    def _on_request(self, xid: int, op: int, body: bytes, now: Now) -> None:
        if op == proto.AUTH:
            self._authenticate(xid, body)
        elif op == proto.SASL:
            self.tally.notified(1, 0)
            if has_sasl_token(body):
                self._reply(xid, 0, errors.OK, pack_buffer(None))
            else:
                self.close("a SASL packet without a token")
        elif not self.is_admitted:
            self._reply(xid, 0, errors.SESSION_CLOSED_REQUIRE_AUTH, b"")
            self.close("a request before the authentication that is enforced")
        elif op in _FOR_THE_LEADER and _settle_locally(self, xid, op, body, now):
            return
        elif op == proto.SYNC and self.parts.pipeline.sync(self.requester, self.connection_id, xid, body, now):
            self.accepted += 1
        elif op in _WRITES:
            if self.parts.pipeline.submit(self.requester, self.connection_id, xid, op, body, now):
                self.accepted += 1
            else:
                self.take_read(xid, UNREADABLE, b"", now)
        elif op not in _READS:
            self._reply(xid, NO_ZXID, errors.UNIMPLEMENTED, b"")
            self.close(f"a request of unknown type {op}")
        else:
            self.take_read(xid, op, body, now)

    def take_read(self, xid: int, op: int, body: bytes, now: Now) -> None:
        """Answer a read, or what is answered like one, now or once the writes before it are finished."""
        if self.accepted == self.finished and not self.waiting:
            self._answer(xid, op, body)
            self.tally.reads(1, 0, now.mono_ms)
        else:
            self.waiting.append((self.accepted, xid, op, body, now.mono_ms))

    def _authenticate(self, xid: int, packet: bytes) -> None:
        self.tally.notified(1, 0)
        err, why = prove(self.parts.config, packet, self.address.encode(), self.identities)
        self.is_admitted = is_admitted(self.parts.config, self.identities)
        if err is not None:
            self._reply(xid, 0, err, b"")
        if why:
            self.close(why)

    def _serve_waiting(self, now: Now) -> None:
        """Answer the reads whose writes are finished."""
        waiting = self.waiting
        while waiting and waiting[0][0] <= self.finished and self.state == OPEN:
            if self.out_bytes > MAX_OUT_BYTES:
                self.is_held = True
                break
            _, xid, op, body, came_ms = waiting.popleft()
            self._answer(xid, op, body)
            self.tally.reads(1, now.mono_ms - came_ms, now.mono_ms)

    def _answer(self, xid: int, op: int, body: bytes) -> None:
        err, answer, events = self.parts.reads.serve(self.requester, self.connection_id, op, body)
        self.out_bytes += self.parts.reads.take_work()
        if events:
            self.out.extend(events)
            self.tally.notified(len(events), sum(map(len, events)) - 4 * len(events))
        self._reply(proto.PING_XID if op == proto.PING else xid, self.parts.tree.last_zxid, err, answer)
        if op in _CONSEQUENTIAL:
            self.watches_due = 0
            if op == proto.CLOSE_SESSION:
                _end_local_session(self)

    def _reply(self, xid: int, zxid: int, err: int, body: bytes) -> None:
        self.last_zxid = zxid
        self.out.append(proto.encode_reply(xid, zxid, err, body))
        if len(body) > LARGE_ANSWER_BYTES:
            self.out_bytes += len(body)


def _connect(connection: Connection, request: proto.ConnectRequest, now: Now) -> None:
    begun = begin_session(connection.parts, request, now)
    connection.timeout_ms, connection.has_read_only = begun.timeout_ms, request.has_read_only
    local = connection.parts.local
    if begun.is_new and local is not None and local.opens():
        connection.tally.notified(1, 0)
        connection.open_new(local.add(connection.parts.sessions.new_id(), connection.timeout_ms, now), now)
        return
    if begun.is_new:
        connection.state = OPENING
        connection.requester = Requester(connection.parts.sessions.new_id(), connection.identities)
        _submit_session(connection, now)
        return
    if begun.is_asked:
        connection.state = OPENING
        connection.parts.ask_leader(request.session_id, connection.timeout_ms, connection.connection_id, now)
        return
    connection.tally.notified(begun.session is not None or begun.refusal != b"", 0)
    if begun.session is not None:
        connection.open(begun.session, now)
        return
    if begun.refusal:
        connection.out.append(begun.refusal)
    connection.close(begun.why)


def _keep_rest(connection: Connection, rest: bytes, limit: int) -> None:
    """The beginning of a frame waits for its end, if it may have one of that length."""
    if len(rest) >= 4:
        size = I32.unpack_from(rest)[0]
        if not 8 <= size <= limit:
            connection.close(f"a frame of {size} bytes, where 8 to {limit} are allowed (jute.maxbuffer)")
            return
    connection.partial.add(rest)


def _count_watches(connection: Connection) -> None:
    connection.watches_due = connection.parts.watch_limit.next_look(
        connection.connection_id, connection.traffic.received
    )
    if connection.watches_due == TOO_MANY:
        connection.close("too many watches (maxClientWatches)")


def _submit_session(connection: Connection, now: Now) -> None:
    """Have everybody told of the session of this connection."""
    body, identity = I32.pack(connection.timeout_ms), connection.connection_id
    connection.parts.pipeline.submit(connection.requester, identity, 0, proto.CREATE_SESSION, body, now)
    connection.accepted += 1


def _settle_locally(connection: Connection, xid: int, op: int, body: bytes, now: Now) -> bool:
    """Do what this server alone can do about a write or a sync of a local session; whether that was all.

    What makes the session one that all servers know is preceded by its createSession.
    """
    session, parts = connection.session, connection.parts
    if session is None or parts.local is None or not session.is_local:
        return False
    if op == proto.CLOSE_SESSION or parts.local.is_read_only:
        connection.take_read(xid, op if op == proto.CLOSE_SESSION else NOT_READ_ONLY, b"", now)
        return True
    if parts.local.must_upgrade(op, body):
        parts.local.upgrade(session)
        parts.sessions.adopt(session)
        _submit_session(connection, now)
    elif op != proto.MULTI and creates_ephemeral(op, body):
        connection.unowned.add(connection.accepted + 1)
    return False


def _as_seen_here(connection: Connection, err: int) -> int:
    """The error of a write: a leader that does not know a local session finds it expired when it wants an ephemeral."""
    if connection.finished not in connection.unowned:
        return err
    connection.unowned.remove(connection.finished)
    return errors.EPHEMERAL_ON_LOCAL_SESSION if err == errors.SESSION_EXPIRED else err


def _end_local_session(connection: Connection) -> None:
    assert connection.session is not None and connection.parts.local is not None, "no local session"
    connection.parts.local.remove(connection.session)
    connection.close("the client closed its session", is_leaving=True)


def _last_of(chunk: bytes, end: int) -> tuple[int, int]:
    """(opcode, xid) of the last request among these that is not there to prove who somebody is; xid -1 if unknown."""
    last_op, last_xid, at = 0, -1, 0
    while at < end:
        size, xid, op = proto.FRAME_AND_REQUEST_HEADER.unpack_from(chunk, at)
        at += 4 + size
        if op not in (proto.AUTH, proto.SASL):
            last_op, last_xid = op, xid if xid >= 0 else last_xid
    return last_op, last_xid
