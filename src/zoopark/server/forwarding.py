"""REQUEST, REVALIDATE and the payload of PING: what servers of an ensemble tell each other of their clients.

    REQUEST      i64 session id | i32 cxid | i32 opcode | the request's record; authinfo: the client's identities
    REVALIDATE   i64 session id | i32 timeout ms; its answer: i64 session id | bool whether it is open
    PING         { i64 session id | i32 timeout ms } of every session that was heard of

The first twelve bytes of a REQUEST are those of the transaction that answers it.
Source: ZooKeeper's Learner and LearnerHandler.
"""

from collections.abc import Iterable
from struct import Struct
from typing import Final, NamedTuple

from zoopark.errors import Malformed
from zoopark.jute import proto
from zoopark.jute.buffer import I32, Reader
from zoopark.jute.quorum import PING, REQUEST, REVALIDATE, QuorumPacket
from zoopark.jute.txn import read_acl_bytes
from zoopark.server.prepare import Requester

KEY_BYTES: Final = 12
"""Session id and cxid, with which a REQUEST and its transaction begin."""
_HEAD: Final = Struct(">qii")
_SESSION: Final = Struct(">qi")
_VALID: Final = Struct(">q?")
_FIELDS: Final = {
    proto.CREATE: "bbai",
    proto.CREATE2: "bbai",
    proto.CREATE_CONTAINER: "bbai",
    proto.CREATE_TTL: "bbail",
    proto.DELETE: "bi",
    proto.DELETE_CONTAINER: "b",
    proto.SET_ACL: "bai",
    proto.RECONFIG: "bbbl",
    proto.CREATE_SESSION: "i",
}
"""The fields that are read of a request: b buffer, i i32, l i64, a vector of ACL."""
FORWARDED: Final = frozenset((*_FIELDS, proto.SET_DATA, proto.MULTI, proto.CLOSE_SESSION))
"""The writes that a learner may ask its leader for."""


class Request(NamedTuple):
    """A request of a learner's client: who asks, under which cxid, for what; `body` is its record."""

    requester: Requester
    cxid: int
    op: int
    body: bytes


def request_packet(requester: Requester, cxid: int, op: int, body: bytes) -> QuorumPacket:
    """The REQUEST for a client's request. A session that is created has no identities yet."""
    identities = None if op == proto.CREATE_SESSION else tuple(requester.identities)
    return QuorumPacket(REQUEST, -1, _HEAD.pack(requester.session_id, cxid, op) + body, identities)


def read_request(packet: QuorumPacket) -> Request | None:
    """The request in a REQUEST; None if there is none."""
    data = packet.data
    if data is None or len(data) < _HEAD.size:
        return None
    session_id, cxid, op = _HEAD.unpack_from(data)
    identities = [(scheme or b"", who or b"") for scheme, who in packet.authinfo or ()]
    return Request(Requester(session_id, identities), cxid, op, data[_HEAD.size :])


def is_readable(op: int, body: bytes) -> bool:
    """Whether the leader can make a transaction of this record.

    A multi and a closeSession always become one; what cannot be read becomes none with ZooKeeper's leader, and who
    waited for it would wait without end.
    """
    if op == proto.SET_DATA:
        return _is_path_data_version(body)
    reader = Reader(body)
    try:
        for field in _FIELDS.get(op, ""):
            _step_over(reader, field)
        if op == proto.MULTI:
            proto.read_multi(reader)
    except proto.NullAcl:
        return False
    except Malformed:
        return op == proto.MULTI
    return True


def _is_path_data_version(body: bytes) -> bool:
    """As `is_readable`, for the most frequent record: two buffers and an i32."""
    at, size = 0, len(body)
    for _ in range(2):
        if size < at + 4:
            return False
        length = int(I32.unpack_from(body, at)[0])
        if length < -1:
            return False
        at += 4 + max(length, 0)
    return size >= at + 4


def _step_over(reader: Reader, field: str) -> None:
    if field == "b":
        reader.buffer()
    elif field == "i":
        reader.i32()
    elif field == "l":
        reader.i64()
    else:
        read_acl_bytes(reader)


def revalidate_packet(session_id: int, timeout_ms: int) -> QuorumPacket:
    """Ask whether a session is open."""
    return QuorumPacket(REVALIDATE, 0, _SESSION.pack(session_id, timeout_ms))


def read_revalidate(packet: QuorumPacket) -> tuple[int, int] | None:
    """(session id, timeout in ms) of the question; None if it cannot be read."""
    data = packet.data
    if data is None or len(data) != _SESSION.size:
        return None
    session_id, timeout_ms = _SESSION.unpack(data)
    return session_id, timeout_ms


def valid_packet(session_id: int, is_open: bool) -> QuorumPacket:
    """The answer to `revalidate_packet`."""
    return QuorumPacket(REVALIDATE, 0, _VALID.pack(session_id, is_open))


def read_valid(packet: QuorumPacket) -> tuple[int, bool] | None:
    """(session id, whether it is open); None if it cannot be read."""
    data = packet.data
    if data is None or len(data) != _VALID.size:
        return None
    session_id, is_open = _VALID.unpack(data)
    return session_id, is_open


def pack_touches(touched: Iterable[tuple[int, int]]) -> bytes:
    """The payload of a PING of (session id, timeout in ms) pairs."""
    return b"".join([_SESSION.pack(session_id, timeout_ms) for session_id, timeout_ms in touched])


def read_touches(packet: QuorumPacket) -> list[tuple[int, int]]:
    """(session id, timeout in ms) of every session that was heard of; an end that is no pair is left out."""
    assert packet.type == PING, packet
    data = packet.data or b""
    return [_SESSION.unpack_from(data, at) for at in range(0, len(data) - _SESSION.size + 1, _SESSION.size)]
