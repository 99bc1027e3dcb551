"""The simulated host keeps the order of the real one: durable first, told afterwards."""

from random import Random

import pytest

from tests.compat import wire
from tests.faults.process import create_body
from zoopark.record import Now
from zoopark.server.config import default_config
from zoopark.sim.disk import SimDisk
from zoopark.sim.standalone import Caller, Standalone, start_now

CONNECT = wire.frame(wire.connect_request(0, 6000, 0, bytes(16)) + b"\x00")


def new_server(disk: SimDisk) -> Standalone:
    return Standalone(default_config("/d", {"preAllocSize": "4"}), disk, Random(1), start_now())


def connected(server: Standalone) -> Caller:
    caller = server.connect()
    server.feed(caller, CONNECT)
    server.settle()
    assert caller.inbox[:4] == wire.i32(37)
    caller.inbox = b""
    return caller


def test_a_reply_comes_only_after_its_transaction_is_on_disk() -> None:
    """Feeding alone answers no write; the turn that syncs it lets the next one answer."""
    disk = SimDisk()
    server = new_server(disk)
    caller = connected(server)
    server.feed(caller, wire.request(1, wire.CREATE, create_body("/a", b"", 0)))
    assert caller.inbox == b""
    server.turn()
    assert caller.inbox == b""
    twin = disk.clone()
    server.settle()
    assert caller.inbox[4:8] == wire.i32(1)
    assert b"/a" in new_server(twin).found.tree.nodes


def test_a_read_is_answered_at_once() -> None:
    """Reads need no disk."""
    server = new_server(SimDisk())
    caller = connected(server)
    server.feed(caller, wire.request(1, wire.EXISTS, wire.string("/") + b"\x00"))
    assert caller.inbox[4:8] == wire.i32(1)


def test_an_error_of_the_disk_ends_the_server() -> None:
    """Whoever drives it sees what the host would stop at."""
    disk = SimDisk()
    server = new_server(disk)
    caller = connected(server)
    server.feed(caller, wire.request(1, wire.CREATE, create_body("/a", b"", 0)))
    disk.fail_at(1)
    with pytest.raises(OSError):
        server.settle()
    assert caller.inbox == b""


def test_time_passes_only_by_advance() -> None:
    """A session expires when its time has come on the literal clock, and its connection is closed."""
    server = new_server(SimDisk())
    caller = connected(server)
    server.advance(5000)
    server.settle()
    assert not caller.is_closed and server.now == Now(start_now().mono_ms + 5000, start_now().wall_ms + 5000)
    server.advance(10_000)
    server.settle()
    assert caller.is_closed and not server.found.tree.sessions


def test_a_snapshot_is_written_while_turns_go_on() -> None:
    """It comes piece by piece, so that a crash finds it half done; meanwhile the server serves."""
    disk = SimDisk()
    server = Standalone(default_config("/d", {"snapCount": "2"}), disk, Random(1), start_now())
    caller = connected(server)
    for xid in range(4):
        server.feed(caller, wire.request(xid, wire.CREATE, create_body("/n-", b"", 2)))
    is_half_done = False
    for _ in range(20):
        server.turn()
        is_half_done = is_half_done or server.member.is_snapshot_running
    assert is_half_done and not server.member.is_snapshot_running
    assert "snapshot.5" in disk.list("/d/version-2")
