"""`python -m bench`: run the comparison, write its tables and plots; `--readme` only renews the block in README.md.

What the README shows is measured with the default settings; a run with others is an experiment, for build/bench/.
"""

import argparse
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench import alone, machine, plot, report, results, rows, servers, together
from bench.arena import Arena
from bench.failover import NobodyServesError
from bench.load import LoadFailedError, build
from bench.servers import Contestant
from tests.compat.oracle import OracleMissingError

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent
RESULTS: Final = HERE / "results"
EXPERIMENTS: Final = ROOT / "build" / "bench"
PLACES: Final = {"only", "work", "out", "report", "readme"}
"""Options that say what is done and where it goes; the figures depend on all others."""
ONLY_FOR: Final = {
    rows.ALONE: {"snapshot_seconds", "restarts"},
    rows.ENSEMBLE: {"kills", "missed", "catch_ups", "transfer_seconds"},
}
"""Options on which the figures of the other part do not depend."""
FAILURES: Final = (
    *(OracleMissingError, LoadFailedError, servers.ServerFailedError, NobodyServesError),
    *(ValueError, FileNotFoundError),
)


def parser() -> argparse.ArgumentParser:
    """The options."""
    p = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    p.add_argument("--only", choices=rows.PARTS, help="one server beside one, or three beside three")
    p.add_argument("--seconds", type=float, default=2.0, help="measured time of each run (default 2)")
    p.add_argument("--repeats", type=int, default=3, help="runs of each row on each side (default 3)")
    p.add_argument(
        "--rows", nargs="*", default=[], metavar="NAME", help='only rows that start so, such as "get" "set 1x1"'
    )
    p.add_argument("--skip-memory", action="store_true", help="leave out the large tree")
    p.add_argument("--only-memory", action="store_true", help="leave out the rows, and fail-over")
    p.add_argument("--nodes", type=int, default=1_100_000, help="size of the large tree (default 1,100,000)")
    p.add_argument("--snapshot-seconds", type=float, default=15.0, help="mixed load on the large tree (default 15)")
    p.add_argument("--restarts", type=int, default=2, help="restarts of each server with the large tree (default 2)")
    p.add_argument("--kills", type=int, default=9, help="leaders of each ensemble that are killed (default 9)")
    p.add_argument("--missed", type=int, default=100_000, help="writes that a follower misses (default 100,000)")
    p.add_argument("--catch-ups", type=int, default=3, help="how often one does in each ensemble (default 3)")
    p.add_argument(
        "--transfer-seconds", type=float, default=25.0, help="load while a follower gets the large tree (default 25)"
    )
    p.add_argument(
        "--heap", default="1g", help="Java's -Xmx, or default for Java's choice; Apache's own script gives about 1g"
    )
    p.add_argument("--control", action="store_true", help="Apache beside itself: every ratio should be near 1")
    p.add_argument("--quick", action="store_true", help="everything once and small: does it run at all?")
    p.add_argument("--work", type=Path, default=ROOT / "build", help="data goes below this directory (default build/)")
    p.add_argument(
        "--out",
        type=Path,
        help="where results go (default bench/results/, or build/bench/ for settings other than the defaults)",
    )
    p.add_argument("--report", type=Path, metavar="JSON", help="measure nothing, write table and plot of these results")
    p.add_argument("--readme", action="store_true", help="measure nothing, put the newest results into README.md")
    return p


def settings_of(given: argparse.Namespace) -> dict[str, str]:
    """What the figures depend on, as it is saved with them."""
    return {key: str(value) for key, value in vars(given).items() if key not in PLACES}


def directory_of(given: argparse.Namespace) -> Path:
    """Where results go."""
    out: Path | None = given.out
    if out is None:
        out = RESULTS if settings_of(given) == settings_of(parser().parse_args([])) else EXPERIMENTS
    return out


def main() -> int:
    """Run; 0, or 1 with the reason on standard error. SIGTERM ends it as Ctrl-C does: no server goes on."""
    given = parser().parse_args()
    servers.exit_on_sigterm()
    try:
        if given.readme:
            renew(ROOT / "README.md", given.out or RESULTS)
        elif given.report:
            publish(results.read(given.report), given.out or given.report.parent)
        else:
            given.out = directory_of(given)
            measure(given)
    except FAILURES as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def renew(readme: Path, directory: Path) -> None:
    """Put the newest results into a README. ValueError if they are of an experiment."""
    defaults = settings_of(parser().parse_args([]))
    paths = [results.newest(directory, part) for part in rows.PARTS]
    found = [results.read(path) for path in paths]
    for path, one in zip(paths, found, strict=True):
        others = {key for part, keys in ONLY_FOR.items() if part != one.part for key in keys}
        if any(one.settings.get(key) != value for key, value in defaults.items() if key not in others):
            raise ValueError(f"{path} was not measured with the default settings; `make bench` does so")
    report.rewrite_readme(readme, found, "bench/results")


def publish(found: results.Results, out: Path) -> None:
    """Write the tables and the plot of a part."""
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{found.part}.md").write_text(report.tables(found))
    plot.draw(found, out / report.PLOTS[found.part])


def measure(given: argparse.Namespace) -> None:
    """Measure all that was asked for."""
    if given.quick:
        given.seconds, given.repeats, given.restarts, given.snapshot_seconds = 0.5, 1, 1, 3.0
        given.kills, given.catch_ups, given.transfer_seconds = 2, 1, 8.0
        given.nodes, given.missed = min(given.nodes, 20_000), min(given.missed, 2_000)
    theirs = servers.apache(given.heap)
    ours = Contestant("Apache again", theirs.command) if given.control else servers.zoopark()
    given.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=given.work) as scratch:
        work = Path(scratch)
        arena = Arena(build(work), work, (theirs, ours), given.rows, lambda line: print(line, flush=True))
        for part in [given.only] if given.only else rows.PARTS:
            measure_part(part, arena, given)


def measure_part(part: str, arena: Arena, given: argparse.Namespace) -> None:
    """Measure a part; its results are saved after each half of it, so an interrupted run leaves what it had."""
    compared = alone if part == rows.ALONE else together
    theirs, ours = (results.Side(contestant.name, "") for contestant in arena.contestants)
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    found = results.Results(part, date, machine.describe(arena.work), settings_of(given), theirs, ours)
    if not given.only_memory and rows.rows_named(part, given.rows):
        compared.compare_rows(arena, found)
        results.save(found, results.path_of(given.out, part, date))
    if not given.skip_memory:
        compared.compare_large(arena, found)
        results.save(found, results.path_of(given.out, part, date))
    publish(found, given.out)
    print(f"\n{report.tables(found)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
