"""`python -m bench`: run the comparison, write its tables and plot; `--readme` only renews the block in README.md."""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench import large, machine, plot, report, results, rows, servers, throughput
from bench.load import LoadFailedError, build
from bench.servers import Contestant, Running
from tests.compat.oracle import OracleMissingError

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent
RESULTS: Final = HERE / "results"
PLOT: Final = "plot.png"


def parser() -> argparse.ArgumentParser:
    """The options."""
    p = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    p.add_argument("--seconds", type=float, default=5.0, help="measured time of each run (default 5)")
    p.add_argument("--repeats", type=int, default=5, help="runs of each row on each server (default 5)")
    p.add_argument(
        "--rows", nargs="*", default=[], metavar="NAME", help='only rows that start so, such as "get" "set 1x1"'
    )
    p.add_argument("--skip-memory", action="store_true", help="leave out the large tree")
    p.add_argument("--only-memory", action="store_true", help="leave out the rows")
    p.add_argument("--nodes", type=int, default=1_100_000, help="size of the large tree (default 1,100,000)")
    p.add_argument("--snapshot-seconds", type=float, default=20.0, help="mixed load on the large tree (default 20)")
    p.add_argument("--restarts", type=int, default=3, help="restarts of each server with the large tree (default 3)")
    p.add_argument(
        "--heap", default="1g", help="Java's -Xmx, or default for Java's choice; Apache's own script gives about 1g"
    )
    p.add_argument("--control", action="store_true", help="Apache beside itself: every ratio should be near 1")
    p.add_argument("--quick", action="store_true", help="everything once and small: does it run at all?")
    p.add_argument("--work", type=Path, default=ROOT / "build", help="data goes below this directory (default build/)")
    p.add_argument("--out", type=Path, default=RESULTS, help="where results go (default bench/results/)")
    p.add_argument("--report", type=Path, metavar="JSON", help="measure nothing, write table and plot of these results")
    p.add_argument("--readme", action="store_true", help="measure nothing, put the newest results into README.md")
    return p


def main() -> int:
    """Run; 0, or 1 with the reason on standard error."""
    given = parser().parse_args()
    try:
        if given.readme:
            report.rewrite_readme(ROOT / "README.md", results.read(newest(given.out)), f"bench/results/{PLOT}")
        elif given.report:
            publish(results.read(given.report), given.out)
        else:
            measure(given)
    except (OracleMissingError, LoadFailedError, servers.ServerFailedError, ValueError, FileNotFoundError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def newest(directory: Path) -> Path:
    """The results of the latest date. FileNotFoundError if there are none."""
    found = sorted(directory.glob("*.json"))
    if not found:
        raise FileNotFoundError(f"there are no results in {directory}; `make bench` makes some")
    return found[-1]


def publish(found: results.Results, out: Path) -> None:
    """Write the table and the plot."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "table.md").write_text(report.table(found))
    plot.draw(found, out / PLOT)


def measure(given: argparse.Namespace) -> None:
    """Measure all that was asked for; results are saved after each part, so an interrupted run leaves what it had."""
    if given.quick:
        given.seconds, given.repeats, given.restarts, given.snapshot_seconds = 0.5, 1, 1, 3.0
        given.nodes = min(given.nodes, 20_000)
    chosen = [] if given.only_memory else rows.rows_named(given.rows)
    theirs = servers.apache(given.heap)
    ours = Contestant("Apache again", theirs.command) if given.control else servers.zoopark()
    given.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=given.work) as scratch:
        work = Path(scratch)
        program = build(work)
        settings = {
            key: str(value) for key, value in vars(given).items() if key not in {"work", "out", "report", "readme"}
        }
        sides = (results.Side(theirs.name, ""), results.Side(ours.name, ""))
        date = datetime.now(UTC).strftime("%Y-%m-%d")
        found = results.Results(date, machine.describe(work), settings, *sides)
        saved = given.out / f"{date}.json"
        if chosen:
            compare_rows(program, work, (theirs, ours), chosen, found)
            results.save(found, saved)
        if not given.skip_memory:
            compare_large(program, work, (theirs, ours), found)
            results.save(found, saved)
    publish(found, given.out)
    print(f"\n{report.table(found)}")


def compare_rows(
    program: Path,
    work: Path,
    contestants: tuple[Contestant, Contestant],
    chosen: list[rows.Row],
    found: results.Results,
) -> None:
    """Both servers up, warm, and loaded in turn."""
    seconds, repeats = float(found.settings["seconds"]), int(found.settings["repeats"])
    with ExitStack() as stack:
        running = []
        for i, contestant in enumerate(contestants):
            server = Running(contestant, work / f"rows-{i}")
            stack.callback(server.stop)
            running.append(server)
        for side, server in zip((found.theirs, found.ours), running, strict=True):
            side.version = server.version
            throughput.warm_up(program, server, chosen, min(seconds, throughput.WARM_UP_SECONDS))
        both = throughput.alternate(program, running, chosen, repeats, seconds, tell)
        found.theirs.runs, found.ours.runs = both
    for i in range(len(contestants)):
        large.discard(work / f"rows-{i}")


def compare_large(
    program: Path, work: Path, contestants: tuple[Contestant, Contestant], found: results.Results
) -> None:
    """One server after the other with the large tree, then their restarts in turn."""
    nodes, seconds = int(found.settings["nodes"]), float(found.settings["snapshot_seconds"])
    sides = (found.theirs, found.ours)
    for i, (side, contestant) in enumerate(zip(sides, contestants, strict=True)):
        side.large = large.measure(program, contestant, work / f"large-{i}", nodes, seconds, tell)
        side.version = side.large.version
    for _ in range(int(found.settings["restarts"])):
        for i, (side, contestant) in enumerate(zip(sides, contestants, strict=True)):
            if side.large is not None:
                large.restart(contestant, work / f"large-{i}", side.large, tell)


def tell(line: str) -> None:
    """Say how it goes, at once."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
