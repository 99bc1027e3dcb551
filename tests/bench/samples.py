"""Results that no run produced, round enough to check by eye."""

from bench.large import Large, Snapshots
from bench.learners import CatchUp, Transfer
from bench.load import Measured
from bench.machine import Machine
from bench.results import Lagging, Results, Side, Together
from bench.rows import ALONE, ENSEMBLE

MACHINE = Machine("A Processor", 2, 8.0, "6.1", 0.05, 0.5, 0.1, "3.11.7", "java 17", "0.23.0", True)


def measured(ops_s: float, p99_us: float) -> Measured:
    return Measured(ops_s, p99_us / 2, p99_us, p99_us * 2, p99_us * 3, 10.0, 0.25, 5.0)


def large(factor: float) -> Large:
    """With a factor of 1: 1,000 MB, restarts of 4, 5 and 6 s, p99.9 of 80 and 40 ms while snapshots are written."""
    hot = Snapshots(1e5, 9e3, 12e3, 20e3, 80e3 * factor, 90e3, [2.0])
    spread = Snapshots(1e5, 9e3, 12e3, 20e3, 40e3 * factor, 90e3, [2.0, 2.5])
    mb, seconds = 1000 * factor, [6 * factor, 4 * factor, 5 * factor]
    return Large("3.9.9", 1_100_000, 14.0, mb, mb, hot, spread, mb, seconds, [mb] * 3, [mb] * 3)


def results() -> Results:
    """get 1x1 meets its target, set 1x1 does not; the large tree meets its memory and its restart."""
    theirs = Side("Apache 3.9.3", "3.9.3-c2", {}, large(1.0))
    ours = Side("zoopark", "3.9.9", {}, large(0.4))
    theirs.runs = {"get 1x1": [measured(ops, 100) for ops in (900, 1000, 1100)], "set 1x1": [measured(1000, 500)]}
    ours.runs = {"get 1x1": [measured(ops, 50) for ops in (3600, 3000, 2200)], "set 1x1": [measured(1200, 600)]}
    return Results(ALONE, "2025-01-31", MACHINE, {"seconds": "5.0", "heap": "1g"}, theirs, ours)


def lagging(factor: float) -> Lagging:
    """With a factor of 1: 9, 3 and 4 s to catch up after 2 s of recovery, p99.9 of 80 ms while the tree is sent."""
    catch_ups = [CatchUp(2.0, seconds * factor, False) for seconds in (9, 3, 4)]
    return Lagging(1_100_000, 100_000, 20.0, 3000, catch_ups, Transfer(12, True, 1e5, 9e3, 80e3 * factor, 9e4, 5e3))


def ensembles() -> Results:
    """All targets are met, but for the throughput of set 1x1."""
    found = results()
    found.part = ENSEMBLE
    found.theirs.large = found.ours.large = None
    found.theirs.runs["get 50x20"] = found.theirs.runs.pop("get 1x1")
    found.ours.runs["get 50x20"] = found.ours.runs.pop("get 1x1")
    found.theirs.together = Together(1000.0, [600.0, 400.0, 300.0])
    found.ours.together = Together(250.0, [150.0, 300.0, 100.0])
    found.theirs.lagging, found.ours.lagging = lagging(1.0), lagging(0.4)
    return found
