"""From a request to a transaction: validate it against everything prepared before it, and say what it changes.

Every write request gets a zxid and a transaction, a refused one an error transaction. Validation follows ZooKeeper's
order, the first failure wins (create: flags, ttl, session, path, ACL, parent, permission, final path, existence,
ephemeral parent, quota). The transaction carries the digest of the tree after it.

What it must never do: change the tree, or promise anything: what is prepared here is not on disk yet.
"""

import struct
from typing import Final, final

from zoopark import errors, paths
from zoopark.errors import Malformed
from zoopark.jute import proto
from zoopark.jute import stat as stats
from zoopark.jute import txn as txns
from zoopark.jute.buffer import I32, I64, Reader, pack_buffer
from zoopark.server.config import Config
from zoopark.server.localsessions import LocalSessions
from zoopark.server.overlay import Head, Overlay
from zoopark.server.sessions import Session, SessionTracker
from zoopark.tree import acl as acls
from zoopark.tree import quotas
from zoopark.tree.acl import Acl, Identity
from zoopark.tree.owners import CONTAINER_OWNER, EPHEMERAL, ORDINARY
from zoopark.tree.tree import Change, Tree
from zoopark.tree.znode import Znode

ANY_VERSION: Final = -1
MAX_VERSION: Final = 0x7FFFFFFF
MAX_LISTED_BYTES: Final = 1 << 20
"""Of the paths in a closeSession: with more it lists none, as from servers that never do, and who applies it takes what
the session owns. Else one session could make a transaction that no other member accepts (ZOOKEEPER-3496)."""
_SEQUENTIAL_BIT: Final = proto.SEQUENTIAL_FLAG & proto.EPHEMERAL_SEQUENTIAL_FLAG & proto.SEQUENTIAL_TTL_FLAG
_TTL_FLAGS: Final = (proto.TTL_FLAG, proto.SEQUENTIAL_TTL_FLAG)
_NO_OWNER: Final = bytes(8)
_NEGATIVE: Final = 0xFF
"""The first byte of the length of what is null."""
_DOTS: Final = (b"", b".", b"..")
_ALL_CREATES: Final = (*proto.CREATES, proto.CREATE_CONTAINER, proto.CREATE_TTL)


class RefusedError(Exception):
    """A request that gets the error `err` as its answer."""

    def __init__(self, err: int) -> None:
        super().__init__(err)
        self.err = err


@final
class Requester:
    """Who asks: the session (0 for the server itself) and the identities of its connection."""

    __slots__ = ("identities", "session_id")

    def __init__(self, session_id: int, identities: list[Identity]) -> None:
        self.session_id = session_id
        self.identities = identities


