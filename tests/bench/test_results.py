"""What is computed from raw numbers, and that they survive being saved."""

from pathlib import Path

import pytest

from bench.results import newest, path_of, read, save
from bench.rows import ALONE, ENSEMBLE
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


def test_results_of_ensembles_survive_too(tmp_path: Path) -> None:
    original = samples.ensembles()
    save(original, tmp_path / "results.json")
    assert read(tmp_path / "results.json") == original


def test_the_newest_results_of_a_part(tmp_path: Path) -> None:
    """The other part may have been measured later."""
    for part, date in ((ALONE, "2025-02-01"), (ALONE, "2025-02-03"), (ENSEMBLE, "2025-02-04")):
        save(samples.results(), path_of(tmp_path, part, date))
    assert newest(tmp_path, ALONE) == path_of(tmp_path, ALONE, "2025-02-03")


def test_a_part_without_results_says_how_to_get_some(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="make bench"):
        newest(tmp_path, ENSEMBLE)


def test_the_ratio_is_of_medians_and_the_spread_of_pairs() -> None:
    """One lucky pair moves the spread, not the ratio."""
    found = samples.results()
    assert found.ratio("get 1x1") == 3.0
    assert found.spread("get 1x1") == (2.0, 4.0)
