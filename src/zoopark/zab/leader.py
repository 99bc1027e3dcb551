"""The leader: discovery, synchronisation and liveness; writes are `broadcast.Broadcast`.

    phase of the leader                                    what it waits for
    GATHERING      acceptedEpochs (FOLLOWERINFO)           a quorum, itself included, within initLimit
    PROMISING      acceptedEpoch = greatest + 1            its disk; only then LEADERINFO proposes the epoch
    ASKING         ACKEPOCH                                a quorum, within initLimit; a more recent voter ends it all
    CLAIMING       currentEpoch                            its disk
    SYNCING        ACK of NEWLEADER                        a quorum, within initLimit
    BROADCASTING   proposals                               a quorum that shows signs of life, each tick
    FINISHED       nothing: every link is closed, the peer goes back to election

    phase of a learner here
    NEW -FOLLOWERINFO-> WAITING -LEADERINFO sent-> ASKED -ACKEPOCH-> KNOWN -plan-> (READING) -> CATCHING_UP
        -ACK of NEWLEADER-> CAUGHT_UP -UPTODATE sent-> SERVING

From the instant of the plan on, a learner is sent all that is proposed and committed, behind NEWLEADER and before it
has acknowledged that: whoever waited would miss what is proposed in between (the paper says less; see its critics in
ZooKeeper's zookeeper-specifications). UPTODATE carries no zxid: the COMMITs ahead of it say what is committed.

What this must never do: propose an epoch that is not durable here; lead a quorum one of which is more recent; serve
before a quorum has acknowledged NEWLEADER; count what is not a voter; believe that a member it cannot hear is there.
Source: Zab, phases 1 and 2; ZooKeeper's Leader and LearnerHandler.
"""

from typing import Final, final

from zoopark.errors import Malformed
from zoopark.jute.buffer import I32
from zoopark.jute.quorum import (
    ACK,
    ACKEPOCH,
    FOLLOWERINFO,
    LEADERINFO,
    OBSERVERINFO,
    PING,
    PROTOCOL_VERSION,
    REQUEST,
    REVALIDATE,
    UPTODATE,
    QuorumPacket,
    decode_learner_info,
)
from zoopark.record import Now
from zoopark.zab.broadcast import Broadcast
from zoopark.zab.effects import Note, ReadLog, SaveEpoch, SendSnapshot
from zoopark.zab.history import ACCEPTED_EPOCH, CURRENT_EPOCH, History
from zoopark.zab.outbox import Entry, Outbox
from zoopark.zab.settings import PeerSettings
from zoopark.zab.synchronisation import FromLog, Plan, Snap, opening_of, plan_from_log, plan_sync, rest_of
from zoopark.zxid import MAX_EPOCH, epoch_of, make_zxid

GATHERING: Final = "GATHERING"
PROMISING: Final = "PROMISING"
ASKING: Final = "ASKING"
CLAIMING: Final = "CLAIMING"
SYNCING: Final = "SYNCING"
BROADCASTING: Final = "BROADCASTING"
FINISHED: Final = "FINISHED"

NEW: Final = 0
WAITING: Final = 1
ASKED: Final = 2
KNOWN: Final = 3
READING: Final = 4
CATCHING_UP: Final = 5
CAUGHT_UP: Final = 6
SERVING: Final = 7

MAX_SNAPSHOTS: Final = 10
"""Snapshots that are sent at a time; voters are never refused one, but count."""
DOES_NOT_COUNT: Final = -1
"""The epoch in the ACKEPOCH of a learner that has acknowledged this epoch before."""


