"""When a run has proved something."""

import subprocess
import sys
from pathlib import Path

import pytest

from chaos.__main__ import TELLING_MINUTES, WRITES_A_MINUTE, lacking

ENOUGH = int(TELLING_MINUTES * WRITES_A_MINUTE)
ROOT = Path(__file__).parents[2]


def test_a_run_that_must_be_sealed_fails_where_it_cannot_be() -> None:
    """Half of the faults would be left out, and nobody would notice."""
    found = subprocess.run(
        [sys.executable, "-m", "chaos", "--sealed"],
        cwd=ROOT,
        env={"PATH": "", "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (found.returncode, found.stdout[:18]) == (1, "no namespaces here")


@pytest.mark.parametrize(
    ("totals", "minutes", "expected"),
    [
        ({"fault: halves": 1, "writes answered": ENOUGH}, TELLING_MINUTES, []),
        ({"fault: halves": 0, "writes answered": ENOUGH}, TELLING_MINUTES, ["no fault: halves"]),
        ({"fault: halves": 1, "writes answered": ENOUGH - 1}, TELLING_MINUTES, [f"{ENOUGH - 1} writes answered"]),
        ({"fault: halves": 1}, TELLING_MINUTES, ["0 writes answered"]),
        ({"fault: halves": 0, "writes answered": 0}, TELLING_MINUTES - 1, []),
    ],
)
def test_a_run_in_which_too_little_happened_fails(totals: dict[str, int], minutes: float, expected: list[str]) -> None:
    assert lacking(totals, minutes) == expected
