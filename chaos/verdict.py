"""What a run comes to: its history, against what lies on the members' disks.

    every answer          what was true at its zxid, in the order in which it was told     recording, sessions, truth
    every znode           one order explains what clients saw of it                        linear
    every disk            the same transactions, the same tree, the same sessions          Shelf, one_history
    every live member     the same znodes, data and Stats; those of the transactions       Rows

Nothing here looks at a clock or a process: `python -m chaos --judge DIR` says the same of a kept run again.
"""

from pathlib import Path
from typing import Any, Final, final

from chaos.disks import Shelf
from chaos.history import HELD, OPERATION, read_history
from chaos.rows import Rows
from zoopark.jute.buffer import Reader
from zoopark.sim import asks
from zoopark.sim.checkers import Violation
from zoopark.sim.checkers.linear import Operation, search
from zoopark.sim.checkers.recording import Replay, one_history
from zoopark.sim.checkers.truth import Truth

HISTORY: Final = "history.txt"


class Unwitnessed(Exception):
    """Nobody's log holds all that was committed, so that nothing can be said of what clients were told."""


@final
class Verdict:
    """What was found, of a run that violates nothing.

    Attributes:
        truth: everything that was committed.
        counts: how much was looked at, by name.
    """

    def __init__(self, truth: Truth, counts: dict[str, int]) -> None:
        self.truth = truth
        self.counts = counts


def judge(home: Path) -> Verdict:
    """Judge a run whose members are down.

    Args:
        home: `history.txt`, and for every member a directory with `data`.

    Raises Violation; Unwitnessed if every member was sent a snapshot, the observer too: by a leader that had been sent
    one itself, after an epoch that the observer had not found in time.
    """
    shelves = {int(place.name): Shelf(place / "data") for place in sorted(home.glob("[0-9]"))}
    if not any(shelf.is_whole() for shelf in shelves.values()):
        raise Unwitnessed("every member was sent a snapshot, and nobody's log holds all that was committed")
    committed = one_history(shelf.history() for shelf in shelves.values())
    replay, histories = Replay(committed), dict[bytes, list[Operation]]()
    counts = {"transactions committed": len(committed), "told": 0, "operations": 0}
    held: tuple[int, ...] = ()
    for _, _, who, what, arguments in read_history(home / HISTORY):
        if what == OPERATION:
            counts["operations"] += 1
            histories.setdefault(arguments[0], []).append(Operation(*arguments[1:]))
        elif what == HELD:
            held = arguments
        elif who.startswith("client"):
            counts["told"] += 1
            replay.on_told(who, what, arguments)
    replay.finish()
    counts["histories too long to search"] = search(histories)
    counts["histories"] = len(histories)
    counts.update(_watched(replay))
    check_sessions(replay.truth, set(held))
    check_disks(replay.truth, shelves)
    for shelf in shelves.values():
        shelf.close()
    return Verdict(replay.truth, counts)


def _watched(replay: Replay) -> dict[str, int]:
    views = replay.views.values()
    return {
        "watches fired": sum(view.n_events for view in views),
        "syncs": sum(view.n_syncs for view in views),
        "syncs answered by a leader that was replaced": sum(view.n_stale_syncs for view in views),
        "sessions": len(replay.truth.sessions),
        "ephemerals that went with their session": replay.truth.n_gone,
    }


def check_sessions(truth: Truth, held: set[int]) -> None:
    """Sessions whose clients went on talking are open, and no others. Raises Violation."""
    opened = {session_id for session_id, closed in truth.sessions.items() if not closed}
    for session_id in sorted(held - opened):
        raise Violation(f"session: {session_id:#x}, whose client never stopped talking, has ended")
    for session_id in sorted(opened - held):
        raise Violation(f"session: {session_id:#x} belongs to nobody and has not ended")


def check_disks(truth: Truth, shelves: dict[int, Shelf]) -> None:
    """What every member would start with is the same, and that which was committed. Raises Violation."""
    digests: dict[tuple[int, int], int] = {}
    for sid, shelf in shelves.items():
        tree = shelf.recover()
        if tree.last_zxid != truth.last_zxid:
            raise Violation(f"durability: member {sid} has {tree.last_zxid:#x}, committed is {truth.last_zxid:#x}")
        truth.check_sessions(sid, tree.sessions, tree.ephemerals)
        digests[(tree.last_zxid, tree.digest)] = sid
    if len(digests) > 1:
        raise Violation(f"digest: members end with different trees: {digests}")


def check_rows(rows: dict[int, Rows]) -> None:
    """Live members hold the same znodes. Raises Violation."""
    (first, expected), *others = rows.items()
    for sid, mine in others:
        for path in sorted(expected.keys() | mine.keys()):
            if expected.get(path) != mine.get(path):
                raise Violation(f"rows: members {first} and {sid} differ in {path!r}")


def check_against(truth: Truth, rows: Rows) -> None:
    """What a live member holds is what was committed. Raises Violation."""
    for path in sorted(set(truth.paths()) | (rows.keys() - {b"/"})):
        expected = truth.at(path, truth.last_zxid)
        if _version(rows.get(path)) != expected:
            raise Violation(f"rows: {path!r} is {_version(rows.get(path))}, committed is {expected}")


def _version(row: bytes | None) -> Any:
    return None if row is None else asks.read_answer(asks.get_data(b"/"), 0, 0, Reader(row)).value
