"""What a member asks its host to do, in the order in which it must be done."""

from typing import final

from zoopark.record import Effect
from zoopark.server.connection import Connection


@final
class Append(Effect):
    """Make transactions durable, then call `on_logged` with the last zxid.

    `entries` holds (zxid, transaction) in order, at least one.
    """

    __slots__ = ("entries", "zxid")

    def __init__(self, entries: list[tuple[int, bytes]], zxid: int) -> None:
        self.entries = entries
        self.zxid = zxid


@final
class Flush(Effect):
    """Write what these connections have to say."""

    __slots__ = ("connections",)

    def __init__(self, connections: list[Connection]) -> None:
        self.connections = connections


@final
class CloseLink(Effect):
    """Write what is left to say, then close the connection; `why` is one line for the log."""

    __slots__ = ("connection", "why")

    def __init__(self, connection: Connection, why: str) -> None:
        self.connection = connection
        self.why = why


@final
class TakeSnapshot(Effect):
    """Write the tree as it is at this moment, begin a new log file, then call `on_snapshot`."""

    __slots__ = ("zxid",)

    def __init__(self, zxid: int) -> None:
        self.zxid = zxid


@final
class Purge(Effect):
    """Remove snapshots and logs that are not needed any more, keeping `keep` snapshots."""

    __slots__ = ("keep",)

    def __init__(self, keep: int) -> None:
        self.keep = keep


@final
class Note(Effect):
    """One line for the server's log."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text
