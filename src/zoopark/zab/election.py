"""Fast leader election of one member: who should lead, as far as a quorum of voters agrees.

                 on_start, on_config
                        |
                        v     greater vote or round: adopt, tell all voters
      +------------> LOOKING <------------------------------+
      |                 | a quorum votes as I do            | a greater vote, a newer round, a voter that turned away
      |                 v                                   |
    on_start        FINALIZING -----------------------------+
      |                 | all voters agree but for a leader that is gone, or nothing greater came for 200 ms
      |                 v                                         and from both: a quorum follows a leader that leads
      +-- FOLLOWING, LEADING or OBSERVING: the stored vote answers those who still look

A vote is greater by (peerEpoch, zxid, sid); who weighs nothing is never voted for. Rounds (electionEpoch) keep votes of
different elections apart; a member that finds an ensemble at work joins it whatever its own round is.

What this must never do: vote for a server that is no voter; let a vote of an older round count; decide without a quorum
of the current configuration and, while one is pending, of that too; fall silent towards voters that look; raise for
what a notification says. What it decides is no more than a proposal: leadership begins with a quorum of ACKEPOCH.
Source: ZooKeeper's FastLeaderElection, with which it shares elections vote by vote. It differs in three ways nobody can
notice on the wire: the finalize wait ends early when every voter agrees that may be there; what comes meanwhile is
counted instead of dropped; a voter that weighs nothing proposes nobody instead of itself, whom nobody would elect. And
in two on it. For peace: an observer never answers, because the voter would answer that, and so on. For speed: a voter
that answered as decided and looks itself soon after is told once what it has not counted, when nothing else tells
it; ZooKeeper leaves that to the repeat after 200 ms.
"""

from typing import Final, final

from zoopark.jute.quorum import FOLLOWING, LEADING, LOOKING, NOTIFICATION_VERSION, OBSERVING, Notification, Vote
from zoopark.record import Effect, Now
from zoopark.zab.effects import Notify
from zoopark.zab.quorum import Verifier

FINALIZE_WAIT_MS: Final = 200
MIN_RESEND_MS: Final = 200
MAX_RESEND_MS: Final = 60_000
MAX_ROUND: Final = 1 << 62
"""A greater round is not believed: rounds must not overflow an i64."""
NOBODY: Final = -1
NO_SID: Final = -(1 << 63)
NO_VOTE: Final = Vote(NO_SID, NO_SID, NO_SID)
"""What those propose who may not lead: less than any vote."""
NOT_LOADED: Final = -1
"""The zxid of a server that has not loaded its database: not a vote to count."""


