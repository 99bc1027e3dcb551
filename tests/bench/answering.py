"""A server that speaks just enough of the protocol for a load generator."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

GET, SET, CREATE, SYNC, CLOSE = 4, 5, 1, 9, -11
STAT = bytes(68)


class Answering:
    """Speaks just enough of the protocol: nodes by path, one thread a connection.

    Args:
        fault: "xid", "error" or "short": what is wrong with the hundredth reply; "" for none.
    """

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.nodes: dict[bytes, bytes] = {}
        self.requests = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def at(self) -> tuple[str, int]:
        return ("127.0.0.1", self._listener.getsockname()[1])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.at[1]}"

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with suppress(OSError), link, link.makefile("rb") as stream:
            _frame(stream.read(4), stream.read)
            link.sendall(struct.pack(">iiiqi16s?", 37, 0, 30000, 1, 16, bytes(16), False))
            while head := stream.read(4):
                request = _frame(head, stream.read)
                xid, op = struct.unpack_from(">ii", request)
                link.sendall(self._reply(xid, op, request[8:]))
                if op == CLOSE:
                    return

    def _reply(self, xid: int, op: int, body: bytes) -> bytes:
        self.requests += 1
        answer = self._answer(op, body)
        is_wrong = self.requests == 100
        xid += is_wrong and self.fault == "xid"
        error = -4 if is_wrong and self.fault == "error" else 0
        answer = answer[: -1 if is_wrong and self.fault == "short" else None]
        return struct.pack(">iiqi", 16 + len(answer), xid, 7, error) + answer

    def _answer(self, op: int, body: bytes) -> bytes:
        if op == CLOSE:
            return b""
        path, rest = _buffer(body)
        if op == SYNC:
            return body
        if op == GET:
            return struct.pack(">i", len(self.nodes[path])) + self.nodes[path] + STAT
        self.nodes[path], rest = _buffer(rest)
        if op == SET:
            return STAT
        path += b"0000000001" * rest.endswith(struct.pack(">i", 3))
        return struct.pack(">i", len(path)) + path


@contextmanager
def answering(fault: str = "") -> Iterator[Answering]:
    server = Answering(fault)
    try:
        yield server
    finally:
        server.close()


def _frame(head: bytes, read: Callable[[int], bytes]) -> bytes:
    return read(int.from_bytes(head, "big"))


def _buffer(body: bytes) -> tuple[bytes, bytes]:
    size = int.from_bytes(body[:4], "big")
    return body[4 : 4 + size], body[4 + size :]
