"""A server that is asked to stop, and one whose disk or files run out.

Every stop that is not clean is one line on stderr and an exit code, never a traceback.
"""

import os
import signal
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.compat import wire
from tests.faults.process import WAIT_S, Client, Fleet, Process, create_body
from zoopark.host.server import MOST_TURNED_AWAY

CONNECTIONS = ("maxClientCnxns", "maxCnxns")


def create_until_it_stops(client: Client) -> int:
    """How many creates were acknowledged before the server ended."""
    acknowledged = 0
    client.send(wire.CREATE, create_body("/n-", b"x" * 5000, 2))
    while (reply := client.receive()) is not None:
        assert reply[1] == 0
        acknowledged += 1
        client.send(wire.CREATE, create_body("/n-", b"x" * 5000, 2))
    return acknowledged


def created_after_a_start(server: Process) -> int:
    """How many of the nodes that were created a server started anew has; it is stopped again."""
    server.start()
    client = server.client()
    found = len([name for name in client.children("/") if name.startswith("n-")])
    client.close_session()
    assert server.stop() == 0
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_answers_what_came_in(fleet: Fleet, tmp_path: Path, number: int) -> None:
    """Everything that was read is logged and answered, then the connection is closed; the exit code is 0."""
    server = fleet.server().start()
    client = server.client()
    for _ in range(1000):  # whose answers lie ready for a client that has not begun to read
        client.send(wire.CREATE, create_body("/n-", b"x" * 100, 2))
    server.popen.send_signal(number)
    answered = 0
    while (reply := client.receive()) is not None:
        assert reply[1] == 0
        answered += 1
    assert server.wait() == 0
    assert created_after_a_start(server) == answered


def test_a_stop_ends_a_snapshot_and_a_client_that_does_not_read(fleet: Fleet, tmp_path: Path) -> None:
    """Neither keeps the process; what the snapshot left is cleared away by the next start."""
    server = fleet.server({"snapCount": "2"}).start()
    client = server.client()
    client.create("/big", b"x" * 900_000)
    for _ in range(50):
        client.send(wire.GET_DATA, wire.string("/big") + b"\x00")
    other = server.client()
    for _ in range(20):
        other.send(wire.CREATE, create_body("/n-", b"x" * 900_000, 2))
    assert server.stop() == 0
    server.start()
    assert not list(server.data.glob("unfinished.*"))
    assert server.stop() == 0


def test_a_failing_log_disk_stops_the_process(fleet: Fleet, tmp_path: Path) -> None:
    """Nothing is promised after an error (ZOOKEEPER-2247), and with space again all that was promised is there."""
    server = fleet.server().start()
    client = server.client()
    client.create("/a")
    server.limit_files_to(200_000)
    acknowledged = create_until_it_stops(client)
    assert server.wait() == 1
    errors = [line for line in server.err().splitlines() if " ERROR " in line]
    assert len(errors) == 1 and errors[0].endswith(f"cannot write the transaction log in {server.data}: File too large")
    assert "Traceback" not in server.err()
    assert acknowledged > 10
    assert created_after_a_start(server) in (acknowledged, acknowledged + 1)


def test_a_failing_snapshot_disk_stops_the_process(fleet: Fleet, tmp_path: Path) -> None:
    """Exit code 10; its space is given back, and everything promised is there afterwards."""
    settings = {"snapCount": "200", "txnLogSizeLimitInKb": "512", "dataLogDir": str(tmp_path / "log")}
    server = fleet.server(settings).start()
    server.limit_files_to(1_500_000)
    client = server.client()
    acknowledged = create_until_it_stops(client)
    assert server.wait() == 10
    errors = [line for line in server.err().splitlines() if " ERROR " in line]
    assert len(errors) == 1 and errors[0].endswith(f"cannot write a snapshot to {server.data}: File too large")
    assert "Traceback" not in server.err()
    assert not list(server.data.glob("unfinished.*"))
    assert acknowledged > 200
    assert created_after_a_start(server) in (acknowledged, acknowledged + 1)


def test_more_connections_than_files(fleet: Fleet, tmp_path: Path) -> None:
    """Without room for another connection the server goes on with those it has."""
    server = fleet.server()
    server.spawn()
    server.wait_ready()
    server.limit_open_files_to(60)
    well_behaved = server.client()
    crowd = [socket.create_connection(server.address, 10) for _ in range(100)]
    well_behaved.create("/a")
    for sock in crowd:
        sock.close()
    well_behaved.create("/b")
    later = server.client()
    later.close_session()
    well_behaved.close_session()
    assert server.stop() == 0


def knock(server: Process) -> None:
    """Connect and say nonsense, which ends the connection, if it was not refused to begin with."""
    with socket.create_connection(server.address, WAIT_S) as sock, suppress(ConnectionError):
        sock.sendall(wire.i32(-1))
        assert sock.recv(1) == b""


def leave(server: Process) -> None:
    """Ask for a word, and be answered."""
    with socket.create_connection(server.address, WAIT_S) as sock:
        sock.sendall(b"ruok")
        while sock.recv(100):
            pass


@pytest.mark.parametrize(("limit", "said"), [("", "a first frame of -1 bytes"), *[(key, key) for key in CONNECTIONS]])
def test_a_flood_of_connections_does_not_fill_the_log(fleet: Fleet, limit: str, said: str) -> None:
    """Those that are closed or refused are told of a hundred times in a minute; who leaves in order hides none."""
    server = fleet.server({limit: "2"} if limit else {}).start()
    for _ in range(MOST_TURNED_AWAY + 1):
        leave(server)
    with socket.create_connection(server.address, WAIT_S), socket.create_connection(server.address, WAIT_S):
        for _ in range(3 * MOST_TURNED_AWAY // 2):
            knock(server)
    assert server.stop() == 0
    told = [line for line in server.err().splitlines() if said in line]
    assert len(told) == MOST_TURNED_AWAY
    assert told[-1].endswith("until a minute after the first of it)")


def test_who_is_gone_before_he_is_looked_at_is_not_told_of(fleet: Fleet) -> None:
    """A reset takes the address away: nobody could be named."""
    server = fleet.server({"maxCnxns": "1"}).start()
    with socket.create_connection(server.address, WAIT_S):
        server.popen.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, server.popen.pid, os.WSTOPPED)
        for _ in range(20):
            with socket.create_connection(server.address, WAIT_S) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        server.popen.send_signal(signal.SIGCONT)
        knock(server)
    assert server.stop() == 0
    assert len([line for line in server.err().splitlines() if "maxCnxns" in line]) == 1


def test_old_files_are_purged_while_it_serves(fleet: Fleet, tmp_path: Path) -> None:
    """Snapshots and logs that no recovery needs go away at the start, and the directory still opens."""
    settings = {"snapCount": "20", "autopurge.purgeInterval": "1"}
    server = fleet.server(settings).start()
    client = server.client()
    n_created = 0
    deadline = time.monotonic() + 60
    while len(list(server.data.glob("snapshot.*"))) < 5:
        assert time.monotonic() < deadline, "no snapshots"
        client.create("/n-", b"", 2)
        n_created += 1
    client.close_session()
    assert server.stop() == 0
    server.start()
    client = server.client()
    client.call(wire.SYNC, wire.string("/"))
    assert server.stop() == 0
    assert 3 <= len(list(server.data.glob("snapshot.*"))) <= 4, "the oldest are still there"
    server.start()
    client = server.client()
    assert len(client.children("/")) == n_created + 1
    client.close_session()
    assert server.stop() == 0
