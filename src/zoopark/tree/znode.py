"""One znode in memory. A million of them are kept, so every field counts: see the memory table in ARCHITECTURE.md."""

from typing import final
from zlib import crc32

from mypy_extensions import mypyc_attr

from zoopark.tree.acl import Acl


@final
@mypyc_attr(acyclic=True)  # compiled, the garbage collector does not look at a million of them
class Znode:
    """The state of one znode.

    Args:
        data: the value, or None if it was never given one.
        stat: the kept layout of `zoopark.jute.stat`, 60 bytes.
        acl: its ACL, one of the tree's table.

    `children` maps the full paths of the children to None, sharing the bytes with the keys of the tree; None if there
    never was a child. A dict, because its order is the order of creation on every member.
    """

    __slots__ = ("acl", "children", "data", "stat")

    def __init__(self, data: bytes | None, stat: bytes, acl: Acl) -> None:
        self.data = data
        self.stat = stat
        self.acl = acl
        self.children: dict[bytes, None] | None = None

    def n_children(self) -> int:
        return len(self.children) if self.children else 0

    def load_children(self) -> dict[bytes, None]:
        """The children, to put one in."""
        if self.children is None:
            self.children = {}
        return self.children

    def data_length(self) -> int:
        return len(self.data) if self.data else 0


def content_crc(path: bytes, data: bytes | None) -> int:
    """CRC-32 of path and data, the part of a node's digest that a change of Stat leaves alone.

    The root counts under the empty path.
    """
    crc = crc32(path) if path != b"/" else 0
    return crc32(data, crc) if data else crc


def node_digest(path: bytes, data: bytes | None, stat: bytes) -> int:
    """A node's share of the tree digest, version 2: CRC-32 of path, data and the kept Stat."""
    return crc32(stat, content_crc(path, data))


def digest_change(path: bytes, old: tuple[bytes | None, bytes], new: tuple[bytes | None, bytes]) -> int:
    """By how much the tree digest grows when data and kept Stat of one node become others."""
    crc = content_crc(path, None)
    return crc32((new[0] or b"") + new[1], crc) - crc32((old[0] or b"") + old[1], crc)
