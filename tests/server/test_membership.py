"""Server lines: what they mean, and what is said of those that mean nothing."""

import pytest

from zoopark.errors import ConfigError
from zoopark.server.membership import UNKNOWN, Line, Membership, Seat, read_membership, read_myid, read_seat
from zoopark.zab.quorum import Hierarchical, Majority

ALLOWED = "host:port:port[|host:port:port…][:participant|:observer][;[address:]port] is allowed"
THREE = ("server.1=a:2888:3888", "server.2=b:2888:3888", "server.3=c:2888:3888")


def _lines(*texts: str) -> list[Line]:
    return [(f"zoo.cfg:{at}: ", *_halves(text)) for at, text in enumerate(texts, 1)]


def _halves(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key, value


def _read(*texts: str, sid: int = 1) -> Membership:
    membership = read_membership(_lines(*texts), sid)
    assert membership is not None
    return membership


@pytest.mark.parametrize(
    ("text", "seat", "told"),
    [
        ("h:1:2", Seat(1, (("h", 1, 2),)), "server.1=h:1:2:participant"),
        ("h:1:2:PARTICIPANT", Seat(1, (("h", 1, 2),)), "server.1=h:1:2:participant"),
        ("h:1:2:observer", Seat(1, (("h", 1, 2),), True), "server.1=h:1:2:observer"),
        ("h:1:2;3", Seat(1, (("h", 1, 2),), False, ("", 3)), "server.1=h:1:2:participant;0.0.0.0:3"),
        ("h:1:2;k:3", Seat(1, (("h", 1, 2),), False, ("k", 3)), "server.1=h:1:2:participant;k:3"),
        (
            "h:1:2|[::1]:3:4|a:5:6:observer;7",
            Seat(1, (("h", 1, 2), ("::1", 3, 4), ("a", 5, 6)), True, ("", 7)),
            "server.1=[::1]:3:4|a:5:6|h:1:2:observer;0.0.0.0:7",
        ),
        (
            "[::1]:1:2:observer;[::2]:3",
            Seat(1, (("::1", 1, 2),), True, ("::2", 3)),
            "server.1=[::1]:1:2:observer;[::2]:3",
        ),
    ],
)
def test_a_server_line_names_its_parts(text: str, seat: Seat, told: str) -> None:
    """And is told to other servers in the words of Apache's."""
    assert read_seat(("zoo.cfg:1: ", "server.1", text)) == seat
    assert seat.text() == told


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("server.1=h", ALLOWED),
        ("server.1=h:1", ALLOWED),
        ("server.1=h:1:x", ALLOWED),
        ("server.1=h:0:2", ALLOWED),
        ("server.1=h:1:2:king", ALLOWED),
        ("server.1=h:1:70000", ALLOWED),
        ("server.1=:1:2", ALLOWED),
        ("server.1=h:1:2|", ALLOWED),
        ("server.1=h:1:2|k:1", ALLOWED),
        ("server.1=h:1:2|k:1:0", ALLOWED),
        ("server.1=h:1:2;0", ALLOWED),
        ("server.=h:1:2", "server.N with N from 0 to 255, no zeros in front, is allowed"),
        ("server.256=h:1:2", "server.N with N from 0 to 255, no zeros in front, is allowed"),
        ("server.09=h:1:2", "server.N with N from 0 to 255, no zeros in front, is allowed"),
        ("server.01=h:1:2|k:1:2", "server.N with N from 0 to 255, no zeros in front, is allowed"),
    ],
)
def test_a_bad_server_line_is_refused_with_its_place(text: str, allowed: str) -> None:
    """File, line, the line as it stands, and what would be right."""
    with pytest.raises(ConfigError) as raised:
        read_membership(_lines("server.9=k:1:2", text), 9)
    assert str(raised.value) == f"zoo.cfg:2: {text}: {allowed}"


