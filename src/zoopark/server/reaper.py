"""Deletes containers and TTL nodes whose time has come, at a limited rate.

    container   no children, and had one once, or is older than its limit for containers that never had one
    TTL node    no children, and not changed for longer than its TTL

Candidates are looked up once per interval; the deletions are ordinary requests, validated again when they are prepared.
Source: ZooKeeper's znode.container.* properties.
"""

from collections import deque
from typing import Final, final

from zoopark.jute import stat as stats
from zoopark.record import Now
from zoopark.server.config import Config
from zoopark.tree.tree import Tree

BATCH_MS: Final = 100


@final
class Reaper:
    """Finds what is to be deleted.

    Args:
        config: interval, rate and the limit for unused containers.
        now: the moment of the start; the first look comes one interval later.
    """

    def __init__(self, config: Config, tree: Tree, now: Now) -> None:
        self.config = config
        self.tree = tree
        self._doomed: deque[bytes] = deque()
        self._look_ms = now.mono_ms + config.container_check_interval_ms
        self._batch_ms = 0

    def deadline(self) -> int | None:
        """When to be called next; never if the interval is 0."""
        if self._doomed:
            return self._batch_ms
        return self._look_ms if self.config.container_check_interval_ms > 0 else None

    def take_due(self, now: Now) -> list[bytes]:
        """The paths to delete now."""
        if self.config.container_check_interval_ms > 0 and now.mono_ms >= self._look_ms:
            self._look_ms = now.mono_ms + self.config.container_check_interval_ms
            if not self._doomed:
                self._doomed.extend(self._candidates(now.wall_ms))
                self._batch_ms = now.mono_ms
        if not self._doomed or now.mono_ms < self._batch_ms:
            return []
        per_minute = self.config.container_max_per_minute
        self._batch_ms = now.mono_ms + max(BATCH_MS, 60_000 // per_minute)
        size = max(1, per_minute * BATCH_MS // 60_000)
        return [self._doomed.popleft() for _ in range(min(size, len(self._doomed)))]

    def _candidates(self, wall_ms: int) -> list[bytes]:
        never_used_ms = self.config.container_max_never_used_ms
        found = []
        for path in self.tree.containers:
            node = self.tree.nodes[path]
            is_used = stats.cversion_of(node.stat) > 0
            is_stale = never_used_ms > 0 and wall_ms - stats.ctime_of(node.stat) > never_used_ms
            if not node.children and (is_used or is_stale):
                found.append(path)
        for path in self.tree.ttls:
            node = self.tree.nodes[path]
            ttl_ms = self.tree.kinds.ttl_of(stats.owner_of(node.stat))
            if not node.children and wall_ms - stats.mtime_of(node.stat) > ttl_ms:
                found.append(path)
        return found
