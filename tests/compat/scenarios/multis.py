"""multi and multiRead: every kind of part, failing in every place, and headers that are not what they should be."""

from itertools import permutations
from typing import Final

from tests.compat import requests as ask
from tests.compat import wire
from tests.compat.requests import Acl, Request
from tests.compat.steps import Step, burst, script, sends
from tests.compat.wire import boolean, i32

GOOD: Final[dict[str, Request]] = {
    "create": ask.create("/g/a", b"a", opcode=wire.CREATE),
    "create2": ask.create("/g/b", b"b"),
    "container": ask.create("/g/c", b"c", flags=4, opcode=wire.CREATE_CONTAINER),
    "ttl": ask.create_ttl("/g/t", 10**9),
    "ephemeral": ask.create("/g/e", flags=1),
    "sequential": ask.create("/g/s", flags=2),
    "delete": ask.delete("/g/old"),
    "setData": ask.set_data("/g", b"g"),
    "check": ask.check("/g"),
}
BAD: Final[dict[str, Request]] = {
    "exists": ask.create("/g", opcode=wire.CREATE),
    "no parent": ask.create("/nope/x"),
    "bad path": ask.create("nope"),
    "bad acl": ask.create("/g/x", acls=()),
    "bad flags": ask.create("/g/x", flags=9),
    "bad ttl": ask.create_ttl("/g/x", 0),
    "not empty": ask.delete("/g"),
    "no node": ask.delete("/nope"),
    "bad version": ask.set_data("/g", b"", 77),
    "no node to set": ask.set_data("/nope", b""),
    "check version": ask.check("/g", 77),
    "check nothing": ask.check("/nope"),
    "no auth": ask.set_data("/locked", b""),
    "no auth to create": ask.create("/locked/x"),
    "check no auth": ask.check("/locked"),
    "root": ask.delete("/"),
}
OTHERS: Final = (
    *(ask.exists("/g"), ask.get_data("/g"), ask.get_children("/g"), ask.get_children2("/g"), ask.get_acl("/g")),
    *(
        ask.set_acl("/g", ask.OPEN),
        ask.named(wire.SYNC, "/g"),
        ask.raw(wire.PING, b""),
        ask.raw(wire.CLOSE_SESSION, b""),
    ),
    *(
        ask.multi(ask.check("/g")),
        ask.raw(77, b""),
        ask.raw(0, b""),
        ask.raw(-1, i32(-1)),
        ask.who_am_i(),
        ask.add_watch("/g", 0),
    ),
    ask.reconfig(None, None, None),
)
PREPARE: Final = (
    *(ask.create("/g"), ask.create("/g/old"), ask.create("/locked", acls=(Acl(0, "world", "anyone"),))),
    *(ask.add_watch("/g", 1), ask.get_children("/g", True)),
)


def _failing_places() -> list[Step]:
    """A bad part before, between and behind good ones."""
    steps = script(sends(0, *PREPARE))
    for bad in BAD.values():
        for place in range(3):
            parts = [GOOD["create2"], GOOD["setData"]]
            parts.insert(place, bad)
            steps += sends(1, ask.multi(*parts))
    return steps + sends(1, ask.get_children2("/g"), ask.get_data("/g"))


def _good_kinds() -> list[Step]:
    undo = [ask.delete(path) for path in ("/g/a", "/g/b", "/g/c", "/g/t", "/g/e")] + [ask.create("/g/old")]
    alone = [request for part in GOOD.values() for request in (ask.multi(part), *undo)]
    pairs = [ask.multi(GOOD[left], GOOD[right]) for left, right in permutations(GOOD, 2)]
    together = [request for multi in pairs for request in (multi, *undo)]
    return script(
        sends(0, *PREPARE),
        sends(1, *alone, ask.multi(*GOOD.values())),
        [burst(1, *together)],
        sends(0, ask.exists("/g")),
    )


def _steps_on_steps() -> list[Step]:
    """Later parts see the earlier ones."""
    deep = [
        ask.create("/s"),
        ask.create("/s/a"),
        ask.create("/s/a/b", b"1"),
        ask.set_data("/s/a/b", b"2", 0),
        ask.check("/s/a/b", 1),
    ]
    undo = [ask.delete("/s/a/b", 1), ask.delete("/s/a"), ask.delete("/s")]
    again = [
        ask.create("/s"),
        ask.delete("/s"),
        ask.create("/s"),
        ask.set_data("/s", b"x"),
        ask.delete("/s", 1),
        ask.create("/s"),
    ]
    sequence = [
        ask.create("/s/n", flags=2),
        ask.create("/s/n", flags=3),
        ask.create("/s/m"),
        ask.delete("/s/m"),
        ask.create("/s/n", flags=2),
    ]
    ephemeral = [ask.create("/s/e", flags=1), ask.create("/s/e/x")]
    return script(
        sends(1, ask.add_watch("/", 1), ask.exists("/s", True)),
        sends(0, ask.multi(*deep), ask.multi(*undo), ask.multi(*deep, *undo), ask.multi(*again), ask.multi(*sequence)),
        sends(
            0,
            ask.multi(*ephemeral),
            ask.multi(*sequence, ask.check("/no")),
            ask.multi(*sequence),
            ask.get_children2("/s"),
        ),
        sends(
            0,
            ask.multi(*[ask.set_data("/s", bytes([i])) for i in range(100)]),
            ask.exists("/s"),
            ask.multi(ask.delete("/s")),
        ),
        sends(
            0, ask.multi(ask.set_data("/s", b"", 101), ask.set_data("/s", b"", 101)), ask.multi(ask.check("/s", 101))
        ),
    )


