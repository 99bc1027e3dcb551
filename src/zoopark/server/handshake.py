"""How a connection begins: a four-letter word, or a ConnectRequest for a new session or an old one.

Source: the client protocol's session handshake; the order of its checks is ZooKeeper's.
"""

from typing import Final, final

from zoopark.errors import Malformed
from zoopark.jute.buffer import I32, Reader
from zoopark.jute.framing import LENGTH_BYTES
from zoopark.jute.proto import ConnectRequest, decode_connect_request, password_of
from zoopark.record import Now
from zoopark.server.parts import Parts
from zoopark.server.sessions import Session

WORDS: Final = frozenset(
    b"conf cons crst dirs dump envi gtmk hash isro mntr ruok srst srvr stat stmk wchc wchp wchs".split()
) | {b"\xff\xf4\xff\xfd"}


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


def take_over(parts: Parts, request: ConnectRequest, timeout_ms: int, now: Now) -> Session | None:
    """The open session that a client asks for, heard of now; None if there is none or the password is wrong.

    The connection it had is closed even if the password is wrong, as ZooKeeper does.
    """
    parts.metrics.sessions_renewed += 1
    session = parts.sessions.by_id.get(request.session_id)
    if session is not None and session.connection:
        parts.to_close.append((session.connection, "its session was taken over by another connection"))
        session.connection = 0
    if session is None or session.is_closing or request.password != password_of(request.session_id):
        return None
    session.timeout_ms = timeout_ms
    session.heard_ms = now.mono_ms
    return session
