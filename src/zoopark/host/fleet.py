"""Servers that share a machine, each a process of its own: started, looked at, stopped.

What a server has become is read from its log, so that looking costs it nothing. It writes there by itself, not through
a pipe to here: whoever watches may be stopped or slow, and no server waits for it. None outlives this process, where
the system can promise that (Linux). Must never decide what to do about a server that ends: it is news, no more.
"""

import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, final

from zoopark.host.homes import Home
from zoopark.record import Record

LOOKING: Final = "looking for a leader"

_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None
_TAIL_BYTES: Final = 4096
_MEMBER_LINE: Final = re.compile(
    rf"\S+ (?P<time>[\d:,]+) INFO (?P<role>{LOOKING}|(?:leading|following|observing)(?: server \d+)? in epoch \d+)"
)
_LONE_LINE: Final = re.compile(r"(?P<time>)(?P<role>listening) on \S+")


@final
class News(Record):
    """Something that happened to one server.

    Args:
        time: of the day, to the millisecond: "13:04:59,017".
        what: "leading in epoch 3", "was killed by signal 9 (Killed)".
        has_ended: whether its process is gone.
    """

    __slots__ = ("has_ended", "home", "time", "what")

    def __init__(self, time: str, home: Home, what: str, has_ended: bool = False) -> None:
        self.time = time
        self.home = home
        self.what = what
        self.has_ended = has_ended


@final
class Fleet:
    """The servers of these homes. `kill` must follow, whatever happens.

    Args:
        homes: at least one.
        environment: the variables of their processes, but for ZOOPARK_MYID: each has an id of its own.

    Attributes:
        roles: by sid, for each server that runs, what it said last of its role; "" before it has had one.
    """

    def __init__(self, homes: Sequence[Home], environment: Mapping[str, str]) -> None:
        self.roles: dict[int, str] = {}
        self._environment = {name: value for name, value in environment.items() if name != "ZOOPARK_MYID"}
        self._homes = {home.sid: home for home in homes}
        self._line = _MEMBER_LINE if len(homes) > 1 else _LONE_LINE
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._read_bytes: dict[int, int] = {}

    def start(self) -> None:
        """Start all of them; each goes on at the end of its log. Raises OSError."""
        for sid, home in self._homes.items():
            with home.log.open("ab") as log:
                self._read_bytes[sid] = log.tell()
                self._running[sid] = _spawn(str(home.zoo_cfg), log.fileno(), self._environment)
            self.roles[sid] = ""

    def look(self) -> list[News]:
        """What happened since the last look, in order. Raises OSError for a log that cannot be read."""
        news = []
        for sid, process in list(self._running.items()):
            code = process.poll()  # before its log is read, which is then read to the end
            news += self._read_log(self._homes[sid])
            if code is not None:
                del self._running[sid], self.roles[sid]
                news.append(News(_time(), self._homes[sid], _last_words(self._homes[sid], code), has_ended=True))
        return sorted(news, key=lambda item: item.time)

    def terminate(self) -> None:
        """Ask all of them to stop, those that stand still too."""
        for process in self._running.values():
            process.terminate()
            process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End whatever still runs, and wait for it."""
        for process in self._running.values():
            process.kill()
        for process in self._running.values():
            process.wait()
        self._running.clear()
        self.roles.clear()

    def _read_log(self, home: Home) -> list[News]:
        """What the lines that are new say of this server's role; a line that is not whole is left for the next time."""
        with home.log.open("rb") as log:
            log.seek(self._read_bytes[home.sid])
            lines = log.read().splitlines(keepends=True)
        news = []
        for line in lines:
            if not line.endswith(b"\n"):
                break
            self._read_bytes[home.sid] += len(line)
            match = self._line.fullmatch(line.decode(errors="replace").strip())
            if match is not None and self._has_become(home.sid, match["role"]):
                news.append(News(match["time"] or _time(), home, match["role"]))
        return news

    def _has_become(self, sid: int, role: str) -> bool:
        """Note it; that a server which has just started looks for a leader is no news."""
        if role != LOOKING or self.roles[sid]:
            self.roles[sid] = role
            return True
        return False


def _spawn(zoo_cfg: str, log: int, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    """A server in a process group of its own: Ctrl-C reaches who started it, and who started it stops it."""
    parent = os.getpid()
    return subprocess.Popen(
        [sys.executable, "-m", "zoopark", "serve", zoo_cfg],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=environment,
        process_group=0,
        preexec_fn=lambda: stop_with(parent),
    )


def stop_with(parent: int) -> None:
    """Have the system ask this process to stop when its parent is gone, or is gone already; only Linux can.

    Args:
        parent: the pid of who has started it.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def _last_words(home: Home, code: int) -> str:
    if code == 0:
        return "has stopped"
    if code < 0:
        return f"was killed by signal {-code} ({signal.strsignal(-code)})"
    with home.log.open("rb") as log:
        log.seek(max(0, home.log.stat().st_size - _TAIL_BYTES))
        lines = log.read().decode(errors="replace").split("\n")
    return f"ended with exit code {code}: {next((line for line in reversed(lines) if line.strip()), '')}"


def _time() -> str:
    return datetime.now().strftime("%H:%M:%S,%f")[:-3]
