"""The client port: sockets to connections and back.

One Protocol object per client. Replies to reads are written as soon as the chunk that asked for them is parsed; what
waits for the disk is written when the server's turn ends. Reading stops while a client has more in process than it
may, or does not take its replies.
"""

import asyncio
import socket
from typing import TYPE_CHECKING, Final, cast, final

from zoopark.server.connection import Connection

if TYPE_CHECKING:
    from zoopark.host.server import Server

MAX_UNSENT_BYTES: Final = 64 << 20
"""A client that lets so many bytes lie is closed."""


@final
class ClientLink:
    """One accepted socket; does what asyncio.Protocol asks for without being one, so that it can be compiled."""

    __slots__ = ("connection", "is_choked", "is_paused", "server", "transport")

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.connection: Connection | None = None
        self.transport: asyncio.Transport | None = None
        self.is_paused = False
        self.is_choked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        if not peer:  # it is gone already
            cast(asyncio.Transport, transport).abort()
            return
        connection = self.server.member.on_connect(peer[0], peer[1], self.server.now())
        if connection is None:
            cast(asyncio.Transport, transport).abort()
            self.server.wake()
            return
        # uvloop's transports do what asyncio.Transport promises without being one.
        self.transport = cast(asyncio.Transport, transport)
        self.connection = connection
        self.server.links[connection.connection_id] = self
        if self.server.config.has_client_tcp_keep_alive:
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.server.wake()

    def data_received(self, data: bytes) -> None:
        connection, server = self.connection, self.server
        if connection is None or self.transport is None:
            return
        server.n_chunks += 1
        connection.on_bytes(data, server.now())
        if connection.out:
            self.transport.write(connection.take_out())
        if connection.accepted != connection.finished or connection.parts.to_close or connection.is_held:
            server.wake()
            if connection.has_much_to_do():
                self.pause()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.connection is not None:
            self.server.links.pop(self.connection.connection_id, None)
            self.server.paused.pop(self, None)
            self.server.member.on_disconnect(self.connection)
            self.connection = None

    def eof_received(self) -> None:
        """The client says no more; the loop closes the socket then."""

    def pause_writing(self) -> None:
        self.is_choked = True
        self.pause()

    def resume_writing(self) -> None:
        self.is_choked = False
        self.resume()

    def write(self) -> None:
        """Send what the connection has to say."""
        assert self.connection is not None and self.transport is not None
        self.transport.write(self.connection.take_out())
        if self.is_choked and self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.transport.abort()

    def close(self) -> None:
        """Send what is left, then close."""
        assert self.connection is not None and self.transport is not None
        if self.connection.out:
            self.write()
        self.transport.close()

    def pause(self) -> None:
        """Stop reading."""
        if not self.is_paused and self.transport is not None and not self.transport.is_closing():
            self.is_paused = True
            self.transport.pause_reading()
            self.server.paused[self] = None

    def resume(self) -> None:
        """Go on with what waits for the client to read, then read on, if nothing speaks against it."""
        connection, transport = self.connection, self.transport
        if self.is_choked or connection is None or transport is None or transport.is_closing():
            return
        connection.on_written(self.server.now())
        if connection.out:
            self.write()
        # What was held may have held writes. And if the system took everything at once, nothing else comes back here.
        is_taken = connection.is_held and not connection.is_stalled and not self.is_choked
        if is_taken or self.server.member.has_effects():
            self.server.wake()
        if self.is_choked or connection.has_much_to_do():
            return
        if self.is_paused:
            self.is_paused = False
            del self.server.paused[self]
            transport.resume_reading()
