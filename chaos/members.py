"""The members: processes, what they may use, and why each of them ended.

                 start                        SIGSTOP
    down ─────────────────────> running <───────────────> stopped
      ^                            │  SIGCONT
      └── kill -9, SIGTERM, or its disk: then with one line that says so

A process that ends for any other reason, or says anything that nobody expects of it, is a Violation.
"""

import contextlib
import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final, final

import zoopark as package
from chaos.exits import check_said, explain
from chaos.seal import mount
from zoopark.host.fleet import stop_with
from zoopark.sim.checkers import Violation

SOURCE: Final = Path(package.__file__).resolve().parents[1]
"""Members run the zoopark that this process has imported, from its sources or compiled."""
DISK_BYTES: Final = 48 << 20
BALLAST: Final = "ballast"
BALLAST_BYTES: Final = 1 << 20
STOP_S: Final = 20.0
SCRIBE_S: Final = 5.0
MAX_RSS_KB: Final = 120 << 10
KEYS: Final = {
    "tickTime": "500",
    "initLimit": "10",
    "syncLimit": "4",
    "snapCount": "700",
    "preAllocSize": "16",
    "maxClientCnxns": "0",
    "admin.enableServer": "false",
    "4lw.commands.whitelist": "srvr",
}
PAGE_KB: Final = resource.getpagesize() >> 10


@final
class Seat:
    """Where a member is.

    Args:
        sid: who it is.
        host: its address, and its ports for members, elections and clients.
        is_observer: whether it only learns.
    """

    __slots__ = ("host", "is_observer", "ports", "sid")

    def __init__(self, sid: int, host: str, ports: tuple[int, int, int], is_observer: bool = False) -> None:
        self.sid = sid
        self.host = host
        self.ports = ports
        self.is_observer = is_observer

    def line(self) -> str:
        """The line of zoo.cfg that names it."""
        quorum, election, _ = self.ports
        return f"server.{self.sid}={self.host}:{quorum}:{election}{':observer' if self.is_observer else ''}"


