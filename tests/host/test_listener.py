"""The client port over real sockets: order, limits, and clients that do not read."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest

from tests.compat import wire
from tests.faults.process import create_body
from zoopark.host.listener import MAX_UNSENT_BYTES, ClientLink
from zoopark.host.server import Server
from zoopark.host.storage import FileDisk
from zoopark.server.config import default_config
from zoopark.server.recovery import recover

PATIENCE_S = 30
CONNECT = wire.frame(wire.connect_request(0, 40_000, 0, bytes(16)) + b"\x00")
BIG = b"x" * 400_000


class Guest:
    """A client as a pair of streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def frame(self) -> bytes:
        size = int.from_bytes(await self.take(4), "big")
        return await self.take(size)

    async def take(self, count: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(count), PATIENCE_S)

    def stop_reading(self) -> None:
        cast(asyncio.Transport, self.writer.transport).pause_reading()

    def read_on(self) -> None:
        cast(asyncio.Transport, self.writer.transport).resume_reading()

    async def end(self) -> bytes:
        """Everything until the server closes."""
        return await asyncio.wait_for(self.reader.read(), PATIENCE_S)

    async def open_session(self) -> None:
        self.writer.write(CONNECT)
        await self.frame()

    async def call(self, xid: int, opcode: int, body: bytes) -> bytes:
        self.writer.write(wire.request(xid, opcode, body))
        return await self.frame()


class House:
    """A server in this process, and its guests."""

    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self.port = port
        self.guests: list[Guest] = []

    async def guest(self) -> Guest:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.guests.append(Guest(reader, writer))
        return self.guests[-1]

    def link(self) -> ClientLink:
        (link,) = self.server.links.values()
        return link


def played(home: Path, story: Callable[[House], Awaitable[None]], keys: dict[str, str] | None = None) -> None:
    """The story, in a house of its own; the server must come through it unbroken."""

    async def play() -> None:
        config = default_config(str(home), {"clientPort": "0", "preAllocSize": "64", **(keys or {})})
        FileDisk().make_directory(f"{home}/version-2")
        loop = asyncio.get_running_loop()
        disk = FileDisk()
        server = Server(config, recover(config, disk, lambda what, done, size: None), disk, loop)
        loop.set_exception_handler(server.on_broken)
        listener = await loop.create_server(lambda: cast(asyncio.Protocol, ClientLink(server)), "127.0.0.1", 0)
        house = House(server, listener.sockets[0].getsockname()[1])
        try:
            await story(house)
        finally:
            listener.close()
            server.close()
            for guest in house.guests:
                guest.writer.transport.abort()
            await asyncio.sleep(0)
        assert server.exit_code == 0

    asyncio.run(play())


def test_requests_in_any_pieces_are_answered_in_order(tmp_path: Path) -> None:
    """A write, a read behind it, and a ping, byte by byte."""

    async def story(house: House) -> None:
        guest = await house.guest()
        stream = CONNECT + wire.request(1, wire.CREATE, create_body("/a", b"v", 0))
        stream += wire.request(2, wire.GET_DATA, wire.string("/a") + b"\x00") + wire.request(-2, wire.PING, b"")
        sock = guest.writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in stream:
            guest.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert len(await guest.frame()) == 37
        xids = [(await guest.frame())[:4] for _ in range(3)]
        assert xids == [wire.i32(1), wire.i32(2), wire.i32(-2)]

    played(tmp_path, story)


def test_one_too_many_from_one_address_is_closed_at_once(tmp_path: Path) -> None:
    """maxClientCnxns; the others stay."""

    async def story(house: House) -> None:
        first, second = await house.guest(), await house.guest()
        await first.open_session()
        third = await house.guest()
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await third.take(1)
        assert (await first.call(1, wire.EXISTS, wire.string("/") + b"\x00"))[:4] == wire.i32(1)
        first.writer.close()
        await first.end()
        await asyncio.sleep(0)
        await second.open_session()

    played(tmp_path, story, {"maxClientCnxns": "2"})


def test_keep_alive_is_the_users_choice(tmp_path: Path) -> None:
    """clientTcpKeepAlive finds peers whose machine is gone."""

    async def story(house: House) -> None:
        await (await house.guest()).open_session()
        transport = house.link().transport
        assert transport is not None
        sock = transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1

    played(tmp_path, story, {"clientTcpKeepAlive": "true"})


def test_a_client_that_does_not_read_is_not_read_from(tmp_path: Path) -> None:
    """Its answers wait, within a limit; once it reads, all of them come, in order."""

    async def story(house: House) -> None:
        guest = await house.guest()
        await guest.open_session()
        await guest.call(1, wire.CREATE, create_body("/big", BIG, 0))
        ask = b"".join(wire.request(xid, wire.GET_DATA, wire.string("/big") + b"\x00") for xid in range(500))
        guest.stop_reading()
        guest.writer.write(ask)
        link = house.link()
        await asyncio.wait_for(until(lambda: link.is_choked and link.is_paused), PATIENCE_S)
        assert link.transport is not None
        assert link.transport.get_write_buffer_size() < 20 * len(BIG)
        guest.read_on()
        for xid in range(500):
            assert (await guest.frame())[:4] == wire.i32(xid)
        await asyncio.wait_for(until(lambda: not link.is_paused), PATIENCE_S)

    played(tmp_path, story)


def test_a_client_that_reads_fast_is_never_left_waiting(tmp_path: Path) -> None:
    """Large answers are held back one after the other, also when the system takes every one of them at once."""

    async def story(house: House) -> None:
        guest = await house.guest()
        await guest.open_session()
        await guest.call(1, wire.CREATE, create_body("/big", BIG, 0))
        server_side = house.link().transport
        assert server_side is not None
        server_side.set_write_buffer_limits(high=1 << 30)  # never choked
        guest.writer.write(wire.request(7, wire.GET_DATA, wire.string("/big") + b"\x00") * 200)
        for _ in range(200):
            assert (await guest.frame())[:4] == wire.i32(7)

    played(tmp_path, story)


def test_a_client_with_too_much_unsent_is_cut_off(tmp_path: Path) -> None:
    """Events come whether one reads or not; there must be an end."""

    async def story(house: House) -> None:
        guest = await house.guest()
        await guest.open_session()
        guest.stop_reading()
        link = house.link()
        assert link.connection is not None
        for _ in range(2):
            link.connection.out.append(bytes(MAX_UNSENT_BYTES))
            link.write()
        await asyncio.wait_for(until(lambda: not house.server.links), PATIENCE_S)

    played(tmp_path, story)


def test_the_last_words_are_sent_before_the_connection_is_closed(tmp_path: Path) -> None:
    """closeSession is answered, a four-letter word too."""

    async def story(house: House) -> None:
        guest = await house.guest()
        await guest.open_session()
        guest.writer.write(wire.request(1, wire.CLOSE_SESSION, b""))
        assert (await guest.end())[4:8] == wire.i32(1)
        word = await house.guest()
        word.writer.write(b"ruok")
        assert await word.end() == b"imok"

    played(tmp_path, story, {"4lw.commands.whitelist": "*"})


async def until(is_so: Callable[[], bool]) -> None:
    """Turns of the loop until it is so; the caller sets a deadline."""
    come = asyncio.Event()

    def look() -> None:
        if is_so():
            come.set()
        else:
            asyncio.get_running_loop().call_later(0.001, look)

    look()
    await come.wait()
