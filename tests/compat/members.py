"""Ensembles of real servers on loopback, of zoopark's, of Apache's, or of both; one runs at a time."""

import contextlib
import logging
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from threading import Event
from typing import Any, Final

from tests.compat.oracle import POLL_SECONDS, Flavour, Server, ServerFailedError, free_port

kazoo: Final[Any] = import_module("kazoo.client")  # it comes without types
errors: Final[Any] = import_module("kazoo.exceptions")
WAIT_S: Final = 25.0
SETTINGS: Final = {"initLimit": "10", "syncLimit": "5", "tickTime": "500"}
Rows = dict[str, tuple[Any, ...]]


class Members:
    """Servers 1, 2, 3 … of one ensemble. `stop` must follow.

    Args:
        home: an existing directory of its own.
        flavours: what each of them is.
        n_observers: how many of them, the last ones, only learn.
    """

    def __init__(self, home: Path, flavours: list[Flavour], n_observers: int = 0) -> None:
        logging.getLogger("kazoo").setLevel(logging.CRITICAL)
        ports = [(free_port(), free_port()) for _ in flavours]
        lines = {f"server.{sid}": f"127.0.0.1:{at}:{vote}" for sid, (at, vote) in enumerate(ports, 1)}
        for sid in range(len(flavours) - n_observers + 1, len(flavours) + 1):
            lines[f"server.{sid}"] += ":observer"
        self.servers: dict[int, Server] = {}
        self._clients: list[Any] = []
        for sid, flavour in enumerate(flavours, 1):
            place = home / str(sid)
            place.mkdir()
            server = Server(flavour, place, {**SETTINGS, **lines}, {"zookeeper.preAllocSize": "64"})
            server.data_dir.mkdir()
            (server.data_dir / "myid").write_text(f"{sid}\n")
            self.servers[sid] = server

    def start(self, *sids: int) -> "Members":
        """Start these, or all of them, and return when all of these serve."""
        with ThreadPoolExecutor(len(self.servers)) as pool:
            list(pool.map(lambda sid: self.servers[sid].start(), sids or self.servers))
        return self

    def stop(self) -> None:
        for client in self._clients:
            client.stop()
            client.close()
        for server in self.servers.values():
            server.stop()

    def modes(self) -> dict[int, str]:
        """leader, follower or observer by sid, of those that serve."""
        found: dict[int, str] = {}
        for sid, server in self.servers.items():
            with contextlib.suppress(ServerFailedError):
                said = [line for line in server.word("srvr").splitlines() if line.startswith("Mode: ")]
                found.update((sid, line.removeprefix("Mode: ")) for line in said)
        return found

    def wait(self, *sids: int) -> dict[int, str]:
        """The modes, once all of these serve."""
        modes: dict[int, str] = until(self.modes, lambda modes: set(sids) <= set(modes))
        return modes

    def leader(self) -> int:
        """The sid of the one that leads."""
        (sid,) = [sid for sid, mode in self.modes().items() if mode == "leader"]
        return sid

    def others(self, sid: int) -> list[int]:
        return [other for other in self.servers if other != sid]

    def client(self, *sids: int) -> Any:
        """A session at one of these servers."""
        client = kazoo.KazooClient(",".join(f"127.0.0.1:{self.servers[sid].port}" for sid in sids), timeout=10)
        self._clients.append(client)
        client.start(WAIT_S)
        return client

    def kill(self, sid: int) -> None:
        """kill -9, then wait until the others serve."""
        self.servers[sid].kill()
        self.wait(*self.others(sid))

    def wipe(self, sid: int) -> None:
        """A server that is down loses what it had, but for its myid."""
        shutil.rmtree(self.servers[sid].data_dir / "version-2")

    def rows(self, sid: int) -> Rows:
        """Every znode that one server has, with its data and Stat, but for /zookeeper."""
        client = self.client(sid)
        client.sync("/")
        rows: Rows = {}
        paths = ["/"]
        while paths:
            path = paths.pop()
            names = [name for name in client.get_children(path) if (path, name) != ("/", "zookeeper")]
            paths += [f"{path.rstrip('/')}/{name}" for name in names]
            data, stat = client.get(path)
            rows[path] = (data, *stat)
        client.stop()
        return rows


def until(look: Callable[[], Any], is_right: Callable[[Any], bool]) -> Any:
    """What `look` finds, once it is right; it is looked at again and again for WAIT_S at most."""
    deadline = time.monotonic() + WAIT_S
    while not is_right(found := look()):
        assert time.monotonic() < deadline, found
        Event().wait(POLL_SECONDS)
    return found


def count(client: Any, path: str, numbers: range) -> list[int]:
    """Create a znode for each number, trying again after a loss; those that were acknowledged."""
    acknowledged = []
    for number in numbers:
        _create(client, f"{path}/{number}")
        acknowledged.append(number)
    return acknowledged


def _create(client: Any, path: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            client.create(path, b"", makepath=True)
        except errors.NodeExistsError:
            return  # the try before came through, and its answer was lost
        except errors.KazooException:
            assert time.monotonic() < deadline, path
        else:
            return
