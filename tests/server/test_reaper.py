"""Containers and TTL nodes: who is deleted when, and how many at a time."""

from collections.abc import Mapping

import pytest

from zoopark.jute import stat as stats
from zoopark.record import Now
from zoopark.server.config import default_config
from zoopark.server.reaper import BATCH_MS, Reaper
from zoopark.tree.owners import CONTAINER_OWNER, OwnerKinds
from zoopark.tree.tree import Tree
from zoopark.tree.znode import Znode

START = Now(1_000, 1_600_000_000_000)
INTERVAL_MS = 60_000
KINDS = OwnerKinds(True)
TTL_MS = 5_000


def _at(after_ms: int) -> Now:
    return Now(START.mono_ms + after_ms, START.wall_ms + after_ms)


def _tree() -> Tree:
    return Tree(KINDS)


def _add(tree: Tree, path: str, owner: int, cversion: int = 0) -> None:
    stat = stats.new_stat(1, START.wall_ms, owner)
    if cversion:
        stat = stats.after_child_created(stat, 2, cversion)
    tree.load_node(path.encode(), Znode(b"", stat, tree.acls.open))


def _reaper(tree: Tree, keys: Mapping[str, str] | None = None) -> Reaper:
    properties = {"znode.container.checkIntervalMs": str(INTERVAL_MS), **(keys or {})}
    return Reaper(default_config("/data", properties), tree, START)


@pytest.mark.parametrize(
    ("cversion", "never_used_ms", "is_doomed"),
    [(0, 0, False), (1, 0, True), (0, INTERVAL_MS, False), (0, INTERVAL_MS - 1, True), (1, 10**9, True)],
)
def test_an_empty_container_goes_once_it_was_used(cversion: int, never_used_ms: int, is_doomed: bool) -> None:
    """One that never had a child stays, unless it is older than the limit for those."""
    tree = _tree()
    _add(tree, "/c", CONTAINER_OWNER, cversion)
    reaper = _reaper(tree, {"znode.container.maxNeverUsedIntervalMs": str(never_used_ms)})
    assert reaper.take_due(_at(INTERVAL_MS)) == ([b"/c"] if is_doomed else [])


@pytest.mark.parametrize(("after_ms", "is_doomed"), [(TTL_MS, False), (TTL_MS + 1, True)])
def test_a_ttl_node_goes_after_its_ttl(after_ms: int, is_doomed: bool) -> None:
    """Counted from its last change on the wall clock, which is what its Stat holds."""
    tree = _tree()
    _add(tree, "/t", KINDS.owner_of_ttl(TTL_MS))
    due = Now(_at(INTERVAL_MS).mono_ms, START.wall_ms + after_ms)
    assert _reaper(tree).take_due(due) == ([b"/t"] if is_doomed else [])


@pytest.mark.parametrize("owner", [CONTAINER_OWNER, KINDS.owner_of_ttl(TTL_MS)])
def test_a_node_with_children_stays(owner: int) -> None:
    """Whatever its age."""
    tree = _tree()
    _add(tree, "/p", owner, cversion=1)
    _add(tree, "/p/child", 0)
    assert _reaper(tree).take_due(_at(INTERVAL_MS)) == []


def test_other_nodes_stay() -> None:
    """Ordinary and ephemeral nodes are none of the reaper's business."""
    tree = _tree()
    _add(tree, "/ordinary", 0, cversion=1)
    _add(tree, "/ephemeral", 0x77)
    assert _reaper(tree).take_due(_at(10 * INTERVAL_MS)) == []


def test_the_first_look_comes_one_interval_after_the_start() -> None:
    """A server that has just started has better things to do."""
    tree = _tree()
    _add(tree, "/c", CONTAINER_OWNER, cversion=1)
    reaper = _reaper(tree)
    assert reaper.deadline() == START.mono_ms + INTERVAL_MS
    assert reaper.take_due(_at(INTERVAL_MS - 1)) == []
    assert reaper.take_due(_at(INTERVAL_MS)) == [b"/c"]
    assert reaper.deadline() == START.mono_ms + 2 * INTERVAL_MS


def test_an_interval_of_0_turns_it_off() -> None:
    """Then nothing is due, ever."""
    tree = _tree()
    _add(tree, "/c", CONTAINER_OWNER, cversion=1)
    reaper = _reaper(tree, {"znode.container.checkIntervalMs": "0"})
    assert reaper.deadline() is None
    assert reaper.take_due(_at(10**9)) == []


def test_deletions_come_at_a_limited_rate() -> None:
    """A million expired nodes must not stand in the way of clients: so many a batch, then the next one."""
    tree = _tree()
    for number in range(7):
        _add(tree, f"/c{number}", CONTAINER_OWNER, cversion=1)
    per_batch = 3
    reaper = _reaper(tree, {"znode.container.maxPerMinute": str(per_batch * 60_000 // BATCH_MS)})
    batches = []
    while (due_ms := reaper.deadline()) is not None and due_ms < START.mono_ms + 2 * INTERVAL_MS:
        batches.append((due_ms - START.mono_ms, len(reaper.take_due(_at(due_ms - START.mono_ms)))))
    assert batches == [(INTERVAL_MS, 3), (INTERVAL_MS + BATCH_MS, 3), (INTERVAL_MS + 2 * BATCH_MS, 1)]


def test_between_batches_nothing_is_due() -> None:
    """Being called early does not raise the rate."""
    tree = _tree()
    for number in range(2):
        _add(tree, f"/c{number}", CONTAINER_OWNER, cversion=1)
    reaper = _reaper(tree, {"znode.container.maxPerMinute": "1"})
    assert len(reaper.take_due(_at(INTERVAL_MS))) == 1
    assert reaper.take_due(_at(INTERVAL_MS + 59_999)) == []
    assert len(reaper.take_due(_at(INTERVAL_MS + 60_000))) == 1


def test_what_is_still_to_be_deleted_is_not_looked_up_again() -> None:
    """When a look comes due before the last one's finds are gone, none of them is found twice."""
    tree = _tree()
    for number in range(3):
        _add(tree, f"/c{number}", CONTAINER_OWNER, cversion=1)
    reaper = _reaper(tree, {"znode.container.checkIntervalMs": "100", "znode.container.maxPerMinute": "1"})
    taken = [path for look in (1, 2, 601, 602, 1201) for path in reaper.take_due(_at(look * 100))]
    assert sorted(taken) == [b"/c0", b"/c1", b"/c2"]
