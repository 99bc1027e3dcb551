"""The learner's dials, waits and limits; what it does packet by packet is in tests/scripts/zab."""

import pytest

from zoopark.jute.buffer import I32
from zoopark.jute.quorum import (
    ACK,
    ACKEPOCH,
    COMMIT,
    DIFF,
    FOLLOWERINFO,
    LEADERINFO,
    NEWLEADER,
    PING,
    PROPOSAL,
    SNAP,
    TRUNC,
    UPTODATE,
    LearnerInfo,
    QuorumPacket,
    encode_learner_info,
)
from zoopark.record import Now
from zoopark.zab.effects import Append, CloseLink, Deliver, Dial, Pinged, ReceiveSnapshot, SaveEpoch, Send, Truncate
from zoopark.zab.history import History
from zoopark.zab.learner import DIALLING, FINISHED, GREETING, SERVING, Learner
from zoopark.zab.outbox import Outbox
from zoopark.zab.quorum import Majority
from zoopark.zab.settings import Limits, PeerSettings
from zoopark.zxid import make_zxid

LAST = make_zxid(1, 3)
MARK = make_zxid(2, 0)
FIRST = make_zxid(2, 1)
LEADERINFO_2 = QuorumPacket(LEADERINFO, MARK, I32.pack(0x10000))


class Stand:
    """Server 1 follows server 3 on link 7; its history ends at 1:3."""

    def __init__(self, max_pending_txns: int = 100) -> None:
        self.now = Now(0, 0)
        self.history = History(LAST, (), 1, 1)
        self.outbox = Outbox()
        limits = Limits(tick_ms=1000, init_limit=10, sync_limit=5, max_pending_txns=max_pending_txns)
        self.learner = Learner(
            PeerSettings(1, Majority([1, 2, 3]), limits=limits), 3, self.history, self.outbox, self.now
        )

    def hear(self, *packets: QuorumPacket) -> None:
        for packet in packets:
            self.learner.on_packet(packet, self.now)

    def save(self) -> None:
        self.history.on_epoch_saved()
        self.learner.on_epoch_saved(self.now)

    def serve(self) -> None:
        self.learner.on_dialled(7, self.now)
        self.hear(LEADERINFO_2)
        self.save()
        self.hear(QuorumPacket(DIFF, LAST), QuorumPacket(NEWLEADER, MARK, b""))
        self.save()
        self.hear(QuorumPacket(UPTODATE, -1))
        assert self.learner.phase == SERVING
        self.outbox.take()

    def pass_time(self) -> None:
        """Until something is due."""
        due_ms = self.learner.deadline()
        assert due_ms is not None
        self.now = Now(due_ms, due_ms)
        self.learner.on_timeout(self.now)


def test_it_dials_five_times_with_pauses() -> None:
    """The leader may learn later than its followers that it leads."""
    stand = Stand()
    for at_ms in (0, 100, 200, 300, 400):
        assert (stand.now.mono_ms, stand.outbox.take()) == (at_ms, [Dial(3)])
        stand.learner.on_dial_failed(stand.now)
        if stand.learner.phase == DIALLING:
            stand.pass_time()
    assert stand.learner.phase == FINISHED


def test_a_link_that_is_closed_before_a_word_is_a_dial_that_failed() -> None:
    stand = Stand()
    stand.learner.on_dialled(7, stand.now)
    stand.learner.on_link_lost(stand.now)
    stand.outbox.take()
    stand.pass_time()
    assert stand.outbox.take() == [Dial(3)]


def test_a_dial_without_an_answer_ends_with_init_limit() -> None:
    stand = Stand()
    stand.pass_time()
    assert (stand.now.mono_ms, stand.learner.phase) == (10_000, FINISHED)


def test_a_second_link_to_the_leader_is_closed() -> None:
    stand = Stand()
    stand.learner.on_dialled(7, stand.now)
    stand.outbox.take()
    stand.learner.on_dialled(8, stand.now)
    assert stand.outbox.take() == [CloseLink(8, "a second link to the leader")]
    assert (stand.learner.link, stand.learner.phase) == (7, GREETING)


def test_the_greeting_and_the_promise() -> None:
    """FOLLOWERINFO carries acceptedEpoch; the new one is durable before ACKEPOCH tells currentEpoch."""
    stand = Stand()
    stand.learner.on_dialled(7, stand.now)
    info = encode_learner_info(LearnerInfo(1))
    greeting = QuorumPacket(FOLLOWERINFO, make_zxid(1, 0), info)
    assert stand.outbox.take() == [Dial(3), Send(7, [greeting])]
    stand.hear(LEADERINFO_2)
    assert stand.outbox.take() == [SaveEpoch("acceptedEpoch", 2)]
    stand.save()
    assert stand.outbox.take() == [Send(7, [QuorumPacket(ACKEPOCH, LAST, I32.pack(1))])]


