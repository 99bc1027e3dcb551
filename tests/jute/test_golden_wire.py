"""One conversation, byte for byte as Apache ZooKeeper 3.9.3 has it (tests/golden/wire.hex)."""

import pytest

from tests.jute.capture import CONVERSATION, GOLDEN, SETTINGS, TIMEOUT_MS, encoded, masked
from tests.server.stand import START, Peer, Stand, greeting, wire_session


def golden() -> list[tuple[str, list[str]]]:
    """(frame sent, frames that came back), in hex."""
    provenance, *lines = GOLDEN.read_text(encoding="utf-8").splitlines()
    assert provenance.startswith("# Apache ZooKeeper 3.9.3")
    turns: list[tuple[str, list[str]]] = []
    for sign, frame in (line.split() for line in lines):
        if sign == ">":
            turns.append((frame, []))
        else:
            turns[-1][1].append(frame)
    return turns


TURNS = golden()


def heard(peer: Peer) -> list[str]:
    """What came since the last call, with zeros for what the golden file has zeros for."""
    frames, peer.frames = peer.frames, []
    return [masked(frame, peer.session_id, START.wall_ms, START.wall_ms).hex() for frame in frames]


def test_the_requests_are_those_that_were_sent() -> None:
    """Else the golden file is about something else: capture it anew."""
    sent = [encoded(request, number)[4:] for number, request in enumerate(CONVERSATION, 1)]
    assert [frame for frame, _ in TURNS[1:]] == [frame.hex() for frame in sent]


def spoken() -> list[list[str]]:
    """The same conversation with a member of ours."""
    stand = Stand(SETTINGS)
    peer = stand.connect()
    peer.raw(greeting(timeout_ms=TIMEOUT_MS))
    stand.settle()
    peer.session_id = wire_session(peer.frames[0])
    answers = [heard(peer)]
    for number, request in enumerate(CONVERSATION, 1):
        peer.raw(encoded(request, number))
        stand.settle()
        answers.append(heard(peer))
    return answers


ANSWERS = spoken()
NAMES = ["greeting", *(f"{number} {request.text}" for number, request in enumerate(CONVERSATION, 1))]


@pytest.mark.parametrize("number", range(len(NAMES)), ids=NAMES)
def test_the_answer_is_that_of_apache(number: int) -> None:
    """Replies and events, in their order, to the last byte."""
    assert ANSWERS[number] == TURNS[number][1]


def test_masks_hide_what_they_should_and_no_more() -> None:
    password = bytes.fromhex(TURNS[0][1][0])[-17:-1]
    assert password == bytes(16)
    assert masked(bytes(range(64)), 7, 1, 2) == bytes(range(64))
