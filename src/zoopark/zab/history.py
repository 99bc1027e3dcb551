"""What the log of this member holds, and how a learner's log becomes a copy of it.

    ... | window, the last 500 applied | pending, logged or being logged |
                                       ^                     ^           ^
                                 applied_zxid          durable_zxid   last_zxid     durable_zxid may lie anywhere

Between two elections, and after a start, everything logged is applied and nothing is pending.

What this must never do: hold a zxid that was not given to the log; leave a transaction out of the window
(ZOOKEEPER-4925: a later DIFF from it has a hole); keep in the window what a truncation or a snapshot took back.

`plan_sync` and `plan_from_log` are the decision table of synchronisation. P is the learner's last zxid, max the end of
the leader's committed history, min the first transaction the leader has at hand; the first row that fits:

    1   P = max                                DIFF, nothing follows
    2   P > max, counter(P) > 0                TRUNC to max
    3   min <= P <= max    P is there, or has  DIFF and what follows P
                           counter 0
                           it is not           TRUNC to what is before P, and what follows; in another epoch: SNAP
    4   P < min, and the log may be read       as 3, with what the log and the window hold together; if it has a gap: 5
    5   otherwise                              SNAP

A P whose counter is 0 is the mark of an epoch that began, never a transaction: to truncate to what is before it would
take back what that epoch began with. Source: ZooKeeper's LearnerHandler.syncFollower.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from itertools import pairwise
from typing import Final, TypeAlias, final

from zoopark.record import Record
from zoopark.zab.outbox import Entry
from zoopark.zxid import counter_of, epoch_of

WINDOW_TXNS: Final = 500
"""commitLogCount."""
CURRENT_EPOCH: Final = "currentEpoch"
ACCEPTED_EPOCH: Final = "acceptedEpoch"
MAX_EPOCH: Final = (1 << 31) - 1


def is_next(zxid: int, previous: int) -> bool:
    """Whether `zxid` follows `previous` in a history without holes: the next counter, or 1 in a later epoch."""
    if zxid == previous + 1:
        return counter_of(zxid) != 0
    return zxid > previous and counter_of(zxid) == 1 and epoch_of(zxid) != epoch_of(previous)


@final
class History:
    """The log, the epochs, and what is on its way to the disk.

    Args:
        last_zxid: of the last transaction that was recovered; all of them are applied.
        window: the last transactions that were recovered, in order, without holes; fewer or none will do.
        current_epoch: the value of currentEpoch on disk.
        accepted_epoch: the value of acceptedEpoch on disk.

    Public state, changed here only: `last_zxid` (given to the log), `durable_zxid`, `applied_zxid`, `window`,
    `pending`, `current_epoch` and `accepted_epoch` as on disk; `saving` (name, epoch), `truncating` (zxid) and
    `receiving` (zxid of a snapshot), None unless the disk is at it.
    """

    __slots__ = (
        "accepted_epoch",
        "applied_zxid",
        "current_epoch",
        "durable_zxid",
        "last_zxid",
        "pending",
        "receiving",
        "saving",
        "truncating",
        "window",
    )

    def __init__(
        self, last_zxid: int, window: Iterable[Entry] = (), current_epoch: int = 0, accepted_epoch: int = 0
    ) -> None:
        self.last_zxid = self.durable_zxid = self.applied_zxid = last_zxid
        self.window = deque(window, maxlen=WINDOW_TXNS)
        self.pending: deque[Entry] = deque()
        self.current_epoch = current_epoch
        self.accepted_epoch = accepted_epoch
        self.saving: tuple[str, int] | None = None
        self.truncating: int | None = None
        self.receiving: int | None = None
        assert 0 <= current_epoch <= accepted_epoch <= MAX_EPOCH, (current_epoch, accepted_epoch)
        assert epoch_of(last_zxid) <= accepted_epoch, (last_zxid, accepted_epoch)
        assert not self.window or self.window[-1][0] == last_zxid, last_zxid

    def is_settled(self) -> bool:
        """Whether the disk has answered everything."""
        is_idle = self.saving is None and self.truncating is None and self.receiving is None
        return is_idle and self.durable_zxid == self.last_zxid

    def append(self, entry: Entry) -> None:
        """A transaction is given to the log."""
        assert is_next(entry[0], self.last_zxid), (entry[0], self.last_zxid)
        self.pending.append(entry)
        self.last_zxid = entry[0]

    def on_logged(self, zxid: int) -> None:
        """Everything up to `zxid` is durable."""
        assert zxid <= self.last_zxid, (zxid, self.last_zxid)
        self.durable_zxid = max(self.durable_zxid, zxid)

    def apply(self, upto_zxid: int) -> list[Entry]:
        """The pending transactions up to `upto_zxid`, in order; they count as applied."""
        assert upto_zxid <= self.last_zxid, (upto_zxid, self.last_zxid)
        pending, entries = self.pending, []
        while pending and pending[0][0] <= upto_zxid:
            entries.append(pending.popleft())
        if entries:
            self.window.extend(entries)
            self.applied_zxid = entries[-1][0]
        return entries

    def save(self, name: str, epoch: int) -> None:
        """An epoch is given to the disk."""
        assert self.saving is None, self.saving
        assert epoch > (self.current_epoch if name == CURRENT_EPOCH else self.accepted_epoch), (name, epoch)
        self.saving = (name, epoch)

    def on_epoch_saved(self) -> None:
        """The disk has it: only now is it the epoch (ZOOKEEPER-2307)."""
        assert self.saving is not None, "no epoch was saved"
        name, epoch = self.saving
        self.saving = None
        if name == CURRENT_EPOCH:
            self.current_epoch = epoch
        else:
            self.accepted_epoch = epoch
        assert self.current_epoch <= self.accepted_epoch, (name, epoch)

    def truncate(self, zxid: int) -> None:
        """The disk is asked to forget what is after `zxid`."""
        assert self.is_settled(), "a truncation beside other work of the disk"
        assert zxid < self.last_zxid, (zxid, self.last_zxid)
        self.truncating = zxid

    def on_truncated(self, zxid: int) -> None:
        """Log and tree end at `zxid`."""
        assert self.truncating is not None, "nothing was truncated"
        assert zxid <= self.truncating, (zxid, self.truncating)
        self.truncating = None
        kept = [entry for entry in self.window if entry[0] <= zxid]
        self._begin_at(zxid, kept if kept and kept[-1][0] == zxid else [])

    def receive(self, zxid: int) -> None:
        """A snapshot of a tree at `zxid` is on its way."""
        assert self.is_settled(), "a snapshot beside other work of the disk"
        self.receiving = zxid

    def on_snapshot_saved(self, zxid: int) -> None:
        """Log and tree begin with the snapshot."""
        assert self.receiving == zxid, (self.receiving, zxid)
        self.receiving = None
        self._begin_at(zxid, [])

    def on_snapshot_lost(self) -> None:
        """The snapshot never was."""
        assert self.receiving is not None, "no snapshot was on its way"
        self.receiving = None

    def _begin_at(self, zxid: int, window: list[Entry]) -> None:
        assert not self.pending, "transactions without a base"
        self.last_zxid = self.durable_zxid = self.applied_zxid = zxid
        self.window = deque(window, maxlen=WINDOW_TXNS)


@final
class Diff(Record):
    """The learner's history is the beginning of ours: `entries` follow; `zxid` is the end of ours."""

    __slots__ = ("entries", "zxid")

    def __init__(self, zxid: int, entries: list[Entry]) -> None:
        self.zxid = zxid
        self.entries = entries


