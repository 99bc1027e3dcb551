"""The history, and the laws of synchronisation: whatever the plan is, the learner becomes a copy of the leader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoopark.zab.history import ACCEPTED_EPOCH, CURRENT_EPOCH, History, is_next
from zoopark.zab.outbox import Entry
from zoopark.zab.synchronisation import Diff, FromLog, Plan, Snap, Trunc, plan_from_log, plan_sync
from zoopark.zxid import counter_of, epoch_of, make_zxid


def entries(*zxids: tuple[int, int]) -> list[Entry]:
    return [(make_zxid(epoch, counter), f"{epoch}:{counter}".encode()) for epoch, counter in zxids]


@pytest.mark.parametrize(
    ("previous", "zxid", "expected"),
    [
        ((1, 1), (1, 2), True),
        ((1, 1), (1, 3), False),
        ((1, 1), (1, 1), False),
        ((1, 9), (2, 1), True),
        ((1, 9), (4, 1), True),
        ((1, 9), (2, 2), False),
        ((1, 9), (2, 0), False),
        ((2, 0), (2, 1), True),
        ((2, 1), (1, 2), False),
        ((0, 0), (1, 1), True),
    ],
)
def test_what_follows_without_a_hole(previous: tuple[int, int], zxid: tuple[int, int], expected: bool) -> None:
    assert is_next(make_zxid(*zxid), make_zxid(*previous)) is expected


WINDOW = entries((1, 3), (2, 1), (2, 2), (2, 3))
LAST = make_zxid(2, 3)


@pytest.mark.parametrize(
    ("learner", "expected"),
    [
        ((2, 3), Diff(LAST, [])),
        ((2, 2), Diff(LAST, WINDOW[3:])),
        ((1, 3), Diff(LAST, WINDOW[1:])),
        ((2, 4), Trunc(LAST, [])),
        ((9, 9), Trunc(LAST, [])),
        ((3, 0), Snap(LAST)),
        ((2, 0), Diff(LAST, WINDOW[1:])),
        ((1, 4), Snap(LAST)),
        ((1, 2), FromLog(make_zxid(1, 2), LAST)),
        ((0, 0), FromLog(0, LAST)),
    ],
)
def test_the_decision_table(learner: tuple[int, int], expected: Plan | FromLog) -> None:
    """Row by row, as ZooKeeper's LearnerHandler.syncFollower decides."""
    assert plan_sync(make_zxid(*learner), LAST, WINDOW, may_read_log=True) == expected


def test_without_the_log_what_is_too_old_gets_a_snapshot() -> None:
    """ZOOKEEPER-4352: an empty window reaches back to nothing, least of all to zxid 0."""
    assert plan_sync(0, LAST, WINDOW, may_read_log=False) == Snap(LAST)
    assert plan_sync(0, LAST, [], may_read_log=False) == Snap(LAST)


LOGGED = entries((1, 1), (1, 2), (1, 3), (2, 1))


@pytest.mark.parametrize(
    ("learner", "logged", "expected"),
    [
        ((1, 2), LOGGED[1:], Diff(LAST, WINDOW)),
        ((1, 1), LOGGED, Diff(LAST, [*LOGGED[1:2], *WINDOW])),
        ((1, 1), None, Snap(LAST)),
        ((1, 1), [], Snap(LAST)),
        ((1, 1), LOGGED[1:], Snap(LAST)),
        ((1, 1), LOGGED[:1], Snap(LAST)),
        ((1, 1), [LOGGED[0], *LOGGED[2:]], Snap(LAST)),
        ((1, 1), [*LOGGED, *entries((2, 2), (2, 3), (2, 4))], Snap(LAST)),
    ],
    ids=[
        "log",
        "older",
        "none",
        "empty",
        "too late",
        "hole before the window",
        "hole within",
        "beyond what is committed",
    ],
)
def test_with_the_log(learner: tuple[int, int], logged: list[Entry] | None, expected: Plan) -> None:
    """Log and window together have no hole, and nothing that is not committed (ZOOKEEPER-2846); else a snapshot."""
    assert plan_from_log(make_zxid(*learner), LAST, logged, WINDOW) == expected


def carried_out(plan: Plan, learner: list[Entry], leader: list[Entry]) -> list[Entry]:
    """What the learner's history is when it has done what it was told."""
    if isinstance(plan, Snap):
        return [entry for entry in leader if entry[0] <= plan.zxid]
    if isinstance(plan, Trunc):
        assert not learner or counter_of(learner[-1][0]) != 0
        learner = [entry for entry in learner if entry[0] <= plan.zxid]
    return learner + plan.entries


