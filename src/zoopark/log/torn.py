"""Torn or rotten: what the bytes behind the last readable entry of a log mean.

A crash may tear the last write: any of its sectors may be on the disk or not (a lost one still reads as the zeros that
were reserved there, or lies behind the end of the file). None of its transactions was acknowledged, so cutting it off
is right. Rot changes bytes that were durable; acknowledged transactions may be behind it, so cutting is wrong.
The format has no room for a persist record that would tell the two apart (Alagappan et al., FAST 2018). What is known:

    The writer has one write under way at a time, of at most MAX_BATCH_ENTRIES transactions (txnlog, rule 5), so
    1. a valid entry more than MAX_BATCH_ENTRIES transactions behind the last readable one      -> rot
    2. a valid entry that follows the last readable one by its zxid, but not by its offset       -> rot (ZOOKEEPER-1489)
    A torn write leaves zeros where a sector is lost, so
    3. damage before a valid entry that has no lost sector in it                                 -> rot
    4. a last entry that is whole but for its length field, by its own checksum                  -> rot
    5. a last entry without its end of record, or nothing but part of its head: it was cut short
       (what ZooKeeper itself takes as the end of the log)                                       -> torn
    6. any other damage at the end: with a lost sector in it -> torn, without one                -> rot
    In a file that is not the last one, of which the next begins with zxid N:
    7. N follows the last readable transaction: the server went on after it, all else is void    -> no matter
    8. N is of the same epoch: what lies between was durable                                     -> rot
    9. N is of a later epoch                                                                     -> as for the last file

So every bit flip within the entries is rot, and every torn write is torn. What is doubtful: sectors of the last
MAX_BATCH_ENTRIES transactions that were durable and turned into zeros (a drive that lied about its sync), or a flipped
bit in one of these that itself holds two sectors of zeros as its data, are taken as torn, and reported as that. Data
that imitates a later log entry, inside of a torn one, makes the log rotten by rule 1: a refusal, not a loss.

This module must never guess beyond these rules, and never changes a file.
"""

import re
from typing import Final, final

from zoopark.errors import CorruptLog
from zoopark.log.disk import Disk
from zoopark.log.txnlog import (
    END_OF_RECORD,
    ENTRY_EXTRA_BYTES,
    ENTRY_HEAD,
    ENTRY_HEAD_BYTES,
    MAX_BATCH_ENTRIES,
    MIN_TXN_BYTES,
    decode_entry,
    distance,
    zxid_of_txn,
)
from zoopark.record import Record
from zoopark.zxid import epoch_of

SECTOR_BYTES: Final = 512
CHUNK_BYTES: Final = 1 << 20
MAX_TAIL_BYTES: Final = 256 << 20
NO_ZXID: Final = -1

_ZEROS: Final = bytes(CHUNK_BYTES)

# Where an entry may start: a zero-extended checksum, and a length that is neither 0 nor negative.
_ENTRY_START: Final = re.compile(rb"(?=\x00{4}[\x00-\xff]{4}(?!\x00{4})[\x00-\x7f])")
# An entry starts with four zeros, so a lost sector cannot be seen in fewer bytes than these.
_MIN_HOLE_BYTES: Final = 5


@final
class Torn(Record):
    """A tail of a log that a crash tore; nothing in it was acknowledged.

    Args:
        path: the file.
        offset: where the readable entries end; 0 if there are none.
        data_end: behind the last byte that is not zero; at least `offset`.
        last_zxid: the last transaction before the tear.
    """

    __slots__ = ("data_end", "last_zxid", "offset", "path")

    def __init__(self, path: str, offset: int, data_end: int, last_zxid: int) -> None:
        assert 0 <= offset <= data_end, (offset, data_end)
        self.path = path
        self.offset = offset
        self.data_end = data_end
        self.last_zxid = last_zxid


@final
class Tail(Record):
    """What lies behind the readable entries of a file.

    Args:
        path: the file.
        offset: where the readable entries end.
        last_zxid: the last transaction before it; for a file without any, the one before the zxid in its name.
        next_zxid: the zxid in the name of the next file, NO_ZXID if this is the last one.
    """

    __slots__ = ("last_zxid", "next_zxid", "offset", "path")

    def __init__(self, path: str, offset: int, last_zxid: int, next_zxid: int) -> None:
        self.path = path
        self.offset = offset
        self.last_zxid = last_zxid
        self.next_zxid = next_zxid


def judge(disk: Disk, tail: Tail) -> Torn | None:
    """Decide what a tail is: None for nothing but zeros, Torn for the end of an unfinished write.

    Errors: CorruptLog for rot, with the file, the offset, the last zxid before it and a way out. OSError from the disk.
    """
    if tail.next_zxid == tail.last_zxid + 1:
        return None
    end = data_end(disk, tail.path, tail.offset)
    if end == tail.offset:
        return None
    torn = Torn(tail.path, tail.offset, end, tail.last_zxid)
    if tail.next_zxid != NO_ZXID and epoch_of(tail.next_zxid) == epoch_of(tail.last_zxid):
        raise rot(tail, f"although the next file begins with 0x{tail.next_zxid:x}")
    if end - tail.offset > MAX_TAIL_BYTES:
        raise rot(tail, f"followed by {end - tail.offset} bytes, more than one write")
    _judge_bytes(tail, disk.read(tail.path, tail.offset, end - tail.offset))
    return torn


