"""Reaching a server over the first of its addresses that answers."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.compat.oracle import free_port
from zoopark.host.dialling import dial

HOST = "127.0.0.1"
DEADLINE_S = 20.0


def _reached(ports: list[int], patience_s: float = 10.0) -> int:
    """The port that was connected to; nothing is left of the other attempts."""

    async def run() -> int:
        loop = asyncio.get_running_loop()
        transports: list[asyncio.BaseTransport] = []

        class Noted(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                transports.append(transport)

        async with asyncio.timeout(DEADLINE_S):
            await dial(loop, Noted, [(HOST, port) for port in ports], patience_s)
            if others := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(others)
        (stays,) = [transport for transport in transports if not transport.is_closing()]
        port = stays.get_extra_info("peername")[1]
        stays.close()
        return int(port)

    return asyncio.run(run())


@pytest.fixture
def open_ports() -> Iterator[list[int]]:
    """Two that take connections."""
    listeners = [socket.create_server((HOST, 0)) for _ in range(2)]
    yield [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()


def test_the_first_address_that_answers_is_taken(open_ports: list[int]) -> None:
    one, other = open_ports
    assert _reached([one, other]) == one
    assert _reached([free_port(), other, one]) == other


def test_an_address_that_does_not_answer_costs_its_head_start_only(open_ports: list[int]) -> None:
    """Its queue of connections is full, so nobody says anything; the patience is beyond the deadline."""
    with socket.create_server((HOST, 0), backlog=0) as silent, socket.socket() as taker, socket.socket() as waiting:
        for plug in (taker, waiting):
            plug.setblocking(False)
            plug.connect_ex(silent.getsockname())
        place = silent.getsockname()
        assert _reached([place[1], open_ports[0]], 10 * DEADLINE_S) == open_ports[0]
        assert _reached([place[1], free_port(), open_ports[0]], 10 * DEADLINE_S) == open_ports[0]
        with pytest.raises(OSError, match=f"^no answer at {HOST}:{place[1]}$"):
            _reached([place[1]], 0.05)


class LevelLoop(asyncio.SelectorEventLoop):
    """Two connections are made in the same turn, whichever began first."""

    def __init__(self) -> None:
        super().__init__()
        self.level = asyncio.Barrier(2)

    async def create_connection(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        made = await super().create_connection(*args, **kwargs)
        await self.level.wait()
        return made


class Ending(asyncio.Protocol):
    """Knows when it ends."""

    def __init__(self) -> None:
        self.end = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.end.set_result(None)


def test_of_two_that_connect_at_once_the_first_stays(open_ports: list[int]) -> None:
    """The other one must not stay open with nobody to close it."""
    made: list[Ending] = []

    def accept() -> Ending:
        made.append(Ending())
        return made[-1]

    async def run() -> None:
        async with asyncio.timeout(DEADLINE_S):
            loop = asyncio.get_running_loop()
            taken = await dial(loop, accept, [(HOST, port) for port in open_ports], DEADLINE_S)
            first, second = made
            await second.end
        assert taken is first and not first.end.done()
        first.transport.close()

    with asyncio.Runner(loop_factory=LevelLoop) as runner:
        runner.run(run())


def test_if_none_answers_all_are_named() -> None:
    """A user must see what was tried."""
    ports = [free_port(), free_port()]
    with pytest.raises(
        OSError, match=f"^connection refused at {HOST}:{ports[0]}, connection refused at {HOST}:{ports[1]}$"
    ):
        _reached(ports)
