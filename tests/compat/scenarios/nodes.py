"""Creating, changing and removing nodes: modes, versions, sequence numbers, Stat, and the answers of rare requests."""

from itertools import product
from typing import Final

from tests.compat import requests as ask
from tests.compat import wire
from tests.compat.steps import Step, burst, script, sends

MODES: Final = (-2147483648, -1, 0, 1, 2, 3, 4, 5, 6, 7, 2147483647)
TTLS: Final = (1, 1000, 0xFFFFFFFFFF, 0x10000000000, 0, -1, -(2**63), 2**63 - 1)
CREATES: Final = (wire.CREATE, wire.CREATE2, wire.CREATE_CONTAINER)


def _modes(opcode: int) -> list[Step]:
    return script(
        sends(0, *(ask.create(f"/m{mode}", b"x", flags=mode, opcode=opcode) for mode in MODES)),
        sends(1, ask.get_children("/"), *(ask.get_data(f"/m{mode}") for mode in MODES)),
        sends(1, *(ask.create(f"/m{mode}/child") for mode in MODES), ask.get_data("/m4"), ask.get_data("/m5")),
        sends(0, ask.named(wire.GET_EPHEMERALS, "/"), ask.named(wire.GET_ALL_CHILDREN_NUMBER, "/")),
    )


def _ttls() -> list[Step]:
    """Flags that are not TTL are left out: with a time out of bounds they end a real 3.9 with exit code 1."""
    creates = [ask.create_ttl(f"/t{mode}{i}", ttl, mode) for mode in (5, 6) for i, ttl in enumerate(TTLS)]
    inside = [ask.multi(ask.create_ttl(f"/n{mode}{i}", ttl, mode)) for mode in (5, 6) for i, ttl in enumerate(TTLS)]
    return script(sends(0, *creates, *inside, ask.get_children("/"), ask.get_data("/t50"), ask.get_data("/t52")))


def _versions() -> list[Step]:
    wanted = (-1, 0, 1, 2, -2, 2147483647, -2147483648)
    return script(
        sends(0, ask.create("/v", None), ask.get_data("/v"), *(ask.set_data("/v", b"d", v) for v in wanted)),
        sends(0, *(ask.set_acl("/v", ask.OPEN, v) for v in wanted), ask.get_acl("/v"), ask.exists("/v")),
        sends(1, *(ask.multi(ask.check("/v", v), ask.set_data("/v", b"e", v)) for v in wanted)),
        sends(1, ask.set_data("/v", None), ask.get_data("/v"), *(ask.delete("/v", v) for v in (5, -2, *wanted))),
        sends(
            0,
            ask.create("/v", b""),
            ask.get_data("/v"),
            ask.set_data("/v", b""),
            ask.delete("/v", 1),
            ask.delete("/v", 0),
        ),
    )


def _sequences() -> list[Step]:
    """Gaps: every child that was ever created counts, also those of other modes and those in failed multis do not."""
    sequential = ask.create("/s/n-", flags=ask.SEQUENTIAL)
    return script(
        sends(0, ask.create("/s"), sequential, ask.create("/s/plain"), sequential, ask.delete("/s/plain"), sequential),
        sends(
            1,
            ask.create("/s/n-", flags=ask.EPHEMERAL_SEQUENTIAL),
            ask.create_ttl("/s/t-", 10**9, 6),
            ask.close_session(),
        ),
        sends(0, sequential, ask.create("/s/plain"), ask.create("/s/plain"), sequential, ask.create("/s/", flags=2)),
        sends(0, ask.multi(sequential, sequential, ask.delete("/nope")), sequential, ask.multi(sequential, sequential)),
        sends(0, ask.create("/s/n-0000000014"), sequential, sequential, sequential, ask.get_children2("/s")),
        sends(0, ask.create("/s/n-0000000003/x-", flags=2), ask.create("/s/e", flags=1), ask.create("/s/e/x", flags=2)),
        [burst(link, *[sequential] * 5) for link in (0, 1, 2)],
        sends(2, ask.get_children2("/s"), ask.exists("/s"), ask.create("/-", flags=2)),
    )


