"""What a client must never be told."""

from collections.abc import Callable

import pytest

from tests.sim.checkers.test_truth import Told, body_of_set
from zoopark import errors
from zoopark.jute import proto
from zoopark.jute import txn as txns
from zoopark.jute.buffer import pack_buffer
from zoopark.sim import asks
from zoopark.sim.asks import Answer, Ask
from zoopark.sim.checkers import Violation
from zoopark.sim.checkers.sessions import SessionView
from zoopark.tree.watches import NODE_CHILDREN_CHANGED, NODE_DATA_CHANGED, NODE_DELETED
from zoopark.zxid import make_zxid


class Client(Told):
    """A client in session 7 whose world holds /a = "x" at zxid 2, "y" at zxid 3, and /a/c at zxid 4."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[int] = []
        self.view = SessionView("client", self.truth, self.ended.__contains__)
        self.tell(txns.CREATE_SESSION, pack_buffer(b"")[:4], session_id=7)
        self.create(b"/a")
        self.tell(txns.SET_DATA, body_of_set(b"/a", b"y", 1))
        self.create(b"/a/c")
        self.view.on_connected(7)

    def told(self, ask: Ask, zxid: int, err: int = errors.OK, **fields: object) -> None:
        answer = Answer(err, zxid)
        for name, value in fields.items():
            setattr(answer, name, value)
        self.view.on_zxid(zxid)
        self.view.on_answer(ask, answer)

    def read(self, zxid: int, is_watched: bool = False) -> None:
        """An honest read of /a."""
        self.told(asks.get_data(b"/a", is_watched), zxid, value=self.truth.at(b"/a", zxid))


def test_the_truth_is_accepted() -> None:
    client = Client()
    client.read(2)
    client.told(asks.exists(b"/b", True), 2, errors.NO_NODE)
    client.read(3)
    client.told(asks.children(b"/a"), 4, names={b"c": None})
    client.told(asks.set_data(b"/a", b"y"), 4, value=(1, 2))


def test_an_event_ahead_of_the_change_is_accepted() -> None:
    client = Client()
    client.read(2, is_watched=True)
    client.view.on_event(NODE_DATA_CHANGED, b"/a", 3)
    client.read(3)


def test_a_node_that_came_and_went_while_nobody_was_connected_is_not_told() -> None:
    client = Client()
    client.told(asks.exists(b"/b", True), 4, errors.NO_NODE)
    client.create(b"/b")
    client.tell(txns.DELETE, pack_buffer(b"/b"))
    client.view.on_rearmed(6)
    client.view.on_zxid(6)
    assert client.view.session.paths_watched() == ([], [b"/b"], [])


def backwards(client: Client) -> None:
    client.read(3)
    client.read(2)


def uncommitted(client: Client) -> None:
    client.view.on_zxid(9)


def stale_data(client: Client) -> None:
    client.told(asks.get_data(b"/a"), 3, value=(b"x", 0, 2))


def lost_node(client: Client) -> None:
    client.told(asks.get_data(b"/a"), 3, errors.NO_NODE)


def wrong_version(client: Client) -> None:
    client.told(asks.exists(b"/a"), 3, value=(0, 2))


def missing_child(client: Client) -> None:
    client.told(asks.children(b"/a"), 4, names={})


def lost_parent(client: Client) -> None:
    client.told(asks.children(b"/a"), 4, errors.NO_NODE)


def write_that_is_not_there(client: Client) -> None:
    client.told(asks.create(b"/new", b"x"), 4, path=b"/new")


def write_of_something_else(client: Client) -> None:
    client.told(asks.set_data(b"/a", b"z"), 4, value=(2, 2))


def delete_that_did_nothing(client: Client) -> None:
    client.told(asks.delete(b"/a"), 4)


def half_a_multi(client: Client) -> None:
    ask = asks.multi(asks.create(b"/m"), asks.create(b"/n"))
    client.told(ask, 4, parts=[(1, 0, b"/m"), (-1, -110, b"")])


def multi_that_is_not_there(client: Client) -> None:
    ask = asks.multi(asks.set_data(b"/a", b"y"), asks.create(b"/n"))
    client.told(ask, 4, parts=[(5, 0, b""), (1, 0, b"/n")])


def change_before_its_event(client: Client) -> None:
    client.read(2, is_watched=True)
    client.view.on_zxid(3)


def child_before_its_event(client: Client) -> None:
    client.told(asks.children(b"/a", True), 3, names={})
    client.view.on_zxid(4)


def event_of_no_change(client: Client) -> None:
    client.view.on_event(NODE_DELETED, b"/a", 4)


def child_event_of_no_change(client: Client) -> None:
    client.view.on_event(NODE_CHILDREN_CHANGED, b"/a", 3)


def unknown_session(client: Client) -> None:
    client.view.on_connected(99)


def another_session(client: Client) -> None:
    client.tell(txns.CREATE_SESSION, pack_buffer(b"")[:4], session_id=8)
    client.view.on_connected(8)


def sync_that_lags(client: Client) -> None:
    client.view.on_sync_sent()
    client.told(asks.sync(b"/a"), 3)


def refused_for_no_reason(client: Client) -> None:
    client.view.on_expired()


@pytest.mark.parametrize(
    ("act", "name"),
    [
        (backwards, "monotonic"),
        (uncommitted, "committed"),
        (stale_data, "read"),
        (lost_node, "read"),
        (wrong_version, "read"),
        (missing_child, "read"),
        (lost_parent, "read"),
        (write_that_is_not_there, "acknowledged"),
        (write_of_something_else, "acknowledged"),
        (delete_that_did_nothing, "acknowledged"),
        (half_a_multi, "multi"),
        (multi_that_is_not_there, "acknowledged"),
        (change_before_its_event, "watch first"),
        (child_before_its_event, "watch first"),
        (event_of_no_change, "watch"),
        (child_event_of_no_change, "watch"),
        (unknown_session, "session"),
        (another_session, "session"),
        (sync_that_lags, "sync"),
        (refused_for_no_reason, "session"),
    ],
)
def test_what_a_client_must_not_be_told_is_found(act: Callable[[Client], None], name: str) -> None:
    with pytest.raises(Violation, match=f"^{name}:"):
        act(Client())


def test_a_new_session_has_seen_nothing() -> None:
    client = Client()
    client.read(4, is_watched=True)
    client.view.on_over()
    assert (client.view.session.session_id, client.view.session.last_zxid, client.view.session.watches) == (0, 0, {})


def test_a_sync_counts_from_when_it_was_sent() -> None:
    client = Client()
    client.view.on_sync_sent()
    client.create(b"/later")
    client.told(asks.sync(b"/a"), 4)
    assert (client.view.n_syncs, client.view.n_stale_syncs) == (1, 0)


def test_a_sync_that_was_lost_with_its_connection_asks_nothing_of_the_next() -> None:
    client = Client()
    client.view.on_sync_sent()
    client.view.on_link_lost()
    client.create(b"/later")
    client.view.on_sync_sent()
    client.told(asks.sync(b"/a"), 5)


def test_a_leader_that_was_replaced_may_answer_a_sync_with_what_it_has() -> None:
    """As in ZooKeeper, where a sync asks no quorum."""
    client = Client()
    client.truth.last_zxid = make_zxid(1, 1)
    client.view.on_sync_sent()
    client.told(asks.sync(b"/a"), 4)
    assert client.view.n_stale_syncs == 1


def test_a_session_may_be_refused_once_its_end_is_logged() -> None:
    client = Client()
    client.ended.append(7)
    client.view.on_expired()
    assert client.view.session.session_id == 0


def local_view(client: Client) -> SessionView:
    """Of a client in session 9, which nobody has committed."""
    view = SessionView("local", client.truth, client.ended.__contains__, may_be_local=True)
    view.on_connected(9)
    return view


def test_a_local_session_may_end_with_its_server() -> None:
    client = Client()
    view = local_view(client)
    view.on_expired()
    assert view.session.session_id == 0


@pytest.mark.parametrize("is_multi", [False, True])
def test_a_session_that_owns_something_is_local_no_more(is_multi: bool) -> None:
    """Its client was told so: it must not be refused before somebody has ended it."""
    client = Client()
    view = local_view(client)
    client.tell(txns.CREATE_SESSION, pack_buffer(b"")[:4], session_id=9)
    ask = asks.create(b"/e", b"x", proto.EPHEMERAL_FLAG)
    zxid = client.create(b"/e", is_ephemeral=True, session_id=9)
    answer = Answer(errors.OK, zxid)
    answer.path = b"/e"
    answer.parts = [(proto.CREATE, errors.OK, b"/e")]
    view.on_zxid(zxid)
    view.on_answer(asks.multi(ask) if is_multi else ask, answer)
    with pytest.raises(Violation, match="which nobody has ended"):
        view.on_expired()
    client.ended.append(9)
    view.on_expired()
