"""The client protocol: opcodes, flags and the records of requests and replies.

Requests are read with a `Reader`; replies are written straight to bytes. Strings and paths stay UTF-8 bytes.
Source: ZooKeeper's zookeeper.jute, module org.apache.zookeeper.proto.
"""

from struct import Struct
from typing import Final, NamedTuple, final

from zoopark.errors import Malformed
from zoopark.jute.buffer import I32, NULL, Reader, pack_buffer

CREATE: Final = 1
DELETE: Final = 2
EXISTS: Final = 3
GET_DATA: Final = 4
SET_DATA: Final = 5
GET_ACL: Final = 6
SET_ACL: Final = 7
GET_CHILDREN: Final = 8
SYNC: Final = 9
PING: Final = 11
GET_CHILDREN2: Final = 12
CHECK: Final = 13
MULTI: Final = 14
CREATE2: Final = 15
RECONFIG: Final = 16
CHECK_WATCHES: Final = 17
REMOVE_WATCHES: Final = 18
CREATE_CONTAINER: Final = 19
DELETE_CONTAINER: Final = 20
CREATE_TTL: Final = 21
MULTI_READ: Final = 22
AUTH: Final = 100
SET_WATCHES: Final = 101
SASL: Final = 102
GET_EPHEMERALS: Final = 103
GET_ALL_CHILDREN_NUMBER: Final = 104
SET_WATCHES2: Final = 105
ADD_WATCH: Final = 106
WHO_AM_I: Final = 107
CREATE_SESSION: Final = -10
CLOSE_SESSION: Final = -11
CREATES: Final = (CREATE, CREATE2)
"""Those that make ephemerals; CREATE_CONTAINER and CREATE_TTL make what their names say."""

PERSISTENT_FLAG: Final = 0
EPHEMERAL_FLAG: Final = 1
SEQUENTIAL_FLAG: Final = 2
EPHEMERAL_SEQUENTIAL_FLAG: Final = 3
CONTAINER_FLAG: Final = 4
TTL_FLAG: Final = 5
SEQUENTIAL_TTL_FLAG: Final = 6
EPHEMERAL_FLAGS: Final = (EPHEMERAL_FLAG, EPHEMERAL_SEQUENTIAL_FLAG)

NOTIFICATION_XID: Final = -1
PING_XID: Final = -2
AUTH_XID: Final = -4
SET_WATCHES_XID: Final = -8

SYNC_CONNECTED: Final = 3
MAX_TTL_MS: Final = (1 << 40) - 1
PASSWORD_BYTES: Final = 16

FRAME_AND_REQUEST_HEADER: Final = Struct(">iii")
REPLY_HEADER: Final = Struct(">iiqi")
"""Frame length, xid, zxid, err."""
REPLY_HEADER_BYTES: Final = 16
"""The part of a reply header that the frame length counts."""

_CONNECT_RESPONSE: Final = Struct(">iiiqi")
_WATCHER_EVENT: Final = Struct(">ii")
_PASSWORD_CONSTANT: Final = 0xB3415C00


class ConnectRequest(NamedTuple):
    """The first message of a client.

    `has_read_only` tells whether the client sent the readOnly byte (since 3.4); the response then carries it as well.
    """

    last_zxid_seen: int
    timeout_ms: int
    session_id: int
    password: bytes
    has_read_only: bool
    is_read_only: bool


def decode_connect_request(reader: Reader) -> ConnectRequest:
    """The ConnectRequest that the reader stands before."""
    reader.i32()
    last_zxid_seen, timeout_ms, session_id = reader.i64(), reader.i32(), reader.i64()
    password = reader.buffer()
    has_read_only = reader.rest() > 0
    is_read_only = has_read_only and reader.bool()
    return ConnectRequest(last_zxid_seen, timeout_ms, session_id, password or b"", has_read_only, is_read_only)


def encode_connect_response(
    timeout_ms: int, session_id: int, password: bytes, has_read_only: bool, is_read_only: bool = False
) -> bytes:
    """A framed ConnectResponse; no timeout, no session and a password of zeros refuse the session."""
    tail = (b"\x01" if is_read_only else b"\x00") if has_read_only else b""
    size = _CONNECT_RESPONSE.size - 4 + len(password) + len(tail)
    return _CONNECT_RESPONSE.pack(size, 0, timeout_ms, session_id, len(password)) + password + tail


