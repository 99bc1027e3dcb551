"""Whole runs: they are repeatable, they pass, and they fail when something is wrong."""

from typing import Any

import pytest

from zoopark.record import Effect, Now
from zoopark.server.recovery import Recovered
from zoopark.sim.bare import build_bare
from zoopark.sim.ensemble import ALONE, BARE, Kind
from zoopark.sim.machine import Machine
from zoopark.sim.nemesis import NEMESES
from zoopark.sim.scenario import Plan, Run, shortest
from zoopark.sim.whole import role_of
from zoopark.sim.workloads import WORKLOADS
from zoopark.zab.effects import Append

N_EVENTS = 2500


def plan_of(seed: int, kind: Kind, n_events: int = N_EVENTS) -> Plan:
    if kind is ALONE:
        return Plan(seed, n_events, ALONE)
    return Plan(seed, n_events, kind, n_voters=3, n_observers=1, n_clients=0)


@pytest.mark.parametrize("kind", [ALONE, BARE], ids=["alone", "bare"])
@pytest.mark.parametrize("seed", range(1, 6))
def test_seeds_pass(seed: int, kind: Kind) -> None:
    run = Run(plan_of(seed, kind))
    assert run.go(), run.failure
    assert run.world.count >= N_EVENTS and run.ensemble.truth.last_zxid > 0


@pytest.mark.parametrize("name", NEMESES)
def test_agreement_survives(name: str) -> None:
    plan = plan_of(11, BARE, 6000)
    plan.nemeses = [name]
    run = Run(plan)
    assert run.go(), run.failure
    assert run.world.counts[f"nemesis: {name}"] > 0


@pytest.mark.parametrize("name", WORKLOADS)
def test_workloads_do_what_they_are_for(name: str) -> None:
    plan = plan_of(12, ALONE, 3000)
    plan.workloads, plan.nemeses = [name], ["kill one", "break link"]
    run = Run(plan)
    assert run.go(), run.failure
    assert sum(client.n_answers for client in run.ensemble.clients) > 100


def test_the_same_seed_is_the_same_run() -> None:
    runs = [Run(plan_of(3, BARE)) for _ in range(2)]
    assert [run.go() for run in runs] == [True, True]
    assert runs[0].world.trace_hash() == runs[1].world.trace_hash()
    assert runs[0].world.counts == runs[1].world.counts


def test_another_seed_is_another_run() -> None:
    runs = [Run(plan_of(seed, BARE)) for seed in (3, 4)]
    assert [run.go() for run in runs] == [True, True]
    assert runs[0].world.trace_hash() != runs[1].world.trace_hash()


class Hasty:
    """A member that says to itself that everything is durable at once."""

    def __init__(self, member: Any, machine: Machine) -> None:
        self._member = member
        self._machine = machine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._member, name)

    def on_logged(self, zxid: int, now: Now) -> None:
        """It knew before."""

    def take(self) -> list[Effect]:
        effects: list[Effect] = self._member.take()
        for effect in effects:
            if isinstance(effect, Append):
                self._member.on_logged(effect.zxid, self._machine.now())
        return effects


def build_hasty(machine: Machine, found: Recovered, now: Now) -> Any:
    return Hasty(build_bare(machine, found, now), machine)


def test_a_member_that_does_not_wait_for_its_disk_is_found_and_its_run_is_cut() -> None:
    """The harness must be able to fail."""
    plan = plan_of(1, Kind(build_hasty, role_of, has_quorum_links=True))
    run = Run(plan)
    assert not run.go()
    assert "durability" in run.failure
    enough = shortest(plan)
    assert enough <= run.world.count
    assert not Run(plan.shortened(enough)).go()
