"""Records are values: equal when all their fields are."""

import pytest

from zoopark.record import Effect, Now, Record, earliest


class Point(Record):
    """A record of a test."""

    __slots__ = ("x", "y")

    def __init__(self, x: int, y: int) -> None:
        self.x = x
        self.y = y


class Spot(Effect):
    """Another one with the same fields."""

    __slots__ = ("x", "y")

    def __init__(self, x: int, y: int) -> None:
        self.x = x
        self.y = y


def test_equal_fields_make_equal_records() -> None:
    assert Point(1, 2) == Point(1, 2)
    assert hash(Point(1, 2)) == hash(Point(1, 2))


@pytest.mark.parametrize("other", [Point(2, 1), Point(1, 3), Spot(1, 2), (1, 2), None])
def test_anything_else_differs(other: object) -> None:
    """Also a record of another type with the same fields, or effects could be mistaken for one another."""
    assert Point(1, 2) != other


def test_a_record_shows_its_fields() -> None:
    assert repr(Now(5, 1_600_000_000_000)) == "Now(mono_ms=5, wall_ms=1600000000000)"


def test_a_record_has_no_room_for_more() -> None:
    """Slots: a million of them must stay small, and a misspelt field must fail."""
    assert not hasattr(Now(1, 2), "__dict__")


@pytest.mark.parametrize(
    ("deadlines", "first"), [((), None), ((None, None), None), ((None, 3, 2, None), 2), ((0, 1), 0), ((7,), 7)]
)
def test_the_earliest_deadline(deadlines: tuple[int | None, ...], first: int | None) -> None:
    """None is never, and 0 is a time."""
    assert earliest(*deadlines) == first
