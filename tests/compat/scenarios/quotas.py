"""Quotas: what the statistics say, what is refused (when enforced), and limits that are no limits.

Two things are left out because they end a real 3.9.3 with exit code 1: limits of the root itself
(/zookeeper/quota/zookeeper_limits), and statistics that are rubbish while quotas are not enforced.
"""

from typing import Final

from tests.compat import requests as ask
from tests.compat.requests import Request
from tests.compat.steps import Step, script, sends

TEXTS: Final = (
    *(
        b"count=1,bytes=-1",
        b"count=-1,bytes=3",
        b"count=1,bytes=3",
        b"count=2,bytes=-1=;byteHardLimit=-1;countHardLimit=2",
    ),
    *(b"count=-1,bytes=-1=;byteHardLimit=4;countHardLimit=-1", b"count=-1,bytes=-1=;byteHardLimit=0;countHardLimit=0"),
    *(
        b"count=1,bytes=1=;byteHardLimit=1;countHardLimit=1",
        b"count=0,bytes=0",
        b"",
        b"rubbish",
        b"count=x,bytes=y",
        b"count=3",
    ),
    *(
        b"bytes=3,count=3",
        b"count=3,bytes=3,more=1",
        b"count=3,bytes=3=;byteHardLimit=x",
        b"count=-2,bytes=-2",
        b"\xff\xfe",
        None,
    ),
    *(
        b"count=99999999999,bytes=1",
        b"count=1;bytes=1",
        b" count = 1 , bytes = 1 ",
        b"countHardLimit=2;byteHardLimit=2",
    ),
)


def limits(path: str) -> str:
    return f"/zookeeper/quota{path}/zookeeper_limits"


def stats(path: str) -> str:
    return f"/zookeeper/quota{path}/zookeeper_stats"


def _set(path: str, text: bytes | None) -> list[Request]:
    """What setquota does: the path below /zookeeper/quota, the limits, the statistics."""
    parts = path.split("/")[1:]
    above = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    nodes = [ask.create(f"/zookeeper/quota/{part}") for part in above]
    return [*nodes, ask.create(limits(path), text), ask.create(stats(path), b"count=0,bytes=0")]


def _work(path: str) -> list[Request]:
    look = ask.get_data(stats(path))
    return [
        *(
            look,
            ask.set_data(path, b"12"),
            look,
            ask.create(f"{path}/a", b"1"),
            look,
            ask.create(f"{path}/a/b", b"22"),
            look,
        ),
        *(
            ask.set_data(f"{path}/a", b"333"),
            look,
            ask.set_data(f"{path}/a", None),
            look,
            ask.create(f"{path}/e", b"e", flags=1),
        ),
        *(
            ask.multi(ask.create(f"{path}/m", b"m"), ask.create(f"{path}/n", b"nn")),
            look,
            ask.multi(ask.delete(f"{path}/a/b")),
        ),
        *(
            ask.create(f"{path}/s", b"s", flags=2),
            ask.create_ttl(f"{path}/t", 10**9),
            look,
            ask.set_data(path, b"123456"),
            look,
        ),
        *(ask.delete(f"{path}/a"), look, ask.delete(f"{path}/e"), look, ask.get_data(limits(path))),
    ]


def _texts(number: int, text: bytes | None) -> list[Step]:
    return script(
        sends(0, ask.create("/q", b"q"), *_set("/q", text), *_work("/q")), sends(1, ask.get_data(stats("/q")))
    )


def _nested() -> list[Step]:
    """The quota nearest to the root wins, or so one would think: ask."""
    outer = _set("/q", b"count=5,bytes=20=;byteHardLimit=30;countHardLimit=6")
    inner = _set("/q/a", b"count=2,bytes=4=;byteHardLimit=6;countHardLimit=3")
    look = [ask.get_data(stats("/q")), ask.get_data(stats("/q/a"))]
    acts = (
        *(
            ask.create("/q/a", b"1"),
            ask.create("/q/a/x", b"22"),
            ask.create("/q/a/y", b"333"),
            ask.create("/q/a/z", b"4444"),
        ),
        *(
            ask.set_data("/q/a/x", b"55555"),
            ask.create("/q/b", b"666666"),
            ask.create("/q/c", b"7777777"),
            ask.delete("/q/a/y"),
        ),
        *(
            ask.create("/qq", b"not below"),
            ask.create("/q/ab", b"1"),
            ask.set_data("/q/a", b"1" * 20),
            ask.delete("/q/a/x"),
        ),
    )
    return script(
        sends(0, ask.create("/q"), *outer, *(request for act in acts for request in (act, *look))),
        sends(0, *inner, *look, *(request for act in acts for request in (act, *look))),
    )


def _life() -> list[Step]:
    """Limits and statistics come and go, before and after the node they are about."""
    look = [ask.get_data(stats("/q")), ask.get_data(limits("/q")), ask.get_children2("/zookeeper/quota/q")]
    child = ask.create("/q/s", b"12", flags=2)
    tight, loose = (
        b"count=1,bytes=1=;byteHardLimit=5;countHardLimit=2",
        b"count=9,bytes=99=;byteHardLimit=99;countHardLimit=9",
    )
    return script(
        sends(0, *_set("/q", tight), *look, ask.create("/q", b"123"), *look, child, *look, child, *look),
        sends(
            0,
            ask.set_data(limits("/q"), loose),
            child,
            *look,
            ask.set_data(stats("/q"), b"count=0,bytes=0"),
            child,
            *look,
        ),
        sends(0, ask.set_data(stats("/q"), b"count=7,bytes=7"), child, *look, ask.delete(stats("/q")), child, *look),
        sends(
            0,
            ask.create(stats("/q"), b""),
            child,
            *look,
            ask.delete(limits("/q")),
            child,
            *look,
            ask.delete(stats("/q")),
            child,
        ),
        sends(
            0, ask.create(limits("/q"), tight), child, *look, ask.create(stats("/q"), b"count=0,bytes=0"), child, *look
        ),
        sends(
            0,
            ask.multi(ask.delete("/q"), ask.create("/q")),
            ask.get_children2("/q"),
            *look,
            ask.delete("/zookeeper/quota/q"),
        ),
    )


SCENARIOS: Final = {
    **{f"quota {number} {text!r}": _texts(number, text) for number, text in enumerate(TEXTS)},
    "nested quotas": _nested(),
    "life of a quota": _life(),
}
