"""One conversation of the client protocol, and how it is captured: `python -m tests.jute.capture` asks Apache 3.9.3.

What differs between two right servers is zeros in the golden file: session ids, passwords and times.
"""

import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.compat import oracle, wire
from tests.compat import requests as ask
from tests.compat.requests import Acl, Request

GOLDEN: Final = Path(__file__).parents[1] / "golden" / "wire.hex"
SETTINGS: Final = {"extendedTypesEnabled": "true", "maxSessionTimeout": "40000"}
PROVENANCE: Final = (
    "# Apache ZooKeeper 3.9.3, standalone, {settings}: one client on a raw socket, python -m tests.jute.capture; "
    "> was sent, < came back; session ids, passwords and times are zeros\n"
)
TIMEOUT_MS: Final = 30_000

CONVERSATION: Final[tuple[Request, ...]] = (
    ask.create("/a", b"data", opcode=wire.CREATE),
    ask.create("/a/b", b""),
    ask.create("/a/e", None, flags=1),
    ask.create("/a/s-", b"", flags=3),
    ask.create("/c", b"", flags=4, opcode=wire.CREATE_CONTAINER),
    ask.create_ttl("/t", 5000),
    ask.create("/a"),
    ask.create("/none/x"),
    ask.create("bad"),
    ask.exists("/a", watch=True),
    ask.exists("/none", watch=True),
    ask.get_data("/a"),
    ask.get_data("/a/e"),
    ask.get_data("/t"),
    ask.get_data("/c"),
    ask.set_data("/a", b"more", 0),
    ask.set_data("/a", b"more", 7),
    ask.get_acl("/a"),
    ask.set_acl("/a/b", [Acl(31, "ip", "127.0.0.1"), Acl(1, "world", "anyone")]),
    ask.get_acl("/a/b"),
    ask.get_children("/c"),
    ask.get_children2("/a/b"),
    ask.named(wire.SYNC, "/a"),
    ask.named(wire.GET_ALL_CHILDREN_NUMBER, "/a"),
    ask.named(wire.GET_EPHEMERALS, "/a/e"),
    ask.add_watch("/a", 1),
    ask.multi(ask.create("/m", b"1"), ask.set_data("/m", b"2"), ask.check("/m", 1), ask.delete("/m")),
    ask.multi(ask.set_data("/a", b"3"), ask.delete("/none"), ask.delete("/a/b")),
    ask.multi(ask.get_data("/a"), ask.get_data("/none"), ask.get_children("/c"), opcode=wire.MULTI_READ),
    ask.delete("/a"),
    ask.delete("/a/b"),
    ask.watches(wire.CHECK_WATCHES, "/a", 5),
    ask.watches(wire.REMOVE_WATCHES, "/a", 5),
    ask.watches(wire.REMOVE_WATCHES, "/a", 5),
    ask.who_am_i(),  # before the second identity: their order is that of a hash table
    ask.auth("digest", b"user:password"),
    ask.raw(wire.GET_DATA, b""),
    ask.ping(),
    ask.close_session(),
)


def encoded(request: Request, number: int) -> bytes:
    """A request of the conversation; its xid is its number unless it has one of its own."""
    return wire.request(number if request.xid is None else request.xid, request.opcode, ask.plain(request))


def masked(frame: bytes, session_id: int, start_ms: int, end_ms: int) -> bytes:
    """A frame with zeros for the session id, its password and the times from start_ms to end_ms."""
    frame = frame.replace(wire.i64(session_id), bytes(8)).replace(wire.session_password(session_id), bytes(16))
    times = b"|".join(re.escape(prefix) for prefix in {wire.i64(ms)[:5] for ms in (start_ms, end_ms)})

    def zeros(found: re.Match[bytes]) -> bytes:
        moment = int.from_bytes(found[0], "big")
        return bytes(8) if start_ms <= moment <= end_ms else found[0]

    return re.sub(b"(?:" + times + b")...", zeros, frame, flags=re.DOTALL)


def capture() -> str:
    """The golden file's text, from a server that is started for it."""
    lines = [PROVENANCE.format(settings=", ".join(f"{key}={value}" for key, value in SETTINGS.items()))]
    with tempfile.TemporaryDirectory() as home:
        server = oracle.Server(oracle.apache("3.9.3"), Path(home), SETTINGS).start()
        try:
            lines += _converse(server.address)
        finally:
            server.stop()
    return "".join(lines)


def _converse(address: tuple[str, int]) -> list[str]:
    start_ms = time.time_ns() // 1_000_000 - 1
    link = wire.Link(address)
    hello = wire.frame(wire.connect_request(0, TIMEOUT_MS, 0, bytes(16)) + b"\0")
    link.send(hello)
    answer = link.receive()
    assert answer is not None
    session_id = int.from_bytes(answer[8:16], "big", signed=True)
    rows: list[tuple[str, bytes]] = [(">", hello[4:]), ("<", answer)]
    for number, request in enumerate(CONVERSATION, 1):
        sent = encoded(request, number)
        link.send(sent)
        rows.append((">", sent[4:]))
        while True:
            frame = link.receive()
            assert frame is not None
            rows.append(("<", frame))
            if frame[:4] == sent[4:8]:
                break
    link.close()
    end_ms = time.time_ns() // 1_000_000 + 1
    return [f"{sign} {masked(frame, session_id, start_ms, end_ms).hex()}\n" for sign, frame in rows]


if __name__ == "__main__":
    GOLDEN.write_text(capture(), encoding="utf-8")
    sys.stdout.write(f"{GOLDEN}\n")
