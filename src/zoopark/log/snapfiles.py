"""The files of snapshots: their names, which of them may be read, how one is written and when one is deleted.

    snapshot.<hex>          the bytes of a snapshot
    snapshot.<hex>.gz       the same, in one gzip member
    snapshot.<hex>.snappy   the same, in snappy-java's container (`zoopark.log.snappy`)

<hex> is the last zxid applied when the snapshot was started, lower case without padding. A snapshot is written under a
name that no ZooKeeper takes for one, and renamed when all of it is durable: what carries the name is whole.

    Quick test of validity: plain, at least 10 bytes that end with 00 00 00 01 2F (the seal); gz, the first two bytes
    1F 8B; snappy, the first eight 82 53 4E 41 50 50 59 00.

The bytes themselves are the tree's business; this module never looks into them.
"""

import zlib
from typing import Final, final

from zoopark.errors import CorruptSnapshot, StorageError
from zoopark.log import snappy
from zoopark.log.disk import Disk
from zoopark.log.txnlog import log_files, parse_hex_zxid
from zoopark.record import Record

PLAIN: Final = ""
GZ: Final = "gz"
SNAPPY: Final = "snappy"
METHODS: Final = (PLAIN, GZ, SNAPPY)
TEMPORARY_PREFIX: Final = "unfinished."

SEAL: Final = b"\x00\x00\x00\x01/"
MIN_SNAPSHOT_BYTES: Final = 10
MAGIC: Final = {GZ: b"\x1f\x8b", SNAPPY: snappy.MAGIC}
MAX_CANDIDATES: Final = 100
MIN_KEPT: Final = 3

CHUNK_BYTES: Final = 1 << 20
SYNC_EVERY_BYTES: Final = 8 << 20
GZ_LEVEL: Final = 1
_GZ_WINDOW: Final = 31


@final
class SnapshotFile(Record):
    """One file of a snapshot.

    Args:
        zxid: the zxid in its name.
        path: the file.
        method: PLAIN, GZ or SNAPPY, after its suffix.
    """

    __slots__ = ("method", "path", "zxid")

    def __init__(self, zxid: int, path: str, method: str) -> None:
        assert method in METHODS, method
        self.zxid = zxid
        self.path = path
        self.method = method


def snapshot_name(zxid: int, method: str) -> str:
    """The name of the snapshot started at `zxid`, written with `method`."""
    assert method in METHODS, method
    return f"snapshot.{zxid:x}" + (f".{method}" if method else "")


def parse_snapshot_name(name: str) -> tuple[int, str] | None:
    """(zxid, method) of the name of a snapshot, or None for any other name."""
    prefix, _, rest = name.partition(".")
    digits, _, suffix = rest.partition(".")
    zxid = parse_hex_zxid(digits)
    if prefix != "snapshot" or zxid < 0 or suffix not in METHODS or rest.endswith("."):
        return None
    return zxid, suffix


def snapshots(disk: Disk, directory: str) -> list[SnapshotFile]:
    """All files with the name of a snapshot, newest first."""
    found: list[SnapshotFile] = []
    for name in disk.list(directory):
        parsed = parse_snapshot_name(name)
        if parsed is not None:
            found.append(SnapshotFile(parsed[0], f"{directory}/{name}", parsed[1]))
    found.sort(key=lambda file: (file.zxid, file.method), reverse=True)
    return found


def candidates(disk: Disk, directory: str, limit: int = MAX_CANDIDATES) -> list[SnapshotFile]:
    """The snapshots that pass the quick test, newest first, at most `limit`."""
    found: list[SnapshotFile] = []
    for file in snapshots(disk, directory):
        if len(found) == limit:
            break
        if is_plausible(disk, file):
            found.append(file)
    return found


def is_plausible(disk: Disk, file: SnapshotFile) -> bool:
    """Whether a file passes the quick test of validity."""
    if file.method != PLAIN:
        magic = MAGIC[file.method]
        return disk.read(file.path, 0, len(magic)) == magic
    size = disk.size(file.path)
    return size >= MIN_SNAPSHOT_BYTES and disk.read(file.path, size - len(SEAL), len(SEAL)) == SEAL