@st.composite
def ensembles(draw: st.DrawFn) -> tuple[list[Entry], list[Entry], int]:
    """The histories of a leader and of a learner that Zab allows, and how much of the leader's is at hand.

    They share a beginning. The learner may have more in the last epoch they share, or of a later one that began there.
    """
    zxids = [make_zxid(1, 1)]
    for is_new_epoch in draw(st.lists(st.booleans(), max_size=12)):
        last = zxids[-1]
        zxids.append(make_zxid(epoch_of(last) + draw(st.integers(1, 3)), 1) if is_new_epoch else last + 1)
    leader = [(zxid, b"leader") for zxid in zxids]
    learner = leader[: draw(st.integers(0, len(leader)))]
    following = leader[len(learner)][0] if len(learner) < len(leader) else None
    start = learner[-1][0] if learner else 0
    is_end_of_epoch = following is None or epoch_of(following) != epoch_of(start)
    if is_end_of_epoch and start:
        learner = learner + [(start + extra, b"learner") for extra in range(1, draw(st.integers(0, 3)) + 1)]
    return leader, learner, draw(st.integers(0, len(leader)))


@given(ensembles(), st.booleans())
def test_the_learner_becomes_a_copy_of_the_leader(case: tuple[list[Entry], list[Entry], int], may_read: bool) -> None:
    """The law of synchronisation, for every pair of histories."""
    leader, learner, n_window = case
    last_zxid, learner_zxid = leader[-1][0], learner[-1][0] if learner else 0
    window = leader[len(leader) - n_window :]
    plan = plan_sync(learner_zxid, last_zxid, window, may_read)
    if isinstance(plan, FromLog):
        start = max((at for at, (zxid, _) in enumerate(leader) if zxid <= plan.from_zxid), default=None)
        logged = None if start is None else [entry for entry in leader[start:] if entry[0] <= plan.upto_zxid]
        plan = plan_from_log(learner_zxid, last_zxid, logged, window)
    assert carried_out(plan, learner, leader) == leader


def test_what_is_applied_is_in_the_window_without_a_hole() -> None:
    """ZOOKEEPER-4925: whichever way a transaction came."""
    history = History(make_zxid(1, 1), entries((1, 1)), 1, 1)
    for entry in entries((1, 2), (1, 3)):
        history.append(entry)
    assert history.apply(make_zxid(1, 2)) == entries((1, 2))
    assert list(history.window) == entries((1, 1), (1, 2))
    assert list(history.pending) == entries((1, 3))


def test_a_truncation_takes_the_window_back() -> None:
    history = History(make_zxid(1, 3), entries((1, 1), (1, 2), (1, 3)), 1, 1)
    history.truncate(make_zxid(1, 2))
    assert not history.is_settled()
    history.on_truncated(make_zxid(1, 2))
    assert (history.last_zxid, list(history.window)) == (make_zxid(1, 2), entries((1, 1), (1, 2)))


def test_a_snapshot_leaves_no_window() -> None:
    """What was applied before it may differ from what it holds."""
    history = History(make_zxid(1, 3), entries((1, 3)), 1, 2)
    history.receive(make_zxid(2, 7))
    history.on_snapshot_saved(make_zxid(2, 7))
    assert (history.last_zxid, history.applied_zxid, list(history.window)) == (make_zxid(2, 7), make_zxid(2, 7), [])


def test_a_lost_snapshot_changes_nothing() -> None:
    history = History(make_zxid(1, 3), entries((1, 3)), 1, 2)
    history.receive(make_zxid(2, 7))
    history.on_snapshot_lost()
    assert (history.last_zxid, list(history.window), history.is_settled()) == (make_zxid(1, 3), entries((1, 3)), True)


def test_an_epoch_is_one_when_the_disk_has_it() -> None:
    """ZOOKEEPER-2307: the file first, then the memory."""
    history = History(0)
    history.save(ACCEPTED_EPOCH, 1)
    assert (history.accepted_epoch, history.is_settled()) == (0, False)
    history.on_epoch_saved()
    history.save(CURRENT_EPOCH, 1)
    history.on_epoch_saved()
    assert (history.accepted_epoch, history.current_epoch, history.is_settled()) == (1, 1, True)


def test_it_is_settled_when_all_that_was_appended_is_durable() -> None:
    history = History(0, (), 1, 1)
    for entry in entries((1, 1), (1, 2)):
        history.append(entry)
    history.on_logged(make_zxid(1, 1))
    assert not history.is_settled()
    history.on_logged(make_zxid(1, 2))
    assert history.is_settled()


def test_a_hole_is_our_own_fault() -> None:
    history = History(make_zxid(1, 1), (), 1, 1)
    with pytest.raises(AssertionError):
        history.append((make_zxid(1, 3), b""))
