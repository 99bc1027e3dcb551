"""The leader's limits and ends; what it does packet by packet is in tests/scripts/zab."""

import pytest

from zoopark.jute.buffer import I32
from zoopark.jute.quorum import (
    ACK,
    ACKEPOCH,
    FOLLOWERINFO,
    LEADERINFO,
    OBSERVERINFO,
    PING,
    LearnerInfo,
    QuorumPacket,
    encode_learner_info,
)
from zoopark.record import Now
from zoopark.zab.effects import CloseLink, Note, ReadLog, SaveEpoch, Send, SendSnapshot
from zoopark.zab.history import History
from zoopark.zab.leader import FINISHED, MAX_SNAPSHOTS, Leader
from zoopark.zab.outbox import Outbox
from zoopark.zab.quorum import Majority
from zoopark.zab.settings import Limits, PeerSettings
from zoopark.zxid import make_zxid

LAST = make_zxid(1, 3)


class Stand:
    """Server 1 among `voters`, with a history that ends at 1:3 and a disk that is ready at once."""

    def __init__(self, *voters: int, limits: Limits | None = None) -> None:
        self.now = Now(0, 0)
        self.history = History(LAST, (), 1, 1)
        self.outbox = Outbox()
        settings = PeerSettings(1, Majority(voters), b"", 5, limits or Limits(tick_ms=1000))
        self.leader = Leader(settings, self.history, self.outbox, self.now)

    def save(self) -> None:
        """The epoch that is on its way to the disk is there."""
        self.history.on_epoch_saved()
        self.leader.on_epoch_saved(self.now)

    def lead(self) -> None:
        self.save()
        self.save()
        self.outbox.take()
        assert self.leader.is_serving()

    def greet(self, link: int, sid: int, kind: int = FOLLOWERINFO, config_version: int = 0) -> None:
        self.leader.on_link(link, self.now)
        info = encode_learner_info(LearnerInfo(sid, config_version=config_version))
        self.leader.on_packet(link, QuorumPacket(kind, make_zxid(1, 0), info), self.now)

    def join(self, link: int, sid: int, zxid: int = LAST, kind: int = FOLLOWERINFO) -> None:
        self.greet(link, sid, kind)
        self.leader.on_packet(link, QuorumPacket(ACKEPOCH, zxid, I32.pack(1)), self.now)

    def wait(self, ms: int) -> None:
        until_ms = self.now.mono_ms + ms
        while self.leader.phase != FINISHED and (due_ms := self.leader.deadline()) <= until_ms:
            self.now = Now(due_ms, due_ms)
            self.leader.on_timeout(self.now)
        self.now = Now(until_ms, until_ms)

    def closed(self) -> dict[int, str]:
        return {effect.link: effect.why for effect in self.outbox.take() if isinstance(effect, CloseLink)}


def test_an_epoch_is_proposed_when_it_is_durable_and_not_before() -> None:
    """ZOOKEEPER-1282, 1291."""
    stand = Stand(1, 2, 3)
    stand.greet(7, 2)
    assert stand.outbox.take() == [SaveEpoch("acceptedEpoch", 2)]
    stand.save()
    assert stand.outbox.take() == [Send(7, [QuorumPacket(LEADERINFO, make_zxid(2, 0), I32.pack(0x10000))])]


def test_the_epoch_is_greater_than_any_that_was_accepted_though_voters_decide_when() -> None:
    stand = Stand(1, 2, 3)
    stand.leader.on_link(7, stand.now)
    info = encode_learner_info(LearnerInfo(9))
    stand.leader.on_packet(7, QuorumPacket(OBSERVERINFO, make_zxid(40, 0), info), stand.now)
    assert stand.outbox.take() == []
    stand.greet(8, 2)
    assert stand.outbox.take() == [SaveEpoch("acceptedEpoch", 41)]


def test_an_observer_with_a_voters_sid_counts_for_nothing() -> None:
    stand = Stand(1, 2, 3)
    stand.greet(7, 2, OBSERVERINFO)
    assert stand.outbox.take() == []


