"""The handshake: new sessions, sessions presented again, requests that come with it."""

from typing import Final

from tests.compat import requests as ask
from tests.compat import wire
from tests.compat.steps import Drop, Open, Raw, Step, burst, script, sends
from tests.compat.wire import boolean, buf, frame, i32, i64

TIMEOUTS: Final = (0, 1, -1, 3999, 4000, 4001, 40_000, 599_999, 600_000, 600_001, 2**31 - 1, -(2**31))
PASSWORDS: Final = (bytes(16), b"", b"short", b"x" * 16, b"x" * 17, b"x" * 1000)


def _timeouts() -> list[Step]:
    opens = [Open(0, timeout_ms=timeout) for timeout in TIMEOUTS]
    again = [Open(1, session_of=0, timeout_ms=timeout) for timeout in TIMEOUTS]
    return script(opens, sends(0, ask.ping()), again, sends(1, ask.ping()))


def _passwords() -> list[Step]:
    steps = script(sends(0, ask.create("/e", flags=1)))
    for password in PASSWORDS:
        steps += [Open(1, password=password), *sends(1, ask.ping()), Open(2, session_of=0, password=password)]
        steps += sends(0, ask.exists("/e"))
    return [*steps, Open(2, session_of=0), *sends(2, ask.exists("/e"), ask.named(wire.GET_EPHEMERALS, "/"))]


def _move() -> list[Step]:
    """A session presented again leaves its old connection, with its ephemerals and without its watches."""
    return script(
        sends(0, ask.create("/e", flags=1), ask.exists("/e", True), ask.auth("digest", b"u:p")),
        [Open(1, session_of=0)],
        sends(1, ask.named(wire.GET_EPHEMERALS, "/"), ask.who_am_i()),
        sends(0, ask.create("/f", flags=1)),
        [Open(0, session_of=1), Open(0, session_of=0), Drop(0), Open(2, session_of=0)],
        sends(2, ask.set_data("/e", b""), ask.named(wire.GET_EPHEMERALS, "/"), ask.close_session()),
        [Open(2, session_of=2), Open(3, session_of=2, read_only=None)],
        sends(1, ask.exists("/e"), ask.exists("/f")),
    )


def _unknown_ids() -> list[Step]:
    ids = (1, -1, 2**63 - 1, -(2**63), 0x100000000000000, 0xFFFF)
    kinds = (None, bytes(16))
    return script(
        [Open(0, session_id=one, password=password) for one in ids for password in kinds], sends(0, ask.ping())
    )


def _zxids() -> list[Step]:
    """A client that has seen the future is sent away."""
    steps = script(sends(0, ask.create("/z")))
    for ahead in (0, -1, 1, 2, 1000, 2**40, -(2**50)):
        steps += [Open(1, ahead=ahead), *sends(1, ask.ping()), Open(1, session_of=1, ahead=ahead)]
    return steps + sends(1, ask.ping())


def _forms() -> list[Step]:
    """Connect requests of other sizes and other contents."""
    whole = wire.connect_request(0, 30_000, 0, bytes(16))
    null = wire.connect_request(0, 30_000, 0, None)
    version = i32(7) + whole[4:]
    forms = (
        *(
            whole,
            whole + b"\x00",
            whole + b"\x01",
            whole + b"\x02",
            whole + b"\x00\x00",
            whole + b"\xff" * 20,
            version + b"\x00",
        ),
        *(null, null + b"\x00", i32(-1) + whole[4:] + b"\x00"),
    )
    opens = [step for form in forms for step in (Open(0, payload=form), *sends(0, ask.ping(), ask.who_am_i()))]
    return script(
        opens,
        Open(1, read_only=None),
        Open(2, read_only=True),
        Open(1, session_of=1, read_only=True),
        sends(1, ask.ping()),
    )


def _refused() -> list[Step]:
    """First bytes that are no connect request: the server hangs up, all others are served on."""
    whole = wire.connect_request(0, 30_000, 0, bytes(16)) + b"\x00"
    broken = i32(0) + i64(0) + i32(30_000) + i64(0)
    bare = (
        *(frame(whole[:size]) for size in (0, 1, 4, 8, 12, 16, 20, 24, 27, 28, 29, 40, 43)),
        *(frame(broken + i32(size) + bytes(17)) for size in (-2, 2**31 - 1, -(2**31), 18, 100)),
        *(
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"\xff\xff\xff\xff",
            b"\x7f\xff\xff\xff",
            b"RUOK",
        ),
    )
    return script(
        sends(0, ask.create("/alive", flags=1)),
        [Raw(1, data, is_bare=True) for data in bare],
        sends(0, ask.exists("/alive")),
    )


def _early_requests() -> list[Step]:
    """Requests behind the connect request, before its answer."""
    work = (ask.create("/r", flags=1), ask.set_data("/r", b"x"), ask.get_data("/r", True), ask.ping())
    return script(
        Open(0, requests=work),
        Open(1, requests=(ask.get_children("/", True), ask.set_data("/r", b"y"), ask.create("/r/x"))),
        Open(2, session_of=0, requests=work[1:]),
        Open(3, session_of=0, password=b"wrong" * 4, requests=work[1:]),
        Open(3, ahead=50, requests=work[1:]),
        sends(1, ask.get_data("/r")),
    )


def _lies() -> list[Step]:
    """Frames whose length cannot be: the connection ends, the session stays."""
    steps = script(sends(0, ask.create("/l", flags=1)))
    for data in (
        b"\xff\xff\xff\xff",
        b"\x80\x00\x00\x00",
        b"\x7f\xff\xff\xff",
        i32(0x100000),
        i32(0x10000000) + bytes(100),
    ):
        steps += [*sends(1, ask.create("/m", flags=2)), Raw(1, data)]
    short = [Raw(1, frame(payload)) for payload in (b"", b"\x00", i32(1), i32(1) + b"\x00\x00\x00")]
    steps += [step for one in short for step in (*sends(1, ask.ping()), one)]
    return [*steps, Open(2, session_of=1), *sends(2, ask.ping()), *sends(0, ask.get_children2("/"))]


def _closing() -> list[Step]:
    """closeSession with more behind it, with a body, twice."""
    close = ask.close_session()
    return script(
        sends(0, ask.create("/c", flags=1), ask.raw(wire.CLOSE_SESSION, b"a body"), ask.exists("/c")),
        sends(1, ask.create("/c", flags=1), close),
        sends(1, ask.exists("/c", True), ask.with_xid(close, -5)),
        [burst(1, ask.create("/d"), ask.create("/d/e", flags=1), ask.get_children("/d", True), close)],
        sends(0, ask.get_children2("/d"), ask.create("/d/f", flags=1)),
    )


_null_password: Final = buf(None) + boolean(False)
SCENARIOS: Final = {
    "session timeouts": _timeouts(),
    "passwords": _passwords(),
    "a session moves": _move(),
    "unknown session ids": _unknown_ids(),
    "zxids of the future": _zxids(),
    "forms of the connect request": _forms(),
    "refused first bytes": _refused(),
    "requests before the answer": _early_requests(),
    "lengths that lie": _lies(),
    "closing": _closing(),
}
