"""The tables: what they say of a hit, of a miss, and of what was not measured."""

from pathlib import Path

import pytest

from bench.report import END, START, large_verdicts, latency_verdicts, rewrite_readme, table, throughput_verdicts
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
    text = table(samples.results())
    assert "| set 1x1 | 1,000 | 1,200 | 1.20x (1.20 to 1.20) | ≥ 1.5x | **no** |" in text
    assert "| restart, s | 5.00 | 2.00 | 0.40x | ≤ 1x | yes |" in text
    assert "2 cores of A Processor" in text


def test_what_was_not_measured_has_no_table() -> None:
    found = samples.results()
    found.ours.runs, found.theirs.runs = {}, {}
    assert "Throughput" not in table(found)
    found.ours.large = found.theirs.large = None
    assert "|" not in table(found)


def test_only_the_block_of_the_readme_changes(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    rewrite_readme(readme, samples.results(), "plot.png")
    rewrite_readme(readme, samples.results(), "plot.png")
    text = readme.read_text()
    assert text.startswith(f"before\n{START}\n\n![zoopark beside Apache ZooKeeper](plot.png)\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert text.count("| get 1x1 |") == 2


@pytest.mark.parametrize("text", ["no marks", START, f"{END}{START}", f"{START}{START}{END}"])
def test_a_readme_without_proper_marks_is_left_alone(tmp_path: Path, text: str) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(ValueError, match="once each"):
        rewrite_readme(readme, samples.results(), "plot.png")
    assert readme.read_text() == text
