"""What a server counts: packets, latencies, requests in process. Plain ints, read by `srvr`, `mntr` and metrics."""

from typing import final


@final
class Traffic:
    """The counts of one server, or of one connection, since its start or the last reset.

    Latency is from the arrival of a request's chunk to the moment its reply is written, in ms.
    """

    __slots__ = ("latency_count", "latency_max_ms", "latency_min_ms", "latency_sum_ms", "received", "sent")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start counting anew."""
        self.received = 0
        self.sent = 0
        self.latency_count = 0
        self.latency_sum_ms = 0
        self.latency_min_ms = 0
        self.latency_max_ms = 0

    def on_replies(self, count: int, latency_ms: int) -> None:
        """`count` replies were written `latency_ms` after their requests came in."""
        self.sent += count
        if self.latency_count == 0 or latency_ms < self.latency_min_ms:
            self.latency_min_ms = latency_ms
        self.latency_count += count
        self.latency_sum_ms += count * latency_ms
        if latency_ms > self.latency_max_ms:
            self.latency_max_ms = latency_ms

    def average_ms(self) -> float:
        return self.latency_sum_ms / self.latency_count if self.latency_count else 0.0
