"""Quotas: limits on the count and size of a subtree, and the usage that every server counts by itself.

A quota on /a lives in two nodes, /zookeeper/quota/a/zookeeper_limits and …/zookeeper_stats, whose data is the text
`count=N,bytes=N=;byteHardLimit=N;countHardLimit=N` with -1 for what is not set; the odd `=;` lets old readers stop
there. The stats are kept up to date outside the transactions, so they are no part of the tree digest.
Source: ZooKeeper administrator's guide, "Quotas".
"""

from typing import Final, final

LIMITS: Final = b"zookeeper_limits"
STATS: Final = b"zookeeper_stats"
QUOTA_PREFIX: Final = b"/zookeeper/quota"
UNSET: Final = -1


@final
class QuotaText:
    """The numbers of one of the two nodes; UNSET for what is not limited or not known."""

    __slots__ = ("byte_hard_limit", "bytes", "count", "count_hard_limit")

    def __init__(self, count: int = UNSET, size_bytes: int = UNSET) -> None:
        self.count = count
        self.bytes = size_bytes
        self.count_hard_limit = UNSET
        self.byte_hard_limit = UNSET

    def encode(self) -> bytes:
        text = f"count={self.count},bytes={self.bytes}"
        hard = [("byteHardLimit", self.byte_hard_limit), ("countHardLimit", self.count_hard_limit)]
        limits = [f"{name}={limit}" for name, limit in hard if limit != UNSET]
        return (text + ("=;" + ";".join(limits) if limits else "")).encode()


def parse_quota(data: bytes | None) -> QuotaText:
    """The numbers in a node's data; what cannot be read as a number is UNSET."""
    quota = QuotaText()
    for pair in (data or b"").replace(b"=;", b",").replace(b";", b",").split(b","):
        name, _, value = pair.partition(b"=")
        try:
            number = int(value)
        except ValueError:
            continue
        if name == b"count":
            quota.count = number
        elif name == b"bytes":
            quota.bytes = number
        elif name == b"countHardLimit":
            quota.count_hard_limit = number
        elif name == b"byteHardLimit":
            quota.byte_hard_limit = number
    return quota


def is_exceeded(limits: QuotaText, usage: QuotaText) -> bool:
    """Whether the usage is over a hard limit."""
    return _is_over(usage.count, limits.count_hard_limit) or _is_over(usage.bytes, limits.byte_hard_limit)


@final
class QuotaPaths:
    """The paths that have a quota."""

    def __init__(self) -> None:
        self._paths: dict[bytes, None] = {}

    def add(self, path: bytes) -> None:
        self._paths[path] = None

    def remove(self, path: bytes) -> None:
        self._paths.pop(path, None)

    def is_empty(self) -> bool:
        return not self._paths

    def nearest(self, path: bytes) -> bytes | None:
        """The longest path with a quota that is `path` or an ancestor of it, the root left out."""
        while len(path) > 1:
            if path in self._paths:
                return path
            path = path[: path.rfind(b"/")]
        return None


def limits_path(path: bytes) -> bytes:
    return QUOTA_PREFIX + path + b"/" + LIMITS


def stats_path(path: bytes) -> bytes:
    return QUOTA_PREFIX + path + b"/" + STATS


def _is_over(used: int, limit: int) -> bool:
    return limit > UNSET and used > limit
