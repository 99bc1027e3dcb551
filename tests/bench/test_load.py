"""zkbench against a small server of the test's own: what it asks, what it counts, and which replies it refuses."""

import json
import shutil
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bench.load import Load, LoadFailedError, Slice, ask, build, parse_slice, quantile_us

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="zkbench needs gcc")

GET, SET, CREATE, SYNC, CLOSE = 4, 5, 1, 9, -11
STAT = bytes(68)


class Answering:
    """Speaks just enough of the protocol: nodes by path, one thread a connection.

    Args:
        fault: "xid", "error" or "short": what is wrong with the hundredth reply; "" for none.
    """

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.nodes: dict[bytes, bytes] = {}
        self.requests = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with suppress(OSError), link, link.makefile("rb") as stream:
            _frame(stream.read(4), stream.read)
            link.sendall(struct.pack(">iiiqi16s?", 37, 0, 30000, 1, 16, bytes(16), False))
            while head := stream.read(4):
                request = _frame(head, stream.read)
                xid, op = struct.unpack_from(">ii", request)
                link.sendall(self._reply(xid, op, request[8:]))
                if op == CLOSE:
                    return

    def _reply(self, xid: int, op: int, body: bytes) -> bytes:
        self.requests += 1
        answer = self._answer(op, body)
        is_wrong = self.requests == 100
        xid += is_wrong and self.fault == "xid"
        error = -4 if is_wrong and self.fault == "error" else 0
        answer = answer[: -1 if is_wrong and self.fault == "short" else None]
        return struct.pack(">iiqi", 16 + len(answer), xid, 7, error) + answer

    def _answer(self, op: int, body: bytes) -> bytes:
        if op == CLOSE:
            return b""
        path, rest = _buffer(body)
        if op == SYNC:
            return body
        if op == GET:
            return struct.pack(">i", len(self.nodes[path])) + self.nodes[path] + STAT
        self.nodes[path], rest = _buffer(rest)
        if op == SET:
            return STAT
        path += b"0000000001" * rest.endswith(struct.pack(">i", 3))
        return struct.pack(">i", len(path)) + path


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("zkbench"))


@pytest.mark.parametrize("workload", ["get", "set", "create", "mixed"])
def test_counts_what_the_server_answered(program: Path, workload: str) -> None:
    """Root, parent, nodes and a sync each, then the load and a close each: nothing is counted twice or forgotten."""
    with answering() as server:
        found = result(ask(program, server.address, Load(workload, 3, 4, seconds=0.2, warm=0, nodes=50)))
    assert found["requests"] == server.requests
    assert 0 < found["ops"] <= server.requests - 52 - 3 - 3
    assert 0 < found["p50_us"] <= found["p99_us"] <= found["p999_us"] <= found["max_us"]


def test_load_creates_every_node_under_its_parent(program: Path) -> None:
    """1,000 nodes over 7 parents do not divide evenly; each must exist once, with 100 bytes."""
    with answering() as server:
        ask(program, server.address, Load("load", connections=3, nodes=1000, parents=7, root="/many"))
    leaves = [path for path in server.nodes if b"/k" in path]
    expected = [f"/many/p{n // 143:06}/k{n:09}".encode() for n in range(1000)]
    assert sorted(leaves) == expected
    assert {len(server.nodes[path]) for path in leaves} == {100}
    assert len(server.nodes) == 1000 + 7 + 1


@pytest.mark.parametrize("fault", ["xid", "error", "short"])
def test_a_wrong_reply_ends_the_run(program: Path, fault: str) -> None:
    """A fast server that answers wrongly must not get a number."""
    words = {"xid": "xid", "error": "error -4", "short": "bytes where"}
    with answering(fault) as server, pytest.raises(LoadFailedError, match=words[fault]):
        ask(program, server.address, Load("get", connections=2, seconds=30, nodes=10))


def test_slices_hold_every_measured_reply(program: Path) -> None:
    """Slices are the same replies as the result, only cut by time."""
    with answering() as server:
        lines = ask(program, server.address, Load("get", 2, 2, seconds=0.2, nodes=10, slice_ms=50))
    found = result(lines)
    slices = [parse_slice(line) for line in lines[:-1]]
    assert sum(sum(one.counts.values()) for one in slices) == found["ops"]
    assert quantile_us(slices, 0.5) == pytest.approx(found["p50_us"], rel=0.02, abs=0.2)


def test_quantile_of_merged_slices() -> None:
    slices = [Slice(0, {1.0: 97, 5.0: 1}), Slice(1, {2.0: 1, 9.0: 1})]
    assert [quantile_us(slices, share) for share in (0.5, 0.97, 0.98, 0.99, 1.0)] == [1.0, 2.0, 5.0, 9.0, 9.0]
    assert quantile_us([], 0.5) == 0.0


def test_a_line_that_is_no_slice_is_refused() -> None:
    with pytest.raises(LoadFailedError, match="zkbench wrote"):
        parse_slice("stray 12 1.0:3")


@contextmanager
def answering(fault: str = "") -> Iterator[Answering]:
    server = Answering(fault)
    try:
        yield server
    finally:
        server.close()


def result(lines: list[str]) -> dict[str, float]:
    found: dict[str, float] = json.loads(lines[-1])
    return found


def _frame(head: bytes, read: Callable[[int], bytes]) -> bytes:
    return read(int.from_bytes(head, "big"))


def _buffer(body: bytes) -> tuple[bytes, bytes]:
    size = int.from_bytes(body[:4], "big")
    return body[4 : 4 + size], body[4 + size :]
