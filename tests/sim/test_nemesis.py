"""What begins something bad can end it."""

from random import Random

import pytest

from tests.sim.test_ensemble import settled
from zoopark.sim.nemesis import NEMESES, Fate, majority_ring
from zoopark.sim.world import SECOND


@pytest.mark.parametrize("name", NEMESES)
def test_everything_bad_can_be_healed(name: str) -> None:
    ensemble = settled()
    end = NEMESES[name](ensemble, Random(4))
    ensemble.world.run(1 << 30, 10 * SECOND)
    end()
    ensemble.heal()
    ensemble.world.run(1 << 30, 80 * SECOND)
    assert ensemble.is_settled()


def test_in_a_ring_everybody_sees_a_majority_and_nobody_all() -> None:
    ensemble = settled(n_voters=5, n_observers=0)
    majority_ring(ensemble, Random(1))
    for sid in ensemble.machines:
        seen = [other for other in ensemble.machines if ensemble.network.is_reachable(sid, other)]
        assert len(seen) == 3 and sid in seen


def test_fate_ends_what_it_began() -> None:
    ensemble = settled()
    fate = Fate(ensemble, ["pause all", "isolate one"])
    fate.start()
    ensemble.world.run(1 << 30, 12 * SECOND)
    fate.stop()
    assert ensemble.network.blocked == {} and not any(machine.is_paused for machine in ensemble.machines.values())
    ensemble.world.run(1 << 30, 60 * SECOND)
    assert ensemble.is_settled()
