"""Carries out TakeSnapshot: a forked child writes the tree as it was at the fork, while the server goes on.

The child shares the parent's memory until one of them writes to it, runs at idle priority, and syncs every few MB so
that the log's own syncs stay short. It ends with the parent, so that a restarted server never meets it.

Of the parent's threads none lives in the child. It therefore takes nothing that one of them may hold at the fork: it
has a FileDisk of its own, imports nothing, logs nothing, and leaves by os._exit.
"""

import asyncio
import ctypes
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NoReturn, final

from zoopark.host.storage import FileDisk
from zoopark.log.snapfiles import SnapshotFile, SnapshotWriter
from zoopark.server.config import Config
from zoopark.server.recovery import snapshot_directory
from zoopark.tree.snapshot import write_snapshot
from zoopark.tree.tree import Tree

NICENESS: Final = 10
REPORT_BYTES: Final = 4096
_PR_SET_PDEATHSIG: Final = 1
_IS_LINUX: Final = sys.platform == "linux"
_LIBC: Final = ctypes.CDLL(None) if _IS_LINUX else None


@final
class Snapshotter:
    """Writes snapshots in the background, one at a time.

    Args:
        on_done: called in the loop with (problem, is_fatal): None when the snapshot is complete, else one line. A disk
            that fails is fatal; that the system had no room for the child is not, the log holds everything.

    Attributes:
        child: the id of the process that writes, 0 if there is none.
    """

    def __init__(self, config: Config, tree: Tree, on_done: Callable[[str | None, bool], None]) -> None:
        self.config = config
        self.tree = tree
        self.on_done = on_done
        self.child = 0
        self._reader = -1
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Fork the child that writes the tree as it is now; on_done follows, perhaps before this returns."""
        assert self.child == 0
        parent = os.getpid()
        try:
            reader, writer = os.pipe()
        except OSError as error:
            self.on_done(f"no snapshot was taken: {error.strerror}", False)
            return
        try:
            self.child = os.fork()
        except OSError as error:
            os.close(reader)
            os.close(writer)
            self.on_done(f"no snapshot was taken, no process can be started: {error.strerror}", False)
            return
        if self.child == 0:
            be_child(self._write, writer, parent)
        os.close(writer)
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(reader, self._on_said)

    def stop(self) -> None:
        """Give up a snapshot that is being written; the next start removes what it left."""
        if self.child:
            os.kill(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
            self._forget_child()

    def _write(self) -> None:
        _step_back()
        save(self.config, self.tree)

    def _on_said(self) -> None:
        said = os.read(self._reader, REPORT_BYTES).decode("utf-8", "replace")
        # The pipe is closed after the child's memory is given back, so this waits for nothing that takes long.
        _, status = os.waitpid(self.child, 0)
        self._forget_child()
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            self.on_done(None, False)
        elif code < 0:
            self.on_done(f"no snapshot was taken, the writing process was ended by signal {-code}", False)
        else:
            directory = snapshot_directory(self.config)
            self.on_done(f"cannot write a snapshot to {directory}: {said or f'exit code {code}'}", True)

    def _forget_child(self) -> None:
        self.child = 0
        if self._loop is not None:
            self._loop.remove_reader(self._reader)
        os.close(self._reader)
        self._reader = -1


def save(config: Config, tree: Tree) -> SnapshotFile:
    """Write a snapshot of the tree and return when it is durable.

    Errors: OSError from the disk; the space that was taken is then given back, if the disk can do that still.
    """
    writer = SnapshotWriter(FileDisk(), snapshot_directory(config), tree.last_zxid, config.snapshot_compression)
    try:
        for piece in write_snapshot(tree, config.has_digest, config.has_last_processed_zxid):
            writer.write(piece)
        return writer.finish()
    except OSError:
        with suppress(OSError):
            writer.abandon()
        raise


def be_child(act: Callable[[], None], pipe: int, parent: int) -> NoReturn:
    """What a child does that was forked for `act`; it never returns. What goes wrong is written into the pipe."""
    code = 1
    try:
        gc.disable()  # a collection would touch, and so copy, every page
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        os.closerange(3, pipe)
        os.closerange(pipe + 1, os.sysconf("SC_OPEN_MAX"))
        _end_with(parent)
        act()
        code = 0
    except OSError as error:
        os.write(pipe, (error.strerror or str(error)).encode())
    except BaseException:
        os.write(pipe, traceback.format_exc().encode()[-REPORT_BYTES:])
        raise
    finally:
        os._exit(code)


def _end_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends, where it can."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _step_back() -> None:
    """Take only the time that nobody else wants."""
    os.nice(NICENESS)
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
