"""`zoopark serve` as a process of its own: started, killed, starved and read out."""

import os
import resource
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import zoopark
from tests.compat import wire

SOURCES = Path(zoopark.__file__).parents[1]
WAIT_S = 60.0
OPEN_ACL = wire.vector([wire.i32(31) + wire.string("world") + wire.string("anyone")])
SETTINGS = {"clientPort": "0", "clientPortAddress": "127.0.0.1", "maxClientCnxns": "0", "preAllocSize": "64"}


class Process:
    """One server on a directory; it may be started again after it ended. `end` must follow.

    Args:
        home: an existing directory of its own.
        settings: lines of zoo.cfg; an empty value takes a line of SETTINGS out.
    """

    def __init__(self, home: Path, settings: dict[str, str] | None = None) -> None:
        self.home = home
        self.data = home / "data" / "version-2"
        self.out = b""
        self.port = 0
        self._popen: subprocess.Popen[bytes] | None = None
        lines = {"dataDir": str(home / "data"), **SETTINGS, **(settings or {})}
        self.zoo_cfg = home / "zoo.cfg"
        self.zoo_cfg.write_text("".join(f"{key}={value}\n" for key, value in lines.items() if value))
        self._clients: list[Client] = []

    @property
    def popen(self) -> "subprocess.Popen[bytes]":
        assert self._popen is not None
        return self._popen

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    def client(self, timeout_ms: int = 40_000, session_id: int = 0, zxid: int = 0) -> "Client":
        """A new session, or an old one taken up again."""
        client = Client(self.address, timeout_ms, session_id, zxid)
        self._clients.append(client)
        return client

    def end(self) -> None:
        """Leave nothing behind, whatever the test came to."""
        for client in self._clients:
            client.link.close()
        if self._popen is not None and self._popen.poll() is None:
            self.kill()

    def spawn(self, *prefix: str) -> None:
        """Start, by way of the command `prefix`, and do not wait."""
        self.out, self.port = b"", 0
        with (self.home / "err").open("wb") as err:
            self._popen = subprocess.Popen(
                [*prefix, sys.executable, "-m", "zoopark", "serve", str(self.zoo_cfg)],
                env={**os.environ, "PYTHONPATH": str(SOURCES)},
                stdout=subprocess.PIPE,
                stderr=err,
            )

    def start(self) -> "Process":
        """Start, and wait until it listens."""
        self.spawn()
        self.wait_ready()
        return self

    def wait_ready(self) -> None:
        assert self.popen.stdout is not None
        deadline = time.monotonic() + WAIT_S
        while b"listening on " not in self.out or not self.out.endswith(b"\n"):
            ready, _, _ = select.select([self.popen.stdout], [], [], max(0.0, deadline - time.monotonic()))
            piece = os.read(self.popen.stdout.fileno(), 65536) if ready else b""
            assert piece, f"not started: {self.out.decode()} {self.err()}"
            self.out += piece
        self.port = int(self.out.split()[-1].rpartition(b":")[2])

    def kill(self, delay_s: float = 0.0) -> None:
        """kill -9, after a while in which it must not end by itself."""
        with suppress(subprocess.TimeoutExpired):
            code = self.popen.wait(delay_s)
            raise AssertionError(f"ended by itself with {code}: {self.err()}")
        self.popen.kill()
        self.wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.popen.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end; returns the exit code."""
        code = self.popen.wait(WAIT_S)
        assert self.popen.stdout is not None
        if not self.popen.stdout.closed:
            self.out += self.popen.stdout.read()
            self.popen.stdout.close()
        return code

    def err(self) -> str:
        return (self.home / "err").read_text()

    def limit_open_files_to(self, count: int) -> None:
        """From now on it may have so many files and connections open."""
        resource.prlimit(self.popen.pid, resource.RLIMIT_NOFILE, (count, count))

    def limit_files_to(self, size_bytes: int) -> None:
        """From now on a file may not grow beyond this: the disk is full, as far as the server can tell."""
        resource.prlimit(self.popen.pid, resource.RLIMIT_FSIZE, (size_bytes, size_bytes))

    def cpu_s(self) -> float:
        """How long it has worked, all threads together, by the kernel's clock ticks."""
        times = Path(f"/proc/{self.popen.pid}/stat").read_text().rpartition(") ")[2].split()[11:13]
        return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        return self._memory("VmRSS")

    def peak_bytes(self) -> int:
        """The most that was ever resident."""
        return self._memory("VmHWM")

    def _memory(self, field: str) -> int:
        for line in Path(f"/proc/{self.popen.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(field)


class Fleet:
    """Makes processes, and ends them all: one per test, by the fixture `fleet`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._processes: list[Process] = []

    def server(self, settings: dict[str, str] | None = None, name: str = "") -> Process:
        """A server that is not started yet, on a directory that goes by `name`."""
        home = self._home / name
        home.mkdir(exist_ok=True)
        self._processes.append(Process(home, settings))
        return self._processes[-1]

    def end(self) -> None:
        for process in self._processes:
            process.end()


class RefusedError(Exception):
    """The server closed the connection in place of an answer to the ConnectRequest."""


class Client:
    """A session over a blocking socket."""

    def __init__(self, address: tuple[str, int], timeout_ms: int = 40_000, session_id: int = 0, zxid: int = 0) -> None:
        self.link = wire.Link(address)
        password = wire.session_password(session_id) if session_id else bytes(16)
        self.link.send(wire.frame(wire.connect_request(zxid, timeout_ms, session_id, password) + b"\x00"))
        answer = self.link.receive(WAIT_S)
        if answer is None:
            raise RefusedError
        reader = wire.Reader(answer)
        reader.i32()
        self.timeout_ms = reader.i32()
        self.session_id = reader.i64()
        self.zxid = zxid
        self._xid = 0

    def send(self, opcode: int, body: bytes) -> int:
        """Ask, and do not wait; returns the xid."""
        self._xid += 1
        self.link.send(wire.request(self._xid, opcode, body))
        return self._xid

    def receive(self, seconds: float = WAIT_S) -> tuple[int, int, bytes] | None:
        """(xid, err, body) of the next reply or event; None when the server closed."""
        frame = self.link.receive(seconds)
        if frame is None:
            return None
        reader = wire.Reader(frame)
        xid, zxid, err = reader.i32(), reader.i64(), reader.i32()
        self.zxid = max(self.zxid, zxid)
        return xid, err, reader.rest()

    def call(self, opcode: int, body: bytes) -> tuple[int, bytes]:
        """Ask and wait; returns (err, body)."""
        xid = self.send(opcode, body)
        reply = self.receive()
        assert reply is not None and reply[0] == xid, (xid, reply)
        return reply[1], reply[2]

    def create(self, path: str, data: bytes = b"", flags: int = 0) -> str:
        err, body = self.call(wire.CREATE, create_body(path, data, flags))
        assert err == 0, (path, err)
        return (wire.Reader(body).buf() or b"").decode()

    def get(self, path: str) -> tuple[bytes, bytes]:
        """The data and the 68 bytes of the Stat."""
        err, body = self.call(wire.GET_DATA, wire.string(path) + b"\x00")
        assert err == 0, (path, err)
        reader = wire.Reader(body)
        return reader.buf() or b"", reader.rest()

    def children(self, path: str) -> list[str]:
        err, body = self.call(wire.GET_CHILDREN, wire.string(path) + b"\x00")
        assert err == 0, (path, err)
        reader = wire.Reader(body)
        return [(reader.buf() or b"").decode() for _ in range(reader.i32())]

    def exists(self, path: str) -> bool:
        return self.call(wire.EXISTS, wire.string(path) + b"\x00")[0] == 0

    def close_session(self) -> None:
        err, _ = self.call(wire.CLOSE_SESSION, b"")
        assert err == 0
        self.link.close()


def create_body(path: str, data: bytes, flags: int) -> bytes:
    return wire.string(path) + wire.buf(data) + OPEN_ACL + wire.i32(flags)


def set_body(path: str, data: bytes) -> bytes:
    return wire.string(path) + wire.buf(data) + wire.i32(-1)


def multi_body(parts: list[tuple[int, bytes]]) -> bytes:
    heads = [wire.i32(opcode) + b"\x00" + wire.i32(-1) + body for opcode, body in parts]
    return b"".join(heads) + wire.i32(-1) + b"\x01" + wire.i32(-1)


def version_of(stat: bytes) -> int:
    return int.from_bytes(stat[32:36], "big")


def owner_of(stat: bytes) -> int:
    return int.from_bytes(stat[44:52], "big", signed=True)
