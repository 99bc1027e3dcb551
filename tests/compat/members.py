"""Ensembles of real servers on loopback, of zoopark's, of Apache's, or of both; one runs at a time."""

import contextlib
import logging
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from threading import Event
from types import MappingProxyType
from typing import Any, Final

from tests.compat.oracle import POLL_SECONDS, Flavour, Server, ServerFailedError, free_port
from tests.compat.relay import mismatches
from tests.compat.session import Session

kazoo: Final[Any] = import_module("kazoo.client")  # it comes without types
errors: Final[Any] = import_module("kazoo.exceptions")
WAIT_S: Final = 100.0
"""For what must come, however busy the machine: it ends a test that hangs, and is no claim."""
TICK_MS: Final = 500
SESSION_MS: Final = 30_000
SETTINGS: Final = {
    "initLimit": "20",
    "syncLimit": "10",
    "tickTime": str(TICK_MS),
    "maxSessionTimeout": str(2 * SESSION_MS),
}
PROPERTIES: Final = {"zookeeper.preAllocSize": "64", "zookeeper.extendedTypesEnabled": "true"}
AT_ONCE: Final = {"max_tries": -1, "delay": 0.05, "backoff": 1, "max_delay": 0.05}
"""How kazoo connects again. By itself it waits twice as long each time: it misses as much as it has waited."""
UNCOVERED: Final = re.compile("WARN FileTxnSnapLog Highest txn zxid .* is not covering the snapshot digest")
"""What Apache's learners say after a kill -9: they apply, and save, what others have logged and they have not yet."""
Rows = dict[str, tuple[Any, ...]]


