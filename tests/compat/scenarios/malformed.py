"""Bodies that are not what their opcode promises: cut short everywhere, too long, with lengths that lie."""

from typing import Final

from tests.compat import requests as ask
from tests.compat import wire
from tests.compat.requests import Acl, Request
from tests.compat.steps import Step, script, sends
from tests.compat.wire import boolean, buf, i32, i64, string, vector

WHOLE: Final[dict[str, Request]] = {
    "create": ask.create("/b/n", b"dd", flags=2, opcode=wire.CREATE),
    "create2": ask.create("/b/n", b"dd", (Acl(31, "world", "anyone"), Acl(1, "ip", "1.2.3.4")), flags=2),
    "createContainer": ask.create("/b/c", b"", flags=4, opcode=wire.CREATE_CONTAINER),
    "createTTL": ask.create_ttl("/b/t", 10**9, 6),
    "delete": ask.delete("/b/gone"),
    "exists": ask.exists("/b", True),
    "getData": ask.get_data("/b", True),
    "setData": ask.set_data("/b", b"dd"),
    "getACL": ask.get_acl("/b"),
    "setACL": ask.set_acl("/b", ask.OPEN),
    "getChildren": ask.get_children("/b", True),
    "getChildren2": ask.get_children2("/b", True),
    "sync": ask.named(wire.SYNC, "/b"),
    "multi": ask.multi(ask.create("/b/m", flags=2), ask.check("/b")),
    "multiRead": ask.multi(ask.get_data("/b"), ask.get_children("/b"), opcode=wire.MULTI_READ),
    "reconfig": ask.reconfig("a", None, "b"),
    "checkWatches": ask.watches(wire.CHECK_WATCHES, "/b", 3),
    "removeWatches": ask.watches(wire.REMOVE_WATCHES, "/b", 3),
    "addWatch": ask.add_watch("/b", 0),
    "getEphemerals": ask.named(wire.GET_EPHEMERALS, "/b"),
    "getAllChildrenNumber": ask.named(wire.GET_ALL_CHILDREN_NUMBER, "/b"),
    "whoAmI": ask.who_am_i(),
    "sasl": ask.sasl(b"token"),
    "setWatches": ask.with_xid(ask.raw(wire.SET_WATCHES, i64(0) + vector([string("/b")]) * 3), -8),
    "setWatches2": ask.with_xid(ask.raw(wire.SET_WATCHES2, i64(0) + vector([string("/b")]) * 5), -8),
}
LENGTHS: Final = (-1, -2, 0, 1, 1000, 1 << 20, (1 << 21) + 1, 2**31 - 1, -(2**31))
START: Final = sends(0, ask.create("/b"))


def _cut(request: Request) -> list[Step]:
    """Every beginning of the body, then the body with more behind it."""
    body = ask.plain(request)
    cuts = [ask.with_body(request, body[:size], f"first {size} bytes of") for size in range(len(body))]
    longer = [ask.with_body(request, body + tail, "longer") for tail in (b"\x00", b"\xff" * 7, body)]
    return script(START, sends(1, *cuts, *longer), sends(0, ask.exists("/b"), ask.set_data("/b", b"")))


def _lengths() -> list[Step]:
    """Each length field of each kind of field with what cannot be its length."""
    acl = ask.acl_list(ask.OPEN)
    bodies = [
        body
        for length in LENGTHS
        for body in (
            (wire.CREATE2, i32(length) + b"/b/x" + buf(b"d") + acl + i32(0)),
            (wire.CREATE2, string("/b/y") + i32(length) + b"d" + acl + i32(0)),
            (wire.CREATE2, string("/b/z") + buf(b"d") + i32(length) + acl[4:] + i32(0)),
            (
                wire.CREATE2,
                string("/b/w") + buf(b"d") + i32(1) + i32(31) + i32(length) + b"world" + string("anyone") + i32(0),
            ),
            (wire.SET_DATA, string("/b") + i32(length) + b"data" + i32(-1)),
            (wire.SET_ACL, string("/b") + i32(length) + acl[4:] + i32(-1)),
            (wire.GET_DATA, i32(length) + b"/b" + boolean(False)),
            (wire.DELETE, i32(length) + b"/b/x" + i32(-1)),
            (wire.SYNC, i32(length) + b"/b"),
            (wire.SASL, i32(length) + b"token"),
            (wire.SET_WATCHES, i64(0) + i32(length) + string("/b") + vector([]) * 2),
            (wire.MULTI, i32(length) + boolean(False) + i32(-1)),
        )
    ]
    calls = [ask.raw(opcode, body) for opcode, body in bodies]
    return script(START, sends(1, *calls), sends(0, ask.get_children2("/b"), ask.get_data("/b"), ask.get_acl("/b")))


def _nulls() -> list[Step]:
    """Null where a value should be."""
    null, acl = i32(-1), ask.acl_list(ask.OPEN)
    calls = [
        *(
            ask.create(None),
            ask.create("/b/1", None),
            ask.create("/b/2", acls=None),
            ask.delete(None),
            ask.exists(None, True),
        ),
        *(
            ask.get_data(None),
            ask.set_data(None, None),
            ask.set_data("/b", None),
            ask.get_acl(None),
            ask.set_acl(None, ask.OPEN),
        ),
        *(ask.set_acl("/b", None), ask.get_children(None, True), ask.named(wire.SYNC, None), ask.add_watch(None, 0)),
        *(
            ask.watches(wire.CHECK_WATCHES, None, 3),
            ask.watches(wire.REMOVE_WATCHES, None, 3),
            ask.named(wire.GET_EPHEMERALS, None),
        ),
        *(ask.named(wire.GET_ALL_CHILDREN_NUMBER, None), ask.multi(ask.create(None)), ask.multi(ask.check(None))),
        *(
            ask.multi(ask.delete(None)),
            ask.multi(ask.set_data(None, None)),
            ask.create(None, flags=2),
            ask.create_ttl(None, 5),
        ),
        *(
            ask.raw(wire.CREATE2, null + null + null + i32(0)),
            ask.raw(wire.CREATE2, string("/b/3") + null + acl + i32(0)),
        ),
        ask.raw(wire.SET_WATCHES, i64(0) + vector([null]) * 3),
        ask.raw(wire.SET_WATCHES2, i64(0) + vector([null]) * 5),
    ]
    steps = script(START)
    for call in calls:
        steps += sends(1, call)
    return steps + sends(0, ask.get_children2("/b"))


def _booleans() -> list[Step]:
    calls = [ask.raw(wire.GET_DATA, string("/b") + bytes([value])) for value in (0, 1, 2, 127, 128, 255)]
    change = ask.set_data("/b", b"")
    return script(START, *(sends(1, call) + sends(0, change) for call in calls))


def _auth() -> list[Step]:
    """Auth packets cut short, each on a connection of its own."""
    body = ask.plain(ask.auth("digest", b"u:p"))
    cuts = [body[:size] for size in range(len(body))] + [body + b"tail"]
    each = [
        sends(0, ask.with_body(ask.auth("digest", b"u:p"), cut, "cut"), ask.who_am_i(), ask.close_session())
        for cut in cuts
    ]
    return script(*each)


SCENARIOS: Final = {
    **{f"body of {name} cut": _cut(request) for name, request in WHOLE.items()},
    "lengths of fields": _lengths(),
    "nulls": _nulls(),
    "booleans": _booleans(),
    "auth packets cut": _auth(),
}
