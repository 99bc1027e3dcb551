"""What one connection counts."""

import pytest

from zoopark.server.traffic import Traffic

Replies = list[tuple[int, int]]


@pytest.mark.parametrize(
    ("replies", "least_average_most"),
    [
        ([], (0, 0, 0)),
        ([(1, 0)], (0, 0, 0)),
        ([(1, 7)], (7, 7, 7)),
        ([(1, 7), (1, 3)], (3, 5, 7)),
        ([(1, 3), (3, 7)], (3, 6, 7)),
        ([(1, 7), (1, 0)], (0, 3, 7)),
        ([(20, 0), (1, 210)], (0, 10, 210)),
    ],
)
def test_latencies_are_summed_up(replies: Replies, least_average_most: tuple[int, int, int]) -> None:
    """The mean is a whole number rounded down, as `cons` prints it."""
    traffic = Traffic()
    for count, latency_ms in replies:
        traffic.on_replies(count, latency_ms, 1_000)
    assert (traffic.least_ms(), traffic.average_ms(), traffic.most_ms) == least_average_most


def test_sent_is_replies_and_the_rest() -> None:
    """Greetings and notifications are packets too, but nobody waited for them."""
    traffic = Traffic()
    traffic.on_replies(3, 0, 1_000)
    traffic.on_replies(2, 9, 1_000)
    traffic.other += 4
    assert traffic.sent() == 9
    assert traffic.average_ms() == 2 * 9 // 5


def test_the_last_reply_is_remembered() -> None:
    """Also a prompt one after a late one."""
    traffic = Traffic()
    traffic.on_replies(1, 40, 1_000)
    traffic.on_replies(1, 0, 2_000)
    assert (traffic.last_ms, traffic.replied_ms) == (0, 2_000)


def test_a_clock_that_stands_still_is_prompt() -> None:
    """A latency below 0 cannot be; should a caller give one, it must not spoil the sum."""
    traffic = Traffic()
    traffic.on_replies(1, -5, 1_000)
    assert (traffic.least_ms(), traffic.late_ms, traffic.sent()) == (0, 0, 1)


def test_a_reset_forgets_everything() -> None:
    """As a new one."""
    traffic = Traffic()
    traffic.received = traffic.other = 5
    traffic.on_replies(3, 0, 1_000)
    traffic.on_replies(2, 9, 1_000)
    traffic.reset()
    for name in (
        "received",
        "other",
        "n_prompt",
        "n_late",
        "late_ms",
        "least_late_ms",
        "most_ms",
        "last_ms",
        "replied_ms",
    ):
        assert (name, getattr(traffic, name)) == (name, getattr(Traffic(), name))
