"""Seeded random sequences of steps that reach deep.

Names come from a tiny alphabet under one node, so that sessions meet each other all the time; every kind of create has
its delete, so that about half of the requests succeed. What a seed gives never changes on one version of this file.
"""

from collections.abc import Callable
from random import Random
from typing import Final

from tests.compat import requests as ask
from tests.compat import wire
from tests.compat.requests import Acl, Request
from tests.compat.steps import Drop, Open, Raw, Send, Step

ROOT: Final = "/r"
LINKS: Final = 4
LEVELS: Final = ("a", "b", "c")
ODD_PATHS: Final = (
    *("", "/", "r", "//", "/r/", "/r//a", "/r/.", "/r/..", "/r/./a", "/r/../a", "/r/a/", "/r/\0", "/r/\x01", "/r/\x1f"),
    *(
        "/r/\x7f",
        "/r/\x9f",
        "/r/\xa0",
        "/r/é",
        "/r/漢",
        "/r/\ud7ff",
        "/r/\ue000",
        "/r/\uf8ff",
        "/r/\uf900",
        "/r/\ufff0",
    ),
    *(
        "/r/😀",
        b"/r/\xed\xa0\xbd\xed\xb8\x80",
        b"/r/\xff",
        b"/r/\xc3",
        b"/r/\xe6\xbc",
        "/r/a\ufeff",
        "/r/ ",
        "/r/...",
        None,
    ),
    *("/zookeeper", "/zookeeper/quota", "/zookeeper/config", "/zookeeper/nope", "/r/a/b/c/a/b/c"),
)
QUOTA: Final = "/zookeeper/quota"
USERS: Final = (("u", "p"), ("v", "q"))
ACLS: Final = (*((ask.OPEN,) * 30, (ask.READ_ONLY,) * 2, (ask.CREATOR,) * 3),)
GOOD_ACLS: Final[tuple[tuple[Acl, ...], ...]] = (
    (Acl(1, "world", "anyone"), Acl(30, "auth", "")),
    (Acl(31, "digest", ask.digest_id("u", "p")),),
    (Acl(15, "digest", ask.digest_id("v", "q")), Acl(17, "world", "anyone")),
    (Acl(31, "ip", "127.0.0.1"),),
    (Acl(31, "ip", "127.0.0.0/8"), Acl(1, "world", "anyone")),
    (Acl(31, "ip", "10.1.2.3"), Acl(2, "world", "anyone")),
    (Acl(5, "world", "anyone"), Acl(5, "world", "anyone")),
    (Acl(0, "world", "anyone"),),
    (Acl(6, "world", "anyone"),),
)
BAD_ACLS: Final[tuple[tuple[Acl, ...] | None, ...]] = (
    None,
    (),
    (Acl(31, "world", "someone"),),
    (Acl(31, "digest", "nocolon"),),
    (Acl(31, "digest", "two:co:lons"),),
    (Acl(31, "ip", "not an address"),),
    (Acl(31, "ip", "127.0.0.1/33"),),
    (Acl(31, "nope", "x"),),
    (Acl(31, "super", ""),),
    (Acl(31, None, None),),
    (Acl(31, "", ""),),
    (Acl(31, "auth", None),),
    (Acl(1, "world", "anyone"), Acl(31, "x509", "CN=a")),
)
DATA: Final = (b"", b"x", b"0123456789", None, b"\xff\x00", b"y" * 300)
WRITES: Final = (
    *(wire.CREATE, wire.CREATE2, wire.CREATE_CONTAINER, wire.CREATE_TTL, wire.DELETE, wire.SET_DATA, wire.MULTI),
    wire.RECONFIG,
)
SLOTS: Final = (2**31 - 1, -(2**31), -2, 100)


