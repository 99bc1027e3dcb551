"""The tree: what each transaction changes, who is told, and what is counted beside the nodes.

That whole histories leave the right nodes is shown against a model, in tests/properties.
"""

import pytest

from tests.compat import requests as ask
from tests.compat import wire
from tests.properties.workshop import KINDS, START_MS, Workshop, state_of
from zoopark import errors
from zoopark.errors import Malformed
from zoopark.jute import txn as txns
from zoopark.tree.owners import OwnerKinds
from zoopark.tree.tree import Tree, adopt, keep, pack_children, set_config

ME = 7
Fields = dict[str, int]
NAMES = ("czxid", "mzxid", "ctime", "mtime", "version", "cversion", "aversion", "owner", "length", "children", "pzxid")


def shop_with(*requests: ask.Request) -> Workshop:
    """Session ME is opened by zxid 1; the requests take 2, 3, …; the time of each is START_MS plus its zxid."""
    shop = Workshop()
    shop.open(ME)
    for request in requests:
        assert shop.do(request, ME) == errors.OK, request.text
    return shop


def stat_of(tree: Tree, path: bytes) -> Fields:
    """A Stat as a client sees it, times since START_MS."""
    node = tree.get(path)
    assert node is not None, path
    reader = wire.Reader(tree.wire_stat(node))
    values = [reader.i64() for _ in range(4)] + [reader.i32() for _ in range(3)] + [reader.i64()]
    values += [reader.i32(), reader.i32(), reader.i64()]
    assert not reader.rest()
    fields = dict(zip(NAMES, values, strict=True))
    return {name: value - START_MS if name in ("ctime", "mtime") else value for name, value in fields.items()}


def born(zxid: int, **others: int) -> Fields:
    """The Stat of a node that transaction `zxid` created."""
    fields = dict.fromkeys(NAMES, 0) | dict.fromkeys(("czxid", "mzxid", "ctime", "mtime", "pzxid"), zxid)
    return fields | others


A = ask.create("/a", b"abc")
CHILD = ask.create("/a/b")

STATS = {
    "create": ([A], born(2, length=3)),
    "ephemeral": ([ask.create("/a", b"", flags=1)], born(2, owner=ME)),
    "container hides its owner": ([ask.create("/a", opcode=wire.CREATE_CONTAINER, flags=4)], born(2)),
    "TTL node hides its owner": ([ask.create_ttl("/a", 5)], born(2, length=3)),
    "a child comes": ([A, CHILD], born(2, length=3, cversion=1, children=1, pzxid=3)),
    "a child goes": ([A, CHILD, ask.delete("/a/b")], born(2, length=3, cversion=2, pzxid=4)),
    "a grandchild does not count": (
        [A, CHILD, ask.create("/a/b/c")],
        born(2, length=3, cversion=1, children=1, pzxid=3),
    ),
    "setData": ([A, ask.set_data("/a", b"12345")], born(2, length=5, mzxid=3, mtime=3, version=1)),
    "setData to null": ([A, ask.set_data("/a", None)], born(2, length=0, mzxid=3, mtime=3, version=1)),
    "setACL": ([A, ask.set_acl("/a", ask.READ_ONLY)], born(2, length=3, aversion=1)),
    "multi": (
        [A, ask.multi(CHILD, ask.set_data("/a", b""), ask.delete("/a/b"))],
        born(2, mzxid=3, mtime=3, version=1, cversion=2, pzxid=3),
    ),
    "another comes after it": ([A, ask.delete("/a"), ask.create("/a")], born(4)),
}


@pytest.mark.parametrize("name", STATS)
def test_the_stat_after(name: str) -> None:
    """Which operation changes which field: protocol §1.9."""
    requests, expected = STATS[name]
    assert stat_of(shop_with(*requests).tree, b"/a") == expected


def test_the_configs_versions() -> None:
    """/zookeeper/config begins with aversion -1, as in ZooKeeper."""
    assert stat_of(Tree(KINDS), b"/zookeeper/config")["aversion"] == -1


def test_the_root_has_two_names() -> None:
    tree = Tree(KINDS)
    assert tree.get(b"") is tree.get(b"/")


CREATED, DELETED, CHANGED, CHILDREN = 1, 2, 3, 4
DATA, CHILD_WATCHER, LASTING, DEEP, PARENT_CHILD, PARENT_LASTING = range(6)


def watched() -> Workshop:
    """One watcher of every kind on /p/a, which is not there yet, and on its parent."""
    shop = shop_with(ask.create("/p"))
    watches = shop.tree.watches
    watches.data.add(b"/p/a", DATA, 1)
    watches.child.add(b"/p/a", CHILD_WATCHER, 1)
    watches.add_persistent(b"/p/a", LASTING, is_recursive=False)
    watches.add_persistent(b"/", DEEP, is_recursive=True)
    watches.child.add(b"/p", PARENT_CHILD, 1)
    watches.add_persistent(b"/p", PARENT_LASTING, is_recursive=False)
    return shop


