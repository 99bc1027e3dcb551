"""kill -9 of the real process under load, at any moment: what was acknowledged is there, whole, and only once.

ZOOPARK_KILLS says how often, ZOOPARK_SEED how the moments fall; both are printed.
"""

import os
import sys
import threading
from random import Random

import pytest

from tests.compat import wire
from tests.faults.process import (
    Client,
    Fleet,
    Process,
    RefusedError,
    create_body,
    multi_body,
    owner_of,
    set_body,
    version_of,
)

KILLS = int(os.environ.get("ZOOPARK_KILLS", "10"))
SEED = int(os.environ.get("ZOOPARK_SEED", "1"))
WORKERS = 5
DEPTH = 40
EPHEMERAL, SEQUENTIAL = 1, 2


class Worker:
    """One session that writes under /w<number> as fast as it can, and knows what it was promised.

    counter   a value that is set to 1, 2, 3 …, so value and version agree
    left, right   two values that a multi sets together
    s/n-…     sequential nodes; every tenth is deleted again
    e         an ephemeral
    """

    def __init__(self, number: int) -> None:
        self.root = f"/w{number}"
        self.session_id = 0
        self.zxid = 0
        self.sent = self.acknowledged = 0
        self.names: set[str] = set()
        self.deleted: set[str] = set()
        self.maybe_deleted: set[str] = set()
        self._pending: dict[int, tuple[str, str]] = {}

    def prepare(self, server: Process) -> None:
        client = server.client()
        for path in ("", "/counter", "/left", "/right", "/s"):
            client.create(self.root + path)
        client.create(f"{self.root}/e", b"", EPHEMERAL)
        self.session_id, self.zxid = client.session_id, client.zxid
        client.link.close()

    def work(self, server: Process) -> None:
        """Write until the server is gone."""
        try:
            client = server.client(session_id=self.session_id, zxid=self.zxid)
        except (OSError, RefusedError):
            return  # killed before it answered
        self._pending.clear()
        for _ in range(DEPTH):
            self._ask(client)
        while (reply := client.receive()) is not None:
            self._on_reply(*reply)
            self.zxid = client.zxid
            self._ask(client)

    def _ask(self, client: Client) -> None:
        kind = self.sent % 3
        if kind == 0 and len(self.names) % 10 == 9:
            name = min(self.names)
            self.names.discard(name)
            self.maybe_deleted.add(name)
            xid = client.send(wire.DELETE, wire.string(f"{self.root}/s/{name}") + wire.i32(-1))
            self._pending[xid] = ("delete", name)
        elif kind == 1:
            xid = client.send(wire.CREATE, create_body(f"{self.root}/s/n-", b"x" * 200, SEQUENTIAL))
            self._pending[xid] = ("create", "")
        self.sent += 1
        value = str(self.sent).encode()
        sets = [(wire.SET_DATA, set_body(f"{self.root}/{name}", value)) for name in ("counter", "left", "right")]
        self._pending[client.send(wire.MULTI, multi_body(sets))] = ("set", str(self.sent))

    def _on_reply(self, xid: int, err: int, body: bytes) -> None:
        kind, text = self._pending.pop(xid)
        assert err == 0, (kind, text, err)
        if kind == "set":
            assert int(text) > self.acknowledged
            self.acknowledged = int(text)
        elif kind == "delete":
            self.maybe_deleted.discard(text)
            self.deleted.add(text)
        else:
            name = (wire.Reader(body).buf() or b"").decode().rpartition("/")[2]
            assert name not in self.names | self.deleted | self.maybe_deleted, f"{name} was given twice"
            self.names.add(name)

    def check(self, server: Process) -> None:
        """Compare what the server has with what it promised, and take it as it is from here."""
        client = server.client(session_id=self.session_id, zxid=self.zxid)
        assert client.session_id == self.session_id
        value, stat = client.get(f"{self.root}/counter")
        number = int(value or b"0")
        assert self.acknowledged <= number <= self.sent, (self.root, self.acknowledged, number, self.sent)
        assert client.get(f"{self.root}/left")[0] == client.get(f"{self.root}/right")[0] == value
        self._check_names(set(client.children(f"{self.root}/s")))
        _, e_stat = client.get(f"{self.root}/e")
        assert owner_of(e_stat) == self.session_id
        assert version_of(stat) == number, "a set was applied twice, or to something else"
        self.sent = self.acknowledged = number
        self.zxid = client.zxid
        client.link.close()

    def _check_names(self, found: set[str]) -> None:
        assert not self.names - found, f"lost: {self.names - found}"
        assert not self.deleted & found, f"back from the dead: {self.deleted & found}"
        fresh = found - self.names - self.maybe_deleted
        if fresh and self.deleted:
            assert min(fresh) > max(self.deleted)
        self.deleted |= self.maybe_deleted - found
        self.names = found
        self.maybe_deleted.clear()


def kill_in_the_middle(server: Process, workers: list[Worker], chance: Random) -> str:
    """Let the workers write, then kill; returns what was done."""
    if chance.random() < 0.25:
        server.spawn()
        delay_s = chance.uniform(0, 0.4)
        server.kill(delay_s)
        return f"start + {delay_s * 1000:.0f} ms"
    server.start()
    threads = [threading.Thread(target=worker.work, args=(server,)) for worker in workers]
    for thread in threads:
        thread.start()
    delay_s = chance.uniform(0, 0.5)
    server.kill(delay_s)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return f"load + {delay_s * 1000:.0f} ms"


@pytest.mark.timeout(60 + 10 * KILLS)
def test_no_acknowledged_write_is_lost(fleet: Fleet) -> None:
    """The promise of a log: small snapshots and log files, so that kills fall into all of their edges."""
    sys.stdout.write(f"ZOOPARK_SEED={SEED} ZOOPARK_KILLS={KILLS}\n")
    chance = Random(SEED)
    server = fleet.server({"snapCount": "400", "txnLogSizeLimitInKb": "64"})
    workers = [Worker(number) for number in range(WORKERS)]
    server.start()
    for worker in workers:
        worker.prepare(server)
    server.kill()
    for count in range(KILLS):
        moment = kill_in_the_middle(server, workers, chance)
        server.start()
        shown = server.out.decode()
        acknowledged = sum(worker.acknowledged for worker in workers)
        sys.stdout.write(f"{count}: {moment}, {acknowledged} sets acknowledged; {shown.splitlines()[2:-1]}\n")
        assert "digest" not in shown
        for worker in workers:
            worker.check(server)
        server.kill()
    server.start()
    for worker in workers[:2]:
        client = server.client(session_id=worker.session_id, zxid=worker.zxid)
        client.close_session()
    server.kill()
    server.start()
    client = server.client()
    assert [client.exists(f"{worker.root}/e") for worker in workers] == [False, False, True, True, True]
    client.link.close()
    assert server.stop() == 0


def test_an_ephemeral_outlives_a_kill_but_not_its_session(fleet: Fleet) -> None:
    """A session that nobody takes up again expires on the server that came back, and takes its ephemerals along."""
    server = fleet.server({"tickTime": "200", "maxSessionTimeout": "60000"}).start()
    client = server.client(timeout_ms=5000)  # a busy machine must not take as long to start the server and look
    client.create("/e", b"", EPHEMERAL)
    client.link.close()
    server.kill()
    server.start()
    watcher = server.client(timeout_ms=60_000)
    err, _ = watcher.call(wire.EXISTS, wire.string("/e") + b"\x01")
    assert err == 0
    event = watcher.receive()
    assert event is not None and event[0] == wire.EVENT_XID
    assert not watcher.exists("/e")
    watcher.link.close()
    assert server.stop() == 0
