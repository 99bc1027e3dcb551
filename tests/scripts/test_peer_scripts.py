"""Every script of whole peers says what happens. `pytest tests/scripts --rewrite` writes them anew: read the diff."""

from pathlib import Path

import pytest

from tests.scripts.peer_desk import PeerDesk
from zoopark.sim.script import play

SCRIPTS = sorted(
    path for path in (Path(__file__).parent / "zab").glob("*.txt") if not path.stem.startswith("election_")
)


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) >= 20


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_says_what_happens(path: Path, request: pytest.FixtureRequest) -> None:
    text = path.read_text(encoding="utf-8")
    played = play(text, PeerDesk().perform)
    if request.config.getoption("--rewrite", default=False):
        path.write_text(played, encoding="utf-8")
        return
    assert played.splitlines() == text.splitlines()
