"""The history of a run as a file: one line for everything that a client was told, that was done to members, or failed.

    (moment, milliseconds, who, what, arguments)      literals of Python, for people and for `read_history`

The moment orders all lines and all operations; the milliseconds are those since the beginning.
"""

from ast import literal_eval
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any, Final, TextIO, TypeAlias, final

from zoopark.sim.checkers.linear import Operation
from zoopark.sim.world import MS, World

Line: TypeAlias = tuple[int, int, str, str, tuple[Any, ...]]

OPERATION: Final = "operation"
"""(path, began, ended, call, answer) of an operation on one znode, for the search of `linear`."""
FAULT: Final = "fault"
"""(text,) of something that was done to members."""
HELD: Final = "held"
"""The sessions whose clients have talked until the end."""
RUN: Final = "run"
"""Who says the last two."""


@final
class History:
    """A history that is being written, once `open` has said where.

    Args:
        world: whose clock it has.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._file: TextIO = StringIO()

    def open(self, path: Path) -> None:
        """Write it to this file; `close` must follow."""
        self._file = path.open("w", encoding="utf-8", buffering=1 << 16)

    def tell(self, who: str, what: str, arguments: tuple[Any, ...]) -> None:
        """One more line."""
        world = self.world
        self._file.write(repr((world.count, world.now_us // MS, who, what, arguments)) + "\n")

    def tell_operations(self, who: str, operations: dict[bytes, list[Operation]]) -> None:
        """What a client did to each znode."""
        for path, done in operations.items():
            for one in done:
                self.tell(who, OPERATION, (path, one.began, one.ended, one.call, one.answer))

    def flush(self) -> None:
        """Have everything in the file."""
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_history(path: Path) -> Iterator[Line]:
    """The lines of a history."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield literal_eval(line)
