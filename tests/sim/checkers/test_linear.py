"""The search finds an order where there is one, and none where there is none."""

from typing import Any

import pytest

from zoopark.sim.checkers.linear import FOREVER, Operation, is_linearizable, znode


def history(*operations: tuple[int, int, tuple[Any, ...], Any]) -> list[Operation]:
    return [Operation(*operation) for operation in operations]


CREATE = ("create", b"a")

ACCEPTED = {
    "empty": history(),
    "one after the other": history((1, 2, CREATE, 0), (3, 4, ("set", b"b", 0), 1), (5, 6, ("delete", -1), "gone")),
    "at the same time, later first": history((1, 9, ("set", b"b", 0), 1), (2, 3, CREATE, 0)),
    "only one of two wins": history((1, 5, CREATE, 0), (1, 5, CREATE, "exists")),
    "swapped version": history((1, 2, CREATE, 0), (3, 8, ("set", b"b", 0), 1), (3, 8, ("set", b"c", 0), "version")),
    "unknown outcome that happened": history((1, FOREVER, CREATE, None), (5, 6, ("set", b"b", -1), 1)),
    "unknown outcome that happened late": history(
        (1, FOREVER, CREATE, None), (5, 6, ("set", b"b", -1), "none"), (7, 8, ("delete", -1), "gone")
    ),
    "unknown outcome that never happened": history((1, FOREVER, CREATE, None), (5, 6, ("delete", -1), "none")),
    "deleted and made again": history(
        (1, 2, CREATE, 0), (3, 4, ("delete", 0), "gone"), (5, 6, CREATE, 0), (7, 8, ("delete", -1), "gone")
    ),
}
REJECTED = {
    "set before it was there": history((1, 2, ("set", b"b", -1), 1), (3, 4, CREATE, 0)),
    "created twice": history((1, 2, CREATE, 0), (3, 4, CREATE, 0)),
    "both of two win": history((1, 5, CREATE, 0), (1, 5, CREATE, 0)),
    "a lost update": history((1, 2, CREATE, 0), (3, 8, ("set", b"b", 0), 1), (3, 8, ("set", b"c", 0), 1)),
    "a version that nobody made": history((1, 2, CREATE, 0), (3, 4, ("set", b"b", -1), 2)),
    "an acknowledged write that is gone": history((1, 2, CREATE, 0), (3, 4, ("delete", -1), "none")),
    "taken twice": history((1, 2, CREATE, 0), (3, 4, ("delete", -1), "gone"), (5, 6, ("delete", -1), "gone")),
    "an unknown outcome happens once": history(
        (1, FOREVER, ("delete", -1), None),
        (2, 3, CREATE, 0),
        (4, 5, ("set", b"b", -1), "none"),
        (6, 7, ("set", b"b", -1), 1),
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_order_is_found(name: str) -> None:
    assert is_linearizable(ACCEPTED[name], znode, None)


@pytest.mark.parametrize("name", REJECTED)
def test_what_no_order_explains_is_refused(name: str) -> None:
    assert not is_linearizable(REJECTED[name], znode, None)


def test_many_at_the_same_time_do_not_take_for_ever() -> None:
    """The memory of what led nowhere keeps it from trying every order."""
    swaps = [Operation(1, 100, ("set", b"%d" % at, -1), at + 1) for at in range(12)]
    assert is_linearizable([Operation(0, 0, CREATE, 0), *swaps], znode, None)
    lost = [Operation(1, 100, ("set", b"%d" % at, -1), at + 2) for at in range(12)]
    assert not is_linearizable([Operation(0, 0, CREATE, 0), *lost], znode, None)
