"""How a connection begins: a four-letter word, or a ConnectRequest for a new session or an old one.

Source: the client protocol's session handshake; the order of its checks is ZooKeeper's.
"""

from typing import Final, final

from zoopark.errors import Malformed
from zoopark.jute.buffer import I32, Reader
from zoopark.jute.framing import LENGTH_BYTES
from zoopark.jute.proto import (
    PASSWORD_BYTES,
    ConnectRequest,
    decode_connect_request,
    encode_connect_response,
    password_of,
)
from zoopark.record import Now
from zoopark.server.parts import Parts
from zoopark.server.sessions import Session

WORDS: Final = frozenset(
    b"conf cons crst dirs dump envi gtmk hash isro mntr ruok srst srvr stat stmk wchc wchp wchs".split()
) | {b"\xff\xf4\xff\xfd"}
NOT_SERVING: Final = "this server is not serving: it has no leader yet, or has lost it"
TAKEN_OVER: Final = "its session was taken over by another connection"


@final
class Opening:
    """What the first bytes of a connection are.

    `is_word` tells that they are a four-letter word; `request` is a ConnectRequest with `end` behind it; `problem` says
    why they are neither. None of it while too few have come.
    """

    __slots__ = ("end", "is_word", "problem", "request")

    def __init__(self) -> None:
        self.is_word = False
        self.request: ConnectRequest | None = None
        self.end = 0
        self.problem = ""


def read_opening(chunk: bytes, limit: int) -> Opening:
    """Look at the first bytes of a connection; a ConnectRequest may have up to `limit` bytes."""
    opening = Opening()
    if len(chunk) < LENGTH_BYTES:
        return opening
    if chunk[:LENGTH_BYTES] in WORDS:
        opening.is_word = True
        return opening
    size = int(I32.unpack_from(chunk)[0])
    if not 0 <= size <= limit:
        opening.problem = f"a first frame of {size} bytes"
    elif len(chunk) >= LENGTH_BYTES + size:
        opening.end = LENGTH_BYTES + size
        try:
            opening.request = decode_connect_request(Reader(chunk[LENGTH_BYTES : opening.end]))
        except Malformed as error:
            opening.problem = f"a malformed ConnectRequest: {error}"
    return opening


@final
class Begun:
    """What became of a ConnectRequest.

    `is_new` asks for a session to be created with `timeout_ms`; `session` is an old one that was taken over; `is_asked`
    tells that the leader must confirm it. Otherwise the connection is to be closed for the reason `why`, after
    `refusal` was sent.
    """

    __slots__ = ("is_asked", "is_new", "refusal", "session", "timeout_ms", "why")

    def __init__(self, timeout_ms: int, why: str = "") -> None:
        self.timeout_ms = timeout_ms
        self.why = why
        self.is_new = False
        self.is_asked = False
        self.session: Session | None = None
        self.refusal = b""


def begin_session(parts: Parts, request: ConnectRequest, now: Now) -> Begun:
    """Decide on a ConnectRequest, in ZooKeeper's order: throttle, zxid, timeout, then the session."""
    config = parts.config
    if not parts.is_serving:
        return Begun(0, NOT_SERVING)
    if not parts.admission.admits(request.session_id != 0, now.mono_ms):
        return Begun(0, "no token is left (connection_throttle_tokens)")
    parts.metrics.connection_requests += 1
    if parts.is_read_only() and not request.is_read_only:
        return Begun(0, "this server is read-only, and the client wants to write")
    if request.last_zxid_seen > parts.tree.last_zxid:
        return Begun(0, f"the client has seen {request.last_zxid_seen:#x}, this server {parts.tree.last_zxid:#x}")
    begun = Begun(min(max(request.timeout_ms, config.min_session_timeout_ms), config.max_session_timeout_ms))
    if request.session_id == 0:
        begun.is_new = True
        return begun
    _go_on(begun, parts, request, now)
    return begun


def _go_on(begun: Begun, parts: Parts, request: ConnectRequest, now: Now) -> None:
    """A client wants to go on with a session: one of this server's own, or one that all servers know."""
    local = parts.local.find(request.session_id) if parts.local is not None else None
    session = local or parts.sessions.by_id.get(request.session_id)
    if local is None and _may_live_elsewhere(parts, request.session_id):
        begun.why = "this server is read-only, and the session may live where there is a leader"
        return
    _close_former(parts, session)
    if parts.ask is not None and local is None:
        begun.is_asked = request.password == password_of(request.session_id)
    elif session is not None and not session.is_closing and request.password == password_of(request.session_id):
        session.timeout_ms = begun.timeout_ms
        session.heard_ms = now.mono_ms
        begun.session = session
    if begun.session is None and not begun.is_asked:
        begun.why = f"session {request.session_id:#x} is not open, or the password is wrong"
        begun.refusal = refusal_of(request.has_read_only, parts.is_read_only())


def _may_live_elsewhere(parts: Parts, session_id: int) -> bool:
    """Whether this is a read-only server, which knows of no end but that of what began here and is gone."""
    local = parts.local
    if local is None or not local.is_read_only:
        return False
    return session_id in parts.sessions.by_id or not local.began_here(session_id)


def refusal_of(has_read_only: bool, is_read_only: bool = False) -> bytes:
    """The answer to somebody whose session is not open."""
    return encode_connect_response(0, 0, bytes(PASSWORD_BYTES), has_read_only, is_read_only)


def _close_former(parts: Parts, session: Session | None) -> None:
    """The connection that a session had on this server ends, as ZooKeeper does it: even if the password is wrong."""
    parts.metrics.sessions_renewed += 1
    if session is not None and session.connection:
        parts.to_close.append((session.connection, TAKEN_OVER))
        session.connection = 0
