"""The transaction log: its format, byte for byte that of ZooKeeper, and its writer.

A file `log.<hex>` is named after its first transaction, lower case without padding:

    offset  bytes  field
    0       4      magic "ZKLG"
    4       4      i32 version, 2
    8       8      i64 database id, 0
    16      …      entries, then zeros up to the reserved length

    entry:
    0       8      i64 checksum: Adler-32 of the txn bytes, zero-extended (so the first four bytes are zero)
    8       4      i32 length N of the txn bytes
    12      N      txn bytes: i64 session_id, i32 cxid, i64 zxid, i64 time, i32 type, body, digest
    12+N    1      end of record, "B"

Rules of validity:
    1. A file starts with the 16 bytes above.
    2. N is at least 32, the entry lies inside the file, its last byte is "B", and the checksum is right.
    3. The log ends at the first length 0, at the end of the file, or at an entry without its "B".
    4. Zxids rise within a file and from file to file; the first one is in the file's name.
What breaks them is torn or rotten: `zoopark.log.torn` decides which. `zoopark.log.logreader` reads.

What the writer promises beyond the format, so that `torn` can decide:
    5. One call of `Disk.write` holds at most MAX_BATCH_ENTRIES entries, with consecutive zxids of one epoch, and is
       durable before the next one starts. A write that was torn by a crash was therefore the last one.
    6. A file is only continued by the TxnLog that created it. After a restart the next append begins a new file, so
       nothing is ever written at a stale offset (ZOOKEEPER-1489).
    7. Zxids in a file are consecutive, or step to counter 1 of a later epoch. Any other jump begins a new file.

This module must never: hold back an append, retry after an error, or write behind the end it knows.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Final, final
from zlib import adler32

from zoopark.errors import StorageError
from zoopark.log.disk import Disk
from zoopark.zxid import counter_of, epoch_of

FILE_HEADER: Final = b"ZKLG\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00"
HEADER_BYTES: Final = 16
ENTRY_HEAD: Final = Struct(">qi")
ENTRY_HEAD_BYTES: Final = 12
ENTRY_EXTRA_BYTES: Final = 13
END_OF_RECORD: Final = 0x42
# The head of an entry and, behind session id and cxid, the zxid of its transaction.
ENTRY_START: Final = Struct(">qi12xq")
ENTRY_START_BYTES: Final = 32
ZXID: Final = Struct(">q")
ZXID_OFFSET: Final = 12
MIN_TXN_BYTES: Final = 32
MAX_BATCH_ENTRIES: Final = 1000
PREALLOCATION_BYTES: Final = 64 << 20
PREALLOCATION_MARGIN_BYTES: Final = 4096

# The end of one entry and the head of the next, packed at once: one object less per entry on the hot path.
_NEXT_HEAD: Final = Struct(">cqi")


def log_name(zxid: int) -> str:
    """The name of the file whose first transaction is `zxid`."""
    return f"log.{zxid & 0xFFFFFFFFFFFFFFFF:x}"


def zxid_of_log(name: str) -> int:
    """The zxid in the name of a log file, or -1 if this is no such name."""
    prefix, _, digits = name.partition(".")
    if prefix != "log":
        return -1
    return parse_hex_zxid(digits)


def parse_hex_zxid(digits: str) -> int:
    """The zxid written as lower or upper case hex digits, or -1."""
    if not 1 <= len(digits) <= 16 or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
        return -1
    zxid = int(digits, 16)
    return zxid if zxid < 1 << 63 else -1


def log_files(disk: Disk, directory: str) -> list[tuple[int, str]]:
    """The log files of a directory as (zxid in the name, path), ascending; none if there is no such directory."""
    names = [(zxid_of_log(name), f"{directory}/{name}") for name in disk.list(directory)]
    return sorted(file for file in names if file[0] >= 0)


def encode_entries(entries: Sequence[tuple[int, bytes]]) -> bytes:
    """The entries (zxid, txn bytes) as they stand in the file, without a file header; at least one."""
    if len(entries) == 1:
        only = entries[0][1]
        return ENTRY_HEAD.pack(adler32(only), len(only)) + only + b"B"
    pack = _NEXT_HEAD.pack
    parts: list[bytes] = []
    for _, txn in entries:
        parts.append(pack(b"B", adler32(txn), len(txn)))
        parts.append(txn)
    parts[0] = parts[0][1:]
    parts.append(b"B")
    return b"".join(parts)


def decode_entry(data: bytes, at: int) -> bytes | None:
    """The txn bytes of the entry that starts at `at`, or None if no whole and valid entry (rule 2) does."""
    if at + ENTRY_HEAD_BYTES > len(data):
        return None
    checksum, size = ENTRY_HEAD.unpack_from(data, at)
    end = at + ENTRY_HEAD_BYTES + size
    if size < MIN_TXN_BYTES or end >= len(data) or data[end] != END_OF_RECORD:
        return None
    txn = data[at + ENTRY_HEAD_BYTES : end]
    return txn if adler32(txn) == checksum else None


def zxid_of_txn(txn: bytes) -> int:
    """The zxid in the header of txn bytes."""
    return int(ZXID.unpack_from(txn, ZXID_OFFSET)[0])


def distance(earlier: int, later: int) -> int:
    """How many transactions lie after `earlier` up to and including `later`; a later epoch starts with counter 1."""
    if epoch_of(earlier) == epoch_of(later):
        return later - earlier
    return counter_of(later)


def padded_size(position: int, size: int, preallocation_bytes: int) -> int:
    """The length a file should have before a write at `position`; the rule of ZooKeeper's FilePadding.

    Args:
        position: where the next write goes.
        size: the length known so far.
        preallocation_bytes: the step; 0 switches preallocation off.
    """
    if preallocation_bytes <= 0 or position + PREALLOCATION_MARGIN_BYTES < size:
        return size
    if position > size:
        ahead = position + preallocation_bytes
        return ahead - ahead % preallocation_bytes
    return size + preallocation_bytes


@final
class TxnLog:
    """Appends transactions to the files of one directory.

    Args:
        disk: where the files are.
        directory: an existing directory that this log alone writes to.
        last_zxid: the last transaction that is durable there (0 if none). Damage behind it was cut before.
        preallocation_bytes: how far files are extended ahead of need (ZooKeeper's preAllocSize); 0 for never.
        is_synced: False leaves the bytes to the operating system (forceSync=no). A power failure may then lose
            acknowledged transactions, and leave a log that is refused as rotten.

    Attributes:
        last_zxid: the last transaction appended.
        file_bytes: the bytes of the file written to, without the reserved ones; 0 before the first append after a roll.
        bytes_since_mark: bytes appended since `mark()`, over all files; for ZooKeeper's snapSizeLimit.
    """

    __slots__ = (
        "_directory",
        "_disk",
        "_is_failed",
        "_is_reserving",
        "_is_synced",
        "_path",
        "_preallocation_bytes",
        "_reserved_bytes",
        "bytes_since_mark",
        "file_bytes",
        "last_zxid",
    )

    def __init__(
        self,
        disk: Disk,
        directory: str,
        last_zxid: int,
        preallocation_bytes: int = PREALLOCATION_BYTES,
        is_synced: bool = True,
    ) -> None:
        assert preallocation_bytes >= 0, preallocation_bytes
        self._disk = disk
        self._directory = directory
        self._preallocation_bytes = preallocation_bytes
        self._is_synced = is_synced
        self._path = ""
        self._reserved_bytes = 0
        self._is_reserving = False
        self._is_failed = False
        self.last_zxid = last_zxid
        self.file_bytes = 0
        self.bytes_since_mark = 0

    def append(self, entries: Sequence[tuple[int, bytes]]) -> None:
        """Make transactions durable, in one synced write per MAX_BATCH_ENTRIES.

        Args:
            entries: (zxid, txn bytes with the digest), ascending, all after `last_zxid`; at least one.

        Effects: the entries are durable on return (with is_synced). Begins a new file after a roll or a jump of zxids.
        Errors: OSError from the disk; the log then takes nothing more, since what is on the disk is unknown.
            StorageError if the file to be created exists already.
        """
        assert not self._is_failed, "append after a failed append"
        for run in [entries] if _is_run(entries) else split_runs(entries):
            self._append_run(run)

    def begin(self, entries: Sequence[tuple[int, bytes]]) -> tuple[str, int, bytes]:
        """Have somebody else write transactions that `continues`.

        Returns (path, offset, data): what must be written, and be durable, before anything else is asked of this log
        but `reserve_ahead`, and before anything is promised.
        Errors: as `append`.
        """
        assert not self._is_failed, "after a failed append"
        assert self.continues(entries), entries[0][0]
        data = encode_entries(entries)
        at = self.file_bytes
        self._is_failed = True
        self._reserve_if_late(at + len(data))
        self._is_failed = False
        self._count(len(data), entries[-1][0])
        return self._path, at, data

    def continues(self, entries: Sequence[tuple[int, bytes]]) -> bool:
        """Whether `append` would put these entries into the open file with a single write, and sync it."""
        is_next = bool(self._path) and distance(self.last_zxid, entries[0][0]) == 1
        return is_next and self._is_synced and _is_run(entries)

    def roll(self) -> None:
        """Begin a new file with the next append; for the start of a snapshot and for txnLogSizeLimit."""
        self._path = ""
        self.file_bytes = 0
        self._reserved_bytes = 0

    def mark(self) -> None:
        """Count `bytes_since_mark` from here."""
        self.bytes_since_mark = 0

    def wants_reserve(self) -> bool:
        """Whether `reserve_ahead` would extend the file now: less than half a step of reserved bytes is left."""
        if not self._path or self._is_reserving or self._preallocation_bytes == 0:
            return False
        return self.file_bytes + self._preallocation_bytes // 2 >= self._reserved_bytes

    def reserve_ahead(self) -> None:
        """Extend the file by one step; touches nothing but its length.

        May run in another thread while `append` and `roll` go on. An append that comes to the end of the reserved bytes
        meanwhile reserves too, so that the disk lets it wait. Errors: OSError from the disk.
        """
        path = self._path
        if not path or self._preallocation_bytes == 0:
            return
        self._is_reserving = True
        size = self._next_size(self.file_bytes)
        try:
            self._disk.reserve(path, size)
        finally:
            self._is_reserving = False
        if path == self._path and size > self._reserved_bytes:
            # A roll that slips in just here costs the new file one reservation, nothing else.
            self._reserved_bytes = size

    def _append_run(self, entries: Sequence[tuple[int, bytes]]) -> None:
        first_zxid = entries[0][0]
        assert first_zxid > self.last_zxid, f"zxid 0x{first_zxid:x} after 0x{self.last_zxid:x}"
        assert first_zxid == zxid_of_txn(entries[0][1]), f"zxid 0x{first_zxid:x} is not the one in the transaction"
        if not self._path or distance(self.last_zxid, first_zxid) != 1:
            self._begin_file(first_zxid)
        data = encode_entries(entries)
        at = self.file_bytes
        if at == 0:
            data = FILE_HEADER + data
        self._is_failed = True
        if at:
            self._reserve_if_late(at + len(data))
        self._disk.write(self._path, at, data, is_synced=self._is_synced)
        if not at:  # fallocate of a fresh file takes microseconds
            self._reserve_if_late(len(data))
        self._is_failed = False
        self._count(len(data), entries[-1][0])

    def _count(self, size_bytes: int, zxid: int) -> None:
        self.file_bytes += size_bytes
        self.bytes_since_mark += size_bytes
        self.last_zxid = zxid

    def _begin_file(self, zxid: int) -> None:
        self.roll()
        name = log_name(zxid)
        if name in self._disk.list(self._directory):
            raise StorageError(
                f"{self._directory}/{name} exists already: another server writes here, or the log was not repaired at "
                f"start. Stop the other server, then start again"
            )
        self._path = f"{self._directory}/{name}"

    def _reserve_if_late(self, end: int) -> None:
        """Extend the file in line where nobody did it ahead of need."""
        if self._preallocation_bytes > 0 and end + PREALLOCATION_MARGIN_BYTES >= self._reserved_bytes:
            size = self._next_size(end)
            self._disk.reserve(self._path, size)
            self._reserved_bytes = size

    def _next_size(self, end: int) -> int:
        """The length to extend to, on ZooKeeper's grid: the first block of a file ends one step behind its header."""
        size, step = self._reserved_bytes, self._preallocation_bytes
        if size == 0:
            size = HEADER_BYTES + step
            if end + PREALLOCATION_MARGIN_BYTES < size:
                return size
        return padded_size(max(end, size), size, step)


def _is_run(entries: Sequence[tuple[int, bytes]]) -> bool:
    count = len(entries)
    return count <= MAX_BATCH_ENTRIES and entries[-1][0] - entries[0][0] == count - 1


def split_runs(entries: Sequence[tuple[int, bytes]]) -> list[Sequence[tuple[int, bytes]]]:
    """Cut entries into runs of consecutive zxids, at most MAX_BATCH_ENTRIES each (rules 5 and 7)."""
    runs: list[Sequence[tuple[int, bytes]]] = []
    start = 0
    for i in range(1, len(entries) + 1):
        if i == len(entries) or i - start == MAX_BATCH_ENTRIES or entries[i][0] != entries[i - 1][0] + 1:
            runs.append(entries[start:i])
            start = i
    return runs
