"""`zoopark ensemble`: a whole ensemble on this machine, for trying things out and for tests of what uses one.

    settled ──> started ──> every server has its role ──> watched ─────────> asked to stop ──> killed, if they do not
    exit 2                  exit 1: one ended             exit 1: all ended   exit 0: Ctrl-C, SIGTERM, SIGHUP

The servers are ordinary processes of `zoopark serve`: whatever can be done to those can be done to these. Must decide
nothing about a server; what is shown is what the servers say.
"""

import os
import select
import shlex
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

import click

if TYPE_CHECKING:
    from zoopark.host.fleet import Fleet
    from zoopark.host.homes import Home
    from zoopark.host.screen import Screen

EXIT_STOPPED: Final = 0
EXIT_UNEXPECTED: Final = 1
EXIT_BAD_ARGUMENTS: Final = 2
MOST: Final = 20
"""Servers of one kind; more are a mistake on one machine."""
LOOK_S: Final = 0.1
STOP_S: Final = 15.0
"""How long servers may take to stop: each gives its disk and its clients five seconds."""


@click.command()
@click.option("-n", "n_voters", type=click.IntRange(1, MOST), help="How many servers vote. [default: 3]")
@click.option("--observers", "n_observers", type=click.IntRange(0, MOST), help="How many more only learn. [default: 0]")
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep everything in this directory, and go on with what is there.",
)
def ensemble(n_voters: int | None, n_observers: int | None, directory: Path | None) -> None:
    """Start a whole ensemble on this machine; Ctrl-C stops it.

    Writes for each server the zoo.cfg and the myid that a person would write, runs `zoopark serve` with it, and shows
    who leads. Without --dir all of it is in a temporary directory, which goes when the ensemble stops.
    """
    bell = Bell()
    from zoopark.host.screen import Screen

    screen = Screen(sys.stdout, sys.stderr)
    with ExitStack() as stack:
        is_kept = directory is not None
        homes = _settle(directory or _temporary(stack), n_voters, n_observers, screen)
        _introduce(homes, is_kept, screen)
        sys.exit(_run(homes, screen, bell))


@final
class Bell:
    """Signals, as something to wait for. It takes over SIGINT, SIGTERM, SIGHUP and SIGCHLD of the process.

    Attributes:
        n_stops: how often this process was asked to stop.
    """

    def __init__(self) -> None:
        self.n_stops = 0
        self._ear, mouth = os.pipe()
        os.set_blocking(self._ear, False)
        os.set_blocking(mouth, False)
        signal.set_wakeup_fd(mouth, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # so that it wakes
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
                signal.signal(number, lambda *_: self._stop())

    def wait(self, seconds: float) -> None:
        """Until a signal comes, but no longer than this."""
        ready, _, _ = select.select([self._ear], [], [], seconds)
        if ready:
            os.read(self._ear, 4096)

    def _stop(self) -> None:
        self.n_stops += 1


def _temporary(stack: ExitStack) -> Path:
    from tempfile import TemporaryDirectory

    return Path(stack.enter_context(TemporaryDirectory(prefix="zoopark-", ignore_cleanup_errors=True)))


def _settle(directory: Path, n_voters: int | None, n_observers: int | None, screen: "Screen") -> list["Home"]:
    from zoopark.errors import ConfigError
    from zoopark.host.homes import settle
    from zoopark.host.storage import explain

    try:
        return settle(directory, n_voters, n_observers)
    except ConfigError as error:
        screen.refuse(str(error))
    except OSError as error:
        screen.refuse(f"cannot use the directory: {explain(error)}")
    sys.exit(EXIT_BAD_ARGUMENTS)


def _introduce(homes: list["Home"], is_kept: bool, screen: "Screen") -> None:
    from zoopark import __version__

    directory = homes[0].directory.parent
    until = "" if is_kept else ", which goes when they stop (--dir keeps it)"
    screen.say(f"zoopark {__version__}")
    screen.say(f"{_servers(len(homes))} in {directory}{until}")


def _run(homes: list["Home"], screen: "Screen", bell: Bell) -> int:
    """Returns the exit code; no server is left then."""
    from zoopark.host.fleet import Fleet
    from zoopark.host.storage import explain

    fleet = Fleet(homes, os.environ)
    try:
        fleet.start()
        code = _watch(homes, fleet, screen, bell)
        if fleet.roles:
            _stop(fleet, screen, bell)
        return code
    except OSError as error:
        screen.refuse(f"cannot go on: {explain(error)}")
        return EXIT_UNEXPECTED
    finally:
        fleet.kill()


def _watch(homes: list["Home"], fleet: "Fleet", screen: "Screen", bell: Bell) -> int:
    """Say what happens until it is time to stop; returns the exit code."""
    is_ready = False
    width = max(len(home.address) for home in homes)
    while not bell.n_stops:
        for news in fleet.look():
            screen.say(f"{news.time}  server {news.home.sid}  {news.home.address:{width}}  {news.what}")
            if news.has_ended and not is_ready:
                screen.refuse(f"server {news.home.sid} did not start, so none does")
                return EXIT_UNEXPECTED
            if news.has_ended:
                screen.say(f"    to start it again: zoopark serve {shlex.quote(str(news.home.zoo_cfg))}")
        if not fleet.roles:
            screen.refuse("no server is left")
            return EXIT_UNEXPECTED
        if not is_ready and all(fleet.roles.values()):
            is_ready = True
            screen.say(f"connect to {','.join(home.address for home in homes)}")
            screen.say(f"Ctrl-C stops {_all(len(homes))}")
        bell.wait(LOOK_S)
    return EXIT_STOPPED


def _stop(fleet: "Fleet", screen: "Screen", bell: Bell) -> None:
    """Ask them to stop and wait; whoever asks once more does not want to."""
    n_stops, until_s = bell.n_stops, time.monotonic() + STOP_S
    screen.say("stopping")
    fleet.terminate()
    while fleet.roles and bell.n_stops == n_stops and time.monotonic() < until_s:
        bell.wait(LOOK_S)
        fleet.look()
    for sid in fleet.roles:
        screen.say(f"server {sid} has not stopped, and is killed")


def _servers(count: int) -> str:
    return "one server" if count == 1 else f"{count} servers"


def _all(count: int) -> str:
    return "it" if count == 1 else "all of them"
