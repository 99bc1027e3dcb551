"""Who hears of which change: the tables of the protocol (§1.11), row by row."""

import pytest

from zoopark.tree.watches import ANY, PERSISTENT, RECURSIVE, STANDARD, Watches

DATA, EXIST, CHILD, LASTING, DEEP = 1, 2, 3, 4, 5
"""The watchers, named by how they registered."""


def watched(path: bytes) -> Watches:
    """One watcher in every way on one path."""
    watches = Watches()
    watches.data.add(path, DATA, STANDARD)
    watches.data.add(path, EXIST, STANDARD)
    watches.child.add(path, CHILD, STANDARD)
    watches.add_persistent(path, LASTING, is_recursive=False)
    watches.add_persistent(path, DEEP, is_recursive=True)
    return watches


def test_the_data_table_hears_of_the_node_itself() -> None:
    """Created, deleted or changed: everybody but the child watchers."""
    assert list(watched(b"/a").on_data_event(b"/a")) == [DATA, EXIST, LASTING, DEEP]


def test_the_child_table_hears_of_children() -> None:
    """A recursive watcher never does: it hears of the child itself."""
    assert list(watched(b"/a").on_child_event(b"/a", {})) == [CHILD, LASTING]


def test_nobody_hears_of_a_deletion_twice() -> None:
    """A deletion goes to both tables of the node; who was told through the first is left out of the second."""
    watches = watched(b"/a")
    watches.child.add(b"/a", DATA, STANDARD)
    told = watches.on_data_event(b"/a")
    assert list(watches.on_child_event(b"/a", told)) == [CHILD]


@pytest.mark.parametrize(
    ("path", "expected"),
    [(b"/a/b", [DEEP]), (b"/a/b/c", [DEEP]), (b"/", []), (b"/b", []), (b"/ab", []), (b"/ab/c", [])],
)
def test_a_recursive_watcher_hears_of_all_below(path: bytes, expected: list[int]) -> None:
    """Below means path components, not a prefix of text."""
    assert list(watched(b"/a").on_data_event(path)) == expected


def test_a_recursive_watcher_of_the_root_hears_of_everything() -> None:
    watches = Watches()
    watches.add_persistent(b"/", DEEP, is_recursive=True)
    assert [list(watches.on_data_event(path)) for path in (b"/", b"/a", b"/a/b")] == [[DEEP]] * 3


def test_standard_watches_fire_once() -> None:
    watches = watched(b"/a")
    watches.on_data_event(b"/a")
    watches.on_child_event(b"/a", {})
    assert list(watches.on_data_event(b"/a")) == [LASTING, DEEP]
    assert list(watches.on_child_event(b"/a", {})) == [LASTING]


def test_modes_of_one_watcher_add_up() -> None:
    """Since 3.9 a watcher may hold several modes on one path; firing takes only the standard one away."""
    watches = Watches()
    watches.data.add(b"/a", DATA, STANDARD)
    watches.add_persistent(b"/a", DATA, is_recursive=False)
    watches.add_persistent(b"/a", DATA, is_recursive=True)
    assert list(watches.on_data_event(b"/a")) == [DATA]
    assert not watches.data.has(b"/a", DATA, STANDARD)
    assert watches.data.has(b"/a", DATA, PERSISTENT)
    assert watches.data.has(b"/a", DATA, RECURSIVE)
    assert list(watches.on_data_event(b"/a/b")) == [DATA]


def test_removing_takes_only_the_modes_asked_for() -> None:
    watches = Watches()
    watches.data.add(b"/a", DATA, STANDARD)
    watches.add_persistent(b"/a", DATA, is_recursive=True)
    assert watches.data.remove(b"/a", DATA, RECURSIVE)
    assert not watches.data.remove(b"/a", DATA, RECURSIVE)
    assert (list(watches.on_data_event(b"/a/b")), list(watches.on_data_event(b"/a"))) == ([], [DATA])


@pytest.mark.parametrize(("path", "watcher"), [(b"/a", CHILD), (b"/b", DATA), (b"/a/b", DEEP)])
def test_there_is_nothing_to_remove(path: bytes, watcher: int) -> None:
    assert not watched(b"/a").data.remove(path, watcher, ANY)


@pytest.mark.parametrize("watcher", [DATA, CHILD, LASTING, DEEP])
def test_who_leaves_hears_nothing(watcher: int) -> None:
    watches = watched(b"/a")
    before = watches.n_watches()
    watches.leave(watcher)
    assert watches.n_watches() == before - (2 if watcher == LASTING else 1)
    assert watcher not in {**watches.on_data_event(b"/a"), **watches.on_child_event(b"/a", {})}


def test_nothing_is_left_of_those_who_left() -> None:
    """Else every connection would leak what it watched."""
    watches = watched(b"/a")
    for watcher in (DATA, EXIST, CHILD, LASTING, DEEP):
        watches.leave(watcher)
    assert watches.is_empty()
    assert (watches.n_watches(), watches.data.n_recursive) == (0, 0)
    assert (watches.data.by_path, watches.data.by_watcher) == ({}, {})


def test_nothing_is_left_of_what_fired() -> None:
    watches = Watches()
    watches.data.add(b"/a", DATA, STANDARD)
    watches.child.add(b"/a", DATA, STANDARD)
    watches.on_data_event(b"/a")
    watches.on_child_event(b"/a", {})
    assert (watches.data.by_path, watches.data.by_watcher, watches.child.by_watcher) == ({}, {}, {})


def test_registering_twice_counts_once() -> None:
    watches = Watches()
    for _ in range(3):
        watches.add_persistent(b"/a", DEEP, is_recursive=True)
    assert (watches.n_watches(), watches.data.n_recursive) == (1, 1)
    assert watches.data.remove(b"/a", DEEP, ANY)
    assert watches.data.n_recursive == 0
