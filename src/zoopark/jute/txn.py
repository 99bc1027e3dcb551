"""Transactions as they are logged and replicated: a header, a body by type, and the tree digest after them.

    TxnHeader   i64 session id | i32 cxid | i64 zxid | i64 time ms | i32 type                    32 bytes
    body        by type, see the encoders
    TxnDigest   i32 version = 2 | i64 digest of the tree after this transaction                  12 bytes, optional

The digest is there iff bytes remain after the body. Paths and data stay the bytes of the request that brought them.
An ACL travels as the bytes of its vector: only the tree's ACL table looks inside.
Source: ZooKeeper's zookeeper.jute, module org.apache.zookeeper.txn.
"""

from struct import Struct
from typing import Final, TypeAlias

from zoopark.errors import Malformed
from zoopark.jute.buffer import I32, I64, Reader, pack_buffer, pack_vector

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
ZXID_AT: Final = 12
DIGEST: Final = Struct(">iQ")
DIGEST_BYTES: Final = 12
DIGEST_VERSION: Final = 2
CURRENT_CVERSION: Final = -1
"""A create's parentCVersion in logs so old that they lack it: one more than the parent has."""

_CVERSION_TTL: Final = Struct(">iq")
_EPHEMERAL_CVERSION: Final = Struct(">?i")

OPEN_ACL: Final = pack_vector([I32.pack(31) + pack_buffer(b"world") + pack_buffer(b"anyone")])
"""The ACL nearly every node has: world:anyone may do everything."""


def zxid_of(txn: bytes) -> int:
    """The zxid in a transaction's header."""
    return int(I64.unpack_from(txn, ZXID_AT)[0])


def pack_digest(digest: int) -> bytes:
    """The TxnDigest of a tree digest 0 … 2**64-1."""
    return DIGEST.pack(DIGEST_VERSION, digest)


def encode_create(path: bytes, data_and_acl: bytes, is_ephemeral: bool, parent_cversion: int) -> bytes:
    """CreateTxn; data and ACL as in the request, with their lengths in front. The body of create and create2."""
    return b"".join((I32.pack(len(path)), path, data_and_acl, _EPHEMERAL_CVERSION.pack(is_ephemeral, parent_cversion)))


def encode_create_container(path: bytes, data_and_acl: bytes, parent_cversion: int) -> bytes:
    """CreateContainerTxn; data and ACL as for `encode_create`."""
    return b"".join((I32.pack(len(path)), path, data_and_acl, I32.pack(parent_cversion)))


def encode_create_ttl(path: bytes, data_and_acl: bytes, parent_cversion: int, ttl_ms: int) -> bytes:
    """CreateTTLTxn; data and ACL as for `encode_create`."""
    return b"".join((I32.pack(len(path)), path, data_and_acl, _CVERSION_TTL.pack(parent_cversion, ttl_ms)))


CreateTxn: TypeAlias = tuple[int, bytes, bytes | None, bytes, int, int, int]
"""(type, path, data, ACL as its vector, parentCVersion, ttl in ms or whether it is ephemeral, end of the body)."""
END: Final = 6


def decode_create(kind: int, data: bytes, at: int) -> CreateTxn:
    """The body of a create, create2, createContainer or createTTL that starts at `at`.

    A body that ends before parentCVersion is a CreateTxnV0, from before ZooKeeper 3.4. Raises Malformed or struct.error
    for other bytes.
    """
    unpack = I32.unpack_from
    path_end = at + 4 + int(unpack(data, at)[0])
    size = unpack(data, path_end)[0]
    value_end = path_end + 4 + (size if size > 0 else 0)
    if path_end < at + 4 or size < -1:
        raise Malformed("a field of negative length")
    acl = OPEN_ACL if data.startswith(OPEN_ACL, value_end) else read_acl_bytes(Reader(data, value_end))
    path, value = data[at + 4 : path_end], data[path_end + 4 : value_end] if size >= 0 else None
    at = value_end + len(acl)
    if kind in (CREATE, CREATE2):
        if len(data) - at < 5:
            return kind, path, value, acl, CURRENT_CVERSION, data[at : at + 1] == b"\x01", at + 1
        is_ephemeral, cversion = _EPHEMERAL_CVERSION.unpack_from(data, at)
        return kind, path, value, acl, cversion, is_ephemeral, at + 5
    cversion = unpack(data, at)[0]
    if kind == CREATE_TTL:
        return kind, path, value, acl, cversion, I64.unpack_from(data, at + 4)[0], at + 12
    return kind, path, value, acl, cversion, 0, at + 4


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
    if reader.rest() == DIGEST_BYTES and I32.unpack_from(reader.data, reader.position)[0] == DIGEST_VERSION:
        return None  # only the digest: two paths do not fit into eight bytes
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
    if reader.data.startswith(OPEN_ACL, start):  # nearly all are this one
        reader.position += len(OPEN_ACL)
        return OPEN_ACL
    reader.vector(lambda: (reader.i32(), reader.string(), reader.string()))
    return reader.data[start : reader.position]


def require(value: bytes | None) -> bytes:
    """The value, which must not be null."""
    if value is None:
        raise Malformed("a null where a value is needed")
    return value
