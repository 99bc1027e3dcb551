"""One Peer among members that say anything: what it does must make sense whatever they say.

a transaction is appended without holes, and delivered once, in order, and out of its own log
a learner's ACK is of what is durable, history ahead of currentEpoch ahead of the ACK of NEWLEADER
epochs only grow, and currentEpoch never passes acceptedEpoch; one thing at a time is asked of the disk
"""

from random import Random

from tests.zab.machine import Machine, Saved
from zoopark.jute.buffer import I32
from zoopark.jute.quorum import (
    ACK,
    FOLLOWING,
    LEADING,
    LOOKING,
    LearnerInfo,
    Notification,
    QuorumPacket,
    Vote,
    encode_learner_info,
)
from zoopark.record import Effect, Now
from zoopark.zab.effects import (
    Append,
    CloseLink,
    Deliver,
    Dial,
    ReadLog,
    ReceiveSnapshot,
    Replay,
    SaveEpoch,
    Send,
    Truncate,
)
from zoopark.zab.history import is_next
from zoopark.zab.quorum import Majority
from zoopark.zab.settings import Limits, PeerSettings
from zoopark.zxid import epoch_of, make_zxid


class Lone:
    """Server `sid` of voters 1, 2, 3; the rest of the world is chance."""

    def __init__(self, seed: int, sid: int) -> None:
        self.random = Random(seed)
        limits = Limits(tick_ms=1000, init_limit=5, sync_limit=3, max_pending_txns=20, max_learners=5)
        self.machine = Machine(PeerSettings(sid, Majority([1, 2, 3]), limits=limits))
        self.machine.log = [(make_zxid(1, counter), b"x") for counter in range(1, self.random.randint(1, 4))]
        self.machine.current_epoch = self.machine.accepted_epoch = 1
        self.nonsense = self.random.choice((0.01, 0.1, 0.4))
        self.mono_ms = 0
        self.n_links = 0
        self.links: list[int] = []
        self.dials: list[int] = []
        self.states: set[tuple[int, bool]] = set()
        self.machine.start(self._now(), self.random.choice((0, 500)))
        self._carry_out()

    def run(self, n_steps: int) -> None:
        for _ in range(n_steps):
            self._step()
            self._carry_out()

    def _now(self) -> Now:
        return Now(self.mono_ms, self.mono_ms)

    def _step(self) -> None:
        peer, random = self.machine.peer, self.random
        assert peer is not None
        self.states.add((peer.state, peer.is_serving()))
        chance = random.random()
        if self.machine.work and chance < 0.3:
            self.machine.finish_work(self._now(), random.random() < 0.8)
        elif self.dials and chance < 0.5:
            self._answer_dial()
        elif chance < 0.55 and peer.state == LOOKING:
            self._elect()
        elif self.links and chance < 0.93:
            link = random.choice(self.links)
            for packet in self._packets():
                peer.on_packet(link, packet, self._now())
        else:
            self._disturb()

    def _disturb(self) -> None:
        peer, random = self.machine.peer, self.random
        assert peer is not None
        chance = random.random()
        if chance < 0.3:
            self.n_links += 1
            self.links.append(self.n_links)
            peer.on_link(self.n_links, self._now())
        elif chance < 0.4 and self.links:
            self._lose(self.links.pop(random.randrange(len(self.links))))
        elif chance < 0.7 and peer.state == LEADING and peer.is_serving():
            peer.propose(peer.next_zxid(), b"y", self._now())
            peer.sync(random.choice([None, *self.links]), self._now())
        elif chance < 0.9:
            peer.pong(b"", self._now())
            peer.request(QuorumPacket(1, -1, b"r"), self._now())
        else:
            self.mono_ms = max(self.mono_ms, peer.deadline() or 0)
            peer.on_timeout(self._now())

    def _answer_dial(self) -> None:
        peer, sid = self.machine.peer, self.dials.pop()
        assert peer is not None
        if self.random.random() < 0.2:
            peer.on_dial_failed(sid, self._now())
            return
        self.n_links += 1
        self.links.append(self.n_links)
        peer.on_dialled(sid, self.n_links, self._now())

    def _elect(self) -> None:
        """The others say that they follow this one, or one of themselves."""
        peer, sid = self.machine.peer, self.machine.settings.sid
        assert peer is not None
        self.mono_ms += 1000
        peer.on_timeout(self._now())
        leader = self.random.choice((1, 2, 3))
        vote = Vote(leader, (1 << 62) + self.n_links, 1 << 30)
        for other in {1, 2, 3} - {sid}:
            state = LOOKING if leader == sid else LEADING if other == leader else FOLLOWING
            peer.on_notification(other, Notification(state, vote, self.mono_ms), self._now())

    def _lose(self, link: int) -> None:
        peer = self.machine.peer
        assert peer is not None
        peer.on_link_lost(link, self._now())
        self._carry_out()
        if self.machine.receiving == link:
            self.machine.receiving = None
            peer.on_snapshot_lost(self._now())

    # ---- what they say

    def _packets(self) -> list[QuorumPacket]:
        """Anything, or what would take this member a step on."""
        peer, random = self.machine.peer, self.random
        assert peer is not None
        history, epoch = peer.history, peer.history.accepted_epoch
        last = history.last_zxid
        following = last + 1 if epoch_of(last) == epoch else make_zxid(epoch, 1)
        marks = [0, -1, last, following, following + 1, history.applied_zxid, make_zxid(epoch, 0), last - 1]
        marks += [make_zxid(epoch + 1, 0), 1 << 62, -(1 << 63)]
        if random.random() < self.nonsense:
            return [QuorumPacket(random.randint(0, 20), random.choice(marks), self._data())]
        info = encode_learner_info(LearnerInfo(random.randint(1, 4)))
        mark, new_mark = make_zxid(epoch, 0), make_zxid(epoch + 1, 0)
        if random.random() < 0.2:
            opening = [QuorumPacket(17, new_mark, I32.pack(0x10000)), QuorumPacket(13, last)]
            return [*opening, QuorumPacket(10, new_mark, b""), QuorumPacket(12, -1)]
        return random.choice(
            [
                [QuorumPacket(11, mark, info), QuorumPacket(18, last, I32.pack(1))],
                [
                    QuorumPacket(18, random.choice(marks[2:4]), I32.pack(random.choice((-1, 0, 1)))),
                    QuorumPacket(3, mark),
                ],
                [QuorumPacket(3, mark), QuorumPacket(3, last)],
                [QuorumPacket(17, make_zxid(epoch + random.randint(0, 1), 0), I32.pack(0x10000))],
                [QuorumPacket(random.choice((13, 13, 14, 15)), max(0, last - random.randint(0, 1)))],
                [QuorumPacket(2, following, b"z"), QuorumPacket(4, following), QuorumPacket(10, mark, b"")],
                [QuorumPacket(10, mark, b""), QuorumPacket(12, -1)],
                [QuorumPacket(2, following, b"z"), QuorumPacket(4, following), QuorumPacket(5, following)],
            ]
        )

    def _data(self) -> bytes | None:
        return self.random.choice([None, b"", b"1234", bytes(20), self.random.randbytes(28)])

    # ---- what it does

    def _carry_out(self) -> None:
        peer = self.machine.peer
        assert peer is not None
        while effects := peer.take():
            for effect in effects:
                self._check(effect)

    def _check(self, effect: Effect) -> None:
        machine, peer = self.machine, self.machine.peer
        assert peer is not None
        if isinstance(effect, Append):
            last = max([entry[0] for entry in machine.appended()], default=0)
            for zxid, _ in effect.entries:
                assert is_next(zxid, last), "a hole in the log"
                last = zxid
            machine.work.append(effect)
        elif isinstance(effect, SaveEpoch | Truncate | ReadLog):
            is_alone = not any(isinstance(work, SaveEpoch | Truncate | Append | Saved) for work in machine.work)
            assert is_alone or isinstance(effect, ReadLog) or peer.state == LEADING, "two things asked of the disk"
            machine.work.append(effect)
        elif isinstance(effect, Deliver | Replay):
            own = machine.appended() if peer.state == LEADING else machine.log
            machine.tree += effect.entries
            assert machine.tree == own[: len(machine.tree)], "not what the log holds"
        elif isinstance(effect, Dial):
            self.dials.append(effect.sid)
        else:
            self._check_link(effect)

    def _check_link(self, effect: Effect) -> None:
        machine, peer = self.machine, self.machine.peer
        assert peer is not None
        if isinstance(effect, Send):
            acks = [packet.zxid for packet in effect.packets if packet.type == ACK]
            durable = {zxid for zxid, _ in machine.log} | {make_zxid(machine.current_epoch, 0)}
            assert set(acks) <= durable, "acknowledged ahead of the disk"
        elif isinstance(effect, ReceiveSnapshot):
            machine.receiving = None
            if self.random.random() < 0.5:
                machine.work.append(Saved(effect.zxid, [(effect.zxid, b"s")] if effect.zxid else []))
            else:
                machine.receiving = effect.link
        elif isinstance(effect, CloseLink):
            if effect.link in self.links:
                self.links.remove(effect.link)
            if machine.receiving == effect.link:
                machine.receiving = None
                peer.on_snapshot_lost(self._now())
