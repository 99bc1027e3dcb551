"""Reads: what they answer, what they require, and which watches they leave."""

import pytest

from tests.compat import requests as ask
from tests.compat import wire
from tests.compat.requests import Acl, Request
from tests.server.stand import Peer, Reply, Stand
from zoopark import errors

HASH = ask.digest_id("me", "pw")
MINE = [Acl(31, "digest", HASH)]


def furnished() -> tuple[Stand, Peer]:
    """A stand with nodes, and a client that authenticated as nobody."""
    stand = Stand()
    owner = stand.open()
    owner.ask(ask.auth("digest", b"me:pw"))
    for request in (
        ask.create("/a", b"data"),
        ask.create("/a/b"),
        ask.create("/a/b/c"),
        ask.create("/mine", b"", MINE),
        ask.create("/shown", b"", [*MINE, Acl(1, "world", "anyone")]),
        ask.create("/null", None),
    ):
        assert owner.ask(request).err == errors.OK, request.text
    return stand, stand.open()


def names(body: bytes) -> list[str]:
    reader = wire.Reader(body)
    return [(reader.buf() or b"").decode() for _ in range(reader.i32())]


ERRORS = [
    (ask.get_data("/none"), errors.NO_NODE),
    (ask.exists("/none"), errors.NO_NODE),
    (ask.get_children("/none"), errors.NO_NODE),
    (ask.get_children2("/none"), errors.NO_NODE),
    (ask.get_acl("/none"), errors.NO_NODE),
    (ask.named(wire.GET_ALL_CHILDREN_NUMBER, "/none"), errors.NO_NODE),
    (ask.get_data("/mine"), errors.NO_AUTH),
    (ask.exists("/mine"), errors.NO_AUTH),
    (ask.get_children("/mine"), errors.NO_AUTH),
    (ask.get_children2("/mine"), errors.NO_AUTH),
    (ask.get_acl("/mine"), errors.NO_AUTH),
    (ask.named(wire.GET_ALL_CHILDREN_NUMBER, "/mine"), errors.NO_AUTH),
    (ask.named(wire.SYNC, "/none"), errors.OK),
    (ask.watches(wire.CHECK_WATCHES, "/a", 3), errors.NO_WATCHER),
    (ask.watches(wire.REMOVE_WATCHES, "/a", 3), errors.NO_WATCHER),
    (ask.watches(wire.CHECK_WATCHES, "/a", 9), errors.MARSHALLING_ERROR),
    (ask.add_watch("/a", 2), errors.MARSHALLING_ERROR),
    (ask.raw(wire.GET_DATA, b""), errors.MARSHALLING_ERROR),
    (ask.raw(wire.GET_DATA, wire.string("/a")), errors.MARSHALLING_ERROR),
    (ask.raw(wire.GET_DATA, wire.i32(-6) + b"/a\0\0"), errors.MARSHALLING_ERROR),
    (ask.raw(wire.GET_DATA, wire.i32(99) + b"/a\0"), errors.MARSHALLING_ERROR),
    (ask.raw(wire.EXISTS, wire.string("/a")), errors.MARSHALLING_ERROR),
    (ask.raw(wire.GET_CHILDREN, b"\0"), errors.MARSHALLING_ERROR),
    (ask.multi(ask.set_data("/a", b""), opcode=wire.MULTI_READ), errors.MARSHALLING_ERROR),
]


@pytest.mark.parametrize(("request_", "err"), ERRORS, ids=lambda value: getattr(value, "text", None))
def test_refusals(request_: Request, err: int) -> None:
    """A refused read takes no zxid and changes nothing."""
    stand, peer = furnished()
    zxid = stand.member.tree.last_zxid
    reply = peer.ask(request_)
    assert (reply.err, reply.zxid) == (err, zxid)
    assert (peer.why, stand.member.tree.last_zxid) == (None, zxid)


def test_get_data() -> None:
    _, peer = furnished()
    reader = wire.Reader(peer.ask(ask.get_data("/a")).body)
    assert (reader.buf(), len(reader.rest())) == (b"data", 68)


def test_null_data_stays_null() -> None:
    _, peer = furnished()
    assert peer.ask(ask.get_data("/null")).body[:4] == wire.NULL


def test_all_replies_of_a_node_carry_the_same_stat() -> None:
    _, peer = furnished()
    stat = peer.ask(ask.exists("/a")).body
    replies = [peer.ask(request).body for request in (ask.get_data("/a"), ask.get_children2("/a"), ask.get_acl("/a"))]
    assert [body[-68:] for body in replies] == [stat] * 3


def test_children() -> None:
    _, peer = furnished()
    assert names(peer.ask(ask.get_children("/a")).body) == ["b"]
    assert sorted(names(peer.ask(ask.get_children("/")).body)) == ["a", "mine", "null", "shown", "zookeeper"]


