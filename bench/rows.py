"""What is measured, and what is to be reached."""

from dataclasses import dataclass
from typing import Final

SNAPSHOT_LIMIT_MS: Final = 50.0
MEMORY_TARGET: Final = 0.5
RESTART_TARGET: Final = 1.0
P99_TARGET: Final = 1.0


@dataclass(frozen=True, slots=True)
class Row:
    """One closed-loop load.

    Args:
        workload: a workload of zkbench.
        connections, depth: so many connections, each with so many requests in flight.
        target: the least ratio of throughputs, zoopark to Apache; None where none was set.
    """

    workload: str
    connections: int
    depth: int
    target: float | None

    @property
    def name(self) -> str:
        """Such as "get 50x20"; mixed is 90 % get and 10 % set."""
        return f"{self.workload} {self.connections}x{self.depth}"


_SHAPES: Final = ((1, 1), (50, 1), (50, 20))
_TARGETS: Final = {"get": 2.0, "set": 1.5, "create": 1.5}

MIXED: Final = Row("mixed", 50, 20, None)
ROWS: Final = (*(Row(workload, c, d, target) for workload, target in _TARGETS.items() for c, d in _SHAPES), MIXED)


def rows_named(patterns: list[str]) -> list[Row]:
    """The rows whose names start with one of the patterns; all for no pattern. ValueError if one fits no row."""
    for pattern in patterns:
        if not any(row.name.startswith(pattern) for row in ROWS):
            raise ValueError(f"no row starts with {pattern!r}; there are {', '.join(row.name for row in ROWS)}")
    return [row for row in ROWS if not patterns or row.name.startswith(tuple(patterns))]