@final
class Election:
    """The election of one member.

    Args:
        sid: this member.
        verifier: whose votes count; Joint while a configuration is pending.
        config: the text of the committed configuration, which every notification carries.

    Public state, for the peer to read: `state` (LOOKING, then FOLLOWING, LEADING or OBSERVING), `vote` (the proposal
    while LOOKING, then the vote this member follows by) and `round`.
    """

    __slots__ = (
        "_config",
        "_effects",
        "_finalize_ms",
        "_following",
        "_initial",
        "_lost_leader",
        "_own",
        "_received",
        "_resend_ms",
        "_resend_wait_ms",
        "_sid",
        "_verifier",
        "round",
        "state",
        "vote",
    )

    def __init__(self, sid: int, verifier: Verifier, config: bytes = b"") -> None:
        assert sid >= 0, sid
        self._sid = sid
        self._verifier = verifier
        self._config = config
        self.state = LOOKING
        self.vote = NO_VOTE
        self.round = 0
        self._own = NO_VOTE
        self._initial = NO_VOTE
        self._lost_leader = NOBODY
        self._received: dict[int, Notification] = {}
        self._following: dict[int, Notification] = {}
        self._resend_ms: int | None = None
        self._resend_wait_ms = MIN_RESEND_MS
        self._finalize_ms: int | None = None
        self._effects: list[Effect] = []

    def take(self) -> list[Effect]:
        """Notify effects in order; each is given once."""
        effects, self._effects = self._effects, []
        return effects

    def deadline(self) -> int | None:
        """When to call `on_timeout` at the latest, in ms of the monotonic clock; None if nothing is waited for."""
        if self._finalize_ms is None or self._resend_ms is None:
            return self._resend_ms
        return min(self._finalize_ms, self._resend_ms)

    def on_start(self, zxid: int, peer_epoch: int, now: Now, lost_leader: int = NOBODY) -> None:
        """Look for a leader, in a new round, with the vote of this moment and not with one that was stored.

        Args:
            zxid: of the last transaction in this member's log, committed or not, as it is on disk at this moment:
                a vote by an older one elects a leader that lacks what others may have committed.
            peer_epoch: the current epoch, as it is on disk.
            lost_leader: who led until its link was lost: until it is heard, nobody waits for its vote.
        """
        self._own = Vote(self._sid, zxid, peer_epoch)
        self._lost_leader = lost_leader
        self._begin(now)

    def on_config(self, verifier: Verifier, config: bytes, now: Now) -> None:
        """The configuration is another one from now on; an election that is under way starts again."""
        self._verifier = verifier
        self._config = config
        if self._resend_ms is not None:
            self._begin(now)

    def on_epoch(self, epoch: int) -> None:
        """The member has synchronised in `epoch`: the stored vote names it, so that votes of all members are equal."""
        assert self.state != LOOKING, "no vote to rewrite"
        self.vote = Vote(self.vote.leader, self.vote.zxid, epoch)

    def on_notification(self, sid: int, notification: Notification, now: Now) -> None:
        """Server `sid` told its vote. Nothing it may say is an error; before the first `on_start` it is not heard."""
        is_believable = LOOKING <= notification.state <= OBSERVING and 0 <= notification.round < MAX_ROUND
        if not is_believable or sid == self._sid:
            return
        self._answer(sid, notification)
        if sid == self._lost_leader:
            self._lost_leader = NOBODY
        if self._is_waiting() and {sid, notification.vote.leader} <= self._verifier.voters:
            if notification.state == LOOKING:
                self._on_looking(sid, notification, now)
            elif notification.state != OBSERVING:
                self._on_decided(sid, notification, now)

    def on_timeout(self, now: Now) -> None:
        """Time has passed: decide, if the finalize wait is over, and else say again what may have been lost."""
        if self._finalize_ms is not None and now.mono_ms >= self._finalize_ms:
            self._decide(self.vote)
        elif self._resend_ms is not None and now.mono_ms >= self._resend_ms:
            self._resend_wait_ms = min(2 * self._resend_wait_ms, MAX_RESEND_MS)
            self._resend_ms = now.mono_ms + self._resend_wait_ms
            self._tell_all()

    def _begin(self, now: Now) -> None:
        assert 0 <= self.round < 2 * MAX_ROUND - 1, self.round
        self.state = LOOKING
        self.round += 1
        self._initial = self._own if self._verifier.weight(self._sid) > 0 else NO_VOTE
        self._following = {}
        self._resend_wait_ms = MIN_RESEND_MS
        self._resend_ms = now.mono_ms + MIN_RESEND_MS
        self._adopt(self._initial, {})
        self._tally(now)

    def _is_waiting(self) -> bool:
        """Whether an election is under way."""
        assert self.state == LOOKING or self._resend_ms is None
        return self._resend_ms is not None

    def _answer(self, sid: int, notification: Notification) -> None:
        """Who looks hears from a voter that has decided or is in a newer round; an observer from every voter."""
        if notification.state != LOOKING or self._sid not in self._verifier.voters:
            return
        is_behind = notification.round < self.round
        if self.state != LOOKING or is_behind or sid not in self._verifier.voters:
            self._effects.append(Notify(sid, self._notification()))

    def _on_looking(self, sid: int, notification: Notification, now: Now) -> None:
        """A voter looks. If it had decided when it spoke last, it has counted nothing of what this member has said."""
        vote = notification.vote
        has_missed = self._following.pop(sid, None) is not None
        if notification.round < self.round or NOT_LOADED in (vote.zxid, self._initial.zxid):
            return
        if notification.round > self.round:
            self.round = notification.round
            self._adopt(vote if self._is_greater(vote, self._initial) else self._initial, {})
        elif self._is_greater(vote, self.vote):
            self._adopt(vote, self._received)
        elif has_missed:
            self._effects.append(Notify(sid, self._notification()))
        self._received[sid] = notification
        self._tally(now)

    def _on_decided(self, sid: int, notification: Notification, now: Now) -> None:
        """A voter follows or leads. It counts in its round, and among all who have decided, whatever their round."""
        leader = notification.vote.leader
        if notification.round == self.round:
            # Without its version, as ZooKeeper keeps it: within a round the leader alone has to be the same.
            self._received[sid] = Notification(notification.state, notification.vote, notification.round, 0)
            if self._is_elected(notification, self._received):
                self._decide(notification.vote)
                return
        self._following[sid] = notification
        may_be_me = leader != self._sid or notification.round == self.round
        if may_be_me and self._is_elected(notification, self._following):
            self.round = notification.round
            self._decide(notification.vote)
            return
        self._tally(now)

    def _is_elected(self, notification: Notification, votes: dict[int, Notification]) -> bool:
        """Whether a quorum of `votes` equals this one, and its leader says itself that it leads (unless it is me)."""
        leader = notification.vote.leader
        if leader != self._sid and (leader not in votes or votes[leader].state != LEADING):
            return False
        return self._verifier.has_quorum([sid for sid, other in votes.items() if is_equal(notification, other)])

    def _adopt(self, vote: Vote, received: dict[int, Notification]) -> None:
        """Propose `vote` to all voters, beside the votes of this round that still count."""
        assert vote == self._initial or self._verifier.weight(vote.leader) > 0, vote
        self.vote = vote
        self._received = received
        self._finalize_ms = None
        self._tell_all()

    def _tell_all(self) -> None:
        """Notify all voters. What this member says to itself is counted at once."""
        notification = self._notification()
        self._effects += [Notify(sid, notification) for sid in sorted(self._verifier.voters) if sid != self._sid]
        if self._sid in self._verifier.voters and self.vote.leader in self._verifier.voters:
            self._received[self._sid] = notification

    def _tally(self, now: Now) -> None:
        """Decide or wait or look on, by the votes of this round."""
        if self.vote.leader not in self._verifier.voters or self._initial.zxid == NOT_LOADED:
            return
        mine = self._notification()
        agreeing = [sid for sid, other in self._received.items() if is_equal(mine, other)]
        if not self._verifier.has_quorum(agreeing):
            self._finalize_ms = None
        elif self._verifier.voters <= {*agreeing, self._lost_leader}:
            self._decide(self.vote)
        elif self._finalize_ms is None:
            self._finalize_ms = now.mono_ms + FINALIZE_WAIT_MS

    def _decide(self, vote: Vote) -> None:
        assert self.state == LOOKING, self.state
        assert vote.leader in self._verifier.voters, vote
        self.vote = vote
        if vote.leader == self._sid:
            self.state = LEADING
        else:
            self.state = FOLLOWING if self._sid in self._verifier.voters else OBSERVING
        self._received, self._following = {}, {}
        self._resend_ms = self._finalize_ms = None

    def _is_greater(self, vote: Vote, other: Vote) -> bool:
        return self._verifier.weight(vote.leader) > 0 and _order(vote) > _order(other)

    def _notification(self) -> Notification:
        return Notification(self.state, self.vote, self.round, NOTIFICATION_VERSION, self._config)


def is_equal(one: Notification, other: Notification) -> bool:
    """Whether two votes are for the same leader in the same sense; symmetric.

    Who looks must agree on everything. Those who have decided may have elected in different rounds and by different
    zxids; their epochs are equal once they have synchronised; versions before 1 did not keep them so.
    """
    if LOOKING in (one.state, other.state):
        return one.vote == other.vote and one.round == other.round
    is_mixed = (one.version > 0) != (other.version > 0)
    is_same_epoch = is_mixed or one.vote.peer_epoch == other.vote.peer_epoch
    return one.vote.leader == other.vote.leader and is_same_epoch


def _order(vote: Vote) -> tuple[int, int, int]:
    return vote.peer_epoch, vote.zxid, vote.leader
