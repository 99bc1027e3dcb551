"""The floors of ARCHITECTURE.md, read from the imports: downward only, siblings are strangers, the world stays outside.

The simulator can replace the world only if no pure part reaches around it, so this is checked, not agreed.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "src" / "zoopark"

# Floor 0 is one room of single modules; above it each package is a room, and rooms of one floor are strangers.
FLOORS = {
    "errors": 0,
    "record": 0,
    "zxid": 0,
    "paths": 0,
    "jute": 1,
    "tree": 2,
    "log": 2,
    "zab": 2,
    "server": 3,
    "client": 3,
    "host": 4,
    "sim": 4,
    "cli": 5,
    "testing": 5,
    "__main__": 6,
}

WORLD = ("asyncio", "logging", "os", "random", "socket", "threading", "time")
WORLD_FLOOR = 4
WORLDLY_FILES = ("client/aio.py", "client/blocking.py")
WORLDLY_FOLDERS = ("client/recipes/",)


def _imports(tree: ast.Module) -> Iterator[tuple[str, list[str], int]]:
    """Every import of a module as (module, names taken from it, line), those in functions and conditions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, [], node.lineno
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module, [alias.name for alias in node.names], node.lineno


def _rooms(module: str, names: list[str]) -> list[str]:
    """The rooms of zoopark that an import enters."""
    parts = module.split(".")
    if parts[0] != "zoopark":
        return []
    if len(parts) > 1:
        return [parts[1]]
    return [name for name in names if not name.startswith("__")] if names else ["zoopark"]


def _is_worldly(path: str) -> bool:
    return path in WORLDLY_FILES or path.startswith(WORLDLY_FOLDERS)


def complaints(path: str, source: str) -> list[str]:
    """What `source` may not import.

    Args:
        path: of the module below src/zoopark, with slashes: "tree/watches.py".
        source: its text.
    """
    room = path.split("/")[0].removesuffix(".py")
    if path == "__init__.py":
        room = "zxid"  # the package itself stands on floor 0
    if room not in FLOORS:
        return [f"{path}: {room} has no floor"]
    found = []
    for module, names, line in _imports(ast.parse(source)):
        found += [f"{path}:{line}: {why}" for why in _why_not(path, room, module, names)]
    return found


def _why_not(path: str, room: str, module: str, names: list[str]) -> list[str]:
    if module.startswith("."):
        return ["relative import"]
    floor = FLOORS[room]
    why = []
    for other in _rooms(module, names):
        if other not in FLOORS:
            why.append(f"{other} has no floor")
        elif FLOORS[other] > floor:
            why.append(f"{room} imports {other} from above")
        elif FLOORS[other] == floor != 0 and other != room:
            why.append(f"{room} imports its sibling {other}")
    is_for_annotations = (module, names) == ("random", ["Random"])
    if module.split(".")[0] in WORLD and floor < WORLD_FLOOR and not _is_worldly(path) and not is_for_annotations:
        why.append(f"{room} imports {module} of the outside world")
    return why


@pytest.mark.parametrize("path", sorted(SOURCES.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCES)))
def test_a_module_imports_downward_only(path: Path) -> None:
    """One sideways import, and a part can no longer be understood, tested or simulated alone."""
    assert complaints(path.relative_to(SOURCES).as_posix(), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("tree/x.py", "from zoopark.server import config", "tree/x.py:1: tree imports server from above"),
        ("tree/x.py", "import zoopark.log.disk", "tree/x.py:1: tree imports its sibling log"),
        ("server/x.py", "from zoopark import client", "server/x.py:1: server imports its sibling client"),
        ("host/x.py", "from zoopark.sim.world import World", "host/x.py:1: host imports its sibling sim"),
        ("jute/x.py", "def f():\n    import zoopark.tree.tree", "jute/x.py:2: jute imports tree from above"),
        ("log/x.py", "if TYPE_CHECKING:\n    from zoopark.zab import peer", "log/x.py:2: log imports its sibling zab"),
        ("errors.py", "from zoopark.jute.buffer import Reader", "errors.py:1: errors imports jute from above"),
        ("__init__.py", "from zoopark.client import Client", "__init__.py:1: zxid imports client from above"),
        ("tree/x.py", "from . import znode", "tree/x.py:1: relative import"),
        ("tree/x.py", "from zoopark.misc import x", "tree/x.py:1: misc has no floor"),
        ("misc/x.py", "", "misc/x.py: misc has no floor"),
        ("misc.py", "", "misc.py: misc has no floor"),
        ("server/x.py", "import os.path", "server/x.py:1: server imports os.path of the outside world"),
        ("server/x.py", "from time import time", "server/x.py:1: server imports time of the outside world"),
        ("zab/x.py", "from random import Random, random", "zab/x.py:1: zab imports random of the outside world"),
        ("zab/x.py", "import random", "zab/x.py:1: zab imports random of the outside world"),
        ("client/core.py", "import asyncio", "client/core.py:1: client imports asyncio of the outside world"),
    ],
)
def test_a_forbidden_import_is_found(path: str, source: str, expected: str) -> None:
    """The check itself must be able to fail."""
    assert complaints(path, source) == [expected]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("server/x.py", "from zoopark.tree.tree import Tree\nfrom zoopark import errors\nfrom zoopark.server import y"),
        ("paths.py", "from zoopark.errors import BAD_ARGUMENTS"),
        ("zab/x.py", "from random import Random"),
        ("host/x.py", "import asyncio, os, socket, time, random, logging, threading"),
        ("cli/x.py", "import time\nfrom zoopark.host.run import run_server\nfrom zoopark import __version__"),
        ("client/aio.py", "import asyncio"),
        ("client/recipes/lock.py", "import asyncio"),
        ("server/x.py", "import timeit, osmium, struct"),
    ],
)
def test_an_allowed_import_is_not(path: str, source: str) -> None:
    """A check that complains of everything would be switched off."""
    assert complaints(path, source) == []
