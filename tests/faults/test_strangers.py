"""Anybody on the election and quorum ports of a real ensemble, while a client writes.

Whatever they send, every write is acknowledged in bounded time, nobody looks for another leader, memory and open
files stay bounded, and each source is complained of once a minute and port. Every abuse comes from an address of its
own on loopback, so that its complaints can be counted.
"""

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count as numbers
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any, Final

import pytest

from tests.cli.started import run
from tests.compat import oracle
from tests.compat.members import WAIT_S, Members, errors, until
from tests.compat.oracle import Server
from zoopark.host.strangers import MAX_STRANGERS
from zoopark.jute.quorum import (
    FOLLOWERINFO,
    LearnerInfo,
    Opening,
    QuorumPacket,
    encode_learner_info,
    encode_opening,
    encode_packet,
)

pytestmark = pytest.mark.xdist_group("strangers")

PRESSURE_S: Final = 1.2
SLOWEST_S: Final = 5.0
"""Half of what a port waits for a stranger: a server that waited with it would take longer."""
SHORT_S: Final = 2.0
GROWTH_BYTES: Final = 8 << 20
N_FLOOD: Final = 120
ELECTION: Final = "election"
QUORUM: Final = "quorum"
HUGE: Final = struct.pack(">i", (1 << 31) - 1)
V1: Final = struct.pack(">q", -65536)
NONSENSE: Final = b"\xff" * 64
UNKNOWN_SID: Final = 99
Address = tuple[str, int]


class Stranger:
    """One source of connections.

    Args:
        source: its address on loopback.
        doors: name and address of each port it may knock at.
    """

    def __init__(self, source: str, doors: list[tuple[str, Address]]) -> None:
        self.source = source
        self.doors = doors
        self.plugs: list[socket.socket] = []
        self.chance = Random(source)

    def knock(self, address: Address, data: bytes) -> socket.socket:
        """A connection on which this is said; it stays open."""
        plug = socket.create_connection(address, 10, (self.source, 0))
        self.plugs.append(plug)
        with suppress(ConnectionError):
            plug.sendall(data)
        return plug

    def wait_until_seen(self) -> None:
        """Return when every port has ended one that came later, from elsewhere: whoever came before is dealt with."""
        elsewhere = self.source.replace("127.0.1.", "127.0.2.")
        for _, address in self.doors:
            with socket.create_connection(address, WAIT_S, (elsewhere, 0)) as last, suppress(ConnectionError):
                last.sendall(NONSENSE)
                assert last.recv(1) == b""

    def n_open(self) -> int:
        """How many of its connections the other side has not ended, once all that was said is read."""
        return sum(not _is_ended(plug) for plug in self.plugs)

    def close(self) -> None:
        for plug in self.plugs:
            plug.close()


def _is_ended(plug: socket.socket) -> bool:
    plug.setblocking(False)
    try:
        return plug.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def garbage(by: Stranger) -> None:
    for _, address in by.doors:
        by.knock(address, by.chance.randbytes(by.chance.randint(20, 5000)) + b"\xff" * 64)


def a_browser(by: Stranger) -> None:
    for _, address in by.doors:
        by.knock(address, b"GET / HTTP/1.1\r\nHost: zoo\r\nAccept: */*\r\n\r\n")


def wrong_magic(by: Stranger) -> None:
    """An election protocol of another version; a packet that no learner begins with."""
    for name, address in by.doors:
        opening = struct.pack(">q", -1) + bytes(20)
        by.knock(address, opening if name == ELECTION else encode_packet(QuorumPacket(77, 0)))


def huge_lengths(by: Stranger) -> None:
    """Lengths of two gigabytes, then as much as the other side takes of it."""
    for name, address in by.doors:
        head = V1 + struct.pack(">q", 3) + HUGE if name == ELECTION else struct.pack(">iq", FOLLOWERINFO, 0) + HUGE
        by.knock(address, head + bytes(1 << 20))


def an_id_that_nobody_has(by: Stranger) -> None:
    for name, address in by.doors:
        if name == ELECTION:
            by.knock(address, encode_opening(Opening(UNKNOWN_SID, (("127.0.0.1", 1),))))
        else:
            by.knock(
                address, encode_packet(QuorumPacket(FOLLOWERINFO, 0, encode_learner_info(LearnerInfo(UNKNOWN_SID))))
            )


def half_a_handshake_held_open(by: Stranger) -> None:
    """More of them than a port keeps, each with a few bytes of something that begins well."""
    for name, address in by.doors:
        begun = V1 + bytes(3) if name == ELECTION else struct.pack(">iq", FOLLOWERINFO, 0)[:9]
        for _ in range(MAX_STRANGERS + 20):
            by.knock(address, begun)


def a_flood_of_connections(by: Stranger) -> None:
    for _ in range(N_FLOOD):
        for _, address in by.doors:
            by.knock(address, b"")


ABUSES: Final[tuple[Callable[[Stranger], None], ...]] = (
    garbage,
    a_browser,
    wrong_magic,
    huge_lengths,
    an_id_that_nobody_has,
    half_a_handshake_held_open,
    a_flood_of_connections,
)


