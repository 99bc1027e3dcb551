"""Planted faults of leaders and of whole peers. Each function re-creates one known bug."""

from typing import Any

from tests.planted.parts import Parts
from zoopark.jute.buffer import I32
from zoopark.jute.quorum import COMMIT, LEADERINFO, NEWLEADER, PROTOCOL_VERSION, QuorumPacket
from zoopark.record import Effect, Now
from zoopark.zab.effects import Send
from zoopark.zxid import make_zxid

Self = Any
"""A copied part; a planted fault knows its insides."""


def newleader_ahead_of_history(parts: Parts) -> None:
    """3104: NEWLEADER is queued ahead of transactions of the same synchronisation."""
    plain = parts.leader.rest_of

    def early(*arguments: Any) -> list[QuorumPacket]:
        packets: list[QuorumPacket] = plain(*arguments)
        return [packets[-1], *packets[:-1]]

    parts.leader.rest_of = early


def outstanding_left_out(parts: Parts) -> None:
    """962: what is outstanding at the instant of the plan is not sent, and forwarding begins behind it."""
    plain = parts.leader.rest_of

    def without(plan: Any, pending: list[Any], newleader_zxid: int, config: bytes) -> list[QuorumPacket]:
        packets: list[QuorumPacket] = plain(plan, [], newleader_zxid, config)
        return packets

    parts.leader.rest_of = without


def epoch_proposed_ahead_of_the_disk(parts: Parts) -> None:
    """1282, 1291: LEADERINFO proposes an epoch that the leader itself has not recorded yet."""
    kind = parts.leader.Leader
    save = kind._save

    def propose_then_save(self: Self, name: str) -> None:
        if self.phase == parts.leader.PROMISING:
            packet = QuorumPacket(LEADERINFO, make_zxid(self.epoch, 0), I32.pack(PROTOCOL_VERSION))
            for learner in self._in_phase(parts.leader.WAITING):
                self._outbox.send(learner.link, packet)
        save(self, name)

    kind._save = propose_then_save


def proposals_after_ack_only(parts: Parts) -> None:
    """The paper's first ambiguity: proposals go to those who have acknowledged NEWLEADER, not to all who got it."""
    kind = parts.leader.Leader
    carry_out, on_ack = kind._carry_out, kind.on_ack

    def without_joining(self: Self, learner: Self, plan: Any, now: Now) -> None:
        carry_out(self, learner, plan, now)
        self._outbox.flush()
        self._outbox.leave(learner.link)

    def join_then(self: Self, learner: Self, zxid: int, now: Now) -> None:
        if learner.phase == parts.leader.CATCHING_UP:
            self._outbox.join(learner.link, learner.is_observer)
        on_ack(self, learner, zxid, now)

    kind._carry_out, kind.on_ack = without_joining, join_then


def commits_after_uptodate_only(parts: Parts) -> None:
    """The paper's third ambiguity: a joiner is told what was committed when NEWLEADER was sent, not what is by now."""
    kind = parts.bare.Bare
    take = kind.take

    def without_commits(self: Self) -> list[Effect]:
        left: list[Effect] = []
        for effect in take(self):
            if isinstance(effect, Send):
                _forget_commits(self, effect)
            if not isinstance(effect, Send) or effect.packets:
                left.append(effect)
        return left

    def _forget_commits(self: Self, effect: Send) -> None:
        leader = self.peer._leader
        learner = leader and leader._attendants.get(effect.link)
        if learner is not None and learner.phase < parts.leader.SERVING:
            kinds = [packet.type for packet in effect.packets]
            start = kinds.index(NEWLEADER) if NEWLEADER in kinds else 0
            effect.packets = [packet for at, packet in enumerate(effect.packets) if packet.type != COMMIT or at < start]

    kind.take = without_commits


def looks_without_replay(parts: Parts) -> None:
    """2845: back in LOOKING the tree is kept as it is, and what is logged and not committed is passed over."""
    kind = parts.peer.Peer
    elect = kind._elect

    def forget_then_elect(self: Self, now: Now) -> None:
        history = self.history
        history.pending.clear()
        history.last_zxid = history.durable_zxid = history.applied_zxid
        elect(self, now)

    kind._elect = forget_then_elect


def stale_writes_outlive_the_role(parts: Parts) -> None:
    """4712: a role ends and what it gave to the log counts as dropped, while the log still writes it."""
    kind = parts.peer.Peer
    look = kind._look

    def forget_then_look(self: Self) -> None:
        history = self.history
        while history.pending and history.pending[-1][0] > history.durable_zxid:
            history.pending.pop()
        history.last_zxid = history.durable_zxid
        look(self)

    def believe(self: Self, zxid: int) -> None:
        self.durable_zxid = max(self.durable_zxid, min(zxid, self.last_zxid))

    kind._look = forget_then_look
    parts.history.History.on_logged = believe
