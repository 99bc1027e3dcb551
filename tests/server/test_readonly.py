"""The read-only server: whom a member without a leader serves, with what, and when that begins and ends."""

import pytest

from tests.compat import requests as ask
from tests.compat import wire
from tests.server.house import House
from tests.server.stand import Peer, greeting, wire_session
from tests.server.test_ensemble import opened, say
from zoopark import errors
from zoopark.server.effects import SaveSnapshot
from zoopark.server.sessions import first_session_id

KEYS = {"readonlymode.enabled": "true", "4lw.commands.whitelist": "*", "tickTime": "1000"}


def lonely(keys: dict[str, str] | None = None) -> House:
    """Member a with a tree of three znodes, and nobody to make a quorum with."""
    house = House(keys={**KEYS, **(keys or {})})
    house.form()
    peer = opened(house, "a")
    peer.ask(ask.create("/a", b"x"))
    peer.ask(ask.create("/e", flags=1))
    house.crash("b")
    house.crash("c")
    house.wait(3_000)  # syncLimit and more, for one that leads
    house.wait(20_000)
    return house


def greeted(house: House, name: str = "a", session_id: int = 0, timeout_ms: int = 10_000) -> Peer:
    """A client that asks for a read-only server."""
    peer = house.connect(name)
    password = wire.session_password(session_id) if session_id else bytes(16)
    peer.raw(greeting(session_id, password, timeout_ms, is_read_only=True))
    house.settle()
    return peer


def served(house: House, name: str = "a") -> Peer:
    """The same, with a session."""
    peer = greeted(house, name)
    frame = peer.frames.pop()
    assert frame[-1] == house.member(name).read_only.is_serving
    peer.session_id = wire_session(frame)
    assert peer.session_id
    return peer


def test_reads_are_answered_from_what_the_log_holds() -> None:
    peer = served(lonely())
    assert [peer.ask(ask.get_data(path)).err for path in ("/a", "/e", "/none")] == [0, 0, errors.NO_NODE]


@pytest.mark.parametrize(
    "request_of_a_writer",
    [
        ask.create("/b"),
        ask.set_data("/a", b"y"),
        ask.delete("/a"),
        ask.named(wire.SYNC, "/a"),
        ask.raw(wire.MULTI, b"", "multi"),
        ask.raw(wire.SET_DATA, b"", "what cannot be read"),
    ],
    ids=lambda request: str(request.text),
)
def test_what_the_leader_would_have_to_do_is_refused(request_of_a_writer: ask.Request) -> None:
    """In its turn, and the connection stays."""
    house = lonely()
    peer = served(house)
    last_zxid = house.member("a").tree.last_zxid
    assert peer.ask(request_of_a_writer).err == errors.NOT_READ_ONLY
    assert peer.ask(ask.get_data("/a")).err == errors.OK
    assert house.member("a").tree.last_zxid == last_zxid


def test_a_client_that_wants_to_write_is_sent_away_without_a_word() -> None:
    house = lonely()
    peer = house.connect("a")
    peer.raw(greeting())
    house.settle()
    assert (peer.frames, peer.why) == ([], "this server is read-only, and the client wants to write")


def test_a_session_of_the_ensemble_cannot_go_on_here() -> None:
    """It must not be told that it is over either: with a quorum it goes on, also one that is not known here yet."""
    house = lonely()
    (known,) = house.member("a").tree.sessions
    for session_id in (known, first_session_id(house.rooms["b"].sid, house.now.wall_ms)):
        peer = greeted(house, session_id=session_id)
        assert peer.frames == [] and peer.why is not None


def test_a_session_that_began_here_and_is_unknown_is_over() -> None:
    house = lonely()
    peer = greeted(house, session_id=first_session_id(house.rooms["a"].sid, house.now.wall_ms))
    assert wire_session(peer.frames[0]) == 0 and peer.frames[0][-1] == 1


def test_the_words_tell_it() -> None:
    house = lonely()
    assert say(house, "a", "isro") == "ro"
    assert say(house, "a", "srvr").splitlines()[1] == "READ-ONLY mode; serving only read-only clients"
    assert "Mode: read-only\n" in say(house, "a", "stat")
    assert "zk_server_state\tread-only\n" in say(house, "a", "mntr")


def test_it_begins_two_seconds_after_the_search_for_a_leader() -> None:
    """Most elections end before: a client that came for two seconds would only have to leave again."""
    house = House(keys=KEYS)
    house.start("a")
    house.wait(1_999)
    assert say(house, "a", "isro") == "null"
    house.wait(1)
    assert say(house, "a", "isro") == "ro"


def test_a_longer_tick_is_waited_for() -> None:
    house = House(keys={**KEYS, "tickTime": "5000"})
    house.start("a")
    house.wait(4_999)
    assert say(house, "a", "isro") == "null"
    house.wait(1)
    assert say(house, "a", "isro") == "ro"


def test_without_the_key_nobody_is_served() -> None:
    house = House(keys={"4lw.commands.whitelist": "*"})
    house.start("a")
    house.wait(60_000)
    assert say(house, "a", "isro") == "null"


def test_a_quorum_ends_it_and_its_sessions() -> None:
    """Clients come back to a server that writes, and begin anew; what they saw here was no promise."""
    house = lonely()
    peer = served(house)
    house.start("b")
    house.wait(20_000)
    assert peer.why is not None
    assert say(house, "a", "isro") == "rw"
    again = greeted(house, session_id=peer.session_id)
    assert wire_session(again.frames[0]) == 0 and again.frames[0][-1] == 0
    writer = served(house)
    assert writer.ask(ask.create("/b")).err == errors.OK


def test_a_session_here_ends_when_its_client_is_silent_or_closes_it() -> None:
    house = lonely()
    silent, closing = greeted(house, timeout_ms=2_000), served(house)
    silent_id = wire_session(silent.frames.pop())
    assert closing.ask(ask.close_session()).err == errors.OK
    assert closing.why == "the client closed its session"
    house.wait(4_000)
    assert silent.why is not None and "expired" in silent.why
    for session_id in (silent_id, closing.session_id):
        assert wire_session(greeted(house, session_id=session_id).frames[0]) == 0
    assert house.member("a").local.tracker.by_id == {}


def behind_its_disk() -> House:
    """Member c led, has logged what nobody else has, and is alone again while its disk saves what replaces it."""
    house = House(keys=KEYS)
    assert house.form() == "c"
    peer = opened(house, "c")
    peer.ask(ask.create("/kept"))
    ways = [way for other in "ab" for way in (("c", other), (other, "c"))]
    house.held_links.update(ways)
    peer.send(ask.create("/gone"))
    house.wait(20_000)
    house.held_disks.add("c")
    for other in "ab":
        house.lose("c", other)
        house.lose(other, "c")
        house.cut("c", other)
    work = house.rooms["c"].work
    for _ in range(900):
        while work and not isinstance(work[0], SaveSnapshot):
            house.rooms["c"].finish(house.now)
            house.settle()
        if work:
            break
        house.wait(20)
    assert work, "no snapshot came"
    house.cut("c", "a")
    house.cut("c", "b")
    house.held_links.update(ways)
    return house


def test_nobody_is_served_while_the_tree_is_about_to_be_replaced() -> None:
    """What is taken back would be read, and go without a word. The wait begins anew."""
    house = behind_its_disk()
    house.wait(30_000)
    assert say(house, "c", "isro") == "null"
    house.held_disks.clear()
    house.wait(4_000)
    peer = served(house, "c")
    assert [peer.ask(ask.get_data(path)).err for path in ("/kept", "/gone")] == [errors.OK, errors.NO_NODE]
