"""One client session over `wire`: one request at a time, and the walk through everything it can see.

Every reply is read by hand here, so that a tree which two servers tell alike is told alike by both to a third party.
"""

from dataclasses import dataclass
from typing import Final

from tests.compat import wire
from tests.compat.wire import Link, Reader

OPEN_ACL: Final = wire.vector([wire.i32(31) + wire.string("world") + wire.string("anyone")])
STAT_FIELDS: Final = (
    *("czxid", "mzxid", "ctime", "mtime", "version", "cversion", "aversion"),
    *("ephemeral_owner", "data_length", "num_children", "pzxid"),
)
WIDE_FIELDS: Final = frozenset({"czxid", "mzxid", "ctime", "mtime", "ephemeral_owner", "pzxid"})
NO_NODE: Final = -101
PATIENCE_SECONDS: Final = 60
"""An ensemble on a busy machine may elect a leader before it answers."""


class RefusedError(Exception):
    """The server does not take the session, or answered a request that had to work with an error."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply: its zxid, its error code and what follows the header."""

    zxid: int
    error: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Event:
    """What a watch said: the event's type and the path."""

    kind: int
    path: str


@dataclass(frozen=True, slots=True)
class Node:
    """All that a client can learn about a node."""

    data: bytes | None
    stat: dict[str, int]
    acl: tuple[tuple[int, bytes | None, bytes | None], ...]
    children: tuple[str, ...]


class Session:
    """A session of its own connection.

    Args:
        address: host and port.
        timeout_ms: what to ask for.
        session_id: a session to go on with, 0 for a new one; its password is derived.
        last_zxid: the last that the client has seen.
        is_read_only: whether to ask for a server that answers reads only.

    Attributes:
        is_read_only: whether this is one.
        events: what watches have said so far, in order.

    Errors: RefusedError if the session is not to be had.
    """

    def __init__(
        self,
        address: tuple[str, int],
        timeout_ms: int = 30_000,
        session_id: int = 0,
        last_zxid: int = 0,
        is_read_only: bool = False,
    ) -> None:
        self._link = Link(address)
        self.events: list[Event] = []
        password = wire.session_password(session_id) if session_id else bytes(16)
        request = wire.connect_request(last_zxid, timeout_ms, session_id, password)
        self._link.send(wire.frame(request + wire.boolean(is_read_only)))
        answer = self._link.receive(PATIENCE_SECONDS)
        if answer is None:
            self.close()
            raise RefusedError("the server hung up on the connect request")
        reader = Reader(answer)
        reader.i32()
        self.timeout_ms = reader.i32()
        self.session_id = reader.i64()
        if self.session_id == 0:
            self.close()
            raise RefusedError(f"session {session_id:#x} has expired")
        reader.buf()
        self.is_read_only = reader.boolean() == 1
        self._xid = 0

    def call(self, opcode: int, body: bytes, xid: int | None = None) -> Reply:
        """Send a request and wait for its reply; RefusedError if the server hangs up."""
        self._xid += 1
        asked = self._xid if xid is None else xid
        self._link.send(wire.request(asked, opcode, body))
        while frame := self._link.receive(PATIENCE_SECONDS):
            reader = Reader(frame)
            answered = reader.i32()
            if answered == asked:
                return Reply(reader.i64(), reader.i32(), reader.rest())
            self._note(answered, reader)
        raise RefusedError(f"the server hung up on opcode {opcode}")

    def wait_events(self, count: int) -> list[Event]:
        """All events so far, once there are so many; RefusedError if the server hangs up, SilenceError if none come."""
        while len(self.events) < count:
            frame = self._link.receive(PATIENCE_SECONDS)
            if frame is None:
                raise RefusedError(f"the server hung up after {len(self.events)} of {count} events")
            reader = Reader(frame)
            self._note(reader.i32(), reader)
        return self.events

    def wait_end(self) -> None:
        """Until the server closes the connection; SilenceError if it does not. Events are kept."""
        while frame := self._link.receive(PATIENCE_SECONDS):
            reader = Reader(frame)
            self._note(reader.i32(), reader)

    def _note(self, xid: int, reader: Reader) -> None:
        if xid == wire.EVENT_XID:
            reader.take(12)
            kind, _, path = reader.i32(), reader.i32(), reader.buf() or b""
            self.events.append(Event(kind, path.decode()))

    def must(self, opcode: int, body: bytes) -> Reader:
        """The body of a reply without an error; RefusedError otherwise."""
        reply = self.call(opcode, body)
        if reply.error != 0:
            raise RefusedError(f"opcode {opcode} {body[:100]!r}: error {reply.error}")
        return Reader(reply.body)

    def authenticate(self, scheme: str, credential: bytes) -> None:
        """Add an identity; RefusedError if the server does not take it."""
        if self.call(wire.AUTH, wire.i32(0) + wire.string(scheme) + wire.buf(credential), wire.AUTH_XID).error != 0:
            raise RefusedError(f"scheme {scheme}")

    def create(self, path: str, data: bytes | None = b"", flags: int = 0, acl: bytes = OPEN_ACL) -> str:
        """Create a node and return its path, with its number if it has one."""
        body = wire.string(path) + wire.buf(data) + acl + wire.i32(flags)
        return (self.must(wire.CREATE, body).buf() or b"").decode()

    def end(self) -> None:
        """Close the session and the connection."""
        self.call(wire.CLOSE_SESSION, b"")
        self.close()

    def close(self) -> None:
        """Hang up; the session stays until it expires."""
        self._link.close()

    def walk(self) -> dict[str, Node]:
        """Every node by its path, from the root down in the order of names."""
        found: dict[str, Node] = {}
        waiting = ["/"]
        while waiting:
            path = waiting.pop()
            found[path] = self.node(path)
            waiting += [f"{path.rstrip('/')}/{name}" for name in reversed(found[path].children)]
        return found

    def node(self, path: str) -> Node:
        """What there is to know about a node; RefusedError if it is missing or hidden from this session."""
        reader = self.must(wire.GET_DATA, wire.string(path) + b"\x00")
        data, stat = reader.buf(), read_stat(reader)
        reader = self.must(wire.GET_ACL, wire.string(path))
        acl = tuple((reader.i32(), reader.buf(), reader.buf()) for _ in range(reader.i32()))
        reader = self.must(wire.GET_CHILDREN, wire.string(path) + b"\x00")
        children = sorted((reader.buf() or b"").decode("utf-8", "surrogateescape") for _ in range(reader.i32()))
        return Node(data, stat, acl, tuple(children))


def read_stat(reader: Reader) -> dict[str, int]:
    """The fields of a Stat by name."""
    return {name: reader.i64() if name in WIDE_FIELDS else reader.i32() for name in STAT_FIELDS}
