"""A snapshot that was taken while transactions went on, and the log behind it, give the tree that was there.

Apache's snapshots are such mixtures: sessions and ACLs as of their start, every node as of the moment it was visited.
What replay must do with it was learnt bug by bug: ZOOKEEPER-1046 (sequence numbers), 3125 (pzxid), 3145 (closeSession).
"""

from collections.abc import Iterator
from zlib import adler32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compat import wire
from tests.properties.moves import HISTORIES, SESSIONS, TURMOIL, Move
from tests.properties.workshop import KINDS, Workshop, replay, state_of
from zoopark.jute import stat as stats
from zoopark.tree.snapshot import read_snapshot
from zoopark.tree.tree import Tree

Seen = dict[bytes, tuple[bytes | None, bytes, int, list[bytes]]]


class Film:
    """What a tree looked like after every transaction: path -> (data, kept stat, ACL id, children)."""

    def __init__(self, history: list[Move]) -> None:
        self.shop = Workshop()
        self.shop.open(*SESSIONS)
        self.first_zxid = self.shop.tree.last_zxid
        self.acls: dict[bytes, int] = {}
        self.n_acls: dict[int, int] = {}
        self.seen = {self.first_zxid: self._look()}
        self.sessions = {self.first_zxid: dict(self.shop.tree.sessions)}
        for move in history:
            self.shop.do(move.request(), move.session_id)
            self.seen[self.shop.tree.last_zxid] = self._look()
            self.sessions[self.shop.tree.last_zxid] = dict(self.shop.tree.sessions)

    def _look(self) -> Seen:
        seen: Seen = {}
        for path, node in self.shop.tree.nodes.items():
            acl_id = -1
            if node.acl is not self.shop.tree.acls.open:
                acl_id = self.acls.setdefault(node.acl.encoded, len(self.acls) + 1)
            seen[path] = (node.data, node.stat, acl_id, list(node.children or ()))
        self.n_acls[self.shop.tree.last_zxid] = len(self.acls)
        return seen

    def mixture(self, start: int, delays: Iterator[int]) -> bytes:
        """The snapshot that begins at zxid `start`; before each node, `delays` more transactions are applied.

        Its table of ACLs is that of the start, so a later node's ACL may be missing from it.
        """
        last = self.shop.tree.last_zxid
        sessions = self.sessions[start].items()
        out = b"ZKSN" + wire.i32(2) + wire.i64(-1)
        out += wire.vector([wire.i64(session_id) + wire.i32(timeout_ms) for session_id, timeout_ms in sessions])
        out += wire.vector([wire.i64(number) + acl for acl, number in list(self.acls.items())[: self.n_acls[start]]])
        now, waiting = start, [b"/"]
        while waiting:
            path = waiting.pop()
            now = min(last, now + next(delays, 0))
            if path in self.seen[now]:
                data, stat, acl_id, children = self.seen[now][path]
                name = b"" if path == b"/" else path
                out += wire.string(name) + wire.buf(data) + wire.i64(acl_id) + stats.to_snapshot(stat)
                waiting += children
        out += wire.string(b"/")
        return out + wire.i64(adler32(out)) + wire.string(b"/")


DELAYS = st.lists(st.integers(0, 4), max_size=20)


def replayed(film: Film, start: int, delays: list[int]) -> Tree:
    """The tree of a mixture that begins at the `start`-th transaction, after the log behind it."""
    zxid = min(film.first_zxid + start, film.shop.tree.last_zxid)
    tree = Tree(KINDS)
    read_snapshot(tree, [film.mixture(zxid, iter(delays))])
    tree.last_zxid = zxid
    return replay(tree, film.shop.log)


@settings(max_examples=150)
@given(HISTORIES | TURMOIL, st.integers(0, 20), DELAYS)
def test_a_mixture_and_the_log_behind_it(history: list[Move], start: int, delays: list[int]) -> None:
    """Every node, index, session and the digest end as if nothing had been written and read."""
    film = Film(history)
    assert state_of(replayed(film, start, delays)) == state_of(film.shop.tree)


@settings(max_examples=250)
@given(TURMOIL, st.integers(0, 6), st.lists(st.integers(0, 16), max_size=6))
def test_a_mixture_of_nodes_that_come_and_go(history: list[Move], start: int, delays: list[int]) -> None:
    """The snapshot may hold a later node of the same path as the one that the log is about."""
    film = Film(history)
    assert state_of(replayed(film, start, delays)) == state_of(film.shop.tree)


CREATE_A = Move("create", "/a")
DELETE_A = Move("delete", "/a", number=-1)
CREATE_CHILD = Move("create", "/a/a")
DELETE_CHILD = Move("delete", "/a/a", number=-1)
CREATE_SEQUENTIAL = Move("create", "/a/s", number=2)
EPHEMERAL = Move("create", "/a/a", number=1)
CLOSE = Move("close")

# History; the transaction at which the snapshot begins, how many more are applied before each node is visited.
KNOWN = {
    "a node is created while its parent is written": ([CREATE_A, CREATE_CHILD], 1, [1]),
    "a parent comes back with a child before its first deletion is replayed (3125)": (
        [CREATE_A, DELETE_A, CREATE_A, CREATE_CHILD],
        1,
        [3],
    ),
    "a child is gone before its parent is written (3125: pzxid)": ([CREATE_A, CREATE_CHILD, DELETE_CHILD], 2, [1]),
    "a sequence number is not given twice (1046)": (
        [CREATE_A, CREATE_SEQUENTIAL, Move("delete", "/a/s0000000000", number=-1), CREATE_SEQUENTIAL],
        1,
        [0, 2],
    ),
    "an ephemeral goes before its parent is written, its session after (3145)": (
        [CREATE_A, EPHEMERAL, CLOSE],
        2,
        [1],
    ),
    "an ACL comes after the table of ACLs is written": (
        [CREATE_A, Move("acl", "/a", number=1), CREATE_CHILD],
        0,
        [0, 0, 3],
    ),
    "a node is created with an ACL that the table lacks": ([CREATE_A, CREATE_CHILD], 0, [2]),
    "an ephemeral goes after its parent is written": ([CREATE_A, EPHEMERAL, CLOSE], 2, [0, 0, 1]),
}


@pytest.mark.parametrize("name", KNOWN)
def test_mixtures_that_once_went_wrong(name: str) -> None:
    history, start, delays = KNOWN[name]
    film = Film(history)
    assert state_of(replayed(film, start, delays)) == state_of(film.shop.tree)


@settings(max_examples=50)
@given(HISTORIES, st.integers(0, 30))
def test_replaying_twice_changes_nothing(history: list[Move], start: int) -> None:
    """A server that crashes while it replays begins again; so does one whose snapshot already holds it all."""
    film = Film(history)
    zxid = min(film.first_zxid + start, film.shop.tree.last_zxid)
    tree = replay(Tree(KINDS), film.shop.log)
    tree.last_zxid = zxid
    assert state_of(replay(tree, film.shop.log)) == state_of(film.shop.tree)
