"""The peer: whole members under crashes, lost links and any order of events; one among members that say anything."""

import pytest

from tests.zab.cluster import Cluster
from tests.zab.lone import Lone
from tests.zab.machine import Machine
from zoopark.jute.quorum import FOLLOWERINFO, FOLLOWING, LEADING, LOOKING, OBSERVING, LearnerInfo, QuorumPacket
from zoopark.jute.quorum import encode_learner_info as encoded
from zoopark.record import Now
from zoopark.zab.effects import CloseLink
from zoopark.zab.quorum import Majority
from zoopark.zab.settings import PeerSettings

NOW = Now(0, 0)


@pytest.mark.parametrize("seed", range(60))
def test_three_members_agree_whatever_happens(seed: int) -> None:
    """All invariants hold after each of 2000 steps with crashes at any effect; then the ensemble forms and agrees."""
    cluster = Cluster(seed)
    cluster.run(2000, n_faults=5, n_txns=15)
    cluster.calm()
    assert cluster.n_proposed == 15 or len(cluster.committed) <= cluster.n_proposed


@pytest.mark.parametrize("seed", range(15))
def test_an_observer_follows_along(seed: int) -> None:
    """It holds what is committed, and a quorum never counts it."""
    cluster = Cluster(seed, n_voters=3, n_observers=1)
    cluster.run(2000, n_faults=4, n_txns=15)
    cluster.calm()
    assert cluster.machines[4].tree == cluster.committed


@pytest.mark.parametrize("seed", range(10))
def test_one_and_two_and_five_members_agree_too(seed: int) -> None:
    for n_voters in (1, 2, 5):
        cluster = Cluster(seed, n_voters)
        cluster.run(1200, n_faults=3, n_txns=10)
        cluster.calm()
        assert all(machine.log == cluster.committed for machine in cluster.machines.values())


def test_fate_leaves_nothing_out() -> None:
    """The seeds above mean little if they never truncate, never send a snapshot, never read the log."""
    kinds: set[str] = set()
    for seed in range(30):
        cluster = Cluster(seed, 3, 1)
        cluster.run(2000, n_faults=6, n_txns=20)
        kinds |= cluster.kinds
    assert {"Truncate", "SendSnapshot", "ReadLog", "Replay", "packet 8", "packet 13", "packet 14", "packet 15"} <= kinds


def test_a_disk_that_lies_is_found_out() -> None:
    """The invariants must be able to fail: a machine that forgets half of its log in a crash breaks them."""

    def forgetful(seed: int) -> None:
        cluster = Cluster(seed)
        cluster.run(1500, n_txns=15)
        for machine in list(cluster.machines.values())[:2]:
            machine.log = machine.log[: len(machine.log) // 2]
        cluster.check()

    with pytest.raises(AssertionError, match="I-9"):
        for seed in range(5):
            forgetful(seed)


@pytest.mark.parametrize("sid", [1, 3, 4])
def test_any_packet_in_any_state_of_any_role_does_no_harm(sid: int) -> None:
    """Nothing another member says raises, or makes this one acknowledge, deliver or log what it must not."""
    states: set[tuple[int, bool]] = set()
    for seed in range(120):
        lone = Lone(seed, sid)
        lone.run(300)
        states |= lone.states
    learning = OBSERVING if sid == 4 else FOLLOWING
    assert {(LOOKING, False), (learning, False), (learning, True)} <= states
    assert sid == 4 or {(LEADING, False), (LEADING, True)} <= states


def test_a_learner_that_comes_early_is_kept_until_the_election_ends() -> None:
    """Its election may be over a little before ours; turned away it would have to look again."""
    machine = Machine(PeerSettings(1, Majority([1, 2, 3])))
    machine.start(NOW)
    peer = machine.peer
    assert peer is not None
    peer.take()
    peer.on_link(7, NOW)
    peer.on_packet(7, QuorumPacket(FOLLOWERINFO, 0, encoded(LearnerInfo(2))), NOW)
    assert peer.take() == []
    peer.on_packet(7, QuorumPacket(FOLLOWERINFO, 0), NOW)
    assert [type(effect) for effect in peer.take()] == [CloseLink]


def test_links_that_come_early_are_bounded() -> None:
    machine = Machine(PeerSettings(1, Majority([1, 2, 3])))
    machine.start(NOW)
    peer = machine.peer
    assert peer is not None
    peer.take()
    for link in range(100):
        peer.on_link(link, NOW)
    closed = [effect.link for effect in peer.take() if isinstance(effect, CloseLink)]
    assert closed == list(range(64, 100))
