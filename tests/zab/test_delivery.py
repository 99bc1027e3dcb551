"""Delivery: acknowledged when durable, delivered when committed too, syncs in between where they belong."""

import pytest

from zoopark.jute.quorum import ACK, SYNC, QuorumPacket
from zoopark.record import Effect
from zoopark.zab.delivery import Delivery
from zoopark.zab.effects import Append, Deliver, Passed, Send
from zoopark.zab.history import History
from zoopark.zab.outbox import Outbox
from zoopark.zxid import make_zxid

LAST = make_zxid(1, 9)
ONE, TWO, THREE = (make_zxid(2, counter) for counter in (1, 2, 3))
LINK = 7


class Stand:
    """A learner of epoch 2 whose log ends at 1:9."""

    def __init__(self, is_observer: bool = False, max_pending: int = 10) -> None:
        self.history = History(LAST, (), 2, 2)
        self.outbox = Outbox()
        self.delivery = Delivery(self.history, self.outbox, is_observer, max_pending)

    def propose(self, *zxids: int) -> list[str]:
        return [self.delivery.on_proposal(zxid, b"x", 2) for zxid in zxids]

    def commit(self, zxid: int) -> str:
        return self.delivery.on_commit(zxid, self.history.last_zxid)

    def logged(self, zxid: int) -> None:
        self.history.on_logged(zxid)
        self.delivery.acknowledge(LINK)

    def take(self) -> list[Effect]:
        self.delivery.advance(LINK)
        return self.outbox.take()


def test_a_burst_is_one_append_and_each_is_acknowledged_by_itself_when_durable() -> None:
    """ZooKeeper's leader counts acknowledgements zxid by zxid."""
    stand = Stand()
    assert stand.propose(ONE, TWO) == ["", ""]
    assert stand.take() == [Append([(ONE, b"x"), (TWO, b"x")], TWO)]
    stand.logged(TWO)
    assert stand.take() == [Send(LINK, [QuorumPacket(ACK, ONE), QuorumPacket(ACK, TWO)])]


@pytest.mark.parametrize(("committed", "durable", "delivered"), [(2, 1, 1), (1, 2, 1), (2, 2, 2)])
def test_what_is_committed_and_durable_is_delivered(committed: int, durable: int, delivered: int) -> None:
    """The quorum may be the others: a commit does not say that our own log has it."""
    stand = Stand(is_observer=True)
    zxids = [ONE, TWO]
    stand.propose(*zxids)
    stand.take()
    for zxid in zxids[:committed]:
        assert stand.commit(zxid) == ""
    stand.logged(zxids[durable - 1])
    assert stand.take() == [Deliver([(zxid, b"x") for zxid in zxids[:delivered]])]


def test_what_came_before_may_come_again() -> None:
    stand = Stand()
    assert stand.propose(ONE, ONE, LAST) == ["", "", ""]
    assert [stand.commit(ONE), stand.commit(ONE), stand.commit(LAST)] == ["", "", ""]
    assert stand.take() == [Append([(ONE, b"x")], ONE)]


@pytest.mark.parametrize("zxid", [TWO, make_zxid(3, 1), make_zxid(1, 11)])
def test_a_hole_and_a_later_epoch_are_refused(zxid: int) -> None:
    stand = Stand()
    assert stand.propose(zxid) != [""]
    assert stand.take() == []


def test_a_commit_that_leaves_one_out_or_was_not_proposed_is_refused() -> None:
    stand = Stand()
    stand.propose(ONE, TWO)
    assert [bool(stand.commit(TWO)), bool(stand.commit(THREE)), stand.delivery.committed_zxid] == [True, True, LAST]


def test_what_waits_is_bounded() -> None:
    stand = Stand(max_pending=2)
    assert [bool(why) for why in stand.propose(ONE, TWO, THREE)] == [False, False, True]
    answer = QuorumPacket(SYNC, 0)
    stand.commit(ONE)
    assert [bool(stand.delivery.on_sync(answer)) for _ in range(3)] == [False, False, True]


def test_the_answer_to_a_sync_comes_behind_what_was_committed_ahead_of_it() -> None:
    stand = Stand(is_observer=True)
    stand.propose(ONE, TWO)
    stand.commit(ONE)
    answer = QuorumPacket(SYNC, 0)
    stand.delivery.on_sync(answer)
    stand.commit(TWO)
    assert stand.take() == [Append([(ONE, b"x"), (TWO, b"x")], TWO)]
    stand.logged(ONE)
    assert stand.take() == [Deliver([(ONE, b"x")]), Passed(LINK, [answer])]
