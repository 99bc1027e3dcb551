"""Runs of whole peers under crashes, as the Zab paper looks at them: who broadcast and who delivered what, in order.

A process delivers what its tree holds while it serves; a process that starts again begins with what it recovered.
"""

from tests.zab.cluster import Cluster
from tests.zab.machine import Machine
from zoopark.zab.outbox import Entry
from zoopark.zxid import epoch_of

Broadcast = tuple[int, int, list[int]]
"""(zxid, sid of the primary, the zxids it had delivered by then)."""


class Recorded(Cluster):
    """A cluster that remembers.

    Attributes:
        broadcasts: in the order in which they happened.
        deliveries: (sid, all transactions that it had delivered by then), whenever there were more.
    """

    def __init__(self, seed: int, n_voters: int = 3, n_observers: int = 0) -> None:
        self.broadcasts: list[Broadcast] = []
        self.deliveries: list[tuple[int, list[Entry]]] = []
        super().__init__(seed, n_voters, n_observers)

    def propose(self) -> bool:
        known = set(self.proposed)
        is_done = super().propose()
        for zxid in sorted(set(self.proposed) - known):
            sid = self.leaders[epoch_of(zxid)]
            self.broadcasts.append((zxid, sid, [held for held, _ in self.machines[sid].tree]))
        return is_done

    def _agree(self, machine: Machine) -> None:
        super()._agree(machine)
        self.deliveries.append((machine.settings.sid, list(machine.tree)))


def recorded(seed: int, n_voters: int = 3) -> Recorded:
    """Three times some transactions among crashes and lost links, and the rest that follows."""
    cluster = Recorded(seed, n_voters)
    for _ in range(3):
        cluster.run(1000, n_faults=3, n_txns=8)
        cluster.calm()
    assert cluster.broadcasts and cluster.deliveries
    return cluster
