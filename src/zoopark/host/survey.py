"""What the operating system tells of a running server, for the four-letter words and metrics.

Nothing here may take long: it runs in the loop, when somebody asks.
"""

import os
import platform
import pwd
import resource
import socket
import time
from collections.abc import Callable
from threading import Thread
from typing import Final, final

from zoopark.server.config import Config
from zoopark.server.metrics import Metrics, Survey
from zoopark.server.recovery import Progress, Recovered, log_directory, snapshot_directory

JAVA_ARCHITECTURES: Final = {"x86_64": "amd64"}
"""Names that differ between the systems and Java, whose names people's scripts know."""


@final
class LoadTimes:
    """Times the parts of a recovery, as a listener to its progress that passes everything on."""

    def __init__(self, progress: Progress, clock: Callable[[], float] = time.perf_counter) -> None:
        self._progress = progress
        self._clock = clock
        self._start_s = self._snapshot_s = self._log_s = self._end_s = clock()

    def progress(self, what: str, done: int, size: int) -> None:
        self._progress(what, done, size)
        self._log_s = self._clock()
        if what == "snapshot":
            self._snapshot_s = self._log_s

    def stop(self) -> None:
        """The database is ready."""
        self._end_s = self._clock()

    def tell(self, metrics: Metrics, found: Recovered) -> None:
        """Note what the recovery took, and what it found."""
        metrics.db_init_us.add(_us(self._end_s - self._start_s))
        if found.snapshot is not None:
            metrics.snap_load_us.add(_us(self._snapshot_s - self._start_s))
            metrics.txns_load_us.add(_us(self._log_s - self._snapshot_s))
            metrics.txns_loaded.add(found.n_txns)
        metrics.digest_mismatches = found.replay.n_mismatches
        metrics.digests.extend(found.replay.digests)


@final
class Surveyor:
    """Looks around on behalf of one server.

    Args:
        client_port: the port that clients connect to.
    """

    def __init__(self, config: Config, client_port: int) -> None:
        self.config = config
        self.client_port = client_port
        self.host_name = socket.gethostname()

    def resolve_host_name(self) -> None:
        """Find the full name of this host in the background: a name server may take long, or never answer."""
        Thread(target=self._resolve, name="host-name", daemon=True).start()

    def look(self) -> Survey:
        """The state of this moment."""
        return Survey(
            directory_bytes(snapshot_directory(self.config)),
            directory_bytes(log_directory(self.config)),
            self.client_port,
            _open_files(),
            self._environment(),
        )

    def _resolve(self) -> None:
        self.host_name = socket.getfqdn(self.host_name)

    def _environment(self) -> list[tuple[str, str]]:
        machine = platform.machine()
        user, home = _user()
        return [
            ("host.name", self.host_name),
            ("python.version", platform.python_version()),
            ("python.implementation", platform.python_implementation()),
            ("os.name", platform.system()),
            ("os.arch", JAVA_ARCHITECTURES.get(machine, machine)),
            ("os.version", platform.release()),
            ("user.name", user),
            ("user.home", home),
            ("user.dir", os.getcwd()),
        ]


def directory_bytes(path: str) -> int:
    """The lengths of all files in a directory, added up; 0 if there is none. A file that goes away meanwhile is 0."""
    total = 0
    try:
        names = os.listdir(path)
    except FileNotFoundError:
        return 0
    for name in names:
        try:
            total += os.stat(f"{path}/{name}").st_size
        except FileNotFoundError:
            continue
    return total


def _us(seconds: float) -> int:
    return int(seconds * 1_000_000)


def _open_files() -> tuple[int, int] | None:
    try:
        # One of them is the listing itself.
        return len(os.listdir("/dev/fd")) - 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except OSError:
        return None


def _user() -> tuple[str, str]:
    """Name and home directory; the number and `?` for a user without an entry, as containers have."""
    try:
        entry = pwd.getpwuid(os.getuid())
    except KeyError:
        return str(os.getuid()), "?"
    return entry.pw_name, entry.pw_dir
