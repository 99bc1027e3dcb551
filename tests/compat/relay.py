"""One data directory that goes from server to server, and the work that each of them does on it.

What a directory holds is told by `walk`, a raw client as super user: every path, its data, its whole Stat, its ACL.
"""

import contextlib
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.compat import files, wire
from tests.compat import requests as ask
from tests.compat.oracle import Flavour, Server
from tests.compat.requests import Acl, Request, digest_id
from tests.compat.session import Node, RefusedError, Reply, Session

SETTINGS: Final = {
    "extendedTypesEnabled": "true",
    "enforceQuota": "true",
    "preAllocSize": "64",
    "DigestAuthenticationProvider.superDigest": digest_id("super", "secret"),
}
TIMEOUT_MS: Final = 40_000
LARGE_BYTES: Final = 900_000
ANN: Final = Acl(31, "digest", digest_id("ann", "secret"))
ODD_NAMES: Final = (" ", "..x", ".x", "a b", "ä", "\u4e2d", "%00", "zookeeper", "x" * 300)
MISMATCH: Final = re.compile(r"(?i)mismatch|not matching|inconsisten")
DIFFERING: Final = re.compile(
    r"not matching\. Value is Zxid\..* [Vv]alue:(\d+)$|First digest mismatch on txn: \d+,\d+,(\d+),", re.MULTILINE
)
NODE_EXISTS, NOT_EMPTY, BAD_VERSION, NO_NODE = -110, -111, -103, -101

Tree = dict[str, Node]


def do(session: Session, request: Request) -> Reply:
    """Send a request of `tests.compat.requests`."""
    return session.call(request.opcode, ask.plain(request))


def must(session: Session, *wanted: Request) -> None:
    """Send requests; RefusedError if one fails."""
    for request in wanted:
        session.must(request.opcode, ask.plain(request))


def super_user(server: Server, session_id: int = 0) -> Session:
    """A session that may do everything."""
    session = Session(server.address, TIMEOUT_MS, session_id)
    session.authenticate("digest", b"super:secret")
    return session


def walk(server: Server) -> Tree:
    """Everything that is in a server."""
    session = super_user(server)
    tree = session.walk()
    session.end()
    return tree


def mismatches(server: Server) -> list[str]:
    """What the server says about digests that are not those in its files: its count, and lines of its log.

    Not what an Apache server says of the digest of a snapshot that is ahead of it, which Apache's write: each time it
    starts from it, once for the snapshot, once for the transaction. No other digest may differ.
    """
    count = re.search(r"zk_digest_mismatches_count\s+(\d+)", server.word("mntr"))
    assert count is not None
    lines = [line for line in server.log.splitlines() if MISMATCH.search(line)]
    named = _zxids_named(server.log)
    if named and int(count[1]) <= 2 * len(_zxids_named(server.said)) and named <= _digests_left_behind(server):
        return [line for line in lines if not DIFFERING.search(line)]
    return lines if count[1] == "0" else [f"digest_mismatches_count {count[1]}", *lines]


def _zxids_named(log: str) -> set[int]:
    """Of the digests that differ, as Apache's server says."""
    return {int(zxid) for found in DIFFERING.finditer(log) for zxid in found.groups() if zxid}


def _digests_left_behind(server: Server) -> set[int]:
    """The zxids of digests in the snapshots of an Apache server, also those put away, that are ahead of them."""
    behind: set[int] = set()
    for path in server.data_dir.rglob("snapshot.*") if server.flavour.name.startswith("apache") else []:
        with contextlib.suppress(*files.UNFINISHED):
            snapshot = files.read_snapshot(path)
            behind.update({snapshot.digest[0]} if snapshot.ahead() else ())
    return behind


