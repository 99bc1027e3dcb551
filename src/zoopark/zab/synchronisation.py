"""The packets that carry out a plan: what brings a learner's log up to the leader's, in the order it must be read.

    DIFF max | TRUNC zxid | SNAP zxid and the snapshot's stream
    PROPOSAL, COMMIT      for each transaction that is committed
    PROPOSAL              for each that is proposed and not committed; followers only
    NEWLEADER             nothing may come between the plan and it that all of the above does not account for

What this must never do: put NEWLEADER ahead of anything the plan accounts for (ZOOKEEPER-3104); leave out what lies
between the plan and what is forwarded (ZOOKEEPER-962): both are decided in one step, with nothing in between.
"""

from zoopark.jute.quorum import COMMIT, DIFF, NEWLEADER, PROPOSAL, SNAP, TRUNC, QuorumPacket
from zoopark.zab.history import Diff, Plan, Trunc
from zoopark.zab.outbox import Entry


def opening_of(plan: Plan) -> QuorumPacket:
    """The packet that says how synchronisation is done."""
    if isinstance(plan, Diff):
        return QuorumPacket(DIFF, plan.zxid)
    if isinstance(plan, Trunc):
        return QuorumPacket(TRUNC, plan.zxid)
    return QuorumPacket(SNAP, plan.zxid)


def rest_of(plan: Plan, pending: list[Entry], newleader_zxid: int, config: bytes) -> list[QuorumPacket]:
    """What follows it, up to and with NEWLEADER, whose data is the text of the configuration."""
    assert newleader_zxid & 0xFFFFFFFF == 0, newleader_zxid
    packets: list[QuorumPacket] = []
    if isinstance(plan, Diff | Trunc):
        for zxid, txn in plan.entries:
            packets.append(QuorumPacket(PROPOSAL, zxid, txn))
            packets.append(QuorumPacket(COMMIT, zxid))
    packets += [QuorumPacket(PROPOSAL, zxid, txn) for zxid, txn in pending]
    packets.append(QuorumPacket(NEWLEADER, newleader_zxid, config))
    return packets
