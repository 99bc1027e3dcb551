"""What one client may be told, in the order in which it is told.

    monotonic       no answer is older than one before it, across reconnects too
    read your writes, and everything acknowledged stays
                    every answer is what was true at its zxid, and that is not before the last one
    watch first     the event comes before any answer that shows the change
    committed       nobody is told what is not committed
    sync            what is read behind a sync is not older than what was committed when the sync was sent
    sessions        a session that is refused has an end that somebody logged; a local one may end with its server,
                    until it is told that it owns an ephemeral

A sync is answered by whoever leads, without asking a quorum: one that was replaced and has not noticed may answer with
what it has, as in ZooKeeper. Such answers are counted.

Source: ZooKeeper programmer's guide, "Consistency Guarantees" and "What ZooKeeper Guarantees about Watches".
"""

from collections import deque
from collections.abc import Callable
from typing import final

from zoopark import errors
from zoopark.jute import proto
from zoopark.sim.asks import Answer, Ask
from zoopark.sim.checkers import Violation
from zoopark.sim.checkers.truth import ABSENT, Truth
from zoopark.sim.session import IN_CHILD, Session
from zoopark.tree.watches import NODE_CHILDREN_CHANGED
from zoopark.zxid import epoch_of


@final
class SessionView:
    """One client, from session to session.

    Args:
        name: for the text of violations.
        truth: what is committed.
        has_end: whether any member ever logged the end of this session.
        may_be_local: whether a session may be one that only its server knows.

    Attributes:
        session: what the client itself knows.
        n_syncs: answered; `n_stale_syncs` of them by a leader that was replaced.
    """

    __slots__ = (
        "_floors",
        "_has_end",
        "_is_local",
        "_may_be_local",
        "n_events",
        "n_stale_syncs",
        "n_syncs",
        "name",
        "session",
        "truth",
    )

    def __init__(self, name: str, truth: Truth, has_end: Callable[[int], bool], may_be_local: bool = False) -> None:
        self.name = name
        self.truth = truth
        self._has_end = has_end
        self._may_be_local = self._is_local = may_be_local
        self._floors: deque[int] = deque()
        self.n_syncs = self.n_stale_syncs = 0
        self.n_events = 0
        self.session = Session()

    def on_connected(self, session_id: int) -> None:
        """The server says which session this is.

        It may be one that is closed meanwhile: a server that was left behind does not know yet.
        """
        if session_id not in self.truth.sessions and not self._is_local:
            raise Violation(f"session: {self.name} is let into session {session_id:#x}, which was never committed")
        if self.session.session_id not in (0, session_id):
            raise Violation(f"session: {self.name} asked for {self.session.session_id:#x} and got {session_id:#x}")
        self.session.on_connected(session_id)

    def on_expired(self) -> None:
        """A server says that the session is over."""
        session_id = self.session.session_id
        is_open = session_id != 0 and not self._is_local and not self.truth.sessions[session_id]
        if is_open and not self._has_end(session_id):
            raise Violation(f"session: {self.name} is refused session {session_id:#x}, which nobody has ended")
        self.on_over()

    def on_link_lost(self) -> None:
        """What was asked on this connection is answered no more."""
        self._floors.clear()

    def on_sync_sent(self) -> None:
        """A sync leaves the client now."""
        self._floors.append(self.truth.last_zxid)

    def on_over(self) -> None:
        """The session is over."""
        self._is_local = self._may_be_local
        self.session.on_over()

    def on_zxid(self, zxid: int) -> None:
        """The header of any reply but a notification."""
        last_zxid = self.session.last_zxid
        if zxid < last_zxid:
            raise Violation(f"monotonic: {self.name} is answered at {zxid:#x} after {last_zxid:#x}")
        if zxid == last_zxid:
            return
        if zxid > self.truth.last_zxid and zxid & 0xFFFFFFFF:
            raise Violation(f"committed: {self.name} is told {zxid:#x}, committed is {self.truth.last_zxid:#x}")
        self.session.on_zxid(zxid)
        for (table, path), (since, _) in self.session.watches.items():
            find = self.truth.children_changed_after if table == IN_CHILD else self.truth.changed_after
            changed = find(path, since)
            if 0 < changed <= zxid:
                raise Violation(
                    f"watch first: {self.name} is told {zxid:#x} and not that {path!r} changed at {changed:#x}"
                )

    def on_event(self, event: int, path: bytes, zxid: int) -> None:
        """A notification; `zxid` is not positive if the server does not say."""
        self.n_events += 1
        self.session.on_event(event, path)
        if zxid > 0:
            is_child = event == NODE_CHILDREN_CHANGED
            find = self.truth.children_changed_after if is_child else self.truth.changed_after
            if find(path, zxid - 1) != zxid:
                raise Violation(f"watch: {self.name} is told that {path!r} changed at {zxid:#x}, which it did not")

    def on_rearmed(self, zxid: int) -> None:
        """A setWatches was answered."""
        self.session.on_rearmed(zxid)

    def on_answer(self, ask: Ask, answer: Answer) -> None:
        """An answer to a request, behind `on_zxid`."""
        if ask.op == proto.GET_DATA:
            self._check_data(ask, answer)
        elif ask.op == proto.SYNC:
            self._check_sync(answer.zxid)
        elif ask.op == proto.EXISTS:
            self._check_exists(ask, answer)
        elif ask.op == proto.GET_CHILDREN:
            self._check_children(ask, answer)
        elif answer.err == errors.OK and ask.op == proto.MULTI:
            self._check_multi(ask, answer)
        elif answer.err == errors.OK:
            self._check_written(ask, answer.path, answer.zxid)
        self.session.on_answer(ask, answer)

    def _check_multi(self, ask: Ask, answer: Answer) -> None:
        """All parts or none; the kinds of the parts of a failed one are errors, also of those that would have gone."""
        if all(kind >= 0 for kind, _, _ in answer.parts):
            for part, (_, _, path) in zip(ask.parts, answer.parts, strict=True):
                self._check_written(part, path, answer.zxid)
        elif any(kind >= 0 for kind, _, _ in answer.parts):
            raise Violation(f"multi: {self.name} is told at {answer.zxid:#x} that only a part of it happened")

    def _check_sync(self, zxid: int) -> None:
        floor = self._floors.popleft()
        self.n_syncs += 1
        if epoch_of(zxid) < epoch_of(floor):
            self.n_stale_syncs += 1
        elif zxid < floor:
            raise Violation(f"sync: {self.name} is at {zxid:#x} behind a sync, {floor:#x} was committed before it")

    def _check_data(self, ask: Ask, answer: Answer) -> None:
        expected = self.truth.at(ask.path, answer.zxid)
        told = answer.value if answer.err == errors.OK else ABSENT
        if told != expected:
            self._refute(ask, answer, told, expected)

    def _check_exists(self, ask: Ask, answer: Answer) -> None:
        expected = self.truth.at(ask.path, answer.zxid)
        told = answer.value if answer.err == errors.OK else ABSENT
        if told != (expected[1:] if expected is not None else ABSENT):
            self._refute(ask, answer, told, expected)

    def _check_children(self, ask: Ask, answer: Answer) -> None:
        if answer.err == errors.OK:
            expected = self.truth.children(ask.path, answer.zxid)
            if answer.names != expected:
                self._refute(ask, answer, sorted(answer.names), sorted(expected))
        elif self.truth.at(ask.path, answer.zxid) is not ABSENT:
            self._refute(ask, answer, answer.err, "there")

    def _check_written(self, ask: Ask, made: bytes, zxid: int) -> None:
        """What was acknowledged is what is committed at that zxid; who owns something is known to all."""
        self._is_local = self._is_local and not makes_ephemeral(ask)
        if ask.op == proto.DELETE:
            if self.truth.at(ask.path, zxid) is not ABSENT:
                raise Violation(f"acknowledged: {self.name} deleted {ask.path!r} at {zxid:#x}, and it is there")
        elif ask.op in (proto.CREATE, proto.SET_DATA):
            path = made or ask.path
            found = self.truth.at(path, zxid)
            if found is None or pending_data(ask) != found[0] or not path.startswith(ask.path):
                raise Violation(f"acknowledged: {self.name} wrote {path!r} at {zxid:#x}, and {found} is there")

    def _refute(self, ask: Ask, answer: Answer, told: object, expected: object) -> None:
        raise Violation(f"read: {self.name} reads {ask.path!r} at {answer.zxid:#x}: {told}, where {expected} was true")


def pending_data(ask: Ask) -> bytes:
    """The data that a create or setData writes."""
    start = 4 + len(ask.path)
    size = int.from_bytes(ask.body[start : start + 4], "big")
    return ask.body[start + 4 : start + 4 + size]


def makes_ephemeral(ask: Ask) -> bool:
    """Whether a create, no multi, makes an ephemeral: its flags are what it ends with."""
    return ask.op in proto.CREATES and int.from_bytes(ask.body[-4:], "big") in proto.EPHEMERAL_FLAGS
