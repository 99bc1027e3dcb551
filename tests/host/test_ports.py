"""Addresses: taken early, opened late, refused in one line."""

import asyncio
import socket
from collections.abc import Callable

import pytest
import uvloop

from zoopark.host.ports import PortError, bind, in_use


def test_a_bound_port_refuses_until_it_listens() -> None:
    """Nobody waits for a server that is still recovering: a client tries the next one."""
    (sock,) = bind("127.0.0.1", 0)
    with sock:
        address = sock.getsockname()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, 10)
        sock.listen()
        socket.create_connection(address, 10).close()


async def _delays_of_accepted() -> int:
    """What the loop has set of TCP_NODELAY on a connection it accepted."""
    loop = asyncio.get_running_loop()
    came: asyncio.Future[int] = loop.create_future()

    class Accepted(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            sock = transport.get_extra_info("socket")
            came.set_result(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    (sock,) = bind("127.0.0.1", 0)
    listener = await loop.create_server(Accepted, sock=sock)
    with socket.create_connection(sock.getsockname(), 10):
        is_set = await came
    listener.close()
    return is_set


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_what_is_said_to_who_comes_is_sent_at_once(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """With Nagle's algorithm a second small answer waits for the first one's acknowledgement: 40 ms."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(_delays_of_accepted())


def test_every_interface_has_one_port() -> None:
    """With any free port, IPv4 and IPv6 must not end up with different ones."""
    bound = bind("", 0)
    ports = {sock.getsockname()[1] for sock in bound}
    families = {sock.family for sock in bound}
    for sock in bound:
        sock.close()
    assert len(ports) == 1 and 0 not in ports
    assert socket.AF_INET in families and len(families) == len(bound)


def test_a_name_is_resolved() -> None:
    """clientPortAddress may be a host name."""
    bound = bind("localhost", 0)
    hosts = {sock.getsockname()[0] for sock in bound}
    for sock in bound:
        sock.close()
    assert hosts <= {"127.0.0.1", "::1"} and hosts


def test_a_port_in_use_is_named() -> None:
    """The usual mistake: the other server still runs."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortError) as raised:
            bind("127.0.0.1", port)
    assert str(raised.value) == (
        f"cannot listen on 127.0.0.1:{port}: the port is in use; stop the other server, or set clientPort"
    )


def test_somebody_who_was_faster_is_named_too() -> None:
    """Two servers may both bind while neither listens; the second to listen is told."""
    (first,) = bind("127.0.0.1", 0)
    port = first.getsockname()[1]
    (second,) = bind("127.0.0.1", port)
    with first, second:
        first.listen()
        with pytest.raises(OSError) as raised:
            second.listen()
        text = str(in_use(second, raised.value))
    assert text == f"cannot listen on 127.0.0.1:{port}: the port is in use; stop the other server, or set clientPort"


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("192.0.2.7", "this machine has no such address; see clientPortAddress"),
        ("no.such.host.invalid", "no such host: "),
    ],
)
def test_an_address_that_is_not_ours(host: str, why: str) -> None:
    """A zoo.cfg copied from another machine."""
    with pytest.raises(PortError) as raised:
        bind(host, 0)
    assert str(raised.value).startswith(f"cannot listen on {host}:0: {why}")
