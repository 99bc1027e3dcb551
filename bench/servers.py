"""The two servers, processes with one zoo.cfg: Apache ZooKeeper 3.9.3 as its own script runs it, and zoopark."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import zoopark as package
from tests.compat.oracle import LOOPBACK, MAIN_CLASS, OracleMissingError, fetch_jars, four_letter_word, free_port

SOURCE: Final = Path(package.__file__).resolve().parents[1]
START_SECONDS: Final = 300
STOP_SECONDS: Final = 60
POLL_SECONDS: Final = 0.01
LOG4J2: Final = """rootLogger.level=warn
rootLogger.appenderRef.c.ref=c
appender.c.type=Console
appender.c.name=c
"""
SETTINGS: Final = {
    "tickTime": "2000",
    "clientPortAddress": LOOPBACK,
    "maxClientCnxns": "0",
    "admin.enableServer": "false",
    "4lw.commands.whitelist": "*",
}


class ServerFailedError(Exception):
    """A server ended by itself or did not answer in time; the text ends with its last lines."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server to measure: its name in the tables, and the command line that runs it with a zoo.cfg."""

    name: str
    command: Callable[[Path], list[str]]


class Running:
    """One server; `start` makes its process, and may do so again after `stop` or `kill`.

    Args:
        contestant: what to run.
        home: a directory of its own; with zoo.cfg, the output and the data, which the next start finds again.
        settings: lines of zoo.cfg on top of SETTINGS.

    `start_seconds` is from before the process existed to its first answer to srvr that names its mode.
    """

    def __init__(self, contestant: Contestant, home: Path, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self.name = contestant.name
        self.home = home
        self.data = home / "data"
        self.port = free_port()
        self.start_seconds = 0.0
        self._contestant = contestant
        self._settings = {**SETTINGS, **settings, "dataDir": str(self.data), "clientPort": str(self.port)}
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0

    @property
    def is_up(self) -> bool:
        """Whether it was started, and not stopped since."""
        return self._process is not None

    @property
    def pid(self) -> int:
        assert self._process is not None, "not running"
        return self._process.pid

    @property
    def pids(self) -> list[int]:
        return [self.pid]

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def version(self) -> str:
        """What srvr reports, without the commit and the date of a build."""
        return self.said("Zookeeper version").partition(",")[0].partition("-")[0]

    def start(self) -> "Running":
        """Make the process and return when it serves. ServerFailedError if it does not; it is not left running then."""
        self.launch()
        try:
            self.wait_until_serving()
        except BaseException:
            self.stop()
            raise
        return self

    def launch(self) -> None:
        """Make the process."""
        assert self._process is None, "started twice"
        self.data.mkdir(parents=True, exist_ok=True)
        config = self.home / "zoo.cfg"
        config.write_text("".join(f"{key}={value}\n" for key, value in self._settings.items()))
        (self.home / "log4j2.properties").write_text(LOG4J2)
        self._began = time.monotonic()
        with (self.home / "output").open("ab") as output:
            self._process = subprocess.Popen(
                self._contestant.command(config),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "PYTHONPATH": str(SOURCE)},
            )

    def wait_until_serving(self) -> None:
        """Return when srvr names a mode. ServerFailedError if the process ends, or after START_SECONDS."""
        self.wait_for(lambda: bool(self.said("Mode")))
        self.start_seconds = time.monotonic() - self._began

    def wait_for(self, is_so: Callable[[], bool]) -> float:
        """Look until something is so; the seconds since the process was made. ServerFailedError as above."""
        deadline = self._began + START_SECONDS
        while not is_so():
            self.check()
            if time.monotonic() > deadline:
                self.stop()
                raise ServerFailedError(f"{self.name} does not serve after {START_SECONDS} s\n{self.tail()}")
            time.sleep(POLL_SECONDS)
        return time.monotonic() - self._began

    def stop(self) -> None:
        """End it with SIGTERM, after STOP_SECONDS with SIGKILL. Harmless when it is not running."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> float:
        """End it with SIGKILL; when that was, on the monotonic clock."""
        assert self._process is not None, "not running"
        killed = time.monotonic()
        self._process.kill()
        self._process.wait()
        self._process = None
        return killed

    def check(self, grace_seconds: float = 0) -> None:
        """ServerFailedError if the process has ended, or does so within a grace."""
        if self._process is None:
            return
        try:
            code = self._process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            return
        raise ServerFailedError(f"{self.name} ended with exit code {code}\n{self.tail()}")

    def tail(self) -> str:
        """The last lines of its output that are more than information."""
        lines = (self.home / "output").read_text(errors="replace").splitlines()
        return "\n".join([line for line in lines if " INFO " not in line][-20:])

    def said(self, field: str) -> str:
        """What srvr says behind a field's name; nothing if it does not say it, or does not answer."""
        found = (line.partition(": ")[2] for line in self.srvr().splitlines() if line.startswith(f"{field}: "))
        return next(found, "")

    def srvr(self) -> str:
        """The answer to srvr; nothing if there is none."""
        try:
            return four_letter_word((LOOPBACK, self.port), b"srvr").decode(errors="replace")
        except OSError:
            return ""


def exit_on_sigterm() -> None:
    """From now on SIGTERM raises SystemExit in the main thread, so that whoever has started a server stops it."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def apache(heap: str) -> Contestant:
    """Apache ZooKeeper 3.9.3, untuned, with so much heap ("1g", or "default": what Java takes).

    OracleMissingError without Java or the jars.
    """
    java = shutil.which("java")
    if java is None:
        raise OracleMissingError("there is no java on the PATH; on Debian: apt-get install default-jre-headless")
    class_path = f"{fetch_jars()}/*"
    limit = [] if heap == "default" else [f"-Xmx{heap}"]

    def command(config: Path) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={config.parent / 'log4j2.properties'}"
        return [java, *limit, logging, "-cp", class_path, MAIN_CLASS, str(config)]

    return Contestant("Apache 3.9.3", command)


def zoopark() -> Contestant:
    """This project's server as it is installed, run by the Python that runs the benchmark."""
    return Contestant("zoopark", lambda config: [sys.executable, "-m", "zoopark", "serve", str(config)])
