"""Everybody who is connected to one server: who may come, who has something to hear, who has to go.

What it must never do: decide anything about sessions or transactions.
"""

from random import Random
from typing import final

from zoopark.record import Effect, Now
from zoopark.server.config import Config
from zoopark.server.connection import CLOSING, NEW, OPENING, Connection
from zoopark.server.effects import CloseLink, Flush, Note
from zoopark.server.metrics import Metrics
from zoopark.server.parts import Parts
from zoopark.server.pipeline import Pipeline
from zoopark.server.throttles import ConnectionThrottle
from zoopark.server.words import Words
from zoopark.tree.tree import Tree


@final
class Clients:
    """The connections of one server, and what they share.

    Args:
        config: limits and switches.
        tree: the committed tree.
        pipeline: takes writes; it knows every session.
        metrics: counts.
        random: decides which connections a throttle drops.
        now: the moment of the start.

    Attributes:
        connections: by their ids.
        parts: what every connection talks to; `words` answers the four-letter words.
        effects: what the host is to do; `take` adds what connections have to say behind it.
    """

    def __init__(
        self, config: Config, tree: Tree, pipeline: Pipeline, metrics: Metrics, random: Random, now: Now
    ) -> None:
        self.config = config
        self.tree = tree
        self.metrics = metrics
        self.connections: dict[int, Connection] = {}
        self.words = Words(config, tree, pipeline.preparer.sessions, pipeline, self.connections, metrics)
        admission = ConnectionThrottle(config, random, metrics, now.mono_ms)
        self.parts = Parts(config, tree, pipeline, metrics, admission, self.words.answer)
        self.effects: list[Effect] = []
        self._dirty: list[Connection] = []
        self._greeting: dict[int, int] = {}
        self._n_by_address: dict[str, int] = {}
        self._last_connection_id = 0

    def on_connect(self, address: str, port: int, now: Now) -> Connection | None:
        """Somebody connected from this IP address; None if a limit is reached and the host should close at once."""
        config = self.config
        n_same = self._n_by_address.get(address, 0)
        if 0 < config.max_client_cnxns <= n_same:
            self.note(f"too many connections from {address}: {n_same} (maxClientCnxns)", address)
            self.metrics.connections_rejected += 1
            return None
        if 0 < config.max_cnxns <= len(self.connections):
            self.note(f"too many connections, {address} is refused: {len(self.connections)} (maxCnxns)", address)
            self.metrics.connections_rejected += 1
            return None
        self._last_connection_id += 1
        connection = Connection(self._last_connection_id, address, port, self.parts, now.mono_ms)
        self.connections[connection.connection_id] = connection
        self._n_by_address[address] = n_same + 1
        self._greeting[connection.connection_id] = now.mono_ms + config.sessionless_cnxn_timeout_ms
        return connection

    def on_disconnect(self, connection: Connection) -> None:
        """The connection is gone; its session lives on until it expires."""
        if self.connections.pop(connection.connection_id, None) is None:
            return
        self._greeting.pop(connection.connection_id, None)
        left = self._n_by_address[connection.address] - 1
        if left:
            self._n_by_address[connection.address] = left
        else:
            del self._n_by_address[connection.address]
        connection.settle_counts()
        connection.state = CLOSING
        connection.waiting.clear()
        self.tree.watches.leave(connection.connection_id)
        session = connection.session
        if session is not None and session.connection == connection.connection_id:
            session.connection = 0

    def find_dirty(self, connection_id: int) -> Connection | None:
        """The connection, noted as one that has something to say; None if it is gone."""
        connection = self.connections.get(connection_id)
        if connection is not None and not connection.is_dirty:
            connection.is_dirty = True
            self._dirty.append(connection)
        return connection

    def tell_watchers(self) -> None:
        """Tell of the watches that fired; none is left in `tree.fired`."""
        for watcher, event, path, zxid, acl in self.tree.fired:
            connection = self.find_dirty(watcher)
            if connection is not None:
                connection.on_event(event, path, zxid, acl)
        self.tree.fired.clear()

    def close_all(self, why: str) -> None:
        """Close every connection that has a session, or waits for one."""
        for connection in self.connections.values():
            if connection.state != NEW:
                connection.close(why)

    def close_silent(self, now: Now) -> None:
        """Close connections that did not open a session in time."""
        for connection_id, due_ms in list(self._greeting.items()):
            if due_ms > now.mono_ms:
                return
            del self._greeting[connection_id]
            connection = self.connections.get(connection_id)
            if connection is not None and connection.state in (NEW, OPENING):
                self.metrics.sessionless_expired += 1
                connection.close("no session within nio.sessionlessCnxnTimeout")

    def deadline(self) -> int | None:
        """When to call `close_silent`."""
        return next(iter(self._greeting.values())) if self._greeting else None

    def note(self, text: str, who: str = "") -> None:
        """One line for the log, perhaps because of what somebody at the address `who` does."""
        self.effects.append(Note(text, who))

    def take(self, effects: list[Effect]) -> None:
        """Add what is to be written, then what is to be closed."""
        if self._dirty:
            effects.append(Flush(self._dirty))
            for connection in self._dirty:
                connection.is_dirty = False
            self._dirty = []
        if self.parts.to_close:
            self._take_closing(effects)

    def has_effects(self) -> bool:
        """Whether there is something for the host."""
        return bool(self._dirty or self.parts.to_close or self.effects)

    def _take_closing(self, effects: list[Effect]) -> None:
        for connection_id, why in self.parts.to_close:
            connection = self.connections.get(connection_id)
            if connection is not None:
                connection.state = CLOSING
                effects.append(CloseLink(connection, why))
        self.parts.to_close = []
