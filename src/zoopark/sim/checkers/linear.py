"""Whether a history of operations could have happened one after the other: Wing and Gong's search, with a memory.

A history is linearizable if its operations can be put into one order in which each gives the answer it gave, and which
keeps every order that could be seen from outside: what ended before another began comes before it. An operation whose
outcome nobody knows may have happened at any time after it began, or never.

The search tries what could come next, and remembers which (set of operations done, state) led nowhere. Histories are
cut by znode first: operations on different znodes have nothing to do with each other.
Source: Wing and Gong, Testing and Verifying Concurrent Objects, 1993; Lowe, Testing for linearizability, 2017.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias, final

from zoopark.record import Record
from zoopark.sim.checkers import Violation

FOREVER: Final = 1 << 62
MAX_SEARCHED: Final = 60
"""Longer histories of one znode are passed over; what was acknowledged is compared with what was committed anyway."""


@final
class Operation(Record):
    """One operation of a history.

    Args:
        began: when it was invoked; all moments are ints of one clock, and different moments are ordered.
        ended: when its answer came; FOREVER if it never did.
        call: what was asked, for the model.
        answer: what came back; None if it never did.
    """

    __slots__ = ("answer", "began", "call", "ended")

    def __init__(self, began: int, ended: int, call: Any, answer: Any) -> None:
        assert began <= ended, (began, ended)
        self.began = began
        self.ended = ended
        self.call = call
        self.answer = answer


Model: TypeAlias = Callable[[Any, Any], tuple[Any, Any]]
"""(state, call) -> (state afterwards, answer); states are hashable."""


def search(histories: dict[bytes, list[Operation]]) -> int:
    """The histories of znodes, as clients saw them, by path: each must be that of one znode.

    Returns: how many were too long to be searched. Raises Violation.
    """
    n_long = 0
    for path, history in sorted(histories.items()):
        if not any(operation.call[0] == "create" for operation in history):
            continue  # somebody else makes it, under a name that the server gives or for as long as a session
        if len(history) > MAX_SEARCHED:
            n_long += 1
        elif not is_linearizable(history, znode, None):
            raise Violation(f"linearizability: no order explains what clients saw of {path!r}: {history}")
    return n_long


def is_linearizable(history: list[Operation], model: Model, state: Any) -> bool:
    """Whether the operations can be put in order, beginning with `state`."""
    operations = sorted(history, key=lambda operation: (operation.began, operation.ended))
    needed = sum(1 << at for at, operation in enumerate(operations) if operation.ended < FOREVER)
    seen: set[tuple[int, Any]] = set()
    waiting = [(0, state)]
    while waiting:
        done, state = waiting.pop()
        if done & needed == needed:
            return True
        for at in reversed(_next(operations, done)):
            after, answer = model(state, operations[at].call)
            if operations[at].ended < FOREVER and answer != operations[at].answer:
                continue
            step = (done | 1 << at, after)
            if step not in seen:
                seen.add(step)
                waiting.append(step)
    return False


def _next(operations: list[Operation], done: int) -> list[int]:
    """Which operations may come next: those that began before any other that is not done ended."""
    candidates: list[int] = []
    first_end = FOREVER
    for at, operation in enumerate(operations):
        if operation.began > first_end:
            break
        if not done >> at & 1:
            candidates.append(at)
            first_end = min(first_end, operation.ended)
    return [at for at in candidates if operations[at].began <= first_end]


def znode(state: tuple[bytes, int] | None, call: tuple[Any, ...]) -> tuple[tuple[bytes, int] | None, Any]:
    """One znode as a model: its state is (data, version), or None while there is none.

    Calls are ("create", data), ("set", data, version or -1), ("delete", version or -1). Answers are the new version, or
    "gone", "exists", "none", "version".
    """
    name = call[0]
    if name == "create":
        return ((call[1], 0), 0) if state is None else (state, "exists")
    if state is None:
        return state, "none"
    if call[-1] not in (-1, state[1]):
        return state, "version"
    if name == "delete":
        return None, "gone"
    return (call[1], state[1] + 1), state[1] + 1
