"""The whole server over a simulated disk: fail at the N-th call, lose power at the N-th change, until nothing fails.

A short life of a server is played: sessions come, write, expire and close, snapshots are taken, logs rolled, old files
purged. After every fault a server recovers from the disk. Its tree must be, byte for byte, the one that the
transactions up to its zxid make; everything that any client was told must be in it; and it must go on.
"""

import errno
from collections.abc import Iterator
from contextlib import suppress
from random import Random

import pytest

from tests.compat import wire
from tests.faults.process import create_body, multi_body, set_body
from zoopark.record import Now
from zoopark.server.config import Config, default_config
from zoopark.sim.disk import SimCrash, SimDisk
from zoopark.sim.standalone import Caller, Standalone, start_now
from zoopark.tree.owners import OwnerKinds
from zoopark.tree.snapshot import write_snapshot
from zoopark.tree.tree import Tree

EPHEMERAL, SEQUENTIAL, CONTAINER = 1, 2, 4
HOUR_MS = 3_600_000
STEPS = 40
KEYS = {
    "snapCount": "24",
    "preAllocSize": "8",
    "txnLogSizeLimitInKb": "3",
    "autopurge.purgeInterval": "1",
    "dataLogDir": "/log",
    "maxSessionTimeout": "4000000",
}


def new_config(keys: dict[str, str] | None = None) -> Config:
    return default_config("/data", {**KEYS, **(keys or {})})


class Talk:
    """What the clients of all servers on one disk sent and were told."""

    def __init__(self) -> None:
        self.zxid = 0
        self.txns: dict[int, bytes] = {}
        self.kept: set[bytes] = set()
        self.names: list[bytes] = []

    def read(self, caller: Caller) -> Iterator[tuple[int, int, int, bytes]]:
        """(xid, zxid, err, body) of everything that came since."""
        while len(caller.inbox) >= 4:
            end = 4 + int.from_bytes(caller.inbox[:4], "big")
            assert len(caller.inbox) >= end, "half a frame, although nothing is between the server and its client"
            reader = wire.Reader(caller.inbox[4:end])
            caller.inbox = caller.inbox[end:]
            yield reader.i32(), reader.i64(), reader.i32(), reader.rest()

    def hear(self, caller: Caller) -> int:
        """Note what a client was told; returns the number of replies."""
        count = 0
        for xid, zxid, err, body in self.read(caller):
            assert err == 0, (xid, err)
            self.zxid = max(self.zxid, zxid)
            if xid >= 1000:
                path = wire.Reader(body).buf() or b""
                assert path not in self.kept, f"{path!r} was given twice"
                self.kept.add(path)
            count += 1
        return count


