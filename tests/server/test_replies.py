"""What a client is told of a write that was applied, byte for byte."""

import struct

import pytest

from zoopark.errors import NO_NODE, OK, SESSION_MOVED
from zoopark.jute import proto, txn
from zoopark.jute.stat import new_stat
from zoopark.server.replies import body_of, is_moved
from zoopark.tree.owners import OwnerKinds
from zoopark.tree.tree import Outcome, Part, Tree
from zoopark.tree.znode import Znode

TREE = Tree(OwnerKinds(is_extended=False))
NODE = Znode(b"data", new_stat(9, 1000, 0), TREE.acls.open)
STAT = struct.pack(">qqqqiiiqiiq", 9, 9, 1000, 1000, 0, 0, 0, 0, 4, 0, 9)
PATH = b"\x00\x00\x00\x02/a"


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (proto.CREATE, PATH),
        (proto.CREATE2, PATH + STAT),
        (proto.CREATE_CONTAINER, PATH + STAT),
        (proto.CREATE_TTL, PATH + STAT),
        (proto.SET_DATA, STAT),
        (proto.SET_ACL, STAT),
        (proto.DELETE, b""),
        (proto.CLOSE_SESSION, b""),
    ],
)
def test_each_write_has_its_answer(op: int, expected: bytes) -> None:
    """Clients read the record that the opcode promises."""
    assert body_of(TREE, op, (OK, b"/a", NODE, None)) == expected


@pytest.mark.parametrize("op", [proto.CREATE, proto.SET_DATA, proto.DELETE, proto.MULTI])
def test_an_error_has_no_body(op: int) -> None:
    """The header says it all."""
    assert body_of(TREE, op, (NO_NODE, b"", None, None)) == b""


MULTI: list[tuple[Part, bytes]] = [
    ((txn.CREATE, OK, b"/a", STAT), struct.pack(">i?i", 1, False, 0) + PATH),
    ((txn.CREATE_TTL, OK, b"/a", STAT), struct.pack(">i?i", 15, False, 0) + PATH + STAT),
    ((txn.SET_DATA, OK, b"/a", STAT), struct.pack(">i?i", 5, False, 0) + STAT),
    ((txn.DELETE, OK, b"/a", b""), struct.pack(">i?i", 2, False, 0)),
    ((txn.CHECK, OK, b"/a", b""), struct.pack(">i?i", 13, False, 0)),
    ((txn.ERROR, NO_NODE, b"", b""), struct.pack(">i?ii", -1, False, NO_NODE, NO_NODE)),
]


@pytest.mark.parametrize(("part", "expected"), MULTI)
def test_each_part_of_a_multi_has_its_header_and_body(part: Part, expected: bytes) -> None:
    """All creates but the oldest answer as create2, whatever they were."""
    end = struct.pack(">i?i", -1, True, -1)
    assert body_of(TREE, proto.MULTI, (OK, b"", None, [part])) == expected + end


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ((OK, b"", None, None), False),
        ((NO_NODE, b"", None, None), False),
        ((SESSION_MOVED, b"", None, None), True),
        ((OK, b"", None, [(txn.ERROR, OK, b"", b""), (txn.ERROR, SESSION_MOVED, b"", b"")]), True),
        ((OK, b"", None, [(txn.CREATE, OK, b"/a", b"")]), False),
    ],
)
def test_who_has_moved_is_told_nothing(outcome: Outcome, expected: bool) -> None:
    """Also where a leader of ZooKeeper finds it out in the middle of a multi."""
    assert is_moved(outcome) == expected
