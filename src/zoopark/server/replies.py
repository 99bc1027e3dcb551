"""What a client is told of a write that was applied."""

from zoopark.errors import OK, SESSION_MOVED
from zoopark.jute import proto, txn
from zoopark.jute.buffer import I32, pack_buffer
from zoopark.tree.tree import Outcome, Part, Tree


def body_of(tree: Tree, op: int, outcome: Outcome) -> bytes:
    """The body of the reply to a request of opcode `op`, empty for an error and where the protocol has none.

    A sync's outcome holds the body in the place of the path.
    """
    err, path, node, parts = outcome
    if err != OK:
        return b""
    if op in (proto.SET_DATA, proto.SET_ACL):
        assert node is not None
        return tree.wire_stat(node)
    if op == proto.CREATE:
        return I32.pack(len(path)) + path
    if op in (proto.CREATE2, proto.CREATE_CONTAINER, proto.CREATE_TTL):
        assert node is not None
        return pack_buffer(path) + tree.wire_stat(node)
    if op == proto.SYNC:
        return path
    if parts is not None:
        return b"".join([_pack_part(part) for part in parts]) + proto.MULTI_END
    return b""


def is_moved(outcome: Outcome) -> bool:
    """Whether a write was refused because its session has moved to another server; the client is told nothing then."""
    err, _, _, parts = outcome
    return err == SESSION_MOVED or (parts is not None and any(part[1] == SESSION_MOVED for part in parts))


def _pack_part(part: Part) -> bytes:
    """One operation of a multi's reply."""
    kind, err, path, stat = part
    if kind == txn.ERROR:
        return proto.encode_multi_part(-1, err, I32.pack(err))
    if kind in (txn.CREATE2, txn.CREATE_CONTAINER, txn.CREATE_TTL):
        return proto.encode_multi_part(txn.CREATE2, err, pack_buffer(path) + stat)
    if kind == txn.CREATE:
        return proto.encode_multi_part(kind, err, pack_buffer(path))
    return proto.encode_multi_part(kind, err, stat if kind == txn.SET_DATA else b"")
