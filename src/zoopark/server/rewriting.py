"""What agreement asks of the files of a database: forget the end, begin anew from a leader's tree, read back.

Each is a sequence of steps on a Disk in an order that a crash may end anywhere. It must never leave a snapshot that is
newer than the log's end (ZOOKEEPER-4837), nor a log that does not connect to its snapshot.
"""

from collections import deque
from collections.abc import Iterable
from itertools import islice

from zoopark.errors import StorageError
from zoopark.log.disk import Disk
from zoopark.log.logreader import read_from, truncate
from zoopark.log.snapfiles import SnapshotWriter, snapshots
from zoopark.log.txnlog import log_files
from zoopark.server.config import Config
from zoopark.server.recovery import log_directory, snapshot_directory
from zoopark.zab.effects import ReadLog
from zoopark.zab.history import WINDOW_TXNS, is_next
from zoopark.zab.outbox import Entry


def truncate_files(config: Config, disk: Disk, zxid: int) -> None:
    """Forget every transaction after `zxid`: first the snapshots that must not be loaded again, then the log's end.

    Errors: OSError from the disk, CorruptLog.
    """
    for file in snapshots(disk, snapshot_directory(config)):
        if file.zxid > zxid:
            disk.remove(file.path)
    truncate(disk, log_directory(config), zxid)


def begin_with(config: Config, disk: Disk, zxid: int, pieces: Iterable[bytes]) -> None:
    """Make a snapshot of a tree at `zxid` the only thing that can be loaded; `pieces` as of `write_snapshot`.

    Errors: OSError from the disk.
    """
    writer = SnapshotWriter(disk, snapshot_directory(config), zxid, config.snapshot_compression)
    for piece in pieces:
        writer.write(piece)
    written = writer.finish()
    # Nothing from before connects to it: an older snapshot with a log that begins behind the new one has a hole.
    for _, path in log_files(disk, log_directory(config)):
        disk.remove(path)
    for file in snapshots(disk, snapshot_directory(config)):
        if file.path != written.path:
            disk.remove(file.path)


def read_for_learner(config: Config, disk: Disk, wanted: ReadLog) -> list[Entry] | None:
    """The answer to ReadLog; None also where the log cannot be read: the learner gets a snapshot then.

    The log may be written to meanwhile: nothing behind `upto_zxid` is looked at. Errors: OSError from the disk.
    """
    directory = log_directory(config)
    files = [zxid for zxid, _ in log_files(disk, directory) if zxid <= wanted.from_zxid]
    kept = snapshots(disk, snapshot_directory(config))
    if not files or not kept:
        return None
    limit = wanted.size_factor * disk.size(kept[0].path)
    try:
        return _read_within(read_from(disk, directory, files[-1]), wanted, limit, [file.zxid for file in kept])
    except StorageError:
        return None


def _read_within(
    log: Iterable[Entry], wanted: ReadLog, limit_bytes: float, snapshot_zxids: list[int]
) -> list[Entry] | None:
    entries: list[Entry] = []
    size_bytes = 0
    for zxid, txn in log:
        if zxid > wanted.upto_zxid or size_bytes > limit_bytes:
            break
        if entries and is_hole(entries[-1][0], zxid, snapshot_zxids):
            entries, size_bytes = [], 0
        if zxid <= wanted.from_zxid:
            entries = [(zxid, txn)]
        else:
            entries.append((zxid, txn))
            size_bytes += len(txn)
        if zxid == wanted.upto_zxid:
            return entries if size_bytes <= limit_bytes and entries[0][0] <= wanted.from_zxid else None
    return None


def is_hole(zxid: int, next_zxid: int, snapshot_zxids: Iterable[int]) -> bool:
    """Whether something is missing between two transactions that follow each other in a log.

    Where a leader's snapshot took the place of what lies between, and `begin_with` did not come to its end, or was
    Apache's, the next may well be the first of an epoch; then only the snapshot tells. One that a server has written
    of its own tree lies at a transaction of its log.
    """
    return any(zxid < found < next_zxid for found in snapshot_zxids)


def recent_entries(config: Config, disk: Disk, last_zxid: int) -> list[Entry]:
    """The last transactions up to `last_zxid`, which is the log's end, without holes; those of the last file at most.

    Errors: OSError from the disk, CorruptLog.
    """
    directory = log_directory(config)
    files = [zxid for zxid, _ in log_files(disk, directory) if zxid <= last_zxid]
    if not files:
        return []
    entries = deque(read_from(disk, directory, files[-1]), maxlen=WINDOW_TXNS)
    if not entries or entries[-1][0] != last_zxid:
        return []
    kept = [file.zxid for file in snapshots(disk, snapshot_directory(config))]
    found = [entries[-1]]
    for entry in islice(reversed(entries), 1, None):
        if not is_next(found[-1][0], entry[0]) or is_hole(entry[0], found[-1][0], kept):
            break
        found.append(entry)
    return found[::-1]
