"""Whole runs: they are repeatable, they pass, and they fail when something is wrong."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.planted.parts import IS_COMPILED
from zoopark.record import Effect, Now
from zoopark.server.recovery import Recovered
from zoopark.sim.bare import build_bare
from zoopark.sim.checkers import Violation
from zoopark.sim.checkers.ledger import Ledger
from zoopark.sim.checkers.sessions import SessionView
from zoopark.sim.checkers.truth import Truth
from zoopark.sim.ensemble import ALONE, BARE, LOCAL, WHOLE, Kind
from zoopark.sim.machine import Build, Machine
from zoopark.sim.nemesis import NEMESES
from zoopark.sim.scenario import Plan, Run, shortest
from zoopark.sim.whole import build_whole, role_of
from zoopark.sim.workloads import WORKLOADS
from zoopark.zab.effects import Append

N_EVENTS: Final = 2500
SOURCES: Final = Path(__file__).parents[2] / "src"


def plan_of(seed: int, kind: Kind, n_events: int = N_EVENTS, n_voters: int = 3, n_observers: int = 0) -> Plan:
    if kind is ALONE:
        return Plan(seed, n_events, ALONE)
    return Plan(seed, n_events, kind, n_voters, n_observers, 0 if kind is BARE else 5)


@pytest.mark.parametrize("kind", [ALONE, BARE], ids=["alone", "bare"])
@pytest.mark.parametrize("seed", range(1, 6))
def test_seeds_pass(seed: int, kind: Kind) -> None:
    run = Run(plan_of(seed, kind, n_observers=1))
    assert run.go(), run.failure
    assert run.world.count >= N_EVENTS and run.ensemble.truth.last_zxid > 0


@pytest.mark.parametrize(("n_voters", "n_observers"), [(3, 0), (5, 1), (1, 0), (3, 2)])
@pytest.mark.parametrize("seed", range(1, 5))
def test_ensembles_with_clients_pass(seed: int, n_voters: int, n_observers: int) -> None:
    run = Run(plan_of(seed, WHOLE, 6000, n_voters, n_observers))
    assert run.go(), run.failure
    assert run.world.count >= 6000 and sum(client.n_answers for client in run.ensemble.clients) > 100


@pytest.mark.parametrize("seed", range(1, 5))
def test_ensembles_with_local_sessions_pass(seed: int) -> None:
    """Most sessions begin and end without a transaction, those that own something do not."""
    plan = plan_of(seed, LOCAL, 8000, 3, 1)
    plan.workloads = ["sessions", "set"]
    run = Run(plan)
    assert run.go(), run.failure
    truth = run.ensemble.truth
    assert truth.n_gone > 0 and len(truth.sessions) > 0


@pytest.mark.parametrize("name", NEMESES)
@pytest.mark.parametrize("kind", [BARE, WHOLE], ids=["bare", "ensemble"])
def test_every_nemesis_is_survived(kind: Kind, name: str) -> None:
    plan = plan_of(11, kind, 6000, n_observers=1)
    plan.nemeses = [name]
    run = Run(plan)
    assert run.go(), run.failure
    assert run.world.counts[f"nemesis: {name}"] > 0


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize("kind", [ALONE, WHOLE], ids=["alone", "ensemble"])
def test_workloads_do_what_they_are_for(kind: Kind, name: str) -> None:
    plan = plan_of(12, kind, 5000)
    plan.workloads, plan.nemeses = [name], ["kill one", "break link"]
    run = Run(plan)
    assert run.go(), run.failure
    assert sum(client.n_answers for client in run.ensemble.clients) > 100


def test_syncs_are_answered() -> None:
    plan = plan_of(3, WHOLE, 5000)
    plan.workloads, plan.nemeses = ["sync"], ["kill leader"]
    run = Run(plan)
    assert run.go(), run.failure
    views = [client.view for client in run.ensemble.clients]
    assert sum(view.n_syncs for view in views if isinstance(view, SessionView)) > 50


@pytest.mark.parametrize("kind", [BARE, WHOLE], ids=["bare", "ensemble"])
def test_the_same_seed_is_the_same_run(kind: Kind) -> None:
    runs = [Run(plan_of(3, kind)) for _ in range(2)]
    assert [run.go() for run in runs] == [True, True]
    assert runs[0].world.trace_hash() == runs[1].world.trace_hash()
    assert runs[0].world.counts == runs[1].world.counts


def test_the_same_seed_is_the_same_run_under_another_order_of_sets() -> None:
    """What depends on the hash of a string would be another run in another process."""
    traces = [traced_by_a_process(seed) for seed in ("1", "2")]
    assert traces[0] == traces[1] and "trace" in traces[0][1]


def traced_by_a_process(hash_seed: str) -> list[str]:
    """What the command says of a run, without the speed."""
    command = [sys.executable, "-m", "zoopark.sim", "--seed", "7", "--members", "5", "--observers", "1"]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(SOURCES)}
    done = subprocess.run([*command, "--events", "5000"], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.partition(" events")[0] for line in done.stdout.splitlines()]


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


def build_whole_and_hasty(machine: Machine, found: Recovered, now: Now) -> Any:
    return Hasty(build_whole(machine, found, now), machine)


class Bystander:
    """A ledger that objects to nothing: what the first member delivers is told to the truth, whatever it is."""

    def __init__(self, ledger: Ledger, truth: Truth) -> None:
        self._ledger = ledger
        self._truth = truth
        self._given: dict[int, dict[int, bytes]] = {}

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._ledger, name)
        return self._calmly(method) if name.startswith("on_") else method

    def on_append(self, sid: int, entries: list[tuple[int, bytes]]) -> None:
        self._given.setdefault(sid, {}).update(entries)
        self._calmly(self._ledger.on_append)(sid, entries)

    def on_start(self, sid: int, zxid: int, epochs: tuple[int, int], is_forgiven: bool) -> None:
        self._cut(sid, zxid)
        self._calmly(self._ledger.on_start)(sid, zxid, epochs, is_forgiven)

    def on_truncated(self, sid: int, zxid: int) -> None:
        self._cut(sid, zxid)
        self._calmly(self._ledger.on_truncated)(sid, zxid)

    def on_applied(self, sid: int, zxid: int, digest: int) -> None:
        self._calmly(self._ledger.on_applied)(sid, zxid, digest)
        given = self._given.get(sid, {})
        for at in sorted(at for at in given if self._truth.last_zxid < at <= zxid):
            self._truth.on_committed(at, given[at])

    def _cut(self, sid: int, zxid: int) -> None:
        self._given[sid] = {at: txn for at, txn in self._given.get(sid, {}).items() if at <= zxid}

    def _calmly(self, method: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: Any) -> None:
            try:
                method(*arguments)
            except Violation:
                self._ledger.committed_zxid = 1 << 62  # it knows nothing more

        return call


def build_deaf(machine: Machine, found: Recovered, now: Now) -> Any:
    """A member that does not tell its leader of its clients."""
    member = build_whole(machine, found, now)
    vars(member.learning)["touches"] = lambda at: b""
    return member


def build_lenient(machine: Machine, found: Recovered, now: Now) -> Any:
    """A member that lets no session expire."""
    member = build_whole(machine, found, now)
    on_timeout = member.on_timeout

    def on_lenient_timeout(now: Now) -> None:
        for session in member.sessions.by_id.values():
            session.heard_ms = now.mono_ms
        on_timeout(now)

    member.__dict__.update(on_timeout=on_lenient_timeout)
    return member


def test_a_member_that_does_not_wait_for_its_disk_is_found_and_its_run_is_cut() -> None:
    """The harness must be able to fail."""
    plan = plan_of(1, Kind(build_hasty, role_of, has_quorum_links=True), n_observers=1)
    plan.n_clients = 0
    run = Run(plan)
    assert not run.go()
    assert "durability" in run.failure
    enough = shortest(plan)
    assert enough <= run.world.count
    assert not Run(plan.shortened(enough)).go()


def seen_by_clients(build: Build, seed: int) -> str:
    """What the histories of clients alone show, without a look at logs and disks, where disks are slow and all die."""
    plan = plan_of(seed, Kind(build, role_of, has_quorum_links=True), 5000)
    plan.nemeses = ["kill all"]
    run = Run(plan)
    ensemble = run.ensemble
    ensemble.ledger.on_committed = lambda zxid, txn: None
    bystander: Any = Bystander(ensemble.ledger, ensemble.truth)
    for machine in ensemble.machines.values():
        machine.ledger = bystander
        machine.storage.slowness = 50
    run.go()
    return run.failure


def test_clients_see_that_what_was_acknowledged_is_lost() -> None:
    found = [seen_by_clients(build_whole_and_hasty, seed) for seed in range(1, 7)]
    assert any(re.match("Violation: (read|acknowledged|linearizability|monotonic)", one) for one in found), found
    assert [seen_by_clients(build_whole, seed) for seed in range(1, 7)] == [""] * 6


@pytest.mark.skipif(IS_COMPILED, reason="a method of what is compiled cannot be replaced; the sources run this")
@pytest.mark.parametrize(
    ("build", "text"), [(build_deaf, "never stopped talking"), (build_lenient, "belongs to nobody")]
)
def test_sessions_that_end_wrongly_are_found(build: Build, text: str) -> None:
    found: list[str] = []
    for seed in (1, 2, 3):
        plan = plan_of(seed, Kind(build, role_of, has_quorum_links=True))
        plan.nemeses, plan.workloads = [], ["sessions", "sync"]
        run = Run(plan)
        run.go()
        found.append(run.failure)
    assert any(text in failure for failure in found), found
