"""How a learner's log becomes a copy of the leader's: the plan, and the packets that carry it out.

The plan. P is the learner's last zxid, max the end of the leader's committed history, min the first transaction the
leader has at hand; the first row that fits:

    1   P = max                                DIFF, nothing follows
    2   P > max, counter(P) > 0                TRUNC to max
    3   min <= P <= max    P is there, or has  DIFF and what follows P
                           counter 0
                           it is not           TRUNC to what is before P, and what follows; in another epoch: SNAP
    4   P < min, and the log may be read       as 3, with what the log and the window hold together; if it has a gap: 5
    5   otherwise                              SNAP

A P whose counter is 0 is the mark of an epoch that began, never a transaction: to truncate to what is before it would
take back what that epoch began with. Source: ZooKeeper's LearnerHandler.syncFollower.

The packets, in the order they must be read:

    DIFF max | TRUNC zxid | SNAP zxid and the snapshot's stream
    PROPOSAL, COMMIT      for each transaction that is committed
    PROPOSAL              for each that is proposed and not committed; followers only
    NEWLEADER             nothing may come between the plan and it that all of the above does not account for

What this must never do: put NEWLEADER ahead of anything the plan accounts for (ZOOKEEPER-3104); leave out what lies
between the plan and what is forwarded (ZOOKEEPER-962): both are decided in one step, with nothing in between.
"""

from bisect import bisect_left
from itertools import pairwise
from typing import TypeAlias, final

from zoopark.jute.quorum import COMMIT, DIFF, NEWLEADER, PROPOSAL, SNAP, TRUNC, QuorumPacket
from zoopark.record import Record
from zoopark.zab.history import is_next
from zoopark.zab.outbox import Entry
from zoopark.zxid import counter_of, epoch_of


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


def opening_of(plan: Plan) -> QuorumPacket:
    """The packet that says how synchronisation is done."""
    if isinstance(plan, Diff):
        return QuorumPacket(DIFF, plan.zxid)
    if isinstance(plan, Trunc):
        return QuorumPacket(TRUNC, plan.zxid)
    return QuorumPacket(SNAP, plan.zxid)


def rest_of(plan: Plan, pending: list[Entry], newleader_zxid: int, config: bytes) -> list[QuorumPacket]:
    """What follows it, up to and with NEWLEADER, whose data is the text of the configuration."""
    assert newleader_zxid & 0xFFFFFFFF == 0, newleader_zxid
    packets: list[QuorumPacket] = []
    if isinstance(plan, Diff | Trunc):
        for zxid, txn in plan.entries:
            packets.append(QuorumPacket(PROPOSAL, zxid, txn))
            packets.append(QuorumPacket(COMMIT, zxid))
    packets += [QuorumPacket(PROPOSAL, zxid, txn) for zxid, txn in pending]
    packets.append(QuorumPacket(NEWLEADER, newleader_zxid, config))
    return packets
