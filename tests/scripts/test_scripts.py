"""Every golden script says what happens. `pytest tests/scripts --rewrite` writes them anew: read the diff."""

from pathlib import Path

import pytest

from tests.scripts.desk import Desk
from zoopark.sim.script import play

HERE = Path(__file__).parent
SCRIPTS = sorted(path for folder in ("ops", "sessions") for path in (HERE / folder).glob("*.txt"))


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) >= 15


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_script_says_what_happens(path: Path, request: pytest.FixtureRequest) -> None:
    text = path.read_text(encoding="utf-8")
    played = play(text, Desk().perform)
    if request.config.getoption("--rewrite", default=False):
        path.write_text(played, encoding="utf-8")
        return
    assert played.splitlines() == text.splitlines()