class Members:
    """Servers 1, 2, 3 … of one ensemble. `stop` must follow.

    Args:
        home: an existing directory of its own.
        flavours: what each of them is.
        n_observers: how many of them, the last ones, only learn.
        properties: JVM properties of all of them, besides PROPERTIES.
        settings: lines of their zoo.cfg, besides SETTINGS.
    """

    def __init__(
        self,
        home: Path,
        flavours: list[Flavour],
        n_observers: int = 0,
        properties: Mapping[str, str] = MappingProxyType({}),
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        logging.getLogger("kazoo").setLevel(logging.CRITICAL)
        ports = [(free_port(), free_port()) for _ in flavours]
        lines = {f"server.{sid}": f"127.0.0.1:{at}:{vote}" for sid, (at, vote) in enumerate(ports, 1)}
        for sid in range(len(flavours) - n_observers + 1, len(flavours) + 1):
            lines[f"server.{sid}"] += ":observer"
        self.servers: dict[int, Server] = {}
        self._clients: list[Any] = []
        self._sessions: list[Session] = []
        for sid, flavour in enumerate(flavours, 1):
            place = home / str(sid)
            place.mkdir()
            server = Server(flavour, place, {**SETTINGS, **lines, **settings}, {**PROPERTIES, **properties})
            server.data_dir.mkdir()
            (server.data_dir / "myid").write_text(f"{sid}\n")
            self.servers[sid] = server

    def start(self, *sids: int) -> "Members":
        """Start these, or all of them, and return when all of these serve; if one does not, no server is left."""
        try:
            with ThreadPoolExecutor(len(self.servers)) as pool:
                list(pool.map(lambda sid: self.servers[sid].start(), sids or self.servers))
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        for session in self._sessions:
            session.close()
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
        """The modes, once all of these serve, and somebody leads them."""
        modes: dict[int, str] = until(self.modes, lambda modes: set(sids) <= set(modes) and "leader" in modes.values())
        return modes

    def leader(self) -> int:
        """The sid of the one that leads, once there is one."""
        leaders = until(
            lambda: [sid for sid, mode in self.modes().items() if mode == "leader"], lambda found: len(found) == 1
        )
        (sid,) = leaders
        return int(sid)

    def others(self, sid: int) -> list[int]:
        return [other for other in self.servers if other != sid]

    def client(self, *sids: int) -> Any:
        """A session at one of these servers."""
        hosts = ",".join(f"127.0.0.1:{self.servers[sid].port}" for sid in sids)
        client = kazoo.KazooClient(hosts, timeout=SESSION_MS / 1000, connection_retry=AT_ONCE)
        self._clients.append(client)
        client.start_async().wait(WAIT_S)
        assert client.connected, (sids, self.modes(), {sid: self.said(sid)[-3000:] for sid in self.servers})
        return client

    def session(
        self, sid: int, former: Session | None = None, timeout_ms: int = SESSION_MS, is_read_only: bool = False
    ) -> Session:
        """A session over `wire` at this server: a new one, or the one that `former` spoke for."""
        address, session_id = self.servers[sid].address, former.session_id if former is not None else 0
        self._sessions.append(Session(address, timeout_ms, session_id, is_read_only=is_read_only))
        return self._sessions[-1]

    def said(self, sid: int) -> str:
        """What the process has written since its start."""
        return self.servers[sid].said

    def replace(self, sid: int, flavour: Flavour) -> None:
        """End a server in order, and start one of this kind in its place: same ports, same data directory."""
        former = self.servers[sid]
        former.stop()
        server = Server(flavour, former.home, former.settings, former.properties, former.data_dir)
        server.port = former.port
        self.servers[sid] = server
        self.start(sid)

    def finish(self) -> None:
        """`check`, then `stop`."""
        try:
            self.check()
        finally:
            self.stop()

    def check(self) -> None:
        """No process was surprised, no digest of a transaction or snapshot was found wrong, no two trees differ."""
        for sid, server in self.servers.items():
            assert "Traceback" not in server.log, server.log
            assert "digest after" not in server.log, server.log
            if sid in self.modes():
                found = [line for line in mismatches(server) if not (server.was_killed and UNCOVERED.search(line))]
                assert found == [], (sid, found)
        assert {zxid: noted for zxid, noted in self.digests().items() if len(noted) > 1} == {}

    def digests(self) -> dict[int, set[str]]:
        """The tree digests that servers have noted of late: by zxid, what they are; one if all agree."""
        noted: dict[int, set[str]] = {}
        for sid in self.modes():
            for line in self.servers[sid].word("hash").splitlines():
                zxid, _, digest = line.partition(": ")
                noted.setdefault(int(zxid, 16), set()).add(digest)
        return noted

    def kill(self, sid: int) -> None:
        """kill -9, then wait until the others serve."""
        self.servers[sid].kill()
        self.wait(*self.others(sid))

    def make_leader(self, sid: int) -> None:
        """Leaders are killed, and start again, until this one leads: of equal logs the larger id's does."""
        for _ in self.servers:
            leader = self.leader()
            if leader == sid:
                return
            self.kill(leader)
            self.start(leader)
        assert self.leader() == sid

    def doom(self, leader: int, path: str) -> None:
        """This leader logs a create that no other server hears of; then all are killed."""
        client = self.client(leader)
        for sid in self.others(leader):
            self.servers[sid].freeze()
        client.create_async(path)
        logs = self.servers[leader].data_dir / "version-2"
        until(lambda: any(path.encode() in file.read_bytes() for file in logs.glob("log.*")), bool)
        for server in self.servers.values():
            server.kill()
        client.stop()

    def wipe(self, sid: int) -> None:
        """A server that is down loses what it had, but for its myid; it is put away for `mismatches`."""
        had = self.servers[sid].data_dir / "version-2"
        had.rename(had.with_name(f"lost-{time.monotonic_ns()}"))

    def save_all(self, client: Any, size_bytes: int) -> None:
        """Write until every server has a snapshot of at least this size, which on a busy machine takes its time.

        It needs a snapCount of 100 or less.
        """
        deadline, number = time.monotonic() + WAIT_S, 0
        while not all(server.newest_snapshot_bytes() >= size_bytes for server in self.servers.values()):
            assert time.monotonic() < deadline, [server.newest_snapshot_bytes() for server in self.servers.values()]
            fill(client, "/saved", range(number, number + 100))
            number += 100

    def rows(self, sid: int) -> Rows:
        """Every znode that one server has, with its data and Stat, but for /zookeeper."""
        client = self.client(sid)
        client.sync("/")
        rows: Rows = {}
        level = ["/"]
        while level:
            asked = [(path, client.get_async(path), client.get_children_async(path)) for path in level]
            level = []
            for path, data, names in asked:
                rows[path] = (data.get(timeout=WAIT_S)[0], *data.get()[1])
                level += [f"{path.rstrip('/')}/{name}" for name in names.get(timeout=WAIT_S)]
                level = [child for child in level if child != "/zookeeper"]
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


def fill(client: Any, path: str, numbers: range) -> None:
    """Create a znode for each number, all at once, and what they lie in."""
    client.ensure_path(path)
    for answer in [client.create_async(f"{path}/{number}") for number in numbers]:
        answer.get(timeout=WAIT_S)


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
