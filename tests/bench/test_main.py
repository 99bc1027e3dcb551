"""Where results go, and which of them the README may show."""

from pathlib import Path

import pytest

from bench.__main__ import EXPERIMENTS, RESULTS, directory_of, parser, renew, settings_of
from bench.report import END, START
from bench.results import path_of, save
from bench.rows import PARTS
from tests.bench import samples

MARKS = f"{START}\n{END}\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], RESULTS),
        (["--only", "alone"], RESULTS),
        (["--only", "ensemble", "--work", "elsewhere"], RESULTS),
        (["--quick"], EXPERIMENTS),
        (["--control"], EXPERIMENTS),
        (["--only", "alone", "--heap", "2g"], EXPERIMENTS),
        (["--rows", "get"], EXPERIMENTS),
        (["--kills", "0"], EXPERIMENTS),
        (["--quick", "--out", "chosen"], Path("chosen")),
    ],
)
def test_an_experiment_leaves_the_results_alone(words: list[str], expected: Path) -> None:
    assert directory_of(parser().parse_args(words)) == expected


def _saved(directory: Path, *words: str) -> None:
    """Results of both parts, as if measured with these options."""
    settings = settings_of(parser().parse_args(words))
    found = (samples.results(), samples.ensembles())
    for part, one in zip(PARTS, found, strict=True):
        one.settings = settings
        save(one, path_of(directory, part, one.date))


def test_the_readme_shows_what_was_measured_with_the_defaults(tmp_path: Path) -> None:
    """Also if one part was measured at a time."""
    readme = tmp_path / "README.md"
    readme.write_text(MARKS)
    _saved(tmp_path, "--only", "alone")
    renew(readme, tmp_path)
    assert "| get 1x1 |" in readme.read_text()


@pytest.mark.parametrize("words", [["--quick"], ["--heap", "default"], ["--repeats", "1"]])
def test_the_readme_shows_no_experiment(tmp_path: Path, words: list[str]) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(MARKS)
    _saved(tmp_path, *words)
    with pytest.raises(ValueError, match="was not measured with the default settings"):
        renew(readme, tmp_path)
    assert readme.read_text() == MARKS
