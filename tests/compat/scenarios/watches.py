"""Watches: who hears what, once or always, and what is left registered."""

from typing import Final

from tests.compat import requests as ask
from tests.compat import wire
from tests.compat.requests import Request
from tests.compat.steps import Drop, Open, Step, burst, script, sends

ARMS: Final = {
    "exists": ask.exists,
    "getData": ask.get_data,
    "getChildren": ask.get_children,
    "getChildren2": ask.get_children2,
}
PLACES: Final = ("/", "/w", "/w/a", "/w/a/b", "/w/a/b/c", "/zookeeper")
ACTS: Final = (
    *(ask.create("/w/a/b"), ask.set_data("/w/a/b", b"1"), ask.set_acl("/w/a/b", ask.OPEN), ask.create("/w/a/b/c")),
    *(
        ask.set_data("/w/a/b/c", b"2"),
        ask.delete("/w/a/b"),
        ask.delete("/w/a/b/c"),
        ask.delete("/w/a/b"),
        ask.create("/w/a/b", flags=1),
    ),
    *(ask.create("/w/a/s", flags=2), ask.set_data("/w", b""), ask.set_data("/w/a", b""), ask.delete("/w/a/b")),
    ask.multi(
        ask.create("/w/a/b"),
        ask.set_data("/w/a/b", b"m"),
        ask.create("/w/a/b/c"),
        ask.delete("/w/a/b/c"),
        ask.delete("/w/a/b"),
    ),
    ask.multi(ask.set_data("/w/a", b"m"), ask.set_data("/w/a", b"n"), ask.delete("/nope")),
    *(ask.delete("/w/a/s0000000002"), ask.delete("/w/a"), ask.delete("/w")),
)
START: Final = sends(0, ask.create("/w"), ask.create("/w/a"))
EVERY_KIND: Final = tuple(range(-1, 8))


def _once(arm: str) -> list[Step]:
    """One kind of one-shot watch on every place, set again before every act."""
    arms = [ARMS[arm](path, True) for path in PLACES]
    return script(START, *([burst(1, *arms), *sends(0, act)] for act in ACTS))


def _once_armed_once() -> list[Step]:
    """All one-shot watches on one path: which event ends which."""
    arms = [make("/w/a", True) for make in ARMS.values()]
    acts = (
        ask.set_data("/w/a", b""),
        ask.create("/w/a/x"),
        ask.delete("/w/a/x"),
        ask.set_data("/w/a", b""),
        ask.delete("/w/a"),
    )
    left = [ask.watches(wire.CHECK_WATCHES, "/w/a", kind) for kind in (1, 2, 3)]
    return script(START, sends(1, *arms, *left), *(sends(0, act) + sends(1, *left) for act in acts))


def _lasting(mode: int) -> list[Step]:
    each = [ask.add_watch(path, mode) for path in PLACES]
    steps = script(START, sends(1, *each), sends(2, each[2]), sends(3, each[0], each[1]), sends(0, *ACTS))
    return (
        steps
        + sends(0, ask.create("/w"))
        + sends(1, ask.create("/w/mine"), ask.set_data("/w/mine", b""), ask.delete("/w/mine"))
    )


def _mixed() -> list[Step]:
    """Several kinds on one path by one link: an event is delivered once."""
    arms = [make("/w/a", True) for make in ARMS.values()] + [ask.add_watch("/w/a", 0), ask.add_watch("/w/a", 1)]
    acts = [act for act in ACTS for act in (act,)]
    return script(START, sends(1, *arms), sends(2, *arms[4:]), sends(3, *arms[:2], arms[5]), sends(0, *acts))


def _checks(arm: Request) -> list[Step]:
    """What is found, by every type, after one registration; and what is left after each removal."""
    paths = ("/w/a", "/w", "/w/a/b")
    steps = script(START)
    for kind in EVERY_KIND:
        steps += sends(1, arm, *(ask.watches(wire.CHECK_WATCHES, path, kind) for path in paths))
        steps += sends(1, *(ask.watches(wire.REMOVE_WATCHES, path, kind) for path in paths))
        steps += sends(0, ask.set_data("/w/a", b""), ask.create("/w/a/b"), ask.delete("/w/a/b"))
    return steps


