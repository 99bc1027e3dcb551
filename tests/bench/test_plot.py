"""The picture is drawn from whatever was measured."""

from pathlib import Path

import pytest

from bench.plot import draw
from tests.bench import samples


@pytest.mark.parametrize("has_large", [True, False])
def test_a_picture_is_written(tmp_path: Path, has_large: bool) -> None:
    pytest.importorskip("matplotlib")
    found = samples.results()
    if not has_large:
        found.theirs.large = found.ours.large = None
    draw(found, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
