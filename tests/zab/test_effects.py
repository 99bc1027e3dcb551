"""The effects of agreement are records that can be compared and printed."""

import inspect

import pytest

from zoopark.record import Effect
from zoopark.zab import effects

KINDS = [kind for _, kind in inspect.getmembers(effects, inspect.isclass) if kind.__module__ == effects.__name__]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.__name__))
def test_an_effect_is_equal_by_its_fields_and_says_them(kind: type[Effect]) -> None:
    """The simulator compares effects and golden scripts print them: a field that is not a slot would be left out."""
    names = list(inspect.signature(kind).parameters)
    one = kind(**{name: index for index, name in enumerate(names)})
    other = kind(**{name: index + 1 for index, name in enumerate(names)})
    assert sorted(names) == sorted(kind.__slots__)
    assert one == kind(**{name: index for index, name in enumerate(names)})
    assert one != other
    assert all(f"{name}=" in repr(one) for name in names)


def test_there_are_effects() -> None:
    assert len(KINDS) >= 15