def _removal_of_some() -> list[Step]:
    """Several modes on one path: removing one keeps the others."""
    arms = [
        ask.get_data("/w/a", True),
        ask.get_children("/w/a", True),
        ask.add_watch("/w/a", 0),
        ask.add_watch("/w/a", 1),
    ]
    steps = script(START)
    for kind in (1, 2, 3, 4, 5):
        steps += sends(1, *arms, ask.watches(wire.REMOVE_WATCHES, "/w/a", kind))
        steps += sends(1, *(ask.watches(wire.CHECK_WATCHES, "/w/a", other) for other in (1, 2, 3, 4, 5)))
        steps += sends(0, ask.set_data("/w/a", b""), ask.create("/w/a/b"), ask.delete("/w/a/b"))
        steps += sends(1, ask.watches(wire.REMOVE_WATCHES, "/w/a", 3))
    return steps


def _replay(count: int) -> list[Step]:
    """setWatches after a reconnect, relative to before and after the changes."""
    paths = ["/w", "/w/a", "/w/gone", "/w/new", "/nope"]
    lists = [paths] * count
    change = (ask.set_data("/w/a", b"1"), ask.delete("/w/gone"), ask.create("/w/new"))
    again = (
        ask.set_data("/w/a", b"2"),
        ask.delete("/w/new"),
        ask.create("/w/gone"),
        ask.create("/nope"),
        ask.delete("/w/a"),
    )
    steps = script(
        START, sends(0, ask.create("/w/gone")), sends(1, ask.get_data("/w/a", True), ask.get_children("/w", True))
    )
    steps += [Drop(1), *sends(0, *change)]
    for link, back in ((1, 4), (2, 0), (3, 100), (4, 2)):
        steps += [Open(link, session_of=1 if link == 1 else None), *sends(link, ask.set_watches(back + link, *lists))]
    return steps + sends(0, *again)


def _replay_shapes() -> list[Step]:
    calls = (
        *(ask.set_watches(0, [], [], []), ask.set_watches(0, None, None, None), ask.set_watches(0, [], [], [], [], [])),
        *(
            ask.set_watches(0, None, None, None, None, None),
            ask.set_watches(0, [""], ["bad"], ["/w/"]),
            ask.set_watches(0, ["/w"] * 3, [], []),
        ),
        *(
            ask.with_xid(ask.set_watches(0, ["/w"], [], []), 9),
            ask.set_watches(0, ["/locked"], ["/locked"], ["/locked"]),
        ),
    )
    return script(
        START,
        sends(0, ask.create("/locked", acls=())),
        sends(1, *calls),
        sends(0, ask.set_data("/w", b""), ask.create("/w/x")),
    )


def _sessions() -> list[Step]:
    """Watches belong to the connection, ephemerals to the session."""
    arms = (ask.get_children("/w", True), ask.exists("/w/e", True), ask.add_watch("/w", 1))
    return script(
        START,
        sends(1, ask.create("/w/e", flags=1), *arms),
        sends(2, *arms),
        [Open(1, session_of=1)],
        sends(0, ask.set_data("/w/e", b"")),
        sends(2, *arms),
        sends(1, ask.close_session()),
        sends(2, *arms, ask.create("/w/e", flags=1), ask.close_session()),
        sends(0, ask.get_children2("/w")),
    )


def _many_ephemerals() -> list[Step]:
    creates = [ask.create(f"/w/a/e{i}", flags=1) for i in range(5)] + [
        ask.create("/w/e", flags=1),
        ask.create("/e", flags=1),
    ]
    watch = [ask.exists(f"/w/a/e{i}", True) for i in range(5)]
    return script(
        START,
        sends(1, *creates),
        sends(2, *watch, ask.get_children("/w/a", True), ask.get_children("/", True)),
        sends(3, ask.add_watch("/", 1), ask.add_watch("/w/a", 0)),
        sends(1, ask.close_session()),
        sends(0, ask.exists("/w/a"), ask.exists("/w"), ask.get_children("/w/a")),
    )


SCENARIOS: Final = {
    **{f"one-shot watch by {name}": _once(name) for name in ARMS},
    "one-shot watches on one path": _once_armed_once(),
    "persistent watch": _lasting(0),
    "recursive watch": _lasting(1),
    "other modes of addWatch": script(
        START, sends(1, *(ask.add_watch("/w", mode) for mode in (2, 3, -1, 2147483647))), sends(0, *ACTS)
    ),
    "mixed watches": _mixed(),
    **{f"checks after {name}": _checks(make("/w/a", True)) for name, make in ARMS.items()},
    "checks after persistent": _checks(ask.add_watch("/w/a", 0)),
    "checks after recursive": _checks(ask.add_watch("/w/a", 1)),
    "removal of some watches": _removal_of_some(),
    "setWatches": _replay(3),
    "setWatches2": _replay(5),
    "setWatches of odd lists": _replay_shapes(),
    "watches and sessions": _sessions(),
    "many ephemerals": _many_ephemerals(),
}
