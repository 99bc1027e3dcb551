"""What a member counts of its part in an ensemble."""

import pytest

from tests.compat import requests as ask
from tests.server.house import House
from tests.server.stand import greeting, wire_session
from zoopark.jute.quorum import FOLLOWING, LEADING, LOOKING, OBSERVING
from zoopark.jute.txn import HEADER
from zoopark.record import Now
from zoopark.server.metrics import Metrics, nothing_known
from zoopark.server.standing import Standing
from zoopark.zab.effects import Became
from zoopark.zab.history import History
from zoopark.zab.peer import Peer
from zoopark.zab.quorum import Majority
from zoopark.zab.settings import PeerSettings

WALL_MS = 1_600_000_000_000


def _now(mono_ms: int) -> Now:
    return Now(mono_ms, WALL_MS + mono_ms)


def _standing() -> Standing:
    peer = Peer(PeerSettings(1, Majority([1, 2, 3])), History(0))
    return Standing(peer, Metrics(_now(0), nothing_known), _now(0))


def _entries(*made_ms: int) -> list[tuple[int, bytes]]:
    return [(zxid, HEADER.pack(1, 1, zxid, WALL_MS + made, 1)) for zxid, made in enumerate(made_ms, 1)]


def _become(standing: Standing, state: int, found_ms: int, serving_ms: int) -> None:
    standing.on_became(Became(state, False, 3, 1), _now(found_ms))
    standing.on_became(Became(state, True, 3, 1), _now(serving_ms))


@pytest.mark.parametrize(
    ("state", "times"),
    [
        (FOLLOWING, {"election": "30", "follower_sync": "12", "unavailable": "47"}),
        (LEADING, {"election": "30", "unavailable": "47", "leader_unavailable": "47"}),
        (OBSERVING, {"observer_sync": "12", "unavailable": "47"}),
    ],
)
def test_times_of_a_search_that_ends_well(state: int, times: dict[str, str]) -> None:
    """It began 5 ms after the start, which counts as time without service."""
    standing = _standing()
    standing.on_became(Became(LOOKING, False, -1, 0), _now(5))
    _become(standing, state, 35, 47)
    rows = dict(standing.rows())
    counted = {name: value for name, value in rows.items() if name.startswith("sum_") and name.endswith("_time")}
    assert {name: value for name, value in counted.items() if value != "0"} == {
        f"sum_{name}_time": value for name, value in times.items()
    }
    assert rows["looking_count"] == "1"


def test_time_without_service_goes_on_through_roles_that_come_to_nothing() -> None:
    """Two searches, one of which ended in a leader that never was: clients waited for both."""
    standing = _standing()
    standing.on_became(Became(LOOKING, False, -1, 0), _now(0))
    standing.on_became(Became(FOLLOWING, False, 3, 0), _now(10))
    standing.on_became(Became(LOOKING, False, -1, 0), _now(50))
    _become(standing, FOLLOWING, 60, 70)
    standing.on_became(Became(LOOKING, False, -1, 1), _now(1_000))
    _become(standing, LEADING, 1_030, 1_100)
    rows = dict(standing.rows())
    assert (rows["looking_count"], rows["cnt_unavailable_time"], rows["sum_unavailable_time"]) == ("3", "2", "170")
    assert (rows["sum_leader_unavailable_time"], rows["sum_election_time"]) == ("100", "50")