def test_leadership_ends_before_the_counter_does() -> None:
    """ZOOKEEPER-1277: the zxid would run over into the next epoch."""
    stand = Stand(1)
    stand.lead()
    stand.history.last_zxid = stand.history.durable_zxid = stand.history.applied_zxid = make_zxid(2, 0xFFFFFFFD)
    stand.leader.propose(stand.leader.next_zxid(), b"the last", stand.now)
    assert stand.leader.is_serving()
    stand.leader.propose(make_zxid(2, 0xFFFFFFFF), b"one too many", stand.now)
    assert stand.leader.phase == FINISHED
    assert "used up" in stand.leader.why


def test_proposals_that_wait_are_bounded() -> None:
    stand = Stand(1, limits=Limits(max_pending_txns=3))
    stand.lead()
    for _ in range(4):
        if stand.leader.is_serving():
            stand.leader.propose(stand.leader.next_zxid(), b"x", stand.now)
    assert stand.leader.phase == FINISHED
    stand.leader.propose(make_zxid(2, 5), b"dropped", stand.now)
    assert stand.history.last_zxid == make_zxid(2, 3)


def test_learners_are_bounded() -> None:
    stand = Stand(1, limits=Limits(max_learners=2))
    for link in (7, 8, 9):
        stand.leader.on_link(link, stand.now)
    assert list(stand.closed()) == [9]


@pytest.mark.parametrize(
    ("sid", "config_version", "why"),
    [(1, 0, "like this one"), (2, 6, "later configuration")],
)
def test_who_cannot_be_led_is_sent_away(sid: int, config_version: int, why: str) -> None:
    stand = Stand(1, 2, 3)
    stand.greet(7, sid, config_version=config_version)
    assert why in stand.closed()[7]


def test_snapshots_for_observers_are_bounded_and_voters_are_never_refused_one() -> None:
    stand = Stand(1, limits=Limits(tick_ms=1000, size_factor=0))
    stand.lead()
    for number in range(MAX_SNAPSHOTS + 1):
        stand.join(100 + number, 50 + number, 0, OBSERVERINFO)
    effects = stand.outbox.take()
    assert sum(isinstance(effect, SendSnapshot) for effect in effects) == MAX_SNAPSHOTS
    assert [effect.link for effect in effects if isinstance(effect, CloseLink)] == [100 + MAX_SNAPSHOTS]
    stand.join(7, 2, 0)
    assert any(isinstance(effect, SendSnapshot) for effect in stand.outbox.take())


def test_who_waits_for_our_disk_is_not_silent() -> None:
    """Reading a large log may take longer than initLimit, and the learner has nothing to say meanwhile."""
    stand = Stand(1)
    stand.lead()
    stand.join(7, 9, make_zxid(1, 1), OBSERVERINFO)
    assert any(isinstance(effect, ReadLog) for effect in stand.outbox.take())
    stand.wait(60_000)
    assert stand.closed() == {}
    stand.leader.on_log_read(7, None, stand.now)
    assert any(isinstance(effect, SendSnapshot) for effect in stand.outbox.take())


def test_a_learner_that_never_says_who_it_is_is_dropped() -> None:
    stand = Stand(1)
    stand.lead()
    stand.leader.on_link(7, stand.now)
    stand.wait(10_500)
    assert "silent" in stand.closed()[7]


def test_pings_are_every_half_tick_with_the_last_proposed_zxid() -> None:
    stand = Stand(1)
    stand.lead()
    stand.join(7, 9)
    stand.leader.on_packet(7, QuorumPacket(ACK, make_zxid(2, 0)), stand.now)
    stand.outbox.take()
    stand.wait(1000)
    assert stand.outbox.take() == [Send(7, [QuorumPacket(PING, LAST)] * 2)]


def test_the_end_closes_every_link_once() -> None:
    stand = Stand(1, 2, 3)
    stand.greet(7, 2)
    stand.leader.on_link(8, stand.now)
    stand.outbox.take()
    stand.leader.give_up("enough")
    stand.leader.give_up("twice")
    effects = stand.outbox.take()
    assert [effect.link for effect in effects if isinstance(effect, CloseLink)] == [7, 8]
    assert sum(isinstance(effect, Note) for effect in effects) == 1