def _stats() -> list[Step]:
    """Which change moves which field, of the node and of its parent."""
    look = [ask.exists("/p"), ask.exists("/p/a"), ask.exists("/p/a/b"), ask.get_children2("/p"), ask.get_acl("/p/a")]
    acts = [
        *(ask.create("/p", b"12345"), ask.create("/p/a"), ask.create("/p/a/b"), ask.set_data("/p/a", b"123")),
        *(ask.set_acl("/p/a", ask.OPEN), ask.set_data("/p/a", b"", 0), ask.delete("/p/a"), ask.delete("/p/a/b")),
        *(ask.create("/p/e", flags=1), ask.create("/p/c", flags=4, opcode=wire.CREATE_CONTAINER), ask.create("/p/c/d")),
        *(
            ask.delete("/p/c/d"),
            ask.delete("/p/c"),
            ask.multi(ask.create("/p/x"), ask.delete("/p/x"), ask.create("/p/x")),
        ),
        *(
            ask.multi(ask.set_data("/p", b"1"), ask.set_data("/p", b"22"), ask.check("/p", 2)),
            ask.multi(ask.check("/p")),
        ),
    ]
    return script(
        *(sends(0, act, *look) for act in acts), sends(1, ask.get_data("/p/e"), ask.exists("/p/c"), ask.exists("/"))
    )


def _ephemerals() -> list[Step]:
    queries = [
        ask.named(wire.GET_EPHEMERALS, prefix) for prefix in ("", " ", "/", "/e", "/e/a", "/e/ab", "/nope", "e", None)
    ]
    return script(
        sends(
            0, ask.create("/e"), ask.create("/e/a", flags=1), ask.create("/e/ab", flags=1), ask.create("/e/b", flags=3)
        ),
        sends(1, ask.create("/e/c", flags=1), *queries),
        sends(0, *queries, ask.create("/e/a/x"), ask.create("/e/a/x", flags=1), ask.delete("/e/c"), ask.delete("/e/a")),
        sends(0, *queries, ask.close_session()),
        sends(1, *queries, ask.get_children2("/e"), ask.exists("/e/b0000000002")),
    )


def _removal() -> list[Step]:
    """The nodes that cannot be removed, and those that can only be when empty."""
    system = ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config")
    return script(
        sends(0, *(ask.delete(path) for path in system), *(ask.set_data(path, b"x") for path in system)),
        sends(0, *(ask.get_data(path) for path in system), *(ask.get_acl(path) for path in system)),
        sends(0, *(ask.multi(ask.delete(path)) for path in system), *(ask.exists(path) for path in system)),
        sends(
            0,
            *(ask.set_acl(path, ask.OPEN) for path in system[2:]),
            ask.create("/zookeeper/x"),
            ask.delete("/zookeeper/x"),
        ),
        sends(
            0,
            ask.create("/d"),
            ask.create("/d/e"),
            ask.delete("/d"),
            ask.delete("/d", 9),
            ask.delete("/d/e"),
            ask.delete("/d"),
        ),
        sends(
            0,
            ask.delete("/d"),
            ask.create("/zookeeper/config/x"),
            ask.create("/zookeeper/quota/x"),
            ask.delete("/zookeeper/quota/x"),
        ),
    )


def _counts() -> list[Step]:
    return script(
        sends(0, ask.create("/k"), ask.create("/k/a"), ask.create("/k/a/b"), ask.create("/k/ab"), ask.create("/ka")),
        sends(
            0,
            *(
                ask.named(wire.GET_ALL_CHILDREN_NUMBER, path)
                for path in ("/", "/k", "/k/a", "/k/a/b", "/k/", "/x", "/zookeeper")
            ),
        ),
    )


