"""A command-line client as a person drives it: type a line, wait for what the screen says."""

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final

ANSWER_SECONDS: Final = 100


class Shell:
    """A client process in a process group of its own, its output and its errors on one screen.

    Args:
        command: what to run.
        env: variables on top of this process's.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self._command = list(command)
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._seen = 0
        self.screen = ""

    def __enter__(self) -> "Shell":
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._env,
            start_new_session=True,
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        process = self._running()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        with process:
            process.wait()

    def type(self, line: str) -> None:
        """Type a line and the return key."""
        pipe = self._running().stdin
        assert pipe is not None
        pipe.write(line.encode() + b"\n")
        pipe.flush()

    def wait_for(self, *patterns: str) -> None:
        """Wait until all patterns show, in this order, behind what was waited for before; AssertionError if not."""
        deadline = time.monotonic() + ANSWER_SECONDS
        for pattern in patterns:
            while not (match := re.compile(pattern, re.MULTILINE).search(self.screen, self._seen)):
                new = self._read(deadline)
                assert new, f"/{pattern}/ did not show on the screen behind …\n{self.screen[self._seen :]}"
                self.screen += new
            self._seen = match.end()

    def wait_for_end(self) -> int:
        """The exit code of the process once it has ended; AssertionError if it does not."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while new := self._read(deadline):
            self.screen += new
        return self._running().wait(max(0.1, deadline - time.monotonic()))

    def kill(self) -> None:
        """End the process without a chance to say goodbye."""
        os.killpg(self._running().pid, signal.SIGKILL)

    def _read(self, deadline: float) -> str:
        """What appears next; nothing when the process has ended or the time is over."""
        pipe = self._running().stdout
        assert pipe is not None
        ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
        return os.read(pipe.fileno(), 65536).decode(errors="replace") if ready else ""

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "used outside of its with statement"
        return self._process
