"""The door of the command line, as a shell sees it."""

import subprocess
import sys

import pytest

from tests.cli.started import ENVIRONMENT
from zoopark import __version__

# Run a command in this process, then print what it imported, so that imports are seen after any lazy one.
IMPORTED = """
import sys
from zoopark.cli.main import main
sys.argv = ["zoopark", *sys.argv[1:]]
try:
    main()
finally:
    print("\\n".join(sys.modules), file=sys.stderr)
"""

NOT_FOR_HELP = ("uvloop", "rich", "asyncio", "zoopark.server", "zoopark.host", "zoopark.jute", "zoopark.tree")


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["serve", "--help"]])
def test_help_imports_no_server(arguments: list[str]) -> None:
    """Help is asked for by scripts and impatient people; the server's imports cost them a second each time."""
    ran = _run("-c", IMPORTED, *arguments)
    imported = ran.stderr.splitlines()
    assert ran.returncode == 0
    assert "click" in imported
    assert [name for name in imported if name.startswith(NOT_FOR_HELP)] == []


def test_the_version_is_the_packages() -> None:
    """A bug report names it."""
    ran = _run("-m", "zoopark", "--version")
    assert (ran.returncode, ran.stdout) == (0, f"zoopark {__version__}\n")


def test_help_names_the_commands() -> None:
    """What cannot be found is not there."""
    ran = _run("-m", "zoopark", "-h")
    assert ran.returncode == 0
    assert "serve" in ran.stdout


@pytest.mark.parametrize("arguments", [["srve"], ["--bogus"], ["serve", "a.cfg", "b.cfg"]])
def test_bad_arguments_exit_with_2(arguments: list[str]) -> None:
    """Supervisors tell a wrong call, which no restart heals, from a crash by the exit code."""
    ran = _run("-m", "zoopark", *arguments)
    assert ran.returncode == 2
    assert "Usage:" in ran.stderr


@pytest.mark.parametrize("flag", ["-O", "-OO"])
def test_an_interpreter_without_assertions_is_refused(flag: str) -> None:
    """A broken invariant must stop the server before it writes; without assertions it would not."""
    ran = _run(flag, "-m", "zoopark", "--version")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "zoopark does not run under python -O: its assertions are part of it\n"
