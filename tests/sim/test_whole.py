"""Whole members in the simulator: what they are told at their start."""

from zoopark.sim.ensemble import WHOLE, Ensemble
from zoopark.sim.whole import SIZE_FACTORS, history_of, role_of, settings_of
from zoopark.sim.world import SECOND, World
from zoopark.zab.history import WINDOW_TXNS


def settled(n_clients: int = 3) -> Ensemble:
    """Three whole members after some seconds with clients."""
    ensemble = Ensemble(World(5), WHOLE, 3, 1, n_clients)
    for client in ensemble.clients:
        client.is_resting = True
    ensemble.start()
    ensemble.world.run(1 << 30, 5 * SECOND)
    return ensemble


def test_members_serve_and_clients_have_sessions() -> None:
    ensemble = settled()
    assert ensemble.is_settled()
    roles = [role_of(machine.member) for machine in ensemble.machines.values()]
    assert sorted(role[0] for role in roles) == [1, 1, 2, 3]
    assert len(ensemble.truth.sessions) == 3


def test_the_history_is_what_the_disk_holds() -> None:
    ensemble = settled()
    machine = ensemble.machines[1]
    zxid = machine.member.tree.last_zxid
    machine.crash()
    machine.storage.recover()
    history = history_of(machine, machine.storage.found)
    assert history.last_zxid == zxid == ensemble.truth.last_zxid
    assert history.current_epoch == history.accepted_epoch == 1
    assert WINDOW_TXNS > len(ensemble.ledger.committed) > 0


def test_an_observer_has_no_vote() -> None:
    ensemble = settled(1)
    settings = [settings_of(machine) for machine in ensemble.machines.values()]
    assert [one.is_voter() for one in settings] == [True, True, True, False]
    assert {one.limits.size_factor for one in settings} <= set(SIZE_FACTORS)
