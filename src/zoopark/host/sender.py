"""Carries out SendSnapshot: a forked child writes the tree as it was at the fork, and the server passes the bytes on.

The bytes come through a pipe and leave on the learner's link no faster than the learner takes them; a pipe that nobody
reads holds the child, so that what waits in memory is bounded. The leader goes on meanwhile, and comes first, but not
by far: until the learner has its tree the ensemble is a member short, so the child must not starve on a busy machine.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from typing import Final, final

from zoopark.host.links import QuorumLink
from zoopark.host.snapshotter import be_child

PIECE_BYTES: Final = 1 << 18
NICENESS: Final = 5
"""On a busy core a quarter of it: at 10 the child had a tenth, and at 0 others waited half as long again."""


@final
class SnapshotSender:
    """Sends one snapshot.

    Args:
        link: the learner's link; SNAP has been written to it.
        stream: gives the bytes that follow SNAP; called in the child.
        on_over: called once with this object, when nothing is left to do.

    Attributes:
        child: the id of the process that writes, 0 if there is none.
    """

    def __init__(
        self, link: QuorumLink, stream: Callable[[], Iterator[bytes]], on_over: Callable[["SnapshotSender"], None]
    ) -> None:
        self.child = 0
        self._link = link
        self._stream = stream
        self._on_over = on_over
        self._loop = asyncio.get_running_loop()
        self._reader = -1
        self._writer = -1

    def start(self) -> None:
        """Fork; the link is broken if that cannot be."""
        self._link.begin_stream(self._may_go_on)
        parent = os.getpid()
        try:
            self._reader, self._writer = os.pipe()
            self.child = os.fork()
        except OSError as error:
            self._end(f"no process can be started for a snapshot: {error.strerror}")
            return
        if self.child == 0:
            be_child(self._write, self._writer, parent)
        os.close(self._writer)
        self._writer = -1
        if not self._link.is_choked:
            self._loop.add_reader(self._reader, self._on_piece)

    def stop(self) -> None:
        """Give up."""
        if self.child:
            os.kill(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
            self.child = 0
        self._end("the snapshot is given up")

    def _write(self) -> None:
        """In the child."""
        os.nice(NICENESS)
        for piece in self._stream():
            left = memoryview(piece)
            while left:
                left = left[os.write(self._writer, left) :]

    def _may_go_on(self, may: bool) -> None:
        if self._reader < 0:
            return
        if may:
            self._loop.add_reader(self._reader, self._on_piece)
        else:
            self._loop.remove_reader(self._reader)

    def _on_piece(self) -> None:
        if not self._link.is_open():
            self.stop()
            return
        piece = os.read(self._reader, PIECE_BYTES)
        if piece:
            self._link.write_stream(piece)
            return
        _, status = os.waitpid(self.child, 0)
        self.child = 0
        code = os.waitstatus_to_exitcode(status)
        self._end("" if code == 0 else f"the process that writes its snapshot ended with {code}")

    def _end(self, problem: str) -> None:
        for pipe in (self._reader, self._writer):
            if pipe >= 0:
                self._loop.remove_reader(pipe)
                os.close(pipe)
        self._reader = self._writer = -1
        self._link.end_stream(problem)
        self._on_over(self)
