"""What Zab promises, claim by claim, over runs of whole peers that crash, lose links and elect again.

Source: Junqueira, Reed, Serafini, "Zab: High-performance broadcast for primary-backup systems", DSN 2011, section III.
The claims are in our words. A member stands for a process, an epoch for an instance of the primary.
"""

from itertools import pairwise

import pytest

from tests.paper.recorded import Recorded, recorded
from zoopark.zxid import counter_of, epoch_of


@pytest.fixture(scope="module", params=[(1, 3), (2, 3), (3, 3), (4, 5), (5, 5)], ids=lambda given: f"seed {given[0]}")
def run(request: pytest.FixtureRequest) -> Recorded:
    """Some runs; each claim must hold in all of them."""
    return recorded(*request.param)


def test_runs_have_something_to_tell(run: Recorded) -> None:
    """Claims about nothing are true."""
    assert len(run.committed) > 3
    assert len({epoch_of(zxid) for zxid, _, _ in run.broadcasts}) > 1


def test_integrity(run: Recorded) -> None:
    """What somebody delivers, somebody has broadcast, with that very content."""
    broadcast = {zxid for zxid, _, _ in run.broadcasts}
    for _, delivered in run.deliveries:
        assert all(zxid in broadcast and run.proposed[zxid] == txn for zxid, txn in delivered)


def test_total_order(run: Recorded) -> None:
    """If one process delivers a before b, every process that delivers b has delivered a before it."""
    longest = max((delivered for _, delivered in run.deliveries), key=len)
    for _, delivered in run.deliveries:
        assert delivered == longest[: len(delivered)]


def test_agreement(run: Recorded) -> None:
    """Of two processes, one has delivered all that the other has."""
    last = dict(run.deliveries)
    for one in last.values():
        for other in last.values():
            assert set(one) <= set(other) or set(other) <= set(one)


def test_local_primary_order(run: Recorded) -> None:
    """What one primary broadcast in some order is delivered in that order, and nothing of it is left out in between."""
    for _, delivered in run.deliveries:
        for (earlier, _), (later, _) in pairwise(delivered):
            is_same_primary = epoch_of(earlier) == epoch_of(later)
            assert later == earlier + 1 if is_same_primary else counter_of(later) == 1


def test_global_primary_order(run: Recorded) -> None:
    """What an earlier primary broadcast is delivered ahead of what a later one did, by whoever delivers both."""
    for _, delivered in run.deliveries:
        epochs = [epoch_of(zxid) for zxid, _ in delivered]
        assert epochs == sorted(epochs)


def test_primary_integrity(run: Recorded) -> None:
    """A primary that broadcasts has delivered before all that anybody ever delivers of earlier primaries."""
    delivered = {zxid for _, delivered in run.deliveries for zxid, _ in delivered}
    for zxid, _, held in run.broadcasts:
        earlier = {other for other in delivered if epoch_of(other) < epoch_of(zxid)}
        assert earlier <= set(held)


def test_one_primary_for_an_epoch(run: Recorded) -> None:
    """Epochs name primaries: all broadcasts of one are those of one process, numbered from 1."""
    for epoch in {epoch_of(zxid) for zxid, _, _ in run.broadcasts}:
        of_epoch = [(counter_of(zxid), sid) for zxid, sid, _ in run.broadcasts if epoch_of(zxid) == epoch]
        assert [counter for counter, _ in of_epoch] == list(range(1, len(of_epoch) + 1))
        assert len({sid for _, sid in of_epoch}) == 1


def test_liveness(run: Recorded) -> None:
    """Once a quorum is up and hears each other, one leads, all follow, and what it broadcasts is delivered."""
    assert run.propose()
    run.calm()
    last_zxid = run.broadcasts[-1][0]
    assert all(machine.tree[-1][0] == last_zxid for machine in run.machines.values())
