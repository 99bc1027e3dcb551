"""The peer: whole members under crashes, lost links and any order of events."""

import pytest

from tests.zab.cluster import Cluster


@pytest.mark.parametrize("seed", range(60))
def test_three_members_agree_whatever_happens(seed: int) -> None:
    """All invariants hold after each of 2000 steps with crashes at any effect; then the ensemble forms and agrees."""
    cluster = Cluster(seed)
    cluster.run(2000, n_faults=5, n_txns=15)
    cluster.calm()
    assert len(cluster.committed) <= cluster.n_proposed