def _rare() -> list[Step]:
    """Opcodes that only servers send to each other, or that nobody ever sent.

    createSession is left out: Apache answers it with a ConnectResponse in the place of a reply.
    """
    unknown = (-100, -12, -2, -1, 0, 10, 13, 20, 23, 24, 50, 99, 108, 200, 2147483647, -2147483648)
    bodies = (b"", ask.plain(ask.check("/")), b"\xff" * 40)
    return script(*(sends(0, ask.raw(opcode, body)) for opcode, body in product(unknown, bodies)), sends(0, ask.ping()))


def _xids() -> list[Step]:
    xids = (0, -3, -5, 2147483647, -2147483648, 1, 1, -4, -8, -1)
    return script(
        sends(0, *(ask.with_xid(ask.get_data("/"), xid) for xid in xids), ask.with_xid(ask.ping(), 7)),
        sends(
            0, ask.with_xid(ask.ping(), 0), ask.with_xid(ask.create("/x"), 0), ask.with_xid(ask.set_data("/x", b""), -8)
        ),
        sends(
            0, ask.with_xid(ask.auth("digest", b"u:p"), 77), ask.who_am_i(), ask.raw(wire.PING, b"more than nothing")
        ),
    )


def _sasl_and_sync() -> list[Step]:
    tokens = (b"", b"token", None, b"\x60\x82")
    return script(
        sends(0, *(ask.sasl(token) for token in tokens), ask.who_am_i()),
        sends(0, *(ask.named(wire.SYNC, path) for path in ("/", "", "/nope", "nope", None, b"/\xff", "/😀"))),
    )


def _reconfig() -> list[Step]:
    """What a server that is alone answers."""
    member = "server.1=127.0.0.1:2888:3888:participant;2181"
    calls = (
        *(ask.reconfig(None, None, None), ask.reconfig(member, None, None), ask.reconfig(None, "1", None)),
        *(ask.reconfig(None, None, member), ask.reconfig("", "", ""), ask.reconfig(None, None, None, 0)),
        *(ask.reconfig("rubbish", None, None, 5), ask.reconfig(member, "2", member)),
    )
    config = (
        ask.get_data("/zookeeper/config"),
        ask.get_acl("/zookeeper/config"),
        ask.set_data("/zookeeper/config", b""),
    )
    return script(sends(0, *calls, *config), sends(1, ask.auth("digest", b"super:secret"), *calls, config[0]))


def _pipelines() -> list[Step]:
    """Replies come in the order of the requests, reads see the writes before them, whatever the packets."""
    work = [ask.create("/w"), ask.get_data("/w", True), ask.set_data("/w", b"1"), ask.get_data("/w"), ask.ping()]
    work += [ask.multi(ask.set_data("/w", b"2"), ask.delete("/nope")), ask.get_data("/w"), ask.create("/w/s", flags=2)]
    work += [
        ask.get_children("/w", True),
        ask.delete("/w"),
        ask.delete("/w/s0000000000"),
        ask.delete("/w"),
        ask.exists("/w"),
    ]
    sizes = (0, 1, 2, 3, 4, 5, 7, 16, 64, 1000)
    return script([burst(0, *work, piece_bytes=size) for size in sizes], [burst(1, *work * 20)])


SCENARIOS: Final = {
    "modes of create": _modes(wire.CREATE),
    "modes of create2": _modes(wire.CREATE2),
    "modes of createContainer": _modes(wire.CREATE_CONTAINER),
    "times to live": _ttls(),
    "versions": _versions(),
    "sequence numbers": _sequences(),
    "stat fields": _stats(),
    "ephemerals": _ephemerals(),
    "what can be removed": _removal(),
    "number of descendants": _counts(),
    "unknown opcodes": _rare(),
    "unusual xids": _xids(),
    "sasl and sync": _sasl_and_sync(),
    "reconfig": _reconfig(),
    "pipelines": _pipelines(),
}
RECONFIG: Final = {"reconfig": _reconfig()}
