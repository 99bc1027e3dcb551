"""Every znode that one member has, asked of that member by one request after the other, many at a time."""

import asyncio
from typing import Final

from chaos.members import Seat
from zoopark import errors
from zoopark.jute.buffer import Reader
from zoopark.sim import asks
from zoopark.sim.asks import Ask
from zoopark.sim.checkers import Violation

TIMEOUT_MS: Final = 10_000
WAIT_S: Final = 30.0
AT_ONCE: Final = 500
_OWN: Final = b"/zookeeper"

Rows = dict[bytes, bytes]
"""The answer to getData by path: the data and the Stat, as bytes."""


async def rows_of(seat: Seat) -> Rows:
    """Every znode but the service's own, read through a session that is closed again. Raises Violation."""
    try:
        async with asyncio.timeout(WAIT_S):
            reader, writer = await asyncio.open_connection(seat.host, seat.ports[2])
            try:
                return await _walk(reader, writer)
            finally:
                writer.close()
    except (OSError, EOFError) as error:
        raise Violation(f"rows: member {seat.sid} does not give its znodes: {error!r}") from error


async def _walk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Rows:
    writer.write(asks.connect(0, TIMEOUT_MS, 0))
    await _frame(reader)
    await _ask(reader, writer, [asks.sync(b"/")])
    rows: Rows = {}
    paths = [b"/"]
    while paths:
        found = await _ask(reader, writer, [asks.get_data(path) for path in paths])
        rows.update((path, bytes(body)) for path, (_, body) in zip(paths, found, strict=True))
        listings = [asks.children(path) for path in paths]
        answers = await _ask(reader, writer, listings)
        parents, paths = paths, []
        for parent, ask, (head, body) in zip(parents, listings, answers, strict=True):
            names = asks.read_answer(ask, 0, head, Reader(body)).names
            paths += [path for name in names if (path := parent.rstrip(b"/") + b"/" + name) != _OWN]
    await _ask(reader, writer, [asks.close()])
    return rows


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wanted: list[Ask]
) -> list[tuple[int, bytes]]:
    """(error, body) of the answer to each."""
    answers = []
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        writer.write(b"".join(asks.frame(xid, ask.op, ask.body) for xid, ask in enumerate(some, 1)))
        for _ in some:
            head = Reader(await _frame(reader))
            head.i32(), head.i64()
            err = head.i32()
            if err != errors.OK:
                raise Violation(f"rows: a znode that nobody changes any more gives error {err}")
            answers.append((err, head.data[head.position :]))
    return answers


async def _frame(reader: asyncio.StreamReader) -> bytes:
    size = int.from_bytes(await reader.readexactly(4), "big")
    return await reader.readexactly(size)
