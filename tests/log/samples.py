"""Transactions, logs and golden bytes for the tests of the durable column."""

from pathlib import Path
from struct import Struct

from zoopark.log.disk import Disk
from zoopark.log.logreader import LogReader, repair
from zoopark.log.txnlog import TxnLog

GOLDEN = Path(__file__).parent.parent / "golden"
TXN_HEADER = Struct(">qiqqi")
Entry = tuple[int, bytes]


def golden(name: str) -> bytes:
    """The bytes of a golden file; its first line says where they come from."""
    provenance, *lines = (GOLDEN / f"{name}.hex").read_text().splitlines()
    assert provenance.startswith("# "), provenance
    return bytes.fromhex("".join(lines))


def txn(zxid: int, size_bytes: int = 60) -> bytes:
    """A transaction of a setData-like body without any zero bytes, different for every zxid and size."""
    head = TXN_HEADER.pack(0x1000000000000AB, 7, zxid, 1_700_000_000_000, 5)
    body = bytes((zxid * 31 + i * 7) % 255 + 1 for i in range(max(0, size_bytes - len(head))))
    return head + body


def entries(first_zxid: int, count: int, size_bytes: int = 60) -> list[Entry]:
    """`count` entries with consecutive zxids."""
    return [(zxid, txn(zxid, size_bytes)) for zxid in range(first_zxid, first_zxid + count)]


def read_all(disk: Disk, directory: str, first_zxid: int = 0) -> tuple[list[Entry], LogReader]:
    """Everything a reader gives, and the reader at its end."""
    reader = LogReader(disk, directory, first_zxid)
    found: list[Entry] = []
    while batch := reader.next_batch():
        found += batch
    return found, reader


def recover(disk: Disk, directory: str, preallocation_bytes: int = 4096) -> tuple[list[Entry], TxnLog]:
    """What a server does at start: read all, mend the end, be ready to append."""
    found, reader = read_all(disk, directory)
    repair(disk, directory, reader)
    return found, TxnLog(disk, directory, reader.last_zxid, preallocation_bytes)
