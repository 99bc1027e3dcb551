"""The README's tutorial, as its readers do it: its own files, commands and script, on ports that are free here."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.started import ENVIRONMENT, Output, zoopark_command
from tests.compat.oracle import free_port
from zoopark.host.fleet import stop_with

README = Path(__file__).parents[2] / "README.md"
PORT = r"(?<=:)[23]\d{3}\b"

Run = Callable[[list[str]], Output]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Starts commands in the reader's directory; none of them outlives the test."""
    made: list[Output] = []
    parent = os.getpid()

    def begin(command: list[str]) -> Output:
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**ENVIRONMENT, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: stop_with(parent),
        )
        made.append(Output(process))
        return made[-1]

    yield begin
    for output in made:
        output.process.kill()
        output.process.wait()
        output.close()


def _blocks() -> list[str]:
    """What stands in the frames of the section: files, starts, statuses, the script."""
    section = README.read_text(encoding="utf-8").partition("\n## An ensemble\n")[2].partition("\n## ")[0]
    found: list[str] = re.findall(r"^```\w+\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    ports = {port: str(free_port()) for port in sorted({*re.findall(PORT, "".join(found))})}
    return [re.sub(PORT, lambda match: ports[match[0]], block) for block in found]


def _commands(block: str) -> list[list[str]]:
    words = [shlex.split(line) for line in block.splitlines()]
    assert all(line[0] == "zoopark" for line in words)
    return [zoopark_command(*line[1:]) for line in words]


def _modes(run: Run, commands: list[list[str]]) -> list[str]:
    said = [run(command) for command in commands]
    return [output.wait_for(r"^Mode: (\w+)\n")[1] for output in said]


def test_the_count_goes_on_without_the_leader(run: Run) -> None:
    """The first thing that a reader tries must be as it is told."""
    files, starts, statuses, script = _blocks()
    assert run(["sh", "-c", files]).end() == 0
    servers = [run(command) for command in _commands(starts)]
    for server in servers:
        server.wait_for(r"(leading|following server \d) in epoch \d\n")
    modes = _modes(run, _commands(statuses))
    assert sorted(modes) == ["follower", "follower", "leader"]
    leader = modes.index("leader")

    counting = run([sys.executable, "-c", script])
    counting.wait_for("^2000\n")
    servers[leader].process.send_signal(signal.SIGKILL)
    counting.wait_for("^9000\n")
    counting.wait_for("^missing: none\n")
    assert counting.end() == 0

    again = run(_commands(starts)[leader])
    again.wait_for(r"following server \d in epoch \d\n")
    assert _modes(run, _commands(statuses))[leader] == "follower"