@pytest.mark.parametrize(("path", "count"), [("/a", 2), ("/a/b", 1), ("/a/b/c", 0), ("/", 9)])
def test_descendants(path: str, count: int) -> None:
    """The root counts all but itself, the system's nodes included."""
    _, peer = furnished()
    assert peer.ask(ask.named(wire.GET_ALL_CHILDREN_NUMBER, path)).body == wire.i32(count)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [("/", ["/a/e1", "/e2"]), ("", ["/a/e1", "/e2"]), ("/a", ["/a/e1"]), ("/a/e", ["/a/e1"]), ("/x", [])],
)
def test_ephemerals_are_ones_own(prefix: str, expected: list[str]) -> None:
    """The prefix is text, not a path."""
    stand, peer = furnished()
    for path in ("/a/e1", "/e2"):
        peer.ask(ask.create(path, flags=1))
    stand.open().ask(ask.create("/a/other", flags=1))
    assert sorted(names(peer.ask(ask.named(wire.GET_EPHEMERALS, prefix)).body)) == expected


def acl_of(reply: Reply) -> bytes:
    return reply.body[:-68]


def test_hashes_are_shown_to_administrators_only() -> None:
    _, peer = furnished()
    world = Acl(1, "world", "anyone")
    assert acl_of(peer.ask(ask.get_acl("/shown"))) == ask.acl_list([Acl(31, "digest", "me:x"), world])
    peer.ask(ask.auth("digest", b"me:pw"))
    assert acl_of(peer.ask(ask.get_acl("/shown"))) == ask.acl_list([*MINE, world])


def test_who_am_i() -> None:
    """The address first; of a digest only the user."""
    _, peer = furnished()
    peer.ask(ask.auth("digest", b"me:pw"))
    expected = [wire.string("ip") + wire.string("127.0.0.1"), wire.string("digest") + wire.string("me")]
    assert peer.ask(ask.who_am_i()).body == wire.vector(expected)


def test_sync_gives_its_path_back() -> None:
    _, peer = furnished()
    assert peer.ask(ask.named(wire.SYNC, "/anything")).body == wire.string("/anything")


def test_multi_read() -> None:
    """Each on its own: one that fails does not spoil the others; none leaves a watch."""
    stand, peer = furnished()
    reads = [ask.get_data("/a", watch=True), ask.get_data("/none"), ask.get_children("/a", watch=True)]
    body = peer.ask(ask.multi(*reads, opcode=wire.MULTI_READ)).body
    data = wire.buf(b"data") + peer.ask(ask.exists("/a")).body
    good = wire.i32(wire.GET_DATA) + b"\0" + wire.i32(0) + data
    bad = wire.i32(-1) + b"\0" + wire.i32(errors.NO_NODE) * 2
    children = wire.i32(wire.GET_CHILDREN) + b"\0" + wire.i32(0) + wire.vector([wire.string("b")])
    assert body == good + bad + children + wire.i32(-1) + b"\1" + wire.i32(-1)
    assert stand.member.tree.watches.is_empty()


def event_of(stand: Stand, peer: Peer, change: Request) -> list[tuple[int, str]]:
    """The events that a change by somebody else brings."""
    peer.replies()
    stand.open().ask(change)
    return [reply.event() for reply in peer.replies()]


CREATED, DELETED, CHANGED, CHILDREN = 1, 2, 3, 4

WATCHES = [
    (ask.get_data("/a", watch=True), ask.set_data("/a", b""), [(CHANGED, "/a")]),
    (ask.get_data("/a"), ask.set_data("/a", b""), []),
    (ask.exists("/a", watch=True), ask.set_data("/a", b""), [(CHANGED, "/a")]),
    (ask.exists("/new", watch=True), ask.create("/new"), [(CREATED, "/new")]),
    (ask.get_data("/new", watch=True), ask.create("/new"), []),
    (ask.get_children("/a", watch=True), ask.create("/a/new"), [(CHILDREN, "/a")]),
    (ask.get_children2("/a", watch=True), ask.delete("/a/b/c"), []),
    (ask.get_children2("/a/b", watch=True), ask.delete("/a/b/c"), [(CHILDREN, "/a/b")]),
    (ask.get_children("/a/b/c", watch=True), ask.delete("/a/b/c"), [(DELETED, "/a/b/c")]),
    (ask.get_children("/none", watch=True), ask.create("/none"), []),
    (ask.add_watch("/new", 0), ask.create("/new"), [(CREATED, "/new")]),
    (ask.add_watch("/a", 0), ask.create("/a/new"), [(CHILDREN, "/a")]),
    (ask.add_watch("/a", 1), ask.create("/a/b/new"), [(CREATED, "/a/b/new")]),
    (ask.get_data("/mine", watch=True), ask.set_data("/a", b""), []),
]


@pytest.mark.parametrize(("read", "change", "expected"), WATCHES, ids=lambda value: getattr(value, "text", None))
def test_watches_that_reads_leave(read: Request, change: Request, expected: list[tuple[int, str]]) -> None:
    """A read that fails leaves none, but exists of what is not there yet."""
    stand, peer = furnished()
    peer.ask(read)
    assert event_of(stand, peer, change) == expected


