"""The rows that the comparison has, and how they are picked."""

import pytest

from bench.rows import ROWS, rows_named


def test_the_rows_and_their_targets() -> None:
    """Three workloads in three shapes with the targets of the issue, and the mix without one."""
    expected = [f"{work} {shape}" for work in ("get", "set", "create") for shape in ("1x1", "50x1", "50x20")]
    assert [row.name for row in ROWS] == [*expected, "mixed 50x20"]
    assert [row.target for row in ROWS] == [2.0] * 3 + [1.5] * 6 + [None]


def test_rows_are_picked_by_how_they_start() -> None:
    assert [row.name for row in rows_named(["set 50", "mixed"])] == ["set 50x1", "set 50x20", "mixed 50x20"]
    assert rows_named([]) == list(ROWS)


def test_a_name_that_fits_no_row_is_an_error() -> None:
    """A typing error must not end in an empty table."""
    with pytest.raises(ValueError, match="no row starts with 'gte'"):
        rows_named(["gte"])
