"""What one member is told once: who it is, who votes, and its limits."""

from typing import Final, final

from zoopark.record import Record
from zoopark.zab.quorum import Verifier

MAX_PENDING_TXNS: Final = 1_000_000
MAX_LEARNERS: Final = 1024
SNAPSHOT_SIZE_FACTOR: Final = 0.33


@final
class Limits(Record):
    """Times and sizes.

    Args:
        tick_ms: tickTime, the unit of the next two.
        init_limit: ticks for connecting, for each step up to the established epoch, and for synchronisation.
        sync_limit: ticks without a sign of life, and that a proposal may stay unacknowledged.
        size_factor: snapshotSizeFactor, how much log a learner is sent instead of a snapshot, as a share of the
            newest snapshot; 0 or less: none; more than 1 means 0.33, as in ZooKeeper.
        max_pending_txns: transactions that wait for their commit, packets that wait for the disk, syncs that wait.
        max_learners: links that a leader serves.
    """

    __slots__ = ("init_limit", "max_learners", "max_pending_txns", "size_factor", "sync_limit", "tick_ms")

    def __init__(
        self,
        tick_ms: int = 2000,
        init_limit: int = 10,
        sync_limit: int = 5,
        size_factor: float = SNAPSHOT_SIZE_FACTOR,
        max_pending_txns: int = MAX_PENDING_TXNS,
        max_learners: int = MAX_LEARNERS,
    ) -> None:
        assert tick_ms > 1, tick_ms
        assert init_limit > 0, init_limit
        assert sync_limit > 0, sync_limit
        self.tick_ms = tick_ms
        self.init_limit = init_limit
        self.sync_limit = sync_limit
        self.size_factor = SNAPSHOT_SIZE_FACTOR if size_factor > 1 else size_factor
        self.max_pending_txns = max_pending_txns
        self.max_learners = max_learners

    def init_ms(self) -> int:
        """initLimit in milliseconds."""
        return self.tick_ms * self.init_limit

    def sync_ms(self) -> int:
        """syncLimit in milliseconds."""
        return self.tick_ms * self.sync_limit


@final
class PeerSettings(Record):
    """One member.

    Args:
        sid: its server id.
        verifier: who votes and what is a quorum. A member that is no voter is an observer.
        config: the text of the committed configuration; data of NEWLEADER, part of every notification.
        config_version: its version.
        limits: times and sizes.
    """

    __slots__ = ("config", "config_version", "limits", "sid", "verifier")

    def __init__(
        self,
        sid: int,
        verifier: Verifier,
        config: bytes = b"",
        config_version: int = 0,
        limits: Limits | None = None,
    ) -> None:
        assert sid >= 0, sid
        self.sid = sid
        self.verifier = verifier
        self.config = config
        self.config_version = config_version
        self.limits = limits or Limits()

    def is_voter(self) -> bool:
        """Whether this member takes part in quorums."""
        return self.sid in self.verifier.voters
