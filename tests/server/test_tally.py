"""What one connection does is counted for itself and for its server."""

from zoopark.record import Now
from zoopark.server.metrics import Metrics, nothing_known
from zoopark.server.tally import Tally
from zoopark.server.traffic import Traffic


def _tally() -> Tally:
    return Tally(Traffic(), Metrics(Now(0, 0), nothing_known))


def test_packets_that_come_in_count_in_both_places() -> None:
    """`cons` and `srvr` must not contradict each other."""
    tally = _tally()
    tally.received(3, 60)
    tally.received(1, 20)
    assert (tally.traffic.received, tally.metrics.received, tally.metrics.bytes_received) == (4, 4, 80)


def test_quick_reads_count_once_they_are_settled() -> None:
    """The shortest path only adds to two ints; asking must show all of it, and only once."""
    tally = _tally()
    tally.n_quick, tally.n_quick_bytes = 5, 150
    tally.settle(17)
    tally.settle(18)
    assert (tally.traffic.received, tally.traffic.sent(), tally.traffic.replied_ms) == (5, 5, 17)
    assert (tally.metrics.received, tally.metrics.bytes_received, tally.metrics.reads.n_prompt) == (5, 150, 5)


def test_late_reads_keep_their_latency() -> None:
    """A read behind a write waits, and its wait is part of what clients see."""
    tally = _tally()
    tally.reads(2, 30, 100)
    assert (tally.traffic.n_late, tally.traffic.most_ms, tally.metrics.reads.summary().most) == (2, 30, 30)


def test_notifications_answer_no_request() -> None:
    """They are sent packets, but no reply with a latency."""
    tally = _tally()
    tally.notified(2, 88)
    assert (tally.traffic.sent(), tally.traffic.n_prompt, tally.metrics.watch_bytes) == (2, 0, 88)
