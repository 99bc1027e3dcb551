"""A whole tree as a stream of bytes, the content of a snapshot file.

    header      magic "ZKSN" | i32 version 2 | i64 dbid -1
    sessions    i32 count, then { i64 session id | i32 timeout ms }
    ACLs        i32 count, then { i64 id | vector of ACL }
    nodes       { str path, "" for the root | buffer data | i64 ACL id | 60 bytes Stat }, parents before children
    end         str "/"
    seal        i64 Adler-32 of every byte so far | str "/"
    digest      i64 zxid | i32 digest version 2 | u64 digest of the tree at that zxid         (since 3.6)
    seal
    last zxid   i64                                                                            (since 3.9)
    seal

Valid when: (1) magic and version match, (2) every parent precedes its children, (3) the first seal is there and every
seal that is there matches. A stream that ends after a seal lacks the sections that older servers did not write. A
snapshot that Apache took is fuzzy: it may hold part of what transactions after its name's zxid did; its digest holds
from the digest's own zxid on. Its table of ACLs was written before its nodes: the list of a node may be missing there,
and is told by the transactions that follow.
"""

import struct
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final, final
from zlib import adler32, crc32

from zoopark import paths
from zoopark.errors import CorruptSnapshot, Malformed
from zoopark.jute import stat as stats
from zoopark.jute.buffer import I32, I64, pack_buffer
from zoopark.tree.acl import OPEN_ID, UNKNOWN_ACL
from zoopark.tree.tree import DIGEST_MASK, Tree
from zoopark.tree.znode import Znode

MAGIC: Final = b"ZKSN"
VERSION: Final = 2
CHUNK_BYTES: Final = 1 << 18
STREAM_END: Final = pack_buffer(b"BenWasHere")

_HEADER: Final = Struct(">4siq")
_SESSION: Final = Struct(">qi")
_DIGEST: Final = Struct(">qiQ")
_DIGEST_VERSION: Final = 2
_SEAL_END: Final = b"\x00\x00\x00\x01/"
_NODE_TAIL_BYTES: Final = 68
_NODE_TAIL: Final = Struct(">q16s36s8s")
"""ACL id, and a Stat cut into what makes the layout kept in memory: czxid mzxid, ctime … ephemeralOwner, pzxid."""
_NODES_END: Final = b"\x00\x00\x00\x01/"
_NO_OWNER: Final = bytes(8)
_SLASH: Final = 0x2F


def write_snapshot(tree: Tree, has_digest: bool, has_last_zxid: bool) -> Iterator[bytes]:
    """The snapshot of a tree in pieces of about CHUNK_BYTES. The tree must not change until the last one is taken."""
    seal = _Seal()
    yield seal.over(_HEADER.pack(MAGIC, VERSION, -1))
    yield seal.over(_pack_sessions(tree) + _pack_acls(tree))
    for piece in _pack_nodes(tree):
        yield seal.over(piece)
    yield seal.over(pack_buffer(b"/"))
    yield seal.pack()
    if has_digest:
        # ZooKeeper writes zeros until a transaction has been applied, and readers compare only from then on.
        known = (tree.last_zxid, _DIGEST_VERSION, tree.digest) if tree.last_zxid else (0, _DIGEST_VERSION, 0)
        yield seal.over(_DIGEST.pack(*known))
        yield seal.pack()
    if has_last_zxid:
        yield seal.over(I64.pack(tree.last_zxid))
        yield seal.pack()


def write_stream(tree: Tree) -> Iterator[bytes]:
    """The tree as it follows a SNAP between servers: only sessions, ACLs, nodes and their end, then a signature.

    In pieces of about CHUNK_BYTES; the tree must not change until the last one is taken.
    """
    yield _pack_sessions(tree) + _pack_acls(tree)
    yield from _pack_nodes(tree)
    yield pack_buffer(b"/") + STREAM_END


def read_stream(tree: Tree, pieces: Iterable[bytes]) -> None:
    """Replace the content of `tree` by what `write_stream` made; `tree.last_zxid` is left 0.

    Raises CorruptSnapshot with what is wrong and at which byte.
    """
    source = _Source(iter(pieces))
    try:
        _read_tree(tree, source)
        if source.take(len(STREAM_END)) != STREAM_END or not source.is_at_end():
            raise CorruptSnapshot(f"no signature at byte {source.offset()}")
    except (KeyError, struct.error, Malformed) as error:
        raise CorruptSnapshot(f"not a snapshot at byte {source.offset()}: {error!r}") from error


