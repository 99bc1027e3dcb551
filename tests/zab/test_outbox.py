"""The outbox: one effect for each link, the log and the tree, in an order that loses nothing."""

from zoopark.jute.quorum import COMMIT, PING, PROPOSAL, SYNC, QuorumPacket
from zoopark.zab.effects import Append, CloseLink, Deliver, Note, Send
from zoopark.zab.outbox import Outbox


def packet(zxid: int, kind: int = PROPOSAL) -> QuorumPacket:
    return QuorumPacket(kind, zxid)


def test_a_wake_up_is_one_burst_for_each_link_one_deliver_and_one_append() -> None:
    """What others wait for leaves first, what takes longest last."""
    outbox = Outbox()
    outbox.join(7, is_observer=False)
    outbox.join(8, is_observer=False)
    for zxid in (1, 2):
        outbox.append((zxid + 2, b"x"))
        outbox.to_followers(packet(zxid + 2))
        outbox.deliver([(zxid, b"x")])
    burst = [packet(3), packet(4)]
    expected = [Send(7, burst), Send(8, burst), Deliver([(1, b"x"), (2, b"x")]), Append([(3, b"x"), (4, b"x")], 4)]
    assert outbox.take() == expected
    assert outbox.take() == []


def test_followers_get_the_very_same_list() -> None:
    """So that a host may encode it once."""
    outbox = Outbox()
    outbox.join(7, is_observer=False)
    outbox.join(8, is_observer=False)
    outbox.to_followers(packet(1))
    one, other = outbox.take()
    assert isinstance(one, Send) and isinstance(other, Send)
    assert one.packets is other.packets


def test_packets_of_a_link_stay_in_order_whoever_else_gets_them() -> None:
    """A SYNC that overtakes a COMMIT, or falls behind the next one, is a wrong answer."""
    outbox = Outbox()
    outbox.join(7, is_observer=False)
    outbox.to_followers(packet(1, COMMIT))
    outbox.send(7, packet(0, SYNC))
    outbox.to_followers(packet(2, COMMIT))
    sent = [effect.packets for effect in outbox.take() if isinstance(effect, Send)]
    assert [item for packets in sent for item in packets] == [packet(1, COMMIT), packet(0, SYNC), packet(2, COMMIT)]


def test_who_joins_gets_nothing_from_before() -> None:
    outbox = Outbox()
    outbox.join(7, is_observer=False)
    outbox.to_followers(packet(1))
    outbox.join(8, is_observer=False)
    outbox.to_followers(packet(2))
    assert outbox.take() == [Send(7, [packet(1)]), Send(7, [packet(2)]), Send(8, [packet(2)])]


def test_observers_get_their_own() -> None:
    outbox = Outbox()
    outbox.join(7, is_observer=False)
    outbox.join(9, is_observer=True)
    outbox.to_followers(packet(1, COMMIT))
    outbox.to_observers(packet(1, PING))
    assert outbox.take() == [Send(7, [packet(1, COMMIT)]), Send(9, [packet(1, PING)])]


def test_a_link_is_closed_behind_what_it_was_sent_and_gets_nothing_more() -> None:
    outbox = Outbox()
    outbox.join(7, is_observer=False)
    outbox.send(7, packet(1))
    outbox.close(7, "enough")
    outbox.to_followers(packet(2))
    assert outbox.take() == [Send(7, [packet(1)]), CloseLink(7, "enough")]


def test_an_effect_whose_place_matters_comes_behind_all_before_it() -> None:
    outbox = Outbox()
    outbox.append((1, b"x"))
    outbox.emit(Note("behind"))
    outbox.append((2, b"x"))
    assert outbox.take() == [Append([(1, b"x")], 1), Note("behind"), Append([(2, b"x")], 2)]
