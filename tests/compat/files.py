"""ZooKeeper's transaction logs and snapshots, read a second time on purpose.

Like `wire` this shares no line with zoopark: what its own writer and reader agree on wrongly shows here. Damage is an
assertion: a test that wants damaged files looks at them with other eyes.
"""

import gzip
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cramjam

from tests.compat import wire
from tests.compat.wire import Reader, ShortError

LOG_HEADER: Final = b"ZKLG" + wire.i32(2) + wire.i64(0)
SNAPSHOT_HEADER: Final = b"ZKSN" + wire.i32(2) + wire.i64(-1)
ENTRY: Final = struct.Struct(">qi")
STAT_BYTES: Final = 60
OPEN: Final = ((31, b"world", b"anyone"),)
MASK_64: Final = (1 << 64) - 1

BODIES: Final = {
    wire.CREATE_SESSION: "i",
    wire.CLOSE_SESSION: "S",
    wire.ERROR: "i",
    wire.CREATE: "ssabi",
    wire.CREATE2: "ssabi",
    wire.CREATE_CONTAINER: "ssai",
    wire.CREATE_TTL: "ssail",
    wire.DELETE: "s",
    wire.DELETE_CONTAINER: "s",
    wire.SET_DATA: "ssi",
    wire.SET_ACL: "sai",
    wire.MULTI: "T",
}
"""Type of a transaction -> its fields, see SKIP."""