def fired(shop: Workshop, request: ask.Request) -> list[tuple[int, int, str]]:
    shop.tree.fired.clear()
    shop.do(request, ME)
    assert all(zxid == shop.tree.last_zxid for _, _, _, zxid, _ in shop.tree.fired)
    return [(watcher, event, path.decode()) for watcher, event, path, _, _ in shop.tree.fired]


def test_watches_of_a_creation() -> None:
    assert fired(watched(), ask.create("/p/a")) == [
        (DATA, CREATED, "/p/a"),
        (LASTING, CREATED, "/p/a"),
        (DEEP, CREATED, "/p/a"),
        (PARENT_CHILD, CHILDREN, "/p"),
        (PARENT_LASTING, CHILDREN, "/p"),
    ]


def test_watches_of_a_change() -> None:
    shop = watched()
    fired(shop, ask.create("/p/a"))
    assert fired(shop, ask.set_data("/p/a", b"")) == [(LASTING, CHANGED, "/p/a"), (DEEP, CHANGED, "/p/a")]


def test_watches_of_a_deletion() -> None:
    """The persistent watcher is in both tables and hears once."""
    shop = watched()
    fired(shop, ask.create("/p/a"))
    assert fired(shop, ask.delete("/p/a")) == [
        (LASTING, DELETED, "/p/a"),
        (DEEP, DELETED, "/p/a"),
        (CHILD_WATCHER, DELETED, "/p/a"),
        (PARENT_LASTING, CHILDREN, "/p"),
    ]


def test_watches_of_a_closing_session() -> None:
    shop = watched()
    fired(shop, ask.create("/p/a", flags=1))
    assert (LASTING, DELETED, "/p/a") in fired(shop, ask.close_session())


def test_watches_of_a_multi_fire_part_by_part() -> None:
    found = fired(watched(), ask.multi(ask.create("/p/a"), ask.set_data("/p/a", b"x"), ask.delete("/p/a")))
    assert [event for watcher, event, _ in found if watcher == DEEP] == [CREATED, CHANGED, DELETED]


@pytest.mark.parametrize(
    "request_",
    [ask.set_acl("/p", ask.OPEN), ask.create("/p"), ask.delete("/no"), ask.multi(ask.create("/p/a"), ask.check("/no"))],
    ids=["setACL", "failed create", "failed delete", "failed multi"],
)
def test_what_fires_nothing(request_: ask.Request) -> None:
    assert fired(watched(), request_) == []


def quota_shop(limits: bytes = b"count=-1,bytes=-1") -> Workshop:
    shop = shop_with(A, CHILD, ask.create("/zookeeper/quota/a"))
    for name, data in (("limits", limits), ("stats", b"count=0,bytes=0")):
        assert shop.do(ask.create(f"/zookeeper/quota/a/zookeeper_{name}", data), ME) == errors.OK
    return shop


def usage(shop: Workshop) -> bytes | None:
    return shop.tree.nodes[b"/zookeeper/quota/a/zookeeper_stats"].data


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (ask.sasl(None), b"count=2,bytes=3"),
        (ask.create("/a/c", b"12"), b"count=3,bytes=5"),
        (ask.create("/ab", b"12"), b"count=2,bytes=3"),
        (ask.set_data("/a/b", b"1234567"), b"count=2,bytes=10"),
        (ask.set_data("/a", None), b"count=2,bytes=0"),
        (ask.delete("/a/b"), b"count=1,bytes=3"),
        (ask.multi(ask.create("/a/c", b"1"), ask.delete("/a/c")), b"count=2,bytes=3"),
    ],
)
def test_usage_is_counted(request_: ask.Request, expected: bytes) -> None:
    """The node itself and all below it, from what is there when the quota is set."""
    shop = quota_shop()
    if request_.opcode != wire.SASL:
        assert shop.do(request_, ME) == errors.OK
    assert usage(shop) == expected


def test_counting_is_no_part_of_the_digest() -> None:
    """Every server counts by itself, so a difference there must not look like a damaged tree."""
    shop = quota_shop()
    before = shop.tree.digest
    shop.tree.nodes[b"/zookeeper/quota/a/zookeeper_stats"].data = b"count=77,bytes=77"
    shop.do(ask.create("/a/c"), ME)
    shop.do(ask.delete("/a/c"), ME)
    assert shop.tree.digest != before
    assert shop.preparer.view.digest == shop.tree.digest


def test_anybody_may_write_nonsense_into_a_quota() -> None:
    """It must neither stop the server nor its next start."""
    shop = quota_shop()
    for path in ("limits", "stats"):
        for data in (None, b"", b"count=x", b"count=" + b"9" * 5000, bytes(range(256))):
            shop.do(ask.set_data(f"/zookeeper/quota/a/zookeeper_{path}", data), ME)
            shop.do(ask.set_data("/a", b"x"), ME)
            shop.do(ask.create("/a/s", flags=2), ME)
    assert shop.do(ask.create("/other"), ME) == errors.OK


