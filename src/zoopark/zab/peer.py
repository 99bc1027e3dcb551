"""One member's agreement: an election, then one role at a time, then an election again.

                  on_start or a role that is FINISHED
                                  |
                                  v
        SETTLING   the disk answers what it was asked; only then is known where the log ends.
                                  |   A role that never served is followed by a rest.
                                  |   what is logged and not applied is replayed
                                  v
        ELECTING   Election: LOOKING
                                  |
              LEADING (Leader)  FOLLOWING, OBSERVING (Learner)

This class routes inputs and holds no policy of a role. It alone keeps the books of the disk: an answer of the disk
changes `History` whichever role asked for it, so that none arrives in a later role as something else (ZOOKEEPER-4712).

What this must never do: vote with a zxid that the log does not hold, or pass over one that it does (ZOOKEEPER-2845);
have two roles; raise for what another member says.
Source: ZooKeeper's QuorumPeer.
"""

from collections import deque
from typing import Final, final

from zoopark.jute.quorum import LEADING, LOOKING, Notification, QuorumPacket
from zoopark.record import Effect, Now
from zoopark.zab.effects import Became, CloseLink, Replay
from zoopark.zab.election import Election
from zoopark.zab.history import History
from zoopark.zab.leader import FINISHED as LEADER_FINISHED
from zoopark.zab.leader import Attendant, Leader
from zoopark.zab.learner import FINISHED as LEARNER_FINISHED
from zoopark.zab.learner import Learner
from zoopark.zab.outbox import Entry, Outbox
from zoopark.zab.settings import PeerSettings

MAX_EARLY_LINKS: Final = 64
"""Learners that dialled before the election ended here; they wait for it."""
MAX_EARLY_PACKETS: Final = 1
"""What a learner says before it is answered."""
REST_MS: Final = 200
"""Between a role that came to nothing and the next election: who cannot agree with a leader would try without end."""
NOBODY: Final = -1


