"""The table of hazards is whole and true; and a few hazards that are shown nowhere else."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

from tests.planted.test_planted import FAULTS
from tests.scripts.peer_desk import PeerDesk
from zoopark.zxid import make_zxid

ROOT: Final = Path(__file__).parents[2]
ROWS: Final = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (Path(__file__).parent / "HAZARDS.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| \d", line)
]


def test_every_hazard_has_its_row() -> None:
    assert [int(row[0]) for row in ROWS] == list(range(1, 51))
    assert all(re.match(r"\d{3,4}\b", bug) and shown for _, bug, shown in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1])
def test_what_a_row_names_exists(row: list[str]) -> None:
    """Files, and tests in them by their names."""
    for place in re.findall(r"`(tests/[^`]+)`", row[2]):
        path, _, test = place.partition("::")
        text = (ROOT / path).read_text(encoding="utf-8")
        names = [node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)] if test else []
        assert not test or test in names, place


def test_rows_that_say_planted_are_planted() -> None:
    planted = {name.rpartition("-")[2] for name, _, _, _ in FAULTS}
    for _, bug, shown in ROWS:
        if shown.startswith("planted;"):
            assert planted & set(re.findall(r"\d{3,4}", bug)), bug


def test_who_failed_to_lead_votes_with_its_log() -> None:
    """ZOOKEEPER-790: an epoch that was proposed and never established is part of neither a vote nor a log."""
    desk = PeerDesk()
    desk.perform(["b has 1:1-1:3", "c has 1:1-1:3", "disk b holds", "b starts", "c starts", "wait 200"])
    lines = desk.perform(["b crashes", "wait 30000"])
    assert "c: LOOKING" in lines
    machine = desk.machines["c"]
    assert machine.peer is not None and machine.accepted_epoch == 2
    assert machine.peer.history.last_zxid == make_zxid(1, 3)
    lines = desk.perform(["a has 1:1-1:4", "a starts", "wait 1000"])
    assert "a: LEADING, serving epoch 3" in lines
