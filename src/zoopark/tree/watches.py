"""Who wants to hear of which change: the table of watches.

Two tables, data and child, as ZooKeeper keeps them: a watcher may hold several modes on one path in each.

    registration                 table          mode
    exists, getData              data           STANDARD, gone once fired
    getChildren, getChildren2    child          STANDARD, gone once fired
    addWatch PERSISTENT          data, child    PERSISTENT
    addWatch RECURSIVE           data           RECURSIVE, fires for the path and all below it

Watchers are ints, chosen by the server; this module never sends anything: `fire` returns who is to be told.
"""

from typing import Final, final

NODE_CREATED: Final = 1
NODE_DELETED: Final = 2
NODE_DATA_CHANGED: Final = 3
NODE_CHILDREN_CHANGED: Final = 4

STANDARD: Final = 1
PERSISTENT: Final = 2
RECURSIVE: Final = 4
ANY: Final = 7


@final
class WatchTable:
    """One of the two tables: path -> watcher -> modes, and the same by watcher so that one can leave.

    `path_bytes` counts the bytes of the paths that a watcher watches.
    """

    def __init__(self) -> None:
        self.by_path: dict[bytes, dict[int, int]] = {}
        self.by_watcher: dict[int, dict[bytes, None]] = {}
        self.path_bytes: dict[int, int] = {}
        self.n_recursive = 0

    def add(self, path: bytes, watcher: int, mode: int) -> None:
        """Register `watcher` on `path` in one more mode."""
        watchers = self.by_path.setdefault(path, {})
        modes = watchers.get(watcher, 0)
        watchers[watcher] = modes | mode
        self.n_recursive += (mode & ~modes) >> 2
        if not modes:
            self.path_bytes[watcher] = self.path_bytes.get(watcher, 0) + len(path)
        self.by_watcher.setdefault(watcher, {})[path] = None

    def has(self, path: bytes, watcher: int, modes: int) -> bool:
        """Whether `watcher` is registered on `path` in one of the modes."""
        return bool(self.by_path.get(path, {}).get(watcher, 0) & modes)

    def remove(self, path: bytes, watcher: int, modes: int) -> bool:
        """Take modes away from a registration; whether it had one of them."""
        watchers = self.by_path.get(path)
        held = watchers.get(watcher, 0) if watchers else 0
        if watchers is None or not held & modes:
            return False
        self.n_recursive -= (held & modes) >> 2
        if held & ~modes:
            watchers[watcher] = held & ~modes
        else:
            self._drop(path, watcher, watchers)
        return True

    def leave(self, watcher: int) -> None:
        """Forget all registrations of a watcher."""
        for path in list(self.by_watcher.get(watcher, ())):
            self.remove(path, watcher, ANY)

    def take_fired(self, path: bytes) -> dict[int, None]:
        """The watchers on exactly this path; their STANDARD registrations are used up."""
        watchers = self.by_path.get(path)
        if watchers is None:
            return {}
        fired = dict.fromkeys(watchers)
        for watcher in fired:
            modes = watchers[watcher]
            if modes == STANDARD:
                self._drop(path, watcher, watchers)
            else:
                watchers[watcher] = modes & ~STANDARD
        return fired

    def above(self, path: bytes) -> dict[int, None]:
        """The watchers with a RECURSIVE registration on an ancestor of this path."""
        found: dict[int, None] = {}
        while len(path) > 1:
            path = path[: path.rfind(b"/")] or b"/"
            for watcher, modes in self.by_path.get(path, {}).items():
                if modes & RECURSIVE:
                    found[watcher] = None
        return found

    def n_watches(self) -> int:
        """How many (path, watcher) pairs there are."""
        return sum(map(len, self.by_watcher.values()))

    def _drop(self, path: bytes, watcher: int, watchers: dict[int, int]) -> None:
        del watchers[watcher]
        if not watchers:
            del self.by_path[path]
        paths = self.by_watcher[watcher]
        del paths[path]
        self.path_bytes[watcher] -= len(path)
        if not paths:
            del self.by_watcher[watcher], self.path_bytes[watcher]


@final
class Watches:
    """The two tables of one server. Registrations are per connection, neither stored nor replicated."""

    def __init__(self) -> None:
        self.data = WatchTable()
        self.child = WatchTable()

    def is_empty(self) -> bool:
        return not self.data.by_path and not self.child.by_path

    def add_persistent(self, path: bytes, watcher: int, is_recursive: bool) -> None:
        """addWatch in one of its two modes."""
        if is_recursive:
            self.data.add(path, watcher, RECURSIVE)
        else:
            self.data.add(path, watcher, PERSISTENT)
            self.child.add(path, watcher, PERSISTENT)

    def leave(self, watcher: int) -> None:
        """Forget all registrations of a watcher."""
        self.data.leave(watcher)
        self.child.leave(watcher)

    def on_data_event(self, path: bytes) -> dict[int, None]:
        """Who hears that the node at `path` was created, changed or deleted, through the data table."""
        fired = self.data.take_fired(path)
        if self.data.n_recursive:
            fired.update(self.data.above(path))
        return fired

    def on_child_event(self, path: bytes, told: dict[int, None]) -> dict[int, None]:
        """Who hears of it through the child table, but for those in `told`."""
        fired = self.child.take_fired(path)
        return {watcher: None for watcher in fired if watcher not in told} if told else fired

    def n_watches(self) -> int:
        return self.data.n_watches() + self.child.n_watches()
