"""What lies on a member's disk, read with the product's own readers while the member is down."""

from itertools import pairwise
from pathlib import Path
from typing import final

from zoopark.errors import StorageError
from zoopark.host.storage import FileDisk
from zoopark.log.epochs import ACCEPTED_EPOCH
from zoopark.log.logreader import read_from
from zoopark.log.snapfiles import snapshots
from zoopark.server.config import Config, default_config
from zoopark.server.recovery import log_directory, recover, snapshot_directory
from zoopark.server.rewriting import is_hole
from zoopark.sim.checkers import Violation
from zoopark.tree.tree import Tree
from zoopark.zxid import make_zxid


@final
class Shelf:
    """A member's data directory."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.config: Config = default_config(str(data))
        self.disk = FileDisk()

    def close(self) -> None:
        """Let go of its files."""
        self.disk.close()

    def logged(self) -> list[tuple[int, bytes]]:
        """Every (zxid, transaction) in its log. Errors: StorageError."""
        return list(read_from(self.disk, log_directory(self.config), 0))

    def history(self) -> list[tuple[int, bytes]]:
        """What is in its log without a hole, up to its end."""
        kept = [file.zxid for file in snapshots(self.disk, snapshot_directory(self.config))]
        logged = self.logged()
        holes = [at for at, (one, two) in enumerate(pairwise(logged), 1) if is_hole(one[0], two[0], kept)]
        return logged[holes[-1] :] if holes else logged

    def is_whole(self) -> bool:
        """Whether its log begins with the ensemble's: a member that was sent a snapshot has nothing from before."""
        return any(file.zxid == 0 for file in snapshots(self.disk, snapshot_directory(self.config)))

    def promised(self) -> int:
        """The last zxid that it may have acknowledged, or the first of the epoch that it has accepted."""
        directory = snapshot_directory(self.config)
        zxids = [file.zxid for file in snapshots(self.disk, directory)] + [zxid for zxid, _ in self.logged()]
        accepted = Path(directory, ACCEPTED_EPOCH)
        epoch = int(accepted.read_text()) if accepted.exists() else 0
        return max([make_zxid(epoch, 0), *zxids])

    def recover(self) -> Tree:
        """The tree that a start would find; every digest in the log is that of the tree. Raises Violation."""
        try:
            found = recover(self.config, self.disk, _silently)
        except StorageError as error:
            raise Violation(f"recovery: {error}") from error
        if found.replay.n_mismatches:
            raise Violation(f"digest: {found.replay.n_mismatches} transactions in {self.data} do not match the tree")
        return found.tree


def _silently(what: str, done: int, size: int) -> None:
    del what, done, size
