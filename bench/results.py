"""A run's results as they are kept: raw numbers, from which every table and plot is made again."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.large import Large, Snapshots
from bench.learners import CatchUp, Transfer
from bench.load import Measured, Runs
from bench.machine import Machine


@dataclass(slots=True)
class Together:
    """An ensemble after the rows: the memory of its members at rest, and each fail-over."""

    resting_mb: float
    failovers_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Lagging:
    """An ensemble with the large tree, and its followers that come back.

    Args:
        nodes, missed: size of the tree, and of what a follower missed.
        load_s, loaded_mb: to create the tree, and the memory of all members at rest afterwards.
    """

    nodes: int
    missed: int
    load_s: float
    loaded_mb: float
    catch_ups: list[CatchUp]
    transfer: Transfer


@dataclass(slots=True)
class Side:
    """All that was measured on one server, or on one ensemble."""

    name: str
    version: str
    runs: Runs = field(default_factory=dict)
    large: Large | None = None
    together: Together | None = None
    lagging: Lagging | None = None

    def ops(self, row: str) -> float:
        """The median throughput of a row over its repetitions."""
        return median(one.ops_s for one in self.runs[row])

    def p99_ms(self, row: str) -> float:
        """The median over a row's repetitions of their 99th percentiles."""
        return median(one.p99_us for one in self.runs[row]) / 1000


@dataclass(slots=True)
class Results:
    """One run of a part; `theirs` is Apache ZooKeeper, `ours` zoopark (or, in a control run, Apache again).

    Args:
        part: ALONE or ENSEMBLE.
        date: of the run, ISO 8601.
        settings: the options that it was started with.
    """

    part: str
    date: str
    machine: Machine
    settings: dict[str, str]
    theirs: Side
    ours: Side

    @property
    def sides(self) -> tuple[Side, Side]:
        return (self.theirs, self.ours)

    def row_names(self) -> list[str]:
        """The rows that both sides have, in the order in which they ran."""
        return [name for name, runs in self.ours.runs.items() if runs and self.theirs.runs.get(name)]

    def ratio(self, row: str) -> float:
        """Throughput, ours to theirs: the ratio of the two medians."""
        return self.ours.ops(row) / self.theirs.ops(row)

    def spread(self, row: str) -> tuple[float, float]:
        """The lowest and the highest ratio of a pair of neighbouring runs."""
        pairs = zip(self.ours.runs[row], self.theirs.runs[row], strict=True)
        ratios = [ours.ops_s / theirs.ops_s for ours, theirs in pairs]
        return min(ratios), max(ratios)

    def other_cores(self) -> tuple[float, float]:
        """The median and the highest use of processors by neither server nor load generator."""
        runs = [one.other_cores for side in self.sides for row in side.runs.values() for one in row]
        return (median(runs), max(runs)) if runs else (0.0, 0.0)


def path_of(directory: Path, part: str, date: str) -> Path:
    """Where the results of a part are kept."""
    return directory / f"{date}-{part}.json"


def newest(directory: Path, part: str) -> Path:
    """The results of a part with the latest date. FileNotFoundError if there are none."""
    found = sorted(directory.glob(f"*-{part}.json"))
    if not found:
        raise FileNotFoundError(f"there are no results of {part!r} in {directory}; `make bench` makes some")
    return found[-1]


def save(results: Results, path: Path) -> None:
    """Write results as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(results), indent=1) + "\n")


def read(path: Path) -> Results:
    """Read what `save` wrote."""
    raw = json.loads(path.read_text())
    theirs, ours = (_side(raw[key]) for key in ("theirs", "ours"))
    return Results(raw["part"], raw["date"], Machine(**raw["machine"]), raw["settings"], theirs, ours)


def _side(raw: dict[str, Any]) -> Side:
    runs = {row: [Measured(**one) for one in each] for row, each in raw["runs"].items()}
    large = raw["large"] and {**raw["large"], **{key: Snapshots(**raw["large"][key]) for key in ("hot", "spread")}}
    together, lagging = raw["together"], raw["lagging"]
    return Side(
        raw["name"],
        raw["version"],
        runs,
        Large(**large) if large else None,
        Together(**together) if together else None,
        _lagging(lagging) if lagging else None,
    )


def _lagging(raw: dict[str, Any]) -> Lagging:
    catch_ups = [CatchUp(**one) for one in raw["catch_ups"]]
    return Lagging(**{**raw, "catch_ups": catch_ups, "transfer": Transfer(**raw["transfer"])})
