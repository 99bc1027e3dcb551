"""Reads the transaction log at start, mends its end after a crash, and cuts it at a zxid.

The format and its rules are drawn in `zoopark.log.txnlog`; `zoopark.log.torn` decides what damage is. At start:

    reader = LogReader(disk, directory, snapshot_zxid + 1)
    while batch := reader.next_batch():
        …apply…
    repair(disk, directory, reader)        # only now may a TxnLog append behind reader.last_zxid, or anybody rely on it

This module must never skip damage: it ends in a Torn that is reported, or in CorruptLog. Nor may it take what can be
read for durable: a write whose sync failed can be read until the power goes (Rebello et al., USENIX ATC 2020).
"""

from collections.abc import Iterator
from itertools import chain
from typing import Final, final
from zlib import adler32

from zoopark.errors import CorruptLog
from zoopark.log.disk import Disk
from zoopark.log.torn import NO_ZXID, Tail, Torn, judge
from zoopark.log.txnlog import (
    END_OF_RECORD,
    ENTRY_EXTRA_BYTES,
    ENTRY_HEAD_BYTES,
    ENTRY_START,
    ENTRY_START_BYTES,
    FILE_HEADER,
    HEADER_BYTES,
    MAX_BATCH_ENTRIES,
    MIN_TXN_BYTES,
    distance,
    log_files,
)
from zoopark.record import Record

CHUNK_BYTES: Final = 1 << 20


@final
class Gap(Record):
    """Zxids `after` and `next_zxid` of one epoch follow each other in the log although others lie between them.

    Legitimate where a snapshot of a leader took the place of the transactions; then that snapshot holds them.
    """

    __slots__ = ("after", "next_zxid")

    def __init__(self, after: int, next_zxid: int) -> None:
        self.after = after
        self.next_zxid = next_zxid