class Writer:
    """A client that writes all the time, and how long each write took."""

    def __init__(self, client: Any) -> None:
        self.took_s: list[float] = []
        self._client = client
        self._is_over = Event()
        self._thread = Thread(target=self._run)
        self._problem: BaseException | None = None

    def __enter__(self) -> "Writer":
        self._client.ensure_path("/written")
        self._thread.start()
        return self

    def __exit__(self, *of_block: object) -> None:
        self._is_over.set()
        self._thread.join()
        if self._problem is not None:
            raise self._problem

    def _run(self) -> None:
        try:
            while not self.took_s or not self._is_over.is_set():
                began_s = time.monotonic()
                self._client.create("/written/n-", b"x", sequence=True)
                self.took_s.append(time.monotonic() - began_s)
        except errors.KazooException as problem:
            self._problem = problem


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    made = Members(tmp_path_factory.mktemp("members"), [oracle.zoopark()] * 3)
    try:
        # Server 1 comes to two that are there: had they come to it, nobody would know where it comes from.
        yield made.start(2, 3).start(1)
    finally:
        made.stop()


SOURCES: Final = numbers(2)


@pytest.fixture
def stranger(members: Members) -> Iterator[Stranger]:
    """Somebody new, with the ports of all members."""
    doors = []
    for sid, server in members.servers.items():
        host, quorum, election = server.settings[f"server.{sid}"].split(":")
        doors += [(QUORUM, (host, int(quorum))), (ELECTION, (host, int(election)))]
    made = Stranger(f"127.0.1.{next(SOURCES)}", doors)
    yield made
    made.close()


def _numbers(server: Server) -> dict[str, str]:
    return dict(line.split("\t") for line in server.word("mntr").splitlines())


def _told(members: Members, name: str) -> list[str]:
    return [_numbers(server)[name] for server in members.servers.values()]


def _files(members: Members) -> list[int]:
    return [int(told) for told in _told(members, "zk_open_file_descriptor_count")]


def _resident_bytes(server: Server) -> int:
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]) * 1024


def _complaints(server: Server, source: str) -> list[str]:
    return [line for line in server.log.splitlines() if source in line]


@pytest.mark.parametrize("abuse", ABUSES, ids=lambda abuse: str(abuse.__name__))
def test_a_stranger_disturbs_nobody(members: Members, stranger: Stranger, abuse: Callable[[Stranger], None]) -> None:
    """Writes go on, nobody looks for a leader, memory and files are bounded, and a line a port says who it was."""
    servers = members.servers.values()
    modes, lookings, files = members.modes(), _told(members, "zk_looking_count"), _files(members)
    before = [_resident_bytes(server) for server in servers]
    with Writer(members.client(1, 2, 3)) as writer:
        end_s = time.monotonic() + PRESSURE_S
        abuse(stranger)
        Event().wait(max(0.0, end_s - time.monotonic()))
        stranger.wait_until_seen()
    assert max(writer.took_s) < SLOWEST_S
    assert (members.modes(), _told(members, "zk_looking_count")) == (modes, lookings)
    growth = [_resident_bytes(server) - then for server, then in zip(servers, before, strict=True)]
    assert max(growth) < GROWTH_BYTES
    assert stranger.n_open() <= MAX_STRANGERS * len(stranger.doors)
    for server in servers:
        complaints = _complaints(server, stranger.source)
        assert len(complaints) == 2, complaints
        assert {port for port in (QUORUM, ELECTION) for line in complaints if f"on the {port} port" in line} == {
            QUORUM,
            ELECTION,
        }
    stranger.close()
    limits = [count + 20 for count in files]
    until(lambda: _files(members), lambda found: all(now < most for now, most in zip(found, limits, strict=True)))


def test_a_handshake_that_never_ends_is_ended(members: Members, stranger: Stranger) -> None:
    """Also if no other stranger presses."""
    for name, address in stranger.doors:
        stranger.knock(address, V1[:4] if name == ELECTION else b"\x00\x00")
    until(stranger.n_open, lambda count: count == 0)
    assert [len(_complaints(server, stranger.source)) for server in members.servers.values()] == [2, 2, 2]


def test_a_second_server_with_the_same_directory_or_ports_does_not_start(members: Members) -> None:
    """The first thing that both need is refused to the second, with the place."""
    first = members.servers[1]
    ran = run("serve", str(first.home / "zoo.cfg"))
    assert ran.returncode == 3
    assert f"{first.data_dir}/version-2" in ran.stderr.splitlines()[-1]
    again = first.home / "again"
    again.mkdir()
    (again / "myid").write_text("1")
    lines = (first.home / "zoo.cfg").read_text().replace(f"dataDir={first.data_dir}", f"dataDir={again}")
    (again / "zoo.cfg").write_text(lines)
    ran = run("serve", str(again / "zoo.cfg"))
    assert (ran.returncode, "the port is in use" in ran.stderr) == (1, True)


@pytest.mark.parametrize("sid", [1, 2, 3])
def test_a_second_server_with_the_same_id_is_told_of_and_never_serves(members: Members, sid: int) -> None:
    """It has its own ports, and the others as they are: a directory that was copied with its myid."""
    first, lookings = members.servers[sid], _told(members, "zk_looking_count")
    home = first.home / "other"
    home.mkdir()
    line = f"127.0.0.1:{oracle.free_port()}:{oracle.free_port()}"
    other = Server(oracle.zoopark(), home, {**first.settings, f"server.{sid}": line}, first.properties)
    other.data_dir.mkdir()
    (other.data_dir / "myid").write_text(f"{sid}")
    said = [len(server.log) for server in members.servers.values()]

    def news() -> str:
        return "".join(server.log[then:] for server, then in zip(members.servers.values(), said, strict=True))

    other.spawn()
    try:
        with Writer(members.client(*members.others(sid))) as writer:
            until(news, lambda told: "two servers with one myid?" in told)
            end_s = time.monotonic() + SHORT_S
            while time.monotonic() < end_s:
                assert "Mode: " not in other.word("srvr")
    finally:
        other.stop()
    assert max(writer.took_s) < SLOWEST_S
    assert _told(members, "zk_looking_count") == lookings
