"""Every golden script of an election says what happens. `pytest tests/scripts --rewrite` writes them anew."""

from pathlib import Path

import pytest

from tests.scripts.election_desk import ElectionDesk
from zoopark.sim.script import play

SCRIPTS = sorted((Path(__file__).parent / "zab").glob("election_*.txt"))


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) >= 10


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_says_what_happens(path: Path, request: pytest.FixtureRequest) -> None:
    text = path.read_text(encoding="utf-8")
    played = play(text, ElectionDesk().perform)
    if request.config.getoption("--rewrite", default=False):
        path.write_text(played, encoding="utf-8")
        return
    assert played.splitlines() == text.splitlines()
