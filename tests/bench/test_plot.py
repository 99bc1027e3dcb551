"""The picture is drawn from whatever was measured."""

from pathlib import Path

import pytest

from bench.plot import draw
from bench.results import Results
from tests.bench import samples


def without_the_large_tree() -> Results:
    found = samples.results()
    found.theirs.large = found.ours.large = None
    return found


def without_faults() -> Results:
    found = samples.ensembles()
    for side in found.sides:
        assert side.together is not None
        side.together.failovers_ms.clear()
        side.lagging = None
    return found


MADE = {one.__name__: one for one in (samples.results, samples.ensembles, without_the_large_tree, without_faults)}


@pytest.mark.parametrize("made", MADE)
def test_a_picture_is_written(tmp_path: Path, made: str) -> None:
    pytest.importorskip("matplotlib")
    found = MADE[made]()
    draw(found, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
