"""A znode's Stat in its three layouts.

    kept in memory    czxid mzxid pzxid ctime mtime version cversion aversion ephemeralOwner           60 bytes
    in a snapshot     czxid mzxid ctime mtime version cversion aversion ephemeralOwner pzxid           60 bytes
    on the wire       czxid mzxid ctime mtime version cversion aversion ephemeralOwner dataLength numChildren pzxid
                                                                                                       68 bytes

The layout in memory is the one that the tree digest covers, so that a digest needs no packing. The cversion kept counts
the creations of children only; clients are told creations and deletions, 2 * cversion - numChildren. Clients see the
ephemeralOwner 0 for container and TTL nodes.
"""

from struct import Struct
from typing import Final

KEPT: Final = Struct(">qqqqqiiiq")
VERSION_AT: Final = 40
CVERSION_AT: Final = 44
AVERSION_AT: Final = 48
OWNER_AT: Final = 52
COUNTS: Final = Struct(">ii")
_I32: Final = Struct(">i")
_I64: Final = Struct(">q")
_AROUND_SET: Final = Struct("8s8x16s12x16s")
_SET: Final = Struct(">8sq16sqi16s")
_AROUND_CHILD: Final = Struct("16s8x20s4x12s")
_CHILD: Final = Struct(">16sq20si12s")
_WIRE_PARTS: Final = Struct("16s8s36s")
_STAT_REPLY: Final = Struct(">iiqi16s36sii8s")
_STAT_REPLY_BYTES: Final = 84
_PLAIN_TAIL: Final = bytes(16)


def new_stat(zxid: int, time_ms: int, owner: int) -> bytes:
    """The kept Stat of a node that `zxid` creates at `time_ms` (wall clock) for the ephemeralOwner `owner`."""
    return KEPT.pack(zxid, zxid, zxid, time_ms, time_ms, 0, 0, 0, owner)


def version_of(stat: bytes) -> int:
    return int(_I32.unpack_from(stat, VERSION_AT)[0])


def cversion_of(stat: bytes) -> int:
    """How many children were created, ever."""
    return int(_I32.unpack_from(stat, CVERSION_AT)[0])


def aversion_of(stat: bytes) -> int:
    return int(_I32.unpack_from(stat, AVERSION_AT)[0])


def owner_of(stat: bytes) -> int:
    """The stored ephemeralOwner: a session id, or the mark of a container or TTL node."""
    return int(_I64.unpack_from(stat, OWNER_AT)[0])


def pack_owner(owner: int) -> bytes:
    """An ephemeralOwner as it stands at the end of the kept Stat."""
    return _I64.pack(owner)


def czxid_of(stat: bytes) -> int:
    return int(_I64.unpack_from(stat)[0])


def mzxid_of(stat: bytes) -> int:
    return int(_I64.unpack_from(stat, 8)[0])


def pzxid_of(stat: bytes) -> int:
    return int(_I64.unpack_from(stat, 16)[0])


def ctime_of(stat: bytes) -> int:
    return int(_I64.unpack_from(stat, 24)[0])


def mtime_of(stat: bytes) -> int:
    return int(_I64.unpack_from(stat, 32)[0])


def after_set(stat: bytes, zxid: int, time_ms: int, version: int) -> bytes:
    """The kept Stat once transaction `zxid` has set the data, which then has `version`."""
    czxid, pzxid_ctime, rest = _AROUND_SET.unpack(stat)
    return _SET.pack(czxid, zxid, pzxid_ctime, time_ms, version, rest)


def after_child_created(stat: bytes, zxid: int, cversion: int) -> bytes:
    """The kept Stat of a parent once transaction `zxid` has created its `cversion`-th child."""
    czxid_mzxid, times_version, rest = _AROUND_CHILD.unpack(stat)
    return _CHILD.pack(czxid_mzxid, zxid, times_version, cversion, rest)


def after_child_deleted(stat: bytes, zxid: int) -> bytes:
    """The kept Stat of a parent once transaction `zxid` has deleted a child."""
    return stat[:16] + _I64.pack(zxid) + stat[24:]


def after_acl(stat: bytes, aversion: int) -> bytes:
    """The kept Stat once the ACL has `aversion`."""
    return stat[:48] + _I32.pack(aversion) + stat[52:]


def wire_stat(stat: bytes, data_length: int, n_children: int) -> bytes:
    """The Stat that clients are sent, with the ephemeralOwner as it is kept."""
    seen_cversion = wrap_i32(2 * cversion_of(stat) - n_children)
    counts = COUNTS.pack(data_length, n_children)
    return stat[:16] + stat[24:44] + _I32.pack(seen_cversion) + stat[48:] + counts + stat[16:24]


def is_plain(stat: bytes) -> bool:
    """Whether the node never had a child, keeps its first ACL and has no owner: then its Stat needs no translation."""
    return stat[CVERSION_AT:] == _PLAIN_TAIL


def plain_wire_stat(stat: bytes, data_length: int) -> bytes:
    """`wire_stat` of a plain node."""
    return stat[:16] + stat[24:] + COUNTS.pack(data_length, 0) + stat[16:24]


def plain_stat_reply(xid: int, zxid: int, stat: bytes, data_length: int) -> bytes:
    """A whole framed reply that holds nothing but the Stat of a plain node: the answer to setData."""
    head, pzxid, rest = _WIRE_PARTS.unpack(stat)
    return _STAT_REPLY.pack(_STAT_REPLY_BYTES, xid, zxid, 0, head, rest, data_length, 0, pzxid)


def without_owner(stat: bytes) -> bytes:
    """The kept Stat with the ephemeralOwner 0, as clients see container and TTL nodes."""
    return stat[:52] + bytes(8)


def wrap_i32(value: int) -> int:
    """The value as Java's int arithmetic leaves it."""
    return (value + 0x80000000 & 0xFFFFFFFF) - 0x80000000


def to_snapshot(stat: bytes) -> bytes:
    """The layout of a snapshot from the one kept."""
    return stat[:16] + stat[24:] + stat[16:24]


def from_snapshot(stat: bytes) -> bytes:
    """The layout kept from the one of a snapshot."""
    return stat[:16] + stat[52:] + stat[16:52]
