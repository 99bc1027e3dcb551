"""The replicated tree: every znode, session and ACL, changed by transactions only.

`Tree.apply` is the only mutator, but for `set_config`, whose node every server keeps for itself. It takes the bytes of
a transaction, so that what is applied is what was logged, on the server that prepared it, on one that received it and
after a restart alike. It never refuses: a transaction that was applied before, as happens behind a snapshot that Apache
took while it went on, leaves a tree that its later transactions bring right (ZooKeeper's rules for replay: 3125, 3145,
1046 and others).

What it must never do: look at a clock, draw chance, or depend on who is connected.
"""

from struct import Struct
from typing import Final, TypeAlias, final

from zoopark import errors, paths
from zoopark.errors import Malformed
from zoopark.jute import stat as stats
from zoopark.jute import txn as txns
from zoopark.jute.buffer import I32, Reader, pack_buffer
from zoopark.tree import quotas, watches
from zoopark.tree.acl import READ_ACL, UNKNOWN_ACL, Acl, AclTable
from zoopark.tree.owners import CONTAINER, CONTAINER_OWNER, EPHEMERAL, TTL, OwnerKinds
from zoopark.tree.watches import Watches
from zoopark.tree.znode import Znode, digest_change, node_digest

DIGEST_MASK: Final = (1 << 64) - 1
CHECK_EVERY: Final = 64
_UNCOUNTED: Final = paths.UNCOUNTED_PREFIX

Part: TypeAlias = tuple[int, int, bytes, bytes]
"""What became of one operation of a multi: (type, err, path, Stat as on the wire)."""
Outcome: TypeAlias = tuple[int, bytes, Znode | None, list[Part] | None]
"""What became of a transaction: (err, path, the node it left, the parts of a multi)."""
Change: TypeAlias = tuple[bytes, bytes, bytes | None, Znode | None, bytes, int]
"""What one setData does: (path, the node's Stat, its data, None, b"", 0); or what one create does: (path, the parent's
Stat, None, the new node, the path of the parent, the ephemeralOwner)."""
Fired: TypeAlias = tuple[int, int, bytes, int, Acl]
"""A watch that fired: (watcher, event type, path, zxid, the ACL a watcher needs READ under)."""