@final
class Preparer:
    """Turns requests into transactions, one after the other.

    Args:
        config: the switches for ACLs, quotas, digests and node types.
        tree: the committed tree.
        sessions: which sessions may still write.
        zxid: the last zxid given so far.

    Attributes:
        local: the sessions that are not among those; None on a server alone.
    """

    def __init__(self, config: Config, tree: Tree, sessions: SessionTracker, zxid: int) -> None:
        self.config = config
        self.tree = tree
        self.sessions = sessions
        self.zxid = zxid
        self.view = Overlay(tree)
        self._has_digest = config.has_digest
        self._is_quota_enforced = config.is_quota_enforced
        self._open_sessions = sessions.by_id
        self.change: Change | None = None
        self.local: LocalSessions | None = None
        self._requester = Requester(0, [])
        self._time_ms = 0

    def prepare(self, requester: Requester, cxid: int, op: int, body: bytes, wall_ms: int) -> bytes | None:
        """The transaction of one request, an error transaction if it is refused; None if its record cannot be read.

        Args:
            cxid: the request's xid.
            op: its opcode; `body` its record.
            wall_ms: the time that the transaction will carry.

        `change` then holds what it does to the tree, if it is one plain change and nothing else.
        """
        zxid = self.zxid + 1
        self.zxid = zxid
        self._requester = requester
        self._time_ms = wall_ms
        self.change = None
        try:
            if op == proto.SET_DATA:
                kind, record = op, self._set_data(body)
            elif op == proto.CREATE or op == proto.CREATE2:
                kind, record = op, self._create(op, body)
            else:
                kind, record = self._change(op, body)
        except RefusedError as refusal:
            kind, record = txns.ERROR, I32.pack(refusal.err)
        except (Malformed, struct.error):
            self.zxid = zxid - 1
            return None
        header = txns.HEADER.pack(requester.session_id, cxid, zxid, wall_ms, kind)
        if kind == txns.ERROR or not self._has_digest:
            return header + record
        return b"".join((header, record, txns.DIGEST.pack(txns.DIGEST_VERSION, self.view.digest)))

    def refuse(self, requester: Requester, cxid: int, err: int, wall_ms: int) -> bytes:
        """An error transaction for a request that is refused before it is looked at; arguments as for `prepare`."""
        self.zxid += 1
        self.change = None
        return txns.HEADER.pack(requester.session_id, cxid, self.zxid, wall_ms, txns.ERROR) + I32.pack(err)

    def restart(self, zxid: int) -> None:
        """Go on behind `zxid` from the tree as it is: what was prepared and not applied never was."""
        self.zxid = zxid
        self.view = Overlay(self.tree)
        self.change = None

    def on_applied(self, zxid: int) -> None:
        """Everything up to `zxid` is in the tree."""
        self.view.on_applied(zxid, self.zxid)

    def _change(self, op: int, body: bytes) -> tuple[int, bytes]:
        """The transaction's type and body.

        Raises RefusedError, or, before anything is changed, Malformed or struct.error for a record that cannot be read.
        """
        if op == proto.SET_DATA:
            return op, self._set_data(body)
        if op in _ALL_CREATES:
            return op, self._create(op, body)
        if op == proto.CREATE_SESSION:
            return op, body
        if op == proto.DELETE_CONTAINER:
            return op, self._delete_container(body)
        if op == proto.RECONFIG:
            self._reconfig(Reader(body))
        if op == proto.CLOSE_SESSION:
            return op, self._close_session()
        if op == proto.MULTI:
            return op, self._multi(body)
        self._require_session()
        if op == proto.DELETE:
            return op, self._delete(Reader(body))
        if op == proto.SET_ACL:
            return op, self._set_acl(Reader(body))
        if op == proto.CHECK:
            return op, self._check(Reader(body))
        raise AssertionError(f"opcode {op} is no write")

    def _set_data(self, body: bytes) -> bytes:
        unpack = I32.unpack_from
        path_end = 4 + unpack(body)[0]
        data_size = unpack(body, path_end)[0] if path_end >= 4 else -2
        data_end = path_end + 4 + (data_size if data_size > 0 else 0)
        expected = unpack(body, data_end)[0] if data_size >= -1 else 0
        if path_end == 3:
            self._read_null_path(body)
        if data_size < -1:
            raise Malformed("a field of negative length")
        session = self._open_sessions.get(self._requester.session_id)
        if session is None or session.is_closing:
            self._require_local(session, False)
        path = body[4:path_end]
        view = self.view
        head = view.find(path)
        if head is None or not path:
            raise RefusedError(errors.NO_NODE if paths.is_valid(path) else errors.BAD_ARGUMENTS)
        if not head.acl.world & acls.WRITE:
            self._require_permission(head.acl, acls.WRITE)
        if self._is_quota_enforced:
            self._require_quota(path, max(data_size, 0) - head.data_length, 0)
        stat = head.stat
        version = unpack(stat, stats.VERSION_AT)[0]
        if expected != version and expected != ANY_VERSION:
            raise RefusedError(errors.BAD_VERSION)
        version = version + 1 if version != MAX_VERSION else -MAX_VERSION - 1
        data = body[path_end + 4 : data_end]
        stat = stats.after_set(stat, self.zxid, self._time_ms, version)
        view.change_data(path, head, data, stat)
        if data:
            self.change = path, stat, data, None, b"", 0
        return body[:data_end] + I32.pack(version)

    def _read_null_path(self, body: bytes) -> None:
        """setData of the null path; refused unless the rest of the record cannot be read either."""
        reader = Reader(body, 4)
        reader.buffer()
        reader.i32()
        raise RefusedError(errors.BAD_ARGUMENTS)

    def _create(self, op: int, body: bytes) -> bytes:
        path_end, data_end, encoded, flags, ttl_ms = _read_create(op, body)
        if flags > proto.EPHEMERAL_SEQUENTIAL_FLAG or flags < 0 or op == proto.CREATE_TTL:
            self._require_mode(op, flags, ttl_ms)
        session = self._open_sessions.get(self._requester.session_id)
        if session is None or session.is_closing:
            self._require_local(session, flags in proto.EPHEMERAL_FLAGS)
        data_at = path_end + 4
        data = body[data_at:data_end] if body[path_end] != _NEGATIVE else None
        if body[0] == _NEGATIVE:
            raise RefusedError(errors.MARSHALLING_ERROR)
        path = body[4:path_end]
        rest = body[path_end : data_end + len(encoded)]
        slash = path.rfind(b"/")
        if slash < 0 or b"\x00" in path:
            raise RefusedError(errors.BAD_ARGUMENTS)
        parent_path = path[:slash] or paths.ROOT
        acl = self.tree.acls.find(encoded) or self._expanded_acl(encoded)
        view = self.view
        parent = view.find(parent_path)
        if parent is None:
            raise RefusedError(errors.NO_NODE)
        if not parent.acl.world & acls.CREATE:
            self._require_permission(parent.acl, acls.CREATE)
        parent_stat = parent.stat
        cversion = I32.unpack_from(parent_stat, stats.CVERSION_AT)[0]
        if flags & _SEQUENTIAL_BIT:
            path = b"%b%010d" % (path, cversion)
        name = path[slash + 1 :]
        if name.translate(None, paths.PLAIN) or (len(name) < 3 and name in _DOTS) or path.startswith(b"//"):
            self._require_valid(path)
        if view.holds(path):
            raise RefusedError(errors.NODE_EXISTS)
        if not parent_stat.endswith(_NO_OWNER) and self._is_ephemeral(parent_stat):
            raise RefusedError(errors.NO_CHILDREN_FOR_EPHEMERALS)
        if self._is_quota_enforced:
            self._require_quota(path, data_end - data_at, 1)
        is_ephemeral = flags == proto.EPHEMERAL_SEQUENTIAL_FLAG or flags == proto.EPHEMERAL_FLAG
        owner = self._requester.session_id if is_ephemeral else 0
        if op == proto.CREATE_CONTAINER or op == proto.CREATE_TTL:
            owner = CONTAINER_OWNER if op == proto.CREATE_CONTAINER else self.tree.kinds.owner_of_ttl(ttl_ms)
        # The count of children created stops at its largest value, as it does in the tree.
        if cversion != MAX_VERSION:
            cversion += 1
            parent_stat = stats.after_child_created(parent_stat, self.zxid, cversion)
        node = Znode(data, stats.new_stat(self.zxid, self._time_ms, owner), acl)
        view.add(path, node, parent_path, parent_stat)
        self.change = path, parent_stat, None, node, parent_path, owner
        if acl.encoded != encoded:
            rest = pack_buffer(data) + acl.encoded
        if op == proto.CREATE_CONTAINER:
            return txns.encode_create_container(path, rest, cversion)
        if op == proto.CREATE_TTL:
            return txns.encode_create_ttl(path, rest, cversion, ttl_ms)
        return txns.encode_create(path, rest, is_ephemeral, cversion)

    def _delete(self, reader: Reader) -> bytes:
        path, expected = reader.string(), reader.i32()
        if path is None:
            raise RefusedError(errors.MARSHALLING_ERROR)
        if b"/" not in path or b"\x00" in path or path in paths.SYSTEM_PATHS:
            raise RefusedError(errors.BAD_ARGUMENTS)
        parent = self._require_node(paths.parent_of(path))
        self._require_permission(parent.acl, acls.DELETE)
        head = self._require_node(path)
        _next_version(stats.version_of(head.stat), expected)
        if head.n_children:
            raise RefusedError(errors.NOT_EMPTY)
        self.view.remove(path, head, self.zxid)
        return pack_buffer(path)

    def _delete_container(self, body: bytes) -> bytes:
        path = txns.require(Reader(body).string())
        if b"/" not in path or b"\x00" in path or path in paths.SYSTEM_PATHS:
            raise RefusedError(errors.BAD_ARGUMENTS)
        parent, head = self.view.find(paths.parent_of(path)), self.view.find(path)
        if parent is None or head is None:
            raise RefusedError(errors.NO_NODE)
        if head.n_children:
            raise RefusedError(errors.NOT_EMPTY)
        if self.tree.kinds.kind_of(stats.owner_of(head.stat)) in (ORDINARY, EPHEMERAL):
            raise RefusedError(errors.BAD_VERSION)
        self.view.remove(path, head, self.zxid)
        return pack_buffer(path)

    def _set_acl(self, reader: Reader) -> bytes:
        path, encoded, expected = reader.string(), txns.read_acl_bytes(reader), reader.i32()
        if path is None or not paths.is_valid(path):
            raise RefusedError(errors.BAD_ARGUMENTS)
        acl = self.tree.acls.find(encoded) or self._expanded_acl(encoded)
        head = self._require_node(path)
        self._require_permission(head.acl, acls.ADMIN)
        aversion = _next_version(stats.aversion_of(head.stat), expected)
        head.acl = acl
        self.view.change_stat(path, head, stats.after_acl(head.stat, aversion))
        return txns.encode_set_acl(path, acl.encoded, aversion)

    def _check(self, reader: Reader) -> bytes:
        path, expected = reader.string(), reader.i32()
        if path is None or not paths.is_valid(path):
            raise RefusedError(errors.BAD_ARGUMENTS)
        head = self._require_node(path)
        self._require_permission(head.acl, acls.READ)
        return txns.encode_check(path, _next_version(stats.version_of(head.stat), expected))

    def _close_session(self) -> bytes:
        session_id = self._requester.session_id
        doomed = self.view.ephemerals_of(session_id)
        for path in doomed:
            head = self.view.find(path)
            assert head is not None, path
            self.view.remove(path, head, self.zxid)
        session = self.sessions.by_id.get(session_id)
        if session is not None:
            session.is_closing = True
        encoded = txns.encode_close_session(doomed) if self.config.has_close_session_txn else b""
        return encoded if len(encoded) <= MAX_LISTED_BYTES else b""

    def _multi(self, body: bytes) -> bytes:
        """All parts against a view of their own, which is kept only if none is refused."""
        committed = self.view
        parts: list[tuple[int, bytes]] = []
        err = errors.OK
        try:
            operations = proto.read_multi(Reader(body))
        except proto.NullAcl:
            raise
        except Malformed:
            # The one record that gets a zxid although it cannot be read.
            raise RefusedError(errors.MARSHALLING_ERROR) from None
        if operations and operations[0][0] in (proto.GET_DATA, proto.GET_CHILDREN):
            raise RefusedError(errors.MARSHALLING_ERROR)
        self.view = Overlay(self.tree, committed)
        try:
            for op, start, end in operations:
                kind, record = self._part(op, body[start:end], err)
                if kind == txns.ERROR and err == errors.OK:
                    err = I32.unpack(record)[0]
                parts.append((kind, record))
            if err == errors.OK:
                committed.absorb(self.view)
        finally:
            self.view = committed
        self.change = None
        return txns.encode_multi(parts)

    def _part(self, op: int, body: bytes, err: int) -> tuple[int, bytes]:
        """One part of a multi; an error if it is refused, or if a part before it was (`err`).

        One that ZooKeeper cannot even refuse takes the whole multi along.
        """
        if err != errors.OK:
            return txns.ERROR, I32.pack(errors.RUNTIME_INCONSISTENCY)
        try:
            return self._change(op, body)
        except RefusedError as refusal:
            if refusal.err == errors.MARSHALLING_ERROR:
                raise
            return txns.ERROR, I32.pack(refusal.err)

    def _reconfig(self, reader: Reader) -> None:
        """A standalone server has no membership to change."""
        for _ in range(3):
            reader.string()
        reader.i64()
        raise RefusedError(errors.UNIMPLEMENTED if self.config.is_reconfig_enabled else errors.RECONFIG_DISABLED)

    def _require_session(self) -> None:
        session = self._open_sessions.get(self._requester.session_id)
        if session is None or session.is_closing:
            self._require_local(session, False)

    def _require_local(self, session: Session | None, is_ephemeral: bool) -> None:
        """A session that all servers know is over, or is not known: it must be a local one."""
        if session is not None or self.local is None:
            raise RefusedError(errors.SESSION_EXPIRED)
        err = self.local.err_of(self._requester.session_id, is_ephemeral)
        if err != errors.OK:
            raise RefusedError(err)

    def _require_valid(self, path: bytes) -> None:
        if not paths.is_valid(path):
            raise RefusedError(errors.BAD_ARGUMENTS)

    def _is_ephemeral(self, stat: bytes) -> bool:
        return self.tree.kinds.kind_of(stats.owner_of(stat)) == EPHEMERAL

    def _require_node(self, path: bytes) -> Head:
        head = self.view.find(path)
        if head is None:
            raise RefusedError(errors.NO_NODE)
        return head

    def _require_permission(self, acl: Acl, permission: int) -> None:
        if acl.world & permission or self.config.is_acl_skipped:
            return
        if not acl.allows(permission, self._requester.identities):
            raise RefusedError(errors.NO_AUTH)

    def _require_mode(self, op: int, flags: int, ttl_ms: int) -> None:
        if not proto.PERSISTENT_FLAG <= flags <= proto.SEQUENTIAL_TTL_FLAG:
            raise RefusedError(errors.BAD_ARGUMENTS)
        is_ttl = flags in _TTL_FLAGS
        if is_ttl and not self.tree.kinds.is_extended:
            raise RefusedError(errors.UNIMPLEMENTED)
        if is_ttl != (op == proto.CREATE_TTL) or (is_ttl and not 1 <= ttl_ms <= proto.MAX_TTL_MS):
            raise RefusedError(errors.BAD_ARGUMENTS)

    def _require_quota(self, path: bytes, grown_bytes: int, grown_count: int) -> None:
        """Refuse what goes over a hard limit, as far as the usage is counted: by what is applied."""
        subject = self.tree.quotas.nearest(path)
        limits_node = self.tree.nodes.get(quotas.limits_path(subject)) if subject else None
        if subject is None or limits_node is None:
            return
        try:
            limits = quotas.parse_quota_strictly(limits_node.data)
        except ValueError:
            raise RefusedError(errors.MARSHALLING_ERROR) from None
        stats_node = self.tree.nodes.get(quotas.stats_path(subject))
        usage = quotas.parse_quota(stats_node.data) if stats_node is not None else None
        if usage is not None and quotas.is_exceeded(limits, usage, grown_bytes, grown_count):
            raise RefusedError(errors.QUOTA_EXCEEDED)

    def _expanded_acl(self, encoded: bytes) -> Acl:
        """The ACL to store for one that no node has in these bytes; the same one may be there in others."""
        try:
            entries = acls.expand(acls.read_acl(Reader(encoded)), self._requester.identities)
        except ValueError:
            raise RefusedError(errors.MARSHALLING_ERROR) from None
        if entries is None:
            raise RefusedError(errors.INVALID_ACL)
        expanded = acls.encode_acl(entries)
        return self.tree.acls.find(expanded) or Acl(0, expanded)


def _next_version(version: int, expected: int) -> int:
    if expected not in (ANY_VERSION, version):
        raise RefusedError(errors.BAD_VERSION)
    return stats.wrap_i32(version + 1)


def _read_create(op: int, body: bytes) -> tuple[int, int, bytes, int, int]:
    """(end of the path, end of the data, ACL as its vector, flags, ttl or -1); a null path ends where it starts."""
    unpack = I32.unpack_from
    path_end = 4 + unpack(body)[0]
    path_end += path_end == 3
    data_size = unpack(body, path_end)[0] if path_end >= 4 else -2
    data_end = path_end + 4 + (data_size if data_size > 0 else 0)
    if data_size < -1:
        raise Malformed("a field of negative length")
    is_open = body.startswith(txns.OPEN_ACL, data_end)
    encoded = txns.OPEN_ACL if is_open else txns.read_acl_bytes(Reader(body, data_end))
    at = data_end + len(encoded)
    flags = unpack(body, at)[0]
    return path_end, data_end, encoded, flags, I64.unpack_from(body, at + 4)[0] if op == proto.CREATE_TTL else -1
