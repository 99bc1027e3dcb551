"""Limits and throttles: zoopark and Apache ZooKeeper 3.9.3 let in, close and count alike.

Each case is a zoo.cfg and what clients try under it; what came of it, with the counters that `mntr` shows afterwards,
must be the same.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.compat import oracle, wire
from tests.compat import requests as ask
from tests.compat.conftest import Referee
from tests.compat.oracle import Flavour, Server
from tests.compat.requests import Request
from tests.compat.wire import Link

pytestmark = [pytest.mark.compat, pytest.mark.xdist_group("limits")]

TIMEOUT_MS: Final = 10_000
CLOSED_SECONDS: Final = 60.0
DEFAULT_SECONDS: Final = 10.0
"""Of nio.sessionlessCnxnTimeout: who does not know the key hangs up as late as that."""
NEW: Final = (0, bytes(16))
LARGE: Final = {"largeRequestMaxBytes": "3000"}
COUNTERS: Final = (
    "connection_rejected",
    "connection_request_count",
    "connection_revalidate_count",
    "connection_drop_probability",
    "cnt_connection_token_deficit",
    "max_connection_token_deficit",
    "sum_connection_token_deficit",
    "large_requests_rejected",
    "sessionless_connections_expired",
    "throttled_ops",
    "stale_requests_dropped",
)
Session = tuple[int, bytes]
Found = list[object]


def greeting(session: Session = NEW) -> bytes:
    return wire.frame(wire.connect_request(0, TIMEOUT_MS, *session) + b"\x00")


def encode(xid: int, request: Request) -> bytes:
    assert isinstance(request.body, bytes)
    return wire.request(xid, request.opcode, request.body)


class Clients:
    """The clients of one server; `leave` closes all of them."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.links: list[Link] = []

    def bare(self, data: bytes) -> Link:
        """A connection that has sent some bytes."""
        link = Link(self.server.address)
        self.links.append(link)
        link.send(data)
        return link

    def connect(self, session: Session = NEW) -> tuple[Link, Session | None]:
        """A connection with a session, None if the server closed it without a word."""
        link = self.bare(greeting(session))
        frame = link.receive(CLOSED_SECONDS)
        if frame is None:
            return link, None
        reader = wire.Reader(frame)
        reader.i32(), reader.i32()
        return link, (reader.i64(), reader.buf() or b"")

    def is_refused(self) -> bool:
        """Whether one more client gets no session; the system may tell that already while it connects."""
        try:
            return self.connect()[1] is None
        except OSError:
            return True

    def counters(self) -> list[str]:
        """The rows of `mntr` that limits have a part in."""
        rows = self.server.word("mntr").splitlines()
        return sorted(row for row in rows if row.partition("\t")[0].removeprefix("zk_") in COUNTERS)

    def leave(self) -> None:
        for link in self.links:
            link.close()


def replies(link: Link, count: int) -> list[tuple[int, int]]:
    """(xid, err) of so many replies, fewer if the server closes."""
    found: list[tuple[int, int]] = []
    while len(found) < count and (frame := link.receive(CLOSED_SECONDS)) is not None:
        reader = wire.Reader(frame)
        xid, _, err = reader.i32(), reader.i64(), reader.i32()
        found.append((xid, err))
    return found


def is_closed(link: Link) -> bool:
    """Whether the server has closed a link with a session, and does not answer a ping."""
    link.send(encode(wire.PING_XID, ask.ping()))
    return replies(link, 1) == []


def too_many_connections(clients: Clients) -> Found:
    """No counters: there is no connection left to ask for them."""
    kept = [clients.connect() for _ in range(2)]
    late = [clients.is_refused() for _ in range(3)]
    return [[session is None for _, session in kept], late, [is_closed(link) for link, _ in kept]]


def no_session(clients: Clients) -> Found:
    began_s = time.monotonic()
    links = [clients.bare(data) for data in (b"", b"\x00\x00", greeting()[:20])]
    kept, _ = clients.connect()
    ends = [link.receive(CLOSED_SECONDS) for link in links]
    is_soon = time.monotonic() - began_s < DEFAULT_SECONDS
    return [*ends, is_soon, is_closed(kept), clients.counters()]


