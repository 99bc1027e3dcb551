"""Regression seeds: `seeds.txt` says what each is for."""

from pathlib import Path
from typing import Final

import pytest

from zoopark.sim.ensemble import ALONE, BARE, LOCAL, WHOLE
from zoopark.sim.nemesis import NEMESES
from zoopark.sim.scenario import Plan, Run

KINDS: Final = {"alone": (ALONE, 5), "bare": (BARE, 0), "ensemble": (WHOLE, 5), "local": (LOCAL, 5)}
LINES: Final = [
    line
    for line in (Path(__file__).parent / "seeds.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


def plan_of(line: str) -> Plan:
    """The run that a line describes."""
    what, names, why = (part.strip() for part in line.split("|", 2))
    assert why, line
    name, n_voters, n_observers, n_events, seed = what.split()
    kind, n_clients = KINDS[name]
    plan = Plan(int(seed), int(n_events), kind, int(n_voters), int(n_observers), n_clients)
    if names != "*":
        plan.nemeses = [nemesis.strip() for nemesis in names.split(",")]
        assert set(plan.nemeses) <= set(NEMESES), names
    return plan


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.partition(" |")[0])
def test_a_seed_that_once_showed_something_passes(line: str) -> None:
    run = Run(plan_of(line))
    assert run.go(), run.failure
    assert run.world.count >= run.plan.n_events


def test_no_line_is_there_twice() -> None:
    runs = [line.rpartition("|")[0] for line in LINES]
    assert len(set(runs)) == len(runs) > 10
