"""Whether writes are answered while a majority is well and connected: pure.

no majority ── majority, clock at 0 ── nothing written for STALL_S: Violation
     ^               │ ^
     └── lost ───────┘ └── somebody of it falls away, and those who are left do not serve with the leader: again at 0
"""

from typing import Final, final

from chaos.faults import LULL_S
from zoopark.sim.checkers import Violation

STALL_S: Final = LULL_S - 5.0
"""How long nothing may be written; every lull is long enough to find out."""


@final
class Stall:
    """Told again and again how it stands, from now_s on.

    Attributes:
        now_s: for how long nothing has been written.
        longest_s: the longest of that.
        armed_s: how long a majority had been well for STALL_S, so that silence would have been found.
    """

    def __init__(self, now_s: float) -> None:
        self._looked_s = self._since_s = now_s
        self._well: frozenset[int] = frozenset()
        self.now_s = self.longest_s = self.armed_s = 0.0

    def look(self, now_s: float, well: frozenset[int], is_led: bool, written_s: float) -> None:
        """Look at it once more.

        Args:
            now_s: the time.
            well: the members of a majority that must be able to go on, empty if there is none.
            is_led: whether a majority of members serves within it, with their leader.
            written_s: when a write was answered last.

        Raises Violation.
        """
        if not well or (self._well - well and not is_led):
            self._since_s = now_s
        self._well = well
        if now_s - self._since_s > STALL_S:
            self.armed_s += now_s - self._looked_s
        self._looked_s = now_s
        self.now_s = now_s - max(self._since_s, written_s)
        self.longest_s = max(self.longest_s, self.now_s)
        if self.now_s > STALL_S:
            raise Violation(f"liveness: no write for {self.now_s:.0f} s, while {sorted(well)} are well and connected")