@final
class SnapshotReader:
    """Reads the uncompressed bytes of a snapshot, chunk by chunk.

    Args:
        disk: where the file is.
        file: one of `candidates`.

    Errors: StorageError for snappy where its package is not there.

    Attributes:
        bytes_read: how much of the file was read, for a progress bar against `size_bytes`.
    """

    __slots__ = ("_disk", "_inflate", "_path", "_unsnap", "bytes_read", "size_bytes")

    def __init__(self, disk: Disk, file: SnapshotFile) -> None:
        self._unsnap = snappy.Inflate() if file.method == SNAPPY else None
        self._disk = disk
        self._path = file.path
        self._inflate = zlib.decompressobj(_GZ_WINDOW) if file.method == GZ else None
        self.bytes_read = 0
        self.size_bytes = disk.size(file.path)

    def next_chunk(self) -> bytes:
        """The next bytes, some MiB at most; empty at the end.

        Errors: CorruptSnapshot if the compressed stream is damaged or ends early. OSError from the disk.
        """
        if self._unsnap is not None:
            return self._next_unsnapped(self._unsnap)
        if self._inflate is None:
            return self._read()
        return self._next_inflated(self._inflate)

    def _next_unsnapped(self, unsnap: snappy.Inflate) -> bytes:
        while data := self._read():
            try:
                chunk = unsnap.decompress(data)
            except CorruptSnapshot as error:
                raise CorruptSnapshot(f"{self._path}: before byte {self.bytes_read}: {error}") from error
            if chunk:
                return chunk
        if not unsnap.is_whole:
            raise CorruptSnapshot(f"{self._path}: the snappy stream ends early, at byte {self.bytes_read}")
        return b""

    def _next_inflated(self, inflate: "zlib._Decompress") -> bytes:
        while not inflate.eof:
            data = inflate.unconsumed_tail or self._read()
            if not data:
                raise CorruptSnapshot(f"{self._path}: the gzip stream ends early, at byte {self.bytes_read}")
            try:
                chunk = inflate.decompress(data, CHUNK_BYTES)
            except zlib.error as error:
                raise CorruptSnapshot(
                    f"{self._path}: damaged gzip stream before byte {self.bytes_read}: {error}"
                ) from error
            if chunk:
                return chunk
        if inflate.unused_data or self._read():
            raise CorruptSnapshot(f"{self._path}: bytes follow the end of the gzip stream")
        return b""

    def _read(self) -> bytes:
        data = self._disk.read(self._path, self.bytes_read, CHUNK_BYTES)
        self.bytes_read += len(data)
        return data


@final
class SnapshotWriter:
    """Writes one snapshot: `write` …, then `finish`, or `abandon`.

    Args:
        disk: where the file is to be.
        directory: an existing directory.
        zxid: the last zxid applied when the snapshot was started.
        method: PLAIN, GZ or SNAPPY.
        sync_every_bytes: how much is written at most between two syncs; many small ones disturb the log's syncs less
            than one large one.

    Attributes:
        path: the file once it is finished.
        bytes_written: the bytes of the file so far.
    """

    __slots__ = (
        "_buffered",
        "_buffered_bytes",
        "_deflate",
        "_disk",
        "_sync_every_bytes",
        "_temporary",
        "_unsynced_bytes",
        "bytes_written",
        "path",
    )

    def __init__(
        self, disk: Disk, directory: str, zxid: int, method: str = PLAIN, sync_every_bytes: int = SYNC_EVERY_BYTES
    ) -> None:
        name = snapshot_name(zxid, method)
        self._disk = disk
        self._temporary = f"{directory}/{TEMPORARY_PREFIX}{name}"
        self._sync_every_bytes = sync_every_bytes
        self._deflate: zlib._Compress | snappy.Deflate | None = None
        self._buffered: list[bytes] = []
        if method == GZ:
            self._deflate = zlib.compressobj(GZ_LEVEL, zlib.DEFLATED, _GZ_WINDOW)
        elif method == SNAPPY:
            self._deflate = snappy.Deflate()
            self._buffered.append(snappy.Deflate.header())
        self._buffered_bytes = 0
        self._unsynced_bytes = 0
        self.bytes_written = 0
        self.path = f"{directory}/{name}"

    def write(self, data: bytes) -> None:
        """Take the next bytes of the snapshot. Errors: OSError from the disk; then `abandon`."""
        if self._deflate is not None:
            data = self._deflate.compress(data)
        self._buffered.append(data)
        self._buffered_bytes += len(data)
        if self._buffered_bytes >= CHUNK_BYTES:
            self._flush()

    def finish(self) -> SnapshotFile:
        """Make the snapshot durable and give it its name; it replaces one of the same name. Errors: as `write`."""
        if self._deflate is not None:
            self._buffered.append(self._deflate.flush())
        self._flush()
        self._disk.sync(self._temporary)
        self._disk.rename(self._temporary, self.path)
        parsed = parse_snapshot_name(self.path.rpartition("/")[2])
        assert parsed is not None, self.path
        return SnapshotFile(parsed[0], self.path, parsed[1])

    def abandon(self) -> None:
        """Remove what was written. Errors: OSError from the disk."""
        directory, _, name = self._temporary.rpartition("/")
        if name in self._disk.list(directory):
            self._disk.remove(self._temporary)

    def _flush(self) -> None:
        if self.bytes_written == 0:
            self.abandon()  # a longer one that an earlier attempt left would show behind the end of this one
        data = b"".join(self._buffered)
        self._buffered.clear()
        self._buffered_bytes = 0
        self._disk.write(self._temporary, self.bytes_written, data, is_synced=False)
        self.bytes_written += len(data)
        self._unsynced_bytes += len(data)
        if self._unsynced_bytes >= self._sync_every_bytes:
            self._disk.sync(self._temporary)
            self._unsynced_bytes = 0


