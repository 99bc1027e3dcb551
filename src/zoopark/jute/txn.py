"""Transactions as they are logged and replicated: a header, a body by type, and the tree digest after them.

    TxnHeader   i64 session id | i32 cxid | i64 zxid | i64 time ms | i32 type                    32 bytes
    body        by type, see the encoders
    TxnDigest   i32 version = 2 | i64 digest of the tree after this transaction                  12 bytes, optional

The digest is there iff bytes remain after the body. Paths and data stay the bytes of the request that brought them.
An ACL travels as the bytes of its vector: only the tree's ACL table looks inside.
Source: ZooKeeper's zookeeper.jute, module org.apache.zookeeper.txn.
"""

from struct import Struct
from typing import Final, final

from zoopark.errors import Malformed
from zoopark.jute.buffer import I32, I64, Reader, pack_buffer, pack_vector
from zoopark.record import Record

CREATE_SESSION: Final = -10
CLOSE_SESSION: Final = -11
ERROR: Final = -1
CREATE: Final = 1
DELETE: Final = 2
SET_DATA: Final = 5
SET_ACL: Final = 7
CHECK: Final = 13
MULTI: Final = 14
CREATE2: Final = 15
RECONFIG: Final = 16
CREATE_CONTAINER: Final = 19
DELETE_CONTAINER: Final = 20
CREATE_TTL: Final = 21

HEADER: Final = Struct(">qiqqi")
HEADER_BYTES: Final = 32
TYPE_AT: Final = 28
DIGEST: Final = Struct(">iQ")
DIGEST_BYTES: Final = 12
DIGEST_VERSION: Final = 2
CURRENT_CVERSION: Final = -1
"""A create's parentCVersion in logs so old that they lack it: one more than the parent has."""

_CVERSION_TTL: Final = Struct(">iq")


def zxid_of(txn: bytes) -> int:
    """The zxid in a transaction's header."""
    return int(I64.unpack_from(txn, 12)[0])


def pack_digest(digest: int) -> bytes:
    """The TxnDigest of a tree digest 0 … 2**64-1."""
    return DIGEST.pack(DIGEST_VERSION, digest)


def encode_create(path: bytes, data: bytes, acl: bytes, is_ephemeral: bool, parent_cversion: int) -> bytes:
    """CreateTxn; `data` and `acl` with their length in front. The body of create and create2."""
    tail = b"\x01" if is_ephemeral else b"\x00"
    return b"".join((I32.pack(len(path)), path, data, acl, tail, I32.pack(parent_cversion)))


def encode_create_container(path: bytes, data: bytes, acl: bytes, parent_cversion: int) -> bytes:
    """CreateContainerTxn; `data` and `acl` with their length in front."""
    return b"".join((I32.pack(len(path)), path, data, acl, I32.pack(parent_cversion)))


def encode_create_ttl(path: bytes, data: bytes, acl: bytes, parent_cversion: int, ttl_ms: int) -> bytes:
    """CreateTTLTxn; `data` and `acl` with their length in front."""
    return b"".join((I32.pack(len(path)), path, data, acl, _CVERSION_TTL.pack(parent_cversion, ttl_ms)))


@final
class CreateTxn(Record):
    """The creation of a node of any kind.

    `kind` is the transaction's type; `ttl_ms` is 0 but for TTL nodes; `acl` is the encoded vector.
    """

    __slots__ = ("acl", "data", "is_ephemeral", "kind", "parent_cversion", "path", "ttl_ms")

    def __init__(
        self, kind: int, path: bytes, data: bytes | None, acl: bytes, parent_cversion: int, ttl_or_ephemeral: int
    ) -> None:
        self.kind = kind
        self.path = path
        self.data = data
        self.acl = acl
        self.parent_cversion = parent_cversion
        self.is_ephemeral = kind in (CREATE, CREATE2) and ttl_or_ephemeral != 0
        self.ttl_ms = ttl_or_ephemeral if kind == CREATE_TTL else 0


def decode_create(kind: int, reader: Reader) -> CreateTxn:
    """The body of a create, create2, createContainer or createTTL.

    A body that ends before parentCVersion is a CreateTxnV0, from before ZooKeeper 3.4.
    """
    path = require(reader.string())
    data = reader.buffer()
    acl = read_acl_bytes(reader)
    flag = 0
    if kind in (CREATE, CREATE2):
        flag = int(reader.bool())
        cversion = reader.i32() if reader.rest() >= 4 else CURRENT_CVERSION
    else:
        cversion = reader.i32()
        if kind == CREATE_TTL:
            flag = reader.i64()
    return CreateTxn(kind, path, data, acl, cversion, flag)


def encode_set_data(path: bytes, data: bytes, version: int) -> bytes:
    """SetDataTxn, also of a reconfig; `data` with its length in front, `version` the new one."""
    return b"".join((I32.pack(len(path)), path, data, I32.pack(version)))


def decode_set_data(reader: Reader) -> tuple[bytes, bytes | None, int]:
    """(path, data, new version)."""
    return require(reader.string()), reader.buffer(), reader.i32()


def encode_set_acl(path: bytes, acl: bytes, version: int) -> bytes:
    """SetACLTxn; `acl` is the encoded vector, `version` the new aversion."""
    return I32.pack(len(path)) + path + acl + I32.pack(version)


def decode_set_acl(reader: Reader) -> tuple[bytes, bytes, int]:
    """(path, ACL as its encoded vector, new aversion)."""
    return require(reader.string()), read_acl_bytes(reader), reader.i32()


def encode_check(path: bytes, version: int) -> bytes:
    """CheckVersionTxn; only ever inside a multi."""
    return I32.pack(len(path)) + path + I32.pack(version)


def encode_close_session(paths: list[bytes]) -> bytes:
    """CloseSessionTxn: the ephemerals that go with the session."""
    return pack_vector([pack_buffer(path) for path in paths])


def decode_close_session(reader: Reader) -> list[bytes] | None:
    """The paths to delete; None in logs that do not carry them."""
    if reader.rest() < 4:
        return None
    paths = reader.vector(reader.string)
    return None if paths is None else [require(path) for path in paths]


def encode_multi(parts: list[tuple[int, bytes]]) -> bytes:
    """MultiTxn: (type, body) of every part."""
    return pack_vector([I32.pack(kind) + pack_buffer(body) for kind, body in parts])


def decode_multi(reader: Reader) -> list[tuple[int, bytes]]:
    """(type, body) of every part."""
    return reader.vector(lambda: (reader.i32(), require(reader.buffer()))) or []


def read_acl_bytes(reader: Reader) -> bytes:
    """Step over an ACL vector and return its bytes, count included."""
    start = reader.position
    reader.vector(lambda: (reader.i32(), reader.string(), reader.string()))
    return reader.data[start : reader.position]


def require(value: bytes | None) -> bytes:
    """The value, which must not be null."""
    if value is None:
        raise Malformed("a null where a value is needed")
    return value
