"""What the log of this member holds.

    ... | window, the last 500 applied | pending, logged or being logged |
                                       ^                     ^           ^
                                 applied_zxid          durable_zxid   last_zxid     durable_zxid may lie anywhere

Between two elections, and after a start, everything logged is applied and nothing is pending.

What this must never do: hold a zxid that was not given to the log; leave a transaction out of the window
(ZOOKEEPER-4925: a later DIFF from it has a hole); keep in the window what a truncation or a snapshot took back.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final, final

from zoopark.zab.outbox import Entry
from zoopark.zxid import MAX_EPOCH, counter_of, epoch_of

WINDOW_TXNS: Final = 500
"""commitLogCount."""
CURRENT_EPOCH: Final = "currentEpoch"
ACCEPTED_EPOCH: Final = "acceptedEpoch"


def is_next(zxid: int, previous: int) -> bool:
    """Whether `zxid` follows `previous` in a history without holes: the next counter, or 1 in a later epoch."""
    if zxid == previous + 1:
        return counter_of(zxid) != 0
    return zxid > previous and counter_of(zxid) == 1 and epoch_of(zxid) != epoch_of(previous)


@final
class History:
    """The log, the epochs, and what is on its way to the disk.

    Args:
        last_zxid: of the last transaction that was recovered; all of them are applied.
        window: the last transactions that were recovered, in order, without holes; fewer or none will do.
        current_epoch: the value of currentEpoch on disk.
        accepted_epoch: the value of acceptedEpoch on disk.

    Public state, changed here only: `last_zxid` (given to the log), `durable_zxid`, `applied_zxid`, `window`,
    `pending`, `current_epoch` and `accepted_epoch` as on disk; `saving` (name, epoch), `truncating` (zxid) and
    `receiving` (zxid of a snapshot), None unless the disk is at it.
    """

    __slots__ = (
        "accepted_epoch",
        "applied_zxid",
        "current_epoch",
        "durable_zxid",
        "last_zxid",
        "pending",
        "receiving",
        "saving",
        "truncating",
        "window",
    )

    def __init__(
        self, last_zxid: int, window: Iterable[Entry] = (), current_epoch: int = 0, accepted_epoch: int = 0
    ) -> None:
        self.last_zxid = self.durable_zxid = self.applied_zxid = last_zxid
        self.window = deque(window, maxlen=WINDOW_TXNS)
        self.pending: deque[Entry] = deque()
        self.current_epoch = current_epoch
        self.accepted_epoch = accepted_epoch
        self.saving: tuple[str, int] | None = None
        self.truncating: int | None = None
        self.receiving: int | None = None
        assert 0 <= current_epoch <= accepted_epoch <= MAX_EPOCH, (current_epoch, accepted_epoch)
        assert epoch_of(last_zxid) <= accepted_epoch, (last_zxid, accepted_epoch)
        assert not self.window or self.window[-1][0] == last_zxid, last_zxid

    def is_settled(self) -> bool:
        """Whether the disk has answered everything."""
        is_idle = self.saving is None and self.truncating is None and self.receiving is None
        return is_idle and self.durable_zxid == self.last_zxid

    def append(self, entry: Entry) -> None:
        """A transaction is given to the log."""
        assert is_next(entry[0], self.last_zxid), (entry[0], self.last_zxid)
        self.pending.append(entry)
        self.last_zxid = entry[0]

    def on_logged(self, zxid: int) -> None:
        """Everything up to `zxid` is durable."""
        assert zxid <= self.last_zxid, (zxid, self.last_zxid)
        self.durable_zxid = max(self.durable_zxid, zxid)

    def apply(self, upto_zxid: int) -> list[Entry]:
        """The pending transactions up to `upto_zxid`, in order; they count as applied."""
        assert upto_zxid <= self.last_zxid, (upto_zxid, self.last_zxid)
        pending, entries = self.pending, []
        while pending and pending[0][0] <= upto_zxid:
            entries.append(pending.popleft())
        if entries:
            self.window.extend(entries)
            self.applied_zxid = entries[-1][0]
        return entries

    def save(self, name: str, epoch: int) -> None:
        """An epoch is given to the disk."""
        assert self.saving is None, self.saving
        assert epoch > (self.current_epoch if name == CURRENT_EPOCH else self.accepted_epoch), (name, epoch)
        self.saving = (name, epoch)

    def on_epoch_saved(self) -> None:
        """The disk has it: only now is it the epoch (ZOOKEEPER-2307)."""
        assert self.saving is not None, "no epoch was saved"
        name, epoch = self.saving
        self.saving = None
        if name == CURRENT_EPOCH:
            self.current_epoch = epoch
        else:
            self.accepted_epoch = epoch
        assert self.current_epoch <= self.accepted_epoch, (name, epoch)

    def truncate(self, zxid: int) -> None:
        """The disk is asked to forget what is after `zxid`."""
        assert self.is_settled(), "a truncation beside other work of the disk"
        assert zxid < self.last_zxid, (zxid, self.last_zxid)
        self.truncating = zxid

    def on_truncated(self, zxid: int) -> None:
        """Log and tree end at `zxid`."""
        assert self.truncating is not None, "nothing was truncated"
        assert zxid <= self.truncating, (zxid, self.truncating)
        self.truncating = None
        kept = [entry for entry in self.window if entry[0] <= zxid]
        self._begin_at(zxid, kept if kept and kept[-1][0] == zxid else [])

    def receive(self, zxid: int) -> None:
        """A snapshot of a tree at `zxid` is on its way."""
        assert self.is_settled(), "a snapshot beside other work of the disk"
        self.receiving = zxid

    def on_snapshot_saved(self, zxid: int) -> None:
        """Log and tree begin with the snapshot."""
        assert self.receiving == zxid, (self.receiving, zxid)
        self.receiving = None
        self._begin_at(zxid, [])

    def on_snapshot_lost(self) -> None:
        """The snapshot never was."""
        assert self.receiving is not None, "no snapshot was on its way"
        self.receiving = None

    def _begin_at(self, zxid: int, window: list[Entry]) -> None:
        assert not self.pending, "transactions without a base"
        self.last_zxid = self.durable_zxid = self.applied_zxid = zxid
        self.window = deque(window, maxlen=WINDOW_TXNS)
