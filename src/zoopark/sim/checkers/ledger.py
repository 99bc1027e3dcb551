"""The members' histories after every step: invariants I-1 to I-14 of the multi-grained specifications of ZAB.

    I-1  one established leader per epoch                        on_role
    I-2  only broadcast transactions are delivered               on_append, on_applied
    I-3  agreement, I-4 total order, I-9 commit consistency      on_applied: one committed history, members follow it
    I-5  local primary order                                     Mirror.append: no holes
    I-6  global primary order                                    on_applied: committed zxids rise
    I-7  primary integrity                                       _commit: nothing of an older epoch after a newer one
    I-8  initial histories are prefixes of later ones            on_role
    I-10 histories of participants are prefix-related            on_append: a zxid stands for one history everywhere
    I-11…14 no impossible state, ack, proposal or commit         the packets on each link, and the members' own asserts

and more: what is acknowledged is durable where it was acknowledged; what is committed is durable at a quorum at that
moment, and is never cut; trees are equal at equal zxids. Each step costs a few lookups: a history is compared by its
chain, never read again.
Source: Ouyang et al., Multi-Grained Specifications for Distributed System Model Checking and Verification, EuroSys
2025, table 2.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, final

from zoopark.jute import quorum as wire
from zoopark.jute import txn as txns
from zoopark.jute.quorum import QuorumPacket
from zoopark.sim.checkers import Violation
from zoopark.sim.checkers.mirror import GENESIS, Mirror
from zoopark.zxid import counter_of, epoch_of

LEADING: Final = 2

Quorum: TypeAlias = Callable[[list[int]], bool]
Committed: TypeAlias = Callable[[int, bytes], None]


@final
class Tape:
    """What went over one quorum link so far."""

    __slots__ = ("base", "committed", "is_acked", "is_open", "is_synchronised", "proposed")

    def __init__(self) -> None:
        self.proposed = 0
        self.committed = 0
        self.base = 0
        self.is_open = False
        self.is_synchronised = False
        self.is_acked = False


@final
class Ledger:
    """What all members did.

    Args:
        voters: their sids; `observers` those of the others.
        has_quorum: whether these sids, sorted, are enough to decide.
        on_committed: is given every committed (zxid, transaction), once, in order.

    Attributes:
        mirrors: what is known of each member, by sid.
        committed: every committed zxid in order; `committed_chain` the chain at its end.
        established: (sid, last zxid of the initial history, its chain) by epoch.
    """

    def __init__(
        self, voters: Sequence[int], observers: Sequence[int], has_quorum: Quorum, on_committed: Committed
    ) -> None:
        self.voters = sorted(voters)
        self.mirrors = {sid: Mirror(sid) for sid in sorted([*voters, *observers])}
        self.has_quorum = has_quorum
        self.on_committed = on_committed
        self.committed: dict[int, None] = {}
        self.committed_zxid = 0
        self.committed_chain = GENESIS
        self.established: dict[int, tuple[int, int, int]] = {}
        self.chain_of: dict[int, int] = {0: GENESIS}
        self.txn_of: dict[int, bytes] = {}
        self.broadcast: dict[int, bytes] = {}
        self.digests: dict[int, int] = {}
        self.tapes: dict[int, Tape] = {}

    def on_start(self, sid: int, zxid: int, epochs: tuple[int, int], is_forgiven: bool) -> None:
        """A member recovered from its disk up to `zxid`.

        Args:
            epochs: (currentEpoch, acceptedEpoch) as found.
            is_forgiven: its disk was damaged on purpose, so it may have lost what it held.
        """
        mirror = self.mirrors[sid]
        durable, given = mirror.durable_zxid(), mirror.last_zxid()
        interrupted, mirror.interrupted_zxid = mirror.interrupted_zxid, -1
        if interrupted >= 0 and zxid >= interrupted:
            durable = min(durable, zxid)
            if zxid == interrupted and (zxid > given or zxid not in mirror.zxids):
                mirror.restart_at(zxid, self._chain(zxid))
                given = zxid
        if zxid < durable and not is_forgiven:
            raise Violation(f"durability: member {sid} held up to {durable:#x} and recovered only {zxid:#x}")
        if zxid > given:
            raise Violation(f"durability: member {sid} recovered {zxid:#x}, but was given only {given:#x}")
        if epochs < (mirror.current_epoch, 0) or epochs[1] < mirror.accepted_epoch:
            raise Violation(f"durability: member {sid} recovered older epochs, {epochs}")
        if zxid < mirror.start[0]:
            mirror.restart_at(zxid, self._chain(zxid))
        for gone in mirror.cut(zxid):
            if not epoch_of(gone):  # a server that stands alone gives the zxids again that it lost
                self.chain_of.pop(gone, None)
        mirror.current_epoch, mirror.accepted_epoch = epochs
        mirror.is_up, mirror.is_serving, mirror.state = True, False, -1
        mirror.applied_zxid = zxid
        mirror.life += 1

    def on_crash(self, sid: int) -> None:
        mirror = self.mirrors[sid]
        mirror.is_up, mirror.is_serving, mirror.state = False, False, -1

    def on_interrupted(self, sid: int, zxid: int) -> None:
        """A truncation to `zxid`, or the saving of a snapshot of it, happened, or did not, or in part."""
        self.mirrors[sid].interrupted_zxid = zxid

    def on_wipe(self, sid: int) -> None:
        """Everything on its disk was removed on purpose."""
        self.mirrors[sid].wipe()

    def on_append(self, sid: int, entries: Sequence[tuple[int, bytes]]) -> None:
        """Transactions were handed to a member's log."""
        mirror = self.mirrors[sid]
        for zxid, txn in entries:
            chain = mirror.append(zxid, txn)
            known = self.chain_of.get(zxid)
            if known is None:
                self._check_broadcast(mirror, zxid, txn)
                self.chain_of[zxid] = chain
                self.txn_of[zxid] = txn
            elif known != chain:
                raise Violation(f"I-10: member {sid} holds another history up to {zxid:#x} than others do")

    def on_logged(self, sid: int, zxid: int) -> None:
        """A member's disk finished everything up to `zxid`."""
        self.mirrors[sid].log_up_to(zxid)

    def on_truncated(self, sid: int, zxid: int) -> None:
        """A member forgot everything after `zxid`.

        What the others have committed since the leader made that plan may be among it, as long as a quorum keeps it:
        the leader does not count what this member had acknowledged before, and sends it again.
        """
        mirror = self.mirrors[sid]
        if zxid < mirror.start[0]:
            mirror.restart_at(zxid, self._chain(zxid))
        mirror.applied_zxid = min(mirror.applied_zxid, zxid)
        for gone in mirror.cut(zxid):
            if gone in self.committed and not self._is_durable(gone):
                raise Violation(f"I-8: member {sid} truncates the committed {gone:#x}")

    def on_snapshot(self, sid: int, zxid: int) -> None:
        """A snapshot that came over a link took the place of a member's history, durably."""
        self.mirrors[sid].restart_at(zxid, self._chain(zxid))

    def on_epoch(self, sid: int, is_current: bool, epoch: int) -> None:
        """A member's disk finished writing an epoch."""
        mirror = self.mirrors[sid]
        if is_current:
            mirror.current_epoch = epoch
        else:
            mirror.accepted_epoch = epoch

    def on_role(self, sid: int, role: tuple[int, bool, int, int]) -> None:
        """A member's (state, is_serving, leader_sid, epoch) changed."""
        mirror = self.mirrors[sid]
        before = (mirror.state, mirror.is_serving, mirror.epoch)
        mirror.state, mirror.is_serving, mirror.leader_sid, mirror.epoch = role
        after = (mirror.state, mirror.is_serving, mirror.epoch)
        if after != before and mirror.is_serving and mirror.state == LEADING:
            self._establish(mirror)

    def on_applied(self, sid: int, zxid: int, digest: int) -> None:
        """A member's tree moved, while it serves; it is now that of `zxid` and has this digest."""
        mirror = self.mirrors[sid]
        if zxid > self.committed_zxid and counter_of(zxid):
            self._commit(mirror, zxid)
        elif counter_of(zxid) and zxid not in self.committed:
            raise Violation(f"I-3: member {sid} delivers {zxid:#x}, which was left out of what is committed")
        if zxid > mirror.start[0] and mirror.chain_at(zxid) != self._chain(zxid):
            raise Violation(f"I-4: member {sid} delivers another history up to {zxid:#x}")
        mirror.applied_zxid = zxid
        known = self.digests.setdefault(zxid, digest)
        if known != digest:
            raise Violation(f"digest: the tree of member {sid} differs from others at {zxid:#x}")

    def on_sent(self, sid: int, link: int, packets: Sequence[QuorumPacket]) -> None:
        """A member sends packets on a quorum link."""
        for packet in packets:
            kind = packet.type
            if kind == wire.ACK:
                self._check_ack(sid, link, packet.zxid)
            elif kind == wire.PROPOSAL or kind == wire.COMMIT:
                self._check_order(sid, self.tapes.setdefault(link, Tape()), packet)
            elif kind == wire.LEADERINFO or kind == wire.NEWLEADER:
                tape = self.tapes.setdefault(link, Tape())
                tape.is_synchronised = kind == wire.NEWLEADER
                tape.committed = max(tape.committed, tape.base)
                self._check_promise(sid, packet)
            elif kind == wire.SNAP or kind == wire.DIFF or kind == wire.TRUNC:
                tape = self.tapes.setdefault(link, Tape())
                tape.is_open = kind != wire.DIFF
                tape.is_synchronised = tape.is_acked = False
                tape.proposed = tape.committed = packet.zxid if kind != wire.DIFF else 0
                tape.base = packet.zxid

    def has_end(self, session_id: int) -> bool:
        """Whether a member ever logged the end of a session; slow."""
        headers = (txns.HEADER.unpack_from(txn) for txn in self.txn_of.values())
        return any(header[0] == session_id and header[4] == txns.CLOSE_SESSION for header in headers)

    def _check_broadcast(self, mirror: Mirror, zxid: int, txn: bytes) -> None:
        """I-2 at its root: what nobody has yet was broadcast by the leader of its epoch."""
        if zxid in self.broadcast:
            if self.broadcast[zxid] != txn:
                raise Violation(f"I-2: member {mirror.sid} is given another {zxid:#x} than was broadcast")
            return
        established = self.established.get(epoch_of(zxid))
        if established is None or established[0] != mirror.sid:
            raise Violation(f"I-2: member {mirror.sid} is given {zxid:#x}, which no leader has broadcast")
        self._check_primary(mirror, zxid)

    def _check_primary(self, mirror: Mirror, zxid: int) -> None:
        """I-7: a leader broadcasts only after it holds everything committed in epochs before."""
        held = self.established.get(epoch_of(zxid))
        if counter_of(zxid) != 1 or held is None or epoch_of(self.committed_zxid) >= epoch_of(zxid):
            return
        if held[1] < self.committed_zxid:
            raise Violation(f"I-7: member {mirror.sid} broadcasts {zxid:#x} without {self.committed_zxid:#x}")

    def _establish(self, mirror: Mirror) -> None:
        epoch = mirror.epoch
        if not epoch:
            self.established[0] = (mirror.sid, 0, GENESIS)  # a server that stands alone
            return
        last = mirror.last_zxid()
        if epoch_of(last) >= epoch and counter_of(last):
            raise Violation(f"I-8: member {mirror.sid} starts epoch {epoch} with {last:#x}")
        mine = (mirror.sid, last, mirror.last_chain())
        other = self.established.setdefault(epoch, mine)
        if other != mine:
            raise Violation(f"I-1: members {other[0]} and {mirror.sid} both lead epoch {epoch}")
        for older, (sid, zxid, chain) in self.established.items():
            if older < epoch and (zxid > last or self._chain_in(mirror, zxid) != chain):
                raise Violation(
                    f"I-8: epoch {epoch} of member {mirror.sid} lacks what epoch {older} of {sid} began with"
                )
        if self._chain_in(mirror, self.committed_zxid) != self.committed_chain or self.committed_zxid > last:
            raise Violation(f"I-8: epoch {epoch} of member {mirror.sid} lacks the committed {self.committed_zxid:#x}")

    def _commit(self, mirror: Mirror, zxid: int) -> None:
        """The first member delivers new transactions."""
        if zxid <= mirror.start[0]:
            raise Violation(f"I-2: member {mirror.sid} loaded the uncommitted {zxid:#x} from a snapshot")
        fresh = mirror.between(self.committed_zxid, zxid)
        if not fresh or fresh[-1] != zxid:
            raise Violation(f"I-2: member {mirror.sid} delivers {zxid:#x}, which it was never given")
        newest = max(self.established, default=0)
        if newest > epoch_of(zxid) and zxid > self.established[newest][1]:
            raise Violation(f"I-7: {zxid:#x} is delivered after epoch {newest} was established without it")
        if self._chain_in(mirror, self.committed_zxid) != self.committed_chain:
            raise Violation(f"I-9: member {mirror.sid} delivers {zxid:#x} over another history")
        self._check_durable(zxid, f"member {mirror.sid} delivers")
        for new in fresh:
            self.committed[new] = None
            self.committed_zxid = new
            self.committed_chain = self.chain_of[new]
            self.on_committed(new, self.txn_of[new])

    def _check_durable(self, zxid: int, who: str) -> None:
        if not self._is_durable(zxid):
            raise Violation(f"durability: {who} {zxid:#x}, which only the disks of {self._holders(zxid)} hold")

    def _is_durable(self, zxid: int) -> bool:
        return self.has_quorum(self._holders(zxid))

    def _holders(self, zxid: int) -> list[int]:
        """The voters whose disks hold the history up to `zxid` for certain."""
        return [sid for sid in self.voters if self.mirrors[sid].holds(zxid)]

    def _check_ack(self, sid: int, link: int, zxid: int) -> None:
        """Durable before acknowledged; on NEWLEADER the history, then the epoch, then the acknowledgement."""
        mirror = self.mirrors[sid]
        if counter_of(zxid):
            if not mirror.holds(zxid):
                raise Violation(f"durability: member {sid} acknowledges {zxid:#x}, holds {mirror.durable_zxid():#x}")
            tape = self.tapes.get(link)
            if tape is not None and zxid > tape.proposed:
                raise Violation(f"I-12: member {sid} acknowledges {zxid:#x}, which was not proposed to it")
            if tape is not None and not tape.is_acked:
                raise Violation(f"I-12: member {sid} acknowledges {zxid:#x} ahead of NEWLEADER")
            return
        if mirror.current_epoch != epoch_of(zxid):
            raise Violation(f"durability: member {sid} acknowledges epoch {epoch_of(zxid)} before it is current")
        self.tapes.setdefault(link, Tape()).is_acked = True

    def _check_order(self, sid: int, tape: Tape, packet: QuorumPacket) -> None:
        zxid = packet.zxid
        if packet.type == wire.COMMIT:
            if zxid > tape.proposed and zxid > tape.committed:
                raise Violation(f"I-14: member {sid} commits {zxid:#x}, which it did not propose on this link")
            is_same_epoch = epoch_of(zxid) == epoch_of(tape.committed)
            if tape.is_synchronised and is_same_epoch and zxid > tape.committed + 1:
                raise Violation(f"I-14: member {sid} commits {zxid:#x} after {tape.committed:#x}")
            tape.committed = max(tape.committed, zxid)
            if tape.is_synchronised:  # what comes before NEWLEADER is the history that the epoch begins with
                self._check_durable(zxid, f"member {sid} commits")
            return
        last = tape.proposed
        is_same_epoch = epoch_of(zxid) == epoch_of(last)
        if zxid <= last or (tape.is_open and is_same_epoch and zxid != last + 1):
            raise Violation(f"I-13: member {sid} proposes {zxid:#x} after {last:#x}")
        tape.proposed, tape.is_open = zxid, True
        if zxid not in self.chain_of and packet.data is not None:
            self.broadcast[zxid] = packet.data
            self._check_primary(self.mirrors[sid], zxid)

    def _check_promise(self, sid: int, packet: QuorumPacket) -> None:
        mirror, epoch = self.mirrors[sid], epoch_of(packet.zxid)
        if mirror.accepted_epoch < epoch:
            raise Violation(f"durability: member {sid} proposes epoch {epoch} and has accepted {mirror.accepted_epoch}")
        if packet.type == wire.NEWLEADER and mirror.current_epoch < epoch:
            raise Violation(f"durability: member {sid} leads epoch {epoch}, its current one is {mirror.current_epoch}")

    def _chain(self, zxid: int) -> int:
        """The chain at a zxid anywhere; a zxid that no transaction has stands for what was before it."""
        found = self.chain_of.get(zxid)
        if found is not None:
            return found
        before = max((known for known in self.chain_of if known <= zxid), default=0)
        return self.chain_of[before]

    def _chain_in(self, mirror: Mirror, zxid: int) -> int:
        return mirror.chain_at(zxid) if zxid >= mirror.start[0] else self._chain(zxid)
