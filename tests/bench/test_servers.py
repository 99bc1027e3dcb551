"""Servers end with who started them."""

import subprocess
import sys
from pathlib import Path

from bench.processes import family
from tests.cli.started import ENVIRONMENT, is_there
from tests.compat.members import until
from tests.compat.oracle import free_port

WAIT_S = 60.0
PROGRAM = """
import sys
from pathlib import Path
from bench import servers
servers.exit_on_sigterm()
lines = {f"server.{sid}": line for sid, line in enumerate(sys.argv[2:], 1)}
server = servers.Running(servers.zoopark(), Path(sys.argv[1]), {"initLimit": "10", "syncLimit": "5", **lines})
server.data.mkdir()
(server.data / "myid").write_text("1")
server.start()
"""


def test_sigterm_leaves_no_server(tmp_path: Path) -> None:
    """Not even one that does not serve yet: its others are not there."""
    lines = [f"127.0.0.1:{free_port()}:{free_port()}" for _ in range(3)]
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path), *lines], env=ENVIRONMENT) as starter:
        try:
            until(lambda: _said(tmp_path / "output"), lambda said: "looking for a leader" in said)
            _, pid = family(starter.pid)
            starter.terminate()
            assert starter.wait(WAIT_S) == 128 + 15
            assert not is_there(pid)
        finally:
            starter.kill()


def _said(output: Path) -> str:
    return output.read_text() if output.exists() else ""
