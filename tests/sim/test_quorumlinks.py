"""Votes, dials and snapshots between simulated members."""

from tests.sim.test_ensemble import settled
from zoopark.sim.world import SECOND


def test_a_learner_without_anything_is_sent_a_snapshot_or_the_log() -> None:
    ensemble = settled()
    sent = ensemble.world.counts.get("SNAP sent", 0)
    ensemble.is_resting = False
    for sid in (1, 4):
        ensemble.machines[sid].crash()
        ensemble.machines[sid].wipe()
    ensemble.world.run(1 << 30, 25 * SECOND)
    for sid in (1, 4):
        ensemble.machines[sid].start()
    ensemble.is_resting = True
    ensemble.world.run(1 << 30, 60 * SECOND)
    assert ensemble.is_settled() and ensemble.world.counts["SNAP sent"] > sent


def test_votes_wait_for_a_member_that_is_down_and_for_a_way_that_is_blocked() -> None:
    ensemble = settled()
    ensemble.machines[1].crash()
    ensemble.world.run(1 << 30, 8 * SECOND)
    ensemble.network.block([(2, 3), (3, 2)])
    for sid in (2, 3):
        ensemble.machines[sid].crash()
        ensemble.machines[sid].start()
    ensemble.world.run(1 << 30, 10 * SECOND)
    assert (2, 3) in ensemble.votes and (2, 1) in ensemble.votes
    ensemble.heal()
    assert (2, 3) not in ensemble.votes
    ensemble.world.run(1 << 30, 40 * SECOND)
    assert ensemble.is_settled()


def test_links_end_with_a_life() -> None:
    ensemble = settled()
    leader = ensemble.machines[ensemble.leader()]
    assert leader.quorum.links()
    leader.crash()
    assert leader.quorum.links() == []
    ensemble.world.run(1 << 30, 20 * SECOND)
    assert ensemble.leader() not in (0, leader.sid)
