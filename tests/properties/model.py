"""ZooKeeper's tree once more, as simple as can be: a second opinion that shares no line with the one under test."""

from copy import deepcopy
from dataclasses import dataclass

ANY = -1
OPEN = 31


@dataclass
class Node:
    """A znode; `cversion` counts creations of children, `perms` is what everybody may do."""

    data: bytes | None
    czxid: int
    ctime: int
    owner: int = 0
    perms: int = OPEN
    mzxid: int = 0
    pzxid: int = 0
    mtime: int = 0
    version: int = 0
    cversion: int = 0
    aversion: int = 0

    def __post_init__(self) -> None:
        self.mzxid, self.pzxid, self.mtime = self.czxid, self.czxid, self.ctime


class RefusedError(Exception):
    """The code is the first argument."""


class Model:
    """Znodes by path, and who is closed. Every method that changes raises RefusedError and then has changed nothing."""

    def __init__(self) -> None:
        self.nodes = {"/": Node(b"", 0, 0)}
        self.zxid = self.time = 0

    def children(self, path: str) -> list[str]:
        prefix = path.rstrip("/") + "/"
        return [
            child
            for child in self.nodes
            if child.startswith(prefix) and child != "/" and "/" not in child[len(prefix) :]
        ]

    def node(self, path: str) -> Node:
        if path not in self.nodes:
            raise RefusedError(-101)
        return self.nodes[path]

    def create(self, path: str, data: bytes | None, owner: int = 0, is_sequential: bool = False) -> None:
        parent = self.node(path.rpartition("/")[0] or "/")
        allow(parent, 4)
        name = f"{path}{parent.cversion:010d}" if is_sequential else path
        if name in self.nodes:
            raise RefusedError(-110)
        if parent.owner > 0:
            raise RefusedError(-108)
        self.nodes[name] = Node(data, self.zxid, self.time, owner)
        parent.cversion += 1
        parent.pzxid = self.zxid

    def delete(self, path: str, version: int = ANY) -> None:
        parent, node = self.node(path.rpartition("/")[0] or "/"), self.node(path)
        allow(parent, 8)
        expect(node.version, version)
        if self.children(path):
            raise RefusedError(-111)
        del self.nodes[path]
        parent.pzxid = self.zxid

    def set_data(self, path: str, data: bytes | None, version: int = ANY) -> None:
        node = self.node(path)
        allow(node, 2)
        expect(node.version, version)
        node.data, node.mzxid, node.mtime, node.version = data, self.zxid, self.time, node.version + 1

    def set_acl(self, path: str, perms: int, version: int = ANY) -> None:
        node = self.node(path)
        allow(node, 16)
        expect(node.aversion, version)
        node.perms, node.aversion = perms, node.aversion + 1

    def check(self, path: str, version: int) -> None:
        node = self.node(path)
        allow(node, 1)
        expect(node.version, version)

    def close(self, session_id: int) -> None:
        for path in [path for path, node in self.nodes.items() if node.owner == session_id]:
            del self.nodes[path]
            self.nodes[path.rpartition("/")[0] or "/"].pzxid = self.zxid

    def snapshot(self) -> dict[str, Node]:
        return deepcopy(self.nodes)


def allow(node: Node, permission: int) -> None:
    if not node.perms & permission:
        raise RefusedError(-102)


def expect(actual: int, wanted: int) -> None:
    if wanted not in (ANY, actual):
        raise RefusedError(-103)