class Generator:
    """A source of steps; all its chance comes from `random`."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._has_quotas = random.random() < 0.5
        self._makers: list[Callable[[], Request]] = []
        for weight, maker in self._weights():
            self._makers += [maker] * weight

    def steps(self, count: int) -> list[Step]:
        """`count` steps after the one that makes the root of all names."""
        first: list[Step] = [Send(0, (ask.create(ROOT),))]
        return first + [self._step() for _ in range(count)]

    def _weights(self) -> list[tuple[int, Callable[[], Request]]]:
        return [
            (20, self._create),
            (3, self._create_ttl),
            (14, self._delete),
            (14, self._set_data),
            (4, self._set_acl),
            (3, lambda: ask.get_acl(self._path())),
            (22, self._read),
            (2, lambda: ask.named(wire.SYNC, self._path())),
            (2, lambda: ask.named(wire.GET_EPHEMERALS, self._random.choice(("", "/", ROOT, self._path(), None)))),
            (2, lambda: ask.named(wire.GET_ALL_CHILDREN_NUMBER, self._path())),
            (14, self._multi),
            (3, self._multi_read),
            (8, lambda: ask.add_watch(self._path(), self._random.choice((0, 1, 0, 1, 0, 1, 2, -1)))),
            (3, lambda: ask.watches(wire.CHECK_WATCHES, self._path(), self._random.randint(0, 6))),
            (4, lambda: ask.watches(wire.REMOVE_WATCHES, self._path(), self._random.randint(0, 6))),
            (3, self._set_watches),
            (2, self._auth),
            (1, ask.who_am_i),
            (1, ask.ping),
            (6 if self._has_quotas else 0, self._quota),
            (1, lambda: ask.reconfig(None, None, None)),
            (1, ask.close_session),
        ]

    def _step(self) -> Step:
        link = self._random.randrange(LINKS)
        dice = self._random.random()
        if dice < 0.01:
            return self._open(link)
        if dice < 0.015:
            return Drop(link)
        if dice < 0.02:
            return Raw(
                link,
                self._random.choice(
                    (b"\xff\xff\xff\xff", b"\x80\x00\x00\x00", b"\x7f\xff\xff\xff", b"\x00\x10\x00\x01")
                ),
            )
        if dice < 0.03:
            return Send(link, (self._strange(),))
        if dice < 0.10:
            return Send(link, (self._spoiled(self._request()),))
        if dice < 0.13:
            return Send(link, (self._request(),), self._random.randint(1, 9))
        if dice < 0.23:
            return Send(link, self._burst(), self._random.choice((0, 0, 0, 7)))
        return Send(link, (self._request(),))

    def _request(self) -> Request:
        return self._random.choice(self._makers)()

    def _burst(self) -> tuple[Request, ...]:
        """Requests sent without waiting.

        Left out is what a real server answers out of order or hangs up after, and what it decides by a state it may not
        have reached yet: an ACL just set, a quota just used or changed. Where there are quotas, only the last writes.
        """
        wanted = self._random.randint(2, 8)
        unfit = (wire.AUTH, wire.CLOSE_SESSION, wire.SET_ACL)
        fit = [request for request in (self._request() for _ in range(wanted * 3)) if request.opcode not in unfit]
        if not self._has_quotas:
            return tuple(fit[:wanted])
        writes = [request for request in fit if request.opcode in WRITES]
        reads = [request for request in fit if request.opcode not in WRITES]
        return (*reads[:wanted], *writes[:1])

    def _strange(self) -> Request:
        opcode = self._random.choice((wire.CHECK, 0, 10, 23, 108, -1, -2, -12, 99, 1000, 2**31 - 1))
        return ask.raw(opcode, ask.plain(ask.check(self._path(), 0)))

    def _open(self, link: int) -> Step:
        whose = self._random.choice((None, link, link, self._random.randrange(LINKS)))
        password = self._random.choice((None, None, None, None, bytes(16), b"short"))
        ahead = self._random.choice((None, None, None, 0, -1, 1, 1000))
        timeout_ms = self._random.choice((120_000, 150_000, 60_000, 600_001, 2**31 - 1))
        return Open(link, whose, timeout_ms, password, ahead, self._random.choice((False, None, True)))

    def _path(self) -> str | bytes | None:
        if self._random.random() < 0.04:
            return self._random.choice(ODD_PATHS)
        depth = self._random.choice((0, 1, 1, 1, 1, 1, 2, 2, 2, 3))
        path = "/".join([ROOT, *(self._random.choice(LEVELS) for _ in range(depth))])
        if self._random.random() < 0.04:
            path += f"/s{self._random.randint(0, 6):010d}"
        return path

    def _acl(self) -> tuple[Acl, ...] | None:
        dice = self._random.random()
        if dice < 0.84:
            return ask.OPEN
        if dice < 0.95:
            return self._random.choice((*GOOD_ACLS, ask.READ_ONLY, ask.CREATOR, ask.CREATOR))
        return self._random.choice(BAD_ACLS)

    def _version(self) -> int:
        dice = self._random.random()
        if dice < 0.6:
            return -1
        return self._random.randint(0, 3) if dice < 0.96 else self._random.choice(SLOTS)

    def _flags(self) -> int:
        return self._random.choice((0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, -1))

    def _create(self) -> Request:
        opcode = self._random.choice((wire.CREATE, wire.CREATE, wire.CREATE2, wire.CREATE2, wire.CREATE_CONTAINER))
        flags = 4 if opcode == wire.CREATE_CONTAINER and self._random.random() < 0.8 else self._flags()
        path = self._path()
        if flags in (2, 3, 6) and isinstance(path, str) and self._random.random() < 0.8:
            path += self._random.choice(("/s", "/s", "/", "-"))
        return ask.create(path, self._random.choice(DATA), self._acl(), flags, opcode)

    def _create_ttl(self) -> Request:
        """Never with a flag that is not TTL: a time out of bounds then ends a real 3.9 with exit code 1."""
        ttl_ms = self._random.choice((10**8, 10**8, 1, 0, -1, 0xFFFFFFFFFF, 0x10000000000))
        return ask.create_ttl(self._path(), ttl_ms, self._random.choice((5, 5, 5, 6, 6)), self._acl())

    def _delete(self) -> Request:
        return ask.delete(self._path(), self._version())

    def _set_data(self) -> Request:
        return ask.set_data(self._path(), self._random.choice(DATA), self._version())

    def _set_acl(self) -> Request:
        return ask.set_acl(self._path(), self._acl(), self._version())

    def _read(self) -> Request:
        return ask.read(self._random.choice(tuple(ask.READS)), self._path(), self._random.random() < 0.4)

    def _multi(self) -> Request:
        makers = (self._create, self._create, self._delete, self._set_data, self._check, self._create_ttl)
        parts = [self._random.choice(makers)() for _ in range(self._random.choice((0, 1, 1, 2, 2, 3, 5)))]
        if self._random.random() < 0.05:
            parts.append(self._request())
        return ask.multi(*(part for part in parts if isinstance(part.body, bytes)))

    def _check(self) -> Request:
        return ask.check(self._path(), self._version())

    def _multi_read(self) -> Request:
        opcodes = (wire.GET_DATA, wire.GET_DATA, wire.GET_CHILDREN, wire.GET_CHILDREN)
        parts = [ask.read(self._random.choice(opcodes), self._path()) for _ in range(self._random.randint(0, 4))]
        if self._random.random() < 0.1:
            parts.append(self._random.choice((self._delete, self._read))())
        return ask.multi(*parts, opcode=wire.MULTI_READ)

    def _set_watches(self) -> Request:
        paths = [[str(self._path()) for _ in range(self._random.randint(0, 3))] for _ in range(5)]
        count = self._random.choice((3, 5))
        lists = [[path for path in some if path.startswith(ROOT)] for some in paths[:count]]
        return ask.set_watches(self._random.choice((0, 1, 3, 10, 1000)), *lists)

    def _auth(self) -> Request:
        user, password = self._random.choice(USERS)
        good = ask.auth("digest", f"{user}:{password}".encode())
        others = (
            ask.auth("digest", b"nocolon"),
            ask.auth("ip", b"1.2.3.4"),
            ask.auth("nope", b""),
            ask.auth("world", b""),
        )
        return good if self._random.random() < 0.9 else self._random.choice((*others, ask.auth("digest", b"super:no")))

    def _quota(self) -> Request:
        """Something about a quota of one of the nodes."""
        node = self._random.choice((ROOT, f"{ROOT}/a", f"{ROOT}/b", f"{ROOT}/a/b"))
        leaf = self._random.choice(("", "", "/zookeeper_limits", "/zookeeper_limits", "/zookeeper_stats"))
        count, size = self._random.choice((-1, 2, 4)), self._random.choice((-1, 5, 400))
        hard = f"=;byteHardLimit={self._random.choice((-1, 20, 500))};countHardLimit={self._random.choice((-1, 3, 6))}"
        text = f"count={count},bytes={size}" + self._random.choice(("", hard, hard))
        words = (text,) if leaf.endswith("stats") else (text, text, text, text, "rubbish")  # see scenarios/quotas.py
        data = self._random.choice(words).encode()
        path = f"{QUOTA}{node}{leaf}"
        makers = (
            lambda: ask.create(path, data),
            lambda: ask.create(path, data),
            lambda: ask.set_data(path, data),
            lambda: ask.delete(path),
            lambda: ask.get_data(path, self._random.random() < 0.3),
        )
        return self._random.choice(makers)()

    def _spoiled(self, request: Request) -> Request:
        """The request with its body damaged; those that would end the connection out of order stay whole."""
        if not isinstance(request.body, bytes) or request.opcode in (wire.AUTH, wire.CLOSE_SESSION, wire.PING):
            return request
        body = bytearray(request.body)
        place = self._random.randrange(len(body) + 1)
        dice = self._random.random()
        if dice < 0.4:
            return ask.with_body(request, bytes(body[:place]), "cut")
        if dice < 0.55:
            return ask.with_body(request, bytes(body) + b"\x00\x00\x00\x01z"[: self._random.randint(1, 5)], "longer")
        if dice < 0.8 and len(body) >= 4:
            body[:4] = wire.i32(
                self._random.choice((-1, -2, 0, 1, 2**31 - 1, -(2**31), len(body), 0x00100000, 0x00200000))
            )
            return ask.with_body(request, bytes(body), "another first length")
        if place < len(body) and request.opcode not in (wire.CREATE_TTL, wire.MULTI):  # for the reason in _create_ttl
            body[place] = self._random.randrange(256)
        return ask.with_body(request, bytes(body), "one byte changed")
