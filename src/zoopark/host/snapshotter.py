"""Carries out TakeSnapshot: a forked child writes the tree as it was at the fork, while the server goes on.

The child shares the parent's memory until one of them writes to it, runs at idle priority, and syncs every few MB so
that the log's own syncs stay short. It ends with the parent, so that a restarted server never meets it.
"""

import asyncio
import ctypes
import os
import signal
from collections.abc import Callable
from typing import Final, final

from zoopark.host.storage import FileDisk
from zoopark.log.snapfiles import SnapshotFile, SnapshotWriter
from zoopark.server.config import Config
from zoopark.server.recovery import snapshot_directory
from zoopark.tree.snapshot import write_snapshot
from zoopark.tree.tree import Tree

NICENESS: Final = 10
_PR_SET_PDEATHSIG: Final = 1


@final
class Snapshotter:
    """Writes snapshots in the background, one at a time.

    Args:
        on_done: called in the loop with None, or with one line that says what went wrong.
    """

    def __init__(self, config: Config, tree: Tree, on_done: Callable[[str | None], None]) -> None:
        self.config = config
        self.tree = tree
        self.on_done = on_done
        self.child = 0

    def start(self) -> None:
        """Fork the child that writes the tree as it is now."""
        assert self.child == 0
        reader, writer = os.pipe()
        parent = os.getpid()
        self.child = os.fork()
        if self.child == 0:
            _be_child(self.config, self.tree, writer, parent)
        os.close(writer)
        asyncio.get_running_loop().add_reader(reader, self._on_said, reader)

    def stop(self) -> None:
        """Give up a snapshot that is being written; the next start removes what it left."""
        if self.child:
            os.kill(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
            self.child = 0

    def _on_said(self, reader: int) -> None:
        said = os.read(reader, 65536)
        asyncio.get_running_loop().remove_reader(reader)
        os.close(reader)
        _, status = os.waitpid(self.child, 0)
        self.child = 0
        if status == 0:
            self.on_done(None)
        else:
            why = said.decode("utf-8", "replace") or f"the writing process ended with status {status}"
            self.on_done(f"cannot write a snapshot: {why}")


def save(config: Config, tree: Tree) -> SnapshotFile:
    """Write a snapshot of the tree and return when it is durable. Errors: OSError from the disk."""
    writer = SnapshotWriter(FileDisk(), snapshot_directory(config), tree.last_zxid, config.snapshot_compression)
    for piece in write_snapshot(tree, config.has_digest, config.has_last_processed_zxid):
        writer.write(piece)
    return writer.finish()


def _be_child(config: Config, tree: Tree, pipe: int, parent: int) -> None:
    """What the child does; it never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        os.closerange(3, pipe)
        os.closerange(pipe + 1, 1 << 20)
        _end_with(parent)
        os.nice(NICENESS)
        if hasattr(os, "SCHED_IDLE"):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        save(config, tree)
        code = 0
    except OSError as error:
        os.write(pipe, str(error).encode())
    finally:
        os._exit(code)


def _end_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
