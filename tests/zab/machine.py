"""A host of one Peer for tests: a disk that takes its time, a tree that is a list, and a crash at any moment."""

from collections import deque

from zoopark.jute.quorum import QuorumPacket
from zoopark.record import Effect, Now
from zoopark.zab.effects import Append, ReadLog, SaveEpoch, Truncate
from zoopark.zab.history import History
from zoopark.zab.outbox import Entry
from zoopark.zab.peer import Peer
from zoopark.zab.settings import PeerSettings

Item = QuorumPacket | list[Entry] | None
"""What travels on a link: a packet, the tree of a snapshot, or its end."""


class Wire:
    """One direction of a link, first in, first out."""

    def __init__(self, sender: int, receiver: int, number: int) -> None:
        self.sender = sender
        self.receiver = receiver
        self.number = number
        self.items: deque[Item] = deque()


class Saved:
    """Disk work: a whole snapshot that came on a link."""

    def __init__(self, zxid: int, entries: list[Entry]) -> None:
        self.zxid = zxid
        self.entries = entries


Work = Append | SaveEpoch | Truncate | ReadLog | Saved


class Machine:
    """One member. `log`, `current_epoch` and `accepted_epoch` survive a crash, the rest does not.

    The log stands for snapshots too: it is the whole history, of which a recovered window is any end.
    """

    def __init__(self, settings: PeerSettings) -> None:
        self.settings = settings
        self.log: list[Entry] = []
        self.current_epoch = 0
        self.accepted_epoch = 0
        self.peer: Peer | None = None
        self.tree: list[Entry] = []
        self.effects: deque[Effect] = deque()
        self.work: deque[Work] = deque()
        self.receiving: int | None = None

    def start(self, now: Now, n_window: int = 500) -> None:
        """Recover, with so many transactions at hand, and begin."""
        assert self.peer is None
        window = self.log[-n_window:] if n_window else []
        last_zxid = self.log[-1][0] if self.log else 0
        self.tree = list(self.log)
        self.peer = Peer(self.settings, History(last_zxid, window, self.current_epoch, self.accepted_epoch))
        self.peer.on_start(now)

    def crash(self, share: float = 0.0) -> None:
        """Everything volatile is lost; of a write that was under way, a beginning stays, `share` of it."""
        if self.work and isinstance(self.work[0], Append):
            self.log += self.work[0].entries[: round(share * len(self.work[0].entries))]
        self.peer = None
        self.tree = []
        self.effects.clear()
        self.work.clear()
        self.receiving = None

    def appended(self) -> list[Entry]:
        """The log with what is on its way to it."""
        waiting = [entry for work in self.work if isinstance(work, Append) for entry in work.entries]
        waiting += [entry for effect in self.effects if isinstance(effect, Append) for entry in effect.entries]
        return self.log + waiting

    def finish_work(self, now: Now, has_old_logs: bool = True) -> None:
        """The disk has done the first thing it was asked."""
        assert self.peer is not None
        work = self.work.popleft()
        if isinstance(work, Append):
            self.log += work.entries
            self.peer.on_logged(work.zxid, now)
        elif isinstance(work, SaveEpoch):
            self._save(work)
            self.peer.on_epoch_saved(now)
        elif isinstance(work, Truncate):
            self.log = [entry for entry in self.log if entry[0] <= work.zxid]
            self.tree = list(self.log)
            self.peer.on_truncated(self.log[-1][0] if self.log else 0, now)
        elif isinstance(work, ReadLog):
            self.peer.on_log_read(work.link, self._read(work) if has_old_logs else None, now)
        else:
            self.log = list(work.entries)
            self.tree = list(work.entries)
            self.receiving = None
            self.peer.on_snapshot_saved(work.zxid, now)

    def _save(self, work: SaveEpoch) -> None:
        if work.name == "currentEpoch":
            assert work.epoch > self.current_epoch
            self.current_epoch = work.epoch
        else:
            assert work.epoch > self.accepted_epoch
            self.accepted_epoch = work.epoch

    def _read(self, work: ReadLog) -> list[Entry] | None:
        start = max((at for at, (zxid, _) in enumerate(self.log) if zxid <= work.from_zxid), default=-1)
        if start < 0:
            return None
        return [entry for entry in self.log[start:] if entry[0] <= work.upto_zxid]