@final
class Attendant:
    """A learner as its leader sees it.

    Attributes:
        phase: NEW … SERVING.
        sid: -1 before FOLLOWERINFO or OBSERVERINFO.
        zxid: the last one it had in its log when it came.
        heard_ms: when its last packet came.
        since_ms: when it entered its phase.
        due: (zxid, since_ms) of a proposal it has not acknowledged, about the oldest.
        following: (zxid, since_ms) of the proposal that is watched next.
    """

    __slots__ = (
        "due",
        "following",
        "heard_ms",
        "is_observer",
        "is_snapshot",
        "link",
        "phase",
        "sid",
        "since_ms",
        "zxid",
    )

    def __init__(self, link: int, now: Now) -> None:
        self.link = link
        self.phase = NEW
        self.sid = -1
        self.zxid = 0
        self.is_observer = False
        self.is_snapshot = False
        self.heard_ms = self.since_ms = now.mono_ms
        self.due: tuple[int, int] | None = None
        self.following: tuple[int, int] | None = None

    def enter(self, phase: int, now: Now) -> None:
        """The next phase begins."""
        assert self.phase < phase <= SERVING, (self.phase, phase)
        self.phase = phase
        self.since_ms = now.mono_ms

    def is_synchronised(self) -> bool:
        """Whether it has been told what it lacks, and is told of all that happens from then on."""
        return self.phase >= CATCHING_UP

    def is_following(self) -> bool:
        """Whether it counts for a quorum that is there."""
        return self.phase >= CAUGHT_UP and not self.is_observer

    def is_sent_snapshot(self) -> bool:
        """Whether a snapshot is on its way."""
        return self.is_snapshot and self.phase == CATCHING_UP

    def on_proposed(self, zxid: int, now: Now) -> None:
        """It was sent a proposal."""
        assert not self.is_observer, "observers are not asked"
        if self.due is None:
            self.due = (zxid, now.mono_ms)
        elif self.following is None:
            self.following = (zxid, now.mono_ms)

    def on_acked(self, zxid: int) -> None:
        """It has acknowledged proposals."""
        if self.due is not None and zxid >= self.due[0]:
            self.due, self.following = self.following, None
            if self.due is not None and zxid >= self.due[0]:
                self.due = None


