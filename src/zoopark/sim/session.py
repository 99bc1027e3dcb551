"""What a client knows of its own session: what it needs to go on with it at another server.

It must never: doubt what it is told. That is for `zoopark.sim.checkers.sessions`, at once or later.
"""

from typing import Final, final

from zoopark import errors
from zoopark.jute import proto
from zoopark.sim.asks import CHILD, DATA, EXIST, Answer, Ask
from zoopark.tree.watches import NODE_CHILDREN_CHANGED, NODE_DELETED

IN_DATA: Final = 0
IN_CHILD: Final = 1
"""The tables of watches: one event of the first takes both a DATA and an EXIST away."""


@final
class Session:
    """One client, from session to session.

    Attributes:
        session_id: of the session now, 0 without one.
        last_zxid: the newest one it was told.
        watches: (zxid of the answer that left it, DATA, EXIST or CHILD) by (table, path).
    """

    __slots__ = ("last_zxid", "session_id", "watches")

    def __init__(self) -> None:
        self.session_id = 0
        self.last_zxid = 0
        self.watches: dict[tuple[int, bytes], tuple[int, int]] = {}

    def on_connected(self, session_id: int) -> None:
        """The server says which session this is."""
        self.session_id = session_id

    def on_over(self) -> None:
        """The session is over. The next one is one of another client: it may begin at a server that lags."""
        self.session_id = 0
        self.last_zxid = 0
        self.watches.clear()

    def on_zxid(self, zxid: int) -> None:
        """The header of any reply but a notification."""
        self.last_zxid = max(self.last_zxid, zxid)

    def on_event(self, event: int, path: bytes) -> None:
        """A notification: these watches have fired."""
        if event == NODE_CHILDREN_CHANGED:
            self.watches.pop((IN_CHILD, path), None)
        else:
            self.watches.pop((IN_DATA, path), None)
            if event == NODE_DELETED:
                self.watches.pop((IN_CHILD, path), None)

    def on_rearmed(self, zxid: int) -> None:
        """A setWatches was answered: from here on again. A node that came and went meanwhile is not told."""
        for key, (_, kind) in list(self.watches.items()):
            if kind == EXIST:
                self.watches[key] = (zxid, kind)

    def on_answer(self, ask: Ask, answer: Answer) -> None:
        """An answer; a watch that was there before stays as it is."""
        is_there = answer.err == errors.OK
        if not ask.is_watched or not (is_there or ask.op == proto.EXISTS):
            return
        if ask.op == proto.GET_CHILDREN:
            self.watches.setdefault((IN_CHILD, ask.path), (answer.zxid, CHILD))
        else:
            self.watches.setdefault((IN_DATA, ask.path), (answer.zxid, DATA if is_there else EXIST))

    def paths_watched(self) -> tuple[list[bytes], list[bytes], list[bytes]]:
        """The paths with a watch, by DATA, EXIST, CHILD."""
        lists: tuple[list[bytes], list[bytes], list[bytes]] = ([], [], [])
        for (_, path), (_, kind) in self.watches.items():
            lists[kind].append(path)
        return lists
