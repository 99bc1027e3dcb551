"""The learner, a follower or an observer: from the dial to the service of clients.

    DIALLING         Dial, again 100 ms after it failed, at most five times
    GREETING         FOLLOWERINFO or OBSERVERINFO is sent
      | LEADERINFO: the epoch is greater than acceptedEpoch
    ACCEPTING *      acceptedEpoch -> disk
      | ACKEPOCH is sent
    WAITING          how synchronisation is done: DIFF, or
      | TRUNC                  | SNAP
    TRUNCATING *     RECEIVING *
      |
    COLLECTING       PROPOSALs and COMMITs up to NEWLEADER; on NEWLEADER, never otherwise and never at once:
    PERSISTING *       1 Append what was collected -> on_logged
    CLAIMING *         2 SaveEpoch currentEpoch    -> on_epoch_saved
      |                3 Send ACK of NEWLEADER, then ACKs of what is not committed
    READY            PROPOSALs are logged and acknowledged, COMMITs remembered
      | UPTODATE
    SERVING          as READY, and what is committed and logged is delivered
    FINISHED         the link is closed, the peer goes back to election

In a phase with a star the disk is at work and packets wait for it in the order they came; no time limit runs then.

What this must never do: acknowledge what is not durable, in whatever order (ZOOKEEPER-3911, 4643, 4646, 4785);
acknowledge a proposal ahead of NEWLEADER (4685); trip over a COMMIT between NEWLEADER and UPTODATE (4394); deliver
around the window of history (4925); deliver what is not committed, or not in its own log; accept a hole; follow an
epoch smaller than it has accepted; raise for what a leader says.
Source: Zab, phases 1 to 3; ZooKeeper's Learner, Follower and Observer.
"""

from collections import deque
from typing import Final, final

from zoopark.jute.buffer import I32, I64
from zoopark.jute.quorum import (
    ACK,
    ACKEPOCH,
    COMMIT,
    COMMITANDACTIVATE,
    DIFF,
    FOLLOWERINFO,
    INFORM,
    INFORMANDACTIVATE,
    LEADERINFO,
    NEWLEADER,
    OBSERVERINFO,
    PING,
    PROPOSAL,
    REVALIDATE,
    SNAP,
    SYNC,
    TRUNC,
    UPTODATE,
    LearnerInfo,
    QuorumPacket,
    encode_learner_info,
)
from zoopark.record import Now
from zoopark.zab.delivery import Delivery
from zoopark.zab.effects import Append, Dial, Note, Pinged, ReceiveSnapshot, SaveEpoch, Truncate
from zoopark.zab.history import ACCEPTED_EPOCH, CURRENT_EPOCH, History, is_next
from zoopark.zab.outbox import Entry, Outbox
from zoopark.zab.settings import PeerSettings
from zoopark.zxid import MAX_EPOCH, counter_of, epoch_of, make_zxid

DIALLING: Final = "DIALLING"
GREETING: Final = "GREETING"
ACCEPTING: Final = "ACCEPTING"
WAITING: Final = "WAITING"
TRUNCATING: Final = "TRUNCATING"
RECEIVING: Final = "RECEIVING"
COLLECTING: Final = "COLLECTING"
PERSISTING: Final = "PERSISTING"
CLAIMING: Final = "CLAIMING"
READY: Final = "READY"
SERVING: Final = "SERVING"
FINISHED: Final = "FINISHED"

ON_DISK: Final = (ACCEPTING, TRUNCATING, RECEIVING, PERSISTING, CLAIMING)
MAX_DIALS: Final = 5
REDIAL_MS: Final = 100
NO_LINK: Final = -1
DOES_NOT_COUNT: Final = I32.pack(-1)
"""The epoch in an ACKEPOCH of a member that has acknowledged this epoch before: it must not count twice."""