class Relay:
    """A data directory and what has to be in it.

    Args:
        home: an existing directory; the data lies in its "data", servers have homes beside it.
        find: gives a flavour by name.

    Attributes:
        tree: what the last server told before it ended.
        n_rounds: how often work was done.
        makers: the names of the servers that had the directory.
    """

    def __init__(self, home: Path, find: Callable[[str], Flavour]) -> None:
        self.home = home
        self.data_dir = home / "data"
        self._find = find
        self._keeper_id = 0
        self._left_id = 0
        self._ended_id = 0
        self.tree: Tree = {}
        self.n_rounds = 0
        self.makers: list[str] = []
        self.server: Server | None = None

    def open(self, name: str, settings: Mapping[str, str] | None = None) -> Server:
        """Start a server on the directory."""
        self.makers.append(name)
        home = self.home / f"{len(self.makers)}-{name}"
        home.mkdir()
        self.server = Server(self._find(name), home, {**SETTINGS, **(settings or {})}, data_dir=self.data_dir).start()
        return self.server

    def check(self) -> None:
        """What the server found is what the one before it left: the tree, digests, sessions."""
        server = self._running()
        found = mismatches(server)
        assert found == [], found
        if self.n_rounds:
            found_tree = walk(server)
            assert found_tree == self.tree, difference(self.tree, found_tree)
            owned = {path for path, node in self.tree.items() if node.stat["ephemeral_owner"] == self._keeper_id}
            keeper = super_user(server, self._keeper_id)
            assert set(_ephemerals_of(keeper)) == owned
            keeper.close()
            assert _has_expired(server, self._ended_id)

    def work(self) -> None:
        """Do some of everything that a client can do, as sessions of this and of earlier rounds."""
        server = self._running()
        number, self.n_rounds = self.n_rounds, self.n_rounds + 1
        keeper = super_user(server, self._keeper_id)
        if self._left_id:
            super_user(server, self._left_id).end()
        self._keeper_id = keeper.session_id
        root = f"/round-{number}"
        must(keeper, ask.create(root, None), *_nodes_of_all_kinds(root))
        _fail(keeper, root)
        _many(keeper, root)
        self._number(keeper, number)
        passing, left = super_user(server), super_user(server)
        must(passing, ask.create(f"{root}/passing", flags=ask.EPHEMERAL), ask.create(f"{root}/more", flags=1))
        must(left, ask.create(f"{root}/left", b"", flags=ask.EPHEMERAL))
        passing.end()
        self._ended_id, self._left_id = passing.session_id, left.session_id
        left.close()
        keeper.close()
        self.tree = walk(server)

    def take_over(self, other: "Relay") -> None:
        """Become a copy of a relay whose server has ended."""
        assert other.server is None
        shutil.copytree(other.data_dir, self.data_dir)
        self.tree, self.n_rounds = other.tree, other.n_rounds
        self._keeper_id, self._left_id, self._ended_id = other._keeper_id, other._left_id, other._ended_id

    def end(self, how: str) -> None:
        """End the server: "stop" or "kill"."""
        server = self._running()
        if how == "kill":
            server.kill()
        else:
            server.stop()
        self.server = None

    def close(self) -> None:
        """End what still runs."""
        if self.server is not None:
            self.server.stop()

    def _number(self, keeper: Session, number: int) -> None:
        """Numbers go on where the last server ended, also when the numbered nodes are gone."""
        if number == 0:
            keeper.create("/numbers")
        for i in range(3):
            wanted = f"/numbers/n-{number * 3 + i:010d}"
            # Only creations count into the number: the deletion raises cversion, the number follows half of it.
            assert keeper.create("/numbers/n-", flags=ask.SEQUENTIAL) == wanted

    def _running(self) -> Server:
        assert self.server is not None
        return self.server


