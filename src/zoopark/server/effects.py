"""What a member asks its host to do, in the order in which it must be done.

A member of an ensemble also gives what `zoopark.zab.effects` describes, but for what it carries out itself. `Append`
and `Note` are the same for all.
"""

from typing import final

from zoopark.record import Effect
from zoopark.server.connection import Connection
from zoopark.tree.tree import Tree
from zoopark.zab.effects import Append as Append
from zoopark.zab.effects import Note as Note


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
class SaveSnapshot(Effect):
    """Make `tree`, which came from the leader and stands at `zxid`, the database.

    Write it as a snapshot, durably; nothing that was logged or saved before may be loaded again. Then call
    `on_snapshot_saved(zxid)`. Nobody changes the tree before that.
    """

    __slots__ = ("tree", "zxid")

    def __init__(self, zxid: int, tree: Tree) -> None:
        self.zxid = zxid
        self.tree = tree
