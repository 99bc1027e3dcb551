"""What is measured, and what is to be reached."""

from dataclasses import dataclass
from typing import Final

ALONE: Final = "alone"
ENSEMBLE: Final = "ensemble"
PARTS: Final = (ALONE, ENSEMBLE)
"""One server beside one, and three beside three."""
SNAPSHOT_LIMIT_MS: Final = 50.0
MEMORY_TARGET: Final = 0.5
RESTART_TARGET: Final = 1.0
P99_TARGET: Final = 1.0
ENSEMBLE_MEMORY_TARGET: Final = 0.3
FAILOVER_LIMIT_MS: Final = 200.0
CATCH_UP_LIMIT_S: Final = 2.0


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
_ALONE: Final = tuple(Row(workload, c, d, target) for workload, target in _TARGETS.items() for c, d in _SHAPES)

MIXED: Final = Row("mixed", 50, 20, None)
ROWS: Final = {
    ALONE: (*_ALONE, MIXED),
    ENSEMBLE: (
        *(Row("get", 50, depth, 2.0) for depth in (1, 20)),
        *(Row("set", c, d, 1.5) for c, d in _SHAPES),
        Row("create", 50, 20, 1.5),
        *(Row("mixed", c, d, 1.5) for c, d in ((50, 20), (300, 1))),
    ),
}


def rows_named(part: str, patterns: list[str]) -> list[Row]:
    """The rows of a part whose names start with one of the patterns; all for no pattern.

    ValueError if a pattern fits no row of any part.
    """
    names = {row.name: None for rows in ROWS.values() for row in rows}
    for pattern in patterns:
        if not any(name.startswith(pattern) for name in names):
            raise ValueError(f"no row starts with {pattern!r}; there are {', '.join(names)}")
    return [row for row in ROWS[part] if not patterns or row.name.startswith(tuple(patterns))]


def targets(part: str) -> dict[str, float | None]:
    """The target of each row of a part by its name."""
    return {row.name: row.target for row in ROWS[part]}
