"""`python -m zoopark.sim`: run seeds and say what happened."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from zoopark.sim.ensemble import ALONE, BARE, LOCAL, WHOLE, Kind
from zoopark.sim.scenario import Plan, Run, shortest

KINDS = {"alone": ALONE, "bare": BARE, "ensemble": WHOLE, "local": LOCAL}
LOCAL_EVERY = 5
"""Of so many seeds one has local sessions, where no kind is given."""
SHAPES = ((3, 0), (3, 1), (5, 0), (5, 2))
"""(voters, observers); the seed chooses one of these where they are not given."""


def main(arguments: list[str]) -> int:
    """Run what the arguments ask for; 0 if every guarantee held, 1 if one did not."""
    options = _options(arguments)
    _say(f"commit {_commit()}")
    if options.minutes:
        return _soak(options)
    plan = _plan(options, options.seed)
    run = Run(plan, _say if options.trace else None)
    began_s = time.perf_counter()
    run.go()
    spent_s = time.perf_counter() - began_s
    world = run.world
    shape = f"{plan.n_voters}+{plan.n_observers} members"
    speed = f"{world.count} events  {world.count / spent_s:,.0f} a second"
    _say(f"seed {plan.seed}  {shape}  trace {world.trace_hash()}  {speed}")
    for name in sorted(world.counts):
        _say(f"{world.counts[name]:>8}  {name}")
    if run.failure:
        _report(plan, run)
    return 1 if run.failure else 0


def _soak(options: argparse.Namespace) -> int:
    """Fresh seeds for so many minutes; stops at the first failure."""
    until_s = time.monotonic() + options.minutes * 60
    totals: dict[str, int] = {}
    seed = options.seed or int(time.time())
    began_s = time.perf_counter()
    failed = 0
    while time.monotonic() < until_s and not failed:
        plan = _plan(options, seed)
        run = Run(plan)
        run.go()
        _add(totals, run)
        if run.failure:
            failed = 1
            _report(plan, run)
        seed += 1
    spent_s = time.perf_counter() - began_s
    _say(f"{totals.get(' events', 0) / spent_s:,.0f} events a second, up to seed {seed - 1}")
    for name in sorted(totals):
        _say(f"{totals[name]:>12,}  {name.strip()}")
    return failed


def _add(totals: dict[str, int], run: Run) -> None:
    found = {
        " events": run.world.count,
        " messages": run.ensemble.network.n_messages,
        " epochs established": len(run.ensemble.ledger.established),
        " transactions committed": len(run.ensemble.ledger.committed),
        " seeds": 1,
    }
    for name, count in [*found.items(), *run.world.counts.items()]:
        totals[name] = totals.get(name, 0) + count


def _report(plan: Plan, run: Run) -> None:
    shape = f"{plan.n_voters}+{plan.n_observers} members"
    _say(f"seed {plan.seed}, {shape}, {plan.n_events} events, at event {run.world.count}: {run.failure}")
    _say(f"the shortest prefix that fails: {shortest(plan)} events")


def _plan(options: argparse.Namespace, seed: int) -> Plan:
    kind = _kind(options.kind, seed)
    n_voters, n_observers = SHAPES[seed % len(SHAPES)] if kind is not ALONE else (1, 0)
    if options.members and kind is not ALONE:
        n_voters, n_observers = options.members, options.observers
    plan = Plan(seed, options.events, kind, n_voters, n_observers, 0 if kind is BARE else options.clients)
    plan.workloads = options.workload or None
    plan.nemeses = options.nemesis
    return plan


def _kind(name: str | None, seed: int) -> Kind:
    if name is None:
        return LOCAL if seed % LOCAL_EVERY == 0 else WHOLE
    return KINDS[name]


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m zoopark.sim", description="Simulated ensembles, seed by seed.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=sorted(KINDS), help="what the members are; without it the seed says")
    parser.add_argument("--members", type=int, default=0, help="voters; without it the seed says who there is")
    parser.add_argument("--observers", type=int, default=0, help="beside so many members")
    parser.add_argument("--clients", type=int, default=5)
    parser.add_argument("--events", "--steps", type=int, default=20_000, help="before everything is healed")
    parser.add_argument("--workload", action="append", help="one of them; may be given again")
    parser.add_argument("--nemesis", action="append", help="one of them; may be given again")
    parser.add_argument("--trace", action="store_true", help="one line an event")
    parser.add_argument("--minutes", type=float, default=0, help="run fresh seeds for so long")
    return parser.parse_args(arguments)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _commit() -> str:
    """The commit of this checkout; "unknown" outside of one."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except OSError:
        return "unknown"
    return found.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
