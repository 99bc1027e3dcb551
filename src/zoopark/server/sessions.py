"""Who is alive: every session's timeout, when it was last heard of, and which connection speaks for it.

Expiry runs in buckets, as ZooKeeper's does: a session ends at the first multiple of tickTime after its timeout has
passed, so timeout … timeout + tickTime after it was last heard of. Hearing of a session only notes the time; its
bucket is looked up again when it comes due.
"""

from collections.abc import Mapping
from typing import Final, final

OWN: Final = -1
"""The owner of a session whose client is connected to this server; other owners are links to learners."""
NOBODY: Final = -2
UNHEARD: Final = -1
"""When a session was heard of, on a server that has not heard of it."""
_SID_SHIFT: Final = 56


@final
class Session:
    """One session as its server sees it.

    Attributes:
        connection: the id of the connection that speaks for it here, 0 for none.
        is_local: whether no other server knows of it; see `localsessions`.
        owner: whose requests count, in an ensemble: OWN, a link to a learner, or NOBODY as long as none was seen.
    """

    __slots__ = ("connection", "heard_ms", "is_closing", "is_local", "owner", "session_id", "timeout_ms")

    def __init__(self, session_id: int, timeout_ms: int, now_ms: int) -> None:
        self.session_id = session_id
        self.timeout_ms = timeout_ms
        self.heard_ms = now_ms
        self.is_closing = False
        self.is_local = False
        self.connection = 0
        self.owner = NOBODY


@final
class SessionTracker:
    """The sessions and when they expire.

    Args:
        tick_ms: the width of a bucket (tickTime).
        first_id: the id of the first session made here.

    Attributes:
        is_expiring: whether sessions expire here: in an ensemble, only where the leader is.
    """

    def __init__(self, tick_ms: int, first_id: int) -> None:
        assert tick_ms > 0
        self.tick_ms = tick_ms
        self.by_id: dict[int, Session] = {}
        self.buckets: dict[int, dict[int, Session]] = {}
        self._next_id = first_id
        self._next_due_ms: int | None = None
        self.is_expiring = True

    def new_id(self) -> int:
        """An id that no session has. The most negative one is skipped: it marks containers."""
        while True:
            session_id = self._next_id
            self._next_id = session_id + 1 if session_id < (1 << 63) - 1 else -(1 << 63) + 1
            if session_id not in self.by_id and session_id not in (0, -(1 << 63)):
                return session_id

    def add(self, session_id: int, timeout_ms: int, now_ms: int) -> Session:
        """Track a session, heard of now."""
        session = Session(session_id, timeout_ms, now_ms)
        self.adopt(session)
        return session

    def adopt(self, session: Session) -> None:
        """Track a session that was tracked elsewhere."""
        self.by_id[session.session_id] = session
        if self.is_expiring:
            self._file(session)

    def restart(self, sessions: Mapping[int, int], now_ms: int, is_expiring: bool) -> None:
        """Track exactly these sessions, timeouts by ids.

        They are all heard of at `now_ms`, which is UNHEARD where somebody else lets them expire.
        """
        self.by_id.clear()
        self.buckets.clear()
        self._next_due_ms = None
        self.is_expiring = is_expiring
        for session_id, timeout_ms in sessions.items():
            self.add(session_id, timeout_ms, now_ms)

    def remove(self, session_id: int) -> Session | None:
        """Forget a session that was closed; its bucket drops it when it comes due."""
        return self.by_id.pop(session_id, None)

    def is_open(self, session_id: int) -> bool:
        """Whether the session may still do something."""
        session = self.by_id.get(session_id)
        return session is not None and not session.is_closing

    def take_expired(self, now_ms: int) -> list[Session]:
        """The sessions whose time has run out; they are marked as closing."""
        expired: list[Session] = []
        for due_ms in sorted(due_ms for due_ms in self.buckets if due_ms <= now_ms):
            for session in self.buckets.pop(due_ms).values():
                if self.by_id.get(session.session_id) is not session or session.is_closing:
                    continue
                if self._due_ms(session) > now_ms:
                    self._file(session)
                else:
                    session.is_closing = True
                    expired.append(session)
        self._next_due_ms = min(self.buckets) if self.buckets else None
        return expired

    def deadline(self) -> int | None:
        """When the next bucket comes due."""
        return self._next_due_ms

    def expiry_ms(self, session: Session) -> int:
        """When a session expires unless it is heard of again."""
        return self._due_ms(session)

    def _due_ms(self, session: Session) -> int:
        return ((session.heard_ms + session.timeout_ms) // self.tick_ms + 1) * self.tick_ms

    def _file(self, session: Session) -> None:
        due_ms = self._due_ms(session)
        self.buckets.setdefault(due_ms, {})[session.session_id] = session
        if self._next_due_ms is None or due_ms < self._next_due_ms:
            self._next_due_ms = due_ms


def first_session_id(server_id: int, wall_ms: int) -> int:
    """ZooKeeper's rule: the server's id in the highest byte, 40 bits of time, 16 bits to count.

    Wall-clock time, so that a restart never gives an id again that sessions of before still use.
    """
    value = server_id << _SID_SHIFT | (wall_ms & (1 << 40) - 1) << 16
    return value - (1 << 64) if value >> 63 else value


def sid_of(session_id: int) -> int:
    """The lowest byte of the sid of the server where a session began."""
    return session_id >> _SID_SHIFT & 0xFF
