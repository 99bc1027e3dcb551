"""The tree as it will be: what is prepared is seen by what comes later, and by nobody else."""

import pytest

from tests.compat import requests as ask
from tests.properties.workshop import Workshop
from zoopark import errors
from zoopark.server import overlay
from zoopark.server.overlay import Overlay

ME = 1


def shop_with(*paths: str) -> Workshop:
    shop = Workshop()
    shop.open(ME)
    for path in paths:
        assert shop.do(ask.create(path)) == errors.OK
    return shop


def test_what_is_prepared_is_in_the_view_only() -> None:
    shop = shop_with()
    shop.prepare(ask.create("/a", b"x"))
    assert shop.preparer.view.find(b"/a") is not None
    assert b"/a" not in shop.tree.nodes
    shop.apply()
    assert b"/a" in shop.tree.nodes


def test_what_will_be_deleted_is_gone() -> None:
    shop = shop_with("/a")
    shop.prepare(ask.delete("/a"))
    assert shop.preparer.view.find(b"/a") is None
    assert b"/a" in shop.tree.nodes


def test_the_empty_path_is_the_root() -> None:
    view = shop_with("/a").preparer.view
    assert view.find(b"") is view.find(b"/")


def test_a_view_on_a_view_is_dropped_without_a_trace() -> None:
    """A multi that fails: no field of any node and no digest may remember it."""
    shop = shop_with("/a", "/b")
    view = shop.preparer.view
    before = {path: (head.stat, head.n_children, head.acl) for path in (b"/", b"/a") if (head := view.find(path))}
    digest = view.digest
    shop.prepare(
        ask.multi(
            ask.create("/a/c", flags=1), ask.set_data("/a", b"x"), ask.delete("/b"), ask.create("/d"), ask.check("/no")
        )
    )
    after = {path: (head.stat, head.n_children, head.acl) for path in before if (head := view.find(path))}
    assert (after, view.digest) == (before, digest)
    assert view.find(b"/d") is None
    assert view.find(b"/b") is not None
    assert view.ephemerals_of(ME) == []


def test_a_view_on_a_view_is_taken_over_whole() -> None:
    shop = shop_with("/a")
    shop.prepare(ask.multi(ask.create("/a/c", flags=1), ask.create("/d"), ask.delete("/d")))
    view = shop.preparer.view
    assert view.find(b"/a/c") is not None
    assert view.find(b"/d") is None
    assert view.ephemerals_of(ME) == [b"/a/c"]


def test_parts_of_a_multi_see_one_another() -> None:
    shop = shop_with()
    assert shop.do(ask.multi(ask.create("/a"), ask.create("/a/b"), ask.set_data("/a/b", b"", 0))) == errors.OK
    assert shop.do(ask.multi(ask.delete("/a/b"), ask.delete("/a"))) == errors.OK


def test_ephemerals_are_those_of_tree_and_view() -> None:
    """In the order of their creation, without those that are to go; a session that closes takes exactly these."""
    shop = shop_with()
    shop.do(ask.create("/1", flags=1))
    shop.do(ask.create("/2", flags=1))
    shop.prepare(ask.create("/3", flags=1))
    shop.prepare(ask.delete("/1"))
    assert shop.preparer.view.ephemerals_of(ME) == [b"/2", b"/3"]
    shop.apply(1)
    assert shop.preparer.view.ephemerals_of(ME) == [b"/2", b"/3"]
    shop.apply()
    assert shop.preparer.view.ephemerals_of(ME) == [b"/2", b"/3"]


def test_it_forgets_when_it_holds_much() -> None:
    """Nodes that are applied leave the view, or it would become a second tree."""
    shop = shop_with()
    view = shop.preparer.view
    for number in range(overlay.MAX_HEADS):
        shop.prepare(ask.create(f"/{number}"))
        shop.prepare(ask.set_data(f"/{number}", b"x"))
    assert len(view.recent) > overlay.MAX_HEADS == len(view.fresh)
    shop.apply()
    assert len(view.recent) == len(view.fresh) == 0


def test_it_forgets_by_generations_while_requests_keep_coming() -> None:
    """Something is always on its way under load: what is applied must leave all the same, and what is not must stay."""
    shop = shop_with("/last")
    view = shop.preparer.view
    for turn in range(3):
        for number in range(overlay.MAX_HEADS):
            shop.prepare(ask.create(f"/{turn}-{number}"))
            shop.prepare(ask.set_data(f"/{turn}-{number}", b"x"))
        shop.prepare(ask.set_data("/last", b"%d" % turn))
        shop.apply(shop.waiting - 1)
        head = view.find(b"/last")
        assert head is not None
        assert int.from_bytes(head.stat[40:44], "big") == turn + 1
        assert view.find(b"/%d-%d" % (turn, overlay.MAX_HEADS - 1)) is not None
    assert len(view.recent) + len(view.older) < 3 * overlay.MAX_HEADS
    assert len(view.fresh) <= overlay.MAX_HEADS
    shop.apply()
    assert view.digest == shop.tree.digest


def test_a_node_deleted_while_its_creation_is_noted_is_gone() -> None:
    """The note outlives the node under load, since something is always on its way; it must not bring it back."""
    shop = shop_with()
    view = shop.preparer.view
    shop.prepare(ask.create("/a", flags=1))
    shop.prepare(ask.delete("/a"))
    shop.prepare(ask.create("/other"))
    shop.apply(2)
    view.recent.clear()  # as a turn of generations does
    assert b"/a" in view.fresh
    assert view.find(b"/a") is None and not view.holds(b"/a")
    assert view.ephemerals_of(ME) == []


@pytest.mark.parametrize("n_applied", range(4))
def test_a_node_created_anew_is_the_new_one(n_applied: int) -> None:
    """Whatever part of its story is applied already: its owner and its Stat are those of the last creation."""
    shop = shop_with()
    shop.open(ME + 1)
    zxid = shop.preparer.zxid
    shop.prepare(ask.create("/a", flags=1))
    shop.prepare(ask.delete("/a"))
    shop.prepare(ask.create("/a", flags=1), ME + 1)
    shop.prepare(ask.create("/b"))
    shop.apply(n_applied)
    view = shop.preparer.view
    assert view.holds(b"/a")
    assert (view.ephemerals_of(ME), view.ephemerals_of(ME + 1)) == ([], [b"/a"])
    head = view.find(b"/a")
    assert head is not None
    assert int.from_bytes(head.stat[:8], "big") == zxid + 3


@pytest.mark.parametrize("parts", [("delete", "create"), ("create",)])
def test_a_multi_that_creates_a_node_anew(parts: tuple[str, ...]) -> None:
    """Deleted before the multi or within it: both end with the node of the multi, in the view and in the tree."""
    shop = shop_with("/a")
    if len(parts) == 1:
        shop.prepare(ask.delete("/a"))
    shop.prepare(ask.multi(*[ask.delete("/a") if part == "delete" else ask.create("/a", b"new") for part in parts]))
    zxid = shop.preparer.zxid
    head = shop.preparer.view.find(b"/a")
    assert head is not None
    assert (int.from_bytes(head.stat[:8], "big"), head.data_length) == (zxid, 3)
    shop.apply()
    assert shop.preparer.view.digest == shop.tree.digest


def test_a_fresh_view_has_the_digest_below_it() -> None:
    shop = shop_with("/a")
    assert Overlay(shop.tree).digest == shop.tree.digest
    shop.prepare(ask.create("/b"))
    assert Overlay(shop.tree, shop.preparer.view).digest == shop.preparer.view.digest != shop.tree.digest
