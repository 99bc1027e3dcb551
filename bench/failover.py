"""How long nobody can write: from the kill -9 of a leader to the first write of a new session at a survivor."""

import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from bench.ensembles import Ensemble

PAUSE_SECONDS: Final = 0.002
ATTEMPT_SECONDS: Final = 5.0
DEADLINE_SECONDS: Final = 60.0
SESSION_TIMEOUT_MS: Final = 10_000
SET_ROOT: Final = struct.pack(">iii1si1si", 1, 5, 1, b"/", 1, b"x", -1)
CLOSE: Final = struct.pack(">ii", 2, -11)
CONNECT: Final = struct.pack(">iqiqi16s?", 0, 0, SESSION_TIMEOUT_MS, 0, 16, bytes(16), False)
Address = tuple[str, int]


class NobodyServesError(Exception):
    """No survivor took a write before the deadline."""


def kill_leader(ensemble: Ensemble) -> float:
    """Kill the leader; the milliseconds until a new session has written. The killed one is back when this returns."""
    leader = ensemble.leader
    killed_s = leader.kill()
    survivors = [(host, int(port)) for host, _, port in (one.partition(":") for one in ensemble.address.split(","))]
    taken_ms = (first_write(survivors) - killed_s) * 1000
    leader.start()
    return taken_ms


def first_write(addresses: list[Address], deadline_s: float = DEADLINE_SECONDS) -> float:
    """Try all addresses at once, each again 2 ms after a failure; when the first write was answered (monotonic clock).

    Every attempt is a new connection with a new session. NobodyServesError after the deadline.
    """
    is_over = threading.Event()
    with ThreadPoolExecutor(len(addresses)) as pool:
        times = list(pool.map(lambda address: _write_at(address, deadline_s, is_over), addresses))
    written = [at for at in times if at is not None]
    if not written:
        raise NobodyServesError(f"no write in {deadline_s:g} s at {addresses}")
    return min(written)


def _write_at(address: Address, deadline_s: float, is_over: threading.Event) -> float | None:
    deadline = time.monotonic() + deadline_s
    while not is_over.is_set() and time.monotonic() < deadline:
        try:
            written = _attempt(address)
        except OSError:
            is_over.wait(PAUSE_SECONDS)
            continue
        is_over.set()
        return written
    return None


def _attempt(address: Address) -> float:
    """A session, a write, the end of the session; when the write was answered. OSError for anything else."""
    with socket.create_connection(address, ATTEMPT_SECONDS) as link:
        (_, timeout_ms, *_) = struct.unpack_from(">ii", _ask(link, CONNECT))
        if timeout_ms <= 0:
            raise ConnectionError("no session")
        (*_, error) = struct.unpack_from(">iqi", _ask(link, SET_ROOT))
        written = time.monotonic()
        if error:
            raise ConnectionError(f"error {error}")
        _ask(link, CLOSE)
        return written


def _ask(link: socket.socket, request: bytes) -> bytes:
    link.sendall(struct.pack(">i", len(request)) + request)
    (size,) = struct.unpack(">i", _read(link, 4))
    return _read(link, size)


def _read(link: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = link.recv(size - len(found))
        if not piece:
            raise ConnectionError("closed")
        found += piece
    return found
