"""Builds and runs zkbench, the load generator, and reads what it measured."""

import json
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import processes
from bench.ensembles import Service

SOURCE: Final = Path(__file__).with_name("zkbench.c")
VALUE_BYTES: Final = 100
MIXED_READS_PERCENT: Final = 90
GRACE_SECONDS: Final = 5
"""A server that closes connections because it is about to end gets so long to do so."""


class LoadFailedError(Exception):
    """zkbench met a wrong reply, an error code or silence; the text is its complaint."""


@dataclass(frozen=True, slots=True)
class Load:
    """What zkbench is asked to do; see the top of zkbench.c.

    Args:
        workload: get, set, exists, create, mixed or load.
        connections, depth: so many connections, each with so many requests in flight.
        seconds, warm: measured time, and time before it that does not count.
        nodes, parents, root: the nodes that are used; `is_prepared` when they are already there.
        slice_ms: also return the latencies by slices of time; 0 for no slices.
    """

    workload: str
    connections: int = 50
    depth: int = 20
    seconds: float = 5.0
    warm: int = 1
    nodes: int = 1000
    parents: int = 1
    root: str = "/bench"
    is_prepared: bool = False
    slice_ms: int = 0

    def arguments(self) -> list[str]:
        """The command line after the program's name, without the address."""
        words = [self.workload, f"--bytes={VALUE_BYTES}", f"--reads={MIXED_READS_PERCENT}"]
        words += [f"--connections={self.connections}", f"--depth={self.depth}"]
        words += [f"--seconds={self.seconds}", f"--warm={self.warm}", f"--nodes={self.nodes}"]
        words += [f"--parents={self.parents}", f"--root={self.root}", f"--slice-ms={self.slice_ms}"]
        return words + ["--prepared"] * self.is_prepared


@dataclass(frozen=True, slots=True)
class Slice:
    """Latencies of the replies that came in one slice of time: microseconds and how often each."""

    start_ns: int
    counts: dict[float, int]


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of zkbench.

    Args:
        ops_s: replies a second, in the measured time.
        p50_us, p99_us, p999_us, max_us: latency.
        server_us_per_op: CPU time of the server, or of all members, for each request of the whole run.
        other_cores: processors used meanwhile by anything but the server and zkbench: how noisy it was.
        seconds: the measured time.
    """

    ops_s: float
    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float
    server_us_per_op: float
    other_cores: float
    seconds: float


Runs = dict[str, list[Measured]]
"""A service's runs by the name of the row, one for each repetition."""


def build(directory: Path) -> Path:
    """Compile zkbench into a directory; the program. CalledProcessError if gcc is not content."""
    program = directory / "zkbench"
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(SOURCE)], check=True)
    return program


def ask(program: Path, address: str, load: Load) -> list[str]:
    """Run zkbench on HOST:PORT, or several with commas; the lines that it wrote. LoadFailedError on any wrong reply."""
    words = [str(program), *load.arguments(), f"--address={address}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoadFailedError(f"{load.workload} on {address}: {done.stderr.strip()}")
    return done.stdout.splitlines()


def run(program: Path, server: Service, load: Load) -> tuple[Measured, list[Slice]]:
    """Put a load on a server or an ensemble. LoadFailedError on any wrong reply, ServerFailedError if one has ended."""
    pids = server.pids
    machine, cpu = processes.machine_cpu_seconds(), _cpu_seconds(pids)
    began = time.monotonic()
    try:
        *slices, last = ask(program, server.address, load)
    except LoadFailedError as error:
        server.check(GRACE_SECONDS)
        raise LoadFailedError(f"{error}\n{server.tail()}") from error
    elapsed = time.monotonic() - began
    cpu = _cpu_seconds(pids) - cpu
    machine = processes.machine_cpu_seconds() - machine
    found: dict[str, float] = json.loads(last)
    measured = Measured(
        ops_s=found["ops_s"],
        p50_us=found["p50_us"],
        p99_us=found["p99_us"],
        p999_us=found["p999_us"],
        max_us=found["max_us"],
        server_us_per_op=cpu * 1e6 / found["requests"],
        other_cores=max(0.0, machine - cpu - found["client_cpu_s"]) / elapsed,
        seconds=found["seconds"],
    )
    return measured, [parse_slice(line) for line in slices]


def _cpu_seconds(pids: list[int]) -> float:
    return sum(processes.cpu_seconds(pid) for pid in pids)


def parse_slice(line: str) -> Slice:
    """A line "slice START_NS US:COUNT ..." of zkbench."""
    word, start, *pairs = line.split()
    if word != "slice":
        raise LoadFailedError(f"zkbench wrote {line[:80]!r}")
    split = (pair.partition(":") for pair in pairs)
    return Slice(int(start), {float(us): int(count) for us, _, count in split})


def quantile_us(slices: Iterable[Slice], share: float) -> float:
    """The latency that this share of the replies in some slices did not exceed; 0.0 where there were none."""
    counts: dict[float, int] = {}
    for one in slices:
        for us, count in one.counts.items():
            counts[us] = counts.get(us, 0) + count
    rank, seen = share * sum(counts.values()), 0
    for us in sorted(counts):
        seen += counts[us]
        if seen > rank or seen == sum(counts.values()):
            return us
    return 0.0
