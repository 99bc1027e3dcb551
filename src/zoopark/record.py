"""The two words every part shares: a record of values, and the moment at which something happened."""

from typing import Any, final


class Record:
    """A plain slotted value: never changed after construction, equal when all its fields are.

    Subclasses name their fields in `__slots__` and set them in `__init__`.
    """

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)


class Effect(Record):
    """Something a pure part asks its host to do. The host carries effects out in the order of `take()`."""

    __slots__: tuple[str, ...] = ()


def earliest(*deadlines_ms: int | None) -> int | None:
    """The soonest of some deadlines; None is never."""
    first_ms = None
    for due_ms in deadlines_ms:
        if due_ms is not None and (first_ms is None or due_ms < first_ms):
            first_ms = due_ms
    return first_ms


@final
class Now(Record):
    """The moment of an input.

    Args:
        mono_ms: milliseconds of a clock that never goes back; for timeouts.
        wall_ms: milliseconds since 1970 UTC; for times that are stored.
    """

    __slots__ = ("mono_ms", "wall_ms")

    def __init__(self, mono_ms: int, wall_ms: int) -> None:
        self.mono_ms = mono_ms
        self.wall_ms = wall_ms
