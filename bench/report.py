"""Results as Markdown: what was reached, row by row, beside what was to be reached; misses are shown like hits."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from bench.large import Large
from bench.results import Results, Side
from bench.rows import MEMORY_TARGET, P99_TARGET, RESTART_TARGET, ROWS, SNAPSHOT_LIMIT_MS

START: Final = "<!-- bench:start -->"
END: Final = "<!-- bench:end -->"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One figure of both servers, what was to be reached in words, and whether it was; None where nothing was set."""

    what: str
    theirs: str
    ours: str
    ratio: str
    target: str
    is_met: bool | None


def throughput_verdicts(results: Results) -> list[Verdict]:
    """Operations a second, higher is better."""
    targets = {row.name: row.target for row in ROWS}
    found = []
    for name in results.row_names():
        target, ratio, (low, high) = targets.get(name), results.ratio(name), results.spread(name)
        found.append(
            Verdict(
                what=name,
                theirs=f"{results.theirs.ops(name):,.0f}",
                ours=f"{results.ours.ops(name):,.0f}",
                ratio=f"{ratio:.2f}x ({low:.2f} to {high:.2f})",
                target=f"≥ {target:g}x" if target else "",
                is_met=ratio >= target if target else None,
            )
        )
    return found


def latency_verdicts(results: Results) -> list[Verdict]:
    """99th percentiles in milliseconds, lower is better."""
    found = []
    for name in results.row_names():
        theirs, ours = results.theirs.p99_ms(name), results.ours.p99_ms(name)
        found.append(_lower(name, (theirs, ours), "{:.2f}", P99_TARGET))
    return found


def large_verdicts(results: Results) -> list[Verdict]:
    """Memory, snapshots and restart with the large tree; nothing if that part was skipped."""
    theirs, ours = results.theirs.large, results.ours.large
    if theirs is None or ours is None:
        return []
    pair = (theirs, ours)
    return [
        _lower("load, s", [one.load_seconds for one in pair], "{:.1f}", None),
        _lower("memory after loading, peak, MB", [one.loaded_peak_mb for one in pair], "{:,.0f}", MEMORY_TARGET),
        _lower("memory after loading, at rest, MB", [one.loaded_mb for one in pair], "{:,.0f}", MEMORY_TARGET),
        *_snapshot_verdicts(theirs, ours),
        _lower("memory under load with snapshots, peak, MB", [one.busy_peak_mb for one in pair], "{:,.0f}", None),
        _lower("restart, s", [median(one.restart_seconds) for one in pair], "{:.2f}", RESTART_TARGET),
        _lower("memory after a restart, peak, MB", [max(one.restarted_peak_mb) for one in pair], "{:,.0f}", None),
        _lower(
            "memory after a restart, at rest, MB", [median(one.restarted_mb) for one in pair], "{:,.0f}", MEMORY_TARGET
        ),
    ]


def table(results: Results) -> str:
    """The whole report: three tables, the machine, and how the numbers came about."""
    theirs, ours = results.theirs.name, results.ours.name
    head, parts = ["row", theirs, ours, "ratio", "target", "met"], []
    if results.row_names():
        parts += [
            f"Throughput, requests a second; ratio of medians, in brackets that of single pairs ({_repeats(results)}):",
            _markdown(head, throughput_verdicts(results)),
            "p99 latency of the same runs, milliseconds:",
            _markdown(head, latency_verdicts(results)),
        ]
    large = large_verdicts(results)
    if large:
        nodes = results.ours.large.nodes if results.ours.large else 0
        parts += [
            f"A tree of {nodes:,} znodes of 100 bytes:",
            _markdown(["", *head[1:]], large),
        ]
    return "\n\n".join([*parts, _how(results)]) + "\n"


def rewrite_readme(readme: Path, results: Results, plot: str) -> None:
    """Replace what stands between the two marks in a README. ValueError if it does not have both, once and in order."""
    text = readme.read_text()
    if text.count(START) != 1 or text.count(END) != 1 or text.index(START) > text.index(END):
        raise ValueError(f"{readme} needs {START} and, below it, {END}, once each")
    head, tail = text.partition(START)[0], text.partition(END)[2]
    picture = f"![zoopark beside Apache ZooKeeper]({plot})"
    readme.write_text(f"{head}{START}\n\n{picture}\n\n{table(results)}\n{END}{tail}")


def _snapshot_verdicts(theirs: Large, ours: Large) -> list[Verdict]:
    found = []
    for what, a, b in (("1,000 nodes hit", theirs.hot, ours.hot), ("all nodes hit", theirs.spread, ours.spread)):
        them, us = a.during_p999_us / 1000, b.during_p999_us / 1000
        found.append(
            Verdict(
                what=f"p99.9 while a snapshot is written, {what}, ms",
                theirs=f"{them:.1f}" if a.windows_s else "no snapshot",
                ours=f"{us:.1f}" if b.windows_s else "no snapshot",
                ratio=f"{us / them:.2f}x" if a.windows_s and b.windows_s else "",
                target=f"≤ {SNAPSHOT_LIMIT_MS:g} ms",
                is_met=us <= SNAPSHOT_LIMIT_MS if b.windows_s else None,
            )
        )
    return found


def _lower(what: str, pair: tuple[float, float] | list[float], form: str, target: float | None) -> Verdict:
    theirs, ours = pair
    ratio = ours / theirs
    limit = f"≤ {target:g}x" if target else ""
    return Verdict(
        what, form.format(theirs), form.format(ours), f"{ratio:.2f}x", limit, ratio <= target if target else None
    )


def _markdown(head: list[str], verdicts: list[Verdict]) -> str:
    word = {True: "yes", False: "**no**", None: ""}
    lines = [head, ["---", "---:", "---:", "---:", "---", "---"]]
    lines += [[v.what, v.theirs, v.ours, v.ratio, v.target, word[v.is_met]] for v in verdicts]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _repeats(results: Results) -> str:
    count = max((len(runs) for runs in results.ours.runs.values()), default=0)
    return f"{count} runs of {results.settings.get('seconds', '?')} s"


def _how(results: Results) -> str:
    middle, most = results.other_cores()
    noise = f" Other programs used {middle:.2f} cores meanwhile (at most {most:.2f})." if results.row_names() else ""
    return (
        f"Measured {results.date} by `make bench` on {results.machine.sentence()}. Values of 100 bytes, 1,000 nodes, "
        "fsync on, both servers warm, on one disk, under load in turn; AxB is A connections with B requests in flight "
        f"each; mixed is 90 % get and 10 % set. {_side(results.theirs)} with -Xmx{results.settings.get('heap', '?')}, "
        f"{_side(results.ours)}.{noise}"
    )


def _side(side: Side) -> str:
    return f"{side.name} (srvr: {side.version})"
