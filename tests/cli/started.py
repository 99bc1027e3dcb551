"""zoopark's commands as processes, and `zoopark ensemble` above all: what it shows, and the servers that it starts."""

import codecs
import os
import re
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import zoopark
from zoopark.host.fleet import stop_with

SOURCES = Path(zoopark.__file__).parents[1]
WAIT_S = 60.0
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCES)}


def zoopark_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "zoopark", *arguments]


def run(*arguments: str, home: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """A command with these arguments, in this directory, until it ends, which it must."""
    command = zoopark_command(*arguments)
    return subprocess.run(
        command, cwd=home, env=ENVIRONMENT, capture_output=True, text=True, timeout=WAIT_S, check=False
    )


class Output:
    """What a process writes, as it comes. Who goes on writing may take as long as it likes."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        self.process = process
        self.text = ""
        self._file = process.stdout
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._seen = 0

    def wait_for(self, pattern: str) -> "re.Match[str]":
        """The next match behind the last one. AssertionError when the output ends without it."""
        while (match := re.compile(pattern, re.MULTILINE).search(self.text, self._seen)) is None:
            assert self._read(), f"{pattern!r} did not come: {self.text}"
        self._seen = match.end()
        return match

    def wait_for_all(self, *patterns: str) -> "list[re.Match[str]]":
        """The next match of each behind the last one, in whatever order they come."""
        seen, found = self._seen, []
        for pattern in patterns:
            self._seen = seen
            found.append(self.wait_for(pattern))
        self._seen = max(match.end() for match in found)
        return found

    def end(self) -> int:
        """Wait for the end of the output and of the process; returns the exit code."""
        while self._read():
            continue
        self._file.close()
        return self.process.wait(WAIT_S)

    def _read(self) -> bool:
        """Whether there is more, which must show within WAIT_S."""
        ready, _, _ = select.select([self._file], [], [], WAIT_S)
        assert ready, f"nothing comes any more: {self.text}"
        piece = os.read(self._file.fileno(), 65536)
        self.text += self._decode(piece)
        return bool(piece)

    def close(self) -> None:
        self._file.close()


class Started:
    """One `zoopark ensemble` in a process group of its own. `end` must follow."""

    def __init__(self, *arguments: str, environment: dict[str, str]) -> None:
        parent = os.getpid()
        self.process = subprocess.Popen(
            zoopark_command("ensemble", *arguments),
            env={**ENVIRONMENT, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
            preexec_fn=lambda: stop_with(parent),
        )
        self.output = Output(self.process)
        self.servers: dict[int, int] = {}

    def wait_ready(self) -> str:
        """Returns the connect string."""
        found = self.output.wait_for(r"^connect to (\S+)\n")
        self.output.wait_for("^Ctrl-C .*\n")
        self.servers = servers_of(self.process.pid)
        return found[1]

    @property
    def directory(self) -> Path:
        """Where its files are."""
        return Path(self.output.wait_for(r"^\w+ servers? in ([^,\n]+)")[1])

    def stop(self, number: int, to_group: bool = False) -> int:
        """A signal, to the process alone or to all of its group; returns the exit code."""
        (os.killpg if to_group else os.kill)(self.process.pid, number)
        return self.output.end()

    def end(self) -> None:
        """Leave nothing behind, whatever the test came to."""
        self.process.kill()
        self.process.wait()
        self.output.close()
        for pid in self.servers.values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def servers_of(parent: int) -> dict[int, int]:
    """The pids by sid of the servers that a process has started."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    command_lines = {int(pid): Path(f"/proc/{pid}/cmdline").read_text().split("\0") for pid in children}
    return {int(Path(words[-2]).parent.name): pid for pid, words in command_lines.items() if "serve" in words}


def is_there(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for_end(pid: int) -> None:
    """Of a process that is nobody's child here."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    with os.fdopen(watched, closefd=True):
        ready, _, _ = select.select([watched], [], [], WAIT_S)
    assert ready, f"process {pid} goes on"