def test_who_may_not_read_is_not_told() -> None:
    """CVE-2024-23944: a watch on a parent would tell the names of its secret children."""
    stand, peer = furnished()
    peer.ask(ask.add_watch("/", 1))
    owner = stand.open()
    owner.ask(ask.auth("digest", b"me:pw"))
    peer.replies()
    owner.ask(ask.create("/hidden", b"", MINE))
    owner.ask(ask.set_data("/hidden", b"x"))
    owner.ask(ask.set_data("/a", b"x"))
    assert [reply.event() for reply in peer.replies()] == [(CHANGED, "/a")]


STANDARD_DATA, STANDARD_CHILD = ask.get_data("/a", watch=True), ask.get_children("/a", watch=True)
PERSISTENT, RECURSIVE = ask.add_watch("/a", 0), ask.add_watch("/a", 1)

TYPES = {
    1: [STANDARD_CHILD],
    2: [STANDARD_DATA],
    3: [STANDARD_CHILD, STANDARD_DATA, PERSISTENT, RECURSIVE],
    4: [PERSISTENT],
    5: [RECURSIVE],
}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("registration", [STANDARD_DATA, STANDARD_CHILD, PERSISTENT, RECURSIVE], ids=str)
def test_types_of_watchers(kind: int, registration: Request) -> None:
    """Which registration checkWatches and removeWatches find under which type (since 3.9)."""
    _, peer = furnished()
    peer.ask(registration)
    expected = errors.OK if registration in TYPES[kind] else errors.NO_WATCHER
    assert peer.ask(ask.watches(wire.CHECK_WATCHES, "/a", kind)).err == expected
    assert peer.ask(ask.watches(wire.REMOVE_WATCHES, "/a", kind)).err == expected
    is_left = expected == errors.NO_WATCHER
    found = peer.ask(ask.watches(wire.CHECK_WATCHES, "/a", 3)).err
    assert found == (errors.OK if is_left else errors.NO_WATCHER)


NONE: list[str] = []

REPLAYS = {
    "data, gone": ([["/none"], NONE, NONE], [(DELETED, "/none")]),
    "data, changed": ([["/a"], NONE, NONE], [(CHANGED, "/a")]),
    "data, as it was": ([["/old"], NONE, NONE], []),
    "exist, still missing": ([NONE, ["/none"], NONE], []),
    "exist, created": ([NONE, ["/a"], NONE], [(CREATED, "/a")]),
    "child, gone": ([NONE, NONE, ["/none"]], [(DELETED, "/none")]),
    "child, changed": ([NONE, NONE, ["/a"]], [(CHILDREN, "/a")]),
    "child, as it was": ([NONE, NONE, ["/old"]], []),
    "persistent": ([NONE, NONE, NONE, ["/a"], NONE], []),
    "recursive": ([NONE, NONE, NONE, NONE, ["/a"]], []),
}


@pytest.mark.parametrize("name", REPLAYS)
def test_what_was_missed_is_told_on_return(name: str) -> None:
    """setWatches: events with zxid -1 before its reply; what missed nothing is armed again."""
    lists, expected = REPLAYS[name]
    stand = Stand()
    writer = stand.open()
    writer.ask(ask.create("/old"))
    seen = writer.ask(ask.create("/old/child")).zxid
    writer.ask(ask.create("/a"))
    writer.ask(ask.create("/a/b"))
    peer = stand.open()
    encoded = b"".join(wire.vector([wire.string(path) for path in paths]) for paths in lists)
    opcode = wire.SET_WATCHES if len(lists) == 3 else wire.SET_WATCHES2
    peer.send(ask.with_xid(ask.raw(opcode, wire.i64(seen) + encoded), wire.SET_WATCHES_XID))
    *events, reply = peer.replies()
    assert (reply.xid, reply.err) == (wire.SET_WATCHES_XID, errors.OK)
    assert [event.event() for event in events] == expected
    assert all(event.zxid == -1 for event in events)
    assert stand.member.tree.watches.is_empty() == bool(expected)


def test_a_list_at_hand_is_shown_to_nobody_who_may_not_read_it() -> None:
    """The answer is the same for all, the right to it is not."""
    stand, guest = furnished()
    owner = stand.open()
    owner.ask(ask.auth("digest", b"me:pw"))
    for _ in range(2):
        assert owner.ask(ask.get_children2("/mine")).err == errors.OK
        assert guest.ask(ask.get_children2("/mine")).err == errors.NO_AUTH
    assert stand.member.tree.lists.keys() == {b"/mine"}


def test_long_lists_are_not_kept() -> None:
    stand = Stand()
    peer = stand.open()
    for number in range(700):
        peer.ask(ask.create(f"/{number:0100d}"))
    assert len(names(peer.ask(ask.get_children2("/")).body)) == 701
    assert stand.member.tree.lists == {}
