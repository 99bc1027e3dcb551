"""What /proc says about a server's processes: CPU seconds and memory, its children included."""

import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PROC: Final = Path("/proc")
IDLE_DEADLINE_S: Final = 30
SAMPLE_SECONDS: Final = 1.0
"""Seldom, because the kernel needs a while to add up the memory of a large family."""


def family(pid: int) -> list[int]:
    """A process and all that descend from it, those that are still there."""
    found = [pid]
    for parent in found:
        for task in (_PROC / str(parent) / "task").glob("*/children"):
            found.extend(int(child) for child in _read(task).split())
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process's family and of the children that it has waited for."""
    total = 0
    for member in family(pid):
        fields = _read(_PROC / str(member) / "stat").rpartition(")")[2].split()
        total += sum(int(field) for field in fields[11:15])
    return total / _TICKS


def machine_cpu_seconds() -> float:
    """Time that all processors have spent on anything but idling and disks, stolen time included."""
    user, nice, system, _idle, _wait, irq, softirq, steal, *_ = map(
        int, _read(_PROC / "stat").splitlines()[0].split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) / _TICKS


def resident_mb(pid: int) -> float:
    """Memory of a process's family; what several of them share (after a fork) counts once."""
    members = family(pid)
    if len(members) == 1:
        return _kilobytes(_PROC / str(pid) / "status", "VmRSS:") / 1024
    return proportional_mb([pid])


def proportional_mb(pids: list[int]) -> float:
    """Memory of several processes' families together; what some of them share counts once."""
    members = [member for pid in pids for member in family(pid)]
    return sum(_kilobytes(_PROC / str(member) / "smaps_rollup", "Pss:") for member in members) / 1024


def peak_mb(pid: int) -> float:
    """The most memory that the process itself ever had."""
    return _kilobytes(_PROC / str(pid) / "status", "VmHWM:") / 1024


class PeakWatch:
    """The most memory of a process's family while the `with` block runs: sampled, and never less than `peak_mb`."""

    def __init__(self, pid: int) -> None:
        self.mb = 0.0
        self._pid = pid
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "PeakWatch":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._is_over.set()
        self._thread.join()
        self.mb = max(self.mb, peak_mb(self._pid), resident_mb(self._pid))

    def _sample(self) -> None:
        while not self._is_over.wait(SAMPLE_SECONDS):
            self.mb = max(self.mb, resident_mb(self._pid))


def calm(pids: list[int]) -> None:
    """Wait until no family has work of its own left, IDLE_DEADLINE_S at most, and the disk none of theirs."""
    wait_until_idle(pids, IDLE_DEADLINE_S)
    os.sync()


def wait_until_idle(pids: list[int], deadline_s: float) -> bool:
    """Return when each family uses less than a twentieth of a processor for half a second; False if time is over."""
    until = time.monotonic() + deadline_s
    while time.monotonic() < until:
        before = [cpu_seconds(pid) for pid in pids]
        time.sleep(0.5)
        if all(cpu_seconds(pid) - spent < 0.025 for pid, spent in zip(pids, before, strict=True)):
            return True
    return False


def _kilobytes(path: Path, field: str) -> int:
    return next((int(line.split()[1]) for line in _read(path).splitlines() if line.startswith(field)), 0)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