class Life:
    """A server's life on a disk that is about to fail."""

    def __init__(self, disk: SimDisk, talk: Talk, keys: dict[str, str] | None = None) -> None:
        self.disk = disk
        self.talk = talk
        self.config = new_config(keys)
        self.server: Standalone | None = None
        self.callers: list[Caller] = []

    def open_session(self, server: Standalone, timeout_ms: int) -> Caller:
        caller = server.connect()
        server.feed(caller, wire.frame(wire.connect_request(0, timeout_ms, 0, bytes(16)) + b"\x00"))
        server.settle()
        assert caller.inbox, "no session"
        caller.inbox = b""
        self.callers.append(caller)
        return caller

    def run(self) -> None:
        """Raises what the disk raises."""
        server = Standalone(self.config, self.disk, Random(5), start_now())
        self.server = server
        first, second = self.open_session(server, 4_000_000), self.open_session(server, 4_000_000)
        mortal = self.open_session(server, 6000)
        server.feed(first, wire.request(1, wire.CREATE, create_body("/a", b"", 0)))
        server.feed(mortal, wire.request(2, wire.CREATE, create_body("/mortal", b"", EPHEMERAL)))
        server.feed(second, wire.request(3, wire.CREATE, create_body("/second", b"", EPHEMERAL)))
        server.feed(second, wire.request(4, wire.CREATE_CONTAINER, create_body("/c", b"", CONTAINER)))
        for step in range(STEPS):
            self.step(server, step, first, second)
        server.feed(second, wire.request(9, wire.CLOSE_SESSION, b""))
        for _ in range(4):
            server.settle()
            server.advance(HOUR_MS // 2)
            for caller in (first, second, mortal):
                self.talk.hear(caller)

    def step(self, server: Standalone, step: int, first: Caller, second: Caller) -> None:
        """A few requests of two clients in one turn, and what they are told so far."""
        xid = 1000 + step * 10
        for count in range(step % 4 + 1):
            body = create_body("/a/n-", b"x" * (step * 17 % 300), SEQUENTIAL)
            server.feed(first if count % 2 else second, wire.request(xid + count, wire.CREATE, body))
        both = [(wire.SET_DATA, set_body(path, b"v%d" % step)) for path in ("/a", "/c")]
        server.feed(first, wire.request(50, wire.MULTI, multi_body(both)))
        if step % 5 == 4:
            server.feed(second, wire.request(51, wire.CREATE, create_body("/gone", b"", 0)))
            server.feed(second, wire.request(52, wire.DELETE, wire.string("/gone") + wire.i32(-1)))
        server.feed(second, wire.request(53, wire.GET_DATA, wire.string("/a") + b"\x00"))
        server.turn()
        if step % 3:
            server.turn()
        server.advance(10)
        self.talk.hear(first)
        self.talk.hear(second)

    def note(self) -> None:
        """Keep what was handed to the log and what clients were told to the last, after the server is gone."""
        if self.server is not None:
            self.talk.txns.update(self.server.appended)
        for caller in self.callers:
            self.talk.hear(caller)


def image(tree: Tree) -> bytes:
    return b"".join(write_snapshot(tree, True, True))


def replayed(config: Config, talk: Talk, zxid: int) -> Tree:
    """The tree that the transactions up to `zxid` make."""
    tree = Tree(OwnerKinds(config.has_extended_types, config.has_353_ttl_nodes))
    for at in range(1, zxid + 1):
        tree.apply(talk.txns[at])
        assert tree.digest_matches(talk.txns[at])
    tree.fired.clear()
    return tree


def check(disk: SimDisk, talk: Talk, keys: dict[str, str] | None = None) -> None:
    """Recover, compare with all that was promised, write on, and recover again."""
    config = new_config(keys)
    server = Standalone(config, disk, Random(6), Now(start_now().mono_ms + 9_000_000, start_now().wall_ms + 9_000_000))
    zxid = server.found.tree.last_zxid
    assert zxid >= talk.zxid, f"zxid {talk.zxid} was told, {zxid} is there"
    assert not [note for note in server.found.notes if "digest" in note]
    assert image(server.found.tree) == image(replayed(config, talk, zxid))
    lost = talk.kept - set(server.found.tree.nodes)
    assert not lost, lost
    caller = server.connect()
    server.feed(caller, wire.frame(wire.connect_request(talk.zxid, 4_000_000, 0, bytes(16)) + b"\x00"))
    server.settle()
    assert not caller.is_closed
    caller.inbox = b""
    server.feed(caller, wire.request(1, wire.CREATE, create_body("/after", b"", 0)))
    server.settle()
    ((xid, after_zxid, err, _),) = talk.read(caller)
    assert (xid, err) == (1, 0) and after_zxid > zxid
    again = Standalone(config, disk.clone(), Random(7), server.now)
    assert image(again.found.tree) == image(server.found.tree)


def calls_of_a_life(keys: dict[str, str] | None = None) -> tuple[int, int]:
    """How many calls a life without faults makes, and how many of them change something."""
    life = Life(SimDisk(), Talk(), keys)
    life.run()
    return life.disk.call_count, life.disk.mutation_count


def test_a_life_without_faults() -> None:
    """The scale of the loops below: sessions end, snapshots are taken, logs roll, old files go."""
    talk = Talk()
    life = Life(SimDisk(), talk)
    life.run()
    life.note()
    assert life.server is not None
    nodes = life.server.found.tree.nodes
    assert b"/mortal" not in nodes and b"/second" not in nodes and b"/c" in nodes
    assert len(talk.kept) == sum(step % 4 + 1 for step in range(STEPS))
    snapshots = [name for name in life.disk.list("/data/version-2") if name.startswith("snapshot.")]
    logs = [name for name in life.disk.list("/log/version-2") if name.startswith("log.")]
    assert len(snapshots) == 3 and "snapshot.0" not in snapshots and len(logs) >= 3 and "log.1" not in logs
    assert list(talk.txns) == list(range(1, len(talk.txns) + 1)) and talk.zxid in talk.txns
    life.disk.lose_all_unsynced()
    check(life.disk, talk)


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_fail_at_every_call(error: int) -> None:
    """The server stops at the error. From what is on the disk then, and from what power failure leaves of it, another
    one recovers."""
    faults = 0
    for count in range(1, calls_of_a_life()[0] + 1):
        talk = Talk()
        life = Life(SimDisk(), talk)
        life.disk.fail_at(count, error)
        with pytest.raises(OSError) as raised:
            life.run()
        assert raised.value.errno == error
        faults += 1
        life.note()
        check(life.disk.clone(), talk)
        life.disk.crash(Random(count))
        check(life.disk, talk)
    assert faults == calls_of_a_life()[0] > 100


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("method", ["", "gz", "snappy"])
def test_crash_at_every_change(seed: int, method: str) -> None:
    """Power is lost in the middle of every change, with another part of it on the disk for every seed."""
    keys = {"snapshot.compression.method": method} if method else {}
    faults = 0
    for count in range(1, calls_of_a_life(keys)[1] + 1):
        talk = Talk()
        life = Life(SimDisk(), talk, keys)
        life.disk.crash_at(count)
        with pytest.raises(SimCrash):
            life.run()
        faults += 1
        life.note()
        life.disk.crash(Random(seed * 1000 + count))
        check(life.disk, talk, keys)
    assert faults == calls_of_a_life(keys)[1] > 50


@pytest.mark.parametrize("seed", range(2))
def test_crash_while_recovering_from_a_crash(seed: int) -> None:
    """Recovery may be cut short as often as it likes."""
    chance = Random(seed)
    for count in range(1, calls_of_a_life()[1], 5):
        talk = Talk()
        life = Life(SimDisk(), talk)
        life.disk.crash_at(count)
        with pytest.raises(SimCrash):
            life.run()
        life.note()
        life.disk.crash(chance)
        for again in range(1, 5):
            life.disk.crash_at(again)
            with suppress(SimCrash):
                Standalone(life.config, life.disk, Random(5), start_now())
            life.disk.crash(chance)
        check(life.disk, talk)