def rot(tail: Tail, why: str) -> CorruptLog:
    """The error for damage that is not the end of an unfinished write."""
    return CorruptLog(
        f"{tail.path}: damaged at offset {tail.offset}, after zxid 0x{tail.last_zxid:x}, {why}. Transactions that were "
        f"acknowledged may be lost: restore the data directory from a backup or another member, or give up all after "
        f"that zxid by starting once with -D zoopark.truncateLog=0x{tail.last_zxid:x}"
    )


def data_end(disk: Disk, path: str, start: int) -> int:
    """The offset behind the last byte of a file that is not zero, at least `start`."""
    end, at = start, start
    while chunk := disk.read(path, at, CHUNK_BYTES):
        zeros = _ZEROS if len(chunk) == CHUNK_BYTES else bytes(len(chunk))
        if (
            chunk != zeros
        ):  # comparing goes ten times as fast as stripping, and there are 64 MiB of zeros at every start
            end = at + len(chunk.rstrip(b"\x00"))
        at += len(chunk)
    return end


def _judge_bytes(tail: Tail, data: bytes) -> None:
    """Return if `data`, which lies at the tail's offset and ends with no zero, is a torn write; raise if it is rot."""
    at, last_zxid = 0, tail.last_zxid
    while at < len(data):
        found = _find_entry(data, at, last_zxid)
        if found < 0:
            _judge_last(tail, data, at)
            return
        at, last_zxid = _judge_gap(tail, data, (at, found), last_zxid)


def _judge_gap(tail: Tail, data: bytes, gap: tuple[int, int], last_zxid: int) -> tuple[int, int]:
    """Rules 1 to 3 for damage up to a valid entry; returns where that one's chain ends, and the last zxid in it."""
    start, at = gap
    first = zxid_of_txn(decode_entry(data, at) or b"")
    if distance(last_zxid, first) == 1:
        raise rot(tail, f"although zxid 0x{first:x} follows at offset {tail.offset + at}")
    if not _has_lost_sector(data, (start, at), tail.offset):
        raise rot(tail, f"with the valid zxid 0x{first:x} behind it at offset {tail.offset + at}")
    while (txn := decode_entry(data, at)) is not None:
        at += ENTRY_EXTRA_BYTES + len(txn)
        last_zxid = zxid_of_txn(txn)
        if distance(tail.last_zxid, last_zxid) > MAX_BATCH_ENTRIES:
            raise rot(tail, f"with the valid zxid 0x{last_zxid:x} behind it, too far for an unfinished write")
    return at, last_zxid


def _judge_last(tail: Tail, data: bytes, at: int) -> None:
    """Rules 4 to 6 for damage that no valid entry follows."""
    rest = len(data) - at
    if rest <= ENTRY_HEAD_BYTES:
        return
    checksum, size = ENTRY_HEAD.unpack_from(data, at)
    if data[-1] == END_OF_RECORD and rest >= ENTRY_EXTRA_BYTES + MIN_TXN_BYTES:
        whole = decode_entry(
            data[:at] + ENTRY_HEAD.pack(checksum, rest - ENTRY_EXTRA_BYTES) + data[at + ENTRY_HEAD_BYTES :], at
        )
        if whole is not None:
            raise rot(tail, "by its length alone")
    if size > 0 and at + ENTRY_HEAD_BYTES + size >= len(data):
        return
    if not _has_lost_sector(data, (at, len(data)), tail.offset):
        raise rot(tail, "with no sector missing")


def _find_entry(data: bytes, start: int, last_zxid: int) -> int:
    """The offset of the first valid entry at or behind `start` with a zxid above `last_zxid`, or -1."""
    for match in _ENTRY_START.finditer(data, start):
        txn = decode_entry(data, match.start())
        if txn is not None and zxid_of_txn(txn) > last_zxid:
            return match.start()
    return -1


def _has_lost_sector(data: bytes, span: tuple[int, int], file_offset: int) -> bool:
    """Whether a sector of the file that reaches into the span is nothing but zeros from the span's start on.

    Args:
        data: bytes of the file.
        span: start and end of the damage in `data`.
        file_offset: where `data` starts in the file.
    """
    start, end = span
    at = start
    while at < end:
        sector_end = at + SECTOR_BYTES - (file_offset + at) % SECTOR_BYTES
        part = data[at:sector_end]
        if len(part) >= _MIN_HOLE_BYTES and not part.rstrip(b"\x00"):
            return True
        at = sector_end
    return False
