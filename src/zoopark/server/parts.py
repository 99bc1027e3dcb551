"""What all connections of one server share."""

from collections.abc import Callable
from typing import final

from zoopark.record import Now
from zoopark.server.config import Config
from zoopark.server.localsessions import LocalSessions
from zoopark.server.metrics import Metrics
from zoopark.server.pipeline import Pipeline
from zoopark.server.reads import Reads
from zoopark.server.throttles import ConnectionThrottle, RequestGate, WatchLimit
from zoopark.tree.tree import Tree


@final
class Parts:
    """The parts of one server that a connection talks to.

    Args:
        config: limits and switches.
        tree: the committed tree.
        pipeline: takes writes; it knows every session.
        metrics: counts.
        admission: lets clients open sessions.
        say: answers a four-letter word, without its connection being known.

    `to_close` gathers (connection id, why) of connections that are to be closed. `is_serving` is False while a member
    of an ensemble may not answer clients. `ask` has a learner's leader confirm a session: (session id, timeout in ms,
    connection id, now), then the connection is opened or refused; None where this server knows all sessions. `local`
    are the sessions that no other server knows; None on a server alone.
    """

    def __init__(
        self,
        config: Config,
        tree: Tree,
        pipeline: Pipeline,
        metrics: Metrics,
        admission: ConnectionThrottle,
        say: Callable[[bytes, Now], bytes],
    ) -> None:
        self.config = config
        self.tree = tree
        self.sessions = pipeline.preparer.sessions
        self.pipeline = pipeline
        self.metrics = metrics
        self.admission = admission
        self.gate = RequestGate(config, pipeline, metrics)
        self.watch_limit = WatchLimit(config, tree.watches)
        self.say = say
        self.reads = Reads(config, tree)
        self.to_close: list[tuple[int, str]] = []
        self.is_serving = True
        self.ask: Callable[[int, int, int, Now], None] | None = None
        self.local: LocalSessions | None = None

    def is_read_only(self) -> bool:
        """Whether this is a read-only server."""
        return self.local is not None and self.local.is_read_only

    def ask_leader(self, session_id: int, timeout_ms: int, connection_id: int, now: Now) -> None:
        """Have a session confirmed; see `ask`."""
        assert self.ask is not None, "nobody to ask"
        self.ask(session_id, timeout_ms, connection_id, now)
