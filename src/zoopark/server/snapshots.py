"""When a snapshot of the tree is due.

Source: ZooKeeper's snapCount and snapSizeLimitInKb.
"""

from random import Random
from typing import Final, final

from zoopark.server.config import Config

HEAVY: Final = 10_000
SNAPSHOT_REST: Final = 5
LONGEST_REST: Final = 3


@final
class SnapshotSchedule:
    """Counts what was logged, and decides; one snapshot at a time.

    Args:
        config: the limits.
        random: draws them anew each time, so that servers of one ensemble do not take snapshots together.

    Attributes:
        n_txns: since the last snapshot began; `n_bytes` of log since then.
        is_running: whether one is being written.
    """

    def __init__(self, config: Config, random: Random) -> None:
        self.config = config
        self.random = random
        self.n_txns = 0
        self.n_bytes = 0
        self.is_running = False
        self._max_txns = 0
        self._max_bytes = 0
        self._draw_limits()

    def is_due(self) -> bool:
        """Whether a snapshot should begin now."""
        if self.is_running:
            return False
        return self.n_txns > self._max_txns or 0 < self._max_bytes < self.n_bytes

    def begin(self) -> None:
        """A snapshot begins now."""
        self.is_running = True
        self.n_txns = 0
        self.n_bytes = 0
        self._draw_limits()

    def on_snapshot(self) -> None:
        """The snapshot is complete.

        Under a load so heavy that more than HEAVY transactions came while it was written, the next one waits for
        SNAPSHOT_REST times as many, but no more than LONGEST_REST times snapCount, so that a restart does not have to
        replay too much: otherwise the server would do little else than write snapshots.
        """
        self.is_running = False
        if self.n_txns > HEAVY:
            rest = min(SNAPSHOT_REST * self.n_txns, LONGEST_REST * self.config.snap_count)
            self._max_txns = max(self._max_txns, rest)

    def hasten(self) -> None:
        """The newest snapshot is none of one moment: after a transaction there is to be another."""
        self._max_txns = 0

    def _draw_limits(self) -> None:
        """Between half and all of snapCount transactions and snapSizeLimitInKb of log."""
        half = self.config.snap_count // 2
        self._max_txns = half + self.random.randrange(max(half, 1))
        limit = self.config.snap_size_limit_kb * 1024
        self._max_bytes = limit // 2 + self.random.randrange(max(limit // 2, 1)) if limit > 0 else 0
