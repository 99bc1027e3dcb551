"""What all connections of one server share."""

from collections.abc import Callable
from typing import final

from zoopark.record import Now
from zoopark.server.config import Config
from zoopark.server.metrics import Metrics
from zoopark.server.pipeline import Pipeline
from zoopark.server.reads import Reads
from zoopark.server.sessions import SessionTracker
from zoopark.tree.tree import Tree


@final
class Parts:
    """The parts of one server that a connection talks to.

    Args:
        config: limits and switches.
        tree: the committed tree.
        sessions: every session.
        pipeline: takes writes.
        metrics: counts.
        say: answers a four-letter word, without its connection being known.

    `to_close` gathers (connection id, why) of connections that are to be closed, `moved` the ids of connections that
    another one with the same session replaces.
    """

    def __init__(
        self,
        config: Config,
        tree: Tree,
        sessions: SessionTracker,
        pipeline: Pipeline,
        metrics: Metrics,
        say: Callable[[bytes, Now], bytes],
    ) -> None:
        self.config = config
        self.tree = tree
        self.sessions = sessions
        self.pipeline = pipeline
        self.metrics = metrics
        self.say = say
        self.reads = Reads(config, tree)
        self.to_close: list[tuple[int, str]] = []
