"""What is shown at the start, on a terminal and on a pipe."""

import io
import os
import pty
import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from zoopark.host.screen import Screen

PATIENCE_S = 10.0


@contextmanager
def terminal() -> Iterator[tuple[TextIO, int]]:
    """A text file that is a terminal, and the descriptor on which its content comes out."""
    outside, inside = pty.openpty()
    with os.fdopen(inside, "w") as file:
        yield file, outside
    os.close(outside)


def seen(outside: int, last: str) -> str:
    """What comes out of the terminal up to and with `last`: the kernel hands it over in pieces of its own choice."""
    shown = b""
    while last.encode() not in shown:
        assert select.select([outside], [], [], PATIENCE_S)[0], f"only {shown!r} came"
        shown += os.read(outside, 65536)
    return shown.decode(errors="replace")


class Clock:
    """Seconds that the test turns."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_a_long_recovery_has_a_bar_on_a_terminal() -> None:
    """Silence for a minute looks like a hang; the bar is gone when it is over."""
    clock = Clock()
    with terminal() as (file, outside):
        screen = Screen(file, io.StringIO(), clock)
        clock.seconds += 1.5
        screen.progress("snapshot", 30, 100)
        shown = seen(outside, "30%")
        screen.end_progress()
        seen(outside, "\x1b[1A\x1b[2K")
    assert "reading the snapshot" in shown


def test_a_size_that_is_not_known_is_no_obstacle() -> None:
    """How many transactions the log holds is known only at its end."""
    clock = Clock()
    with terminal() as (file, outside):
        screen = Screen(file, io.StringIO(), clock)
        clock.seconds += 2
        screen.progress("log", 1000, 0)
        shown = seen(outside, "1,000 transactions")
        screen.end_progress()
    assert "reading the log" in shown


def test_a_short_recovery_shows_no_bar() -> None:
    """Flicker informs nobody."""
    clock = Clock()
    with terminal() as (file, outside):
        screen = Screen(file, io.StringIO(), clock)
        clock.seconds += 0.9
        screen.progress("snapshot", 99, 100)
        screen.say("done")
        shown = seen(outside, "done")
    assert shown.strip() == "done"


def test_a_pipe_never_sees_a_bar() -> None:
    """A log file holds lines, not escape sequences."""
    clock, out, err = Clock(), io.StringIO(), io.StringIO()
    screen = Screen(out, err, clock)
    clock.seconds += 60
    screen.progress("snapshot", 1, 2)
    screen.end_progress()
    screen.say("one line")
    screen.refuse("the reason")
    assert out.getvalue() == "one line\n"
    assert err.getvalue() == "zoopark: the reason\n"


def test_a_reader_that_went_away_is_not_missed() -> None:
    """The screen is for people; the server does not stop for want of one."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb", buffering=0) as raw:
        out = io.TextIOWrapper(raw, write_through=True)
        screen = Screen(out, io.StringIO())
        screen.say("nobody reads this")
        out.detach()
