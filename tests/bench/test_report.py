"""The tables: what they say of a hit, of a miss, and of what was not measured."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.learners import CatchUp
from bench.report import (
    END,
    START,
    lagging_verdicts,
    large_verdicts,
    latency_verdicts,
    rewrite_readme,
    tables,
    throughput_verdicts,
    together_verdicts,
)
from tests.bench import samples


def test_hits_and_misses_of_the_rows() -> None:
    found = samples.results()
    assert [(v.what, v.ratio, v.is_met) for v in throughput_verdicts(found)] == [
        ("get 1x1", "3.00x (2.00 to 4.00)", True),
        ("set 1x1", "1.20x (1.20 to 1.20)", False),
    ]
    assert [(v.what, v.ratio, v.is_met) for v in latency_verdicts(found)] == [
        ("get 1x1", "0.50x", True),
        ("set 1x1", "1.20x", False),
    ]


def test_the_large_tree() -> None:
    met = {v.what: v.is_met for v in large_verdicts(samples.results())}
    assert met == {
        "load, s": None,
        "memory after loading, peak, MB": True,
        "memory after loading, at rest, MB": True,
        "p99.9 while a snapshot is written, 1,000 nodes hit, ms": True,
        "p99.9 while a snapshot is written, all nodes hit, ms": True,
        "memory under load with snapshots, peak, MB": None,
        "restart, s": True,
        "memory after a restart, peak, MB": None,
        "memory after a restart, at rest, MB": True,
    }


def test_no_snapshot_is_no_hit() -> None:
    """A run in which no snapshot was written says nothing about latency beside one."""
    found = samples.results()
    assert found.ours.large is not None
    found.ours.large.hot.windows_s.clear()
    hot = next(v for v in large_verdicts(found) if "1,000 nodes hit" in v.what)
    assert (hot.ours, hot.is_met) == ("no snapshot", None)


def test_the_table_shows_misses() -> None:
    text = tables(samples.results())
    assert "| set 1x1 | 1,000 | 1,200 | 1.20x (1.20 to 1.20) | ≥ 1.5x | **no** |" in text
    assert "| restart, s | 5.00 | 2.00 | 0.40x | ≤ 1x | yes |" in text
    assert "2 cores of A Processor" in text


def test_ensembles() -> None:
    """What must not be slower than so much is judged by our own time, whatever theirs is."""
    found = samples.ensembles()
    assert [(v.what, v.target, v.is_met) for v in throughput_verdicts(found)] == [
        ("set 1x1", "≥ 1.5x", False),
        ("get 50x20", "≥ 2x", True),
    ]
    assert {v.is_met for v in latency_verdicts(found)} == {None}
    assert [(v.what, v.theirs, v.ours, v.target, v.is_met) for v in together_verdicts(found)] == [
        ("memory of three, at rest, MB", "1,000", "250", "≤ 0.3x", True),
        ("leader killed to first write, median, ms", "400", "150", "≤ 200 ms", True),
        ("leader killed to first write, slowest, ms", "600", "300", "", None),
    ]
    judged = {v.what: (v.theirs, v.ours, v.is_met) for v in lagging_verdicts(found) if v.target}
    assert judged == {
        "100,000 missed writes caught up, from joining, s": ("4.00 (DIFF)", "1.60 (DIFF)", True),
        "p99.9 of others meanwhile, ms": ("80.0", "32.0", True),
    }


def test_the_whole_tree_is_no_catching_up() -> None:
    """A learner that is sent everything may be quick; that is not what was asked for."""
    found = samples.ensembles()
    assert found.ours.lagging is not None
    found.ours.lagging.catch_ups[0] = CatchUp(2.0, 0.1, True)
    verdict = next(v for v in lagging_verdicts(found) if "from joining" in v.what)
    assert (verdict.ours, verdict.is_met) == ("1.20 (DIFF/SNAP)", False)


def test_a_load_that_was_too_short_meets_nothing() -> None:
    found = samples.ensembles()
    for side in found.sides:
        assert side.lagging is not None
        side.lagging = replace(side.lagging, transfer=replace(side.lagging.transfer, is_covered=False))
    verdict = next(v for v in lagging_verdicts(found) if v.what.startswith("p99.9 of others meanwhile"))
    assert (verdict.theirs, verdict.ours, verdict.is_met) == ("80.0 (in part)", "32.0 (in part)", False)


def test_kills_that_were_left_out_have_no_row() -> None:
    found = samples.ensembles()
    assert found.ours.together is not None
    assert "in a cold JVM" in tables(found)
    found.ours.together.failovers_ms.clear()
    assert [v.what for v in together_verdicts(found)] == ["memory of three, at rest, MB"]
    assert "in a cold JVM" not in tables(found)


def test_what_was_not_measured_has_no_table() -> None:
    found = samples.results()
    found.ours.runs, found.theirs.runs = {}, {}
    assert "Throughput" not in tables(found)
    found.ours.large = found.theirs.large = None
    assert "|" not in tables(found)


def test_only_the_block_of_the_readme_changes(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{START}\nformer\n{END}\nafter\n")
    rewrite_readme(readme, [samples.results(), samples.ensembles()], "pictures")
    rewrite_readme(readme, [samples.results(), samples.ensembles()], "pictures")
    text = readme.read_text()
    assert text.startswith(
        f"before\n{START}\n\n### One server\n\n![zoopark beside Apache ZooKeeper](pictures/plot.png)\n"
    )
    assert text.endswith(f"{END}\nafter\n")
    assert "former" not in text
    assert text.count("| get 1x1 |") == 2
    assert text.index("| get 1x1 |") < text.index("### Ensembles of three") < text.index("| get 50x20 |")
    assert "(pictures/ensemble.png)" in text


@pytest.mark.parametrize("text", ["no marks", START, f"{END}{START}", f"{START}{START}{END}"])
def test_a_readme_without_proper_marks_is_left_alone(tmp_path: Path, text: str) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(ValueError, match="once each"):
        rewrite_readme(readme, [samples.results(), samples.ensembles()], "pictures")
    assert readme.read_text() == text
