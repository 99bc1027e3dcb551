"""Sessions that one server keeps for itself: no other knows of them, and they cost no transaction.

    localSessionsEnabled, on a member of an ensemble    every new session begins here
    a read-only server                                  has no other sessions

    add ──> create of an ephemeral, where localSessionsUpgradingEnabled is ──> upgrade: a session as others are
     └────> closed, silent for its timeout, or its server serves no more ────> gone

A local session may do everything but own ephemerals. Its writes go to the leader as anybody's do: a leader that does
not know a session lets it write, unless the session's id says that it began here.
What it must never do: give a session two homes, or keep one for its next leader.
Source: ZooKeeper's LocalSessionTracker and UpgradeableSessionTracker.
"""

from typing import final

from zoopark import errors
from zoopark.errors import Malformed
from zoopark.jute import proto
from zoopark.jute.buffer import Reader
from zoopark.jute.txn import read_acl_bytes
from zoopark.record import Now
from zoopark.server.config import Config
from zoopark.server.sessions import Session, SessionTracker, sid_of


@final
class LocalSessions:
    """The local sessions of one server.

    Args:
        config: whether there are any, and whether they are upgraded.
        sid: of this server; the highest byte of the ids of sessions that begin here.

    Attributes:
        tracker: the sessions. Their ids are given elsewhere, so that they stay unique when one is upgraded.
        is_read_only: whether this is a read-only server.
    """

    def __init__(self, config: Config, sid: int) -> None:
        self.is_enabled = config.has_local_sessions
        self.is_upgrading = config.has_local_sessions_upgrading
        self.sid = sid
        self.tracker = SessionTracker(config.tick_time_ms, 0)
        self.is_read_only = False
        self._look_ms: int | None = None

    def begin(self, now: Now, is_read_only: bool = False) -> None:
        """Clients are served from now on."""
        assert not self.tracker.by_id, "sessions of another time"
        self.is_read_only = is_read_only
        self._look_ms = self._next_tick_ms(now) if self.opens() else None

    def end(self) -> None:
        """Nobody is served any more: all these sessions are over."""
        self.tracker.restart({}, 0, is_expiring=True)
        self.is_read_only = False
        self._look_ms = None

    def opens(self) -> bool:
        """Whether a new session is local."""
        return self.is_enabled or self.is_read_only

    def add(self, session_id: int, timeout_ms: int, now: Now) -> Session:
        """A client has a new session."""
        session = self.tracker.add(session_id, timeout_ms, now.mono_ms)
        session.is_local = True
        return session

    def find(self, session_id: int) -> Session | None:
        """The local session with this id."""
        return self.tracker.by_id.get(session_id)

    def began_here(self, session_id: int) -> bool:
        """Whether the id of a session, local or not, was given by this server."""
        return sid_of(session_id) == self.sid & 0xFF

    def remove(self, session: Session) -> None:
        """Its client has closed it."""
        self.tracker.remove(session.session_id)

    # ---- what they may do

    def must_upgrade(self, op: int, body: bytes) -> bool:
        """Whether a request makes its session one that all servers know."""
        return self.is_upgrading and not self.is_read_only and creates_ephemeral(op, body)

    def upgrade(self, session: Session) -> None:
        """The session is one as others are from now on; a createSession is to be submitted ahead of anything else."""
        assert session.is_local and not session.is_closing and not self.is_read_only, session.session_id
        self.tracker.remove(session.session_id)
        session.is_local = False

    def err_of(self, session_id: int, is_ephemeral: bool) -> int:
        """The error for a write of a session that is not known to everybody, OK if it may be prepared."""
        if session_id in self.tracker.by_id:
            return errors.EPHEMERAL_ON_LOCAL_SESSION if is_ephemeral else errors.OK
        is_of_another = self.is_enabled and not self.began_here(session_id)
        return errors.OK if is_of_another and not is_ephemeral else errors.SESSION_EXPIRED

    # ---- time

    def on_timeout(self, now: Now) -> list[tuple[int, str]]:
        """Forget those that were silent for too long; the ids of connections to close, and why."""
        if self._look_ms is None or now.mono_ms < self._look_ms:
            return []
        self._look_ms = self._next_tick_ms(now)
        closed: list[tuple[int, str]] = []
        for session in self.tracker.take_expired(now.mono_ms):
            self.tracker.remove(session.session_id)
            closed.append((session.connection, f"local session {session.session_id:#x} expired"))
        return closed

    def deadline(self) -> int | None:
        """When to call `on_timeout`: every tick, as a session may begin between two turns of the host."""
        return self._look_ms

    def _next_tick_ms(self, now: Now) -> int:
        return (now.mono_ms // self.tracker.tick_ms + 1) * self.tracker.tick_ms


def creates_ephemeral(op: int, body: bytes) -> bool:
    """Whether a request asks for an ephemeral, alone or in a multi; not if it cannot be read."""
    try:
        if op == proto.MULTI:
            parts = proto.read_multi(Reader(body))
            return any(creates_ephemeral(part, body[start:end]) for part, start, end in parts if part != proto.MULTI)
        if op not in proto.CREATES:
            return False
        reader = Reader(body)
        reader.buffer()
        reader.buffer()
        read_acl_bytes(reader)
        return reader.i32() in proto.EPHEMERAL_FLAGS
    except Malformed:
        return False
