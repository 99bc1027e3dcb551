"""Runs with planted faults: by seeds, or as a scene, a hand-written order of crashes that seeds take long to find.

Both are the simulator's own ensembles under its own checkers; what a scene decides is who is killed and started when.
"""

from collections.abc import Callable
from typing import Final, final

from tests.planted.parts import Parts
from zoopark.sim.checkers.ledger import Ledger
from zoopark.sim.ensemble import Ensemble
from zoopark.sim.scenario import BROKEN, Plan
from zoopark.sim.world import SECOND, World

MANY: Final = 1 << 30
SERVED_EVENTS: Final = 6_000
"""How long runs with clients are."""

Plant = Callable[[Parts], None]


def nothing(parts: Parts) -> None:
    """The product as it is."""
    del parts


@final
class Stage:
    """An ensemble of members without clients, whose leader writes, for scenes.

    Args:
        parts: what the members and their hosts are made of.
        seed: of everything that the scene leaves open.
    """

    def __init__(self, parts: Parts, seed: int, n_voters: int = 3) -> None:
        self.ensemble: Ensemble = parts.ensemble.Ensemble(World(seed), parts.bare_kind(), n_voters, 0, 0)
        self.world = self.ensemble.world
        self.ledger: Ledger = self.ensemble.ledger
        self.ensemble.start()

    def until(self, condition: Callable[[], bool], limit_s: int = 60) -> None:
        """One event after the other until the condition holds; it must within so many seconds of the world."""
        until_us = self.world.now_us + limit_s * SECOND
        while not condition():
            assert self.world.now_us < until_us, "the scene does not get there"
            self.world.run(1)

    def wait(self, seconds: int) -> None:
        """Time passes in the world."""
        self.world.run(MANY, self.world.now_us + seconds * SECOND)

    def crash(self, *sids: int, has_power: bool = True) -> None:
        for sid in sids:
            self.ensemble.machines[sid].crash(has_power)

    def start(self, *sids: int) -> None:
        for sid in sids:
            self.ensemble.machines[sid].start()

    def grow(self, n_txns: int) -> None:
        """Until so many more transactions are committed."""
        start = len(self.ledger.committed)
        self.until(lambda: len(self.ledger.committed) >= start + n_txns)

    def settle(self) -> None:
        """Nobody writes until all who are up hold the same and serve."""
        self.ensemble.is_resting = True
        self.until(self._is_even)
        self.ensemble.is_resting = False

    def finish(self) -> None:
        """All are up, nothing is written, all serve and hold the same."""
        self.ensemble.heal()
        self.ensemble.is_resting = True
        self.until(self.ensemble.is_settled, 90)

    def serves(self, sid: int) -> bool:
        return self.ledger.mirrors[sid].is_serving

    def _is_even(self) -> bool:
        up = self.ensemble.up()
        zxids: set[int] = {self.ensemble.machines[sid].member.tree.last_zxid for sid in up}
        return len(zxids) == 1 and all(self.serves(sid) for sid in up)


Scene = Callable[[Stage], None]


def play(plant: Plant, scene: Scene, seed: int) -> str:
    """What goes wrong in a scene; "" if nothing does."""
    parts = Parts()
    plant(parts)
    try:
        stage = Stage(parts, seed)
        scene(stage)
        stage.finish()
    except BROKEN as error:
        return f"{type(error).__name__}: {error}"
    return ""


def run(plant: Plant, seed: int, nemeses: list[str], n_events: int, n_observers: int = 0) -> str:
    """What goes wrong in a run of members without clients; "" if nothing does."""
    parts = Parts()
    plant(parts)
    plan = Plan(seed, n_events, parts.bare_kind(), 3, n_observers, 0)
    plan.nemeses = nemeses
    found = parts.scenario.Run(plan)
    found.go()
    return str(found.failure)


def serve(plant: Plant, seed: int, workloads: list[str], nemeses: list[str], n_voters: int = 1) -> str:
    """What goes wrong in a run of one server, or of several, with clients; "" if nothing does."""
    parts = Parts()
    plant(parts)
    kind = parts.alone_kind() if n_voters == 1 else parts.whole_kind()
    plan = Plan(seed, SERVED_EVENTS, kind, n_voters)
    plan.workloads, plan.nemeses = workloads, nemeses
    found = parts.scenario.Run(plan)
    found.go()
    return str(found.failure)