@final
class Learner:
    """One attempt of this member to follow a leader.

    Args:
        settings: who this is; the limits.
        leader_sid: whom the election named.
        history: settled: nothing pending, nothing on its way to the disk.
        outbox: where effects go.
        now: when the election was decided.

    Public state: `phase`, `epoch` (-1 before LEADERINFO), `link` (NO_LINK while there is none), `why` it is FINISHED.
    """

    __slots__ = (
        "_collected",
        "_collected_zxid",
        "_delivery",
        "_dial_at_ms",
        "_heard_ms",
        "_held",
        "_history",
        "_is_observer",
        "_n_dials",
        "_outbox",
        "_ping_zxid",
        "_settings",
        "epoch",
        "leader_sid",
        "link",
        "phase",
        "why",
    )

    def __init__(self, settings: PeerSettings, leader_sid: int, history: History, outbox: Outbox, now: Now) -> None:
        assert history.is_settled() and not history.pending, "the log is still on its way to the disk"
        assert leader_sid != settings.sid, "a member does not follow itself"
        self._settings = settings
        self._history = history
        self._outbox = outbox
        self._is_observer = not settings.is_voter()
        self.leader_sid = leader_sid
        self.link = NO_LINK
        self.epoch = -1
        self.why = ""
        self.phase = DIALLING
        self._heard_ms = now.mono_ms
        self._n_dials = 0
        self._dial_at_ms: int | None = None
        self._ping_zxid = 0
        self._held: deque[QuorumPacket] = deque()
        self._collected: list[Entry] = []
        self._collected_zxid = history.last_zxid
        self._delivery = Delivery(history, outbox, self._is_observer, settings.limits.max_pending_txns)
        self._dial()

    def is_serving(self) -> bool:
        """Whether the tree is that of the established epoch, and kept so."""
        return self.phase == SERVING

    # ---- links

    def _dial(self) -> None:
        assert self.phase == DIALLING, self.phase
        self._n_dials += 1
        self._dial_at_ms = None
        self._outbox.emit(Dial(self.leader_sid))

    def on_dial_failed(self, now: Now) -> None:
        """The leader does not listen, or not yet."""
        if self.phase != DIALLING:
            return
        if self._n_dials >= MAX_DIALS or now.mono_ms - self._heard_ms >= self._settings.limits.init_ms():
            self.finish(f"server {self.leader_sid} does not answer")
        else:
            self._dial_at_ms = now.mono_ms + REDIAL_MS

    def on_dialled(self, link: int, now: Now) -> None:
        """The link is there: introduce ourselves, and say which epoch we promised to follow."""
        if self.phase != DIALLING:
            self._outbox.close(link, "a second link to the leader")
            return
        self.link = link
        self._dial_at_ms = None
        self._enter(GREETING, now)
        info = LearnerInfo(self._settings.sid, config_version=self._settings.config_version)
        kind = OBSERVERINFO if self._is_observer else FOLLOWERINFO
        self._send(QuorumPacket(kind, make_zxid(self._history.accepted_epoch, 0), encode_learner_info(info)))

    def on_link_lost(self, now: Now) -> None:
        """A leader that is not ready to lead may hang up before it says anything: as if it had not answered."""
        if self.phase == FINISHED:
            return
        self._outbox.leave(self.link)
        self.link = NO_LINK
        if self.phase == GREETING:
            self.phase = DIALLING
            self.on_dial_failed(now)
        else:
            self.finish("the leader is gone")

    def on_packet(self, packet: QuorumPacket, now: Now) -> None:
        """What the leader says. Nothing it may say is an error; what makes no sense ends the attempt."""
        self._heard_ms = now.mono_ms
        if self.phase in ON_DISK:
            self._hold(packet)
        elif self.phase in (READY, SERVING):
            self._on_broadcast(packet, now)
        elif self.phase == COLLECTING:
            self._on_collecting(packet, now)
        elif self.phase == WAITING:
            self._on_waiting(packet, now)
        elif self.phase == GREETING and packet.type == LEADERINFO:
            self.on_leaderinfo(packet, now)
        else:
            self._out_of_turn(packet)

    def _hold(self, packet: QuorumPacket) -> None:
        assert self.phase in ON_DISK, self.phase
        if len(self._held) >= self._settings.limits.max_pending_txns:
            self.finish(f"{len(self._held)} packets wait for the disk")
        else:
            self._held.append(packet)

    def _release(self, now: Now) -> None:
        """The disk has answered: packets that waited for it go on, until one needs the disk again."""
        held = self._held
        while held and self.phase not in ON_DISK and self.phase != FINISHED:
            self.on_packet(held.popleft(), now)
        assert not held or self.phase in ON_DISK or self.phase == FINISHED

    # ---- discovery

    def on_leaderinfo(self, packet: QuorumPacket, now: Now) -> None:
        """The leader proposes an epoch. It is promised on disk before it is answered."""
        epoch, accepted_epoch = epoch_of(packet.zxid), self._history.accepted_epoch
        if epoch < accepted_epoch or epoch > MAX_EPOCH:
            self.finish(f"server {self.leader_sid} proposes epoch {epoch}, this one has accepted {accepted_epoch}")
            return
        self.epoch = epoch
        if epoch == accepted_epoch:
            self._enter(WAITING, now)
            self._send(QuorumPacket(ACKEPOCH, self._history.last_zxid, DOES_NOT_COUNT))
            return
        self._enter(ACCEPTING, now)
        self._save(ACCEPTED_EPOCH)

    def _save(self, name: str) -> None:
        assert self.phase in (ACCEPTING, CLAIMING), self.phase
        self._history.save(name, self.epoch)
        self._outbox.emit(SaveEpoch(name, self.epoch))

    def on_epoch_saved(self, now: Now) -> None:
        """An epoch is durable: what it promises may be sent."""
        if self.phase == ACCEPTING:
            assert self._history.accepted_epoch == self.epoch, self._history.accepted_epoch
            self._enter(WAITING, now)
            data = I32.pack(self._history.current_epoch)
            self._send(QuorumPacket(ACKEPOCH, self._history.last_zxid, data))
            self._release(now)
        elif self.phase == CLAIMING:
            self._acknowledge_newleader(now)

    # ---- synchronisation

    def _on_waiting(self, packet: QuorumPacket, now: Now) -> None:
        assert self._history.is_settled(), "the log moves before synchronisation"
        kind, zxid = packet.type, packet.zxid
        if kind == DIFF:
            self._begin_collecting(now)
        elif kind == TRUNC and 0 <= zxid <= self._history.last_zxid:
            self._truncate(zxid, now)
        elif kind == SNAP and 0 <= epoch_of(zxid) <= self.epoch:
            self._enter(RECEIVING, now)
            self._history.receive(zxid)
            self._outbox.emit(ReceiveSnapshot(self.link, zxid, self._settings.limits.init_ms()))
        elif kind != PING:
            self._out_of_turn(packet)

    def _truncate(self, zxid: int, now: Now) -> None:
        assert zxid <= self._history.last_zxid, zxid
        if zxid == self._history.last_zxid:
            self._begin_collecting(now)
            return
        self._enter(TRUNCATING, now)
        self._history.truncate(zxid)
        self._outbox.emit(Truncate(zxid))

    def on_truncated(self, asked_zxid: int, now: Now) -> None:
        """Log and tree end where the leader said, or at what is before an epoch's mark."""
        if self.phase != TRUNCATING:
            return
        if self._history.last_zxid != asked_zxid and counter_of(asked_zxid) != 0:
            self.finish(f"there is no transaction {asked_zxid:#x} here to truncate to")
            return
        self._begin_collecting(now)

    def on_snapshot_saved(self, now: Now) -> None:
        """Log and tree begin with the snapshot, durably (ZOOKEEPER-2872, 3642)."""
        if self.phase == RECEIVING:
            self._begin_collecting(now)

    def on_snapshot_lost(self, now: Now) -> None:
        """The snapshot did not come."""
        if self.phase == RECEIVING:
            self.finish("the snapshot did not come whole")

    def _begin_collecting(self, now: Now) -> None:
        """The leader's history reaches as far as ours, so all of ours is committed."""
        assert self._history.is_settled() and not self._history.pending, "the log moves during synchronisation"
        self._collected_zxid = self._history.last_zxid
        self._delivery.begin()
        self._enter(COLLECTING, now)
        self._release(now)

    def _on_collecting(self, packet: QuorumPacket, now: Now) -> None:
        kind = packet.type
        if kind == PROPOSAL:
            self._collect(packet.zxid, packet.data)
        elif kind in (COMMIT, COMMITANDACTIVATE):
            self.on_commit(packet.zxid)
        elif kind in (INFORM, INFORMANDACTIVATE):
            self._collect(packet.zxid, _txn_of(packet))
            self.on_commit(packet.zxid)
        elif kind == NEWLEADER:
            self.on_newleader(packet, now)
        elif kind != PING:
            self._out_of_turn(packet)

    def _collect(self, zxid: int, txn: bytes | None) -> None:
        """A transaction of the history to be; one that is here already may come again."""
        if self.phase != COLLECTING or zxid <= self._collected_zxid:
            return
        is_wrong = not is_next(zxid, self._collected_zxid) or epoch_of(zxid) > self.epoch
        if is_wrong or len(self._collected) >= self._settings.limits.max_pending_txns:
            self.finish(f"proposal {zxid:#x} after {self._collected_zxid:#x}: {len(self._collected)} collected")
            return
        self._collected.append((zxid, txn or b""))
        self._collected_zxid = zxid

    def on_newleader(self, packet: QuorumPacket, now: Now) -> None:
        """Step 1 of three: the history is made durable."""
        assert self.phase == COLLECTING, self.phase
        if packet.zxid != make_zxid(self.epoch, 0):
            self.finish(f"NEWLEADER of {packet.zxid:#x} in epoch {self.epoch}")
            return
        self._enter(PERSISTING, now)
        for entry in self._collected:
            self._history.append(entry)
        if self._collected:
            self._outbox.emit(Append(self._collected, self._collected_zxid))
        self._collected = []
        self._claim_if_durable(now)

    def _claim_if_durable(self, now: Now) -> None:
        """Step 2: the epoch is claimed, once its history is durable (ZOOKEEPER-4643)."""
        assert self.phase == PERSISTING, self.phase
        if self._history.durable_zxid < self._history.last_zxid:
            return
        self._enter(CLAIMING, now)
        if self._history.current_epoch == self.epoch:
            self._acknowledge_newleader(now)
        else:
            self._save(CURRENT_EPOCH)

    def _acknowledge_newleader(self, now: Now) -> None:
        """Step 3. Then, and not ahead of it, the proposals among that history are acknowledged (ZOOKEEPER-4685)."""
        assert self.phase == CLAIMING, self.phase
        assert self._history.is_settled(), "acknowledged ahead of the disk"
        assert self._history.current_epoch == self.epoch, self._history.current_epoch
        self._enter(READY, now)
        self._send(QuorumPacket(ACK, make_zxid(self.epoch, 0)))
        self._delivery.acknowledge_history(self.link)
        self._release(now)

    # ---- broadcast

    def _on_broadcast(self, packet: QuorumPacket, now: Now) -> None:
        kind = packet.type
        if kind == PROPOSAL:
            if not self._is_observer:
                self.on_proposal(packet.zxid, packet.data)
        elif kind in (COMMIT, COMMITANDACTIVATE):
            if not self._is_observer or packet.zxid <= self._history.last_zxid:
                self.on_commit(packet.zxid)
        elif kind in (INFORM, INFORMANDACTIVATE):
            self.on_inform(packet.zxid, _txn_of(packet))
        elif kind == UPTODATE and self.phase == READY:
            self.on_uptodate(now)
        elif kind == PING:
            self.on_ping(packet)
        elif kind == SYNC and self.phase == SERVING:
            self._finish_if(self._delivery.on_sync(packet))
        elif kind == REVALIDATE and self.phase == SERVING:
            self._outbox.pass_up(self.link, packet)
        else:
            self._out_of_turn(packet)

    def on_proposal(self, zxid: int, txn: bytes | None) -> None:
        """Log it; on_logged acknowledges it."""
        self._finish_if(self._delivery.on_proposal(zxid, txn, self.epoch))

    def on_commit(self, zxid: int) -> None:
        """In the order of proposals."""
        if self.phase != FINISHED:
            last_zxid = self._collected_zxid if self.phase == COLLECTING else self._history.last_zxid
            self._finish_if(self._delivery.on_commit(zxid, last_zxid))

    def on_inform(self, zxid: int, txn: bytes | None) -> None:
        """Proposal and commit in one, for observers."""
        self.on_proposal(zxid, txn)
        self.on_commit(zxid)

    def on_logged(self, now: Now) -> None:
        """The log is durable up to `history.durable_zxid`."""
        if self.phase == PERSISTING:
            self._claim_if_durable(now)
        if self.phase in (READY, SERVING):
            self._delivery.acknowledge(self.link)

    def on_uptodate(self, now: Now) -> None:
        """A quorum has the history of this epoch. The answer says nothing new, but ZooKeeper's leader reads one."""
        assert self.phase == READY, self.phase
        self._enter(SERVING, now)
        self._send(QuorumPacket(ACK, make_zxid(self.epoch, 0)))
        self.advance()

    def advance(self) -> None:
        """Deliver what is committed and in our log; per wake-up."""
        if self.phase == SERVING:
            self._delivery.advance(self.link)

    def on_ping(self, packet: QuorumPacket) -> None:
        """Ask the server which sessions were active; before it serves there are none."""
        self._ping_zxid = packet.zxid
        if self.phase == SERVING:
            self._outbox.emit(Pinged(self.link))
        else:
            self._send(QuorumPacket(PING, packet.zxid, b""))

    def pong(self, data: bytes) -> None:
        """Answer the last PING, with its zxid; see `Peer.pong`."""
        if self.phase == SERVING:
            self._send(QuorumPacket(PING, self._ping_zxid, data))

    def request(self, packet: QuorumPacket) -> None:
        """Pass a packet up to the leader; see `Peer.request`."""
        if self.phase == SERVING:
            self._send(packet)

    # ---- time

    def deadline(self) -> int | None:
        """When to dial again, or when the leader has been silent too long; None while the disk is at work."""
        assert self.phase != FINISHED, self.phase
        if self.phase == DIALLING:
            return self._heard_ms + self._settings.limits.init_ms() if self._dial_at_ms is None else self._dial_at_ms
        limits = self._settings.limits
        limit_ms = limits.sync_ms() if self.phase in (READY, SERVING) else limits.init_ms()
        return None if self.phase in ON_DISK else self._heard_ms + limit_ms

    def on_timeout(self, now: Now) -> None:
        """Dial again, or give up on a leader that is silent."""
        due_ms = None if self.phase == FINISHED else self.deadline()
        if due_ms is None or now.mono_ms < due_ms:
            return
        if self.phase == DIALLING and self._dial_at_ms is not None:
            self._dial()
        else:
            self.finish(f"server {self.leader_sid} is silent")

    # ---- ends

    def finish(self, why: str) -> None:
        """Stop following: the link is closed; what was collected and not given to the log is dropped."""
        if self.phase == FINISHED:
            return
        self.phase = FINISHED
        self.why = why
        self._collected = []
        self._held.clear()
        if self.link != NO_LINK:
            self._outbox.close(self.link, why)
            self.link = NO_LINK
        self._outbox.emit(Note(f"stopped following server {self.leader_sid}: {why}"))

    def _finish_if(self, why: str) -> None:
        if why:
            self.finish(why)

    def _out_of_turn(self, packet: QuorumPacket) -> None:
        self.finish(f"packet of type {packet.type} out of turn in phase {self.phase}")

    def _enter(self, phase: str, now: Now) -> None:
        assert self.phase not in (phase, FINISHED), self.phase
        self.phase = phase
        self._heard_ms = now.mono_ms

    def _send(self, packet: QuorumPacket) -> None:
        assert self.link != NO_LINK, packet
        self._outbox.send(self.link, packet)


def _txn_of(packet: QuorumPacket) -> bytes | None:
    """The transaction of an INFORM; of INFORMANDACTIVATE, behind the leader it designates."""
    return packet.data if packet.type == INFORM else (packet.data or b"")[I64.size :]
