"""What is a path, for every request that takes one."""

from collections.abc import Callable
from typing import Final

from tests.compat import requests as ask
from tests.compat import wire
from tests.compat.requests import Request, Text
from tests.compat.steps import Step, script, sends

EDGES: Final = (
    0x0,
    0x1,
    0x1F,
    0x20,
    0x7E,
    0x7F,
    0x9F,
    0xA0,
    0xD7FF,
    0xE000,
    0xF8FF,
    0xF900,
    0xFFEF,
    0xFFF0,
    0xFFFD,
    0xFFFF,
)
SHAPES: Final[tuple[Text, ...]] = (
    *(
        "",
        "/",
        "//",
        "a",
        "a/b",
        "/a",
        "/a/",
        "/a//b",
        "/.",
        "/..",
        "/a/.",
        "/a/..",
        "/a/./b",
        "/a/../b",
        "/...",
        "/.a",
        "/a.",
    ),
    *(
        "/a/b/",
        "/missing/",
        "/missing/x",
        "/missing//",
        "/a/ ",
        "/ ",
        "/a\\b",
        "/zookeeper",
        "/zookeeper/",
        "/zookeeper/x",
    ),
    *("/zookeeper/config", "/zookeeper/quota", "/zookeeper/quota/a", "/zookeeper/quotas", None),
)
BYTES: Final = (
    *(
        b"/\xff",
        b"/\xc3",
        b"/\xc0\x80",
        b"/\xe6\xbc",
        b"/\xf0\x9f\x98",
        b"/\xf0\x9f\x98\x80",
        b"/\xed\xa0\xbd\xed\xb8\x80",
    ),
    *(
        b"/\xed\xa0\xbd",
        b"/\xf8\x88\x80\x80\x80",
        b"/\xef\xbb\xbf",
        b"/\xef\xbf\xbe",
        b"/a\xcc\x81",
        b"\xff",
        b"/a\x80b",
        b"/\xe1\x80\xc3",
    ),
)
ASKED: Final[dict[str, Callable[[Text], Request]]] = {
    "create": lambda path: ask.create(path, opcode=wire.CREATE),
    "create2": ask.create,
    "create sequential": lambda path: ask.create(path, flags=ask.SEQUENTIAL),
    "create ephemeral": lambda path: ask.create(path, flags=ask.EPHEMERAL),
    "create container": lambda path: ask.create(path, flags=ask.CONTAINER, opcode=wire.CREATE_CONTAINER),
    "create ttl": lambda path: ask.create_ttl(path, 10**9),
    "delete": ask.delete,
    "exists": lambda path: ask.exists(path, True),
    "getData": ask.get_data,
    "setData": lambda path: ask.set_data(path, b"x"),
    "getACL": ask.get_acl,
    "setACL": lambda path: ask.set_acl(path, ask.OPEN),
    "getChildren": ask.get_children,
    "getChildren2": ask.get_children2,
    "sync": lambda path: ask.named(wire.SYNC, path),
    "multi check": lambda path: ask.multi(ask.check(path)),
    "multi create": lambda path: ask.multi(ask.create(path)),
    "multi delete": lambda path: ask.multi(ask.delete(path)),
    "multi setData": lambda path: ask.multi(ask.set_data(path, b"x")),
    "multiRead": lambda path: ask.multi(ask.get_data(path), ask.get_children(path), opcode=wire.MULTI_READ),
    "getEphemerals": lambda path: ask.named(wire.GET_EPHEMERALS, path),
    "getAllChildrenNumber": lambda path: ask.named(wire.GET_ALL_CHILDREN_NUMBER, path),
    "checkWatches": lambda path: ask.watches(wire.CHECK_WATCHES, path, 3),
    "removeWatches": lambda path: ask.watches(wire.REMOVE_WATCHES, path, 3),
    "addWatch": lambda path: ask.add_watch(path, 1),
}


def _all_paths(make: Callable[[Text], Request]) -> list[Step]:
    characters = [f"/a/{chr(code)}" for code in EDGES]
    return script(
        sends(0, ask.create("/a")),
        sends(1, *(make(path) for path in (*SHAPES, *BYTES, *characters))),
        sends(0, ask.get_children("/"), ask.get_children2("/a"), ask.get_children("/zookeeper")),
    )


SCENARIOS: Final = {f"paths of {name}": _all_paths(make) for name, make in ASKED.items()}
