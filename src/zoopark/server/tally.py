"""Counts what one connection does, for itself and for its server at once: once per chunk, never more."""

from typing import final

from zoopark.server.metrics import Metrics
from zoopark.server.traffic import Traffic


@final
class Tally:
    """The two places where packets of one connection are counted.

    `n_quick` and `n_quick_bytes` gather the reads that are answered on the shortest path; `settle` counts them.
    """

    __slots__ = ("metrics", "n_quick", "n_quick_bytes", "traffic")

    def __init__(self, traffic: Traffic, metrics: Metrics) -> None:
        self.traffic = traffic
        self.metrics = metrics
        self.n_quick = 0
        self.n_quick_bytes = 0

    def settle(self, now_ms: int) -> None:
        """Count what was answered quickly, the last of it at `now_ms` of the monotonic clock."""
        n_quick = self.n_quick
        if n_quick:
            self.received(n_quick, self.n_quick_bytes)
            self.reads(n_quick, 0, now_ms)
            self.n_quick = self.n_quick_bytes = 0

    def received(self, count: int, size_bytes: int) -> None:
        """`count` packets of so many bytes in all came in."""
        self.traffic.received += count
        self.metrics.received += count
        self.metrics.bytes_received += size_bytes

    def reads(self, count: int, latency_ms: int, now_ms: int) -> None:
        """`count` reads were answered, `latency_ms` after they came in."""
        self.traffic.on_replies(count, latency_ms, now_ms)
        self.metrics.reads.add(latency_ms, count)

    def notified(self, count: int, watch_bytes: int) -> None:
        """`count` packets went out that answer no request, with so many bytes of watch events."""
        self.traffic.other += count
        self.metrics.sent_other += count
        self.metrics.watch_bytes += watch_bytes