def test_addresses_of_a_server_are_tried_in_the_order_of_its_line() -> None:
    """They are told to others sorted, as ZooKeeper does."""
    seat = read_seat(("", "server.1", "h:1:2|a:3:4"))
    assert (seat.quorum_addresses(), seat.election_addresses()) == ([("h", 1), ("a", 3)], [("h", 2), ("a", 4)])


def test_a_configuration_may_have_a_version() -> None:
    """It is told in hexadecimal digits."""
    membership = read_membership(_lines(*THREE), 1, version=0x100000000)
    assert membership is not None and membership.text().endswith(b"\nversion=100000000")


def test_three_participants_count_by_majority() -> None:
    """What is told to others is sorted, and has version 0."""
    membership = _read(*THREE, "server.4=d:1:2:observer", sid=2)
    assert isinstance(membership.verifier, Majority) and membership.verifier.voters == {1, 2, 3}
    assert membership.own() == Seat(2, (("b", 2888, 3888),))
    assert membership.text().decode().splitlines() == [
        "server.1=a:2888:3888:participant",
        "server.2=b:2888:3888:participant",
        "server.3=c:2888:3888:participant",
        "server.4=d:1:2:observer",
        "version=0",
    ]


@pytest.mark.parametrize("texts", [(), ("server.1=a:1:2",), ("weight.1=2",)])
def test_one_participant_is_no_ensemble(texts: tuple[str, ...]) -> None:
    """As in ZooKeeper: it is served alone."""
    assert read_membership(_lines(*texts), UNKNOWN) is None


def test_groups_and_weights_count_quorums() -> None:
    """A majority of weight in a majority of groups."""
    membership = _read(*THREE, "group.1=1:2", "group.2=3", "weight.1=3")
    assert isinstance(membership.verifier, Hierarchical)
    assert membership.verifier.has_quorum({1, 3})
    assert not membership.verifier.has_quorum({2, 3})
    assert membership.text().decode().splitlines()[3:] == ["group.1=1:2", "group.2=3", "weight.1=3", "version=0"]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("group.1=1:2",), "zoo.cfg:4: group.1: server 3 is in no group"),
        (
            ("group.1=1:2:7",),
            "zoo.cfg:4: group.1=1:2:7: ids of participants between colons, each in one group, are allowed",
        ),
        (
            ("group.1=1:2:3", "group.2=3"),
            "zoo.cfg:5: group.2=3: ids of participants between colons, each in one group, are allowed",
        ),
        (("group.x=1:2:3",), "zoo.cfg:4: group.x=1:2:3: group.N with a whole number as N is allowed"),
        (("weight.1=x",), "zoo.cfg:4: weight.1=x: a whole number from 0 to 1000000 is allowed"),
        (("weight.7=1",), "zoo.cfg:4: weight.7=1: weight.N with the id of a participant as N is allowed"),
        (
            ("group.1=1:2:3", "weight.1=0", "weight.2=0", "weight.3=0"),
            "zoo.cfg:4: group.1: no server has a weight above 0",
        ),
    ],
)
def test_bad_groups_and_weights_are_refused_with_their_place(texts: tuple[str, ...], expected: str) -> None:
    """A quorum that is counted wrongly loses data."""
    with pytest.raises(ConfigError) as raised:
        read_membership(_lines(*THREE, *texts), 1)
    assert str(raised.value) == expected


@pytest.mark.parametrize(("text", "sid"), [("3", 3), (" 12\n", 12), ("0", 0)])
def test_a_myid_is_a_number(text: str, sid: int) -> None:
    """Editors leave a newline."""
    assert read_myid(text, "myid") == sid


@pytest.mark.parametrize("text", ["", "x", "-1", "1 2", "256"])
def test_a_myid_that_is_no_id_is_refused(text: str) -> None:
    """With the place that it came from."""
    with pytest.raises(ConfigError, match=r"^/d/myid: .*a whole number from 0 to 255 is allowed$"):
        read_myid(text, "/d/myid")
