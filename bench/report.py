"""Results as Markdown: what was reached, row by row, beside what was to be reached; misses are shown like hits."""

from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Final

from bench.large import Large
from bench.learners import CatchUp, Transfer
from bench.results import Lagging, Results, Side
from bench.rows import (
    ALONE,
    CATCH_UP_LIMIT_S,
    ENSEMBLE,
    ENSEMBLE_MEMORY_TARGET,
    FAILOVER_LIMIT_MS,
    MEMORY_TARGET,
    P99_TARGET,
    RESTART_TARGET,
    SNAPSHOT_LIMIT_MS,
    targets,
)

START: Final = "<!-- bench:start -->"
END: Final = "<!-- bench:end -->"
HEADINGS: Final = {ALONE: "### One server", ENSEMBLE: "### Ensembles of three"}
_SIDES: Final = {
    ALONE: "both servers warm, on one disk, under load in turn",
    ENSEMBLE: "all members of both kinds up and warm, on one machine and one disk, the kinds under load in turn, the "
    "connections spread evenly over the three members, tickTime 2000, initLimit 10, syncLimit 5",
}
PLOTS: Final = {ALONE: "plot.png", ENSEMBLE: "ensemble.png"}


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
    found, aims = [], targets(results.part)
    for name in results.row_names():
        target, ratio, (low, high) = aims.get(name), results.ratio(name), results.spread(name)
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
    """99th percentiles in milliseconds, lower is better; for ensembles nothing was set."""
    found, target = [], P99_TARGET if results.part == ALONE else None
    for name in results.row_names():
        theirs, ours = results.theirs.p99_ms(name), results.ours.p99_ms(name)
        found.append(_lower(name, (theirs, ours), "{:.2f}", target))
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


def together_verdicts(results: Results) -> list[Verdict]:
    """Memory and fail-over of ensembles; nothing if that part was skipped."""
    theirs, ours = results.theirs.together, results.ours.together
    if theirs is None or ours is None:
        return []
    pair = (theirs, ours)
    found = [
        _lower("memory of three, at rest, MB", [one.resting_mb for one in pair], "{:,.0f}", ENSEMBLE_MEMORY_TARGET)
    ]
    if all(one.failovers_ms for one in pair):
        medians, worst = ([f(one.failovers_ms) for one in pair] for f in (median, max))
        found.append(_within("leader killed to first write, median, ms", medians, "{:,.0f}", FAILOVER_LIMIT_MS))
        found.append(_lower("leader killed to first write, slowest, ms", worst, "{:,.0f}", None))
    return found


def lagging_verdicts(results: Results) -> list[Verdict]:
    """The large tree in ensembles, and followers that come back to it; nothing if that part was skipped."""
    theirs, ours = results.theirs.lagging, results.ours.lagging
    if theirs is None or ours is None:
        return []
    pair = (theirs, ours)
    sent = [one.transfer for one in pair]
    return [
        _lower("load, s", [one.load_s for one in pair], "{:.1f}", None),
        _lower("memory of three, loaded, at rest, MB", [one.loaded_mb for one in pair], "{:,.0f}", None),
        *_catch_up_verdicts(theirs, ours),
        _lower("a follower without data serves, s", [one.served_s for one in sent], "{:.1f}", None),
        _others_verdict(*sent),
        _lower("slowest of others meanwhile, ms", [one.max_us / 1000 for one in sent], "{:.1f}", None),
        _lower("p99.9 of others before, ms", [one.before_p999_us / 1000 for one in sent], "{:.1f}", None),
    ]


def tables(results: Results) -> str:
    """The whole report of a part: its tables, the machine, and how the numbers came about."""
    head, parts = ["row", results.theirs.name, results.ours.name, "ratio", "target", "met"], []
    if results.row_names():
        parts += [
            f"Throughput, requests a second; ratio of medians, in brackets that of single pairs ({_repeats(results)}):",
            _markdown(head, throughput_verdicts(results)),
            "p99 latency of the same runs, milliseconds:",
            _markdown(head, latency_verdicts(results)),
        ]
    for title, verdicts in (
        (f"A tree of {_nodes(results)} znodes of 100 bytes:", large_verdicts(results)),
        (
            f"After these runs, and with the leader killed by `kill -9` {_kills(results)} times:",
            together_verdicts(results),
        ),
        (_lagging_title(results), lagging_verdicts(results)),
    ):
        parts += [title, _markdown(["", *head[1:]], verdicts)] if verdicts else []
    return "\n\n".join([*parts, _how(results)]) + "\n"


