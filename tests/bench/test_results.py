"""What is computed from raw numbers, and that they survive being saved."""

from pathlib import Path

from bench.results import read, save
from tests.bench import samples


def test_results_survive_being_saved(tmp_path: Path) -> None:
    original = samples.results()
    save(original, tmp_path / "new" / "results.json")
    assert read(tmp_path / "new" / "results.json") == original


def test_results_without_a_large_tree_survive_too(tmp_path: Path) -> None:
    original = samples.results()
    original.theirs.large = original.ours.large = None
    save(original, tmp_path / "results.json")
    assert read(tmp_path / "results.json") == original


def test_the_ratio_is_of_medians_and_the_spread_of_pairs() -> None:
    """One lucky pair moves the spread, not the ratio."""
    found = samples.results()
    assert found.ratio("get 1x1") == 3.0
    assert found.spread("get 1x1") == (2.0, 4.0)