def read_snapshot(tree: Tree, pieces: Iterable[bytes]) -> tuple[int, int]:
    """Replace the content of `tree` by a snapshot.

    Returns (zxid, digest) of its digest section, (0, 0) if it has none to compare with; `tree.last_zxid` is left 0.
    Raises CorruptSnapshot with what is wrong and at which byte of the uncompressed stream.
    """
    source = _Source(iter(pieces))
    try:
        return _read_all(tree, source)
    except (KeyError, struct.error, Malformed) as error:
        raise CorruptSnapshot(f"not a snapshot at byte {source.offset()}: {error!r}") from error


@final
class _Seal:
    """The running checksum of what was written."""

    def __init__(self) -> None:
        self.sum = 1

    def over(self, piece: bytes) -> bytes:
        self.sum = adler32(piece, self.sum)
        return piece

    def pack(self) -> bytes:
        return self.over(I64.pack(self.sum) + _SEAL_END)


def _pack_sessions(tree: Tree) -> bytes:
    sessions = [_SESSION.pack(session_id, timeout_ms) for session_id, timeout_ms in tree.sessions.items()]
    return I32.pack(len(sessions)) + b"".join(sessions)


def _pack_acls(tree: Tree) -> bytes:
    acls = [I64.pack(acl_id) + acl.encoded for acl_id, acl in tree.acls.by_id.items() if acl_id != OPEN_ID]
    return I32.pack(len(acls)) + b"".join(acls)


def _pack_nodes(tree: Tree) -> Iterator[bytes]:
    parts: list[bytes] = []
    size = 0
    pack_i32, pack_i64, to_snapshot = I32.pack, I64.pack, stats.to_snapshot
    for path, node in tree.nodes.items():
        name = path if path != paths.ROOT else b""
        data = pack_buffer(node.data)
        parts += (pack_i32(len(name)), name, data, pack_i64(node.acl.acl_id), to_snapshot(node.stat))
        size += len(name) + len(data) + 72
        if size >= CHUNK_BYTES:
            yield b"".join(parts)
            parts.clear()
            size = 0
    yield b"".join(parts)


