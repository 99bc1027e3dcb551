"""Planted faults of learners: synchronisation, and what follows it. Each function re-creates one known bug."""

from typing import Any

from tests.planted.parts import Parts
from zoopark.jute.quorum import ACK, COMMIT, PROPOSAL, QuorumPacket
from zoopark.record import Now
from zoopark.zab.effects import Append
from zoopark.zxid import make_zxid

Self = Any
"""A copied part; a planted fault knows its insides."""


def _append_collected(learner: Self) -> None:
    for entry in learner._collected:
        learner._history.append(entry)
    if learner._collected:
        learner._outbox.emit(Append(learner._collected, learner._collected_zxid))
    learner._collected = []


def _claim(parts: Parts, learner: Self, now: Now) -> None:
    """Step 2 of NEWLEADER, whatever step 1 has come to."""
    learner._enter(parts.learner.CLAIMING, now)
    if learner._history.current_epoch == learner.epoch:
        learner._acknowledge_newleader(now)
    else:
        learner._save("currentEpoch")


def _ready(parts: Parts, learner: Self, now: Now) -> None:
    """Step 3 of NEWLEADER, without looking at the disk."""
    learner._enter(parts.learner.READY, now)
    learner._send(QuorumPacket(ACK, make_zxid(learner.epoch, 0)))


def history_logged_after_uptodate(parts: Parts) -> None:
    """3911: what came by DIFF goes to the log when UPTODATE comes, although NEWLEADER was acknowledged before."""
    kind = parts.learner.Learner
    on_proposal, on_uptodate = kind.on_proposal, kind.on_uptodate

    def on_newleader(self: Self, packet: QuorumPacket, now: Now) -> None:
        _claim(parts, self, now)

    def acknowledge_newleader(self: Self, now: Now) -> None:
        _ready(parts, self, now)
        self._release(now)

    def collect(self: Self, zxid: int, txn: bytes | None) -> None:
        if self.phase == parts.learner.READY:
            self._collected.append((zxid, txn or b""))
            self._collected_zxid = zxid
        else:
            on_proposal(self, zxid, txn)

    def on_commit(self: Self, zxid: int) -> None:
        is_late = self.phase in (parts.learner.COLLECTING, parts.learner.READY)
        self._finish_if(self._delivery.on_commit(zxid, self._collected_zxid if is_late else self._history.last_zxid))

    def append_then_serve(self: Self, now: Now) -> None:
        _append_collected(self)
        on_uptodate(self, now)

    kind.on_newleader, kind._acknowledge_newleader = on_newleader, acknowledge_newleader
    kind.on_proposal, kind.on_commit, kind.on_uptodate = collect, on_commit, append_then_serve


def epoch_before_history(parts: Parts) -> None:
    """4643: on NEWLEADER currentEpoch is written first, and the history behind it."""
    kind = parts.learner.Learner

    def on_newleader(self: Self, packet: QuorumPacket, now: Now) -> None:
        self._enter(parts.learner.CLAIMING, now)
        if self._history.current_epoch == self.epoch:
            on_epoch_durable(self, now)
        else:
            self._save("currentEpoch")

    def on_epoch_durable(self: Self, now: Now) -> None:
        self._enter(parts.learner.PERSISTING, now)
        _append_collected(self)
        acknowledge_if_durable(self, now)

    def acknowledge_if_durable(self: Self, now: Now) -> None:
        if self._history.durable_zxid == self._history.last_zxid:
            _ready(parts, self, now)
            self._delivery.acknowledge_history(self.link)
            self._release(now)

    kind.on_newleader, kind._acknowledge_newleader = on_newleader, on_epoch_durable
    kind._claim_if_durable = acknowledge_if_durable


def newleader_acked_while_flushing(parts: Parts) -> None:
    """4646: the log is told to write the history, and NEWLEADER is acknowledged without waiting for it."""

    def claim_at_once(self: Self, now: Now) -> None:
        _claim(parts, self, now)

    def acknowledge_newleader(self: Self, now: Now) -> None:
        _ready(parts, self, now)
        self._delivery._unacked.extend(zxid for zxid, _ in self._history.pending)
        self._delivery.acknowledge(self.link)
        self._release(now)

    parts.learner.Learner._claim_if_durable = claim_at_once
    parts.learner.Learner._acknowledge_newleader = acknowledge_newleader


def history_logged_behind_the_ack(parts: Parts) -> None:
    """4785: what came by DIFF waits in a queue for the log, and NEWLEADER is acknowledged ahead of that queue."""

    def on_newleader(self: Self, packet: QuorumPacket, now: Now) -> None:
        _claim(parts, self, now)

    def acknowledge_newleader(self: Self, now: Now) -> None:
        _ready(parts, self, now)
        _append_collected(self)
        self._release(now)

    parts.learner.Learner.on_newleader = on_newleader
    parts.learner.Learner._acknowledge_newleader = acknowledge_newleader


def proposals_acked_ahead_of_newleader(parts: Parts) -> None:
    """4685: proposals of the synchronisation are logged as they come, and the log acknowledges them by itself."""
    kind = parts.learner.Learner
    on_logged = kind.on_logged

    def collect(self: Self, zxid: int, txn: bytes | None) -> None:
        self._finish_if(self._delivery.on_proposal(zxid, txn, self.epoch))
        self._collected_zxid = self._history.last_zxid

    def acknowledge(self: Self, now: Now) -> None:
        if self.phase in (parts.learner.COLLECTING, parts.learner.PERSISTING):
            self._delivery.acknowledge(self.link)
        on_logged(self, now)

    kind._collect, kind.on_logged = collect, acknowledge


def commit_ahead_of_uptodate(parts: Parts) -> None:
    """4394: a COMMIT ahead of UPTODATE looks for its proposal among those behind NEWLEADER, and only there."""
    kind = parts.learner.Learner
    on_commit = kind.on_commit

    def look_up(self: Self, zxid: int) -> None:
        if self.phase == parts.learner.READY:
            first_zxid, _ = self._collected[0]
            assert first_zxid == zxid
        on_commit(self, zxid)

    kind.on_commit = look_up


def history_bypasses_window(parts: Parts) -> None:
    """4925: what came by synchronisation is applied, and left out of the window from which learners are served."""
    kind = parts.learner.Learner
    on_uptodate = kind.on_uptodate

    def deliver_around(self: Self, now: Now) -> None:
        window = list(self._history.window)
        on_uptodate(self, now)
        self._history.window.clear()
        self._history.window.extend(window)

    kind.on_uptodate = deliver_around


def proposals_once_only(parts: Parts) -> None:
    """The paper's second ambiguity: a joiner is sent what is outstanding twice, and logs it twice."""
    plain = parts.leader.rest_of

    def twice(*arguments: Any) -> list[QuorumPacket]:
        packets: list[QuorumPacket] = plain(*arguments)
        n_commits = sum(packet.type == COMMIT for packet in packets)
        outstanding = [packet for packet in packets if packet.type == PROPOSAL][n_commits:]
        return packets + outstanding

    def on_proposal(self: Self, zxid: int, txn: bytes | None, epoch: int) -> str:
        self._history.append((zxid, txn or b""))
        self._outbox.append((zxid, txn or b""))
        self._unacked.append(zxid)
        return ""

    parts.leader.rest_of = twice
    parts.delivery.Delivery.on_proposal = on_proposal