@final
class Tree:
    """The whole replicated state of one server, starting out as ZooKeeper's empty database.

    Args:
        kinds: how stored owners are read.
    """

    def __init__(self, kinds: OwnerKinds) -> None:
        self.kinds = kinds
        self.nodes: dict[bytes, Znode] = {}
        self.acls = AclTable()
        self.sessions: dict[int, int] = {}
        self.ephemerals: dict[int, dict[bytes, None]] = {}
        self.containers: dict[bytes, None] = {}
        self.ttls: dict[bytes, None] = {}
        self.quotas = quotas.QuotaPaths()
        self.watches = Watches()
        self._data_watches = self.watches.data.by_path
        self._child_watches = self.watches.child.by_path
        self.fired: list[Fired] = []
        self.answers: dict[bytes, bytes] = {}
        self.lists: dict[bytes, bytes] = {}
        self.last_zxid = 0
        self.digest = 0
        self.data_bytes = 0
        self._end = 0
        self._is_counting = True
        self._add_system_nodes()

    def apply(self, txn: bytes) -> Outcome:
        """Carry out one transaction; its zxid becomes `last_zxid`.

        Watches that fire are appended to `fired` in order. Raises Malformed if the bytes are no transaction.
        """
        session_id, _, zxid, time_ms, kind = txns.HEADER.unpack_from(txn)
        self._end = len(txn)
        outcome = self._apply(txn, kind, session_id, zxid, time_ms)
        self.last_zxid = zxid
        return outcome

    def apply_own(self, txn: bytes, change: Change | None) -> Outcome:
        """Carry out a transaction that this server prepared itself, with a digest at its end.

        Args:
            change: what the transaction does to the tree, as it was worked out when it was prepared, if that is known.

        Every CHECK_EVERY-th transaction is applied from its bytes, and the digest of what it did must be the one that
        it carries. In between a known change is made as it is, which saves a quarter of the time of a write.
        """
        zxid = _ZXID.unpack_from(txn, txns.ZXID_AT)[0]
        if change is None or zxid % CHECK_EVERY == 0:
            outcome = self.apply(txn)
            assert self.digest_matches(txn), (self.digest, txn)
            return outcome
        self._is_counting = False
        path, stat, data, node, parent_path, owner = change
        if node is not None:
            parent = self.nodes[parent_path]
            parent.stat = stat
            self.answers.pop(parent_path, None)
            if self.lists:
                self.lists.pop(parent_path, None)
            node.acl = self.acls.intern(node.acl.encoded)
            outcome = self._put_node(node, path, parent_path, parent, owner, zxid)
        else:
            outcome = self._put_data(self.nodes[path], path, data, stat, zxid)
        self._is_counting = True
        self.digest = _U64.unpack_from(txn, len(txn) - 8)[0]
        self.last_zxid = zxid
        return outcome

    def digest_matches(self, txn: bytes) -> bool:
        """Whether the digest that the transaction just applied carries, if any, is that of the tree."""
        if self._end + txns.DIGEST_BYTES > len(txn):
            return True
        version, digest = txns.DIGEST.unpack_from(txn, self._end)
        return bool(version != txns.DIGEST_VERSION or digest == self.digest)

    def get(self, path: bytes) -> Znode | None:
        """The node at a path as a client names it; the empty path is the root."""
        return self.nodes.get(path or paths.ROOT)

    def wire_stat(self, node: Znode) -> bytes:
        """A node's Stat as clients are sent it: container and TTL nodes have no owner."""
        kept, data, children = node.stat, node.data, node.children
        if not children and stats.is_plain(kept):
            return stats.plain_wire_stat(kept, len(data) if data else 0)
        if kept[stats.OWNER_AT :] != _NO_OWNER and self.kinds.kind_of(stats.owner_of(kept)) != EPHEMERAL:
            kept = stats.without_owner(kept)
        return stats.wire_stat(kept, len(data) if data else 0, len(children) if children else 0)

    def load_node(self, path: bytes, node: Znode) -> None:
        """Put in a node from a snapshot; its parent must be there already (but for the root)."""
        self.nodes[path] = node
        node.acl.uses += 1
        if path != paths.ROOT:
            self.nodes[paths.parent_of(path)].load_children()[path] = None
        self._index(path, stats.owner_of(node.stat))
        if path.startswith(_UNCOUNTED):
            self._note_quota_node(path)
        else:
            self.digest = self.digest + node_digest(path, node.data, node.stat) & DIGEST_MASK
        self.data_bytes += len(path) + (len(node.data) if node.data else 0)

    def clear(self) -> None:
        """Forget every node and session, before a snapshot is loaded."""
        self.nodes, self.sessions, self.ephemerals, self.answers, self.lists = {}, {}, {}, {}, {}
        self.containers, self.ttls, self.acls = {}, {}, AclTable()
        self.quotas = quotas.QuotaPaths()
        self.digest = self.data_bytes = self.last_zxid = 0

    def recount_quotas(self) -> None:
        """Count the usage under every quota anew, after a snapshot was loaded."""
        for subject in self.quotas.paths:
            self._recount(subject)

    def _apply(self, txn: bytes, kind: int, session_id: int, zxid: int, time_ms: int) -> Outcome:
        """One transaction with its header read already; the two most frequent kinds are read without a Reader."""
        if kind == txns.SET_DATA:
            path_end = 36 + I32.unpack_from(txn, 32)[0]
            size = I32.unpack_from(txn, path_end)[0]
            data_end = path_end + 4 + (size if size > 0 else 0)
            self._end = data_end + 4
            data = txn[path_end + 4 : data_end] if size >= 0 else None
            return self._change_data(txn[36:path_end], data, I32.unpack_from(txn, data_end)[0], (zxid, time_ms))
        if kind == txns.CREATE or kind == txns.CREATE2:
            created = txns.decode_create(kind, txn, txns.HEADER_BYTES)
            self._end = created[txns.END]
            return self._create(created, session_id, zxid, time_ms)
        return self._apply_body(kind, Reader(txn, txns.HEADER_BYTES), session_id, zxid, time_ms)

    def _apply_body(self, kind: int, reader: Reader, session_id: int, zxid: int, time_ms: int) -> Outcome:
        outcome: Outcome
        if kind in (txns.CREATE, txns.CREATE2, txns.CREATE_CONTAINER, txns.CREATE_TTL):
            created = txns.decode_create(kind, reader.data, reader.position)
            outcome = self._create(created, session_id, zxid, time_ms)
            reader.position = created[txns.END]
        elif kind in (txns.DELETE, txns.DELETE_CONTAINER):
            path = txns.require(reader.string())
            outcome = (self._delete(path, zxid), path, None, None)
        elif kind == txns.CLOSE_SESSION:
            self._close_session(session_id, txns.decode_close_session(reader), zxid)
            outcome = (errors.OK, b"", None, None)
        elif kind == txns.CREATE_SESSION:
            self.sessions[session_id] = reader.i32()
            outcome = (errors.OK, b"", None, None)
        elif kind == txns.ERROR:
            outcome = (reader.i32(), b"", None, None)
        elif kind == txns.SET_ACL:
            outcome = self._set_acl(*txns.decode_set_acl(reader))
        elif kind == txns.MULTI:
            outcome = self._multi(txns.decode_multi(reader), session_id, zxid, time_ms)
        elif kind == txns.CHECK:
            path, _ = txns.require(reader.string()), reader.i32()
            outcome = (errors.OK, path, None, None)
        elif kind in (txns.SET_DATA, txns.RECONFIG):
            path, data, version = txns.decode_set_data(reader)
            outcome = self._change_data(path, data, version, (zxid, time_ms))
        else:
            raise Malformed(f"unknown transaction type {kind}")
        self._end = reader.position
        return outcome

    def _change_data(self, path: bytes, data: bytes | None, version: int, at: tuple[int, int]) -> Outcome:
        node = self.nodes.get(path)
        if node is None:
            return errors.NO_NODE, path, None, None
        return self._put_data(node, path, data, stats.after_set(node.stat, at[0], at[1], version), at[0])

    def _put_data(self, node: Znode, path: bytes, data: bytes | None, stat: bytes, zxid: int) -> Outcome:
        old_data, old_stat = node.data, node.stat
        self.answers.pop(path, None)
        if self.lists:
            self.lists.pop(path, None)
        node.stat = stat
        node.data = data
        grown = (len(data) if data else 0) - (len(old_data) if old_data else 0)
        self.data_bytes += grown
        if self._is_counting and not path.startswith(_UNCOUNTED):
            change = digest_change(path, (old_data, old_stat), (data, stat))
            self.digest = self.digest + change & DIGEST_MASK
        if self.quotas.paths:
            self._count_usage(path, grown, 0)
        if self._data_watches or self._child_watches:
            self._fire(watches.NODE_DATA_CHANGED, path, zxid, node.acl)
        return errors.OK, path, node, None

    def _create(self, txn: txns.CreateTxn, session_id: int, zxid: int, time_ms: int) -> Outcome:
        kind, path, data, encoded, cversion, ttl_or_ephemeral, _ = txn
        nodes = self.nodes
        parent_path = path[: path.rfind(b"/")] or paths.ROOT
        parent = nodes.get(parent_path)
        if parent is None:
            return errors.NO_NODE, path, None, None
        self._forget_answers(parent_path)
        old_cversion = stats.cversion_of(parent.stat)
        if cversion == txns.CURRENT_CVERSION:
            cversion = old_cversion + 1
        if cversion > old_cversion:
            self._change_stat(parent_path, parent, stats.after_child_created(parent.stat, zxid, cversion))
        if path in nodes:
            return self._create_again(nodes[path], path, encoded)
        owner = 0
        if ttl_or_ephemeral or kind == txns.CREATE_CONTAINER:
            owner = self._owner_of(kind, ttl_or_ephemeral, session_id)
        node = Znode(data, stats.new_stat(zxid, time_ms, owner), self.acls.intern(encoded))
        return self._put_node(node, path, parent_path, parent, owner, zxid)

    def _put_node(self, node: Znode, path: bytes, parent_path: bytes, parent: Znode, owner: int, zxid: int) -> Outcome:
        self.nodes[path] = node
        children = parent.children
        if children is None:
            parent.children = {path: None}
        else:
            children[path] = None
        if owner:
            owned = self.ephemerals.get(owner)
            if owned is not None:  # nobody but the sessions of ephemerals is in there
                owned[path] = None
            else:
                self._index(path, owner)
        size = len(node.data) if node.data else 0
        self.data_bytes += len(path) + size
        if path.startswith(_UNCOUNTED):
            # What the client is told is the node as it asked for it, before its usage is counted.
            asked = Znode(node.data, node.stat, node.acl)
            self._note_quota_node(path)
            node = asked
        elif self._is_counting:
            self.digest = self.digest + node_digest(path, node.data, node.stat) & DIGEST_MASK
        if self.quotas.paths:
            self._count_usage(path, size, 1)
        if self._data_watches or self._child_watches:
            self._fire(watches.NODE_CREATED, path, zxid, node.acl)
            self._fire_children_changed(parent_path, zxid, parent.acl)
        return errors.OK, path, node, None

    def _create_again(self, node: Znode, path: bytes, encoded: bytes) -> Outcome:
        """A node that a fuzzy snapshot held already, perhaps without its ACL."""
        if node.acl.encoded == UNKNOWN_ACL:
            self.acls.release(node.acl)
            node.acl = self.acls.intern(encoded)
        return errors.NODE_EXISTS, path, None, None

    def _delete(self, path: bytes, zxid: int) -> int:
        parent_path = paths.parent_of(path)
        parent = self.nodes.get(parent_path)
        if parent is None:
            return errors.NO_NODE
        if zxid > stats.pzxid_of(parent.stat):
            self._change_stat(parent_path, parent, stats.after_child_deleted(parent.stat, zxid))
        node = self.nodes.get(path)
        if node is None:
            return errors.NO_NODE
        # Only in replay behind a fuzzy snapshot: children of a later node of this path, which the log creates again.
        for child in list(node.children or ()):
            self._delete(child, zxid)
        del self.nodes[path]
        self._forget_answers(path)
        self._forget_answers(parent_path)
        if parent.children:
            parent.children.pop(path, None)
        self._unindex(path, stats.owner_of(node.stat))
        size = len(node.data) if node.data else 0
        self.data_bytes -= len(path) + size
        if path.startswith(_UNCOUNTED):
            self.quotas.on_deleted(path)
        else:
            self.digest = self.digest - node_digest(path, node.data, node.stat) & DIGEST_MASK
        if self.quotas.paths:
            self._count_usage(path, -size, -1)
        if self._data_watches or self._child_watches:
            told = self._fire(watches.NODE_DELETED, path, zxid, node.acl)
            for watcher in self.watches.on_child_event(path, told):
                self.fired.append((watcher, watches.NODE_DELETED, path, zxid, node.acl))
            self._fire_children_changed(parent_path, zxid, parent.acl)
        self.acls.release(node.acl)
        return errors.OK

    def _set_acl(self, path: bytes, encoded: bytes, aversion: int) -> Outcome:
        node = self.nodes.get(path)
        if node is None:
            return errors.NO_NODE, path, None, None
        self._forget_answers(path)
        old_acl = node.acl
        node.acl = self.acls.intern(encoded)
        self.acls.release(old_acl)
        self._change_stat(path, node, stats.after_acl(node.stat, aversion))
        return errors.OK, path, node, None

    def _close_session(self, session_id: int, listed: list[bytes] | None, zxid: int) -> None:
        self.sessions.pop(session_id, None)
        doomed = dict.fromkeys(listed or ())
        doomed.update(self.ephemerals.get(session_id, {}))
        for path in doomed:
            self._delete(path, zxid)

    def _multi(self, parts: list[tuple[int, bytes]], session_id: int, zxid: int, time_ms: int) -> Outcome:
        """All parts or, if one of them is an error, none; then the parts after the error tell of its consequence."""
        has_failed = any(kind == txns.ERROR for kind, _ in parts)
        outcomes: list[Part] = []
        for kind, body in parts:
            if kind == txns.ERROR:
                outcomes.append((kind, Reader(body).i32(), b"", b""))
            elif has_failed:
                outcomes.append((txns.ERROR, errors.OK, b"", b""))
            else:
                err, path, node, _ = self._apply_body(kind, Reader(body), session_id, zxid, time_ms)
                outcomes.append((kind, err, path, self.wire_stat(node) if node is not None else b""))
        return errors.OK, b"", None, outcomes

    def _change_stat(self, path: bytes, node: Znode, stat: bytes) -> None:
        self._forget_answers(path)
        if self._is_counting and not path.startswith(_UNCOUNTED):
            change = digest_change(path, (node.data, node.stat), (node.data, stat))
            self.digest = self.digest + change & DIGEST_MASK
        node.stat = stat

    def _forget_answers(self, path: bytes) -> None:
        self.answers.pop(path, None)
        self.lists.pop(path, None)

    def _owner_of(self, kind: int, ttl_or_ephemeral: int, session_id: int) -> int:
        if kind == txns.CREATE_CONTAINER:
            return CONTAINER_OWNER
        return self.kinds.owner_of_ttl(ttl_or_ephemeral) if kind == txns.CREATE_TTL else session_id

    def _index(self, path: bytes, owner: int) -> None:
        kind = self.kinds.kind_of(owner)
        if kind == EPHEMERAL:
            self.ephemerals.setdefault(owner, {})[path] = None
        elif kind == CONTAINER:
            self.containers[path] = None
        elif kind == TTL:
            self.ttls[path] = None

    def _unindex(self, path: bytes, owner: int) -> None:
        kind = self.kinds.kind_of(owner)
        if kind == EPHEMERAL:
            owned = self.ephemerals[owner]
            del owned[path]
            if not owned:
                del self.ephemerals[owner]
        elif kind == CONTAINER:
            del self.containers[path]
        elif kind == TTL:
            del self.ttls[path]

    def _fire(self, event: int, path: bytes, zxid: int, acl: Acl) -> dict[int, None]:
        told = self.watches.on_data_event(path)
        for watcher in told:
            self.fired.append((watcher, event, path, zxid, acl))
        return told

    def _fire_children_changed(self, path: bytes, zxid: int, acl: Acl) -> None:
        for watcher in self.watches.on_child_event(path, {}):
            self.fired.append((watcher, watches.NODE_CHILDREN_CHANGED, path, zxid, acl))

    def _note_quota_node(self, path: bytes) -> None:
        if self.quotas.on_created(path):
            self._recount(paths.parent_of(path)[len(paths.QUOTA) :])

    def _recount(self, subject: bytes) -> None:
        """Set the stats node of a quota to the nodes and bytes that are there."""
        stats_node = self.nodes.get(quotas.stats_path(subject))
        if stats_node is None:
            return
        count = size_bytes = 0
        waiting = [subject] if subject in self.nodes else []
        while waiting:
            node = self.nodes[waiting.pop()]
            count += 1
            size_bytes += node.data_length()
            waiting.extend(node.children or ())
        self._set_usage(subject, stats_node, quotas.QuotaText(count, size_bytes))

    def _count_usage(self, path: bytes, grown_bytes: int, grown_count: int) -> None:
        subject = self.quotas.nearest(path)
        stats_node = self.nodes.get(quotas.stats_path(subject)) if subject else None
        if subject is None or stats_node is None:
            return
        usage = quotas.parse_quota(stats_node.data)
        usage.count += grown_count
        usage.bytes += grown_bytes
        self._set_usage(subject, stats_node, usage)

    def _set_usage(self, subject: bytes, stats_node: Znode, usage: quotas.QuotaText) -> None:
        text = usage.encode()
        self._forget_answers(quotas.stats_path(subject))
        self.data_bytes += len(text) - stats_node.data_length()
        stats_node.data = text

    def _add_system_nodes(self) -> None:
        blank = bytes(stats.KEPT.size)
        for path in paths.SYSTEM_PATHS:
            self.load_node(path, Znode(b"", blank, self.acls.open))
        config = self.nodes[paths.CONFIG]
        config.acl = self.acls.intern(READ_ACL)
        config.stat = stats.after_acl(blank, -1)


