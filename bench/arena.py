"""What every part of the comparison is given."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.servers import Contestant


@dataclass(frozen=True, slots=True)
class Arena:
    """Args:
    program: zkbench.
    work: data goes below this directory.
    contestants: Apache ZooKeeper, then zoopark.
    patterns: only rows whose names start so; all for none.
    tell: says one line of how it goes.
    """

    program: Path
    work: Path
    contestants: tuple[Contestant, Contestant]
    patterns: list[str]
    tell: Callable[[str], None]