@final
class LogReader:
    """Reads the transactions of a directory in order.

    Args:
        disk: where the files are.
        directory: the directory of the log files; it may be missing.
        first_zxid: the first transaction wanted. Reading starts in the file that holds or precedes it.

    Attributes:
        last_zxid: the last transaction read so far, wanted or not; before the first one the zxid before it.
        torn: the tail that an unfinished write left, known after the last batch; None if there is none.
        gaps: jumps of zxids behind `first_zxid`; a later epoch that starts with counter 1 is none.
        repeated_count: entries that were passed over because their zxid was not above the one before. ZooKeeper's own
            learners may log a proposal twice.
    """

    __slots__ = (
        "_disk",
        "_file",
        "_files",
        "_first_zxid",
        "_last_file",
        "_next_index",
        "gaps",
        "last_zxid",
        "repeated_count",
        "torn",
    )

    def __init__(self, disk: Disk, directory: str, first_zxid: int) -> None:
        assert first_zxid >= 0, first_zxid
        files = log_files(disk, directory)
        self._disk = disk
        self._first_zxid = first_zxid
        self._files = files[max(0, sum(zxid <= first_zxid for zxid, _ in files) - 1) :]
        self._next_index = 0
        self._file: LogFile | None = None
        self._last_file: LogFile | None = None
        self.last_zxid = max(0, min([first_zxid - 1] + [zxid - 1 for zxid, _ in self._files]))
        self.torn: Torn | None = None
        self.gaps: list[Gap] = []
        self.repeated_count = 0

    def next_batch(self) -> list[tuple[int, bytes]]:
        """The next transactions as (zxid, txn bytes), some thousands at most; empty at the end of the log.

        Errors: CorruptLog for damage that is not the end of an unfinished write. OSError from the disk.
        """
        while True:
            if self._file is None and not self._open_next():
                return []
            assert self._file is not None
            batch = self._file.next_batch()
            if not batch:
                self._finish_file(self._file)
                continue
            if wanted := self._admit(batch):
                return wanted

    def is_at_end(self) -> bool:
        """Whether `next_batch` has said so."""
        return self._file is None and self._next_index == len(self._files)

    def _open_next(self) -> bool:
        if self._next_index == len(self._files):
            return False
        zxid, path = self._files[self._next_index]
        self._next_index += 1
        self._file = LogFile(self._disk, path, zxid - 1)
        return True

    def _finish_file(self, file: "LogFile") -> None:
        at = self._next_index
        next_zxid = self._files[at][0] if at < len(self._files) else NO_ZXID
        torn = judge(self._disk, Tail(file.path, file.offset, file.last_zxid, next_zxid))
        if next_zxid == NO_ZXID:
            self.torn = torn
        if file.starts:
            self._last_file = file
        self._file = None

    def last_write(self) -> tuple[str, int, int]:
        """(path, start, end) of bytes that the writer's last write lies in; ("", 0, 0) if nothing can be read."""
        file = self._last_file
        return (file.path, file.start_of_last(MAX_BATCH_ENTRIES), file.offset) if file is not None else ("", 0, 0)

    def _admit(self, batch: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        """The part of a batch that is wanted; counts what repeats, notes gaps."""
        first, last = batch[0][0], batch[-1][0]
        if first != self.last_zxid + 1 or last - first != len(batch) - 1:
            batch = self._admit_singly(batch)
        elif first < self._first_zxid:
            self.last_zxid = last
            return batch[self._first_zxid - first :]
        self.last_zxid = max(self.last_zxid, last)
        return batch

    def _admit_singly(self, batch: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        wanted: list[tuple[int, bytes]] = []
        for entry in batch:
            zxid, before = entry[0], self.last_zxid
            if zxid <= before:
                self.repeated_count += 1
                continue
            if distance(before, zxid) != 1 and zxid > self._first_zxid:
                self.gaps.append(Gap(before, zxid))
            self.last_zxid = zxid
            if zxid >= self._first_zxid:
                wanted.append(entry)
        return wanted


@final
class LogFile:
    """Reads the valid entries of one file from its start.

    Args:
        disk: where the file is.
        path: the file.
        zxid_before: the zxid before the one in its name.

    Attributes:
        offset: where the entries read so far end; 0 while the file header is not there.
        last_zxid: the zxid of the last entry read, `zxid_before` if there is none.
        starts: (offset, count) of the entries of every chunk read so far.
    """

    __slots__ = ("_disk", "_size", "last_zxid", "offset", "path", "starts")

    def __init__(self, disk: Disk, path: str, zxid_before: int) -> None:
        self._disk = disk
        self._size = disk.size(path)
        self.path = path
        self.offset = 0
        self.last_zxid = zxid_before
        self.starts: list[tuple[int, int]] = []

    def next_batch(self) -> list[tuple[int, bytes]]:
        """The entries of the next chunk; empty where no valid entry follows.

        Errors: CorruptLog if the file is another kind of file. OSError from the disk.
        """
        if self.offset == 0 and not self._read_header():
            return []
        chunk = self._disk.read(self.path, self.offset, CHUNK_BYTES)
        entries, end, wanted_bytes = parse_entries(chunk)
        if not entries and CHUNK_BYTES < wanted_bytes <= self._size - self.offset:
            entries, end, _ = parse_entries(self._disk.read(self.path, self.offset, wanted_bytes))
        if entries:
            self.starts.append((self.offset, len(entries)))
            self.offset += end
            self.last_zxid = entries[-1][0]
        return entries

    def start_of_last(self, count: int) -> int:
        """An offset that at least the last `count` entries read lie behind; 0, ahead of the header, if all may."""
        found = 0
        for offset, n_entries in reversed(self.starts):
            found += n_entries
            if found >= count and offset > HEADER_BYTES:
                return offset
        return 0

    def _read_header(self) -> bool:
        header = self._disk.read(self.path, 0, HEADER_BYTES)
        if header == FILE_HEADER:
            self.offset = HEADER_BYTES
            return True
        if FILE_HEADER.startswith(header.rstrip(b"\x00")):
            return False  # empty, or its first sector was never written
        raise CorruptLog(
            f"{self.path}: not a transaction log of version 2: it begins with {header.hex()}, not {FILE_HEADER.hex()}. "
            f"Restore the data directory from a backup or another member, or move this file away if it is a stranger"
        )


def parse_entries(data: bytes) -> tuple[list[tuple[int, bytes]], int, int]:
    """Read valid entries from the start of `data`.

    Returns: the entries (zxid, txn bytes); where they end; how many bytes the next entry takes by its own word, 0 if
    there is no room for its start.
    """
    entries: list[tuple[int, bytes]] = []
    at, limit = 0, len(data)
    unpack = ENTRY_START.unpack_from
    while at + ENTRY_START_BYTES <= limit:
        checksum, size, zxid = unpack(data, at)
        start = at + ENTRY_HEAD_BYTES
        end = start + size
        if size < MIN_TXN_BYTES or end >= limit:
            return entries, at, size + ENTRY_EXTRA_BYTES
        txn = data[start:end]
        if data[end] != END_OF_RECORD or adler32(txn) != checksum:
            return entries, at, 0
        entries.append((zxid, txn))
        at = end + 1
    return entries, at, 0


def read_from(disk: Disk, directory: str, first_zxid: int) -> Iterator[tuple[int, bytes]]:
    """The transactions from `first_zxid` on as (zxid, txn bytes), in order; errors as of LogReader.next_batch."""
    return chain.from_iterable(iter(LogReader(disk, directory, first_zxid).next_batch, []))


def repair(disk: Disk, directory: str, reader: LogReader) -> None:
    """Make the log end where a reader that was read to its end found its end, durably, so that a TxnLog may follow.

    Effects: a torn tail is cut off; a last file without any transaction is removed (ZOOKEEPER-2332). What the writer
    wrote last is written again and synced: its own sync may have failed, and the kernel calls such pages clean, so
    that only another write brings them to the disk.
    Errors: OSError from the disk.
    """
    assert reader.is_at_end(), "repair before the log was read to its end"
    torn = reader.torn
    if torn is not None:
        if torn.offset > HEADER_BYTES:
            disk.truncate(torn.path, torn.offset)
        else:
            disk.remove(torn.path)
    files = log_files(disk, directory)
    while files and files[-1][0] > reader.last_zxid:
        disk.remove(files.pop()[1])
    path, start, end = reader.last_write()
    if path:
        _write_again(disk, path, (start, end))


def _write_again(disk: Disk, path: str, span: tuple[int, int]) -> None:
    """Write these bytes of a file as they are, and sync them."""
    at, end = span
    while at < end:
        data = disk.read(path, at, min(CHUNK_BYTES, end - at))
        disk.write(path, at, data, is_synced=False)
        at += len(data)
    disk.sync(path)


def truncate(disk: Disk, directory: str, last_zxid: int) -> None:
    """Keep the transactions up to `last_zxid`, for TRUNC and for giving up what is behind rot; the TxnLog must roll.

    Effects: later files are removed, the newest first; the file that holds later entries is cut at the end of the last
    one kept, or removed if none is. A crash in between leaves a log that ends later, and truncating again mends it.
    Errors: OSError from the disk, CorruptLog if a file to be cut is no transaction log.
    """
    files = log_files(disk, directory)
    while files and files[-1][0] > last_zxid:
        disk.remove(files.pop()[1])
    if not files:
        return
    zxid, path = files[-1]
    file = LogFile(disk, path, zxid - 1)
    end = HEADER_BYTES
    while batch := file.next_batch():
        kept = [ENTRY_EXTRA_BYTES + len(txn) for at, txn in batch if at <= last_zxid]
        end += sum(kept)
        if len(kept) < len(batch):
            break
    if end == HEADER_BYTES:
        disk.remove(path)
    else:
        disk.truncate(path, end)
