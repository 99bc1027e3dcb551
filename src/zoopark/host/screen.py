"""The screen of a start: what a person sees before the first client comes. The only place of the server that prints.

    zoopark 0.1.0
    data in /srv/zk/version-2, log in /fast/zk/version-2
    recovered snapshot.5c and 37 logged transactions: 1,204 znodes, up to zxid 0x81, in 0.02 s
    listening on 127.0.0.1:2181

On a terminal a bar shows how far a recovery is that takes longer than a second. It must never be what stops a server:
a reader that went away is not missed.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO, final

from zoopark import __version__
from zoopark.server.config import Config
from zoopark.server.recovery import Recovered, log_directory, snapshot_directory

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE_S: Final = 1.0
REFRESH_S: Final = 0.1


@final
class Screen:
    """Lines, and a bar between them.

    Args:
        out: where the lines go.
        err: where the reason of a stop goes.
        clock: seconds that never go back.
    """

    def __init__(self, out: TextIO, err: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._err = err
        self._clock = clock
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._since_s = clock()
        self._refreshed_s = 0.0

    def say(self, line: str) -> None:
        """One line for the user."""
        _write_line(self._out, line)

    def refuse(self, line: str) -> None:
        """The one line that says why the server does not start, or stops."""
        self.end_progress()
        _write_line(self._err, f"zoopark: {line}")

    def progress(self, what: str, done: int, size: int) -> None:
        """So much of `size` is done; a size of 0 is not known. Shows nothing within the first second, or on a pipe."""
        now_s = self._clock()
        if now_s - self._since_s < PATIENCE_S or now_s - self._refreshed_s < REFRESH_S or not self._out.isatty():
            return
        self._refreshed_s = now_s
        if self._bar is None:
            self._bar = _new_bar(self._out)
        shown = f"{done * 100 // size}%" if size else f"{done:,} transactions"
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=size or None, completed=done, shown=shown)
        self._bar.update(self._tasks[what], completed=done, total=size or None, shown=shown)
        self._bar.refresh()

    def end_progress(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def show_places(self, config: Config) -> None:
        """Who this is and where its data lies."""
        self.say(f"zoopark {__version__}")
        data, log = Path(snapshot_directory(config)).absolute(), Path(log_directory(config)).absolute()
        self.say(f"data in {data}" + (f", log in {log}" if log != data else ""))

    def show_recovered(self, found: Recovered, seconds: float) -> None:
        """What the data directory held."""
        self.end_progress()
        for note in found.notes:
            self.say(f"note: {note}")
        n_nodes, zxid = len(found.tree.nodes), found.tree.last_zxid
        txns = f"{found.n_txns:,} logged transaction{'' if found.n_txns == 1 else 's'}"
        if found.snapshot is not None:
            name = found.snapshot.path.rpartition("/")[2]
            self.say(f"recovered {name} and {txns}: {n_nodes:,} znodes, up to zxid {zxid:#x}, in {seconds:.2f} s")
        elif found.n_txns:
            self.say(f"recovered {txns} without a snapshot: {n_nodes:,} znodes, up to zxid {zxid:#x}, {seconds:.2f} s")
        else:
            self.say("a new, empty database")


def _write_line(file: TextIO, line: str) -> None:
    try:
        file.write(line + "\n")
        file.flush()
    except (OSError, ValueError):
        return  # the pipe's reader is gone, or the file is closed


def _new_bar(out: TextIO) -> "Progress":
    """A bar without a thread of its own: the server forks."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("reading the {task.description}"),
        BarColumn(),
        TextColumn("{task.fields[shown]}"),
        TimeElapsedColumn(),
    )
    bar = Progress(*columns, console=Console(file=out), auto_refresh=False, transient=True)
    bar.start()
    return bar
