"""Members that elect over links which keep order and delay at random, in virtual time.

A member that has decided finds out after a while whether its leader leads: then it synchronises, and else looks again,
as a peer does whose leader refuses it or whose followers do not come.
"""

from heapq import heappop, heappush
from random import Random

from zoopark.jute.quorum import LEADING, LOOKING, Notification, Vote
from zoopark.record import Now
from zoopark.zab.effects import Notify
from zoopark.zab.election import Election
from zoopark.zab.quorum import Majority

PATIENCE_MS = 1000
NEW_EPOCH = 3


class Ballot:
    """`size` voters with random logs that start within two seconds of each other.

    At every decision that was made among those who look it asserts that the leader's log is the longest of a quorum.
    """

    def __init__(self, random: Random, size: int, delay_ms: int) -> None:
        self.random = random
        self.delay_ms = delay_ms
        self.verifier = Majority(range(1, size + 1))
        self.members = {sid: Election(sid, self.verifier) for sid in range(1, size + 1)}
        self.own = {sid: Vote(sid, random.randrange(4), random.randrange(2)) for sid in self.members}
        self.now_ms = 0
        self.count = 0
        self.events: list[tuple[int, int, int, int, Notification | None]] = []
        self.links: dict[tuple[int, int], int] = {}
        self.is_decided = dict.fromkeys(self.members, False)
        self.lines: list[str] = []
        for sid in self.members:
            self._schedule(random.randrange(2000), 0, sid, None)

    def run(self, until_ms: int) -> None:
        """Until nothing is left to happen, or this time."""
        while self.events and self.now_ms <= until_ms:
            self.now_ms, _, sender, sid, notification = heappop(self.events)
            member = self.members[sid]
            if notification is not None:
                member.on_notification(sender, notification, self._now())
            elif sender == 0:
                self._look_after(sid)
            elif (due_ms := member.deadline()) is not None and due_ms <= self.now_ms:
                member.on_timeout(self._now())
            self._collect(sid)

    def leader(self) -> int | None:
        """Who leads, if one does."""
        leaders = [sid for sid, member in self.members.items() if member.state == LEADING]
        return leaders[0] if len(leaders) == 1 else None

    def story(self) -> str:
        """What was decided when."""
        return "\n".join(self.lines)

    def _now(self) -> Now:
        return Now(self.now_ms, 0)

    def _schedule(self, at_ms: int, sender: int, sid: int, notification: Notification | None) -> None:
        self.count += 1
        heappush(self.events, (at_ms, self.count, sender, sid, notification))

    def _look_after(self, sid: int) -> None:
        """The first start; later, whether the decision holds."""
        member, own = self.members[sid], self.own[sid]
        leader = member.vote.leader
        followers = [other for other in self.members if self._follows(other, leader)]
        if self.is_decided[sid] and self.members[leader].state == LEADING and self.verifier.has_quorum(followers):
            member.on_epoch(NEW_EPOCH)
            self.own[sid] = Vote(sid, self.own[leader].zxid, NEW_EPOCH)
            return
        self.is_decided[sid] = False
        self.lines.append(f"{self.now_ms}: {sid} looks")
        member.on_start(own.zxid, own.peer_epoch, self._now())

    def _follows(self, sid: int, leader: int) -> bool:
        return self.members[sid].state != LOOKING and self.members[sid].vote.leader == leader

    def _collect(self, sid: int) -> None:
        member = self.members[sid]
        for effect in member.take():
            assert isinstance(effect, Notify)
            link = (sid, effect.sid)
            at_ms = max(self.now_ms + self.random.randrange(1, self.delay_ms + 1), self.links.get(link, 0))
            self.links[link] = at_ms
            self._schedule(at_ms, sid, effect.sid, effect.notification)
        if (due_ms := member.deadline()) is not None:
            self._schedule(due_ms, sid, sid, None)
        if member.state != LOOKING and not self.is_decided[sid]:
            self._on_decided(sid, member.vote)

    def _on_decided(self, sid: int, vote: Vote) -> None:
        self.is_decided[sid] = True
        self.lines.append(f"{self.now_ms}: {sid} decides {vote}")
        if vote.peer_epoch != NEW_EPOCH:
            behind = [
                other for other, own in self.own.items() if order(own) <= order(vote) or own.peer_epoch == NEW_EPOCH
            ]
            assert self.verifier.has_quorum(behind), self.story()
        self._schedule(self.now_ms + PATIENCE_MS, 0, sid, None)


def order(vote: Vote) -> tuple[int, int, int]:
    """How votes compare."""
    return vote.peer_epoch, vote.zxid, vote.leader