def _odd_headers(opcode: int) -> list[Step]:
    part = ask.create("/h/n", flags=2) if opcode == wire.MULTI else ask.get_data("/h")
    body = ask.plain(part)
    kind, end = part.opcode, i32(-1) + boolean(True) + i32(-1)
    plain_part = i32(kind) + boolean(False) + i32(-1) + body
    bodies = (
        *(b"", end, plain_part, plain_part + end, plain_part + end + b"tail", end + end, end + plain_part + end),
        *(
            plain_part + i32(-1) + boolean(True) + i32(0),
            plain_part + i32(0) + boolean(True) + i32(-1),
            plain_part[:3],
            plain_part[:9],
        ),
        *(plain_part + i32(-1) + boolean(False) + i32(-1), plain_part + i32(-1) + boolean(False), plain_part + end[:8]),
        *(i32(kind) + boolean(True) + i32(-1) + body + end, i32(kind) + b"\x02" + i32(-1) + body + end),
        *(
            i32(kind) + boolean(False) + i32(5) + body + end,
            i32(kind) + boolean(False) + i32(0) + body + end,
            plain_part[:-1],
        ),
        *(i32(kind) + boolean(False) + i32(-1) + body[:-2] + end, plain_part * 3 + end),
    )
    calls = [ask.raw(opcode, one, f"multi {opcode} of bytes {one.hex()}") for one in bodies]
    return script(sends(0, ask.create("/h"), *calls, ask.get_children2("/h")))


def _mixed() -> list[Step]:
    """Parts that may not stand where they stand."""
    kinds = [*GOOD.values(), *OTHERS]
    parts = [part for part in kinds if isinstance(part.body, bytes)]
    reads = (ask.get_data("/g"), ask.get_children("/g"))
    return script(
        sends(0, *PREPARE),
        sends(1, *(ask.multi(part) for part in OTHERS), *(ask.multi(ask.check("/g"), part) for part in OTHERS)),
        sends(1, *(ask.multi(part, opcode=wire.MULTI_READ) for part in parts)),
        sends(1, *(ask.multi(*reads, part, opcode=wire.MULTI_READ) for part in parts), ask.get_children2("/g")),
    )


def _reads() -> list[Step]:
    paths = ("/g", "/g/old", "/nope", "/locked", "/", "", "bad", "/zookeeper")
    data, names = [ask.get_data(path) for path in paths], [ask.get_children(path) for path in paths]
    watched = [ask.get_data("/g", True), ask.get_children("/g", True), ask.get_data("/nope", True)]
    return script(
        sends(0, *PREPARE),
        sends(1, ask.multi(opcode=wire.MULTI_READ), ask.multi(*data, *names, opcode=wire.MULTI_READ)),
        sends(
            1,
            ask.multi(*watched, opcode=wire.MULTI_READ),
            *(ask.watches(wire.CHECK_WATCHES, "/g", kind) for kind in (1, 2, 3)),
        ),
        sends(0, ask.set_data("/g", b"new"), ask.create("/g/x"), ask.create("/nope")),
    )


def _quota_and_big() -> list[Step]:
    limit = b"count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=3"
    quota = [ask.create("/zookeeper/quota/b"), ask.create("/zookeeper/quota/b/zookeeper_limits", limit)]
    stats = ask.create("/zookeeper/quota/b/zookeeper_stats", b"")
    look = ask.get_data("/zookeeper/quota/b/zookeeper_stats")
    return script(
        sends(
            0,
            ask.create("/b"),
            *quota,
            stats,
            ask.multi(ask.create("/b/1", b"12345"), ask.create("/b/2", b"123456")),
            look,
        ),
        sends(0, ask.multi(ask.create("/b/1"), ask.create("/b/2"), ask.create("/b/3")), look, ask.get_children("/b")),
        sends(
            0,
            ask.multi(ask.set_data("/b", b"x" * 11), ask.delete("/b/1")),
            look,
            ask.multi(ask.delete("/b/1"), ask.create("/b/4")),
        ),
        sends(0, ask.multi(*[ask.create("/b/s", b"", flags=2) for _ in range(300)]), look, ask.get_children2("/b")),
    )


SCENARIOS: Final = {
    "multi failing in every place": _failing_places(),
    "multi of every kind": _good_kinds(),
    "multi sees itself": _steps_on_steps(),
    "multi with odd headers": _odd_headers(wire.MULTI),
    "multiRead with odd headers": _odd_headers(wire.MULTI_READ),
    "multi of what may not be in it": _mixed(),
    "multiRead": _reads(),
    "multi under a quota": _quota_and_big(),
}
