"""Reaching a server over the first of its addresses that answers."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from tests.compat.oracle import free_port
from zoopark.host.dialling import dial

HOST = "127.0.0.1"


def _reached(ports: list[int], patience_s: float = 10.0) -> int:
    """The port that was connected to."""

    async def run() -> int:
        loop = asyncio.get_running_loop()
        transports: list[asyncio.BaseTransport] = []

        class Noted(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                transports.append(transport)

        await dial(loop, Noted, [(HOST, port) for port in ports], patience_s)
        port = transports[0].get_extra_info("peername")[1]
        transports[0].close()
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


def test_an_address_that_does_not_answer_costs_its_patience_only(open_ports: list[int]) -> None:
    """Its queue of connections is full, so nobody says anything."""
    with socket.create_server((HOST, 0), backlog=0) as silent, socket.socket() as taker, socket.socket() as waiting:
        for plug in (taker, waiting):
            plug.setblocking(False)
            plug.connect_ex(silent.getsockname())
        place = silent.getsockname()
        assert _reached([place[1], open_ports[0]], 0.05) == open_ports[0]
        with pytest.raises(OSError, match=f"^{HOST}:{place[1]}: no answer$"):
            _reached([place[1]], 0.05)


def test_if_none_answers_all_are_named() -> None:
    """A user must see what was tried."""
    ports = [free_port(), free_port()]
    with pytest.raises(OSError, match=rf"{HOST}:{ports[0]}: .*; {HOST}:{ports[1]}: "):
        _reached(ports)
