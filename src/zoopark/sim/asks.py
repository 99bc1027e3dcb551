"""What simulated clients ask, and what they are answered: requests as bytes, answers taken apart.

The bytes are those of the real protocol; `zoopark.jute` is the only codec here, since its own tests compare it with
Apache's.
"""

from struct import Struct
from typing import Any, Final, final

from zoopark import errors
from zoopark.jute import proto
from zoopark.jute.buffer import I32, I64, Reader, pack_buffer, pack_vector
from zoopark.jute.txn import OPEN_ACL
from zoopark.record import Record

ANY_VERSION: Final = -1
_STAT: Final = Struct(">qqqqiiiqiiq")
_WATCHED: Final = (b"\x00", b"\x01")

DATA: Final = 0
EXIST: Final = 1
CHILD: Final = 2
"""The lists of a setWatches, in their order."""


@final
class Ask(Record):
    """One request.

    Args:
        op: the opcode.
        path: of the znode; for a sequential create, what its name begins with.
        body: the record as bytes.
        call: the call of the model `checkers.linear.znode` that it makes; None if it makes none.
        is_watched: whether a watch is left.
        parts: the operations of a multi.
    """

    __slots__ = ("body", "call", "is_watched", "op", "parts", "path")

    def __init__(
        self,
        op: int,
        path: bytes,
        body: bytes,
        call: tuple[Any, ...] | None = None,
        is_watched: bool = False,
        parts: "tuple[Ask, ...]" = (),
    ) -> None:
        self.op = op
        self.path = path
        self.body = body
        self.call = call
        self.is_watched = is_watched
        self.parts = parts


@final
class Answer(Record):
    """One reply.

    Args:
        err: of its header; `zxid` too.
        path: what a create made.
        value: (data, version, czxid) of a getData; (version, czxid) of an exists or setData.
        names: of children.
        parts: (kind, err, path) of every operation of a multi; the kind -1 is an error.
    """

    __slots__ = ("err", "names", "parts", "path", "value", "zxid")

    def __init__(self, err: int, zxid: int) -> None:
        self.err = err
        self.zxid = zxid
        self.path = b""
        self.value: tuple[Any, ...] = ()
        self.names: dict[bytes, None] = {}
        self.parts: list[tuple[int, int, bytes]] = []


def create(path: bytes, data: bytes = b"", flags: int = proto.PERSISTENT_FLAG) -> Ask:
    """`flags` as in `proto`; only what is neither sequential nor ephemeral is for the model."""
    body = pack_buffer(path) + pack_buffer(data) + OPEN_ACL + I32.pack(flags)
    return Ask(proto.CREATE, path, body, ("create", data) if flags == proto.PERSISTENT_FLAG else None)


def set_data(path: bytes, data: bytes, version: int = ANY_VERSION) -> Ask:
    body = pack_buffer(path) + pack_buffer(data) + I32.pack(version)
    return Ask(proto.SET_DATA, path, body, ("set", data, version))


def delete(path: bytes, version: int = ANY_VERSION) -> Ask:
    return Ask(proto.DELETE, path, pack_buffer(path) + I32.pack(version), ("delete", version))


def check(path: bytes, version: int) -> Ask:
    """Only as a part of a multi."""
    return Ask(proto.CHECK, path, pack_buffer(path) + I32.pack(version))


def get_data(path: bytes, is_watched: bool = False) -> Ask:
    return Ask(proto.GET_DATA, path, pack_buffer(path) + _WATCHED[is_watched], None, is_watched)


def exists(path: bytes, is_watched: bool = False) -> Ask:
    return Ask(proto.EXISTS, path, pack_buffer(path) + _WATCHED[is_watched], None, is_watched)


def children(path: bytes, is_watched: bool = False) -> Ask:
    return Ask(proto.GET_CHILDREN, path, pack_buffer(path) + _WATCHED[is_watched], None, is_watched)


def sync(path: bytes) -> Ask:
    return Ask(proto.SYNC, path, pack_buffer(path))


def close() -> Ask:
    """Close the session."""
    return Ask(proto.CLOSE_SESSION, b"", b"")


def multi(*parts: Ask) -> Ask:
    """All of these or none."""
    heads = [I32.pack(part.op) + b"\x00" + I32.pack(-1) + part.body for part in parts]
    return Ask(proto.MULTI, parts[0].path, b"".join(heads) + proto.MULTI_END, parts=parts)


def set_watches(zxid: int, lists: tuple[list[bytes], list[bytes], list[bytes]]) -> bytes:
    """The body of a setWatches: what was seen last, and the paths by DATA, EXIST, CHILD."""
    return I64.pack(zxid) + b"".join(pack_vector([pack_buffer(path) for path in paths]) for paths in lists)


def connect(last_zxid: int, timeout_ms: int, session_id: int) -> bytes:
    """A framed ConnectRequest."""
    password = proto.password_of(session_id) if session_id else bytes(proto.PASSWORD_BYTES)
    body = I32.pack(0) + I64.pack(last_zxid) + I32.pack(timeout_ms) + I64.pack(session_id) + pack_buffer(password)
    return I32.pack(len(body) + 1) + body + b"\x00"


def frame(xid: int, op: int, body: bytes) -> bytes:
    """A framed request."""
    return proto.FRAME_AND_REQUEST_HEADER.pack(8 + len(body), xid, op) + body


def read_answer(ask: Ask, zxid: int, err: int, reader: Reader) -> Answer:
    """The reply to `ask`, whose body the reader stands before."""
    answer = Answer(err, zxid)
    if err != errors.OK:
        return answer
    op = ask.op
    if op == proto.GET_DATA:
        data = reader.buffer() or b""
        version, czxid = _version(reader)
        answer.value = (data, version, czxid)
    elif op == proto.EXISTS or op == proto.SET_DATA:
        answer.value = _version(reader)
    elif op == proto.CREATE:
        answer.path = reader.string() or b""
    elif op == proto.GET_CHILDREN:
        names = reader.vector(reader.string) or []
        answer.names = {name: None for name in names if name is not None}
    elif op == proto.MULTI:
        answer.parts = _read_parts(reader)
    return answer


def _version(reader: Reader) -> tuple[int, int]:
    """(version, czxid) of a Stat."""
    stat = _STAT.unpack_from(reader.data, reader.position)
    reader.position += _STAT.size
    return stat[4], stat[0]


def _read_parts(reader: Reader) -> list[tuple[int, int, bytes]]:
    parts: list[tuple[int, int, bytes]] = []
    while True:
        kind, is_done, _ = reader.i32(), reader.bool(), reader.i32()
        if is_done:
            return parts
        err, path = errors.OK, b""
        if kind == -1:
            err = reader.i32()
        elif kind == proto.CREATE:
            path = reader.string() or b""
        elif kind == proto.SET_DATA:
            _version(reader)
        parts.append((kind, err, path))