def tokens(clients: Clients) -> Found:
    first, session = clients.connect()
    assert session is not None
    news = [clients.connect()[1] is None for _ in range(3)]
    backs = [clients.connect(session)[1] is None for _ in range(2)]
    return [news, backs, is_closed(first), clients.counters()]


def sized(size_bytes: int) -> Request:
    return ask.set_data("/x", b"z" * (size_bytes - 8 - len(ask.plain(ask.set_data("/x", b"")))))


def large(clients: Clients, may_be_larger: bool = False) -> Found:
    """One that is too large is refused when its length is there; any other one is answered when all of it is."""
    link, _ = clients.connect()
    link.send(encode(1, ask.create("/x")))
    found: Found = [replies(link, 1)]
    for size_bytes in (1000, 1009, 2999, 3000, 3001, 3500):
        link, _ = clients.connect()
        link.send(encode(1, sized(size_bytes)))
        found.append((size_bytes, replies(link, 1)))
    for size_bytes in (3000, 3001):
        link, _ = clients.connect()
        begun, rest = encode(1, sized(size_bytes))[:40], encode(1, sized(size_bytes))[40:]
        link.send(begun)
        if may_be_larger or size_bytes <= int(LARGE["largeRequestMaxBytes"]):
            link.send(rest)
        found.append((size_bytes, "begun", replies(link, 1)))
    return [*found, clients.counters()]


def few_in_the_server(clients: Clients) -> Found:
    """All are answered in order, however few may be in the server."""
    link, _ = clients.connect()
    calls = [ask.create("/x"), *(ask.set_data("/x", b"1"), ask.get_data("/x"), ask.exists("/y")) * 100]
    link.send(b"".join(encode(xid, call) for xid, call in enumerate(calls, 1)))
    return [replies(link, len(calls)), clients.counters()]


Try = Callable[[Clients], Found]
FOREVER: Final = {"connection_throttle_fill_time": "10000000"}
WEIGHTS: Final = {
    "connection_throttle_weight_enabled": "true",
    "connection_throttle_global_session_weight": "4",
    "connection_throttle_local_session_weight": "3",
    "connection_throttle_renew_session_weight": "1",
}
CASES: Final[dict[str, tuple[Mapping[str, str], Try]]] = {
    "maxClientCnxns": ({"maxClientCnxns": "2"}, too_many_connections),
    "maxCnxns": ({"maxCnxns": "2"}, too_many_connections),
    "nio.sessionlessCnxnTimeout": ({"nio.sessionlessCnxnTimeout": "3000"}, no_session),
    "no tokens": ({}, tokens),
    "tokens": ({**FOREVER, "connection_throttle_tokens": "3"}, tokens),
    "weighted tokens": ({**FOREVER, **WEIGHTS, "connection_throttle_tokens": "3"}, tokens),
    "large requests": ({**LARGE, "largeRequestThreshold": "1000"}, large),
    "large requests from 0": ({**LARGE, "largeRequestThreshold": "0"}, partial(large, may_be_larger=True)),
    "globalOutstandingLimit": ({"globalOutstandingLimit": "1"}, few_in_the_server),
    "request_throttle_max_requests": (
        {"request_throttle_max_requests": "3", "request_throttle_stall_time": "2"},
        few_in_the_server,
    ),
}


def outcome(flavour: Flavour, home: Path, case: str) -> Found:
    settings, attempt = CASES[case]
    home.mkdir()
    server = Server(flavour, home, settings).start()
    clients = Clients(server)
    try:
        return attempt(clients)
    finally:
        clients.leave()
        server.stop()


@pytest.mark.parametrize("case", CASES)
def test_limits_are_kept_alike(referee: Referee, tmp_path: Path, case: str) -> None:
    expected = outcome(referee("3.9.3"), tmp_path / "apache", case)
    assert expected == outcome(oracle.zoopark(), tmp_path / "zoopark", case)
