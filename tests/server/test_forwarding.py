"""What servers tell each other of their clients, byte for byte."""

import pytest

from tests.compat import requests as ask
from zoopark.jute import proto
from zoopark.jute.quorum import PING, QuorumPacket
from zoopark.server.forwarding import (
    KEY_BYTES,
    is_readable,
    pack_touches,
    read_request,
    read_revalidate,
    read_touches,
    read_valid,
    request_packet,
    revalidate_packet,
    valid_packet,
)
from zoopark.server.prepare import Requester

WHO = Requester(0x0102030405060708, [(b"ip", b"10.0.0.1")])


def body_of(request: ask.Request) -> bytes:
    assert isinstance(request.body, bytes)
    return request.body


def test_a_request_and_back() -> None:
    packet = request_packet(WHO, 7, proto.SET_DATA, b"record")
    assert (packet.type, packet.zxid, packet.authinfo) == (1, -1, ((b"ip", b"10.0.0.1"),))
    assert packet.data == bytes.fromhex("0102030405060708 00000007 00000005") + b"record"
    request = read_request(packet)
    assert request is not None
    assert (request.requester.session_id, request.requester.identities) == (WHO.session_id, WHO.identities)
    assert (request.cxid, request.op, request.body) == (7, proto.SET_DATA, b"record")


def test_a_session_that_is_created_has_no_identities() -> None:
    assert request_packet(WHO, 0, proto.CREATE_SESSION, bytes(4)).authinfo is None


def test_null_identities_prove_nothing() -> None:
    request = read_request(QuorumPacket(1, -1, bytes(16), ((None, None),)))
    assert request is not None and request.requester.identities == [(b"", b"")]


@pytest.mark.parametrize("data", [None, b"", bytes(15)])
def test_what_is_no_request(data: bytes | None) -> None:
    assert read_request(QuorumPacket(1, -1, data)) is None


def test_the_key_is_the_beginning_of_the_transaction() -> None:
    """Session id and cxid come first in both, which is how a transaction finds who asked for it."""
    data = request_packet(WHO, 7, proto.DELETE, b"").data or b""
    assert data[:KEY_BYTES] == bytes.fromhex("0102030405060708 00000007")


@pytest.mark.parametrize(
    "request_",
    [
        ask.create("/a"),
        ask.create_ttl("/a", 5),
        ask.set_data("/a", b"x"),
        ask.delete("/a"),
        ask.set_acl("/a", [ask.Acl(31, "auth", "")]),
        ask.multi(ask.create("/a"), ask.delete("/b")),
        ask.close_session(),
    ],
    ids=lambda request: request.text.split()[0],
)
def test_every_write_of_a_client_can_be_read(request_: ask.Request) -> None:
    body = body_of(request_)
    assert is_readable(request_.opcode, body)
    if request_.opcode not in (proto.MULTI, proto.CLOSE_SESSION):
        assert not any(is_readable(request_.opcode, body[:end]) for end in range(len(body)))


def test_a_broken_multi_becomes_a_transaction_all_the_same() -> None:
    assert is_readable(proto.MULTI, b"\x00")


def test_revalidate_and_back() -> None:
    asked, answer = revalidate_packet(-5, 4000), valid_packet(-5, True)
    assert asked.data == bytes.fromhex("fffffffffffffffb 00000fa0")
    assert answer.data == bytes.fromhex("fffffffffffffffb 01")
    assert (read_revalidate(asked), read_valid(answer)) == ((-5, 4000), (-5, True))
    assert (read_revalidate(answer), read_valid(asked)) == (None, None)


@pytest.mark.parametrize("touched", [[], [(1, 4000)], [(1, 4000), (-1, 2)]])
def test_touches_and_back(touched: list[tuple[int, int]]) -> None:
    data = pack_touches(touched)
    assert len(data) == 12 * len(touched)
    assert read_touches(QuorumPacket(PING, 0, data)) == touched
    assert read_touches(QuorumPacket(PING, 0, data + b"\x01")) == touched
