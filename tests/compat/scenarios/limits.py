"""`jute.maxbuffer` at 4096: what just fits, what does not, and what is only checked inside."""

from typing import Final

from tests.compat import requests as ask
from tests.compat import wire
from tests.compat.requests import Request
from tests.compat.steps import Raw, Step, burst, script, sends
from tests.compat.wire import boolean, i32, string

LIMIT: Final = 4096
HEADER_BYTES: Final = 8


def _sized(frame_bytes: int) -> Request:
    """A setData whose frame is this long."""
    body = HEADER_BYTES + len(ask.plain(ask.set_data("/x", b"")))
    return ask.set_data("/x", b"z" * (frame_bytes - body))


def _frames() -> list[Step]:
    steps = script(sends(0, ask.create("/x")))
    for size in (LIMIT - 1, LIMIT):
        steps += sends(1, _sized(size), ask.get_data("/x"))
    for size in (LIMIT + 1, LIMIT * 2):
        request = _sized(size)
        steps += [*sends(1, ask.ping()), Raw(1, wire.request(9, request.opcode, ask.plain(request)))]
    return [*steps, burst(1, *[_sized(LIMIT)] * 5), burst(2, _sized(LIMIT), ask.get_data("/x"), piece_bytes=100)]


def _fields() -> list[Step]:
    sizes = (LIMIT, LIMIT + 1023, LIMIT + 1024, LIMIT * 2 - 1, LIMIT * 2, LIMIT * 2 + 1, LIMIT * 3)
    calls = [ask.raw(wire.GET_DATA, i32(size) + b"/x" + boolean(False)) for size in sizes]
    writes = [ask.raw(wire.SET_DATA, string("/x") + i32(size) + b"/x" + i32(-1)) for size in sizes]
    vectors = [ask.raw(wire.SET_ACL, string("/x") + i32(size) + i32(-1)) for size in sizes]
    return script(sends(0, ask.create("/x"), *calls, *writes, *vectors, ask.get_data("/x")))


def _answers() -> list[Step]:
    """Replies may be longer than any request."""
    names = [ask.create(f"/x/{'n' * 100}{i}") for i in range(60)]
    reads = ask.multi(*[ask.get_data("/y")] * 5, opcode=wire.MULTI_READ)
    return script(
        sends(0, ask.create("/x"), *names, ask.get_children("/x"), ask.get_children2("/x")),
        sends(0, ask.create("/y", b"y" * 3900), reads, ask.multi(*[ask.set_data("/y", b"1" * 1900)] * 2)),
    )


SCENARIOS: Final = {"frames at the limit": _frames(), "fields at the limit": _fields(), "long answers": _answers()}