def rewrite_readme(readme: Path, parts: list[Results], plots: str) -> None:
    """Replace what stands between the two marks in a README by the tables of each part and its plot.

    `plots` is the directory of the plots as seen from the README. ValueError if it does not have both marks, once and
    in order.
    """
    text = readme.read_text()
    if text.count(START) != 1 or text.count(END) != 1 or text.index(START) > text.index(END):
        raise ValueError(f"{readme} needs {START} and, below it, {END}, once each")
    head, tail = text.partition(START)[0], text.partition(END)[2]
    told = [
        f"{HEADINGS[one.part]}\n\n![zoopark beside Apache ZooKeeper]({plots}/{PLOTS[one.part]})\n\n{tables(one)}"
        for one in parts
    ]
    readme.write_text("\n".join([f"{head}{START}\n", *told, f"{END}{tail}"]))


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


def _within(what: str, pair: list[float], form: str, limit: float) -> Verdict:
    """As `_lower`, with a limit that has a unit: it is ours that must keep it."""
    compared, unit = _lower(what, pair, form, None), what.rpartition(" ")[2]
    return replace(compared, target=f"≤ {limit:g} {unit}", is_met=pair[1] <= limit)


def _catch_up_verdicts(theirs: Lagging, ours: Lagging) -> list[Verdict]:
    """The time from joining must be short without the whole tree being sent."""
    pair = (theirs.catch_ups, ours.catch_ups)
    if not all(pair):
        return []
    what = f"{ours.missed:,} missed writes"
    joined = [median(one.joined_s for one in each) for each in pair]
    total = [median(one.recovery_s + one.joined_s for one in each) for each in pair]
    timed = _within(f"{what} caught up, from joining, s", joined, "{:.2f}", CATCH_UP_LIMIT_S)
    them, us = (f"{seconds:.2f} ({_way(each)})" for seconds, each in zip(joined, pair, strict=True))
    is_met = timed.is_met and not any(one.is_by_snapshot for one in ours.catch_ups)
    return [
        replace(timed, theirs=them, ours=us, is_met=is_met),
        _lower(f"{what} caught up, from the start of the process, s", total, "{:.2f}", None),
    ]


def _others_verdict(theirs: Transfer, ours: Transfer) -> Verdict:
    """What was measured only at the beginning, as the load was too short, meets nothing."""
    pair = (theirs, ours)
    timed = _within("p99.9 of others meanwhile, ms", [one.p999_us / 1000 for one in pair], "{:.1f}", SNAPSHOT_LIMIT_MS)
    them, us = (
        text if one.is_covered else f"{text} (in part)"
        for text, one in zip((timed.theirs, timed.ours), pair, strict=True)
    )
    return replace(timed, theirs=them, ours=us, is_met=timed.is_met and ours.is_covered)


def _way(catch_ups: list[CatchUp]) -> str:
    return "/".join(sorted({"SNAP" if one.is_by_snapshot else "DIFF" for one in catch_ups}))


def _markdown(head: list[str], verdicts: list[Verdict]) -> str:
    word = {True: "yes", False: "**no**", None: ""}
    lines = [head, ["---", "---:", "---:", "---:", "---", "---"]]
    lines += [[v.what, v.theirs, v.ours, v.ratio, v.target, word[v.is_met]] for v in verdicts]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _nodes(results: Results) -> str:
    sized = results.ours.large or results.ours.lagging
    return f"{sized.nodes:,}" if sized else ""


def _kills(results: Results) -> int:
    return len(results.ours.together.failovers_ms) if results.ours.together else 0


def _lagging_title(results: Results) -> str:
    return (
        f"A tree of {_nodes(results)} znodes, and a follower that comes back: having been stopped during "
        f"writes of 100 bytes, and without any data, while others send a mixed load (50x1) to the other two:"
    )


def _repeats(results: Results) -> str:
    count = max((len(runs) for runs in results.ours.runs.values()), default=0)
    return f"{count} runs of {results.settings.get('seconds', '?')} s"


def _how(results: Results) -> str:
    middle, most = results.other_cores()
    noise = f" Other programs used {middle:.2f} cores meanwhile (at most {most:.2f})." if results.row_names() else ""
    restarts = (
        " A member that was killed is started again before the next one is, so that most of those that take over are "
        "freshly started: Apache's in a cold JVM."
        if _kills(results)
        else ""
    )
    return (
        f"Measured {results.date} by `make bench` on {results.machine.sentence()}. Values of 100 bytes, 1,000 nodes, "
        f"fsync on, {_SIDES[results.part]}; AxB is A connections with B requests in flight "
        f"each; mixed is 90 % get and 10 % set. {_side(results.theirs)} with -Xmx{results.settings.get('heap', '?')}, "
        f"{_side(results.ours)}.{noise}{restarts}"
    )


def _side(side: Side) -> str:
    return f"{side.name} (srvr: {side.version})"
