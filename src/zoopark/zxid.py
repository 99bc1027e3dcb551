"""Transaction ids: the epoch in the high 32 bits, a counter in the low 32 bits."""

from typing import Final

COUNTER_MASK: Final = 0xFFFFFFFF
MAX_EPOCH: Final = (1 << 31) - 1
"""The highest half of a zxid is signed."""


def make_zxid(epoch: int, counter: int) -> int:
    """The zxid of transaction `counter` (0 … 2**32-1) of `epoch` (0 … 2**31-1)."""
    assert 0 <= counter <= COUNTER_MASK, counter
    assert 0 <= epoch <= MAX_EPOCH, epoch
    return epoch << 32 | counter


def epoch_of(zxid: int) -> int:
    """The epoch, as ZooKeeper computes it (arithmetic shift)."""
    return zxid >> 32


def counter_of(zxid: int) -> int:
    """The counter within the epoch."""
    return zxid & COUNTER_MASK