def test_children_are_packed_in_the_order_of_their_creation() -> None:
    """A dict's order, which every member shares; a set's would differ between runs."""
    shop = shop_with(ask.create("/p"), *(ask.create(f"/p/{name}") for name in "cab"))
    node = shop.tree.nodes[b"/p"]
    assert pack_children(node) == wire.vector([wire.string(name) for name in "cab"])


@pytest.mark.parametrize("path", ["/", "/a"])
def test_children_of_the_root_and_of_nobody(path: str) -> None:
    tree = shop_with(A).tree
    expected = [b"zookeeper", b"a"] if path == "/" else []
    assert pack_children(tree.nodes[path.encode()]) == wire.vector([wire.string(name) for name in expected])


@pytest.mark.parametrize("kind", [0, 3, 99, -2])
def test_an_unknown_transaction_is_refused(kind: int) -> None:
    """Whatever an unknown version logged: going on without it would be worse."""
    with pytest.raises(Malformed):
        Tree(KINDS).apply(txns.HEADER.pack(1, 1, 1, 1, kind) + bytes(40))


def test_a_wrong_digest_is_noticed() -> None:
    shop = shop_with(A)
    txn = shop.log[-1][1]
    tree = Tree(KINDS)
    for _, earlier in shop.log[:-1]:
        tree.apply(earlier)
    tree.apply(txn[:-1] + bytes([txn[-1] ^ 1]))
    assert not tree.digest_matches(txn[:-1] + bytes([txn[-1] ^ 1]))
    assert tree.digest_matches(txn)


def test_a_transaction_without_a_digest_matches() -> None:
    tree = Tree(KINDS)
    txn = txns.HEADER.pack(ME, 0, 1, 1, txns.CREATE_SESSION) + wire.i32(5000)
    tree.apply(txn)
    assert tree.digest_matches(txn)


def test_a_ttl_reads_as_a_session_where_extended_types_are_off() -> None:
    """As in ZooKeeper: the node then belongs to a session that nobody has, and goes as an orphan."""
    tree = shop_with(ask.create_ttl("/a", 5)).tree
    other = Tree(OwnerKinds(is_extended=False))
    other.load_node(b"/a", tree.nodes[b"/a"])
    assert (list(tree.ttls), list(other.ttls)) == ([b"/a"], [])
    assert list(other.ephemerals.values()) == [{b"/a": None}]


def test_a_tree_that_is_adopted_is_the_same_under_the_old_name() -> None:
    """Who holds the tree and watches it goes on with what was loaded."""
    shop, other = watched(), shop_with(ask.create("/new"), ask.create("/e", flags=1))
    tree = shop.tree
    adopt(tree, other.tree)
    assert state_of(tree) == state_of(other.tree)
    assert (tree.last_zxid, tree.digest, tree.fired) == (other.tree.last_zxid, other.tree.digest, [])
    assert tree.watches.n_watches() > 0


def test_the_configuration_is_kept_beside_the_transactions() -> None:
    """Its Stat is ZooKeeper's; neither the digest nor the last zxid know of it, and no old answer stays."""
    tree = shop_with(ask.create("/a", b"x")).tree
    digest, last_zxid, size = tree.digest, tree.last_zxid, tree.data_bytes
    keep(tree.answers, b"/zookeeper/config", b"as it was", 10)
    set_config(tree, b"server.1=a:1:2", 0, START_MS + 77)
    set_config(tree, b"server.1=b:1:2:participant", 5, START_MS + 78)
    node = tree.get(b"/zookeeper/config")
    assert node is not None and node.data == b"server.1=b:1:2:participant"
    stat = stat_of(tree, b"/zookeeper/config")
    assert (stat["mzxid"], stat["mtime"], stat["version"], stat["aversion"], stat["length"]) == (5, 78, -1, -1, 26)
    assert (stat["czxid"], stat["pzxid"], stat["ctime"]) == (0, 0, -START_MS)
    assert (tree.digest, tree.last_zxid, tree.data_bytes - size, tree.answers) == (digest, last_zxid, 26, {})


def test_a_tree_from_before_configurations_gets_one() -> None:
    """A snapshot of ZooKeeper 3.4 has no such node."""
    tree = Tree(KINDS)
    config = tree.nodes.pop(b"/zookeeper/config")
    del tree.nodes[b"/zookeeper"].load_children()[b"/zookeeper/config"]
    set_config(tree, b"text", 0, START_MS)
    assert tree.nodes[b"/zookeeper/config"].acl is config.acl
    assert b"config" in pack_children(tree.nodes[b"/zookeeper"])
    assert stat_of(tree, b"/zookeeper/config")["aversion"] == -1
