"""The disk of one simulated host, and what works on it: the log, the epochs, the snapshots.

    log      one job at a time, in order: append, truncate, a snapshot that was received
    epochs   beside the log, not behind it: a member that needs an order has to wait for it

It must never be kinder than the real host: nothing is durable before its event; a job that a power loss interrupts has
happened, or not, or in part.
"""

import errno
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from zoopark.log.epochs import CURRENT_EPOCH, Epochs
from zoopark.log.logreader import truncate
from zoopark.log.snapfiles import SnapshotWriter, purge
from zoopark.record import Now
from zoopark.server import effects as served
from zoopark.server.recovery import Recovered, log_directory, recover, snapshot_directory
from zoopark.sim.disk import SimCrash, SimDisk
from zoopark.sim.world import DISK, EPOCH, MS, SNAPSHOT
from zoopark.tree.snapshot import write_snapshot
from zoopark.tree.tree import Tree
from zoopark.zxid import epoch_of

if TYPE_CHECKING:
    from zoopark.sim.machine import Machine

LOG_US: Final = 300
LOG_SPREAD_US: Final = 900
SLOW: Final = 400

Job: TypeAlias = tuple[str, Any]


@final
class Storage:
    """What a machine keeps.

    Args:
        machine: whose it is.

    Attributes:
        disk: what survives; `found` what was recovered from it last.
        epochs: of this life.
        slowness: how many times longer the disk takes.
    """

    __slots__ = (
        "_epoch_job",
        "_flight",
        "_jobs",
        "_machine",
        "_snapshot",
        "config",
        "disk",
        "epochs",
        "found",
        "random",
        "slowness",
        "world",
    )

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        self.config = machine.config
        self.world = machine.world
        self.random: Random = machine.random
        self.disk = SimDisk()
        self.slowness = 1
        self.found: Recovered
        self.epochs: Epochs
        self._jobs: list[Job] = []
        self._flight: Job | None = None
        self._epoch_job: tuple[str, int] | None = None
        self._snapshot: tuple[SnapshotWriter, Iterator[bytes]] | None = None

    def empty(self) -> None:
        """A new disk takes the place of this one."""
        self.disk = SimDisk()

    def forget(self) -> None:
        """A life has ended, and with it what was under way."""
        self._jobs = []
        self._flight = None
        self._epoch_job = None
        self._snapshot = None

    def recover(self) -> None:
        """Begin a life on what the disk kept. Errors: as `zoopark.server.recovery.recover`, OSError."""
        for directory in (snapshot_directory(self.config), log_directory(self.config)):
            self.disk.make_directory(directory)
        self._load()
        if self.found.snapshot is None:
            self._save_first()

    def leave(self, has_power: bool) -> None:
        """What was under way at the end: done, or not, or torn."""
        flight, epoch = self._flight, self._epoch_job
        chance = self.random.random()
        with suppress(SimCrash, OSError):
            if not has_power and chance < 0.7:
                self.disk.crash_at(1 + int(chance * 4))
            if flight is not None and flight[0] == "append" and chance < 0.85:
                self.found.log.append(flight[1])
            elif flight is not None and flight[0] in ("truncate", "receive") and chance < 0.85:
                self._machine.ledger.on_interrupted(self._machine.sid, flight[1][0])
                self.disk.crash_at(1 + int(chance * 8))
                if flight[0] == "truncate":
                    self._truncate_files(flight[1][0])
                else:
                    self._save_received(*flight[1])
            elif epoch is not None and chance < 0.95:
                self._write_epoch(*epoch)
        if not has_power:
            self.disk.crash(self.random)

    def log_job(self, kind: str, what: Any) -> None:
        """Have the log do something after everything it was told before."""
        self._jobs.append((kind, what))
        self._fly()

    def _fly(self) -> None:
        """Begin with the next job; appends that wait together are one write."""
        if self._flight is not None or not self._jobs:
            return
        kind, what = self._jobs.pop(0)
        while kind == "append" and self._jobs and self._jobs[0][0] == "append":
            what = [*what, *self._jobs.pop(0)[1]]
        self._flight = (kind, what)
        fingerprint = what[-1][0] if kind == "append" else 0
        self.world.after(self.disk_us(), self._on_flown, DISK, self._machine.sid, fingerprint, self._machine.life)

    def disk_us(self) -> int:
        """How long the disk takes."""
        return (LOG_US + int(self.random.random() * LOG_SPREAD_US)) * self.slowness

    def _on_flown(self, who: int, what: int, life: int) -> None:
        if life != self._machine.life or self._flight is None:
            return
        kind, content = self._flight
        try:
            answer = self._do(kind, content)
        except SimCrash:
            self._machine.crash(has_power=False)
            self._machine.restart_later(100 * MS)
            return
        except OSError as error:
            self._flight = None  # what is on the disk is unknown: it is not tried again
            self._stop_on(error)
            return
        self._flight = None
        self._machine.give(*answer)
        self._fly()

    def _do(self, kind: str, content: Any) -> tuple[Any, ...]:
        """Carry a job out; returns the input that tells of it."""
        log = self.found.log
        if kind == "append":
            log.append(content)
            zxid = content[-1][0]
            self._machine.ledger.on_logged(self._machine.sid, zxid)
            return self._on_logged, zxid
        if kind == "roll":
            log.roll()
            log.mark()
            return (lambda now: None,)
        zxid = content[0]
        if kind == "truncate":
            self._truncate_files(zxid)
            self._reload()
            zxid = self.found.tree.last_zxid
            self._machine.ledger.on_truncated(self._machine.sid, zxid)
            return self._machine.member.on_truncated, zxid
        self._save_received(zxid, content[1])
        if self.random.random() < 0.5:
            self._reload()
        else:  # the member has the tree that was saved
            self._load()
            assert self.found.tree.digest == content[1].digest, "what was saved is something else"
        self._machine.ledger.on_snapshot(self._machine.sid, zxid)
        return self._machine.member.on_snapshot_saved, zxid

    def _on_logged(self, zxid: int, now: Now) -> None:
        self._machine.member.on_logged(zxid, now)
        self._machine.member.logged_bytes_since_snapshot = self.found.log.bytes_since_mark

    def _stop_on(self, error: OSError) -> None:
        """A disk that fails ends the process; somebody looks after it and starts it again."""
        self.world.mark(f"stopped on {errno.errorcode.get(error.errno or 0, '?')}")
        self._machine.crash()
        self._machine.restart_later(300 * MS)

    def _save_received(self, zxid: int, tree: Tree) -> None:
        config = self.config
        writer = SnapshotWriter(self.disk, snapshot_directory(config), zxid, config.snapshot_compression)
        for piece in write_snapshot(tree, config.has_digest, config.has_last_processed_zxid):
            writer.write(piece)
        written = writer.finish()
        # Nothing from before connects to it: an older snapshot with a log that begins behind the new one has a hole.
        for path, _ in self.disk.files(log_directory(config), "log."):
            self.disk.remove(path)
        for path, _ in self.disk.files(snapshot_directory(config), "snapshot."):
            if path != written.path:
                self.disk.remove(path)

    def _truncate_files(self, zxid: int) -> None:
        """First the snapshots that must not be loaded again (ZOOKEEPER-4837), then the end of the log."""
        for path, _ in self.disk.files(snapshot_directory(self.config), "snapshot."):
            if int(path.rpartition("/")[2].split(".")[1], 16) > zxid:
                self.disk.remove(path)
        truncate(self.disk, log_directory(self.config), zxid)

    def _reload(self) -> None:
        """Load the database anew; the member goes on with the new tree."""
        self._load()
        self._machine.member.on_reloaded(self.found.tree)

    # Inside: epochs and snapshots.

    def save_epoch(self, name: str, epoch: int) -> None:
        """Write an epoch beside whatever the log does."""
        assert self._epoch_job is None, "two epochs at a time"
        self._epoch_job = (name, epoch)
        self.world.after(self.disk_us(), self._on_epoch, EPOCH, self._machine.sid, epoch, self._machine.life)

    def _on_epoch(self, who: int, what: int, life: int) -> None:
        if life != self._machine.life or self._epoch_job is None:
            return
        try:
            self._write_epoch(*self._epoch_job)
        except OSError as error:
            self._stop_on(error)
            return
        self._epoch_job = None
        self._machine.give(self._machine.member.on_epoch_saved)

    def _write_epoch(self, name: str, epoch: int) -> None:
        is_current = name == CURRENT_EPOCH
        if is_current:
            self.epochs.save_current(epoch)
        else:
            self.epochs.save_accepted(epoch)
        self._machine.ledger.on_epoch(self._machine.sid, is_current, epoch)

    def snapshot_pieces(self) -> list[bytes]:
        """The tree as it is now."""
        tree, config = self._machine.member.tree, self.config
        return list(write_snapshot(tree, config.has_digest, config.has_last_processed_zxid))

    def take_snapshot(self, effect: served.TakeSnapshot) -> None:
        config = self.config
        writer = SnapshotWriter(self.disk, snapshot_directory(config), effect.zxid, config.snapshot_compression)
        self._snapshot = (writer, iter(self.snapshot_pieces()))
        self.log_job("roll", None)
        self._write_later()

    def _write_later(self) -> None:
        self.world.after(self.disk_us(), self._on_piece, SNAPSHOT, self._machine.sid, 0, self._machine.life)

    def _on_piece(self, who: int, what: int, life: int) -> None:
        if life != self._machine.life or self._snapshot is None:
            return
        writer, pieces = self._snapshot
        try:
            piece = next(pieces, None)
            if piece is not None:
                writer.write(piece)
                self._write_later()
                return
            writer.finish()
        except OSError as error:
            self._stop_on(error)
            return
        self._snapshot = None
        self.world.mark("snapshot taken")
        self._machine.give(self._on_snapshot)

    def _on_snapshot(self, now: Now) -> None:
        self._machine.member.on_snapshot()

    def purge(self, effect: served.Purge) -> None:
        try:
            purge(self.disk, snapshot_directory(self.config), log_directory(self.config), effect.keep)
        except OSError as error:
            self._stop_on(error)

    def _load(self) -> None:
        """Recover the database and the epochs."""
        self.found = recover(self.config, self.disk, _silently)
        self.epochs = Epochs(self.disk, snapshot_directory(self.config))
        self.epochs.load(self.found.tree.last_zxid)
        if self.epochs.current < epoch_of(self.found.tree.last_zxid):
            self.world.mark("recovered ahead of its epoch")

    def _save_first(self) -> None:
        config, tree = self.config, self.found.tree
        writer = SnapshotWriter(self.disk, snapshot_directory(config), tree.last_zxid, config.snapshot_compression)
        for piece in write_snapshot(tree, config.has_digest, config.has_last_processed_zxid):
            writer.write(piece)
        writer.finish()


def _silently(what: str, done: int, size: int) -> None:
    del what, done, size