@final
class Peer:
    """The agreement of one member. Inputs and effects: ARCHITECTURE, and `zoopark.zab.effects`.

    Args:
        settings: who this is, who votes, the limits.
        history: as recovered from disk; changed here only from now on.

    Nothing happens before `on_start`. Links are numbers that the host chooses and never uses twice.
    Public state: `state` (LOOKING, FOLLOWING, LEADING or OBSERVING), `leader_sid` (-1 while LOOKING), `history`.
    """

    __slots__ = (
        "_early",
        "_election",
        "_heard",
        "_is_announced",
        "_is_settling",
        "_leader",
        "_learner",
        "_lost_leader",
        "_outbox",
        "_rest_until_ms",
        "_settings",
        "history",
        "leader_sid",
        "state",
    )

    def __init__(self, settings: PeerSettings, history: History) -> None:
        assert history.is_settled(), "recovery is not finished"
        self._settings = settings
        self.history = history
        self._outbox = Outbox()
        self._election = Election(settings.sid, settings.verifier, settings.config)
        self._leader: Leader | None = None
        self._learner: Learner | None = None
        self._is_settling = False
        self._is_announced = False
        self._rest_until_ms = 0
        self._lost_leader = NOBODY
        self._early: dict[int, deque[QuorumPacket]] = {}
        self._heard: dict[int, Notification] = {}
        self.state = LOOKING
        self.leader_sid = NOBODY

    # ---- the contract of every part

    def take(self) -> list[Effect]:
        """Effects in the order in which they are to be carried out; each is given once."""
        for effect in self._election.take():
            self._outbox.add(effect)
        if self._leader is not None:
            self._leader.advance()
        elif self._learner is not None:
            self._learner.advance()
        return self._outbox.take()

    def deadline(self) -> int | None:
        """When to call `on_timeout` at the latest, in ms of the monotonic clock; None if nothing is waited for."""
        if self._leader is not None:
            return self._leader.deadline()
        if self._learner is not None:
            return self._learner.deadline()
        if self._is_settling:
            return self._rest_until_ms if self.history.is_settled() else None
        return self._election.deadline()

    def on_timeout(self, now: Now) -> None:
        """Time has passed."""
        if self._leader is not None:
            self._leader.on_timeout(now)
        elif self._learner is not None:
            self._learner.on_timeout(now)
        elif not self._is_settling:
            self._election.on_timeout(now)
        self._turn(now)

    # ---- election

    def on_start(self, now: Now) -> None:
        """Begin; once."""
        assert self.state == LOOKING and not self._is_settling, "started already"
        self._rest_until_ms = now.mono_ms
        self._look()
        self._turn(now)

    def on_notification(self, sid: int, notification: Notification, now: Now) -> None:
        """A server told its vote on the election channel."""
        if self._is_settling:
            if len(self._heard) < self._settings.limits.max_learners:
                self._heard[sid] = notification
            return
        self._election.on_notification(sid, notification, now)
        self._turn(now)

    # ---- links

    def on_link(self, link: int, now: Now) -> None:
        """A learner has dialled us."""
        if self._leader is not None:
            self._leader.on_link(link, now)
        elif self._learner is None and len(self._early) < MAX_EARLY_LINKS:
            self._early[link] = deque()
        else:
            self._outbox.emit(CloseLink(link, "this server does not lead"))
        self._turn(now)

    def on_dialled(self, sid: int, link: int, now: Now) -> None:
        """A Dial succeeded."""
        if self._learner is not None and self._learner.leader_sid == sid:
            self._learner.on_dialled(link, now)
        else:
            self._outbox.emit(CloseLink(link, f"server {sid} is not followed any more"))
        self._turn(now)

    def on_dial_failed(self, sid: int, now: Now) -> None:
        """A Dial did not succeed."""
        if self._learner is not None and self._learner.leader_sid == sid:
            self._learner.on_dial_failed(now)
        self._turn(now)

    def on_packet(self, link: int, packet: QuorumPacket, now: Now) -> None:
        """A packet came; those of one link come in the order they were sent. Unknown links are ignored."""
        if self._leader is not None:
            self._leader.on_packet(link, packet, now)
        elif self._learner is not None:
            if link == self._learner.link:
                self._learner.on_packet(packet, now)
        elif link in self._early:
            self._keep_early(link, packet)
        self._turn(now)

    def on_link_lost(self, link: int, now: Now) -> None:
        """A link is gone, with whatever was on its way. Not called for a Dial, which fails, nor after CloseLink."""
        self._early.pop(link, None)
        if self._leader is not None:
            self._leader.on_link_lost(link)
        elif self._learner is not None and link == self._learner.link:
            if self._is_announced:
                self._lost_leader = self.leader_sid
            self._learner.on_link_lost(now)
        self._turn(now)

    # ---- the disk

    def on_logged(self, zxid: int, now: Now) -> None:
        """Every Append up to `zxid` is durable."""
        self.history.on_logged(zxid)
        if self._leader is not None:
            self._leader.on_logged()
        elif self._learner is not None:
            self._learner.on_logged(now)
        self._turn(now)

    def on_epoch_saved(self, now: Now) -> None:
        """The SaveEpoch is durable."""
        self.history.on_epoch_saved()
        if self._leader is not None:
            self._leader.on_epoch_saved(now)
        elif self._learner is not None:
            self._learner.on_epoch_saved(now)
        self._turn(now)

    def on_truncated(self, zxid: int, now: Now) -> None:
        """Log and tree end at `zxid`, which is less than was asked for only if that is no transaction."""
        asked_zxid = self.history.truncating
        assert asked_zxid is not None, "nothing was truncated"
        self.history.on_truncated(zxid)
        if self._learner is not None:
            self._learner.on_truncated(asked_zxid, now)
        self._turn(now)

    def on_snapshot_saved(self, zxid: int, now: Now) -> None:
        """The snapshot is durable and loaded."""
        self.history.on_snapshot_saved(zxid)
        if self._learner is not None:
            self._learner.on_snapshot_saved(now)
        self._turn(now)

    def on_snapshot_lost(self, now: Now) -> None:
        """The snapshot did not come whole: nothing of it is left."""
        self.history.on_snapshot_lost()
        if self._learner is not None:
            self._learner.on_snapshot_lost(now)
        self._turn(now)

    def on_log_read(self, link: int, entries: list[Entry] | None, now: Now) -> None:
        """The answer to ReadLog; also for a link that is gone."""
        if self._leader is not None:
            self._leader.on_log_read(link, entries, now)
        self._turn(now)

    # ---- the server

    def is_serving(self) -> bool:
        """Whether clients may be served: the tree is that of an established epoch, and kept so."""
        role = self._leader or self._learner
        return role is not None and role.is_serving()

    def next_zxid(self) -> int:
        """The zxid that the next proposal must have; while serving as leader."""
        assert self._leader is not None and self._leader.is_serving(), "not leading"
        return self._leader.next_zxid()

    def propose(self, zxid: int, txn: bytes, now: Now) -> None:
        """Leader: a transaction is prepared. Its zxid is `next_zxid()`, and an assert if it is not.

        While this member does not serve as leader the transaction is dropped: the server has not been told yet. With
        the last zxid of an epoch leadership ends.
        """
        if self._leader is not None:
            self._leader.propose(zxid, txn, now)
            self._turn(now)

    def sync(self, link: int | None, now: Now) -> None:
        """Leader: a SYNC of a learner, or with None of an own client. Answered in order with what is committed:
        to the learner with a SYNC packet, for an own client with Passed(None, SYNC)."""
        if self._leader is not None:
            self._leader.sync(link)
            self._turn(now)

    def answer(self, link: int, packet: QuorumPacket, now: Now) -> None:
        """Leader: what the server answers a learner, REVALIDATE. Dropped if the link is gone."""
        if self._leader is not None:
            self._leader.answer(link, packet)
            self._turn(now)

    def request(self, packet: QuorumPacket, now: Now) -> None:
        """Learner: pass REQUEST or REVALIDATE to the leader. Dropped while this member does not serve."""
        if self._learner is not None:
            self._learner.request(packet)
            self._turn(now)

    def pong(self, data: bytes, now: Now) -> None:
        """Learner: the answer to Pinged. Dropped while this member does not serve."""
        if self._learner is not None:
            self._learner.pong(data)
            self._turn(now)

    # ---- counts

    def voters(self) -> frozenset[int]:
        """Who takes part in quorums."""
        return self._settings.verifier.voters

    def learners(self) -> tuple[list[Attendant], int]:
        """Leader: everybody who has a link, to be looked at; and how many syncs wait for what was proposed earlier."""
        return self._leader.learners() if self._leader is not None else ([], 0)

    def n_synchronised(self) -> int:
        """How many learners this member has ever brought up to date, or begun to."""
        return self._outbox.n_joined

    # ---- turns

    def _turn(self, now: Now) -> None:
        """Whatever an input has led to: the end of a role, of settling, of an election; clients may be served."""
        role = self._leader or self._learner
        if self._is_announced and role is not None and role.is_serving():
            return  # the case that must be fast
        if role is not None and role.phase in (LEADER_FINISHED, LEARNER_FINISHED):
            self._leader = self._learner = None
            self._rest_until_ms = now.mono_ms + (0 if self._is_announced else REST_MS)
            self._look()
        if self._is_settling and self.history.is_settled() and now.mono_ms >= self._rest_until_ms:
            self._elect(now)
        self._follow_election(now)
        role = self._leader or self._learner
        if role is not None and role.is_serving() and not self._is_announced:
            self._is_announced = True
            self._election.on_epoch(role.epoch)
            role.advance()
            self._outbox.emit(Became(self.state, True, self.leader_sid, role.epoch))
        assert self._leader is None or self._learner is None, "two roles"

    def _look(self) -> None:
        assert self._leader is None and self._learner is None, "a role is left"
        self.state = LOOKING
        self.leader_sid = NOBODY
        self._is_settling = True
        self._is_announced = False
        self._outbox.emit(Became(LOOKING, False, NOBODY, self.history.current_epoch))

    def _elect(self, now: Now) -> None:
        """SETTLING -> ELECTING: the log holds what it holds, and the tree is brought there."""
        assert self.history.is_settled(), "the log moves"
        self._is_settling = False
        entries = self.history.apply(self.history.last_zxid)
        if entries:
            self._outbox.emit(Replay(entries))
        assert self.history.applied_zxid == self.history.last_zxid
        lost_leader, self._lost_leader = self._lost_leader, NOBODY
        self._election.on_start(self.history.last_zxid, self.history.current_epoch, now, lost_leader)
        heard, self._heard = self._heard, {}
        for sid, notification in heard.items():
            self._election.on_notification(sid, notification, now)

    def _follow_election(self, now: Now) -> None:
        """Take the role that the election has decided on."""
        is_decided = self._election.state != LOOKING and not self._is_settling
        if not is_decided or self._leader is not None or self._learner is not None:
            return
        self.state = self._election.state
        self.leader_sid = self._election.vote.leader
        self._outbox.emit(Became(self.state, False, self.leader_sid, self.history.current_epoch))
        if self.state == LEADING:
            self._leader = Leader(self._settings, self.history, self._outbox, now)
        else:
            self._learner = Learner(self._settings, self.leader_sid, self.history, self._outbox, now)
        self._end_early(now)

    def _keep_early(self, link: int, packet: QuorumPacket) -> None:
        assert link in self._early, link
        packets = self._early[link]
        if len(packets) >= MAX_EARLY_PACKETS:
            del self._early[link]
            self._outbox.emit(CloseLink(link, "packets ahead of the election's end"))
        else:
            packets.append(packet)

    def _end_early(self, now: Now) -> None:
        """Learners that came early are welcome, or in the wrong place."""
        early, self._early = self._early, {}
        for link, packets in early.items():
            if self._leader is None:
                self._outbox.emit(CloseLink(link, "this server does not lead"))
                continue
            self._leader.on_link(link, now)
            for packet in packets:
                self._leader.on_packet(link, packet, now)
        assert not self._early
