"""The tree as it will be once everything prepared is applied.

A request is prepared against this view, so that it sees the requests before it that are not yet on disk. The view holds
only what differs, or what was looked at, over the committed tree or over another view (a multi is a view on a view).
It is dropped, never undone: failure of a multi or loss of leadership forgets it.

A node that is created is only noted (`fresh`) until it is applied: most are not looked at meanwhile. One that is
looked at gets a head. The lowest view keeps up to MAX_HEADS of them after they are applied, since who writes a node
once writes it again: all changes pass through it, so it stays true. Beyond that, heads leave in generations: `recent`
holds what was touched since the last turn of generations, `older` what was touched before it.
"""

from typing import Final, final
from zlib import crc32

from zoopark import paths
from zoopark.jute import stat as stats
from zoopark.tree.acl import Acl
from zoopark.tree.owners import EPHEMERAL
from zoopark.tree.tree import DIGEST_MASK, Tree
from zoopark.tree.znode import Znode, content_crc

MAX_HEADS: Final = 20_000
MAX_FRESH: Final = 2_000
"""Nodes that are noted before those already applied are forgotten, unless everything is applied earlier."""


@final
class Head:
    """A node in the view: enough to validate a request and to compute the digest after it."""

    __slots__ = ("acl", "content", "data_length", "digest", "is_there", "n_children", "path_crc", "stat")

    def __init__(self, path: bytes, data: bytes | None, stat: bytes, acl: Acl) -> None:
        self.stat = stat
        self.path_crc = content_crc(path, None)
        self.content = crc32(data, self.path_crc) if data else self.path_crc
        self.digest = crc32(stat, self.content)
        self.data_length = len(data) if data else 0
        self.n_children = 0
        self.acl = acl
        self.is_there = True

    def copy(self, path: bytes) -> "Head":
        head = Head(path, None, self.stat, self.acl)
        head.content, head.digest, head.data_length = self.content, self.digest, self.data_length
        head.n_children = self.n_children
        return head


