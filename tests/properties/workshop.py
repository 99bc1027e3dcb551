"""Requests prepared and applied without a server around them, and every state of the tree written down."""

from collections.abc import Mapping
from typing import Final

from tests.compat import requests as ask
from tests.compat import wire
from tests.compat.requests import Request
from zoopark.jute import txn as txns
from zoopark.server.config import default_config
from zoopark.server.prepare import Preparer, Requester
from zoopark.server.sessions import SessionTracker
from zoopark.tree.acl import Identity
from zoopark.tree.owners import OwnerKinds
from zoopark.tree.tree import Change, Outcome, Tree
from zoopark.tree.znode import node_digest

START_MS: Final = 1_600_000_000_000
TIMEOUT_MS: Final = 10_000
KINDS: Final = OwnerKinds(is_extended=True)


class Workshop:
    """A tree and the requests on their way to it.

    Attributes:
        log: (zxid, transaction) of everything prepared so far.
        changes: what each of them changes, where its preparation knew.
        waiting: how many of them, at the end, are not applied yet.
    """

    def __init__(self, keys: Mapping[str, str] | None = None, tree: Tree | None = None) -> None:
        given = {"extendedTypesEnabled": "true", "enforceQuota": "true", **(keys or {})}
        self.tree = tree or Tree(KINDS)
        self.sessions = SessionTracker(2000, 1)
        self.preparer = Preparer(default_config("/data", given), self.tree, self.sessions, self.tree.last_zxid)
        self.log: list[tuple[int, bytes]] = []
        self.changes: list[Change | None] = []
        self.waiting = 0

    def open(self, *session_ids: int) -> None:
        """Open sessions at once."""
        for session_id in session_ids:
            self.prepare(ask.raw(wire.CREATE_SESSION, wire.i32(TIMEOUT_MS)), session_id)
            self.sessions.add(session_id, TIMEOUT_MS, 0)
        self.apply()

    def prepare(self, request: Request, session_id: int = 1, identities: list[Identity] | None = None) -> bytes:
        """The transaction of a request; its time is START_MS plus its zxid."""
        body = ask.plain(request)
        requester = Requester(session_id, identities or [])
        wall_ms = START_MS + self.preparer.zxid + 1
        txn = self.preparer.prepare(requester, len(self.log), request.opcode, body, wall_ms)
        assert txn is not None, request.text
        self.log.append((self.preparer.zxid, txn))
        self.changes.append(self.preparer.change)
        self.waiting += 1
        return txn

    def apply(self, count: int | None = None) -> list[Outcome]:
        """Apply the first `count` transactions that wait, all if None."""
        first = len(self.log) - self.waiting
        batch = self.log[first:] if count is None else self.log[first : first + count]
        outcomes = []
        for _, txn in batch:
            outcomes.append(self.tree.apply(txn))
            assert self.tree.digest_matches(txn)
        self.waiting -= len(batch)
        if batch:
            self.preparer.on_applied(batch[-1][0])
        return outcomes

    def do(self, request: Request, session_id: int = 1, identities: list[Identity] | None = None) -> int:
        """Prepare and apply one request; its error code."""
        err = err_of(self.prepare(request, session_id, identities))
        self.apply()
        return err


def err_of(txn: bytes) -> int:
    """The error that a transaction's client is told: its own, or the first one of the parts of a multi."""
    kind = txns.HEADER.unpack_from(txn)[4]
    if kind == txns.ERROR:
        return wire.Reader(txn[32:]).i32()
    if kind == txns.MULTI:
        reader = wire.Reader(txn[32:])
        for _ in range(reader.i32()):
            part, body = reader.i32(), reader.buf() or b""
            err = wire.Reader(body).i32() if part == txns.ERROR else 0
            if err:
                return err
    return 0


def replay(tree: Tree, log: list[tuple[int, bytes]]) -> Tree:
    """Apply what is behind the tree's last zxid, and return it."""
    for zxid, txn in log:
        if zxid > tree.last_zxid:
            tree.apply(txn)
    tree.fired.clear()
    return tree


def state_of(tree: Tree) -> dict[str, object]:
    """Everything a tree knows and another one must know after the same transactions, in a form to compare."""
    return {
        "nodes": {
            path: (node.data, node.stat, node.acl.encoded, sorted(node.children or ()))
            for path, node in sorted(tree.nodes.items())
        },
        "sessions": dict(sorted(tree.sessions.items())),
        "ephemerals": {owner: sorted(paths) for owner, paths in sorted(tree.ephemerals.items())},
        "containers": sorted(tree.containers),
        "ttls": sorted(tree.ttls),
        "acls": {acl.encoded: acl.uses for acl in tree.acls.by_id.values() if acl is not tree.acls.open},
        "digest": tree.digest,
        "data_bytes": tree.data_bytes,
        "zxid": tree.last_zxid,
    }


def digest_from_scratch(tree: Tree) -> int:
    """The tree digest by its definition: the sum over all nodes that count."""
    counted = (path for path in tree.nodes if not path.startswith(b"/zookeeper/"))
    return sum(node_digest(path, tree.nodes[path].data, tree.nodes[path].stat) for path in counted) % (1 << 64)
