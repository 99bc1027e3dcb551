"""Every script of whole members says what happens. `pytest tests/scripts --rewrite` writes them anew: read the diff."""

from pathlib import Path

import pytest

from tests.scripts.ensemble_desk import EnsembleDesk
from zoopark.sim.script import play

SCRIPTS = sorted((Path(__file__).parent / "ensemble").glob("*.txt"))


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) >= 9


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_says_what_happens(path: Path, request: pytest.FixtureRequest) -> None:
    text = path.read_text(encoding="utf-8")
    played = play(text, EnsembleDesk().perform)
    if request.config.getoption("--rewrite", default=False):
        path.write_text(played, encoding="utf-8")
        return
    assert played.splitlines() == text.splitlines()
