"""A member on a test stand: its disk, its clock and its clients move only when the test moves them.

The stand does what a host does, in the same order, and speaks the protocol with the second codec of `tests.compat`,
which shares no line with the one under test.
"""

from collections.abc import Mapping
from random import Random
from typing import Final, Protocol

from tests.compat import requests as ask
from tests.compat import wire
from tests.compat.requests import Request
from zoopark.record import Effect, Now
from zoopark.server.config import Config, default_config
from zoopark.server.connection import Connection
from zoopark.server.effects import Append, CloseLink, Flush
from zoopark.server.member import Member
from zoopark.tree.owners import OwnerKinds
from zoopark.tree.tree import Tree

START: Final = Now(1_000, 1_600_000_000_000)
TIMEOUT_MS: Final = 10_000
KEYS: Final = {
    "extendedTypesEnabled": "true",
    "enforceQuota": "true",
    "DigestAuthenticationProvider.superDigest": ask.digest_id("super", "secret"),
}


class Reply:
    """One frame that came back, taken apart."""

    def __init__(self, frame: bytes) -> None:
        reader = wire.Reader(frame)
        self.xid, self.zxid, self.err = reader.i32(), reader.i64(), reader.i32()
        self.body = reader.rest()

    def is_event(self) -> bool:
        return self.xid == wire.EVENT_XID

    def event(self) -> tuple[int, str]:
        """(event type, path) of a notification."""
        reader = wire.Reader(self.body)
        kind, state = reader.i32(), reader.i32()
        assert state == 3, state
        return kind, (reader.buf() or b"").decode()


class Place(Protocol):
    """Where a client is: a stand, or an ensemble."""

    now: Now

    def settle(self) -> None: ...


class Peer:
    """The client's end of one connection; `frames` gathers what came, `why` is set once the server hung up.

    `is_greeted` and `session_id` are for those who read the answer to the greeting.
    """

    def __init__(self, stand: Place, connection: Connection) -> None:
        self.stand = stand
        self.connection = connection
        self.frames: list[bytes] = []
        self.why: str | None = None
        self.session_id = 0
        self.is_greeted = False
        self.last_xid = 0
        self._pending = b""

    def receive(self, data: bytes) -> None:
        self._pending += data
        while len(self._pending) >= 4:
            end = 4 + int.from_bytes(self._pending[:4], "big", signed=True)
            assert end >= 4, self._pending
            if len(self._pending) < end:
                return
            self.frames.append(self._pending[4:end])
            self._pending = self._pending[end:]

    def raw(self, data: bytes) -> None:
        """Any bytes arrive at the server, which acts on them as far as it can without its disk."""
        if self.why is None:
            self.connection.on_bytes(data, self.stand.now)
            self.receive(self.connection.take_out())

    def encode(self, request: Request) -> bytes:
        """A request as a frame under its own or the next xid."""
        if request.xid is None:
            self.last_xid += 1
        assert isinstance(request.body, bytes), request.text
        return wire.request(self.last_xid if request.xid is None else request.xid, request.opcode, request.body)

    def send(self, *requests: Request) -> None:
        """The requests arrive in one piece."""
        self.raw(b"".join(map(self.encode, requests)))

    def replies(self) -> list[Reply]:
        """What came since the last call, events included."""
        frames, self.frames = self.frames, []
        return [Reply(frame) for frame in frames]

    def ask(self, request: Request) -> Reply:
        """Send one request, let the disk finish, and return its reply; events before it are dropped."""
        self.replies()
        self.send(request)
        self.stand.settle()
        return self.replies()[-1]


class Stand:
    """One member.

    Args:
        keys: keys of zoo.cfg that differ from KEYS.
        tree: what was recovered, an empty tree if None.

    Attributes:
        log: every transaction that became durable, in order.
        effects: every other effect, in order.
    """

    def __init__(self, keys: Mapping[str, str] | None = None, tree: Tree | None = None) -> None:
        self.config: Config = default_config("/data", {**KEYS, **(keys or {})})
        self.now = START
        kinds = OwnerKinds(self.config.has_extended_types, self.config.has_353_ttl_nodes)
        self.member = Member(self.config, tree or Tree(kinds), Random(1), self.now)
        self.peers: list[Peer] = []
        self.log: list[tuple[int, bytes]] = []
        self.unsynced: list[tuple[int, bytes]] = []
        self.effects: list[Effect] = []

    def connect(self, address: str = "127.0.0.1") -> Peer:
        """A connection without a session."""
        connection = self.member.on_connect(address, 40_000 + len(self.peers), self.now)
        assert connection is not None
        peer = Peer(self, connection)
        self.peers.append(peer)
        return peer

    def open(self, timeout_ms: int = TIMEOUT_MS) -> Peer:
        """A connection with a new session."""
        peer = self.connect()
        peer.raw(greeting(timeout_ms=timeout_ms))
        self.settle()
        peer.session_id = wire_session(peer.frames.pop())
        return peer

    def turn(self) -> None:
        """One wake-up of the host: effects are carried out, the disk does not finish."""
        for effect in self.member.take():
            if isinstance(effect, Append):
                self.unsynced += effect.entries
            elif isinstance(effect, Flush):
                for connection in effect.connections:
                    self.deliver(connection)
            elif isinstance(effect, CloseLink):
                self.deliver(effect.connection)
                self.hang_up(effect)
            else:
                self.effects.append(effect)

    def sync(self, count: int | None = None) -> None:
        """The disk finishes its first `count` transactions, all if None."""
        done, self.unsynced = self.unsynced[:count], self.unsynced[len(self.unsynced[:count]) :]
        if done:
            self.log += done
            self.member.on_logged(done[-1][0], self.now)

    def settle(self) -> None:
        """Turn and sync until nothing moves."""
        while self.member.has_effects() or self.unsynced:
            self.turn()
            self.sync()

    def wait(self, ms: int) -> None:
        """Time passes; timers run when they are due, and the disk keeps up."""
        until_ms = self.now.mono_ms + ms
        while (due_ms := self.member.deadline()) is not None and due_ms <= until_ms:
            self.move_clock(max(due_ms, self.now.mono_ms))
            self.member.on_timeout(self.now)
            self.settle()
        self.move_clock(until_ms)

    def drop(self, peer: Peer) -> None:
        """The connection breaks."""
        peer.why = "dropped"
        self.member.on_disconnect(peer.connection)

    def move_clock(self, mono_ms: int) -> None:
        self.now = Now(mono_ms, self.now.wall_ms + mono_ms - self.now.mono_ms)

    def deliver(self, connection: Connection) -> None:
        for peer in self.peers:
            if peer.connection is connection:
                peer.receive(connection.take_out())

    def hang_up(self, effect: CloseLink) -> None:
        for peer in self.peers:
            if peer.connection is effect.connection and peer.why is None:
                peer.why = effect.why
                self.member.on_disconnect(effect.connection)


def greeting(
    session_id: int = 0,
    password: bytes = bytes(16),
    timeout_ms: int = TIMEOUT_MS,
    last_zxid: int = 0,
    is_read_only: bool = False,
) -> bytes:
    """A framed ConnectRequest with the readOnly byte."""
    return wire.frame(wire.connect_request(last_zxid, timeout_ms, session_id, password) + wire.boolean(is_read_only))


def wire_session(frame: bytes) -> int:
    """The session id of a ConnectResponse, 0 if it refuses."""
    reader = wire.Reader(frame)
    assert reader.i32() == 0
    timeout_ms, session_id, password = reader.i32(), reader.i64(), reader.buf()
    assert password == (wire.session_password(session_id) if timeout_ms else bytes(16))
    return session_id
