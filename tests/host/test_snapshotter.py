"""Snapshots by a forked child: what it writes, how it fails, and that it never outlives its parent."""

import asyncio
import os
import resource
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from zoopark.host.snapshotter import Snapshotter, save
from zoopark.host.storage import FileDisk
from zoopark.log.snapfiles import SnapshotReader, snapshots
from zoopark.server.config import Config, default_config
from zoopark.tree.owners import OwnerKinds
from zoopark.tree.snapshot import read_snapshot
from zoopark.tree.tree import Tree

Said = list[tuple[str | None, bool]]


class Endless(dict[int, int]):
    """Sessions that a snapshot is never done with."""

    def items(self) -> NoReturn:
        while True:
            os.sched_yield()


def new_config(home: Path, keys: dict[str, str] | None = None) -> Config:
    (home / "version-2").mkdir()
    return default_config(str(home), keys)


def new_tree() -> Tree:
    return Tree(OwnerKinds(True, False))


def read_back(config: Config) -> Tree:
    disk = FileDisk()
    (file,) = snapshots(disk, config.data_dir + "/version-2")
    reader, tree = SnapshotReader(disk, file), new_tree()
    read_snapshot(tree, iter(reader.next_chunk, b""))
    return tree


async def take(config: Config, tree: Tree, meanwhile: Callable[[Snapshotter], None] = lambda made: None) -> Said:
    """One snapshot; returns what was said when it was over."""
    over: asyncio.Future[tuple[str | None, bool]] = asyncio.get_running_loop().create_future()
    made = Snapshotter(config, tree, lambda problem, is_fatal: over.set_result((problem, is_fatal)))
    made.start()
    meanwhile(made)
    return [await asyncio.wait_for(over, 60)]


@pytest.mark.parametrize("method", ["", "gz"])
def test_a_snapshot_holds_the_tree_of_the_moment_it_began(tmp_path: Path, method: str) -> None:
    """The server goes on changing its tree; the child has the one of the fork."""
    config, tree = new_config(tmp_path, {"snapshot.compression.method": method} if method else None), new_tree()
    tree.sessions[7] = 4000

    def change(made: Snapshotter) -> None:
        tree.sessions[8] = 5000

    assert asyncio.run(take(config, tree, change)) == [(None, False)]
    assert read_back(config).sessions == {7: 4000}


def test_threads_of_the_parent_do_not_matter(tmp_path: Path) -> None:
    """The log is written by a thread, which may hold any lock at the fork."""
    config, tree = new_config(tmp_path), new_tree()
    is_over = threading.Event()

    def be_busy() -> None:
        while not is_over.is_set():
            sys.stdout.isatty()
            FileDisk().list(str(tmp_path))

    threads = [threading.Thread(target=be_busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(8):
            assert asyncio.run(take(config, tree)) == [(None, False)]
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert read_back(config).digest == tree.digest


def test_a_disk_that_fails_is_told_and_fatal(tmp_path: Path) -> None:
    """One line that says where and why; what was written is removed."""
    config, tree = new_config(tmp_path), new_tree()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        said = asyncio.run(take(config, tree))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert said == [(f"cannot write a snapshot to {tmp_path}/version-2: File too large", True)]
    assert list((tmp_path / "version-2").iterdir()) == []


def test_a_child_that_is_killed_is_no_failing_disk(tmp_path: Path) -> None:
    """When memory is short the system kills the child; the log holds everything, so the server goes on."""
    config, tree = new_config(tmp_path), new_tree()
    tree.sessions = Endless()
    said = asyncio.run(take(config, tree, lambda made: os.kill(made.child, signal.SIGKILL)))
    assert said == [("no snapshot was taken, the writing process was ended by signal 9", False)]


def test_no_room_for_a_child_is_no_failing_disk(tmp_path: Path) -> None:
    """So is a system that has no process or no file descriptor to give."""
    config, tree = new_config(tmp_path), new_tree()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def take_without_files() -> Said:
        said: Said = []
        made = Snapshotter(config, tree, lambda problem, is_fatal: said.append((problem, is_fatal)))
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            made.start()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert made.child == 0
        return said

    assert asyncio.run(take_without_files()) == [("no snapshot was taken: Too many open files", False)]


def test_a_bug_in_the_child_comes_with_its_traceback(tmp_path: Path) -> None:
    """The child has no log of its own."""
    config, tree = new_config(tmp_path), new_tree()
    tree.sessions[7] = 1 << 40  # does not fit its field
    ((problem, is_fatal),) = asyncio.run(take(config, tree))
    assert problem is not None and "Traceback" in problem and is_fatal


def test_stop_ends_the_child(tmp_path: Path) -> None:
    """A server that stops does not wait for a snapshot of a million nodes."""
    config, tree = new_config(tmp_path), new_tree()
    tree.sessions = Endless()

    async def start_and_stop() -> None:
        said: Said = []
        made = Snapshotter(config, tree, lambda problem, is_fatal: said.append((problem, is_fatal)))
        made.start()
        child = made.child
        made.stop()
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)
        await asyncio.sleep(0)
        assert (made.child, said) == (0, [])

    asyncio.run(start_and_stop())


ORPHAN = """
import asyncio, os, sys
from zoopark.host.snapshotter import Snapshotter
from zoopark.host import snapshotter
from tests.host.test_snapshotter import Endless
from zoopark.server.config import default_config
from zoopark.tree.owners import OwnerKinds
from zoopark.tree.tree import Tree

async def main():
    tree = Tree(OwnerKinds(True, False))
    tree.sessions = Endless()
    made = Snapshotter(default_config(sys.argv[1]), tree, print)
    made.start()
    print(made.child, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_a_killed_parent_takes_the_child_along(tmp_path: Path) -> None:
    """Otherwise it would write into a directory that the restarted server already has."""
    (tmp_path / "version-2").mkdir()
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    watched = os.pidfd_open(child)
    parent.kill()
    parent.wait(30)
    parent.stdout.close()
    ended, _, _ = select.select([watched], [], [], 30)
    os.close(watched)
    assert ended, "the child lives on"


def test_save_waits_until_it_is_durable(tmp_path: Path) -> None:
    """The first snapshot of a new database comes before the first client."""
    config, tree = new_config(tmp_path), new_tree()
    file = save(config, tree)
    assert (file.zxid, Path(file.path).name) == (0, "snapshot.0")
    assert read_back(config).digest == tree.digest