def encode_reply(xid: int, zxid: int, err: int, body: bytes) -> bytes:
    """A framed reply."""
    return REPLY_HEADER.pack(REPLY_HEADER_BYTES + len(body), xid, zxid, err) + body


def encode_event(event: int, path: bytes, zxid: int) -> bytes:
    """A framed watch notification: an event type, the path, and the zxid of its transaction (since 3.9, else -1)."""
    body = _WATCHER_EVENT.pack(event, SYNC_CONNECTED) + pack_buffer(path)
    return encode_reply(NOTIFICATION_XID, zxid, 0, body)


def password_of(session_id: int) -> bytes:
    """The 16 bytes that open a session again: the first of java.util.Random seeded by the id and a constant.

    Every ZooKeeper server computes the same, so sessions move between servers. It protects nothing.
    """
    state = (session_id ^ _PASSWORD_CONSTANT ^ 0x5DEECE66D) & (1 << 48) - 1
    words = []
    for _ in range(4):
        state = (state * 0x5DEECE66D + 0xB) & (1 << 48) - 1
        words.append((state >> 16).to_bytes(4, "little"))
    return b"".join(words)


@final
class NullAcl(Malformed):
    """A multi with a create whose ACL is null: ZooKeeper fails before it gives a zxid."""


def encode_multi_part(kind: int, err: int, body: bytes) -> bytes:
    """One operation's header and body in the reply of a multi."""
    return I32.pack(kind) + b"\x00" + I32.pack(err) + body


MULTI_END: Final = I32.pack(-1) + b"\x01" + I32.pack(-1)


def read_multi(reader: Reader) -> list[tuple[int, int, int]]:
    """(opcode, start, end) of every operation's record in the reader's data.

    Raises Malformed for an operation that a multi may not hold, for reads mixed with writes, and for bad records.
    """
    parts: list[tuple[int, int, int]] = []
    while True:
        kind, is_done, _ = reader.i32(), reader.bool(), reader.i32()
        if is_done:
            return parts
        if kind not in _PART_FIELDS:
            raise Malformed(f"operation {kind} cannot be part of a multi")
        if parts and (kind in _MULTI_READS) != (parts[0][0] in _MULTI_READS):
            raise Malformed("reads and writes in one multi")
        start = reader.position
        _skip(reader, _PART_FIELDS[kind])
        if kind in (CREATE, CREATE2, CREATE_CONTAINER, CREATE_TTL):
            kind = _create_kind(kind, reader, start)
        if kind not in _MULTI_READS and reader.data.startswith(NULL, start):
            raise Malformed("a null path in a multi")
        parts.append((kind, start, reader.position))


_MULTI_READS: Final = (GET_DATA, GET_CHILDREN)
_PART_FIELDS: Final = {
    CREATE: "bbai",
    CREATE2: "bbai",
    CREATE_CONTAINER: "bbai",
    CREATE_TTL: "bbail",
    DELETE: "bi",
    SET_DATA: "bbi",
    CHECK: "bi",
    GET_DATA: "b?",
    GET_CHILDREN: "b?",
}


def _create_kind(kind: int, reader: Reader, start: int) -> int:
    """What a create within a multi is: unlike elsewhere, the container flag makes a container of it.

    Flags that do not exist or that need a ttl make the whole multi malformed.
    """
    fields = Reader(reader.data, start)
    fields.buffer()
    fields.buffer()
    flags = I32.unpack_from(reader.data, reader.position - (12 if kind == CREATE_TTL else 4))[0]
    if not PERSISTENT_FLAG <= flags <= SEQUENTIAL_TTL_FLAG:
        raise Malformed(f"create flags {flags}")
    if kind == CREATE_TTL:
        return kind
    if fields.i32() == -1:
        raise NullAcl("a create without an ACL in a multi")
    if flags in (TTL_FLAG, SEQUENTIAL_TTL_FLAG):
        raise Malformed(f"create flags {flags} without a ttl")
    return CREATE_CONTAINER if flags == CONTAINER_FLAG else kind


def _skip(reader: Reader, fields: str) -> None:
    """Step over a record: b buffer, i i32, l i64, ? bool, a vector of ACL."""
    for field in fields:
        if field == "b":
            reader.buffer()
        elif field == "i":
            reader.i32()
        elif field == "l":
            reader.i64()
        elif field == "a":
            reader.vector(lambda: (reader.i32(), reader.string(), reader.string()))
        else:
            reader.bool()
