"""A Stat in its three layouts, and what each change leaves of it."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compat import wire
from zoopark.jute import stat as stats

Fields = tuple[int, ...]
I64S = st.integers(-(1 << 63), (1 << 63) - 1)
I32S = st.integers(-(1 << 31), (1 << 31) - 1)
NAMES = ("czxid", "mzxid", "ctime", "mtime", "version", "cversion", "aversion", "owner", "pzxid")
FIELDS = st.tuples(I64S, I64S, I64S, I64S, I32S, I32S, I32S, I64S, I64S)
SAMPLE: Fields = (1, 2, 3, 4, 5, 6, 7, 8, 9)


def kept(fields: Fields) -> bytes:
    czxid, mzxid, ctime, mtime, version, cversion, aversion, owner, pzxid = fields
    longs = b"".join(map(wire.i64, (czxid, mzxid, pzxid, ctime, mtime)))
    return longs + b"".join(map(wire.i32, (version, cversion, aversion))) + wire.i64(owner)


def fields_of(stat: bytes) -> Fields:
    reader = wire.Reader(stat)
    czxid, mzxid, pzxid, ctime, mtime = (reader.i64() for _ in range(5))
    version, cversion, aversion = (reader.i32() for _ in range(3))
    return (czxid, mzxid, ctime, mtime, version, cversion, aversion, reader.i64(), pzxid)


def test_the_layout_of_a_snapshot() -> None:
    expected = b"".join(map(wire.i64, (1, 2, 3, 4))) + b"".join(map(wire.i32, (5, 6, 7))) + wire.i64(8) + wire.i64(9)
    assert stats.to_snapshot(kept(SAMPLE)) == expected


def test_the_layout_on_the_wire() -> None:
    """68 bytes; clients see creations plus deletions of children as the cversion."""
    head = b"".join(map(wire.i64, (1, 2, 3, 4))) + b"".join(map(wire.i32, (5, 2 * 6 - 2, 7))) + wire.i64(8)
    expected = head + wire.i32(100) + wire.i32(2) + wire.i64(9)
    assert stats.wire_stat(kept(SAMPLE), 100, 2) == expected
    assert len(expected) == 68


@given(FIELDS)
def test_a_snapshot_gives_back_what_was_kept(fields: Fields) -> None:
    assert stats.from_snapshot(stats.to_snapshot(kept(fields))) == kept(fields)


@given(FIELDS)
def test_every_field_can_be_read(fields: Fields) -> None:
    stat = kept(fields)
    read = {
        "mzxid": stats.mzxid_of(stat),
        "ctime": stats.ctime_of(stat),
        "mtime": stats.mtime_of(stat),
        "version": stats.version_of(stat),
        "cversion": stats.cversion_of(stat),
        "aversion": stats.aversion_of(stat),
        "owner": stats.owner_of(stat),
        "pzxid": stats.pzxid_of(stat),
    }
    assert read == {name: value for name, value in zip(NAMES, fields, strict=True) if name != "czxid"}


CHANGES: dict[str, tuple[Callable[[bytes], bytes], dict[str, int]]] = {
    "set": (lambda stat: stats.after_set(stat, 100, 101, 102), {"mzxid": 100, "mtime": 101, "version": 102}),
    "child created": (lambda stat: stats.after_child_created(stat, 100, 101), {"pzxid": 100, "cversion": 101}),
    "child deleted": (lambda stat: stats.after_child_deleted(stat, 100), {"pzxid": 100}),
    "ACL": (lambda stat: stats.after_acl(stat, 100), {"aversion": 100}),
    "owner hidden": (stats.without_owner, {"owner": 0}),
}


@pytest.mark.parametrize("change", CHANGES)
@given(FIELDS)
def test_a_change_touches_its_fields_only(change: str, fields: Fields) -> None:
    """The table of which operation changes which field (protocol §1.9)."""
    act, expected = CHANGES[change]
    before = dict(zip(NAMES, fields, strict=True))
    assert dict(zip(NAMES, fields_of(act(kept(fields))), strict=True)) == {**before, **expected}


def test_a_new_node() -> None:
    assert fields_of(stats.new_stat(7, 1000, 42)) == (7, 7, 1000, 1000, 0, 0, 0, 42, 7)


@given(FIELDS, st.integers(0, 1 << 20))
def test_a_plain_node_takes_the_short_way(fields: Fields, size: int) -> None:
    """Two functions write a Stat for the wire; where both may, they must agree."""
    plain = (*fields[:5], 0, 0, 0, fields[8])
    assert stats.is_plain(kept(plain))
    assert stats.plain_wire_stat(kept(plain), size) == stats.wire_stat(kept(plain), size, 0)


@pytest.mark.parametrize("at", [5, 6, 7])
def test_children_an_acl_or_an_owner_make_a_node_special(at: int) -> None:
    fields = [0] * 9
    fields[at] = 1
    assert not stats.is_plain(kept(tuple(fields)))


@pytest.mark.parametrize(
    ("value", "wrapped"),
    [(0, 0), ((1 << 31) - 1, (1 << 31) - 1), (1 << 31, -(1 << 31)), (-(1 << 31) - 1, (1 << 31) - 1), (1 << 32, 0)],
)
def test_numbers_wrap_as_in_java(value: int, wrapped: int) -> None:
    assert stats.wrap_i32(value) == wrapped
