"""Ensembles come to rest, and know what they may lose."""

from zoopark.sim.ensemble import BARE, Ensemble
from zoopark.sim.world import SECOND, World


def settled(n_voters: int = 3, n_observers: int = 1) -> Ensemble:
    ensemble = Ensemble(World(5), BARE, n_voters, n_observers, 0)
    ensemble.start()
    ensemble.world.run(1 << 30, 3 * SECOND)
    ensemble.is_resting = True
    ensemble.world.run(1 << 30, 5 * SECOND)
    return ensemble


def test_an_ensemble_elects_serves_and_agrees() -> None:
    ensemble = settled()
    assert ensemble.is_settled() and ensemble.leader() in (1, 2, 3)
    assert ensemble.truth.last_zxid == ensemble.ledger.committed_zxid > 1 << 32
    assert ensemble.up() == [1, 2, 3, 4] and ensemble.down() == []


def test_one_of_three_may_lose_everything_while_the_others_know_it() -> None:
    ensemble = settled()
    assert all(ensemble.may_lose(sid) for sid in (1, 2, 3, 4))
    ensemble.machines[1].crash()
    ensemble.machines[1].wipe()
    assert not ensemble.may_lose(2) and not ensemble.may_lose(3)
    assert ensemble.may_lose(4)


def test_a_wiped_member_is_taught_again() -> None:
    ensemble = settled()
    ensemble.machines[1].crash()
    ensemble.machines[1].wipe()
    ensemble.machines[1].start()
    ensemble.world.run(1 << 30, 20 * SECOND)
    assert ensemble.is_settled()


def test_nobody_leads_without_a_majority() -> None:
    ensemble = settled()
    for sid in (1, 2):
        ensemble.machines[sid].crash()
    ensemble.world.run(1 << 30, 20 * SECOND)
    assert ensemble.leader() == 0 and not ensemble.is_settled()
    ensemble.heal()
    ensemble.world.run(1 << 30, 40 * SECOND)
    assert ensemble.is_settled()
