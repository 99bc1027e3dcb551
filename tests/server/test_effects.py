"""The effects of a member are values that can be compared and shown."""

import pytest

from zoopark.record import Effect
from zoopark.server.effects import Append, CloseLink, Flush, Note, Purge, TakeSnapshot

EXAMPLES: list[tuple[Effect, Effect]] = [
    (Append([(1, b"txn")], 1), Append([(1, b"other")], 1)),
    (Flush([]), Note("")),
    (TakeSnapshot(1), TakeSnapshot(2)),
    (Purge(3), Purge(4)),
    (Note("one"), Note("two")),
]


@pytest.mark.parametrize(("effect", "other"), EXAMPLES, ids=lambda effect: type(effect).__name__)
def test_effects_are_values(effect: Effect, other: Effect) -> None:
    assert effect == effect.__class__(*(getattr(effect, name) for name in effect.__slots__))
    assert effect != other


def test_an_effect_shows_what_it_asks_for() -> None:
    """The simulator's trace and the golden scripts are read by people."""
    assert repr(Purge(3)) == "Purge(keep=3)"
    assert CloseLink.__slots__ == ("connection", "why")
