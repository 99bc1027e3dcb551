"""The election channel over loopback: who dials, what is said again, and what strangers get."""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from tests.compat.oracle import free_port
from zoopark.host.strangers import Complaints
from zoopark.host.votes import SILENT_S, Votes
from zoopark.jute.quorum import LOOKING, Notification, Opening, Vote, encode_notification, encode_opening

PATIENCE_S = 10.0


class Booth:
    """One server's election port; what it was told waits in `heard`."""

    def __init__(self, sid: int, addresses: dict[int, tuple[str, int]]) -> None:
        loop = asyncio.get_running_loop()
        self.heard: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
        self.address = addresses[sid]
        self.votes = Votes(
            loop, sid, {at: [place] for at, place in addresses.items()}, self._on_notification, Complaints(loop.time)
        )
        self.listener: asyncio.Server | None = None

    async def open(self) -> None:
        self.listener = await asyncio.get_running_loop().create_server(self.votes.accept, *self.address)

    async def hear(self) -> tuple[int, int]:
        """The next (sid, round)."""
        return await asyncio.wait_for(self.heard.get(), PATIENCE_S)

    def close(self) -> None:
        if self.listener is not None:
            self.listener.close()
        self.votes.close()

    def _on_notification(self, sid: int, notification: Notification) -> None:
        self.heard.put_nowait((sid, notification.round))


def _vote(round_: int) -> Notification:
    return Notification(LOOKING, Vote(1, 0, 0), round_)


def _play(scene: Callable[[dict[int, Booth]], Coroutine[None, None, None]]) -> None:
    """A scene with servers 1, 2 and 3, none of which listens yet."""

    async def run() -> None:
        addresses = {sid: ("127.0.0.1", free_port()) for sid in (1, 2, 3)}
        booths = {sid: Booth(sid, addresses) for sid in addresses}
        try:
            await scene(booths)
        finally:
            for booth in booths.values():
                booth.close()

    asyncio.run(run())


@pytest.mark.parametrize(("sender", "receiver"), [(1, 2), (2, 1)])
def test_a_vote_arrives_whoever_has_the_larger_id(sender: int, receiver: int) -> None:
    """The larger one's connection is used; the smaller one knocks, and is dialled back."""

    async def scene(booths: dict[int, Booth]) -> None:
        await booths[1].open()
        await booths[2].open()
        booths[sender].votes.notify(receiver, _vote(7))
        assert await booths[receiver].hear() == (sender, 7)
        booths[receiver].votes.notify(sender, _vote(8))
        assert await booths[sender].hear() == (receiver, 8)

    _play(scene)


def test_only_the_newest_vote_waits() -> None:
    """For a server that is not there yet; it is dialled again until it is."""

    async def scene(booths: dict[int, Booth]) -> None:
        for round_ in range(1, 100):
            booths[3].votes.notify(1, _vote(round_))
        await booths[1].open()
        assert await booths[1].hear() == (3, 99)
        booths[3].votes.notify(1, _vote(100))
        assert await booths[1].hear() == (3, 100)

    _play(scene)


def test_the_last_vote_is_said_again_after_a_reconnect() -> None:
    """What the old connection still carried is unknown."""

    async def scene(booths: dict[int, Booth]) -> None:
        await booths[1].open()
        booths[3].votes.notify(1, _vote(5))
        assert await booths[1].hear() == (3, 5)
        booths[1].close()
        again = Booth(1, {sid: booth.address for sid, booth in booths.items()})
        await again.open()
        assert await again.hear() == (3, 5)
        again.close()

    _play(scene)


def _raw_opening(sid: int) -> bytes:
    return encode_opening(Opening(sid, (("127.0.0.1", 1),)))


STRANGERS = [
    (b"GET / HTTP/1.1\r\n\r\n", "a notification of 1414541105 bytes"),
    (b"\xff" * 64, "an unknown election protocol"),
    (struct.pack(">qqi", -65536, 1, 0x7FFFFFFF), "an address of 2147483647 bytes"),
    (_raw_opening(9), "says it is server 9, which is not configured"),
    (_raw_opening(2), "has the id of this server, 2: two servers with one myid?"),
    (_raw_opening(3) + struct.pack(">i", 1 << 30), f"a notification of {1 << 30} bytes"),
    (_raw_opening(3) + struct.pack(">i", 4) + b"four", "a notification of 4 bytes"),
]


@pytest.mark.parametrize(("data", "why"), STRANGERS)
def test_a_stranger_is_closed_and_disturbs_nobody(data: bytes, why: str, caplog: pytest.LogCaptureFixture) -> None:
    """One line for the log, whatever the number of tries; a member is heard at the same time."""
    caplog.set_level(logging.WARNING)

    async def scene(booths: dict[int, Booth]) -> None:
        await booths[2].open()
        loop = asyncio.get_running_loop()
        for _ in range(3):
            with socket.create_connection(booths[2].address, PATIENCE_S) as plug:
                plug.setblocking(False)
                await loop.sock_sendall(plug, data)
                try:
                    assert await asyncio.wait_for(loop.sock_recv(plug, 1), PATIENCE_S) == b""
                except ConnectionError:
                    continue
        booths[3].votes.notify(2, _vote(4))
        assert await booths[2].hear() == (3, 4)

    _play(scene)
    said = [record.message for record in caplog.records if "election port" in record.message]
    assert said == [f"127.0.0.1 on the election port: {why}"]