AclEntries = tuple[tuple[int, bytes | None, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a log: the fields of its header, the bytes of its body, the digest behind it, and where it lies."""

    session_id: int
    cxid: int
    zxid: int
    time_ms: int
    type: int
    body: bytes
    digest: tuple[int, int] | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SavedNode:
    """A node of a snapshot; its Stat without the fields that are computed: the cversion is the stored one."""

    data: bytes | None
    acl: AclEntries
    stat: bytes

    def digest(self, path: bytes) -> int:
        czxid, mzxid, ctime, mtime, version, cversion, aversion, owner, pzxid = struct.unpack(">4q3i2q", self.stat)
        ordered = struct.pack(">5q3iq", czxid, mzxid, pzxid, ctime, mtime, version, cversion, aversion, owner)
        return zlib.crc32(path + (self.data or b"") + ordered)

    def last_zxid(self) -> int:
        """Of the last transaction that this node, or a child's coming or going, shows."""
        czxid, mzxid, *_, pzxid = struct.unpack(">4q3i2q", self.stat)
        return int(max(czxid, mzxid, pzxid))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a snapshot says; `last_zxid` is None in one of 3.8."""

    sessions: dict[int, int]
    nodes: dict[bytes, SavedNode]
    digest: tuple[int, int, int]
    last_zxid: int | None

    def computed_digest(self) -> int:
        """The digest of the nodes by the rule of version 2: what is below /zookeeper does not count."""
        counted = (node.digest(path) for path, node in self.nodes.items() if not path.startswith(b"/zookeeper/"))
        return sum(counted) & MASK_64

    def ahead(self) -> int:
        """How many transactions after that of the digest show in the nodes; 0 in a snapshot of one moment.

        It happens to Apache's servers, and is put right by the transactions that follow in the log: they change a node
        first, and note the digest after that, while another thread writes the snapshot.
        """
        return max(0, max(node.last_zxid() for node in self.nodes.values()) - self.digest[0])


def files_of(data_dir: Path, kind: str) -> list[Path]:
    """The logs (kind "log") or snapshots (kind "snapshot") of a data directory, the oldest first."""
    found = [path for path in (data_dir / "version-2").glob(f"{kind}.*") if _zxid_of(path) >= 0]
    return sorted(found, key=_zxid_of)


def _zxid_of(path: Path) -> int:
    try:
        return int(path.name.split(".")[1], 16)
    except ValueError:
        return -1


def read_logs(data_dir: Path) -> list[Entry]:
    """Every entry of every log, in the order of the files."""
    return [entry for path in files_of(data_dir, "log") for entry in read_log(path)]


def read_log(path: Path) -> list[Entry]:
    """The entries of a log up to its end; one without its last byte is not there."""
    data = path.read_bytes()
    assert data[:16] == LOG_HEADER, path
    entries, start = [], 16
    while start + ENTRY.size <= len(data):
        checksum, size = ENTRY.unpack_from(data, start)
        end = start + ENTRY.size + size + 1
        if size == 0 or end > len(data) or data[end - 1 : end] != b"B":
            break
        txn = data[start + ENTRY.size : end - 1]
        assert zlib.adler32(txn) == checksum, f"{path}: checksum at {start}"
        entries.append(_entry(txn, start, end))
        start = end
    assert not entries or entries[0].zxid == _zxid_of(path), path
    return entries


def _entry(txn: bytes, start: int, end: int) -> Entry:
    reader = Reader(txn)
    session_id, cxid, zxid, time_ms, kind = reader.i64(), reader.i32(), reader.i64(), reader.i64(), reader.i32()
    at = reader.position
    _skip_body(reader, kind)
    body = txn[at : reader.position]
    digest = (reader.i32(), reader.i64()) if reader.position < len(txn) else None
    assert reader.position == len(txn), f"bytes behind the digest of {zxid:#x}"
    return Entry(session_id, cxid, zxid, time_ms, kind, body, digest, start, end)


def _skip_body(reader: Reader, kind: int) -> None:
    for field in BODIES[kind]:
        SKIP[field](reader)


def _skip_vector(reader: Reader, fields: str) -> None:
    for _ in range(reader.i32()):
        for field in fields:
            SKIP[field](reader)


def unsnapped(data: bytes) -> bytes:
    """What is in snappy-java's container: a header of 16 bytes, then blocks with their lengths."""
    at, found = 16, b""
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        found += bytes(cramjam.snappy.decompress_raw(data[at + 4 : end]))
        at = end
    return found


def read_snapshot(path: Path) -> Snapshot:
    """Everything in a snapshot, plain or compressed; AssertionError if a seal is wrong."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    elif path.suffix == ".snappy":
        data = unsnapped(data)
    reader = Reader(data)
    assert reader.take(16) == SNAPSHOT_HEADER, path
    sessions = {}
    for _ in range(reader.i32()):
        session_id = reader.i64()
        sessions[session_id] = reader.i32()
    acls: dict[int, AclEntries] = {-1: OPEN}
    for _ in range(reader.i32()):
        acl_id = reader.i64()
        acls[acl_id] = read_acl(reader)
    nodes = _read_nodes(reader, acls)
    _check_seal(reader)
    digest = (reader.i64(), reader.i32(), reader.i64() & MASK_64)
    _check_seal(reader)
    last_zxid = None
    if reader.position < len(data):
        last_zxid = reader.i64()
        _check_seal(reader)
    assert reader.position == len(data), f"{path}: bytes behind the last seal"
    return Snapshot(sessions, nodes, digest, last_zxid)


UNFINISHED: Final = (AssertionError, ShortError, EOFError, OSError, zlib.error, cramjam.DecompressionError)
"""What `read_snapshot` may raise for one that a server did not come to the end of."""


def _read_nodes(reader: Reader, acls: dict[int, AclEntries]) -> dict[bytes, SavedNode]:
    nodes: dict[bytes, SavedNode] = {}
    while (path := reader.buf()) != b"/":
        assert path is not None
        assert path == b"" or path.rpartition(b"/")[0] in nodes, f"{path!r} is before its parent"
        data, acl_id = reader.buf(), reader.i64()
        nodes[path] = SavedNode(data, acls[acl_id], reader.take(STAT_BYTES))
    return nodes


def read_acl(reader: Reader) -> AclEntries:
    """The entries of an access control list."""
    return tuple((reader.i32(), reader.buf(), reader.buf()) for _ in range(reader.i32()))


def _check_seal(reader: Reader) -> None:
    """The Adler-32 of everything before it, then "/"."""
    wanted = zlib.adler32(reader.data[: reader.position])
    assert (reader.i64(), reader.buf()) == (wanted, b"/"), f"seal before {reader.position}"


SKIP: Final[dict[str, Callable[[Reader], object]]] = {
    "i": Reader.i32,
    "l": Reader.i64,
    "b": Reader.boolean,
    "s": Reader.buf,
    "a": read_acl,
    "S": lambda reader: _skip_vector(reader, "s"),
    "T": lambda reader: _skip_vector(reader, "is"),
}
"""How to pass over a field: i32, i64, bool, string or buffer, ACL, vector of strings, transactions of a multi."""