@final
class Overlay:
    """One view.

    Args:
        tree: the committed tree under it.
        base: the view under it, if it is not the lowest.

    `digest` is the tree digest after everything prepared in this view.
    """

    def __init__(self, tree: Tree, base: "Overlay | None" = None) -> None:
        self.tree = tree
        self.base = base
        self.digest: int = tree.digest if base is None else base.digest
        self.recent: dict[bytes, Head] = {}
        self.older: dict[bytes, Head] = {}
        self.older_zxid = 0
        self.fresh: dict[bytes, Znode] = {}
        self._fresh_before: dict[bytes, Znode] = {}
        self._fresh_zxid = 0

    def find(self, path: bytes) -> Head | None:
        """The node at a path, None if there is none; the empty path is the root."""
        head = self.recent.get(path)
        if head is None:
            if not path:
                return self.find(paths.ROOT)
            head = self._fetch(path)
            if head is None:
                return None
            self.recent[path] = head
        return head if head.is_there else None

    def holds(self, path: bytes) -> bool:
        """Whether there is a node at a path; cheaper than to find it."""
        head = self.recent.get(path)
        if head is not None:
            return head.is_there
        if self.base is None and not self.older:
            return path in self.tree.nodes or self._unapplied(path) is not None
        return self.find(path) is not None

    def add(self, path: bytes, node: Znode, parent_path: bytes, parent_stat: bytes) -> None:
        """`node` created at `path`, which the view does not hold; its parent, found before, gets `parent_stat`."""
        data, digest = node.data, crc32(path)
        if data:
            digest = crc32(data, digest)
        if not path.startswith(paths.UNCOUNTED_PREFIX):
            self.digest = self.digest + crc32(node.stat, digest) & DIGEST_MASK
        self.fresh[path] = node
        recent = self.recent
        if path in recent:  # it was deleted, and is created anew
            recent[path] = Head(path, data, node.stat, node.acl)
        parent = recent[parent_path]
        parent.n_children += 1
        self.change_stat(parent_path, parent, parent_stat)

    def remove(self, path: bytes, head: Head, zxid: int) -> None:
        """The node at `path` deleted by transaction `zxid`."""
        head.is_there = False
        if not path.startswith(paths.UNCOUNTED_PREFIX):
            self.digest = self.digest - head.digest & DIGEST_MASK
        parent_path = paths.parent_of(path)
        parent = self.find(parent_path)
        assert parent is not None, path
        parent.n_children -= 1
        self.change_stat(parent_path, parent, stats.after_child_deleted(parent.stat, zxid))

    def change_stat(self, path: bytes, head: Head, stat: bytes) -> None:
        """A node's Stat replaced."""
        digest = crc32(stat, head.content)
        if not path.startswith(paths.UNCOUNTED_PREFIX):
            self.digest = self.digest + digest - head.digest & DIGEST_MASK
        head.digest = digest
        head.stat = stat

    def change_data(self, path: bytes, head: Head, data: bytes | None, stat: bytes) -> None:
        """A node's data and Stat replaced."""
        content = crc32(data, head.path_crc) if data else head.path_crc
        digest = crc32(stat, content)
        if not path.startswith(paths.UNCOUNTED_PREFIX):
            self.digest = self.digest + digest - head.digest & DIGEST_MASK
        head.digest = digest
        head.stat = stat
        head.content = content
        head.data_length = len(data) if data else 0

    def ephemerals_of(self, session_id: int) -> list[bytes]:
        """The paths of a session's ephemerals: those in the tree in the order of their creation, then the others."""
        mark = stats.pack_owner(session_id)
        found = dict.fromkeys(self.tree.ephemerals.get(session_id, ()))
        if self.tree.kinds.kind_of(session_id) == EPHEMERAL:
            for fresh in (self._fresh_before, self.fresh):
                found.update(dict.fromkeys([path for path, node in fresh.items() if node.stat.endswith(mark)]))
        return [path for path in found if (head := self.find(path)) is not None and head.stat.endswith(mark)]

    def absorb(self, view: "Overlay") -> None:
        """Take over what a view on this one holds."""
        assert view.base is self
        for path, node in view.fresh.items():
            if path in self.recent and path not in view.recent:  # it was deleted before, and is created anew
                self.recent[path] = Head(path, node.data, node.stat, node.acl)
        self.recent.update(view.recent)
        self.fresh.update(view.fresh)
        self.digest = view.digest

    def on_applied(self, zxid: int, prepared_zxid: int) -> None:
        """Everything up to `zxid` is in the tree; the last transaction prepared in this view is `prepared_zxid`."""
        if zxid == prepared_zxid:
            self.fresh.clear()
            self._fresh_before.clear()
        elif len(self.fresh) >= MAX_FRESH and zxid >= self._fresh_zxid:
            self._fresh_before, self.fresh = self.fresh, {}
            self._fresh_zxid = prepared_zxid
        if len(self.recent) < MAX_HEADS:
            return
        if zxid == prepared_zxid:
            assert self.digest == self.tree.digest, (hex(zxid), self.digest, self.tree.digest)
            self.recent.clear()
            self.older.clear()
        elif zxid >= self.older_zxid:
            self.older, self.recent = self.recent, {}
            self.older_zxid = prepared_zxid

    def _fetch(self, path: bytes) -> Head | None:
        head = self.older.pop(path, None)
        if head is not None:
            return head
        node: Znode | None
        if self.base is not None:
            node = self.fresh.get(path)
            if node is None:
                head = self.base.find(path)
                return head.copy(path) if head is not None else None
        else:
            node = self.tree.nodes.get(path) or self._unapplied(path)
        if node is None:
            return None
        head = Head(path, node.data, node.stat, node.acl)
        head.n_children = node.n_children()
        return head

    def _unapplied(self, path: bytes) -> Znode | None:
        """What was created at a path that the tree does not hold, if that is still to be applied."""
        node = self.fresh.get(path) or self._fresh_before.get(path)
        return node if node is not None and stats.czxid_of(node.stat) > self.tree.last_zxid else None
