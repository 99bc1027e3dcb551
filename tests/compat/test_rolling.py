"""All three servers of an ensemble are replaced, one at a time, by those of another kind, and back, under load.

Each server ends in order and another kind starts on its data directory, with the same zoo.cfg. Meanwhile writers count,
sessions keep their ephemerals, and readers read what the writers are told.
"""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Any, Final

import pytest

from tests.compat import files
from tests.compat.conftest import Form, Referee
from tests.compat.members import WAIT_S, Members, errors, until

pytestmark = pytest.mark.compat

N_WRITERS: Final = 3
N_HOLDERS: Final = 10


class Load:
    """Writers that count under a znode each, and sessions that hold an ephemeral; all of them go from server to server.

    Attributes:
        holders: who holds an ephemeral, by its path.
        acknowledged: of each writer, how far it was told that it has come.
    """

    def __init__(self, members: Members) -> None:
        self._end = Event()
        self._pool = ThreadPoolExecutor(N_WRITERS)
        clients = [members.client(*members.servers) for _ in range(N_WRITERS + N_HOLDERS)]
        self.holders = {f"/held/{number}": client for number, client in enumerate(clients[N_WRITERS:])}
        self.clients = clients
        self.session_ids = [client.client_id[0] for client in clients]
        clients[0].ensure_path("/held")
        for path, client in self.holders.items():
            client.create(path, ephemeral=True)
        self.acknowledged = [-1] * N_WRITERS
        self._written: list[Future[None]] = [self._pool.submit(self._write, number) for number in range(N_WRITERS)]

    def wait(self, more: int) -> None:
        """Until each writer has come so much further."""
        wanted = [count + more for count in self.acknowledged]
        until(lambda: self.acknowledged, lambda counts: all(map(int.__ge__, counts, wanted)))

    def owners(self) -> dict[str, int]:
        """The session of each ephemeral, as it was at the beginning."""
        return dict(zip(self.holders, self.session_ids[N_WRITERS:], strict=True))

    def end(self) -> None:
        """The writers stop; what went wrong with one of them is raised here."""
        self._end.set()
        for written in self._written:
            written.result(2 * WAIT_S)
        self._pool.shutdown()

    def _write(self, number: int) -> None:
        client, path = self.clients[number], f"/count-{number}"
        insist(client, "create", path, b"-1")
        while not self._end.is_set():
            count = self.acknowledged[number] + 1
            insist(client, "create", f"{path}/{count}")
            insist(client, "set", path, b"%d" % count)
            self.acknowledged[number] = count
            assert insist(client, "get", path)[0] == b"%d" % count, "a client does not find its own write"


def insist(client: Any, request: str, *args: Any) -> Any:
    """The answer to a request that is sent again whenever the connection is lost; a lost session is an error."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            return getattr(client, request)(*args)
        except errors.NodeExistsError:
            return None  # the try before came through, and its answer was lost
        except errors.ConnectionLoss:
            assert time.monotonic() < deadline, (request, args)


def is_exact(members: Members, sid: int) -> bool:
    """Whether whoever starts with the newest snapshot of a server finds no digest that differs.

    The one that Apache's leader sends while it writes is ahead: by one transaction, and that makes up for it; or by
    more, and then zoopark saves another one.
    """
    newest = files.files_of(members.servers[sid].data_dir, "snapshot")[-1]
    try:
        return files.read_snapshot(newest).ahead() <= 1
    except files.UNFINISHED:
        return False


def test_all_servers_are_replaced_one_at_a_time_and_back(form: Form, flavour: Referee) -> None:
    """Apache's, then zoopark's, then Apache's again: no acknowledged write is lost, no session, no digest differs."""
    members = form("3.9.3", "3.9.3", "3.9.3").start()
    load = Load(members)
    for kind in ("zoopark", "3.9.3"):
        for sid in members.servers:
            load.wait(10)
            until(partial(is_exact, members, sid), bool)
            members.replace(sid, flavour(kind))
            members.wait(*members.servers)
    load.wait(100)
    load.end()
    assert [client.client_id[0] for client in load.clients] == load.session_ids
    rows = members.rows(1)
    assert rows == members.rows(2) == members.rows(3)
    assert {path: rows[path][-4] for path in load.holders} == load.owners()
    for number, count in enumerate(load.acknowledged):
        assert [at for at in range(count + 1) if f"/count-{number}/{at}" not in rows] == []
    assert members.digests() != {}
