"""The packets of a plan, in the order Apache's learner expects them."""

from zoopark.jute.quorum import COMMIT, DIFF, NEWLEADER, PROPOSAL, SNAP, TRUNC, QuorumPacket
from zoopark.zab.synchronisation import Diff, Snap, Trunc, opening_of, rest_of
from zoopark.zxid import make_zxid

EPOCH = make_zxid(3, 0)


def test_committed_ones_come_in_pairs_then_outstanding_ones_then_newleader() -> None:
    """ZOOKEEPER-3104: NEWLEADER comes last."""
    packets = rest_of(Diff(8, [(7, b"a"), (8, b"b")]), [(9, b"c")], EPOCH, b"version=0")
    assert packets == [
        QuorumPacket(PROPOSAL, 7, b"a"),
        QuorumPacket(COMMIT, 7),
        QuorumPacket(PROPOSAL, 8, b"b"),
        QuorumPacket(COMMIT, 8),
        QuorumPacket(PROPOSAL, 9, b"c"),
        QuorumPacket(NEWLEADER, EPOCH, b"version=0"),
    ]


def test_how_each_plan_opens() -> None:
    assert opening_of(Diff(8, [(8, b"")])) == QuorumPacket(DIFF, 8)
    assert opening_of(Trunc(5, [])) == QuorumPacket(TRUNC, 5)
    assert opening_of(Snap(8)) == QuorumPacket(SNAP, 8)


def test_behind_a_snapshot_only_what_is_outstanding() -> None:
    assert [packet.type for packet in rest_of(Snap(8), [(9, b"c")], EPOCH, b"")] == [PROPOSAL, NEWLEADER]