_NO_OWNER: Final = bytes(8)
_U64: Final = Struct(">Q")
_ZXID: Final = Struct(">q")


def adopt(tree: Tree, other: Tree) -> None:
    """Make `tree` what `other` is, which nobody uses any more; who holds `tree` and watches it goes on with it."""
    tree.nodes, tree.acls, tree.sessions = other.nodes, other.acls, other.sessions
    tree.ephemerals, tree.containers, tree.ttls = other.ephemerals, other.containers, other.ttls
    tree.quotas, tree.answers, tree.lists = other.quotas, {}, {}
    tree.last_zxid, tree.digest, tree.data_bytes = other.last_zxid, other.digest, other.data_bytes
    tree.fired.clear()


def set_config(tree: Tree, text: bytes, version: int, time_ms: int) -> None:
    """Let /zookeeper/config say who is in the ensemble, as this server was told: no transaction, and in no digest.

    Args:
        text: one line a server, then the version.
        version: of the configuration.
        time_ms: wall clock.

    The node is made if a snapshot from before it has none. Its Stat is the one that ZooKeeper gives it: version -1.
    """
    node = tree.nodes.get(paths.CONFIG)
    if node is None:
        node = Znode(b"", stats.after_acl(bytes(stats.KEPT.size), -1), tree.acls.intern(READ_ACL))
        tree.load_node(paths.CONFIG, node)
    tree.data_bytes += len(text) - node.data_length()
    node.data = text
    node.stat = stats.after_set(node.stat, version, time_ms, -1)
    tree.answers.pop(paths.CONFIG, None)


def keep(kept: dict[bytes, bytes], path: bytes, answer: bytes, limit: int) -> None:
    """Remember in `Tree.answers` (getData) or `Tree.lists` (getChildren2) what any reader of a node is told.

    Args:
        limit: how many answers are kept at most; with one more all are dropped.

    It is forgotten when the node changes.
    """
    if len(kept) >= limit:
        kept.clear()
    if limit > 0:
        kept[path] = answer


def pack_children(node: Znode) -> bytes:
    """The vector of a node's children's names."""
    children = node.children
    if not children:
        return bytes(4)
    cut = next(iter(children)).rfind(b"/") + 1
    return I32.pack(len(children)) + b"".join([pack_buffer(path[cut:]) for path in children])
