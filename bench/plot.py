"""Results of a part as one picture: throughput ratios, p99 of both sides, and what is no rate."""

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from bench.results import Results
from bench.rows import (
    CATCH_UP_LIMIT_S,
    ENSEMBLE_MEMORY_TARGET,
    FAILOVER_LIMIT_MS,
    MEMORY_TARGET,
    RESTART_TARGET,
    SNAPSHOT_LIMIT_MS,
    targets,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS: Final = "#2a6f97"
THEIRS: Final = "#b0721e"
MISSED: Final = "#b23a48"
NEUTRAL: Final = "#8d99a6"
_Figure = tuple[str, float, float, float, str]
"""Its name, theirs, ours, the target as a ratio, and the form of both."""


def draw(results: Results, path: Path) -> None:
    """Write the picture as PNG. Needs matplotlib, which the extra `bench` brings."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figures = [*_large_figures(results), *_ensemble_figures(results)]
    heights = [max(len(results.row_names()), 1), 1 + len(figures)] if figures else [1]
    figure = pyplot.figure(figsize=(11, 7.6 if figures else 5.2), layout="constrained")
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
    _draw_ratios(figure.add_subplot(grid[0, 0]), results)
    _draw_latency(figure.add_subplot(grid[0, 1]), results)
    if figures:
        _draw_figures(figure.add_subplot(grid[1, :]), figures[::-1])
    figure.suptitle(f"{results.ours.name} beside {results.theirs.name}, {results.date}", fontsize=13, fontweight="bold")
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _draw_ratios(axes: "Axes", results: Results) -> None:
    names = results.row_names()[::-1]
    aims = targets(results.part)
    for y, name in enumerate(names):
        ratio, (low, high), target = results.ratio(name), results.spread(name), aims.get(name)
        axes.barh(y, ratio, height=0.62, color=_colour(None if target is None else ratio >= target))
        axes.plot([low, high], [y, y], color="black", linewidth=1.2, marker="|", markersize=7)
        _figure(axes, y, f"{ratio:.2f}x")
        if target:
            axes.plot([target, target], [y - 0.42, y + 0.42], color="black", linewidth=2.2, linestyle=":")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlim(0, 1.2 * max([2.0, *(results.spread(name)[1] for name in names)]))
    note = "blue: target met, red: missed, grey: none set; dotted: target; whiskers: spread"
    _finish(axes, "Throughput, times Apache's (more is better)", note)


def _draw_latency(axes: "Axes", results: Results) -> None:
    names = results.row_names()[::-1]
    for y, name in enumerate(names):
        theirs, ours = results.theirs.p99_ms(name), results.ours.p99_ms(name)
        axes.plot([theirs, ours], [y, y], color=NEUTRAL, linewidth=2, zorder=1)
        axes.scatter(theirs, y, color=THEIRS, s=46, zorder=2, label=results.theirs.name if y == 0 else None)
        axes.scatter(ours, y, color=OURS, s=46, zorder=3, marker="D", label=results.ours.name if y == 0 else None)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yticks(range(len(names)), names)
    if names:
        axes.legend(loc="lower left", fontsize=9)
    _finish(axes, "p99, ms, log scale (less is better)", "")


def _draw_figures(axes: "Axes", figures: list[_Figure]) -> None:
    for y, (_, theirs, ours, target, form) in enumerate(figures):
        ratio = ours / theirs
        axes.barh(y, ratio, height=0.6, color=_colour(ratio <= target))
        axes.plot([target, target], [y - 0.42, y + 0.42], color="black", linewidth=2.2, linestyle=":")
        _figure(axes, y, f"{ratio:.2f}x  ({form.format(ours)} to {form.format(theirs)})")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(figures)), [figure[0] for figure in figures])
    axes.set_xlim(0, 1.35 * max(1.0, *(ours / theirs for _, theirs, ours, _, _ in figures)))
    _finish(axes, "Times Apache's (less is better)", "")


def _figure(axes: "Axes", y: int, text: str) -> None:
    """Words at the right edge of a bar's line, clear of bars, whiskers and targets."""
    axes.text(0.995, y, text, transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=9)


def _ensemble_figures(results: Results) -> list[_Figure]:
    found: list[_Figure] = []
    theirs, ours = results.theirs.together, results.ours.together
    if theirs and ours:
        found.append(
            ("memory of three", theirs.resting_mb, ours.resting_mb, ENSEMBLE_MEMORY_TARGET, "{:,.0f} MB"),
        )
    if theirs and ours and theirs.failovers_ms and ours.failovers_ms:
        them, us = median(theirs.failovers_ms), median(ours.failovers_ms)
        found.append(("leader killed to first write", them, us, FAILOVER_LIMIT_MS / them, "{:,.0f} ms"))
    return [*found, *_lagging_figures(results)]


def _lagging_figures(results: Results) -> list[_Figure]:
    theirs, ours = results.theirs.lagging, results.ours.lagging
    if theirs is None or ours is None:
        return []
    found: list[_Figure] = []
    if theirs.catch_ups and ours.catch_ups:
        them, us = (median(one.joined_s for one in side.catch_ups) for side in (theirs, ours))
        limit_s = 0 if any(one.is_by_snapshot for one in ours.catch_ups) else CATCH_UP_LIMIT_S
        found.append((f"{ours.missed:,} missed writes, from joining", them, us, limit_s / them, "{:.2f} s"))
    them, us = (side.transfer.p999_us / 1000 for side in (theirs, ours))
    what = f"p99.9 of others, {ours.nodes:,} znodes sent"
    return [*found, (what, them, us, SNAPSHOT_LIMIT_MS / them, "{:.1f} ms")]


def _large_figures(results: Results) -> list[_Figure]:
    theirs, ours = results.theirs.large, results.ours.large
    if theirs is None or ours is None:
        return []
    nodes = f"{ours.nodes:,} znodes"
    found: list[_Figure] = [
        (f"{nodes}, peak while loading", theirs.loaded_peak_mb, ours.loaded_peak_mb, MEMORY_TARGET, "{:,.0f} MB"),
        (f"{nodes}, loaded", theirs.loaded_mb, ours.loaded_mb, MEMORY_TARGET, "{:,.0f} MB"),
    ]
    if ours.restart_seconds and theirs.restart_seconds:
        found.append(("restart", theirs.restart_median_s, ours.restart_median_s, RESTART_TARGET, "{:.1f} s"))
    return found


def _colour(is_met: bool | None) -> str:
    return {True: OURS, False: MISSED, None: NEUTRAL}[is_met]


def _finish(axes: "Axes", title: str, note: str) -> None:
    axes.set_title(title, fontsize=10.5, loc="left")
    axes.set_xlabel(note, fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
