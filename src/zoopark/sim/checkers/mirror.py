"""What one member's log holds, as far as anybody outside can know: what it was given, and what its disk finished.

A history is known by a chain: a number for every zxid that stands for all transactions up to it, so that two histories
are equal up to a zxid exactly if their chains there are.
"""

from bisect import bisect_right
from typing import Final, final
from zlib import crc32

from zoopark.sim.checkers import Violation
from zoopark.zxid import counter_of, epoch_of

GENESIS: Final = 0


def link_chain(chain: int, zxid: int, txn: bytes) -> int:
    """The chain after one more transaction."""
    return hash((chain, zxid, crc32(txn)))


@final
class Mirror:
    """One member's history.

    Attributes:
        zxids, chains: what it was given after `start`, and the chain after each.
        start: (zxid, chain) before the first of them; a snapshot begins there.
        n_durable: how many of them its disk holds for certain.
        current_epoch, accepted_epoch: the epochs that its disk holds.
        state, is_serving, epoch, leader_sid: its role as of now; -1 before the first one.
        interrupted_zxid: of a truncation or a snapshot that the end of its life interrupted; -1 if there is none.
        is_up: whether it runs.
        life: counts its starts.
    """

    __slots__ = (
        "accepted_epoch",
        "applied_zxid",
        "chains",
        "current_epoch",
        "epoch",
        "interrupted_zxid",
        "is_serving",
        "is_up",
        "leader_sid",
        "life",
        "n_durable",
        "sid",
        "start",
        "state",
        "zxids",
    )

    def __init__(self, sid: int) -> None:
        self.sid = sid
        self.life = 0
        self.is_up = False
        self.state = -1
        self.is_serving = False
        self.epoch = 0
        self.leader_sid = -1
        self.applied_zxid = 0
        self.wipe()

    def wipe(self) -> None:
        """Everything is gone."""
        self.start = (0, GENESIS)
        self.zxids: list[int] = []
        self.chains: list[int] = []
        self.n_durable = 0
        self.interrupted_zxid = -1
        self.current_epoch = self.accepted_epoch = 0

    def last_zxid(self) -> int:
        """The last transaction it was given."""
        return self.zxids[-1] if self.zxids else self.start[0]

    def last_chain(self) -> int:
        return self.chains[-1] if self.chains else self.start[1]

    def durable_zxid(self) -> int:
        """The last transaction that its disk holds for certain."""
        return self.zxids[self.n_durable - 1] if self.n_durable else self.start[0]

    def chain_at(self, zxid: int) -> int:
        """The chain of all transactions up to and including `zxid`; that must not lie before `start`."""
        at = bisect_right(self.zxids, zxid)
        if at:
            return self.chains[at - 1]
        assert zxid >= self.start[0], (self.sid, zxid, self.start)
        return self.start[1]

    def holds(self, zxid: int) -> bool:
        """Whether its disk holds the history up to and including the transaction `zxid` for certain."""
        if zxid <= self.start[0]:
            return True
        at = bisect_right(self.zxids, zxid, 0, self.n_durable)
        return at > 0 and self.zxids[at - 1] == zxid

    def append(self, zxid: int, txn: bytes) -> int:
        """One more transaction; returns the chain after it. Violation if there is a hole before it."""
        last = self.last_zxid()
        is_next = zxid == last + 1 if epoch_of(zxid) == epoch_of(last) else counter_of(zxid) == 1 and zxid > last
        if not is_next:
            raise Violation(f"I-5: member {self.sid} is given {zxid:#x} after {last:#x}")
        chain = link_chain(self.last_chain(), zxid, txn)
        self.zxids.append(zxid)
        self.chains.append(chain)
        return chain

    def log_up_to(self, zxid: int) -> None:
        """Its disk finished everything up to `zxid`."""
        self.n_durable = max(self.n_durable, bisect_right(self.zxids, zxid))

    def between(self, after_zxid: int, upto_zxid: int) -> list[int]:
        """The zxids after the first and up to the second, of those it was given since `start`."""
        return self.zxids[bisect_right(self.zxids, after_zxid) : bisect_right(self.zxids, upto_zxid)]

    def cut(self, zxid: int) -> list[int]:
        """Forget everything after `zxid`, and count the rest as durable; returns what was forgotten."""
        keep = bisect_right(self.zxids, zxid)
        gone = self.zxids[keep:]
        del self.zxids[keep:], self.chains[keep:]
        self.n_durable = keep
        return gone

    def restart_at(self, zxid: int, chain: int) -> None:
        """A snapshot took the place of the history."""
        self.zxids, self.chains, self.n_durable = [], [], 0
        self.start = (zxid, chain)
