"""The machine that numbers come from: processors, memory, kernel, disk, and the versions of what ran on it."""

import os
import platform
import subprocess
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import quantiles
from typing import Final

from zoopark.tree import tree

DISK_WRITES: Final = 1000
DISK_WRITE_BYTES: Final = 200


@dataclass(frozen=True, slots=True)
class Machine:
    """Described for a reader; the disk's two figures are of one append of 200 bytes and its fdatasync."""

    cpu: str
    cores: int
    memory_gb: float
    kernel: str
    fdatasync_median_ms: float
    fdatasync_p99_ms: float
    load_average: float
    python: str
    java: str
    uvloop: str
    is_compiled: bool

    def sentence(self) -> str:
        """One line for under a table."""
        return (
            f"{self.cores} cores of {self.cpu}, {self.memory_gb:.0f} GB, Linux {self.kernel}, append + fdatasync "
            f"{self.fdatasync_median_ms:.2f} ms (p99 {self.fdatasync_p99_ms:.2f} ms), Python {self.python}, zoopark "
            f"{'compiled' if self.is_compiled else 'interpreted'}, uvloop {self.uvloop}, "
            f"{self.java}; load average before the run {self.load_average:.1f}"
        )


def describe(disk: Path) -> Machine:
    """Look at this machine, and at the disk that holds a directory (it takes up to a few seconds)."""
    median_ms, p99_ms = _fdatasync_ms(disk / "fdatasync")
    return Machine(
        cpu=_field(Path("/proc/cpuinfo"), "model name"),
        cores=len(os.sched_getaffinity(0)),
        memory_gb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        kernel=platform.release(),
        fdatasync_median_ms=median_ms,
        fdatasync_p99_ms=p99_ms,
        load_average=os.getloadavg()[0],
        python=platform.python_version(),
        java=_java(),
        uvloop=_package("uvloop"),
        is_compiled=tree.__file__.endswith(".so"),
    )


def _fdatasync_ms(path: Path) -> tuple[float, float]:
    taken = []
    with path.open("wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, 1 << 20)
        os.fsync(file.fileno())
        for _ in range(DISK_WRITES):
            began = time.perf_counter()
            file.write(b"x" * DISK_WRITE_BYTES)
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - began) * 1000)
    path.unlink()
    cuts = quantiles(taken, n=100)
    return cuts[49], cuts[98]


def _field(path: Path, name: str) -> str:
    lines = path.read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "an unknown processor")


def _java() -> str:
    try:
        return subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr.splitlines()[0]
    except (FileNotFoundError, subprocess.CalledProcessError, IndexError):
        return "no Java"


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
