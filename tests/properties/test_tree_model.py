"""The tree, prepared and applied, against a model that is simple enough to be believed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.model import Model, Node, RefusedError
from tests.properties.moves import HISTORIES, SESSIONS, TURMOIL, Move
from tests.properties.workshop import START_MS, Workshop, digest_from_scratch, err_of, replay, state_of
from zoopark.jute import stat as stats
from zoopark.jute.buffer import pack_buffer
from zoopark.tree.tree import Tree, keep, pack_children
from zoopark.tree.znode import Znode


def expected_err(model: Model, move: Move, closed: set[int]) -> int:
    """Do a move to the model; its error code. A session that is closed may do nothing but close again."""
    before = model.snapshot()
    model.zxid += 1
    model.time = START_MS + model.zxid
    is_closed = move.session_id in closed
    if move.verb == "close":
        closed.add(move.session_id)
    elif is_closed and (move.verb != "multi" or move.parts):
        return -112
    try:
        move.act(model)
    except RefusedError as refusal:
        model.nodes = before
        return int(refusal.args[0])
    return 0


def as_model(tree: Tree, path: bytes) -> Node:
    """A node of the tree as the model would have it."""
    node = tree.nodes[path]
    stat = node.stat
    found = Node(node.data, int.from_bytes(stat[:8], "big"), stats.ctime_of(stat), stats.owner_of(stat), node.acl.world)
    found.mzxid, found.pzxid, found.mtime = stats.mzxid_of(stat), stats.pzxid_of(stat), stats.mtime_of(stat)
    found.version, found.cversion = stats.version_of(stat), stats.cversion_of(stat)
    found.aversion = stats.aversion_of(stat)
    return found


def is_ours(path: bytes) -> bool:
    return not path.startswith(b"/zookeeper")


@settings(max_examples=200)
@given(HISTORIES | TURMOIL, st.lists(st.integers(1, 6), max_size=30))
def test_the_tree_is_what_the_model_says(history: list[Move], batches: list[int]) -> None:
    """Whatever is prepared before something earlier is applied: answers and nodes are those of one after the other."""
    shop, model, closed = Workshop(), Model(), set[int]()
    shop.open(*SESSIONS)
    model.zxid = shop.preparer.zxid
    for move in history:
        assert err_of(shop.prepare(move.request(), move.session_id)) == expected_err(model, move, closed), move
        if batches and shop.waiting >= batches[-1]:
            shop.apply(batches.pop())
    assert shop.preparer.zxid == model.zxid
    shop.apply()
    assert {path.decode(): as_model(shop.tree, path) for path in shop.tree.nodes if is_ours(path)} == model.nodes
    for path in model.nodes:
        children = [child.decode() for child in shop.tree.nodes[path.encode()].children or () if is_ours(child)]
        assert sorted(children) == sorted(model.children(path))


@settings(max_examples=100)
@given(HISTORIES)
def test_the_digest_is_what_it_is_defined_to_be(history: list[Move]) -> None:
    """As prepared, as applied, and summed up from scratch: the same after every single transaction."""
    shop = Workshop()
    shop.open(*SESSIONS)
    for move in history:
        shop.prepare(move.request(), move.session_id)
        expected = shop.preparer.view.digest
        shop.apply()
        assert (shop.tree.digest, digest_from_scratch(shop.tree)) == (expected, expected)


@settings(max_examples=100)
@given(HISTORIES)
def test_own_transactions_leave_what_any_server_gets(history: list[Move]) -> None:
    """A server that makes its own changes as prepared ends where one that reads them from the transactions does."""
    shop = Workshop()
    shop.open(*SESSIONS)
    for move in history:
        shop.prepare(move.request(), move.session_id)
    shop.apply()
    own = Tree(shop.tree.kinds)
    for (_, txn), change in zip(shop.log, shop.changes, strict=True):
        own.apply_own(txn, change)
    assert state_of(own) == state_of(shop.tree) == state_of(replay(Tree(shop.tree.kinds), shop.log))
    assert own.digest == digest_from_scratch(own)


@settings(max_examples=50)
@given(HISTORIES)
def test_the_indexes_are_those_of_the_nodes(history: list[Move]) -> None:
    """Who owns what, which nodes are containers or have a TTL, how many use an ACL, how many bytes there are."""
    shop = Workshop()
    shop.open(*SESSIONS)
    for move in history:
        shop.do(move.request(), move.session_id)
    tree = shop.tree
    found: dict[object, list[bytes]] = {}
    for path, node in tree.nodes.items():
        owner = stats.owner_of(node.stat)
        if owner:
            found.setdefault(owner if owner > 0 else ("kind", tree.kinds.kind_of(owner)), []).append(path)
    indexed: dict[object, list[bytes]] = {owner: list(paths) for owner, paths in tree.ephemerals.items()}
    indexed |= {("kind", kind): list(paths) for kind, paths in ((2, tree.containers), (3, tree.ttls)) if paths}
    assert {key: sorted(paths) for key, paths in indexed.items()} == {key: sorted(p) for key, p in found.items()}
    acls = [node.acl for node in tree.nodes.values() if node.acl is not tree.acls.open]
    assert {acl.acl_id: acl.uses for acl in tree.acls.by_id.values() if acl is not tree.acls.open} == {
        acl.acl_id: acls.count(acl) for acl in acls
    }
    assert tree.data_bytes == sum(len(path) + node.data_length() for path, node in tree.nodes.items())


@settings(max_examples=100)
@given(HISTORIES, st.booleans())
def test_answers_at_hand_are_those_of_now(history: list[Move], is_own: bool) -> None:
    """Whatever a transaction touches, an answer that is still kept after it is what a reader would be told anew."""
    shop = Workshop()
    tree = shop.tree
    shop.open(*SESSIONS)
    for move in history:
        for path, node in tree.nodes.items():
            keep(tree.answers, path, data_answer(tree, node), 1_000)
            keep(tree.lists, path, list_answer(tree, node), 1_000)
        txn = shop.prepare(move.request(), move.session_id)
        if is_own:
            tree.apply_own(txn, shop.changes[-1])
            shop.preparer.on_applied(shop.preparer.zxid)
            shop.waiting = 0
        else:
            shop.apply()
        assert {path: data_answer(tree, tree.nodes[path]) for path in tree.answers} == tree.answers
        assert {path: list_answer(tree, tree.nodes[path]) for path in tree.lists} == tree.lists


def data_answer(tree: Tree, node: Znode) -> bytes:
    return pack_buffer(node.data) + tree.wire_stat(node)


def list_answer(tree: Tree, node: Znode) -> bytes:
    return pack_children(node) + tree.wire_stat(node)