@final
class _Source:
    """The stream behind a window: `data[at:]` is read already and not consumed."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces
        self.data = b""
        self.at = 0
        self.sum = 1
        self.consumed = 0

    def offset(self) -> int:
        return self.consumed + self.at

    def pull(self) -> bool:
        """Put more behind the window, at least as much as is in it, so that growing costs no more than reading.

        False if there is nothing more.
        """
        self._account()
        pieces = [self.data[self.at :]]
        wanted, self.at = len(pieces[0]) or 1, 0
        while wanted > 0 and (piece := next(self.pieces, None)) is not None:
            pieces.append(piece)
            wanted -= len(piece)
        self.data = b"".join(pieces)
        return len(pieces) > 1

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        if size < 0:
            raise CorruptSnapshot(f"a negative length at byte {self.offset()}")
        while len(self.data) - self.at < size:
            if not self.pull():
                raise CorruptSnapshot(
                    f"the file ends at byte {self.consumed + len(self.data)}, in the middle of a record"
                )
        taken = self.data[self.at : self.at + size]
        self.at += size
        return taken

    def i32(self) -> int:
        return int(I32.unpack(self.take(4))[0])

    def i64(self) -> int:
        return int(I64.unpack(self.take(8))[0])

    def is_at_end(self) -> bool:
        return self.at == len(self.data) and not self.pull()

    def check_seal(self) -> None:
        """Read a seal and compare it with the checksum of all before it."""
        expected = adler32(self.data[: self.at], self.sum)
        at = self.offset()
        if self.i64() != expected or self.take(5) != _SEAL_END:
            raise CorruptSnapshot(f"the checksum at byte {at} does not match what is before it")

    def _account(self) -> None:
        self.sum = adler32(self.data[: self.at], self.sum)
        self.consumed += self.at


def _read_all(tree: Tree, source: _Source) -> tuple[int, int]:
    magic, version, _ = _HEADER.unpack(source.take(_HEADER.size))
    if magic != MAGIC or version != VERSION:
        raise CorruptSnapshot(f"magic {magic!r} and version {version}, where {MAGIC!r} and {VERSION} are read")
    _read_tree(tree, source)
    source.check_seal()
    digest = (0, 0)
    if not source.is_at_end():
        zxid, version, value = _DIGEST.unpack(source.take(_DIGEST.size))
        source.check_seal()
        if version == _DIGEST_VERSION:
            digest = (zxid, value)
    if not source.is_at_end():
        source.i64()
        source.check_seal()
    return digest


def _read_tree(tree: Tree, source: _Source) -> None:
    """Sessions, ACLs and nodes, up to the end of these."""
    tree.clear()
    for _ in range(source.i32()):
        session_id, timeout_ms = _SESSION.unpack(source.take(_SESSION.size))
        tree.sessions[session_id] = timeout_ms
    for _ in range(source.i32()):
        tree.acls.add(source.i64(), _take_acl(source))
    _read_nodes(tree, source)
    tree.acls.forget_unused()
    tree.recount_quotas()


def _take_acl(source: _Source) -> bytes:
    count = source.i32()
    parts = [I32.pack(count)]
    for _ in range(count):
        parts.append(source.take(4))
        for _ in range(2):
            size = source.i32()
            parts.append(I32.pack(size) + source.take(max(size, 0)))
    return b"".join(parts)


def _read_nodes(tree: Tree, source: _Source) -> None:
    """All nodes and the "/" that ends them; goes back to a node's first byte when the window ends within it."""
    while not _read_window(tree, source):
        if not source.pull():
            raise CorruptSnapshot(f"the file ends at byte {source.offset()}, before the last node")


def _read_window(tree: Tree, source: _Source) -> bool:
    """The whole nodes in the window; True once their end was read.

    A million times over, so the frequent case, a node without an owner outside /zookeeper, is not passed through
    `Tree.load_node`.
    """
    unpack, unpack_tail = I32.unpack_from, _NODE_TAIL.unpack_from
    data, at = source.data, source.at
    end = len(data)
    by_id, nodes = tree.acls.by_id, tree.nodes
    last_parent = paths.ROOT  # no path without its last component reads so
    siblings: dict[bytes, None] = {}
    digest = size_bytes = 0
    while at + 4 <= end:
        path_end = at + 4 + unpack(data, at)[0]
        path = data[at + 4 : path_end]
        if path == b"/" or path_end + 4 > end:
            break
        if path_end < at + 4 or (path and path[0] != _SLASH):
            raise CorruptSnapshot(f"no path at byte {source.consumed + at}")
        size = unpack(data, path_end)[0]
        if size < -1:
            raise CorruptSnapshot(f"data of length {size} at byte {source.consumed + path_end}")
        tail = path_end + 4 + (size if size > 0 else 0)
        if tail + _NODE_TAIL_BYTES > end:
            break
        acl_id, head, rest, pzxid = unpack_tail(data, tail)
        value = data[path_end + 4 : tail] if size >= 0 else None
        acl = by_id.get(acl_id) or tree.acls.add(acl_id, UNKNOWN_ACL)
        node = Znode(value, head + pzxid + rest, acl)
        at = tail + _NODE_TAIL_BYTES
        if rest[-8:] != _NO_OWNER or path.startswith(paths.SYSTEM) or not path:
            tree.load_node(path or paths.ROOT, node)
            continue
        acl.uses += 1
        parent = path[: path.rfind(b"/")]
        if parent != last_parent:
            last_parent, siblings = parent, nodes[parent or paths.ROOT].load_children()
        nodes[path] = node
        siblings[path] = None
        digest += crc32(node.stat, crc32(value, crc32(path)) if value else crc32(path))
        size_bytes += len(path) + max(size, 0)
    tree.digest = tree.digest + digest & DIGEST_MASK
    tree.data_bytes += size_bytes
    source.at = at
    is_end = data[at : at + 5] == _NODES_END
    source.at += 5 * is_end
    return is_end
