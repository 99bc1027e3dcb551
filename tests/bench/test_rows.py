"""The rows that the comparison has, and how they are picked."""

import pytest

from bench.rows import ALONE, ENSEMBLE, PARTS, ROWS, rows_named, targets


def test_the_rows_and_their_targets() -> None:
    """Three workloads in three shapes with the targets of the issue, and the mix without one."""
    expected = [f"{work} {shape}" for work in ("get", "set", "create") for shape in ("1x1", "50x1", "50x20")]
    assert [row.name for row in ROWS[ALONE]] == [*expected, "mixed 50x20"]
    assert [row.target for row in ROWS[ALONE]] == [2.0] * 3 + [1.5] * 6 + [None]


def test_the_rows_of_ensembles_and_their_targets() -> None:
    """Twice for reads, 1.5 times for all else."""
    reads = {"get 50x1": 2.0, "get 50x20": 2.0}
    others = ("set 1x1", "set 50x1", "set 50x20", "create 50x20", "mixed 50x20", "mixed 300x1")
    assert targets(ENSEMBLE) == {**reads, **dict.fromkeys(others, 1.5)}


def test_rows_are_picked_by_how_they_start() -> None:
    assert [row.name for row in rows_named(ALONE, ["set 50", "mixed"])] == ["set 50x1", "set 50x20", "mixed 50x20"]
    assert rows_named(ENSEMBLE, ["create 1x1"]) == []
    assert [rows_named(part, []) for part in PARTS] == [list(ROWS[part]) for part in PARTS]


def test_a_name_that_fits_no_row_is_an_error() -> None:
    """A typing error must not end in an empty table."""
    with pytest.raises(ValueError, match="no row starts with 'gte'"):
        rows_named(ALONE, ["gte"])
