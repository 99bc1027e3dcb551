"""The records of the client protocol: their bytes, byte for byte."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compat import requests as ask
from tests.compat import wire
from zoopark.errors import Malformed
from zoopark.jute import proto
from zoopark.jute.buffer import Reader


def test_a_connect_request_with_its_last_byte() -> None:
    fields = (5, 10_000, 0x1234, b"p" * 16)
    data = wire.connect_request(*fields)
    assert len(data) == 44
    assert proto.decode_connect_request(Reader(data + b"\x01")) == proto.ConnectRequest(*fields, True, True)
    assert proto.decode_connect_request(Reader(data + b"\x00")) == proto.ConnectRequest(*fields, True, False)


def test_a_connect_request_of_an_old_client() -> None:
    """Up to 3.3 there was no readOnly; the answer must then lack it too."""
    request = proto.decode_connect_request(Reader(wire.connect_request(0, 1, 0, None)))
    assert (request.has_read_only, request.is_read_only, request.password) == (False, False, b"")


@given(st.binary(max_size=48))
def test_any_bytes_are_a_connect_request_or_malformed(data: bytes) -> None:
    try:
        request = proto.decode_connect_request(Reader(data))
    except Malformed:
        assert len(data) < 44 or data[24:28] != b"\x00\x00\x00\x10"
        return
    assert len(data) >= 28
    assert len(request.password) <= len(data)


@pytest.mark.parametrize(("has_read_only", "size"), [(True, 37), (False, 36)])
def test_a_connect_response(has_read_only: bool, size: int) -> None:
    tail = b"\x00" if has_read_only else b""
    payload = wire.i32(0) + wire.i32(9000) + wire.i64(7) + wire.buf(b"w" * 16) + tail
    assert len(payload) == size
    assert proto.encode_connect_response(9000, 7, b"w" * 16, has_read_only) == wire.frame(payload)


def test_a_reply() -> None:
    expected = wire.frame(wire.i32(3) + wire.i64(0x100000002) + wire.i32(-101))
    assert proto.encode_reply(3, 0x100000002, -101, b"") == expected


def test_a_notification() -> None:
    """Its zxid is that of the change, its state always SyncConnected."""
    event = wire.i32(3) + wire.i32(3) + wire.string("/a")
    assert proto.encode_event(3, b"/a", 9) == wire.frame(wire.i32(-1) + wire.i64(9) + wire.i32(0) + event)


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_passwords_are_those_of_every_server(session_id: int) -> None:
    """The second codec computes the same in other words."""
    assert proto.password_of(session_id) == wire.session_password(session_id)


PARTS = [
    ask.create("/a", b"data", opcode=wire.CREATE),
    ask.create("/b", None, acls=[]),
    ask.create("/c", flags=4, opcode=wire.CREATE_CONTAINER),
    ask.create_ttl("/d", 5000),
    ask.delete("/e"),
    ask.set_data("/f", b"x", 3),
    ask.check("/g", 1),
]
READS = [ask.get_data("/a"), ask.get_children("/b")]


@given(st.lists(st.sampled_from(PARTS), max_size=5))
def test_a_multi_is_split_into_its_records(parts: list[ask.Request]) -> None:
    """The bytes between the bounds are exactly the record, so that a part is prepared like a request of its own."""
    body = ask.plain(ask.multi(*parts))
    found = [(op, body[start:end]) for op, start, end in proto.read_multi(Reader(body))]
    assert found == [(part.opcode, ask.plain(part)) for part in parts]


@pytest.mark.parametrize(
    "body",
    [
        ask.plain(ask.multi(ask.delete("/a"), READS[0])),
        ask.plain(ask.multi(READS[1], ask.check("/a"))),
        ask.plain(ask.multi(ask.set_acl("/a", ask.OPEN))),
        ask.plain(ask.multi(ask.exists("/a"))),
        ask.plain(ask.multi(ask.multi())),
        ask.plain(ask.multi(PARTS[0], end=b"")),
        ask.plain(ask.multi(PARTS[0]))[:-1],
        b"",
    ],
    ids=["write, read", "read, write", "setACL", "exists", "multi", "no end", "short end", "nothing"],
)
def test_what_is_no_multi(body: bytes) -> None:
    with pytest.raises(Malformed):
        proto.read_multi(Reader(body))


def test_any_bytes_are_a_multi_or_malformed() -> None:
    """Cut, and spoiled in every byte."""
    body = ask.plain(ask.multi(*PARTS))
    chance = random.Random(5)
    for at in range(len(body)):
        spoiled = body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :]
        for data in (spoiled, body[:at]):
            try:
                parts = proto.read_multi(Reader(data))
            except Malformed:
                continue
            assert all(start <= end <= len(data) for _, start, end in parts)


def test_the_parts_of_a_multis_answer() -> None:
    assert proto.encode_multi_part(1, 0, b"body") == wire.i32(1) + b"\x00" + wire.i32(0) + b"body"
    assert wire.i32(-1) + b"\x01" + wire.i32(-1) == proto.MULTI_END


def test_opcodes_are_those_of_the_second_codec() -> None:
    names = [name for name in vars(wire) if name.isupper() and isinstance(getattr(proto, name, None), int)]
    assert len(names) > 25
    assert {name: getattr(proto, name) for name in names} == {name: getattr(wire, name) for name in names}


def test_which_creates_make_ephemerals() -> None:
    """ZooKeeper's CreateMode: 1 and 3 are the ephemeral ones."""
    assert set(proto.EPHEMERAL_FLAGS) == {ask.EPHEMERAL, ask.EPHEMERAL_SEQUENTIAL}
    assert set(proto.CREATES) == {wire.CREATE, wire.CREATE2}
