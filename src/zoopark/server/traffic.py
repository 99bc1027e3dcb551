"""What one connection counts: packets and latencies. Plain ints, shown by `stat` and `cons`.

A connection adds to these fields itself, once per chunk and not once per request, so they are kept few: replies that
left in the turn their requests came in only count up `n_prompt`.
"""

from typing import final


@final
class Traffic:
    """The counts of one connection, since its start or the last reset.

    Latency is from the arrival of a request's chunk to the moment its reply is written, in whole ms of the clock that
    is read once per turn.

    Attributes:
        received: packets that came in.
        other: packets that went out and answered no request of a session: greetings, notifications, proofs.
        n_prompt: replies with a latency of 0.
        n_late: replies with a latency above 0; `late_ms` is its sum.
        replied_ms: when the last reply was written, on the monotonic clock; `last_ms` is its latency.
    """

    __slots__ = (
        "last_ms",
        "late_ms",
        "least_late_ms",
        "most_ms",
        "n_late",
        "n_prompt",
        "other",
        "received",
        "replied_ms",
    )

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start counting anew."""
        self.received = 0
        self.other = 0
        self.n_prompt = 0
        self.n_late = 0
        self.late_ms = 0
        self.least_late_ms = 0
        self.most_ms = 0
        self.last_ms = 0
        self.replied_ms = 0

    def on_replies(self, count: int, latency_ms: int, now_ms: int) -> None:
        """`count` replies were written, `latency_ms` after their requests came in."""
        self.replied_ms = now_ms
        self.last_ms = latency_ms
        if latency_ms <= 0:
            self.n_prompt += count
            return
        if self.n_late == 0 or latency_ms < self.least_late_ms:
            self.least_late_ms = latency_ms
        self.n_late += count
        self.late_ms += count * latency_ms
        if latency_ms > self.most_ms:
            self.most_ms = latency_ms

    def sent(self) -> int:
        """Packets that went out."""
        return self.n_prompt + self.n_late + self.other

    def least_ms(self) -> int:
        """The shortest latency, 0 if nothing was answered."""
        return 0 if self.n_prompt else self.least_late_ms

    def average_ms(self) -> int:
        """The mean latency in whole ms, rounded down."""
        return self.late_ms // max(self.n_prompt + self.n_late, 1)
