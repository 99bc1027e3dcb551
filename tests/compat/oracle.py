"""Servers to test with: Apache ZooKeeper 3.9.3 and 3.8 (the referees) and zoopark, each one a process on loopback.

Apache's 3.9.3 jars travel inside a source package of PyPI (about 430 MB, fetched once); 3.8 is Debian's package
`zookeeper`. Where Java or the jars are missing `OracleMissingError` is raised, which says what to install.

    ZOOPARK_ORACLE_CACHE     directory of the 3.9.3 jars (default: zookeeper-3.9.3 in the user's cache directory)
    ZOOPARK_REQUIRE_ORACLE   1: fetch the jars when they are not there; the tests fail instead of skipping

`python -m tests.compat.oracle` fetches the jars and says where they are. Nothing here outlives its `stop()`.
"""

import contextlib
import fcntl
import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import zoopark as package

LOOPBACK: Final = "127.0.0.1"
START_SECONDS: Final = 100
STOP_SECONDS: Final = 20
PROBE_SECONDS: Final = 2
ASK_SECONDS: Final = 5
ANSWER_SECONDS: Final = 30
POLL_SECONDS: Final = 0.02
SERVER_PORTS: Final = range(10_000, 32_000)
SOURCE: Final = Path(package.__file__).resolve().parents[1]
CARRIER: Final = "pyspark==4.0.1"
APACHE_38_JAR: Final = Path("/usr/share/java/zookeeper.jar")
SIMPLE_LOGGER_JAR: Final = Path("/usr/share/java/slf4j-simple.jar")
MAIN_CLASS: Final = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
QUICK_JAVA: Final = ("-Xmx512m", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
JAR_PREFIXES: Final = (
    *("zookeeper-3", "zookeeper-jute", "slf4j-api", "log4j-api", "log4j-core", "log4j-slf4j2", "netty-", "snappy-java"),
    *("metrics-core-4", "jline-2", "commons-cli", "commons-io", "jackson-core-2", "jackson-databind", "jackson-annot"),
)
LOG4J2: Final = """rootLogger.level=info
rootLogger.appenderRef.c.ref=c
appender.c.type=Console
appender.c.name=c
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d %p %c{1} %m%n
"""
BASE_SETTINGS: Final = {
    "tickTime": "2000",
    "maxClientCnxns": "0",
    "admin.enableServer": "false",
    "4lw.commands.whitelist": "*",
    "autopurge.purgeInterval": "0",
}


class OracleMissingError(Exception):
    """Java or the jars of a ZooKeeper are not there; the text says what to install."""


class ServerFailedError(Exception):
    """A server process ended or did not answer in time; the text ends with its last lines."""


@dataclass(frozen=True, slots=True)
class Flavour:
    """A kind of server: its name, and the command line that runs it with a zoo.cfg and properties in the foreground."""

    name: str
    command: Callable[[Path, Mapping[str, str]], list[str]]


class Server:
    """One standalone server, its home directory and its port.

    Args:
        flavour: what to run.
        home: an existing directory of its own; holds zoo.cfg, the log and (unless `data_dir` is given) the data.
        settings: lines of zoo.cfg on top of BASE_SETTINGS.
        properties: JVM system properties; zoopark gets them as `-D`.
        data_dir: a data directory to open instead of a new one.

    Attributes:
        was_killed: by `kill`, at any time.
    """

    def __init__(
        self,
        flavour: Flavour,
        home: Path,
        settings: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        data_dir: Path | None = None,
    ) -> None:
        self.flavour = flavour
        self.home = home
        self.settings = {**BASE_SETTINGS, **(settings or {})}
        self.properties = dict(properties or {})
        self.data_dir = data_dir or home / "data"
        self.port = free_port()
        self.was_killed = False
        self._began_bytes = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    @property
    def address(self) -> tuple[str, int]:
        return (LOOPBACK, self.port)

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None, "not running"
        return self._process.pid

    @property
    def log(self) -> str:
        """All that the process has written so far."""
        path = self.home / "server.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def said(self) -> str:
        """What the process has written since it was started last."""
        path = self.home / "server.log"
        return path.read_bytes()[self._began_bytes :].decode(errors="replace") if path.exists() else ""

    def start(self, patience_s: float = START_SECONDS) -> "Server":
        """Start the process and return when it serves; ServerFailedError if it ends or this time passes."""
        self._wait_until_serving(self.spawn(), patience_s)
        return self

    def spawn(self) -> "subprocess.Popen[bytes]":
        """Start the process, and do not wait for it."""
        assert self._process is None, "started twice"
        self.data_dir.mkdir(parents=True, exist_ok=True)
        lines = {**self.settings, "dataDir": str(self.data_dir), "clientPort": str(self.port)}
        config = self.home / "zoo.cfg"
        config.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        (self.home / "log4j2.properties").write_text(LOG4J2)
        self._log = (self.home / "server.log").open("ab")
        self._began_bytes = self._log.tell()
        self._process = subprocess.Popen(
            self.flavour.command(config, self.properties),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONUNBUFFERED": "1"},
        )
        return self._process

    def stop(self) -> None:
        """End the process with SIGTERM, after STOP_SECONDS with SIGKILL. Harmless when it is not running."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._forget()

    def kill(self) -> None:
        """End the process with SIGKILL, as a crash would."""
        if self._process is not None:
            self.was_killed = True
            self._process.kill()
            self._process.wait()
            self._forget()

    def signal(self, number: int) -> None:
        """Send the process a signal."""
        assert self._process is not None, "not running"
        self._process.send_signal(number)

    def freeze(self) -> None:
        """Stop the process where it is, by SIGSTOP, until `signal` lets it go on; returns when no thread of it runs."""
        assert self._process is not None, "not running"
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def newest_snapshot_bytes(self) -> int:
        """The size of the newest snapshot, 0 if there is none."""
        found = (self.data_dir / "version-2").glob("snapshot.*")
        newest = max(found, key=lambda path: int(path.name.split(".")[1], 16), default=None)
        return 0 if newest is None else newest.stat().st_size

    def word(self, command: str) -> str:
        """The answer to a four-letter word; ServerFailedError if the port does not answer.

        It is asked again where somebody listens: Apache's server never answers who asks while it loads its database,
        nor hangs up, and servers of both kinds hang up on everybody while they leave their role.
        """
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                return four_letter_word(self.address, command.encode()).decode(errors="replace")
            except OSError as error:
                if isinstance(error, ConnectionRefusedError) or time.monotonic() > deadline:
                    why = f"{self.flavour.name} did not answer {command}: {error}\n{self._tail()}"
                    raise ServerFailedError(why) from error

    def _wait_until_serving(self, process: subprocess.Popen[bytes], patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while not self._is_serving() or process.poll() is not None:  # another server may answer on the port
            if time.monotonic() > deadline:
                self.stop()
                raise ServerFailedError(f"{self.flavour.name} does not serve after {patience_s} s\n{self._tail()}")
            try:
                code = process.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            self._forget()
            raise ServerFailedError(f"{self.flavour.name} ended with exit code {code}\n{self._tail()}")

    def _is_serving(self) -> bool:
        try:
            return b"Mode: " in four_letter_word(self.address, b"srvr", PROBE_SECONDS)
        except OSError:
            return False

    def _tail(self) -> str:
        return "\n".join(self.log.splitlines()[-30:])

    def _forget(self) -> None:
        self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None


def apache(version: str, search_path: str | None = None) -> Flavour:
    """Apache ZooKeeper "3.9.3" or "3.8"; OracleMissingError if it cannot be run here.

    Java is looked for in the directories of `search_path`, those of PATH if it is None.
    """
    java = _java(search_path)
    class_path = _class_path(version)

    def command(config: Path, properties: Mapping[str, str]) -> list[str]:
        options = [f"-D{key}={value}" for key, value in properties.items()]
        logging = f"-Dlog4j2.configurationFile={config.parent / 'log4j2.properties'}"
        return [java, *QUICK_JAVA, logging, *options, "-cp", class_path, MAIN_CLASS, str(config)]

    return Flavour(f"apache-{version}", command)


def java_command(version: str, *words: str) -> list[str]:
    """The command line that runs a class of Apache ZooKeeper "3.9.3" or "3.8"; OracleMissingError as of `apache`."""
    return [_java(None), *QUICK_JAVA, "-cp", _class_path(version), *words]


def zoopark() -> Flavour:
    """This project's own server, run from the source tree."""

    def command(config: Path, properties: Mapping[str, str]) -> list[str]:
        options = [word for key, value in properties.items() for word in ("-D", f"{key}={value}")]
        return [sys.executable, "-m", "zoopark", "serve", str(config), *options]

    return Flavour("zoopark", command)


def flavour(name: str) -> Flavour:
    """The flavour called "zoopark", "3.9.3" or "3.8"."""
    return zoopark() if name == "zoopark" else apache(name)


def is_required() -> bool:
    """Whether a missing referee is a failure (continuous integration) rather than a reason to skip."""
    return os.environ.get("ZOOPARK_REQUIRE_ORACLE") == "1"


def cache_directory() -> Path:
    """Where the jars of 3.9.3 are kept."""
    given = os.environ.get("ZOOPARK_ORACLE_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "zookeeper-3.9.3"


def fetch_jars() -> Path:
    """Put the jars of ZooKeeper 3.9.3 into the cache directory, once, also when several processes ask at a time."""
    target = cache_directory()
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not any(target.glob("zookeeper-3*.jar")):
            with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
                _unpack(_download(Path(scratch)), target)
    return target


def _own_ports() -> Iterator[int]:
    """The ports of this process, in any order: tests that run beside it, below pytest-xdist, have others."""
    n_workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    at = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    size = len(SERVER_PORTS) // n_workers
    return itertools.cycle(secrets.SystemRandom().sample(SERVER_PORTS[at * size : (at + 1) * size], size))


_PORTS: Final = _own_ports()


def free_port() -> int:
    """A TCP port that nothing listens on at the moment, and that nobody else is given before it is listened on.

    It is not one that systems give to outgoing connections: a client that dials such a port of a server that is down
    may get it for itself, and then the server cannot have it back.
    """
    while True:
        port = next(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", port))
            return port


def four_letter_word(address: tuple[str, int], word: bytes, patience_s: float = ASK_SECONDS) -> bytes:
    """Send raw bytes on a new connection and read until the server closes it. Raises OSError."""
    with socket.create_connection(address, patience_s) as link:
        link.sendall(word)
        return b"".join(iter(lambda: link.recv(65536), b""))


def _java(search_path: str | None) -> str:
    java = shutil.which("java", path=search_path)
    if java is None:
        raise OracleMissingError(
            "there is no java on the PATH; on Debian: apt-get install default-jre-headless zookeeper"
        )
    return java


def _class_path(version: str) -> str:
    if version == "3.8":
        if not APACHE_38_JAR.exists():
            raise OracleMissingError(
                f"there is no {APACHE_38_JAR}; on Debian: apt-get install zookeeper libzookeeper-java"
            )
        return f"{APACHE_38_JAR}:{SIMPLE_LOGGER_JAR}"
    assert version == "3.9.3", version
    cache = fetch_jars() if is_required() else cache_directory()
    if not any(cache.glob("zookeeper-3*.jar")):
        raise OracleMissingError(f"there are no jars in {cache}; `python -m tests.compat.oracle` fetches them")
    return f"{cache}/*"


def _download(scratch: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(scratch), CARRIER]
    if subprocess.run(pip, check=False).returncode != 0:
        raise OracleMissingError(f"{CARRIER}, which carries the jars of ZooKeeper 3.9.3, could not be fetched with pip")
    return next(scratch.glob("pyspark-*.tar.gz"))


def _unpack(package: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch, tarfile.open(package) as archive:
        for member in archive:
            name = Path(member.name).name
            source = archive.extractfile(member) if "/deps/jars/" in member.name else None
            if source is not None and name.startswith(JAR_PREFIXES):
                (Path(scratch) / name).write_bytes(source.read())
        shutil.copytree(scratch, target, dirs_exist_ok=True)


if __name__ == "__main__":
    sys.stdout.write(f"{fetch_jars()}\n")