@final
class Leader:
    """One attempt of this member to lead.

    Args:
        settings: who votes, and the limits.
        history: settled: nothing pending, nothing on its way to the disk.
        outbox: where effects go.
        now: when the election was won.

    Public state: `phase`, `epoch` (-1 before PROMISING), `why` it is FINISHED.
    """

    __slots__ = (
        "_accepted_by",
        "_acked_epoch",
        "_acked_newleader",
        "_attendants",
        "_broadcast",
        "_greatest_accepted",
        "_history",
        "_is_half_tick",
        "_outbox",
        "_phase_end_ms",
        "_settings",
        "_tick_ms",
        "epoch",
        "phase",
        "why",
    )

    def __init__(self, settings: PeerSettings, history: History, outbox: Outbox, now: Now) -> None:
        assert history.is_settled() and not history.pending, "the log is still on its way to the disk"
        assert settings.is_voter(), "only voters lead"
        self._settings = settings
        self._history = history
        self._outbox = outbox
        self._broadcast = Broadcast(settings.sid, settings.verifier, history, outbox)
        self._attendants: dict[int, Attendant] = {}
        self._accepted_by = {settings.sid}
        self._greatest_accepted = history.accepted_epoch
        self._acked_epoch: set[int] = set()
        self._acked_newleader: set[int] = set()
        self._is_half_tick = True
        self._tick_ms = now.mono_ms + settings.limits.tick_ms // 2
        self._phase_end_ms = now.mono_ms + settings.limits.init_ms()
        self.phase = GATHERING
        self.epoch = -1
        self.why = ""
        self._gather()

    # ---- links

    def on_link(self, link: int, now: Now) -> None:
        """A learner has dialled."""
        assert link not in self._attendants, link
        if self.phase == FINISHED or len(self._attendants) >= self._settings.limits.max_learners:
            self._outbox.close(link, "no room for another learner")
            return
        self._attendants[link] = Attendant(link, now)

    def on_link_lost(self, link: int) -> None:
        """A learner is gone. What it acknowledged counts no more, since it may have to truncate it when it returns."""
        learner = self._attendants.pop(link, None)
        if learner is None:
            return
        self._outbox.leave(link)
        self._broadcast.forget(learner.sid)
        assert link not in self._attendants, link

    def on_packet(self, link: int, packet: QuorumPacket, now: Now) -> None:
        """What a learner says. Nothing it may say is an error; what makes no sense closes its link."""
        learner = self._attendants.get(link)
        if learner is None:
            return
        learner.heard_ms = now.mono_ms
        kind = packet.type
        if kind == ACK and learner.phase >= CATCHING_UP:
            self.on_ack(learner, packet.zxid, now)
        elif kind in (REQUEST, REVALIDATE) and learner.phase >= CAUGHT_UP:
            self._outbox.pass_up(link, packet)
        elif kind == PING and learner.phase >= CAUGHT_UP:
            if packet.data:
                self._outbox.pass_up(link, packet)
        elif kind in (FOLLOWERINFO, OBSERVERINFO) and learner.phase == NEW:
            self.on_followerinfo(learner, packet, now)
        elif kind == ACKEPOCH and learner.phase == ASKED:
            self.on_ackepoch(learner, packet, now)
        else:
            self._close(learner, f"packet of type {kind} out of turn from server {learner.sid}")

    # ---- discovery

    def on_followerinfo(self, learner: Attendant, packet: QuorumPacket, now: Now) -> None:
        """A learner says who it is and which epoch it has promised to follow."""
        try:
            info = decode_learner_info(packet.data)
        except Malformed as error:
            self._close(learner, str(error))
            return
        accepted_epoch = epoch_of(packet.zxid)
        if info.protocol_version < PROTOCOL_VERSION:
            self._close(learner, f"server {info.sid} speaks protocol {info.protocol_version:#x}, from before epochs")
        elif info.sid == self._settings.sid:
            self._close(learner, f"another server says it is server {info.sid}, like this one")
        elif info.config_version > self._settings.config_version:
            self._close(learner, f"server {info.sid} has a later configuration")
        elif not 0 <= accepted_epoch < MAX_EPOCH:
            self._close(learner, f"server {info.sid} has accepted epoch {accepted_epoch}")
        else:
            self._replace(info.sid)
            learner.sid = info.sid
            learner.is_observer = packet.type == OBSERVERINFO
            learner.enter(WAITING, now)
            self._admit(learner, accepted_epoch, now)

    def _replace(self, sid: int) -> None:
        """Who comes a second time has lost its first link without our knowing."""
        for other in [other for other in self._attendants.values() if other.sid == sid and sid >= 0]:
            self._close(other, f"server {sid} has come again")

    def _admit(self, learner: Attendant, accepted_epoch: int, now: Now) -> None:
        assert learner.phase == WAITING, learner.phase
        if self.phase == GATHERING:
            self._greatest_accepted = max(self._greatest_accepted, accepted_epoch)
            if not learner.is_observer:
                self._accepted_by.add(learner.sid)
            self._gather()
        elif self.phase != PROMISING:
            self._ask(learner, now)

    def _gather(self) -> None:
        """GATHERING -> PROMISING once a quorum has told its epochs. Everybody's count, voters' decide."""
        assert self.phase == GATHERING, self.phase
        if self._settings.verifier.has_quorum(self._accepted_by):
            self.epoch = self._greatest_accepted + 1
            self.phase = PROMISING
            self._save(ACCEPTED_EPOCH)

    def _save(self, name: str) -> None:
        assert self.phase in (PROMISING, CLAIMING), self.phase
        self._history.save(name, self.epoch)
        self._outbox.emit(SaveEpoch(name, self.epoch))

    def on_epoch_saved(self, now: Now) -> None:
        """PROMISING -> ASKING: the epoch may be proposed. CLAIMING -> SYNCING: this server is the first to follow."""
        assert self.phase in (PROMISING, CLAIMING, FINISHED), self.phase
        if self.phase == PROMISING:
            self._enter(ASKING, now)
            self._acked_epoch.add(self._settings.sid)
            for learner in self._in_phase(WAITING):
                self._ask(learner, now)
            self._claim()
        elif self.phase == CLAIMING:
            self._enter(SYNCING, now)
            self._broadcast.on_logged()
            self._acked_newleader.add(self._settings.sid)
            for learner in self._in_phase(KNOWN):
                self._synchronise(learner, now)
            self._establish(now)

    def _ask(self, learner: Attendant, now: Now) -> None:
        assert self._history.accepted_epoch >= self.epoch, "an epoch is proposed that is not durable"
        learner.enter(ASKED, now)
        data = I32.pack(PROTOCOL_VERSION)
        self._outbox.send(learner.link, QuorumPacket(LEADERINFO, make_zxid(self.epoch, 0), data))

    def on_ackepoch(self, learner: Attendant, packet: QuorumPacket, now: Now) -> None:
        """A learner promises to follow no earlier epoch, and says how recent its history is."""
        if packet.data is None or len(packet.data) != I32.size or packet.zxid < 0:
            self._close(learner, f"a malformed ACKEPOCH of server {learner.sid}")
            return
        current_epoch = int(I32.unpack(packet.data)[0])
        learner.zxid = packet.zxid
        learner.enter(KNOWN, now)
        if self.phase == ASKING and current_epoch != DOES_NOT_COUNT:
            self._weigh(learner, current_epoch)
        elif self.phase in (SYNCING, BROADCASTING):
            self._synchronise(learner, now)

    def _weigh(self, learner: Attendant, current_epoch: int) -> None:
        assert self.phase == ASKING, self.phase
        is_voter = learner.sid in self._settings.verifier.voters and not learner.is_observer
        if (current_epoch, learner.zxid) > (self._history.current_epoch, self._history.last_zxid):
            why = f"server {learner.sid} is more recent: epoch {current_epoch}, zxid {learner.zxid:#x}"
            if is_voter:
                self.give_up(why)
            else:
                self._close(learner, why)
        elif is_voter:
            self._acked_epoch.add(learner.sid)
            self._claim()

    def _claim(self) -> None:
        """ASKING -> CLAIMING once a quorum has promised and none of it is more recent."""
        assert self.phase == ASKING, self.phase
        if self._settings.verifier.has_quorum(self._acked_epoch):
            self.phase = CLAIMING
            self._save(CURRENT_EPOCH)

    # ---- synchronisation

    def _synchronise(self, learner: Attendant, now: Now) -> None:
        assert learner.phase == KNOWN, learner.phase
        self._broadcast.advance()
        history, factor = self._history, self._settings.limits.size_factor
        plan = plan_sync(learner.zxid, history.applied_zxid, list(history.window), factor > 0)
        if isinstance(plan, FromLog):
            learner.enter(READING, now)
            self._outbox.emit(ReadLog(learner.link, plan.from_zxid, plan.upto_zxid, factor))
        else:
            self._carry_out(learner, plan, now)

    def on_log_read(self, link: int, entries: list[Entry] | None, now: Now) -> None:
        """The answer to ReadLog. The plan is made for this instant: the leader has gone on meanwhile."""
        learner = self._attendants.get(link)
        if learner is None or learner.phase != READING:
            return
        self._broadcast.advance()
        history = self._history
        plan = plan_from_log(learner.zxid, history.applied_zxid, entries, list(history.window))
        self._carry_out(learner, plan, now)

    def _carry_out(self, learner: Attendant, plan: Plan, now: Now) -> None:
        """Everything that brings the learner up to this instant, then NEWLEADER, then what all get."""
        assert learner.phase in (KNOWN, READING), learner.phase
        assert self.phase in (SYNCING, BROADCASTING), self.phase
        learner.is_snapshot = isinstance(plan, Snap)
        n_snapshots = sum(other.is_sent_snapshot() for other in self._attendants.values())
        if learner.is_snapshot and learner.is_observer and n_snapshots >= MAX_SNAPSHOTS:
            self._close(learner, f"{n_snapshots} snapshots are being sent already")
            return
        outbox, link = self._outbox, learner.link
        outbox.send(link, opening_of(plan))
        if isinstance(plan, Snap):
            outbox.emit(SendSnapshot(link, plan.zxid))
        pending = [] if learner.is_observer else list(self._history.pending)
        for packet in rest_of(plan, pending, make_zxid(self.epoch, 0), self._settings.config):
            outbox.send(link, packet)
        outbox.join(link, learner.is_observer)
        learner.enter(CATCHING_UP, now)
        if pending:
            learner.on_proposed(pending[0][0], now)
            learner.on_proposed(pending[-1][0], now)

    def on_ack(self, learner: Attendant, zxid: int, now: Now) -> None:
        """Of NEWLEADER first; then of proposals, and of UPTODATE, which says nothing new."""
        newleader_zxid = make_zxid(self.epoch, 0)
        if learner.phase == CATCHING_UP:
            if zxid != newleader_zxid:
                self._close(learner, f"server {learner.sid} acknowledged {zxid:#x} ahead of NEWLEADER")
                return
            learner.enter(CAUGHT_UP, now)
            if not learner.is_observer:
                self._acked_newleader.add(learner.sid)
            if self.phase == BROADCASTING:
                self._activate(learner, now)
            else:
                self._establish(now)
        elif zxid != newleader_zxid and not learner.is_observer:
            learner.on_acked(zxid)
            if not self._broadcast.on_ack(learner.sid, zxid):
                self._close(learner, f"server {learner.sid} acknowledged {zxid:#x}, which was not proposed")

    def _establish(self, now: Now) -> None:
        """SYNCING -> BROADCASTING once a quorum has the history of this epoch: it is committed."""
        if self.phase != SYNCING or not self._settings.verifier.has_quorum(self._acked_newleader):
            return
        self._enter(BROADCASTING, now)
        self._phase_end_ms = -1
        self._is_half_tick = True
        for learner in self._in_phase(CAUGHT_UP):
            self._activate(learner, now)

    def _activate(self, learner: Attendant, now: Now) -> None:
        assert self.phase == BROADCASTING, self.phase
        learner.enter(SERVING, now)
        self._outbox.send(learner.link, QuorumPacket(UPTODATE, -1))

    # ---- broadcast

    def propose(self, zxid: int, txn: bytes, now: Now) -> None:
        """Propose a transaction, which must be the next; see `Peer.propose`."""
        if self.phase != BROADCASTING:
            return
        if not self._broadcast.may_propose(self.epoch):
            self.give_up("the zxids of this epoch are used up: a new epoch begins (ZOOKEEPER-1277)")
        elif self._broadcast.n_waiting() >= self._settings.limits.max_pending_txns:
            self.give_up(f"{self._broadcast.n_waiting()} transactions wait for a quorum")
        else:
            assert epoch_of(zxid) == self.epoch, (zxid, self.epoch)
            self._broadcast.propose(zxid, txn)
            for learner in self._attendants.values():
                if learner.following is None and learner.phase >= CATCHING_UP and not learner.is_observer:
                    learner.on_proposed(zxid, now)

    def next_zxid(self) -> int:
        """The zxid of the next proposal."""
        assert self.phase == BROADCASTING, self.phase
        return max(self._history.last_zxid, make_zxid(self.epoch, 0)) + 1

    def on_logged(self) -> None:
        """Our own acknowledgement."""
        if self.phase in (SYNCING, BROADCASTING):
            self._broadcast.on_logged()

    def sync(self, link: int | None) -> None:
        """Answer when all that is proposed by now is committed; see `Peer.sync`."""
        if self.phase != BROADCASTING:
            return
        self._broadcast.advance()
        if self._broadcast.n_waiting() >= self._settings.limits.max_pending_txns:
            self.give_up(f"{self._broadcast.n_waiting()} syncs wait for a quorum")
        elif link is None or link in self._attendants:
            self._broadcast.sync(link)

    def learners(self) -> tuple[list[Attendant], int]:
        """Everybody who has a link, to be looked at; and how many syncs wait."""
        return list(self._attendants.values()), self._broadcast.n_syncs()

    def answer(self, link: int, packet: QuorumPacket) -> None:
        """Send a learner what the server answers it."""
        learner = self._attendants.get(link)
        if learner is not None and learner.phase >= CAUGHT_UP:
            self._outbox.send(link, packet)

    def advance(self) -> None:
        """Commit what can be committed by now; once per wake-up."""
        if self.phase == BROADCASTING:
            self._broadcast.advance()

    # ---- time

    def is_serving(self) -> bool:
        """Whether this is the leader of an established epoch."""
        return self.phase == BROADCASTING

    def deadline(self) -> int:
        """The next half tick, or the end of a phase."""
        assert self.phase != FINISHED, self.phase
        is_limited = self.phase in (GATHERING, ASKING, SYNCING)
        return min(self._tick_ms, self._phase_end_ms) if is_limited else self._tick_ms

    def on_timeout(self, now: Now) -> None:
        """Each half tick: learners that are silent or slow go, the others are pinged; each tick a quorum is there."""
        if self.phase in (GATHERING, ASKING, SYNCING) and now.mono_ms >= self._phase_end_ms:
            self.give_up(f"no quorum within initLimit in phase {self.phase}")
        if self.phase == FINISHED or now.mono_ms < self._tick_ms:
            return
        self._tick_ms = now.mono_ms + self._settings.limits.tick_ms // 2
        for learner in list(self._attendants.values()):
            self._drop_if_late(learner, now)
        self._is_half_tick = not self._is_half_tick
        if self.phase == BROADCASTING and self._is_half_tick and not self._has_quorum():
            self.give_up("no quorum of followers shows signs of life")
            return
        ping = QuorumPacket(PING, self._history.last_zxid)
        self._outbox.to_followers(ping)
        self._outbox.to_observers(ping)

    def _drop_if_late(self, learner: Attendant, now: Now) -> None:
        limits = self._settings.limits
        is_in_sync = learner.phase >= CAUGHT_UP
        limit_ms = limits.sync_ms() if is_in_sync else limits.init_ms()
        if learner.phase == READING:
            return  # it waits for our disk
        if now.mono_ms - max(learner.heard_ms, learner.since_ms) >= limit_ms:
            self._close(learner, f"server {learner.sid} was silent for {limit_ms} ms")
        elif is_in_sync and learner.due is not None and now.mono_ms - learner.due[1] >= limits.sync_ms():
            self._close(learner, f"server {learner.sid} has not acknowledged {learner.due[0]:#x} for {limit_ms} ms")

    def _has_quorum(self) -> bool:
        sids = [learner.sid for learner in self._attendants.values() if learner.is_following()]
        return self._settings.verifier.has_quorum([self._settings.sid, *sids])

    # ---- ends

    def give_up(self, why: str) -> None:
        """Stop leading: all links are closed, everything that waits is dropped."""
        if self.phase == FINISHED:
            return
        for learner in list(self._attendants.values()):
            self._close(learner, "the leader gives up")
        self.phase = FINISHED
        self.why = why
        self._outbox.emit(Note(f"gave up leading epoch {self.epoch}: {why}"))
        assert not self._attendants, "a link is left open"

    def _close(self, learner: Attendant, why: str) -> None:
        assert learner.link in self._attendants, learner.link
        self._outbox.close(learner.link, why)
        self.on_link_lost(learner.link)

    def _in_phase(self, phase: int) -> list[Attendant]:
        return [learner for learner in self._attendants.values() if learner.phase == phase]

    def _enter(self, phase: str, now: Now) -> None:
        assert self.phase not in (phase, FINISHED), self.phase
        self.phase = phase
        self._phase_end_ms = now.mono_ms + self._settings.limits.init_ms()
