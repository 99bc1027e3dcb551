"""Quotas: limits on the count and size of a subtree, and the usage that every server counts by itself.

A quota on /a lives in two nodes, /zookeeper/quota/a/zookeeper_limits and …/zookeeper_stats, whose data is the text
`count=N,bytes=N=;byteHardLimit=N;countHardLimit=N` with -1 for what is not set; the odd `=;` lets old readers stop
there. The stats are kept up to date outside the transactions, so they are no part of the tree digest.
Source: ZooKeeper administrator's guide, "Quotas".
"""

import re
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
    for pair in _pairs(data or b""):
        _take_pair(quota, pair)
    return quota


def parse_quota_strictly(data: bytes | None) -> QuotaText:
    """The numbers in a node's data. Raises ValueError for null data and for a pair whose value is no number."""
    if data is None:
        raise ValueError("no data")
    quota = QuotaText()
    for pair in _pairs(data):
        if not _take_pair(quota, pair):
            raise ValueError(f"{pair!r} is no limit")
    return quota


def _pairs(data: bytes) -> list[bytes]:
    return [pair for pair in re.split(rb"=?;|,", data) if pair]


def _take_pair(quota: QuotaText, pair: bytes) -> bool:
    """Note one `name=number`; whether it is one."""
    name, is_pair, value = pair.partition(b"=")
    if not is_pair or not re.fullmatch(rb"[+-]?[0-9]{1,19}", value):
        return False
    number = int(value)
    if name == b"count":
        quota.count = number
    elif name == b"bytes":
        quota.bytes = number
    elif name == b"countHardLimit":
        quota.count_hard_limit = number
    elif name == b"byteHardLimit":
        quota.byte_hard_limit = number
    return True


def is_exceeded(limits: QuotaText, usage: QuotaText, grown_bytes: int, grown_count: int) -> bool:
    """Whether growth by so much puts the usage over a hard limit; what does not change is not looked at."""
    is_count_over = grown_count != 0 and _is_over(usage.count + grown_count, limits.count_hard_limit)
    return is_count_over or (grown_bytes != 0 and _is_over(usage.bytes + grown_bytes, limits.byte_hard_limit))


@final
class QuotaPaths:
    """The paths that have a quota."""

    def __init__(self) -> None:
        self.paths: dict[bytes, None] = {}

    def add(self, path: bytes) -> None:
        self.paths[path] = None

    def remove(self, path: bytes) -> None:
        self.paths.pop(path, None)

    def is_empty(self) -> bool:
        return not self.paths

    def on_created(self, path: bytes) -> bool:
        """A system node was created; whether it is one that holds the usage under a quota."""
        subject, name = _split(path)
        if name == LIMITS and subject:
            self.add(subject)
        return name == STATS

    def on_deleted(self, path: bytes) -> None:
        """A system node was deleted."""
        subject, name = _split(path)
        if name == LIMITS:
            self.remove(subject)

    def nearest(self, path: bytes) -> bytes | None:
        """The longest path with a quota that is `path` or an ancestor of it, the root left out."""
        while len(path) > 1:
            if path in self.paths:
                return path
            path = path[: path.rfind(b"/")]
        return None


def limits_path(path: bytes) -> bytes:
    return QUOTA_PREFIX + path + b"/" + LIMITS


def stats_path(path: bytes) -> bytes:
    return QUOTA_PREFIX + path + b"/" + STATS


def _split(path: bytes) -> tuple[bytes, bytes]:
    """(path that a quota is on, name of the node) for a node below QUOTA_PREFIX, two times nothing for others."""
    if not path.startswith(QUOTA_PREFIX + b"/"):
        return b"", b""
    at = path.rfind(b"/")
    return path[len(QUOTA_PREFIX) : at], path[at + 1 :]


def _is_over(used: int, limit: int) -> bool:
    return limit > UNSET and used > limit
