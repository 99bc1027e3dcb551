"""Requests and answers against the second codec of the tests."""

from tests.compat import wire
from zoopark.jute.buffer import Reader
from zoopark.sim import asks


def answer_to(ask: asks.Ask, body: bytes) -> asks.Answer:
    return asks.read_answer(ask, 9, 0, Reader(body))


STAT = b"".join(
    (wire.i64(3), wire.i64(4), bytes(16), wire.i32(7), wire.i32(0), wire.i32(0), bytes(8), bytes(8), wire.i64(4))
)


def test_requests_have_the_bytes_of_the_protocol() -> None:
    assert asks.get_data(b"/a", True).body == wire.string("/a") + wire.boolean(True)
    assert asks.set_data(b"/a", b"x", 3).body == wire.string("/a") + wire.buf(b"x") + wire.i32(3)
    assert asks.delete(b"/a").body == wire.string("/a") + wire.i32(-1)
    acl = wire.vector([wire.i32(31) + wire.string("world") + wire.string("anyone")])
    assert asks.create(b"/a", b"x", 2).body == wire.string("/a") + wire.buf(b"x") + acl + wire.i32(2)
    assert asks.frame(5, 4, b"body") == wire.request(5, 4, b"body")
    opening = wire.frame(wire.connect_request(1, 2, 3, wire.session_password(3)) + b"\x00")
    assert asks.connect(1, 2, 3) == opening


def test_a_multi_has_a_head_for_each_part_and_an_end() -> None:
    part = asks.delete(b"/a")
    head = wire.i32(wire.DELETE) + wire.boolean(False) + wire.i32(-1)
    assert asks.multi(part).body == head + part.body + wire.i32(-1) + wire.boolean(True) + wire.i32(-1)


def test_only_plain_creates_are_for_the_model() -> None:
    assert asks.create(b"/a", b"x").call == ("create", b"x")
    assert asks.create(b"/a", b"x", 1).call is None and asks.sync(b"/a").call is None


def test_answers_are_taken_apart() -> None:
    assert answer_to(asks.get_data(b"/a"), wire.buf(b"x") + STAT).value == (b"x", 7, 3)
    assert answer_to(asks.exists(b"/a"), STAT).value == (7, 3)
    assert answer_to(asks.create(b"/a"), wire.string("/a1")).path == b"/a1"
    names = wire.vector([wire.string("b"), wire.string("c")])
    assert list(answer_to(asks.children(b"/a"), names).names) == [b"b", b"c"]
    end = wire.i32(-1) + wire.boolean(True) + wire.i32(-1)
    created = wire.i32(1) + wire.boolean(False) + wire.i32(0) + wire.string("/a")
    failed = wire.i32(-1) + wire.boolean(False) + wire.i32(-110) + wire.i32(-110)
    parts = answer_to(asks.multi(asks.create(b"/a")), created + failed + end).parts
    assert parts == [(1, 0, b"/a"), (-1, -110, b"")]


def test_an_error_has_no_body() -> None:
    assert asks.read_answer(asks.get_data(b"/a"), 9, -101, Reader(b"")).err == -101
