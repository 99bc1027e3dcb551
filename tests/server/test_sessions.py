"""Who is alive: buckets, ids and what keeps a session open."""

import pytest

from zoopark.server.sessions import UNHEARD, SessionTracker, first_session_id, sid_of

TICK_MS = 2_000


def _tracker() -> SessionTracker:
    return SessionTracker(TICK_MS, 0x100)


@pytest.mark.parametrize(
    ("heard_ms", "timeout_ms", "due_ms"),
    [(0, 4_000, 6_000), (1, 4_000, 6_000), (1_999, 4_000, 6_000), (2_000, 4_000, 8_000), (500, 4_400, 6_000)],
)
def test_a_session_ends_at_the_next_tick_after_its_timeout(heard_ms: int, timeout_ms: int, due_ms: int) -> None:
    """Timeout to timeout + tickTime after it was last heard of: never too early."""
    tracker = _tracker()
    session = tracker.add(1, timeout_ms, heard_ms)
    assert tracker.deadline() == due_ms == tracker.expiry_ms(session)
    assert tracker.take_expired(due_ms - 1) == []
    assert tracker.take_expired(due_ms) == [session]


def test_a_session_that_is_heard_of_stays() -> None:
    """Hearing only notes the time; the bucket is looked up again when it comes due."""
    tracker = _tracker()
    session = tracker.add(1, 4_000, 0)
    session.heard_ms = 5_000
    assert tracker.take_expired(6_000) == []
    assert tracker.is_open(1)
    assert tracker.deadline() == 10_000
    assert tracker.take_expired(10_000) == [session]


def test_an_expired_session_is_closing_and_expires_once() -> None:
    """Its closeSession is on its way; requests in between find it closed."""
    tracker = _tracker()
    session = tracker.add(1, 4_000, 0)
    assert tracker.take_expired(100_000) == [session]
    assert session.is_closing
    assert not tracker.is_open(1)
    assert tracker.take_expired(200_000) == []
    assert tracker.deadline() is None


def test_a_late_look_finds_all_buckets_in_order() -> None:
    """A server that was stopped for a while expires what was due meanwhile, the earliest first."""
    tracker = _tracker()
    sessions = [tracker.add(number, timeout_ms, 0) for number, timeout_ms in ((1, 20_000), (2, 4_000), (3, 10_000))]
    assert tracker.take_expired(50_000) == [sessions[1], sessions[2], sessions[0]]


def test_a_closed_session_is_not_expired() -> None:
    """Its bucket still holds it and drops it."""
    tracker = _tracker()
    session = tracker.add(1, 4_000, 0)
    assert tracker.remove(1) is session
    assert tracker.remove(1) is None
    assert tracker.take_expired(6_000) == []
    assert tracker.deadline() is None


def test_a_session_made_anew_under_an_old_id_is_another_one() -> None:
    """The bucket of the old one must not end the new one."""
    tracker = _tracker()
    tracker.add(1, 4_000, 0)
    tracker.remove(1)
    new = tracker.add(1, 20_000, 0)
    assert tracker.take_expired(6_000) == []
    assert tracker.take_expired(22_000) == [new]


def test_a_shorter_timeout_counts_from_the_next_look() -> None:
    """A client may attach with another timeout; a session is never ended before its new one is over."""
    tracker = _tracker()
    session = tracker.add(1, 4_000, 0)
    session.timeout_ms, session.heard_ms = 30_000, 3_000
    assert tracker.take_expired(6_000) == []
    assert tracker.deadline() == 34_000


def test_ids_count_up_and_skip_those_in_use() -> None:
    """A session that was recovered may have the next id."""
    tracker = _tracker()
    tracker.add(0x101, 4_000, 0)
    assert [tracker.new_id() for _ in range(3)] == [0x100, 0x102, 0x103]


def test_ids_wrap_around_past_the_marks() -> None:
    """0 is no session, and the most negative number marks containers."""
    tracker = SessionTracker(TICK_MS, (1 << 63) - 1)
    assert [tracker.new_id() for _ in range(2)] == [(1 << 63) - 1, -(1 << 63) + 1]
    tracker = SessionTracker(TICK_MS, -1)
    assert [tracker.new_id() for _ in range(2)] == [-1, 1]


@pytest.mark.parametrize(
    ("server_id", "wall_ms", "expected"),
    [
        (1, 0, 0x0100_0000_0000_0000),
        (1, 0x12_3456_789A, 0x0112_3456_789A_0000),
        (1, 0xFFF12_3456_789A, 0x0112_3456_789A_0000),
        (255, 0, -(1 << 56)),
    ],
)
def test_the_first_id_tells_server_and_time(server_id: int, wall_ms: int, expected: int) -> None:
    """The server's id in the highest byte, 40 bits of the time, 16 bits to count."""
    assert first_session_id(server_id, wall_ms) == expected
    assert sid_of(expected) == server_id & 0xFF


def test_a_later_start_makes_later_ids() -> None:
    """65,536 sessions may be made in each ms before ids of two starts could meet."""
    assert first_session_id(1, 1_001) - first_session_id(1, 1_000) == 1 << 16


def test_a_restart_knows_exactly_what_it_is_told() -> None:
    """A new leader gives every session its whole timeout; a learner lets none expire."""
    tracker = _tracker()
    tracker.add(1, 4_000, 0)
    tracker.restart({2: 4_000}, 10_000, is_expiring=True)
    assert list(tracker.by_id) == [2]
    assert tracker.take_expired(15_999) == []
    assert [session.session_id for session in tracker.take_expired(16_000)] == [2]
    tracker.restart({3: 4_000}, UNHEARD, is_expiring=False)
    tracker.add(4, 4_000, 0)
    assert (tracker.deadline(), tracker.take_expired(1 << 40)) == (None, [])
    assert list(tracker.by_id) == [3, 4]
