"""Transactions: their bytes in the log, as Apache writes them, and what is no transaction."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compat import requests as ask
from tests.compat import wire
from zoopark.errors import Malformed
from zoopark.jute import txn as txns
from zoopark.jute.buffer import Reader

PATHS = st.binary(min_size=1, max_size=20)
VALUES = st.none() | st.binary(max_size=20)
I32S = st.integers(-(1 << 31), (1 << 31) - 1)
I64S = st.integers(-(1 << 63), (1 << 63) - 1)
ACLS = st.sampled_from(
    [
        ask.acl_list(ask.OPEN),
        ask.acl_list(ask.READ_ONLY),
        ask.acl_list([ask.Acl(31, "digest", "u:h"), ask.Acl(1, "ip", "10.0.0.0/8")]),
        ask.acl_list([]),
        ask.acl_list(None),
    ]
)
HEAD = bytes(32)


def decoded(kind: int, body: bytes, tail: bytes = b"") -> txns.CreateTxn:
    """Read a create that stands behind a header, and see that it ends where its body does."""
    created = txns.decode_create(kind, HEAD + body + tail, len(HEAD))
    assert created[txns.END] == len(HEAD) + len(body)
    return created


@pytest.mark.parametrize("kind", [txns.CREATE, txns.CREATE2])
@given(PATHS, VALUES, ACLS, st.booleans(), I32S)
def test_create(kind: int, path: bytes, data: bytes | None, acl: bytes, is_ephemeral: bool, cversion: int) -> None:
    body = txns.encode_create(path, wire.buf(data) + acl, is_ephemeral, cversion)
    assert body == wire.string(path) + wire.buf(data) + acl + wire.boolean(is_ephemeral) + wire.i32(cversion)
    found = decoded(kind, body, b"0123456789ab")
    assert found[:5] == (kind, path, data, acl, cversion)
    assert found[5] == is_ephemeral


@given(PATHS, VALUES, ACLS, I32S)
def test_create_container(path: bytes, data: bytes | None, acl: bytes, cversion: int) -> None:
    body = txns.encode_create_container(path, wire.buf(data) + acl, cversion)
    assert body == wire.string(path) + wire.buf(data) + acl + wire.i32(cversion)
    found = decoded(txns.CREATE_CONTAINER, body)
    assert found[:5] == (txns.CREATE_CONTAINER, path, data, acl, cversion)
    assert found[5] == 0


@given(PATHS, VALUES, ACLS, I32S, st.integers(1, (1 << 40) - 1))
def test_create_ttl(path: bytes, data: bytes | None, acl: bytes, cversion: int, ttl_ms: int) -> None:
    body = txns.encode_create_ttl(path, wire.buf(data) + acl, cversion, ttl_ms)
    assert body == wire.string(path) + wire.buf(data) + acl + wire.i32(cversion) + wire.i64(ttl_ms)
    found = decoded(txns.CREATE_TTL, body)
    assert found[:5] == (txns.CREATE_TTL, path, data, acl, cversion)
    assert found[5] == ttl_ms


def test_a_create_of_before_the_parents_cversion() -> None:
    """CreateTxnV0: the body ends behind the flag, and replay counts by itself."""
    body = wire.string("/a") + wire.buf(b"x") + ask.acl_list(ask.OPEN) + wire.boolean(True)
    assert decoded(txns.CREATE, body)[4:6] == (txns.CURRENT_CVERSION, True)


@given(PATHS, VALUES, I32S)
def test_set_data(path: bytes, data: bytes | None, version: int) -> None:
    body = txns.encode_set_data(path, wire.buf(data), version)
    assert body == wire.string(path) + wire.buf(data) + wire.i32(version)
    assert txns.decode_set_data(Reader(body)) == (path, data, version)


@given(PATHS, ACLS, I32S)
def test_set_acl(path: bytes, acl: bytes, version: int) -> None:
    body = txns.encode_set_acl(path, acl, version)
    assert body == wire.string(path) + acl + wire.i32(version)
    assert txns.decode_set_acl(Reader(body)) == (path, acl, version)


@given(PATHS, I32S)
def test_check(path: bytes, version: int) -> None:
    assert txns.encode_check(path, version) == wire.string(path) + wire.i32(version)


@given(st.lists(PATHS, max_size=5))
def test_close_session(paths: list[bytes]) -> None:
    body = txns.encode_close_session(paths)
    assert body == wire.vector([wire.string(path) for path in paths])
    assert txns.decode_close_session(Reader(body)) == paths


@pytest.mark.parametrize("body", [b"", wire.NULL, txns.pack_digest(0), txns.pack_digest((1 << 64) - 1)])
def test_a_close_session_that_does_not_say_what_goes(body: bytes) -> None:
    """Logs of before 3.6, and of servers with closeSessionTxn.enabled=false; only a digest may follow."""
    assert txns.decode_close_session(Reader(body)) is None


@given(st.lists(st.tuples(I32S, st.binary(max_size=20)), max_size=5))
def test_multi(parts: list[tuple[int, bytes]]) -> None:
    body = txns.encode_multi(parts)
    assert body == wire.vector([wire.i32(kind) + wire.buf(part) for kind, part in parts])
    assert txns.decode_multi(Reader(body)) == parts


@given(I64S, I32S, I64S, I64S, I32S)
def test_the_header(session_id: int, cxid: int, zxid: int, time_ms: int, kind: int) -> None:
    header = txns.HEADER.pack(session_id, cxid, zxid, time_ms, kind)
    assert header == wire.i64(session_id) + wire.i32(cxid) + wire.i64(zxid) + wire.i64(time_ms) + wire.i32(kind)
    assert len(header) == txns.HEADER_BYTES
    assert txns.zxid_of(header) == zxid


def test_the_digest_is_unsigned() -> None:
    assert txns.pack_digest((1 << 64) - 1) == wire.i32(2) + b"\xff" * 8


DECODERS: dict[str, Callable[[bytes], object]] = {
    "setData": lambda data: txns.decode_set_data(Reader(data)),
    "setACL": lambda data: txns.decode_set_acl(Reader(data)),
    "closeSession": lambda data: txns.decode_close_session(Reader(data)),
    "multi": lambda data: txns.decode_multi(Reader(data)),
}


@pytest.mark.parametrize("name", DECODERS)
@given(st.binary(max_size=30))
def test_any_bytes_are_a_body_or_malformed(name: str, data: bytes) -> None:
    """Nothing else may be raised by what lies in a log or comes from another server."""
    with suppress(Malformed):
        DECODERS[name](data)


@pytest.mark.parametrize("body", [wire.NULL + wire.buf(b"") + wire.i32(0), wire.i32(-2)])
def test_a_body_needs_a_path(body: bytes) -> None:
    with pytest.raises(Malformed):
        txns.decode_set_data(Reader(body))