@final
class Member:
    """One member, down at first. `prepare` comes before everything else.

    Args:
        seat: where it is.
        home: its directory, to be made.
        prefix: what its command begins with.
        has_small_disk: whether its data lies on a disk of its own, of DISK_BYTES, in memory.

    Attributes:
        process: the process as it was started last.
        is_paused: whether it is stopped.
        is_sick: whether its disk fails or is full.
        rss_kb: the memory that was seen last, and the most that was seen.
        exits: how often it ended, by reason.
    """

    def __init__(self, seat: Seat, home: Path, prefix: list[str], has_small_disk: bool) -> None:
        self.seat = seat
        self.sid = seat.sid
        self.home = home
        self.has_small_disk = has_small_disk
        self.data = home / "data"
        self._command = [*prefix, sys.executable, "-m", "zoopark", "serve", str(home / "zoo.cfg")]
        self.process: subprocess.Popen[bytes] | None = None
        self._scribe: subprocess.Popen[bytes] | None = None
        self.life = 0
        self.is_paused = self.is_sick = self._was_sick = False
        self._was_killed = self._was_stopped = False
        self.rss_kb = self.max_rss_kb = 0
        self.exits: dict[str, int] = {}

    def prepare(self, seats: list[Seat]) -> None:
        """Make its directory, its disk and its zoo.cfg, in an ensemble of these. Errors: CalledProcessError."""
        seat = self.seat
        self.data.mkdir(parents=True)
        if self.has_small_disk:
            mount(f"chaos{self.sid}", self.data, f"size={DISK_BYTES}")
        (self.data / "myid").write_text(f"{self.sid}\n")
        settings = {**KEYS, "dataDir": str(self.data), "clientPort": str(seat.ports[2]), "clientPortAddress": seat.host}
        lines = [f"{key}={value}" for key, value in settings.items()] + [other.line() for other in seats]
        (self.home / "zoo.cfg").write_text("\n".join(lines) + "\n")

    def is_running(self) -> bool:
        """Whether its process is there, be it stopped."""
        return self.process is not None and self.process.poll() is None

    def is_well(self) -> bool:
        """Whether it can do its work."""
        return self.is_running() and not self.is_paused and not self.is_sick

    def log(self, life: int) -> Path:
        """What it said in one of its lives."""
        return self.home / f"log-{life}.txt"

    def start(self) -> None:
        """Start it, unless it runs; it ends when this thread does. Raises Violation if its last end has no reason."""
        if self.is_running():
            return
        self.look()
        self.life += 1
        self.is_paused, self._was_sick = False, self.is_sick
        self._was_killed = self._was_stopped = False
        with self.log(self.life).open("wb") as log:
            # What it says goes through a pipe: a limit on its files must not silence it.
            scribe = self._scribe = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=log)
        assert scribe.stdin is not None
        parent = os.getpid()
        with scribe.stdin as said:
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env={**os.environ, "PYTHONPATH": str(SOURCE)},
                preexec_fn=lambda: stop_with(parent),
            )

    def kill(self) -> None:
        """kill -9."""
        if self.is_running() and self.process is not None:
            self._was_killed = True
            self.process.kill()
            self.process.wait()
            self._hear_out()
            self.is_paused = False

    def terminate(self) -> None:
        """Ask it to stop."""
        if self.is_running() and self.process is not None:
            self.resume()
            self._was_stopped = True
            self.process.terminate()

    def stop(self) -> None:
        """Ask it to stop, and wait for that. Raises Violation if it does not within STOP_S."""
        self.terminate()
        if self.process is not None:
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                raise Violation(f"liveness: member {self.sid} has not stopped {STOP_S:.0f} s after SIGTERM") from None

    def pause(self) -> None:
        if self.is_running() and self.process is not None:
            self.is_paused = True
            self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self.is_paused and self.process is not None:
            self.is_paused = False
            self.process.send_signal(signal.SIGCONT)

    def fill_disk(self) -> None:
        """Leave no room on its own disk."""
        self.is_sick = self._was_sick = True
        try:
            with (self.data / BALLAST).open("wb", buffering=0) as ballast:
                while True:
                    ballast.write(bytes(BALLAST_BYTES))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    def fail_disk(self) -> None:
        """Let every write of its process to a file fail from now on, with EFBIG."""
        if self.is_running() and self.process is not None:
            self.is_sick = self._was_sick = True
            _, most = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (0, most))

    def heal_disk(self) -> None:
        """Make room, let writes succeed."""
        self.is_sick = False
        (self.data / BALLAST).unlink(missing_ok=True)
        if self.is_running() and self.process is not None:
            _, most = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (most, most))

    def lose_disk(self) -> None:
        """Forget everything but who it is. It must be down."""
        shutil.rmtree(self.data / "version-2", ignore_errors=True)

    def look(self) -> None:
        """See whether all is as it must be. Raises Violation."""
        if self.process is None:
            return
        code = self.process.poll()
        if code is None:
            self._measure(self.process.pid)
            return
        self._hear_out()
        causes = (self._was_killed, self._was_stopped, self._was_sick)
        said = self.log(self.life).read_text(errors="replace")
        reason = explain(f"member {self.sid}, life {self.life},", code, said, causes)
        self.exits[reason] = self.exits.get(reason, 0) + 1
        self.process = None

    def _hear_out(self) -> None:
        """Wait for what is left to be written down; a child that it has left behind may hold the pipe open."""
        if self._scribe is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._scribe.wait(SCRIBE_S)

    def check_logs(self) -> None:
        """Raises Violation if it said anything in any of its lives that nobody expects."""
        for life in range(1, self.life + 1):
            check_said(f"member {self.sid}, life {life},", self.log(life).read_text(errors="replace"))

    def _measure(self, pid: int) -> None:
        try:
            self.rss_kb = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_KB
        except (OSError, IndexError):
            return  # it has just ended
        self.max_rss_kb = max(self.max_rss_kb, self.rss_kb)
        if self.rss_kb > MAX_RSS_KB:
            raise Violation(f"memory: member {self.sid} takes {self.rss_kb >> 10} MB")
