"""From files to a tree: the newest snapshot that can be read, then every logged transaction after it.

What it must never do: start empty over data it cannot read, leave out a transaction that was acknowledged, or go on
over a hole. Damage that a crash cannot explain is refused with the file, the place and a way out.
Source: ZooKeeper administrator's guide, "Data File Management"; ZOOKEEPER-2325 and 3644 for missing snapshots.
"""

import re
import struct
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias, final

from zoopark.errors import CorruptLog, CorruptSnapshot, Malformed, StorageError
from zoopark.log.disk import Disk
from zoopark.log.epochs import Epochs
from zoopark.log.logreader import LogReader, repair, truncate
from zoopark.log.snapfiles import (
    SnapshotFile,
    SnapshotReader,
    candidates,
    check_placement,
    remove_unfinished,
    snapshots,
)
from zoopark.log.txnlog import TxnLog, log_files
from zoopark.server.config import Config
from zoopark.server.metrics import DIGEST_INTERVAL
from zoopark.tree.owners import OwnerKinds
from zoopark.tree.snapshot import read_snapshot
from zoopark.tree.tree import Tree

INITIALIZE: Final = "initialize"
TRUNCATE_PROPERTY: Final = "zoopark.truncateLog"

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told (what is read, how much is done, how much there is), in bytes or transactions; 0 where it is not known."""


@final
class Replay:
    """What replaying the log came to.

    Attributes:
        n_txns: transactions applied; `n_mismatches` of them carry a digest that is not the tree's.
        digests: (zxid, tree digest) at every DIGEST_INTERVAL-th zxid.
    """

    __slots__ = ("digests", "n_mismatches", "n_txns")

    def __init__(self) -> None:
        self.n_txns = 0
        self.n_mismatches = 0
        self.digests: list[tuple[int, int]] = []


@final
class Recovered:
    """What was found.

    Attributes:
        tree: the state after the last transaction.
        log: continues behind it.
        snapshot: the file it started from, None for a new database.
        n_txns: transactions replayed; `replay` tells more of them.
        notes: lines the user should see.
    """

    __slots__ = ("log", "n_txns", "notes", "replay", "snapshot", "tree")

    def __init__(
        self, tree: Tree, log: TxnLog, snapshot: SnapshotFile | None, replay: Replay, notes: list[str]
    ) -> None:
        self.tree = tree
        self.log = log
        self.snapshot = snapshot
        self.n_txns = replay.n_txns
        self.replay = replay
        self.notes = notes


def snapshot_directory(config: Config) -> str:
    """Where snapshots and epochs lie."""
    return config.data_dir.rstrip("/") + "/version-2"


def log_directory(config: Config) -> str:
    """Where the transaction log lies."""
    return config.data_log_dir.rstrip("/") + "/version-2"


def recover(config: Config, disk: Disk, progress: Progress) -> Recovered:
    """Load the database of the data directories of `config`, which must exist.

    Errors: StorageError, with one line for the user. OSError from the disk.
    Effects: cuts a tail that a crash tore, removes snapshots that were never finished, writes missing epoch files.
    """
    data_dir, log_dir = snapshot_directory(config), log_directory(config)
    check_placement(disk, data_dir, log_dir)
    notes = [f"removed {path}, a snapshot that was never finished" for path in remove_unfinished(disk, data_dir)]
    tree = Tree(OwnerKinds(config.has_extended_types, config.has_353_ttl_nodes))
    snapshot, digest = _load_snapshot(disk, data_dir, tree, progress, notes)
    if snapshot is None:
        _check_new(config, disk, data_dir, log_dir)
    first_zxid = snapshot.zxid + 1 if snapshot is not None else 1
    tree.last_zxid = first_zxid - 1
    _give_up(config, disk, log_dir, notes)
    reader = LogReader(disk, log_dir, first_zxid)
    replay = _replay(tree, reader, digest, progress)
    if replay.n_mismatches:
        differing = f"{replay.n_mismatches} of {replay.n_txns}"
        notes.append(f"the tree digest differs from the one logged in {differing} transactions")
    _check_gaps(log_dir, reader, first_zxid)
    if reader.torn is not None:
        notes.append(f"{reader.torn.path}: cut an unfinished write at byte {reader.torn.offset}")
    repair(disk, log_dir, reader)
    Epochs(disk, data_dir).load(tree.last_zxid)
    log = TxnLog(disk, log_dir, max(tree.last_zxid, 0), config.pre_alloc_size_kb * 1024, config.has_force_sync)
    return Recovered(tree, log, snapshot, replay, notes)


def _give_up(config: Config, disk: Disk, directory: str, notes: list[str]) -> None:
    """Cut a damaged log behind a zxid where the user asks for it; a log without that damage stays as it is."""
    text = config.properties.get(TRUNCATE_PROPERTY)
    if text is None:
        return
    if not re.fullmatch("(0x)?[0-9a-fA-F]{1,16}", text):
        raise StorageError(f"-D {TRUNCATE_PROPERTY}={text}: a zxid in hexadecimal digits is allowed")
    zxid = int(text, 16)
    reader = LogReader(disk, directory, 1)
    try:
        while reader.next_batch():
            pass
    except CorruptLog:
        if reader.last_zxid == zxid:
            truncate(disk, directory, zxid)
            notes.append(f"gave up all transactions in {directory} after zxid {zxid:#x}, as {TRUNCATE_PROPERTY} asks")
            return
    notes.append(f"{TRUNCATE_PROPERTY}={text} is ignored: the log is not damaged behind that zxid")


def _load_snapshot(
    disk: Disk, directory: str, tree: Tree, progress: Progress, notes: list[str]
) -> tuple[SnapshotFile | None, tuple[int, int]]:
    """Fill the tree from the newest snapshot that can be read; returns it and its digest section."""
    for file in candidates(disk, directory):
        try:
            return file, read_snapshot(tree, _chunks(SnapshotReader(disk, file), progress))
        except CorruptSnapshot as error:
            notes.append(f"{file.path}: {error}; trying an older snapshot")
    return None, (0, 0)


def _chunks(reader: SnapshotReader, progress: Progress) -> Iterator[bytes]:
    while chunk := reader.next_chunk():
        progress("snapshot", reader.bytes_read, reader.size_bytes)
        yield chunk


def _check_new(config: Config, disk: Disk, data_dir: str, log_dir: str) -> None:
    """Without a snapshot, only an empty directory is a new database, unless the user says otherwise."""
    damaged = snapshots(disk, data_dir)
    if damaged:
        raise StorageError(
            f"{damaged[0].path}: none of the {len(damaged)} snapshots can be read; restore the directory from a backup"
        )
    if log_files(disk, log_dir) and not config.may_trust_empty_snapshot:
        raise StorageError(
            f"{data_dir}: there are transaction logs but no snapshot; restore a snapshot, or, if the logs are complete "
            f"from the first transaction, start with snapshot.trust.empty=true"
        )
    if not config.may_create_db:
        marker_dir = config.data_log_dir.rstrip("/")
        if INITIALIZE not in disk.list(marker_dir):
            raise StorageError(
                f"{data_dir}: there is no database, and db.autocreate is false; if it is to be a new one, create the "
                f"empty file {marker_dir}/{INITIALIZE}"
            )
        disk.remove(f"{marker_dir}/{INITIALIZE}")


def _replay(tree: Tree, reader: LogReader, digest: tuple[int, int], progress: Progress) -> Replay:
    """Apply what was logged after the snapshot.

    A snapshot that was taken while transactions went on has a digest that holds from its own zxid on; before that the
    digests of transactions cannot match.
    """
    replay = Replay()
    digest_zxid = digest[0]
    while batch := reader.next_batch():
        for zxid, txn in batch:
            try:
                tree.apply(txn)
            except (Malformed, struct.error) as error:
                raise CorruptLog(f"the transaction {zxid:#x} in the log cannot be read: {error}") from error
            replay.n_mismatches += zxid > digest_zxid and not tree.digest_matches(txn)
            if zxid % DIGEST_INTERVAL == 0 and zxid > digest_zxid:
                replay.digests.append((zxid, tree.digest))
        replay.n_txns += len(batch)
        progress("log", replay.n_txns, 0)
    tree.fired.clear()
    return replay


def _check_gaps(log_dir: str, reader: LogReader, first_zxid: int) -> None:
    for gap in reader.gaps:
        if gap.next_zxid > first_zxid:
            raise CorruptLog(
                f"{log_dir}: transactions {max(gap.after + 1, first_zxid):#x} to {gap.next_zxid - 1:#x} are missing "
                f"from the log and in no snapshot that can be read; restore the missing file"
            )