def purge(disk: Disk, data_directory: str, log_directory: str, keep_count: int) -> list[str]:
    """Delete the snapshots and logs that the newest `keep_count` plausible snapshots do not need (ZOOKEEPER-2574).

    Args:
        disk: where the files are.
        data_directory: the directory of the snapshots.
        log_directory: the directory of the logs.
        keep_count: how many snapshots are kept, at least MIN_KEPT. Those that fail the quick test do not count.

    Returns: the paths removed. Snapshots go before logs and old ones first, so a crash in between leaves no snapshot
    without its log. The log that holds or precedes the oldest kept zxid stays. Nothing goes while there are fewer
    plausible snapshots than `keep_count`.
    Errors: OSError from the disk.
    """
    assert keep_count >= MIN_KEPT, keep_count
    kept = candidates(disk, data_directory, keep_count)
    if len(kept) < keep_count:
        return []
    oldest_zxid = kept[-1].zxid
    removed = [file.path for file in reversed(snapshots(disk, data_directory)) if file.zxid < oldest_zxid]
    logs = log_files(disk, log_directory)
    for at in range(1, len(logs)):
        if logs[at][0] <= oldest_zxid:
            removed.append(logs[at - 1][1])
    for path in removed:
        disk.remove(path)
    return removed


def remove_unfinished(disk: Disk, directory: str) -> list[str]:
    """Remove, at start, what snapshots that were never finished left behind; returns the paths."""
    removed = [f"{directory}/{name}" for name in disk.list(directory) if _is_unfinished(name)]
    for path in removed:
        disk.remove(path)
    return removed


def check_placement(disk: Disk, data_directory: str, log_directory: str) -> None:
    """Refuse, at start, logs among the snapshots and snapshots among the logs when the directories differ.

    Errors: StorageError that names a misplaced file and the way out.
    """
    if data_directory == log_directory:
        return
    if logs := log_files(disk, data_directory):
        raise StorageError(
            f"{logs[0][1]}: a transaction log in the snapshot directory, while dataLogDir is {log_directory}: move all "
            f"log.* files there"
        )
    if files := snapshots(disk, log_directory):
        raise StorageError(
            f"{files[-1].path}: a snapshot in the log directory, while dataDir is {data_directory}: move all "
            f"snapshot.* files there"
        )


def _is_unfinished(name: str) -> bool:
    """Ours, and those of ZooKeeper's atomic writes."""
    return name.startswith(f"{TEMPORARY_PREFIX}snapshot.") or (name.startswith("snapshot.") and name.endswith(".tmp"))