def _waiting() -> Stand:
    stand = Stand()
    stand.learner.on_dialled(7, stand.now)
    stand.hear(LEADERINFO_2)
    stand.save()
    stand.outbox.take()
    return stand


@pytest.mark.parametrize(
    ("packet", "effect"),
    [
        (QuorumPacket(TRUNC, LAST - 1), Truncate(LAST - 1)),
        (QuorumPacket(SNAP, make_zxid(1, 9)), ReceiveSnapshot(7, make_zxid(1, 9), 10_000)),
    ],
    ids=["TRUNC", "SNAP"],
)
def test_what_follows_waits_for_the_disk_and_no_time_limit_runs(packet: QuorumPacket, effect: object) -> None:
    """A truncation or a snapshot takes as long as it takes; the packets behind it are not acted on before."""
    stand = _waiting()
    stand.hear(packet, QuorumPacket(NEWLEADER, MARK, b""))
    assert stand.outbox.take() == [effect]
    assert stand.learner.deadline() is None


def test_newleader_behind_a_truncation() -> None:
    stand = _waiting()
    stand.hear(QuorumPacket(TRUNC, LAST - 1), QuorumPacket(PROPOSAL, LAST, b"x"), QuorumPacket(NEWLEADER, MARK, b""))
    stand.outbox.take()
    stand.history.on_truncated(LAST - 1)
    stand.learner.on_truncated(LAST - 1, stand.now)
    assert stand.outbox.take() == [Append([(LAST, b"x")], LAST)]


@pytest.mark.parametrize(
    "packet",
    [
        QuorumPacket(TRUNC, LAST + 1),
        QuorumPacket(TRUNC, -1),
        QuorumPacket(SNAP, make_zxid(3, 1)),
        QuorumPacket(UPTODATE, -1),
        QuorumPacket(NEWLEADER, MARK),
        QuorumPacket(PROPOSAL, FIRST, b"x"),
    ],
    ids=lambda packet: f"{packet.type} {packet.zxid:#x}",
)
def test_what_cannot_open_a_synchronisation_ends_the_attempt(packet: QuorumPacket) -> None:
    stand = _waiting()
    stand.hear(packet)
    assert stand.learner.phase == FINISHED
    assert [effect.link for effect in stand.outbox.take() if isinstance(effect, CloseLink)] == [7]


def test_a_truncation_to_a_transaction_that_is_not_here_ends_the_attempt() -> None:
    """The leader would go on from a point this log never had."""
    stand = _waiting()
    stand.hear(QuorumPacket(TRUNC, LAST - 1))
    stand.history.on_truncated(LAST - 2)
    stand.learner.on_truncated(LAST - 1, stand.now)
    assert stand.learner.phase == FINISHED


def test_a_proposal_is_acknowledged_when_it_is_durable_and_delivered_when_it_is_committed_too() -> None:
    stand = Stand()
    stand.serve()
    stand.hear(QuorumPacket(PROPOSAL, FIRST, b"x"), QuorumPacket(COMMIT, FIRST))
    stand.learner.advance()
    assert stand.outbox.take() == [Append([(FIRST, b"x")], FIRST)]
    stand.history.on_logged(FIRST)
    stand.learner.on_logged(stand.now)
    stand.learner.advance()
    assert stand.outbox.take() == [Send(7, [QuorumPacket(ACK, FIRST)]), Deliver([(FIRST, b"x")])]


def test_packets_that_wait_for_the_disk_are_bounded() -> None:
    stand = Stand(max_pending_txns=3)
    stand.learner.on_dialled(7, stand.now)
    stand.hear(LEADERINFO_2, *[QuorumPacket(PING, 0)] * 4)
    assert stand.learner.phase == FINISHED


def test_a_ping_is_answered_by_the_server_with_the_zxid_it_came_with() -> None:
    stand = Stand()
    stand.serve()
    stand.hear(QuorumPacket(PING, LAST))
    assert stand.outbox.take() == [Pinged(7)]
    stand.learner.pong(b"touches")
    assert stand.outbox.take() == [Send(7, [QuorumPacket(PING, LAST, b"touches")])]


def test_a_request_goes_up_while_it_serves_and_is_dropped_before() -> None:
    stand = Stand()
    stand.learner.request(QuorumPacket(1, -1, b"early"))
    stand.serve()
    stand.learner.request(QuorumPacket(1, -1, b"request"))
    assert stand.outbox.take() == [Send(7, [QuorumPacket(1, -1, b"request")])]


def test_a_silent_leader_is_left_after_sync_limit() -> None:
    stand = Stand()
    stand.serve()
    stand.pass_time()
    assert (stand.now.mono_ms, stand.learner.phase) == (5000, FINISHED)
