"""How one server reaches another that has several addresses: they are tried in their order, at every dial anew.

    first ── refused ──> next            first ── silent for HEAD_START_S ──> next, and whichever connects first

A network that is down says nothing, so nobody waits for an answer before the next address is tried. Names are
resolved each time, since addresses move.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, TypeVar

from zoopark.jute.quorum import Address

HEAD_START_S: Final = 0.25
"""As in Happy Eyeballs, RFC 8305."""

_P = TypeVar("_P", bound=asyncio.Protocol)
_Attempt: TypeAlias = asyncio.Task[tuple[asyncio.Transport, _P] | str]


async def dial(
    loop: asyncio.AbstractEventLoop, accept: Callable[[], _P], addresses: Sequence[Address], patience_s: float
) -> _P:
    """Connect to the first of these that answers.

    Args:
        accept: makes the protocol of an attempt.
        addresses: at least one.
        patience_s: for each of them, names included.

    Effects: attempts that another one has overtaken are given up; should one have connected just so, it is aborted.
    Errors: OSError, which says what was tried and what became of it.
    """
    attempts: list[_Attempt[_P]] = []
    running: set[_Attempt[_P]] = set()
    waiting = list(addresses)
    try:
        while waiting or running:
            if waiting:
                attempts.append(loop.create_task(_attempt(loop, accept, waiting.pop(0), patience_s)))
                running.add(attempts[-1])
            timeout_s = HEAD_START_S if waiting else None
            _, running = await asyncio.wait(running, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            reached = _reached(attempts)
            if reached is not None:
                attempts.remove(reached[0])
                return reached[1]
        raise OSError(", ".join(str(attempt.result()) for attempt in attempts))
    finally:
        for attempt in attempts:
            _give_up(attempt)


async def _attempt(
    loop: asyncio.AbstractEventLoop, accept: Callable[[], _P], address: Address, patience_s: float
) -> tuple[asyncio.Transport, _P] | str:
    """A connection, or what a user should know of its failure."""
    host, port = address
    try:
        async with asyncio.timeout(patience_s):
            return await loop.create_connection(accept, host, port)
    except OSError as error:  # a TimeoutError too, which says nothing
        return f"{_reason(error)} at {host}:{port}"


def _reason(error: OSError) -> str:
    """In words, whichever loop it comes from; numbers of errors are nothing for people."""
    if isinstance(error, TimeoutError):
        return "no answer"
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return error.strerror or str(error)


def _reached(attempts: Sequence[_Attempt[_P]]) -> tuple[_Attempt[_P], _P] | None:
    """The first attempt that has connected, in the order of the addresses."""
    for attempt in attempts:
        if attempt.done() and not isinstance(found := attempt.result(), str):
            return attempt, found[1]
    return None


def _give_up(attempt: _Attempt[_P]) -> None:
    if not attempt.cancel() and attempt.exception() is None and not isinstance(found := attempt.result(), str):
        found[0].abort()