def test_half_a_handshake_costs_nothing_but_its_socket() -> None:
    """It is held open, and members vote meanwhile."""

    async def scene(booths: dict[int, Booth]) -> None:
        await booths[1].open()
        with socket.create_connection(booths[1].address, PATIENCE_S) as plug:
            plug.sendall(_raw_opening(3)[:11])
            booths[3].votes.notify(1, _vote(6))
            assert await booths[1].hear() == (3, 6)
            assert len(booths[1].votes.strangers) == 1

    _play(scene)


def test_a_newer_connection_takes_the_place_of_an_older_one() -> None:
    """A server that was restarted must not wait for the end of what it had before."""

    async def scene(booths: dict[int, Booth]) -> None:
        await booths[1].open()
        loop = asyncio.get_running_loop()
        plugs = []
        for round_ in (1, 2):
            plugs.append(socket.create_connection(booths[1].address, PATIENCE_S))
            plugs[-1].setblocking(False)
            await loop.sock_sendall(plugs[-1], _raw_opening(3) + encode_notification(_vote(round_)))
            assert await booths[1].hear() == (3, round_)
        try:
            assert await asyncio.wait_for(loop.sock_recv(plugs[0], 1), PATIENCE_S) == b""
        except ConnectionError:
            assert True
        booths[1].votes.notify(3, _vote(3))
        assert await asyncio.wait_for(loop.sock_recv(plugs[1], 999), PATIENCE_S) == encode_notification(_vote(3))
        for plug in plugs:
            plug.close()

    _play(scene)


def test_a_vote_for_oneself_or_for_nobody_goes_nowhere() -> None:
    """An election counts its own vote."""

    async def scene(booths: dict[int, Booth]) -> None:
        booths[1].votes.notify(1, _vote(1))
        booths[1].votes.notify(77, _vote(1))
        assert booths[1].heard.empty()

    _play(scene)


def test_a_server_with_several_networks_may_come_over_any(caplog: pytest.LogCaptureFixture) -> None:
    """After a network has failed it redials over another one; its addresses are the same."""
    places = (("127.0.0.1", 7), ("127.0.0.2", 7))

    async def scene(booths: dict[int, Booth]) -> None:
        await booths[1].open()
        for round_, (source, _) in enumerate(places):
            plug = socket.create_connection(booths[1].address, 10, (source, 0))
            plug.sendall(encode_opening(Opening(3, places), is_multi_address=True))
            plug.sendall(encode_notification(_vote(round_)))
            assert await booths[1].hear() == (3, round_)
            plug.close()

    _play(scene)
    assert not [record.message for record in caplog.records if "one myid" in record.message]


def test_two_servers_with_one_id_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """They come in turns, from one machine or two; a server that comes again from where it was is nothing new."""

    async def scene(booths: dict[int, Booth]) -> None:
        await booths[1].open()
        for port in (7, 7, 8, 7):
            plug = socket.create_connection(booths[1].address, 10)
            plug.sendall(encode_opening(Opening(3, (("127.0.0.1", port),))))
            plug.sendall(encode_notification(_vote(port)))
            assert await booths[1].hear() == (3, port)
            plug.close()

    _play(scene)
    said = [record.message for record in caplog.records if "one myid" in record.message]
    assert said == [
        "server 3 came from 127.0.0.1, at 127.0.0.1:7, and comes from 127.0.0.1, at 127.0.0.1:8: "
        "two servers with one myid?"
    ]


class Told(logging.Handler):
    """What the log is told, to be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.put_nowait(record.getMessage())

    async def next(self) -> str:
        return await asyncio.wait_for(self.lines.get(), PATIENCE_S)


def test_a_server_that_stays_away_is_told_of_and_so_is_its_return(caplog: pytest.LogCaptureFixture) -> None:
    """Who starts four servers one after another must not be alarmed, and who waits for one must see which."""
    caplog.set_level(logging.INFO, "zoopark")

    async def scene(booths: dict[int, Booth]) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        booths[3].votes.notify(1, _vote(5))
        port = booths[1].address[1]
        line = f"server 1 does not answer yet (connection refused at 127.0.0.1:{port}); it is tried again"
        assert await told.next() == line
        assert loop.time() - began_s >= SILENT_S
        await booths[1].open()
        assert await told.next() == "server 1 answers now"
        assert await booths[1].hear() == (3, 5)

    logger = logging.getLogger("zoopark")
    told = Told()
    logger.addHandler(told)
    try:
        _play(scene)
    finally:
        logger.removeHandler(told)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_server_that_closes_at_once_is_dialled_again(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """As one does that is killed. uvloop raises where one writes to what is closed, which stopped this server, too."""
    n_servers = 50

    def refuse(listener: socket.socket) -> None:
        """Twice as many connections as there are servers, each reset as soon as it is there."""
        for _ in range(2 * n_servers):
            plug, _ = listener.accept()
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            plug.close()

    async def scene(listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        unexpected: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: unexpected.append(context))
        addresses = {sid: [listener.getsockname()] for sid in range(n_servers + 1)}
        votes = Votes(loop, n_servers, addresses, lambda *_: None, Complaints(loop.time))
        for sid in range(n_servers):
            votes.notify(sid, _vote(1))
        await asyncio.wait_for(loop.run_in_executor(None, refuse, listener), PATIENCE_S)
        votes.close()
        assert unexpected == []

    with (
        socket.create_server(("127.0.0.1", 0), backlog=n_servers) as listener,
        asyncio.Runner(loop_factory=new_loop) as runner,
    ):
        listener.settimeout(PATIENCE_S)
        runner.run(scene(listener))
