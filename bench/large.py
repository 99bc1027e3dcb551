"""A large tree: the memory that it takes, latency while snapshots of it are written, and the time of a restart."""

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Final

from bench import processes
from bench.load import Load, Slice, quantile_us, run
from bench.servers import Contestant, Running

PARENTS: Final = 1000
SLICE_MS: Final = 50
POLL_SECONDS: Final = 0.01
BEFORE_NS: Final = 150_000_000
"""How long before a snapshot's file is first seen its work may have begun."""
ROOT: Final = "/large"


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Latency of a mixed load, over all of it and in the part in which a snapshot was being written.

    `windows_s` are the lengths of the snapshots that fell into the measured time, in seconds; without any of them
    the figures of that part are 0 and mean nothing.
    """

    ops_s: float
    p99_us: float
    p999_us: float
    during_p99_us: float
    during_p999_us: float
    during_max_us: float
    windows_s: list[float]


@dataclass(frozen=True, slots=True)
class Large:
    """What one server needed for the large tree.

    Args:
        load_seconds: to create it.
        loaded_peak_mb, loaded_mb: most memory until then, and afterwards at rest.
        hot, spread: a mixed load on 1,000 nodes beside the tree, and on all nodes of it.
        busy_peak_mb: most memory until the end of these loads, snapshots being written.
        restart_seconds, restarted_mb, restarted_peak_mb: for each restart: to the first answer to srvr, and then.
    """

    version: str
    nodes: int
    load_seconds: float
    loaded_peak_mb: float
    loaded_mb: float
    hot: Snapshots
    spread: Snapshots
    busy_peak_mb: float
    restart_seconds: list[float]
    restarted_mb: list[float]
    restarted_peak_mb: list[float]

    @property
    def restart_median_s(self) -> float:
        return median(self.restart_seconds)


class SnapshotWatch:
    """When the files of snapshots grew, while the `with` block runs.

    A file is followed by its inode, since it may be renamed when it is finished; an inode that vanishes or shrinks has
    become another file. Files that were there before count only if they grow.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._past: list[_Growth] = []
        self._current = {inode: _Growth(0, 0, size) for inode, size in self._sizes().items()}

    def __enter__(self) -> "SnapshotWatch":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._is_over.set()
        self._thread.join()

    def windows(self) -> list[tuple[int, int]]:
        """From when to when each file was seen to grow, in nanoseconds of the monotonic clock."""
        return sorted((one.start_ns, one.end_ns) for one in [*self._past, *self._current.values()] if one.end_ns)

    def _watch(self) -> None:
        while not self._is_over.wait(POLL_SECONDS):
            self._look(time.monotonic_ns(), self._sizes())

    def _look(self, now_ns: int, sizes: dict[int, int]) -> None:
        gone = {inode for inode, one in self._current.items() if sizes.get(inode, -1) < one.size}
        self._past += [self._current[inode] for inode in gone]
        kept = {inode: one for inode, one in self._current.items() if inode not in gone}
        for inode, size in sizes.items():
            last = kept.get(inode, _Growth(now_ns, 0, -1))
            if size > last.size:
                kept[inode] = _Growth(last.start_ns or now_ns, now_ns, size)
        self._current = kept

    def _sizes(self) -> dict[int, int]:
        found = {}
        for path in self._directory.rglob("*snapshot*"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found[status.st_ino] = status.st_size
        return found


@dataclass(frozen=True, slots=True)
class _Growth:
    start_ns: int
    end_ns: int
    size: int


def measure(
    program: Path, contestant: Contestant, home: Path, size: tuple[int, float], tell: Callable[[str], None]
) -> Large:
    """Load a tree into a new server, load it while it writes snapshots; the restarts are still missing.

    `size` is the number of nodes, and the seconds of each load.
    """
    nodes, seconds = size
    server = Running(contestant, home).start()
    try:
        with processes.PeakWatch(server.pid) as peak:
            loaded, _ = run(program, server, Load("load", nodes=nodes, parents=PARENTS, root=ROOT))
            processes.calm(server.pids)
        resident = processes.resident_mb(server.pid)
        tell(
            f"{nodes:,} nodes{'':<6}{server.name:<14}{loaded.seconds:.1f} s, {resident:,.0f} MB, peak {peak.mb:,.0f} MB"
        )
        with processes.PeakWatch(server.pid) as busy:
            hot = _mixed(program, server, Load("mixed", seconds=seconds), tell)
            everywhere = Load("mixed", seconds=seconds, nodes=nodes, parents=PARENTS, root=ROOT, is_prepared=True)
            spread = _mixed(program, server, everywhere, tell)
        return Large(server.version, nodes, loaded.seconds, peak.mb, resident, hot, spread, busy.mb, [], [], [])
    finally:
        server.stop()


def restart(contestant: Contestant, home: Path, into: Large, tell: Callable[[str], None]) -> None:
    """Start a server on the data of `measure`, stop it again, and add what it took to `into`."""
    server = Running(contestant, home).start()
    try:
        into.restart_seconds.append(server.start_seconds)
        processes.calm(server.pids)
        into.restarted_mb.append(processes.resident_mb(server.pid))
        into.restarted_peak_mb.append(processes.peak_mb(server.pid))
        tell(f"restart{'':<13}{server.name:<14}{server.start_seconds:.2f} s, {into.restarted_mb[-1]:,.0f} MB")
    finally:
        server.stop()


def discard(home: Path) -> None:
    """Remove a server's home with its data."""
    shutil.rmtree(home, ignore_errors=True)


def overlapping(slices: list[Slice], windows: list[tuple[int, int]]) -> list[Slice]:
    """The slices that share time with a window, each window begun a little earlier than its file was seen."""
    length = SLICE_MS * 1_000_000
    return [
        one
        for one in slices
        if any(one.start_ns < end and one.start_ns + length > start - BEFORE_NS for start, end in windows)
    ]


def _mixed(program: Path, server: Running, load: Load, tell: Callable[[str], None]) -> Snapshots:
    with SnapshotWatch(server.data) as watch:
        measured, slices = run(program, server, replace(load, slice_ms=SLICE_MS))
    processes.calm(server.pids)
    windows = [one for one in watch.windows() if overlapping(slices, [one])]
    during = overlapping(slices, windows)
    found = Snapshots(
        ops_s=measured.ops_s,
        p99_us=measured.p99_us,
        p999_us=measured.p999_us,
        during_p99_us=quantile_us(during, 0.99),
        during_p999_us=quantile_us(during, 0.999),
        during_max_us=quantile_us(during, 1.0),
        windows_s=[round((end - start) / 1e9, 3) for start, end in windows],
    )
    tell(
        f"{load.nodes:>9,} nodes hit {server.name:<14}{found.ops_s:,.0f}/s, {len(found.windows_s)} snapshots, "
        f"p99.9 {found.during_p999_us / 1000:.1f} ms, max {found.during_max_us / 1000:.1f} ms"
    )
    return found
