"""Broadcast: quorums, the order of commits, syncs."""

from collections.abc import Collection

import pytest

from zoopark.jute.quorum import COMMIT, INFORM, SYNC, QuorumPacket
from zoopark.zab.broadcast import Broadcast
from zoopark.zab.effects import Deliver, Passed, Send
from zoopark.zab.history import History
from zoopark.zab.outbox import Outbox
from zoopark.zab.quorum import Joint, Majority, Verifier
from zoopark.zxid import make_zxid


class Stand:
    """Server 1 leads epoch 1; link 20 is a follower, link 90 an observer."""

    def __init__(self, verifier: Verifier, n_proposed: int) -> None:
        self.history = History(0, (), 1, 1)
        self.outbox = Outbox()
        self.outbox.join(20, is_observer=False)
        self.outbox.join(90, is_observer=True)
        self.broadcast = Broadcast(1, verifier, self.history, self.outbox)
        for counter in range(1, n_proposed + 1):
            self.broadcast.propose(make_zxid(1, counter), b"x")
        self.outbox.take()

    def ack(self, sid: int, counter: int) -> list[int]:
        """The counters that are delivered after this acknowledgement."""
        if sid == 1:
            self.history.on_logged(make_zxid(1, counter))
            self.broadcast.on_logged()
        else:
            assert self.broadcast.on_ack(sid, make_zxid(1, counter))
        self.broadcast.advance()
        delivered = [effect for effect in self.outbox.take() if isinstance(effect, Deliver)]
        return [zxid & 0xFFFF for effect in delivered for zxid, _ in effect.entries]


@pytest.mark.parametrize(
    ("verifier", "acks", "expected"),
    [
        (Majority([1]), [(1, 3)], [[1, 2, 3]]),
        (Majority([1, 2, 3]), [(1, 3), (2, 1), (3, 2), (2, 3)], [[], [1], [2], [3]]),
        (Majority([1, 2, 3]), [(2, 3), (3, 2)], [[], [1, 2]]),
        (Majority([1, 2, 3]), [(9, 3), (1, 3)], [[], []]),
        (Joint([Majority([1, 2, 3]), Majority([3, 4, 5])]), [(1, 3), (2, 3), (3, 1), (4, 2)], [[], [], [], [1]]),
    ],
    ids=["alone", "in order", "without the leader's own disk", "no voter", "both of a pending configuration"],
)
def test_what_a_quorum_of_every_verifier_has_is_committed(
    verifier: Verifier, acks: Collection[tuple[int, int]], expected: list[list[int]]
) -> None:
    stand = Stand(verifier, 3)
    assert [stand.ack(sid, counter) for sid, counter in acks] == expected


def test_followers_get_commits_and_observers_get_the_transactions() -> None:
    stand = Stand(Majority([1, 2, 3]), 2)
    stand.broadcast.on_ack(2, make_zxid(1, 2))
    stand.broadcast.on_ack(3, make_zxid(1, 2))
    stand.broadcast.advance()
    first, second = make_zxid(1, 1), make_zxid(1, 2)
    assert stand.outbox.take() == [
        Send(20, [QuorumPacket(COMMIT, first), QuorumPacket(COMMIT, second)]),
        Send(90, [QuorumPacket(INFORM, first, b"x"), QuorumPacket(INFORM, second, b"x")]),
        Deliver([(first, b"x"), (second, b"x")]),
    ]


def test_what_a_lost_link_acknowledged_counts_no_more() -> None:
    """The learner may be told to truncate it when it comes again."""
    stand = Stand(Majority([1, 2, 3]), 1)
    assert stand.ack(2, 1) == []
    stand.broadcast.forget(2)
    assert stand.ack(1, 1) == []
    assert stand.ack(2, 1) == [1]


def test_an_acknowledgement_of_what_was_not_proposed_is_not_believed() -> None:
    assert not Stand(Majority([1, 2, 3]), 1).broadcast.on_ack(2, make_zxid(1, 2))


def test_a_sync_waits_for_what_was_proposed_ahead_of_it_and_for_nothing_behind() -> None:
    stand = Stand(Majority([1]), 1)
    stand.broadcast.sync(None)
    stand.broadcast.sync(20)
    stand.broadcast.propose(make_zxid(1, 2), b"y")
    stand.outbox.take()
    stand.history.on_logged(make_zxid(1, 1))
    stand.broadcast.on_logged()
    stand.broadcast.advance()
    kinds = [effect for effect in stand.outbox.take() if not isinstance(effect, Deliver)]
    answer = QuorumPacket(SYNC, 0)
    assert kinds[-2:] == [Passed(None, [answer]), Send(20, [answer])]


def test_a_sync_with_nothing_outstanding_is_answered_at_once() -> None:
    stand = Stand(Majority([1]), 0)
    stand.broadcast.sync(None)
    assert stand.outbox.take() == [Passed(None, [QuorumPacket(SYNC, 0)])]


def test_the_last_counter_of_an_epoch_is_never_used() -> None:
    """ZOOKEEPER-1277."""
    history = History(make_zxid(1, 0xFFFFFFFD), (), 1, 1)
    broadcast = Broadcast(1, Majority([1]), history, Outbox())
    assert broadcast.may_propose(1)
    broadcast.propose(make_zxid(1, 0xFFFFFFFE), b"x")
    assert not broadcast.may_propose(1)
