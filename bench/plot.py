"""Results as one picture: throughput ratios, p99 of both servers, and what the large tree takes."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.results import Results
from bench.rows import MEMORY_TARGET, RESTART_TARGET, ROWS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS: Final = "#2a6f97"
THEIRS: Final = "#b0721e"
MISSED: Final = "#b23a48"
NEUTRAL: Final = "#8d99a6"


def draw(results: Results, path: Path) -> None:
    """Write the picture as PNG. Needs matplotlib, which the extra `bench` brings."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    has_large = bool(_large_ratios(results))
    heights = [max(len(results.row_names()), 1), 4] if has_large else [1]
    figure = pyplot.figure(figsize=(11, 7.6 if has_large else 5.2), layout="constrained")
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
    _draw_ratios(figure.add_subplot(grid[0, 0]), results)
    _draw_latency(figure.add_subplot(grid[0, 1]), results)
    if has_large:
        _draw_large(figure.add_subplot(grid[1, :]), results)
    figure.suptitle(f"{results.ours.name} beside {results.theirs.name}, {results.date}", fontsize=13, fontweight="bold")
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _draw_ratios(axes: "Axes", results: Results) -> None:
    names = results.row_names()[::-1]
    targets = {row.name: row.target for row in ROWS}
    for y, name in enumerate(names):
        ratio, (low, high), target = results.ratio(name), results.spread(name), targets.get(name)
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
    _finish(axes, "p99 latency, milliseconds, log scale (less is better)", "")


def _draw_large(axes: "Axes", results: Results) -> None:
    figures = _large_ratios(results)[::-1]
    for y, (_, theirs, ours, target, form) in enumerate(figures):
        ratio = ours / theirs
        axes.barh(y, ratio, height=0.6, color=_colour(ratio <= target))
        axes.plot([target, target], [y - 0.42, y + 0.42], color="black", linewidth=2.2, linestyle=":")
        _figure(axes, y, f"{ratio:.2f}x  ({form.format(ours)} to {form.format(theirs)})")
    nodes = results.ours.large.nodes if results.ours.large else 0
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(figures)), [figure[0] for figure in figures])
    axes.set_xlim(0, 1.35 * max(1.0, *(ours / theirs for _, theirs, ours, _, _ in figures)))
    _finish(axes, f"{nodes:,} znodes, times Apache's (less is better)", "")


def _figure(axes: "Axes", y: int, text: str) -> None:
    """Words at the right edge of a bar's line, clear of bars, whiskers and targets."""
    axes.text(0.995, y, text, transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=9)


def _large_ratios(results: Results) -> list[tuple[str, float, float, float, str]]:
    theirs, ours = results.theirs.large, results.ours.large
    if theirs is None or ours is None:
        return []
    found = [
        ("memory, peak while loading", theirs.loaded_peak_mb, ours.loaded_peak_mb, MEMORY_TARGET, "{:,.0f} MB"),
        ("memory, loaded", theirs.loaded_mb, ours.loaded_mb, MEMORY_TARGET, "{:,.0f} MB"),
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