def _nodes_of_all_kinds(root: str) -> list[Request]:
    limits = f"/zookeeper/quota{root}"
    return [
        ask.create(f"{root}/empty", b""),
        ask.create(f"{root}/null", None, opcode=wire.CREATE),
        ask.create(f"{root}/large", bytes(range(256)) * (LARGE_BYTES // 256)),
        ask.create(f"{root}/open", b"open", (Acl(31, "world", "anyone"),)),
        ask.create(f"{root}/read", b"read", ask.READ_ONLY),
        ask.create(f"{root}/ann", b"ann", (ANN, Acl(1, "ip", "127.0.0.0/8"))),
        ask.create(f"{root}/ephemeral", b"e", flags=ask.EPHEMERAL),
        ask.create(f"{root}/names"),
        *[ask.create(f"{root}/names/{name}", name.encode()) for name in ODD_NAMES],
        ask.create(f"{root}/names/", b"", flags=ask.SEQUENTIAL),
        ask.create(f"{root}/names/-", b"", flags=ask.EPHEMERAL_SEQUENTIAL),
        ask.create(f"{root}/container", opcode=wire.CREATE_CONTAINER, flags=ask.CONTAINER),
        ask.create(f"{root}/container/child"),
        ask.create_ttl(f"{root}/ttl", 3_600_000),
        ask.create_ttl(f"{root}/ttl-", 3_600_000, ask.SEQUENTIAL_TTL),
        ask.set_data(f"{root}/empty", b"no longer"),
        ask.set_data(f"{root}/open", None),
        ask.set_acl(f"{root}/open", (ANN,)),
        ask.set_acl(f"{root}/ann", ask.OPEN),
        ask.create(limits),
        ask.create(f"{limits}/zookeeper_limits", b"count=1000,bytes=-1=;byteHardLimit=10000000;countHardLimit=-1"),
        ask.create(f"{limits}/zookeeper_stats", b"count=0,bytes=0"),
        ask.create(f"{root}/counted", b"by the quota"),
        ask.set_data(f"{root}/counted", b"by the quota, too"),
        ask.create(f"{root}/gone"),
        ask.create(f"{root}/gone/too"),
        ask.delete(f"{root}/gone/too"),
        ask.delete(f"{root}/gone"),
        ask.multi(
            # Not create2: 3.8.0 passes over it when it replays a multi of 3.9.3, as its digest shows.
            ask.create(f"{root}/multi", b"m", opcode=wire.CREATE),
            ask.create(f"{root}/multi/n-", b"", flags=ask.SEQUENTIAL, opcode=wire.CREATE),
            ask.create(f"{root}/multi/e", b"", flags=ask.EPHEMERAL, opcode=wire.CREATE),
            ask.check(f"{root}/multi", 0),
            ask.set_data(f"{root}/multi", b"mm", 0),
            ask.delete(f"{root}/multi/e"),
            ask.create_ttl(f"{root}/multi/ttl", 3_600_000),
        ),
    ]


def _fail(session: Session, root: str) -> None:
    """Requests that fail are in the log as well."""
    failing = [
        (ask.create(root), NODE_EXISTS),
        (ask.create(f"{root}/no/where"), NO_NODE),
        (ask.delete(root), NOT_EMPTY),
        (ask.set_data(root, b"x", 77), BAD_VERSION),
    ]
    for request, error in failing:
        assert do(session, request).error == error, str(request)
    do(session, ask.multi(ask.create(f"{root}/undone"), ask.check(root, 77), ask.delete(root)))
    do(session, ask.multi())


def _many(session: Session, root: str) -> None:
    """Enough for logs to roll and for digests to be remembered."""
    must(session, ask.create(f"{root}/many"))
    must(session, *[ask.create(f"{root}/many/{i}", b"x" * i) for i in range(40)])
    must(session, *[ask.set_data(f"{root}/many/{i}", b"y" * i) for i in range(0, 40, 2)])
    must(session, *[ask.delete(f"{root}/many/{i}") for i in range(0, 40, 3)])


def _ephemerals_of(session: Session) -> list[str]:
    reader = session.must(wire.GET_EPHEMERALS, wire.string("/"))
    return [(reader.buf() or b"").decode() for _ in range(reader.i32())]


def _has_expired(server: Server, session_id: int) -> bool:
    try:
        Session(server.address, TIMEOUT_MS, session_id).close()
    except RefusedError:
        return True
    return False


def difference(wanted: Tree, found: Tree) -> str:
    """The nodes that two trees do not tell alike, with the start of what each tells."""
    paths = sorted(path for path in {*wanted, *found} if wanted.get(path) != found.get(path))
    return "\n".join(
        f"{path}\n  want {wanted.get(path)!s:.500}\n  got  {found.get(path)!s:.500}" for path in paths[:20]
    )
