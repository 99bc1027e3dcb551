"""Simulated clients behave as clients do."""

from tests.sim.test_machine import running
from zoopark.sim import asks
from zoopark.sim.client import DOWN, OPEN
from zoopark.sim.workloads import mix
from zoopark.sim.world import SECOND


def test_a_session_survives_its_connection() -> None:
    ensemble = running()
    client = ensemble.clients[0]
    session_id = client.view.session.session_id
    client.hang_up_soon()
    ensemble.world.run(400)
    assert ensemble.world.counts["client hangs up"] == 1 and ensemble.world.counts["session moved"] == 1
    assert client.state == OPEN and client.view.session.session_id == session_id != 0


def test_a_client_that_dies_leaves_its_session_to_expire() -> None:
    ensemble = running()
    client = ensemble.clients[0]
    session_id = client.view.session.session_id
    client.die_soon()
    ensemble.world.run(1 << 30, ensemble.world.now_us + 10 * SECOND)
    assert ensemble.world.counts["client died"] == 1
    assert client.view.session.session_id not in (0, session_id)
    assert ensemble.truth.sessions[session_id] > 0


def test_a_client_is_served_once_everything_it_asked_is_answered() -> None:
    ensemble = running()
    client = ensemble.clients[0]
    client.is_resting = True
    ensemble.world.run(1 << 30, ensemble.world.now_us + SECOND)
    assert client.is_served()
    client.ask(asks.sync(b"/"))
    assert not client.is_served()
    ensemble.world.run(1 << 30, ensemble.world.now_us + SECOND)
    assert client.is_served()
    client.die_soon()
    assert not client.is_served()
    ensemble.world.run(1 << 30, ensemble.world.now_us + 2 * SECOND)
    assert client.is_served()
    assert client.link is not None
    ensemble.network.break_link(client.link)
    assert not client.is_served()


def test_a_silent_server_is_given_up() -> None:
    ensemble = running()
    ensemble.network.block([(1, client.place) for client in ensemble.clients])
    ensemble.world.run(1 << 30, ensemble.world.now_us + 7 * SECOND)
    assert all(client.state == DOWN for client in ensemble.clients)
    assert ensemble.world.counts["client gives up a silent server"] >= 3


def test_an_idle_client_keeps_its_session() -> None:
    ensemble = running()
    sessions = [client.view.session.session_id for client in ensemble.clients]
    for client in ensemble.clients:
        client.is_resting = True
    ensemble.world.run(1 << 30, ensemble.world.now_us + 30 * SECOND)
    assert sessions == [client.view.session.session_id for client in ensemble.clients]
    assert not any(ensemble.truth.sessions[session_id] for session_id in sessions)


def test_a_session_that_expired_is_told_and_followed_by_a_new_one() -> None:
    ensemble = running()
    client = ensemble.clients[0]
    old = client.view.session.session_id
    ensemble.network.block([(client.place, 1)])
    ensemble.world.run(1 << 30, ensemble.world.now_us + 15 * SECOND)
    ensemble.heal_network()
    ensemble.world.run(1 << 30, ensemble.world.now_us + 5 * SECOND)
    assert ensemble.truth.sessions[old] > 0 and client.view.session.session_id not in (0, old)


def test_what_is_under_way_when_the_link_is_lost_has_an_unknown_outcome() -> None:
    ensemble = running(2, 500)
    for client in ensemble.clients:
        client.draw = mix(["cas register"])
    ensemble.world.run(2000)
    for link in list(ensemble.network.links.values()):
        ensemble.network.break_link(link)
    ensemble.world.run(500)
    unknown = [
        operation
        for client in ensemble.clients
        for operations in client.history.values()
        for operation in operations
        if operation.answer is None
    ]
    assert len(unknown) <= ensemble.world.counts.get("write with an unknown outcome", 0)
