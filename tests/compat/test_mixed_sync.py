"""What servers of one kind tell one of the other kind that was away: SNAP, DIFF from memory and from the log, TRUNC."""

from typing import Final

import pytest

from tests.compat.conftest import Form
from tests.compat.members import Members, count, fill

pytestmark = pytest.mark.compat

PAIRS: Final = [("zoopark", "3.9.3"), ("3.9.3", "zoopark"), ("zoopark", "3.8"), ("3.8", "zoopark")]
MORE_THAN_THE_WINDOW: Final = 600
LARGE: Final = b"x" * 900_000
WAYS: Final = {
    "zoopark": {"SNAP": "saving the leader's snapshot", "TRUNC": "truncating the log", "DIFF": "in epoch"},
    "apache": {"SNAP": "Getting a snapshot", "TRUNC": "Truncating log", "DIFF": "Getting a diff"},
}
"""What a learner writes when it is told; zoopark says nothing of a DIFF."""


def way(members: Members, sid: int) -> str:
    """SNAP, TRUNC or DIFF: what this one was told when it came last."""
    ways, said = WAYS[members.servers[sid].flavour.name.partition("-")[0]], members.said(sid)
    return next(name for name, words in ways.items() if words in said)


def miss(members: Members, sid: int, numbers: range) -> str:
    """This one is killed, and comes back when the others have written these numbers: which way it is told."""
    members.kill(sid)
    fill(members.client(2), "/n", numbers)
    members.start(sid)
    assert members.rows(sid) == members.rows(2)
    return way(members, sid)


def miss_in_every_way(members: Members, sid: int) -> None:
    """DIFF as long as what is missing is in memory, or in logs of less than a third of a snapshot; else SNAP."""
    members.client(2).create("/n")
    assert "/n" in members.rows(sid), "who has logged nothing yet gets a snapshot, however little is missing"
    assert miss(members, sid, range(20)) == "DIFF"
    assert miss(members, sid, range(100, 100 + MORE_THAN_THE_WINDOW)) == "SNAP"
    client = members.client(2)
    for name in ("/large-1", "/large-2"):
        client.create(name, LARGE)
    members.save_all(client, 2 * len(LARGE))
    assert miss(members, sid, range(2000, 2000 + MORE_THAN_THE_WINDOW)) == "DIFF"
    members.kill(sid)
    members.wipe(sid)
    members.start(sid)
    assert way(members, sid) == "SNAP"
    assert members.rows(sid) == members.rows(2)


@pytest.mark.parametrize(("learner", "leader"), PAIRS[:2])
def test_what_a_follower_missed_comes_by_diff_or_snapshot(form: Form, learner: str, leader: str) -> None:
    members = form(learner, leader, leader, properties={"zookeeper.snapCount": "100"}).start()
    miss_in_every_way(members, 1)


@pytest.mark.parametrize(("learner", "leader"), PAIRS[:2])
def test_what_an_observer_missed_comes_by_diff_or_snapshot(form: Form, learner: str, leader: str) -> None:
    members = form(leader, leader, learner, n_observers=1, properties={"zookeeper.snapCount": "100"}).start()
    miss_in_every_way(members, 3)


@pytest.mark.parametrize(("learner", "leader"), PAIRS)
def test_what_was_never_committed_is_taken_back(form: Form, learner: str, leader: str) -> None:
    """A leader logs what nobody else hears of, and dies: TRUNC; where another epoch has begun to write, SNAP."""
    members = form(leader, leader, learner).start()
    for at, told in enumerate(("TRUNC", "SNAP")):
        members.make_leader(3)
        count(members.client(3), f"/before-{at}", range(10))
        members.doom(3, f"/doomed-{at}")
        members.start(1, 2)
        if told == "SNAP":
            count(members.client(2), "/n", range(10))
        members.start(3)
        assert way(members, 3) == told
        count(members.client(3), f"/after-{at}", range(10))
        rows = members.rows(3)
        assert f"/doomed-{at}" not in rows and f"/after-{at}/9" in rows
        assert rows == members.rows(2) == members.rows(1)
