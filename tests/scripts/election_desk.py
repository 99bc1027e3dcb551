"""Plays scripts of an election: members by sid, and the notifications that travel between them.

members 1 2 3 [observer 4] [weight 3=0]    who there is; voters weigh 1 in one group unless a weight is given
2 starts EPOCH:COUNTER EPOCH [lost 3]      its last zxid and its current epoch, and which leader it has just lost
2 synchronises EPOCH                       it has taken part in NEWLEADER: its stored vote changes
deliver [FROM TO]                          all that travels and all that comes of it, or the oldest one of one link
hold FROM TO | release FROM TO             what is sent from FROM to TO waits
lose FROM TO                               what travels there is gone
tell TO from FROM STATE LEADER EPOCH:COUNTER EPOCH round N [version N]      a notification from outside
2 adopts voters 1 2 3 [and 3 4 5]          a configuration, or the current and the pending one
wait MS                                    time passes; what is sent meanwhile is delivered
"""

from typing import Final

from zoopark.jute.quorum import Notification, Vote
from zoopark.record import Now
from zoopark.zab.effects import Notify
from zoopark.zab.election import NO_SID, NOBODY, Election
from zoopark.zab.quorum import Hierarchical, Joint, Majority, Verifier
from zoopark.zxid import counter_of, epoch_of, make_zxid

STATES: Final = ("LOOKING", "FOLLOWING", "LEADING", "OBSERVING")


class ElectionDesk:
    """Members that elect, and the links between them."""

    def __init__(self) -> None:
        self.now = Now(0, 0)
        self.members: dict[int, Election] = {}
        self.states: dict[int, int] = {}
        self.travelling: list[tuple[int, int, Notification]] = []
        self.held: set[tuple[int, int]] = set()
        self.lines: list[str] = []

    def perform(self, commands: list[str]) -> list[str]:
        """Carry out the commands in order; what came of them."""
        self.lines = []
        for command in commands:
            self._perform(command.split())
        return self.lines

    def _perform(self, words: list[str]) -> None:
        verb, *rest = words
        if verb == "members":
            self._create(rest)
        elif verb == "deliver":
            self._deliver(*map(int, rest))
        elif verb in ("hold", "release"):
            link = (int(rest[0]), int(rest[1]))
            self.held = self.held | {link} if verb == "hold" else self.held - {link}
        elif verb == "lose":
            self.travelling = [item for item in self.travelling if item[:2] != (int(rest[0]), int(rest[1]))]
        elif verb == "tell":
            self._tell(rest)
        elif verb == "wait":
            self._wait(int(rest[0]))
        else:
            self._member(int(verb), *rest)

    def _create(self, words: list[str]) -> None:
        voters: list[int] = []
        observers: list[int] = []
        weights: dict[int, int] = {}
        for word in words:
            if "=" in word:
                sid, weight = word.split("=")
                weights[int(sid)] = int(weight)
            elif word.isdigit():
                (observers if "observer" in words[: words.index(word)] else voters).append(int(word))
        majority = Majority(voters)
        verifier = Hierarchical({1: {sid: weights.get(sid, 1) for sid in voters}}) if weights else majority
        self.members = {sid: Election(sid, verifier) for sid in voters + observers}
        self.states = dict.fromkeys(self.members, 0)

    def _member(self, sid: int, verb: str, *words: str) -> None:
        member = self.members[sid]
        if verb == "starts":
            lost_leader = int(words[3]) if "lost" in words else NOBODY
            member.on_start(zxid_of(words[0]), int(words[1]), self.now, lost_leader)
        elif verb == "synchronises":
            member.on_epoch(int(words[0]))
        else:
            member.on_config(verifier_of(words), b"", self.now)
        self._collect(sid)

    def _tell(self, words: list[str]) -> None:
        to, _, sender, state, leader, zxid, epoch, _, round_, *version = words
        vote = Vote(int(leader), zxid_of(zxid), int(epoch))
        notification = Notification(STATES.index(state), vote, int(round_), int(version[1]) if version else 2)
        self._hear(int(sender), int(to), notification)

    def _hear(self, sender: int, to: int, notification: Notification) -> None:
        if to in self.members:
            self.members[to].on_notification(sender, notification, self.now)
            self._collect(to)

    def _deliver(self, sender: int | None = None, to: int | None = None) -> None:
        while True:
            ready = [item for item in self.travelling if item[:2] not in self.held or sender is not None]
            ready = [item for item in ready if sender is None or item[:2] == (sender, to)]
            if not ready:
                return
            self.travelling.remove(ready[0])
            self._hear(*ready[0])
            if sender is not None:
                return

    def _wait(self, ms: int) -> None:
        until_ms = self.now.mono_ms + ms
        while True:
            due = {sid: at for sid, member in self.members.items() if (at := member.deadline()) is not None}
            if not due or min(due.values()) > until_ms:
                break
            self._move_clock(max(self.now.mono_ms, min(due.values())))
            for sid, at in due.items():
                if at <= self.now.mono_ms:
                    self.members[sid].on_timeout(self.now)
                    self._collect(sid)
            self._deliver()
        self._move_clock(until_ms)

    def _move_clock(self, ms: int) -> None:
        self.now = Now(ms, ms)

    def _collect(self, sid: int) -> None:
        """Print what a member sends, with all that hear the same in one line, and whether it has decided."""
        member = self.members[sid]
        sent = [effect for effect in member.take() if isinstance(effect, Notify)]
        self.travelling += [(sid, effect.sid, effect.notification) for effect in sent]
        for notification in dict.fromkeys(effect.notification for effect in sent):
            names = " ".join(str(effect.sid) for effect in sent if effect.notification == notification)
            self.lines.append(f"{sid} -> {names}: {shown(notification)}")
        if member.state != self.states[sid]:
            self.states[sid] = member.state
            at = f"{self.now.mono_ms} ms: " if self.now.mono_ms else ""
            self.lines.append(f"{at}{sid} is {STATES[member.state]}: {shown_vote(member.vote, member.round)}")


def zxid_of(text: str) -> int:
    """The zxid written EPOCH:COUNTER; -1 is a database that is not loaded."""
    if text == "-1":
        return -1
    epoch, counter = text.split(":")
    return make_zxid(int(epoch), int(counter))


def verifier_of(words: tuple[str, ...]) -> Verifier:
    """The verifier written "voters 1 2 3" or "voters 1 2 3 and 3 4 5"."""
    parts = [Majority([int(sid) for sid in part.split()]) for part in " ".join(words[1:]).split("and")]
    return Joint(parts) if len(parts) > 1 else parts[0]


def shown(notification: Notification) -> str:
    """A notification in words."""
    return f"{STATES[notification.state]}, {shown_vote(notification.vote, notification.round)}"


def shown_vote(vote: Vote, round_: int) -> str:
    """A vote in words."""
    if vote.leader == NO_SID:
        return f"no vote, round {round_}"
    zxid = "-1" if vote.zxid == -1 else f"{epoch_of(vote.zxid)}:{counter_of(vote.zxid)}"
    return f"leader {vote.leader} with {zxid} of epoch {vote.peer_epoch}, round {round_}"
