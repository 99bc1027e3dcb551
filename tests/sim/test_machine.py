"""A simulated host keeps the order of the real one, and dies when it is told."""

from zoopark.sim.ensemble import ALONE, Ensemble
from zoopark.sim.machine import RATE
from zoopark.sim.workloads import mix
from zoopark.sim.world import SECOND, World


def running(seed: int = 1, n_events: int = 800) -> Ensemble:
    ensemble = Ensemble(World(seed), ALONE, 1, 0, 3)
    for client in ensemble.clients:
        client.draw = mix(["set"])
    ensemble.start()
    ensemble.world.run(n_events)
    return ensemble


def test_what_was_durable_is_there_after_a_power_loss() -> None:
    for seed in range(8):
        ensemble = running(seed)
        machine = ensemble.machines[1]
        durable = ensemble.ledger.mirrors[1].durable_zxid()
        machine.crash(has_power=False)
        assert not machine.is_up()
        machine.start()
        assert machine.is_up() and machine.member.tree.last_zxid >= durable > 0


def test_it_dies_between_two_effects_and_comes_back() -> None:
    ensemble = running()
    machine = ensemble.machines[1]
    life, machine.doom = machine.life, 5
    ensemble.world.run(2000)
    assert machine.life > life and machine.is_up() and machine.doom == 0
    assert ensemble.world.counts["died between two effects"] == 1


def test_a_stopped_process_answers_nothing_and_then_everything() -> None:
    ensemble = running()
    machine = ensemble.machines[1]
    machine.pause()
    answered = sum(client.n_answers for client in ensemble.clients)
    ensemble.world.run(10_000, ensemble.world.now_us + SECOND // 2)
    stopped = sum(client.n_answers for client in ensemble.clients)
    machine.resume()
    ensemble.world.run(500)
    assert stopped - answered <= 3  # what was on its way
    assert sum(client.n_answers for client in ensemble.clients) > stopped


def test_a_skewed_clock_never_goes_back() -> None:
    ensemble = running()
    machine = ensemble.machines[1]
    before = machine.now()
    machine.skew(RATE * 2, -60_000)
    assert machine.now().mono_ms >= before.mono_ms and machine.now().wall_ms < before.wall_ms
    start_us, start_ms = ensemble.world.now_us, machine.now().mono_ms
    ensemble.world.run(10_000, start_us + SECOND)
    assert machine.now().mono_ms - start_ms == 2000
