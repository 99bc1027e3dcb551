"""The tree as it will be once everything prepared is applied.

A request is prepared against this view, so that it sees the requests before it that are not yet on disk. The view holds
only what differs, or what was looked at, over the committed tree or over another view (a multi is a view on a view).
It is dropped, never undone: failure of a multi or loss of leadership forgets it.

The lowest view keeps up to MAX_HEADS nodes after they are applied, since who writes a node once writes it again: all
changes pass through it, so it stays true. Beyond that, nodes leave in generations: `recent` holds what was touched
since the last turn of generations, `older` what was touched before it.
"""

from typing import Final, final
from zlib import crc32

from zoopark import paths
from zoopark.jute import stat as stats
from zoopark.tree.acl import Acl
from zoopark.tree.owners import EPHEMERAL
from zoopark.tree.tree import DIGEST_MASK, Tree
from zoopark.tree.znode import content_crc

MAX_HEADS: Final = 20_000
_NO_OWNER: Final = bytes(8)


@final
class Head:
    """A node in the view: enough to validate a request and to compute the digest after it."""

    __slots__ = ("acl", "content", "data_length", "digest", "is_there", "n_children", "stat")

    def __init__(self, stat: bytes, content: int, data_length: int, n_children: int, acl: Acl) -> None:
        self.stat = stat
        self.content = content
        self.digest = crc32(stat, content)
        self.data_length = data_length
        self.n_children = n_children
        self.acl = acl
        self.is_there = True

    def copy(self) -> "Head":
        return Head(self.stat, self.content, self.data_length, self.n_children, self.acl)


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
        self._owned: dict[int, dict[bytes, bool]] = {}
        self._older_owned: dict[int, dict[bytes, bool]] = {}

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
            return path in self.tree.nodes
        return self.find(path) is not None

    def add(self, path: bytes, head: Head, parent_path: bytes, parent_stat: bytes) -> None:
        """A node created at `path`; the Stat of its parent, which was found before, becomes `parent_stat`."""
        self.recent[path] = head
        if not path.startswith(paths.UNCOUNTED_PREFIX):
            self.digest = self.digest + head.digest & DIGEST_MASK
        parent = self.recent[parent_path]
        parent.n_children += 1
        self.change_stat(parent_path, parent, parent_stat)
        if head.stat[stats.OWNER_AT :] != _NO_OWNER:
            self._note_owner(path, head, is_owned=True)

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
        self._note_owner(path, head, is_owned=False)

    def change_stat(self, path: bytes, head: Head, stat: bytes) -> None:
        """A node's Stat replaced."""
        digest = crc32(stat, head.content)
        if not path.startswith(paths.UNCOUNTED_PREFIX):
            self.digest = self.digest + digest - head.digest & DIGEST_MASK
        head.digest = digest
        head.stat = stat

    def change_data(self, path: bytes, head: Head, data: bytes | None, stat: bytes) -> None:
        """A node's data and Stat replaced."""
        content = content_crc(path, data)
        digest = crc32(stat, content)
        if not path.startswith(paths.UNCOUNTED_PREFIX):
            self.digest = self.digest + digest - head.digest & DIGEST_MASK
        head.digest = digest
        head.stat = stat
        head.content = content
        head.data_length = len(data) if data else 0

    def ephemerals_of(self, session_id: int) -> list[bytes]:
        """The paths of a session's ephemerals, in the order of their creation."""
        owned = dict.fromkeys(self.tree.ephemerals.get(session_id, {}), True)
        for view in (self.base, self):
            if view is not None:
                owned.update(view._older_owned.get(session_id, {}))
                owned.update(view._owned.get(session_id, {}))
        return [path for path, is_owned in owned.items() if is_owned]

    def absorb(self, view: "Overlay") -> None:
        """Take over what a view on this one holds."""
        assert view.base is self
        self.recent.update(view.recent)
        for session_id, owned in view._owned.items():
            self._owned.setdefault(session_id, {}).update(owned)
        self.digest = view.digest

    def on_applied(self, zxid: int, prepared_zxid: int) -> None:
        """Everything up to `zxid` is in the tree; the last transaction prepared in this view is `prepared_zxid`."""
        if zxid == prepared_zxid:
            self._owned.clear()
            self._older_owned.clear()
        if len(self.recent) < MAX_HEADS:
            return
        if zxid == prepared_zxid:
            assert self.digest == self.tree.digest, (hex(zxid), self.digest, self.tree.digest)
            self.recent.clear()
            self.older.clear()
        elif zxid >= self.older_zxid:
            self.older, self.recent = self.recent, {}
            self._older_owned, self._owned = self._owned, {}
            self.older_zxid = prepared_zxid

    def _fetch(self, path: bytes) -> Head | None:
        head = self.older.pop(path, None)
        if head is not None:
            return head
        if self.base is not None:
            head = self.base.find(path)
            return head.copy() if head is not None else None
        node = self.tree.nodes.get(path)
        if node is None:
            return None
        data = node.data
        return Head(node.stat, content_crc(path, data), len(data) if data else 0, node.n_children(), node.acl)

    def _note_owner(self, path: bytes, head: Head, *, is_owned: bool) -> None:
        owner = stats.owner_of(head.stat)
        if owner != 0 and self.tree.kinds.kind_of(owner) == EPHEMERAL:
            self._owned.setdefault(owner, {})[path] = is_owned
