"""A member that only agrees."""

from tests.sim.test_ensemble import settled
from zoopark.jute.quorum import LEADING


def test_only_a_serving_leader_writes() -> None:
    ensemble = settled()
    wrote = {sid: machine.member.write(machine.now()) for sid, machine in ensemble.machines.items()}
    assert [sid for sid, has_written in wrote.items() if has_written] == [ensemble.leader()]


def test_what_it_became_is_what_its_peer_is() -> None:
    ensemble = settled()
    for sid, machine in ensemble.machines.items():
        member = machine.member
        assert member.became.state == member.peer.state and member.became.is_serving
        assert (member.became.state == LEADING) == (sid == ensemble.leader())


def test_trees_are_equal_on_all_members() -> None:
    digests = {machine.member.tree.digest for machine in settled().machines.values()}
    assert len(digests) == 1
