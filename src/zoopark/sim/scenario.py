"""A run: an ensemble, what its clients do, what befalls it, and whether it comes to rest again afterwards.

    n events of everything ── all is healed ── until every member serves and agrees, and every client is served
                           ── quiet, for longer than a session lasts ── the histories are searched

Everything about a run follows from its seed: which workloads, which nemeses, how lazy the hosts are. A run that fails
can be cut: with the same seed and fewer events the same things happen up to there.
"""

import struct
from collections.abc import Callable
from typing import Final, final

from zoopark.errors import ZooparkError
from zoopark.sim.checkers import Violation
from zoopark.sim.checkers.linear import Operation, search
from zoopark.sim.ensemble import ALONE, Ensemble, Kind
from zoopark.sim.nemesis import NEMESES, Fate
from zoopark.sim.workloads import WORKLOADS, mix
from zoopark.sim.world import SECOND, World

REST_US: Final = 90 * SECOND
LOOK_US: Final = SECOND // 4
QUIET_US: Final = 8 * SECOND
"""Longer than any session lasts without its client."""
BROKEN: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    Violation,
    ZooparkError,
    struct.error,
)
"""What a run may end with: a guarantee that does not hold, or a defect."""


@final
class Plan:
    """What a run is made of.

    Args:
        seed: decides everything that is left open.
        n_events: after how many events everything is healed.
        kind: what the members are.
        n_voters, n_observers: how many there are.
        n_clients: how many clients; members without clients have none.

    Attributes:
        workloads, nemeses: names; None lets the seed choose some.
    """

    __slots__ = ("kind", "n_clients", "n_events", "n_observers", "n_voters", "nemeses", "seed", "workloads")

    def __init__(
        self, seed: int, n_events: int, kind: Kind = ALONE, n_voters: int = 1, n_observers: int = 0, n_clients: int = 5
    ) -> None:
        self.seed = seed
        self.n_events = n_events
        self.kind = kind
        self.n_voters = n_voters
        self.n_observers = n_observers
        self.n_clients = n_clients
        self.workloads: list[str] | None = None
        self.nemeses: list[str] | None = None

    def shortened(self, n_events: int) -> "Plan":
        """The same run with fewer events."""
        plan = Plan(self.seed, n_events, self.kind, self.n_voters, self.n_observers, self.n_clients)
        plan.workloads, plan.nemeses = self.workloads, self.nemeses
        return plan


@final
class Run:
    """One run of a plan.

    Attributes:
        world, ensemble: as it left them.
        failure: what was violated, "" if nothing was.
    """

    __slots__ = ("ensemble", "failure", "fate", "plan", "world")

    def __init__(self, plan: Plan, tell: Callable[[str], None] | None = None) -> None:
        self.plan = plan
        self.world = World(plan.seed, tell)
        self.failure = ""
        random = self.world.random
        self.ensemble = Ensemble(self.world, plan.kind, plan.n_voters, plan.n_observers, plan.n_clients)
        for client in self.ensemble.clients:
            client.draw = mix(plan.workloads or random.sample(list(WORKLOADS), 3))
        for machine in self.ensemble.machines.values():
            machine.is_lazy = random.random() < 0.3
        names = random.sample(list(NEMESES), random.randrange(2, 8)) if plan.nemeses is None else plan.nemeses
        self.fate = Fate(self.ensemble, names)

    def go(self) -> bool:
        """Let it happen; whether every guarantee held. `failure` and the world's `count` tell where it did not."""
        try:
            self.ensemble.start()
            self.fate.start()
            self.world.run(self.plan.n_events)
            self._come_to_rest()
            self._be_quiet()
            self._search()
        except BROKEN as error:
            self.failure = f"{type(error).__name__}: {error}"
        return not self.failure

    def _come_to_rest(self) -> None:
        """Nothing bad happens any more: every member must serve, and all must agree."""
        self.ensemble.is_resting = True
        self.fate.stop()
        for client in self.ensemble.clients:
            client.is_resting = True
        self._until_rest()

    def _until_rest(self) -> None:
        until_us = self.world.now_us + REST_US
        while not self.ensemble.is_at_rest():
            if self.world.now_us >= until_us:
                raise Violation(f"liveness: not everybody serves or is served {REST_US // SECOND} s after all is well")
            self.world.run(1 << 30, self.world.now_us + LOOK_US)

    def _be_quiet(self) -> None:
        """Sessions whose clients go on talking stay, and all others end, with their ephemerals."""
        if not self.ensemble.clients:
            return
        held = {client.view.session.session_id: client.view.name for client in self.ensemble.clients}
        self.world.run(1 << 30, self.world.now_us + QUIET_US)
        self._until_rest()
        sessions = self.ensemble.truth.sessions
        for session_id, name in held.items():
            if sessions.get(session_id):
                raise Violation(f"session: {session_id:#x} of {name}, which never stopped talking, has ended")
        for session_id, closed in sessions.items():
            if not closed and session_id not in held:
                raise Violation(f"session: {session_id:#x} belongs to nobody and has not ended")
        for sid, machine in self.ensemble.machines.items():
            tree = machine.member.tree
            self.ensemble.truth.check_sessions(sid, tree.sessions, tree.ephemerals)

    def _search(self) -> None:
        """Every znode's history, as clients saw it, must be that of one znode."""
        histories: dict[bytes, list[Operation]] = {}
        for client in self.ensemble.clients:
            client.end()
            for path, operations in client.history.items():
                histories.setdefault(path, []).extend(operations)
        for _ in range(search(histories)):
            self.world.mark("history too long to search")


def shortest(plan: Plan) -> int:
    """How many events of a run that fails are enough to make it fail."""
    low, high = 0, plan.n_events
    while low < high:
        middle = (low + high) // 2
        if Run(plan.shortened(middle)).go():
            low = middle + 1
        else:
            high = middle
    return high
