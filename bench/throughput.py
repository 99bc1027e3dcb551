"""Rows of throughput and latency: every row on one service and at once on the other, all of it several times over."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bench import processes
from bench.arena import Arena
from bench.ensembles import Service
from bench.load import Load, Measured, Runs, run
from bench.results import Results
from bench.rows import MIXED, Row

WARM_UP_SECONDS: Final = 4.0


def compare(arena: Arena, servers: Sequence[Service], rows: list[Row], found: Results) -> None:
    """Warm all servers up, measure the rows on them, and put the runs into the results."""
    program, seconds, repeats = arena.program, float(found.settings["seconds"]), int(found.settings["repeats"])
    for server in servers:
        warm_up(program, server, rows, min(2 * seconds, WARM_UP_SECONDS))
    measured = alternate(program, servers, rows, repeats, seconds, arena.tell)
    for side, runs in zip(found.sides, measured, strict=True):
        side.runs = runs


def warm_up(program: Path, server: Service, rows: list[Row], seconds: float) -> None:
    """Make a server as fast as it gets (compiled code, caches): a deep mixed load, then every row for a moment."""
    run(program, server, Load(MIXED.workload, seconds=seconds))
    for row in rows:
        run(program, server, _load(row, seconds / 4))


def alternate(
    program: Path,
    servers: Sequence[Service],
    rows: list[Row],
    repeats: int,
    seconds: float,
    tell: Callable[[str], None],
) -> list[Runs]:
    """Measure rows on all servers in turn; who goes first changes from repetition to repetition.

    Only one server is under load at a time: before each run the others have finished what they do in the background,
    and the disk has what was written so far.
    Returns one `Runs` for each server, in the order given. LoadFailedError or ServerFailedError ends it.
    """
    found: list[Runs] = [{row.name: [] for row in rows} for _ in servers]
    for repeat in range(repeats):
        order = list(range(len(servers)))[:: -1 if repeat % 2 else 1]
        for row in rows:
            for i in order:
                processes.calm([pid for server in servers for pid in server.pids])
                measured, _ = run(program, servers[i], _load(row, seconds))
                found[i][row.name].append(measured)
                tell(_line(f"{repeat + 1}/{repeats} {row.name}", servers[i].name, measured))
    return found


def _load(row: Row, seconds: float) -> Load:
    return Load(row.workload, connections=row.connections, depth=row.depth, seconds=seconds)


def _line(what: str, who: str, m: Measured) -> str:
    return f"{what:<20}{who:<14}{m.ops_s:>10,.0f}/s  p99 {m.p99_us / 1000:7.2f} ms  others {m.other_cores:.2f} cores"
