"""ZooKeeper's client protocol over a blocking socket, written a second time on purpose.

This codec shares no line with `zoopark.jute`: it is the second opinion that the differential test needs. It can also
say what no sane client would (lengths that lie, null strings, half a frame), so every writer takes what it is given.
"""

import select
import socket
import struct
import time
from collections.abc import Sequence
from typing import Final

OPEN_SECONDS: Final = 10
RECEIVE_BYTES: Final = 1 << 16
NULL: Final = b"\xff\xff\xff\xff"
MASK_48: Final = (1 << 48) - 1

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_ACL, SET_ACL, GET_CHILDREN, SYNC = range(1, 10)
PING, GET_CHILDREN2, CHECK, MULTI, CREATE2, RECONFIG, CHECK_WATCHES, REMOVE_WATCHES = range(11, 19)
CREATE_CONTAINER, DELETE_CONTAINER, CREATE_TTL, MULTI_READ = range(19, 23)
AUTH, SET_WATCHES, SASL, GET_EPHEMERALS, GET_ALL_CHILDREN_NUMBER, SET_WATCHES2, ADD_WATCH, WHO_AM_I = range(100, 108)
CREATE_SESSION, CLOSE_SESSION, ERROR = -10, -11, -1

EVENT_XID, PING_XID, AUTH_XID, SET_WATCHES_XID = -1, -2, -4, -8


class ShortError(Exception):
    """A record ended before its last field."""


class SilenceError(Exception):
    """The other side neither answered nor closed the connection in time."""


def i32(value: int) -> bytes:
    return struct.pack(">i", value)


def i64(value: int) -> bytes:
    return struct.pack(">q", value)


def boolean(value: bool) -> bytes:
    return b"\x01" if value else b"\x00"


def buf(value: bytes | None) -> bytes:
    return NULL if value is None else i32(len(value)) + value


def string(value: str | bytes | None) -> bytes:
    """A string; bytes go out as they are, so that they may be bad UTF-8."""
    return buf(value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value)


def vector(items: Sequence[bytes] | None) -> bytes:
    return NULL if items is None else i32(len(items)) + b"".join(items)


def frame(payload: bytes) -> bytes:
    return i32(len(payload)) + payload


def request(xid: int, opcode: int, body: bytes) -> bytes:
    """A whole request, framed."""
    return frame(i32(xid) + i32(opcode) + body)


def connect_request(last_zxid: int, timeout_ms: int, session_id: int, password: bytes | None) -> bytes:
    """The payload of a ConnectRequest without its last byte, readOnly: 44 bytes with an ordinary password."""
    return i32(0) + i64(last_zxid) + i32(timeout_ms) + i64(session_id) + buf(password)


def session_password(session_id: int) -> bytes:
    """The password that every server derives from a session id: 16 bytes of java.util.Random."""
    state = ((session_id ^ 0xB3415C00) ^ 0x5DEECE66D) & MASK_48
    out = b""
    for _ in range(4):
        state = (state * 0x5DEECE66D + 0xB) & MASK_48
        out += struct.pack("<I", state >> 16)
    return out


class Reader:
    """Reads the fields of a record one after the other; ShortError when they are not there."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, size: int) -> bytes:
        end = self.position + size
        if size < 0 or end > len(self.data):
            raise ShortError(f"{size} bytes at {self.position} of {len(self.data)}")
        piece = self.data[self.position : end]
        self.position = end
        return piece

    def i32(self) -> int:
        return int.from_bytes(self.take(4), "big", signed=True)

    def i64(self) -> int:
        return int.from_bytes(self.take(8), "big", signed=True)

    def boolean(self) -> int:
        """The byte itself: a server that writes 2 for true is to be seen."""
        return self.take(1)[0]

    def buf(self) -> bytes | None:
        size = self.i32()
        return None if size == -1 else self.take(size)

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.position)


class Link:
    """One TCP connection that sends any bytes and receives frames, every wait with a deadline."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, OPEN_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pending = b""
        self.is_open = True

    def send(self, data: bytes) -> None:
        """Send all bytes. That the other side has closed shows at the next `receive`, not here."""
        try:
            self._socket.sendall(data)
        except OSError:
            return

    def receive(self, seconds: float = OPEN_SECONDS) -> bytes | None:
        """The next frame without its length; None when the other side closed; SilenceError after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            if len(self._pending) >= 4:
                end = 4 + int.from_bytes(self._pending[:4], "big")
                if len(self._pending) >= end:
                    payload, self._pending = self._pending[4:end], self._pending[end:]
                    return payload
            piece = self._read(deadline)
            if not piece:
                self.close()
                return None
            self._pending += piece

    def receive_all(self, seconds: float = OPEN_SECONDS) -> bytes:
        """Every byte until the other side closes; SilenceError after `seconds`."""
        deadline = time.monotonic() + seconds
        while piece := self._read(deadline):
            self._pending += piece
        self.close()
        return self._pending

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self._socket.close()

    def _read(self, deadline: float) -> bytes:
        if not self.is_open:
            return b""
        ready, _, _ = select.select([self._socket], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise SilenceError
        try:
            return self._socket.recv(RECEIVE_BYTES)
        except OSError:  # a reset is an end like any other: which of the two one sees depends on timing
            return b""
