"""Copies of the product's parts, in which a test may replace one method or function and nothing else changes.

A copy is made from the source text and belongs to one test. Copies know each other where the originals do: the copied
Peer makes copied Learners, and a copied simulator runs on copied machines. What is not copied is the product's own, the
checkers above all.
"""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Final

from zoopark.sim.ensemble import Kind, role_alone
from zoopark.sim.whole import role_of
from zoopark.zab import leader

IS_COMPILED: Final = not str(leader.__file__).endswith(".py")
"""Compiled parts know each other by type and take no copy in the place of another."""
SOURCES: Final = Path(__file__).parents[2] / "src" / "zoopark"

Part = Any
"""A copied module; its names are those of the original."""


def copy_of(name: str) -> Part:
    """A module of the product as it would be after an import, known to nobody; `name` is "zab/learner"."""
    spec = spec_from_file_location(f"planted.{name.replace('/', '.')}", SOURCES / f"{name}.py")
    assert spec is not None and spec.loader is not None, name
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Parts:
    """Copied modules, linked to each other; as they are, they behave as the product."""

    def __init__(self) -> None:
        self.history = copy_of("zab/history")
        self.delivery = copy_of("zab/delivery")
        self.broadcast = copy_of("zab/broadcast")
        self.learner = copy_of("zab/learner")
        self.leader = copy_of("zab/leader")
        self.peer = copy_of("zab/peer")
        self.whole = copy_of("sim/whole")
        self.bare = copy_of("sim/bare")
        self.storage = copy_of("sim/storage")
        self.machine = copy_of("sim/machine")
        self.ensemble = copy_of("sim/ensemble")
        self.scenario = copy_of("sim/scenario")
        self.learner.Delivery = self.delivery.Delivery
        self.leader.Broadcast = self.broadcast.Broadcast
        self.peer.Learner = self.learner.Learner
        self.peer.Leader = self.leader.Leader
        self.bare.Peer = self.peer.Peer
        self.whole.History = self.history.History
        self.bare.history_of = self.whole.history_of
        self.machine.Storage = self.storage.Storage
        self.ensemble.Machine = self.machine.Machine
        self.scenario.Ensemble = self.ensemble.Ensemble

    def bare_kind(self) -> Kind:
        """Members that only agree."""
        return Kind(self.bare.build_bare, role_of, has_quorum_links=True)

    def whole_kind(self) -> Kind:
        """Members with clients."""
        return Kind(self.whole.build_whole, role_of, has_quorum_links=True)

    def alone_kind(self) -> Kind:
        """A server with clients."""
        return Kind(self.ensemble.build_alone, role_alone, has_quorum_links=False)
