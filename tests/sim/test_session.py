"""What a client takes along to its next server."""

from zoopark import errors
from zoopark.sim import asks
from zoopark.sim.asks import Answer, Ask
from zoopark.sim.session import Session
from zoopark.tree.watches import NODE_CHILDREN_CHANGED, NODE_CREATED, NODE_DATA_CHANGED, NODE_DELETED


def told(session: Session, ask: Ask, zxid: int, err: int = errors.OK) -> None:
    session.on_zxid(zxid)
    session.on_answer(ask, Answer(err, zxid))


def watching() -> Session:
    """A session with a watch of each kind."""
    session = Session()
    session.on_connected(7)
    told(session, asks.get_data(b"/data", True), 3)
    told(session, asks.exists(b"/none", True), 4, errors.NO_NODE)
    told(session, asks.children(b"/data", True), 5)
    return session


def test_watches_are_handed_over_by_kind() -> None:
    session = watching()
    assert (session.session_id, session.last_zxid) == (7, 5)
    assert session.paths_watched() == ([b"/data"], [b"/none"], [b"/data"])


def test_a_read_that_fails_leaves_no_watch() -> None:
    session = Session()
    told(session, asks.get_data(b"/a", True), 3, errors.NO_NODE)
    told(session, asks.children(b"/a", True), 3, errors.NO_NODE)
    told(session, asks.exists(b"/a"), 3)
    assert session.watches == {}


def test_an_event_takes_its_watches_away() -> None:
    session = watching()
    session.on_event(NODE_CREATED, b"/none")
    assert session.paths_watched() == ([b"/data"], [], [b"/data"])
    session.on_event(NODE_CHILDREN_CHANGED, b"/data")
    assert session.paths_watched() == ([b"/data"], [], [])
    session.on_event(NODE_DATA_CHANGED, b"/data")
    assert session.watches == {}


def test_a_node_that_goes_takes_the_watches_on_its_children_too() -> None:
    session = watching()
    session.on_event(NODE_DELETED, b"/data")
    assert session.paths_watched() == ([], [b"/none"], [])


def test_the_first_watch_stays_until_it_fires() -> None:
    session = watching()
    told(session, asks.get_data(b"/data", True), 9)
    assert [since for since, _ in session.watches.values()] == [3, 4, 5]


def test_what_came_and_went_meanwhile_is_not_told() -> None:
    session = watching()
    session.on_rearmed(8)
    assert [since for since, _ in session.watches.values()] == [3, 8, 5]


def test_a_new_session_knows_nothing() -> None:
    session = watching()
    session.on_over()
    assert (session.session_id, session.last_zxid, session.watches) == (0, 0, {})
