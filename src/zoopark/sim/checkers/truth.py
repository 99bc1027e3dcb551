"""What every znode held at every zxid, worked out from the committed transactions alone.

It shares the decoders of transactions with the servers and nothing else: no tree, no overlay, no watches. Everything a
client is told names the zxid at which it was true, so each answer can be compared with what was true then.
"""

from bisect import bisect_right
from collections.abc import Collection
from typing import Final, TypeAlias, final

from zoopark.jute import txn as txns
from zoopark.jute.buffer import Reader
from zoopark.sim.checkers import Violation

Version: TypeAlias = tuple[bytes, int, int] | None
"""(data, version, czxid) of a znode; None while there is none."""

ABSENT: Final = None


@final
class Truth:
    """The history of every znode.

    Attributes:
        last_zxid: up to which it is known.
        sessions: the zxid at which each session was closed, 0 while it is open.
        n_gone: ephemerals that went with their session.
    """

    __slots__ = ("_changes", "_children", "_ephemerals", "_owners", "_values", "last_zxid", "n_gone", "sessions")

    def __init__(self) -> None:
        self.last_zxid = 0
        self.sessions: dict[int, int] = {}
        self.n_gone = 0
        self._changes: dict[bytes, list[int]] = {}
        self._values: dict[bytes, list[Version]] = {}
        self._children: dict[bytes, tuple[list[int], list[tuple[bytes, bool]]]] = {}
        self._ephemerals: dict[int, dict[bytes, None]] = {}
        self._owners: dict[bytes, int] = {}

    def on_committed(self, zxid: int, txn: bytes) -> None:
        """The next committed transaction."""
        session_id, _, at, _, kind = txns.HEADER.unpack_from(txn)
        if at != zxid or zxid <= self.last_zxid:
            raise Violation(f"order: {at:#x} is committed as {zxid:#x} after {self.last_zxid:#x}")
        self._apply(kind, Reader(txn, txns.HEADER_BYTES), session_id, zxid)
        self.last_zxid = zxid

    def at(self, path: bytes, zxid: int) -> Version:
        """What a znode held right after `zxid`."""
        changes = self._changes.get(path)
        if changes is None:
            return ABSENT
        index = bisect_right(changes, zxid)
        return self._values[path][index - 1] if index else ABSENT

    def changed_after(self, path: bytes, zxid: int) -> int:
        """The first zxid after `zxid` that changed a znode; 0 if there is none so far."""
        changes = self._changes.get(path)
        if changes is None:
            return 0
        index = bisect_right(changes, zxid)
        return changes[index] if index < len(changes) else 0

    def children_changed_after(self, path: bytes, zxid: int) -> int:
        """The first zxid after `zxid` that created or deleted a child of a znode; 0 if there is none so far."""
        found = self._children.get(path)
        if found is None:
            return 0
        index = bisect_right(found[0], zxid)
        return found[0][index] if index < len(found[0]) else 0

    def children(self, path: bytes, zxid: int) -> dict[bytes, None]:
        """The names of a znode's children right after `zxid`."""
        names: dict[bytes, None] = {}
        for when, (name, is_there) in zip(*self._children.get(path, ([], [])), strict=True):
            if when > zxid:
                break
            if is_there:
                names[name] = None
            else:
                names.pop(name, None)
        return names

    def ephemerals(self, session_id: int) -> list[bytes]:
        """The ephemerals that a session owns now."""
        return list(self._ephemerals.get(session_id, ()))

    def is_closed(self, session_id: int, zxid: int) -> bool:
        """Whether a session was closed at or before `zxid`."""
        return 0 < self.sessions.get(session_id, 0) <= zxid

    def check_sessions(self, sid: int, sessions: Collection[int], owners: Collection[int]) -> None:
        """A member that has applied everything knows the sessions that are open, and no ephemeral without its session.

        Args:
            sid: the member.
            sessions: the ids that it knows.
            owners: the sessions that its ephemerals belong to.
        """
        opened = {session_id for session_id, closed in self.sessions.items() if not closed}
        for session_id in sorted(opened.symmetric_difference(sessions)):
            there = "is open and unknown to" if session_id in opened else "is closed and known to"
            raise Violation(f"session: {session_id:#x} {there} member {sid}")
        for session_id in sorted(set(owners) - opened):
            raise Violation(f"ephemeral: member {sid} keeps some of session {session_id:#x}, which is closed")

    def paths(self) -> list[bytes]:
        """Every path that was ever written, sorted."""
        return sorted(self._changes)

    def _apply(self, kind: int, reader: Reader, session_id: int, zxid: int) -> None:
        if kind in (txns.CREATE, txns.CREATE2, txns.CREATE_CONTAINER, txns.CREATE_TTL):
            _, path, data, _, _, is_ephemeral, _ = txns.decode_create(kind, reader.data, reader.position)
            owner = session_id if is_ephemeral and kind in (txns.CREATE, txns.CREATE2) else 0
            self._create(path, data or b"", owner, zxid)
        elif kind == txns.SET_DATA:
            path, data, version = txns.decode_set_data(reader)
            self._set(path, data or b"", version, zxid)
        elif kind in (txns.DELETE, txns.DELETE_CONTAINER):
            self._delete(txns.require(reader.string()), zxid)
        elif kind == txns.MULTI:
            parts = txns.decode_multi(reader)
            if not any(part == txns.ERROR for part, _ in parts):
                for part, body in parts:
                    self._apply(part, Reader(body), session_id, zxid)
        elif kind == txns.CREATE_SESSION:
            self.sessions[session_id] = 0
        elif kind == txns.CLOSE_SESSION:
            self._close_session(session_id, txns.decode_close_session(reader) or [], zxid)

    def _create(self, path: bytes, data: bytes, owner: int, zxid: int) -> None:
        parent, _, name = path.rpartition(b"/")
        if self._now(path) is not ABSENT:
            raise Violation(f"create: {path!r} is created at {zxid:#x} and was there")
        if owner:
            if owner not in self.sessions:
                raise Violation(f"ephemeral: {path!r} is created at {zxid:#x} by {owner:#x}, which was never opened")
            if self.sessions[owner]:
                raise Violation(f"ephemeral: {path!r} is created at {zxid:#x} by session {owner:#x}, which is closed")
            self._ephemerals.setdefault(owner, {})[path] = None
            self._owners[path] = owner
        self._write(path, (data, 0, zxid), zxid)
        self._note_child(parent, name, True, zxid)

    def _set(self, path: bytes, data: bytes, version: int, zxid: int) -> None:
        now = self._now(path)
        if now is ABSENT or now[1] + 1 != version:
            raise Violation(f"set: {path!r} gets version {version} at {zxid:#x}, after {now and now[1]}")
        self._write(path, (data, version, now[2]), zxid)

    def _delete(self, path: bytes, zxid: int) -> None:
        if self._now(path) is ABSENT:
            raise Violation(f"delete: {path!r} is deleted at {zxid:#x} and was not there")
        parent, _, name = path.rpartition(b"/")
        self._write(path, ABSENT, zxid)
        self._note_child(parent, name, False, zxid)
        owner = self._owners.pop(path, 0)
        if owner:
            self._ephemerals[owner].pop(path, None)

    def _close_session(self, session_id: int, listed: list[bytes], zxid: int) -> None:
        """Ephemerals go with their session, all of them, once, and nobody else's."""
        owned = self._ephemerals.get(session_id, {})
        for path in listed:
            if path not in owned and self._owners.get(path, session_id) != session_id:
                raise Violation(f"ephemeral: {path!r} goes at {zxid:#x} with session {session_id:#x}, not its owner")
        for path in list(owned):
            self._delete(path, zxid)
            self.n_gone += 1
        self.sessions[session_id] = zxid

    def _now(self, path: bytes) -> Version:
        values = self._values.get(path)
        return values[-1] if values else ABSENT

    def _write(self, path: bytes, value: Version, zxid: int) -> None:
        changes = self._changes.setdefault(path, [])
        values = self._values.setdefault(path, [])
        if changes and changes[-1] == zxid:
            values[-1] = value
        else:
            changes.append(zxid)
            values.append(value)

    def _note_child(self, parent: bytes, name: bytes, is_there: bool, zxid: int) -> None:
        when, what = self._children.setdefault(parent or b"/", ([], []))
        when.append(zxid)
        what.append((name, is_there))