@pytest.mark.parametrize(
    ("state", "counts", "latency"),
    [
        (LEADING, ("3", "2", "0", "0"), "quorum_ack_latency"),
        (FOLLOWING, ("0", "0", "3", "2"), "commit_propagation_latency"),
        (OBSERVING, ("0", "0", "0", "2"), "commit_propagation_latency"),
    ],
)
def test_transactions_count_for_the_role_in_which_they_came(state: int, counts: tuple[str, ...], latency: str) -> None:
    """Their age is measured by the moment within them; a clock that is ahead makes it 0."""
    standing = _standing()
    _become(standing, state, 0, 1)
    standing.on_append(_entries(100, 100, 150), _now(160))
    standing.on_delivered(_entries(150, 250), _now(200))
    rows = dict(standing.rows())
    names = ("proposal", "commit", "learner_proposal_received", "learner_commit_received")
    assert tuple(rows[f"{name}_count"] for name in names) == counts
    assert (rows[f"cnt_{latency}"], rows[f"sum_{latency}"], rows[f"max_{latency}"]) == ("2", "50", "50")
    propagation = standing.metrics.propagation.summary()
    assert (propagation.count, propagation.sum) == (2, 50)
    proposals = {FOLLOWING: ("3", "130")}.get(state, ("0", "0"))
    assert (rows["cnt_proposal_latency"], rows["sum_proposal_latency"]) == proposals
    assert (standing.metrics.batch_size.count, standing.metrics.batch_size.sum) == (1, 3)


def test_a_leaders_clock_that_was_set_back_hides_nothing() -> None:
    """Every transaction is counted once, in whatever order their moments are."""
    standing = _standing()
    _become(standing, FOLLOWING, 0, 1)
    standing.on_delivered(_entries(100, 90, 100, 95, 100), _now(110))
    assert dict(standing.rows())["cnt_commit_propagation_latency"] == "5"


def test_a_synchronisation_is_logged_and_no_proposal() -> None:
    """What brings a member up to date came before it served."""
    standing = _standing()
    standing.on_became(Became(FOLLOWING, False, 3, 0), _now(0))
    standing.on_append(_entries(1), _now(5))
    assert dict(standing.rows())["learner_proposal_received_count"] == "0"
    assert standing.metrics.batch_size.count == 1


def _gauges(house: House, name: str) -> dict[str, str]:
    return dict(house.member(name).standing.gauges(house.now))


def test_a_leader_tells_of_its_learners() -> None:
    """Two voters and an observer; of a follower that is gone nothing is told."""
    house = House("abcd")
    leader = house.form()
    asker = house.connect(leader)
    asker.raw(greeting())
    house.settle()
    asker.session_id = wire_session(asker.frames.pop())
    asker.ask(ask.create("/a", b"x"))
    found = _gauges(house, leader)
    assert found.pop("leader_uptime").isdecimal()
    assert found == {
        "peer_state": "leading - broadcast",
        "quorum_size": "3",
        "learners": "3",
        "synced_followers": "2",
        "synced_non_voting_followers": "0",
        "synced_observers": "1",
        "pending_syncs": "0",
        "last_proposal_size": "87",
        "min_proposal_size": "48",
        "max_proposal_size": "87",
    }
    house.crash(next(name for name in "abc" if name != leader))
    house.settle()
    assert [_gauges(house, leader)[name] for name in ("learners", "synced_followers")] == ["2", "1"]


def test_learners_tell_whom_they_follow() -> None:
    """Only an observer does, as in ZooKeeper."""
    house = House("abcd")
    leader = house.form()
    follower = next(name for name in "abc" if name != leader)
    assert _gauges(house, follower) == {"peer_state": "following - broadcast", "quorum_size": "3"}
    sid = str("abcd".index(leader) + 1)
    expected = {"peer_state": "observing - broadcast", "quorum_size": "3", "observer_master_id": sid}
    assert _gauges(house, "d") == expected


def test_a_leader_counts_how_learners_were_brought_up_to_date() -> None:
    """By what they lack, or by a snapshot."""
    house = House("abcd")
    leader = house.form()
    before = dict(house.member(leader).standing.rows())
    assert (before["diff_count"], before["snap_count"], before["cnt_inflight_snap_count"]) == ("3", "0", "0")
    house.member(leader).standing.reset()
    assert dict(house.member(leader).standing.rows())["diff_count"] == "0"


def test_a_reset_counts_anew() -> None:
    standing = _standing()
    unused = standing.rows()
    _become(standing, FOLLOWING, 10, 20)
    standing.on_append(_entries(1), _now(30))
    standing.on_delivered(_entries(1), _now(30))
    standing.n_revalidated += 1
    assert standing.rows() != unused
    standing.reset()
    assert standing.rows() == unused