@final
class Trunc(Record):
    """The learner forgets what is after `zxid`, then `entries` follow."""

    __slots__ = ("entries", "zxid")

    def __init__(self, zxid: int, entries: list[Entry]) -> None:
        self.zxid = zxid
        self.entries = entries


@final
class Snap(Record):
    """The learner gets the tree as it is, at `zxid`."""

    __slots__ = ("zxid",)

    def __init__(self, zxid: int) -> None:
        self.zxid = zxid


@final
class FromLog(Record):
    """The log must be read from the last zxid that is at most `from_zxid` to `upto_zxid`; then `plan_from_log`."""

    __slots__ = ("from_zxid", "upto_zxid")

    def __init__(self, from_zxid: int, upto_zxid: int) -> None:
        self.from_zxid = from_zxid
        self.upto_zxid = upto_zxid


Plan: TypeAlias = Diff | Trunc | Snap


def plan_sync(learner_zxid: int, applied_zxid: int, window: list[Entry], may_read_log: bool) -> Plan | FromLog:
    """How a learner at `learner_zxid` becomes a copy of the committed history that ends at `applied_zxid`.

    `window` is the end of that history, without holes. Pure. Whoever carries the plan out forwards to the learner, from
    the same instant on, everything after `applied_zxid`.
    """
    assert not window or window[-1][0] == applied_zxid, applied_zxid
    if learner_zxid == applied_zxid:
        return Diff(applied_zxid, [])
    if learner_zxid > applied_zxid:
        return Snap(applied_zxid) if counter_of(learner_zxid) == 0 else Trunc(applied_zxid, [])
    if window and window[0][0] <= learner_zxid:
        return _plan_within(learner_zxid, applied_zxid, window)
    return FromLog(learner_zxid, applied_zxid) if may_read_log else Snap(applied_zxid)


def plan_from_log(learner_zxid: int, applied_zxid: int, logged: list[Entry] | None, window: list[Entry]) -> Plan:
    """The same once the log was read, for what is committed and at hand by now.

    `logged` is the answer to ReadLog. Between its end and the window nothing may be missing.
    """
    assert not window or window[-1][0] == applied_zxid, applied_zxid
    if not logged or logged[0][0] > learner_zxid or logged[-1][0] > applied_zxid:
        return Snap(applied_zxid)
    start = bisect_left(window, logged[-1][0] + 1, key=_zxid_of)
    if logged[-1][0] < applied_zxid and (start == len(window) or not is_next(window[start][0], logged[-1][0])):
        return Snap(applied_zxid)
    entries = logged + window[start:]
    if any(not is_next(later[0], earlier[0]) for earlier, later in pairwise(entries)):
        return Snap(applied_zxid)
    return _plan_within(learner_zxid, applied_zxid, entries)


def _plan_within(learner_zxid: int, applied_zxid: int, entries: list[Entry]) -> Plan:
    """Row 3: `entries` reach back to the learner's zxid."""
    assert entries[0][0] <= learner_zxid <= applied_zxid, (learner_zxid, applied_zxid)
    at = bisect_left(entries, learner_zxid, key=_zxid_of)
    if at == len(entries):
        return Snap(applied_zxid)
    first = entries[at][0]
    if first == learner_zxid:
        return Diff(applied_zxid, entries[at + 1 :])
    if counter_of(learner_zxid) == 0:
        return Diff(applied_zxid, entries[at:])
    if epoch_of(first) != epoch_of(learner_zxid):
        return Snap(applied_zxid)
    return Trunc(entries[at - 1][0], entries[at:])


def _zxid_of(entry: Entry) -> int:
    return entry[0]
