"""What clients were told is judged later as it would have been judged at once."""

from ast import literal_eval
from collections.abc import Callable
from typing import Any

import pytest

from tests.sim.checkers.test_truth import body_of_create, body_of_set
from zoopark import errors
from zoopark.jute import txn as txns
from zoopark.jute.buffer import I32
from zoopark.sim import asks
from zoopark.sim.asks import Answer, Ask
from zoopark.sim.checkers import Violation
from zoopark.sim.checkers.recording import Recording, Replay, one_history
from zoopark.sim.ensemble import WHOLE
from zoopark.sim.scenario import Plan, Run
from zoopark.tree.watches import NODE_DATA_CHANGED

Told = list[tuple[str, str, tuple[Any, ...]]]
BODIES = [
    (txns.CREATE_SESSION, I32.pack(3000)),
    (txns.CREATE, body_of_create(b"/a")),
    (txns.SET_DATA, body_of_set(b"/a", b"y", 1)),
    (txns.CLOSE_SESSION, b""),
]
COMMITTED = [(zxid, txns.HEADER.pack(7, 0, zxid, 0, kind) + body) for zxid, (kind, body) in enumerate(BODIES, 1)]


class Client:
    """A recorded client that is let into session 7."""

    def __init__(self, told: Told, name: str = "x") -> None:
        self.recording = Recording(name, lambda what, arguments: told.append((name, what, arguments)))
        self.recording.on_connected(7)

    def told(self, ask: Ask, zxid: int, value: tuple[Any, ...] = (), err: int = errors.OK) -> None:
        answer = Answer(err, zxid)
        answer.value = value
        if ask.op == asks.create(b"/").op:
            answer.path = ask.path
        self.recording.on_zxid(zxid)
        self.recording.on_answer(ask, answer)


def replay(told: Told, committed: list[tuple[int, bytes]] = COMMITTED) -> Replay:
    judge = Replay(committed)
    for name, what, arguments in told:
        judge.on_told(name, what, arguments)
    judge.finish()
    return judge


def an_honest_client(client: Client) -> None:
    client.told(asks.create(b"/a", b"x"), 2)
    client.told(asks.get_data(b"/a", True), 2, (b"x", 0, 2))
    client.recording.on_link_lost()
    client.recording.on_connected(7)
    client.recording.on_event(NODE_DATA_CHANGED, b"/a", 3)
    client.recording.on_rearmed(3)
    client.recording.on_sync_sent()
    client.told(asks.sync(b"/a"), 3)
    client.told(asks.multi(asks.get_data(b"/a")), 3, err=errors.NO_NODE)
    client.recording.on_expired()


def test_the_truth_is_accepted() -> None:
    told: Told = []
    an_honest_client(Client(told))
    judge = replay(told)
    assert judge.truth.last_zxid == 4
    assert (judge.views["x"].n_syncs, judge.views["x"].n_events) == (1, 1)


def test_a_recording_knows_what_a_client_needs() -> None:
    client = Client([])
    client.told(asks.get_data(b"/a", True), 2, (b"x", 0, 2))
    assert (client.recording.session.session_id, client.recording.session.last_zxid) == (7, 2)
    assert client.recording.session.paths_watched() == ([b"/a"], [], [])
    client.recording.on_over()
    assert client.recording.session.session_id == 0


def a_write_that_is_lost(client: Client) -> None:
    client.told(asks.set_data(b"/a", b"z"), 5, (2, 2))


def a_write_of_something_else(client: Client) -> None:
    client.told(asks.set_data(b"/a", b"z"), 3, (1, 2))


def an_old_answer(client: Client) -> None:
    client.told(asks.get_data(b"/a"), 3, (b"y", 1, 2))
    client.told(asks.get_data(b"/a"), 2, (b"x", 0, 2))


def a_change_before_its_event(client: Client) -> None:
    client.told(asks.get_data(b"/a", True), 2, (b"x", 0, 2))
    client.recording.on_zxid(3)


def a_session_of_nobody(client: Client) -> None:
    client.recording.on_over()
    client.recording.on_connected(8)


@pytest.mark.parametrize(
    ("act", "name"),
    [
        (a_write_that_is_lost, "committed"),
        (a_write_of_something_else, "acknowledged"),
        (an_old_answer, "monotonic"),
        (a_change_before_its_event, "watch first"),
        (a_session_of_nobody, "session"),
    ],
)
def test_what_a_client_must_not_be_told_is_found_later(act: Callable[[Client], None], name: str) -> None:
    told: Told = []
    act(Client(told))
    with pytest.raises(Violation, match=f"^{name}:"):
        replay(told)


def test_a_write_that_left_the_history_is_found() -> None:
    """What the whole check is for: it was acknowledged, and no disk has it."""
    told: Told = []
    an_honest_client(Client(told))
    with pytest.raises(Violation):
        replay(told, [entry for entry in COMMITTED if entry[0] != 3])


def test_a_sync_is_as_new_as_what_anybody_was_told_before_it() -> None:
    """Nobody but clients says what is committed; a sync sent after that must not answer with less."""
    told: Told = []
    first, second = Client(told, "x"), Client(told, "y")
    first.told(asks.get_data(b"/a"), 3, (b"y", 1, 2))
    second.recording.on_sync_sent()
    second.told(asks.sync(b"/"), 2)
    with pytest.raises(Violation, match=r"^sync:"):
        replay(told)
    assert replay([entry for entry in told if entry[0] == "y"]).views["y"].n_syncs == 1


def test_a_session_that_nobody_ended_may_not_be_refused() -> None:
    told: Told = []
    Client(told).recording.on_expired()
    replay(told)
    with pytest.raises(Violation, match=r"^session:"):
        replay(told, COMMITTED[:3])


def test_a_literal_is_read_as_it_was_written() -> None:
    told: Told = []
    an_honest_client(Client(told))
    assert replay([literal_eval(repr(entry)) for entry in told]).truth.last_zxid == 4


def test_a_member_that_was_sent_a_snapshot_has_the_rest_only() -> None:
    assert one_history([COMMITTED[2:], COMMITTED, [], COMMITTED]) == COMMITTED


@pytest.mark.parametrize(
    "other",
    [
        COMMITTED[:2] + COMMITTED[3:],
        COMMITTED[:3],
        [*COMMITTED[:3], (4, b"else")],
        [*COMMITTED[1:], (5, b"more")],
    ],
)
def test_members_that_hold_different_histories_are_found(other: list[tuple[int, bytes]]) -> None:
    with pytest.raises(Violation, match=r"^I-10:"):
        one_history([COMMITTED, other])


def test_a_simulated_run_is_judged_later_as_at_once() -> None:
    """The same clients, written down instead of checked, and checked afterwards."""
    run = Run(Plan(5, 4000, WHOLE, n_voters=3))
    told: Told = []

    def tell(name: str) -> Callable[[str, tuple[Any, ...]], None]:
        return lambda what, arguments: told.append((name, what, arguments))

    for client in run.ensemble.clients:
        client.view = Recording(client.view.name, tell(client.view.name))
    assert run.go(), run.failure
    ledger = run.ensemble.ledger
    judge = replay(told, [(zxid, ledger.txn_of[zxid]) for zxid in ledger.committed])
    assert judge.truth.last_zxid == ledger.committed_zxid
    assert len(told) > 500
