"""Which ends of a process have a reason, and which do not."""

import pytest

from chaos.exits import check_said, explain
from zoopark.sim.checkers import Violation

CALM = "2026-01-01 00:00:00,000 INFO looking for a leader\n"
FULL = "2026-01-01 00:00:00,000 ERROR cannot write the transaction log in /d: No space left on device\n"
REFUSED = "zoopark: cannot write the first snapshot: No space left on device\n"
KILLED, STOPPED, SICK, ALONE = (True, False, False), (False, True, False), (False, False, True), (False, False, False)


@pytest.mark.parametrize(
    ("code", "said", "causes", "reason"),
    [
        (-9, CALM, KILLED, "kill -9"),
        (-9, CALM + FULL, (True, False, True), "kill -9"),
        (0, CALM, STOPPED, "asked to stop"),
        (1, CALM + FULL + CALM, SICK, "failed disk, code 1"),
        (10, REFUSED, SICK, "failed disk, code 10"),
        (-15, "", STOPPED, "asked to stop before it could hear"),
        (1, CALM + FULL, (False, True, True), "failed disk, code 1"),
    ],
)
def test_an_end_with_a_reason(code: int, said: str, causes: tuple[bool, bool, bool], reason: str) -> None:
    assert explain("member 1", code, said, causes) == reason


@pytest.mark.parametrize(
    ("code", "said", "causes"),
    [
        (-9, CALM, ALONE),
        (-6, CALM, KILLED),
        (0, CALM, ALONE),
        (1, CALM, STOPPED),
        (1, CALM, SICK),
        (1, CALM + FULL, ALONE),
        (0, CALM + FULL, STOPPED),
        (1, FULL + FULL, SICK),
        (2, REFUSED, SICK),
        (-15, CALM, STOPPED),
        (-15, "", ALONE),
        (-9, CALM + FULL, KILLED),
    ],
)
def test_an_end_without_one_is_found(code: int, said: str, causes: tuple[bool, bool, bool]) -> None:
    """Above all one that looks like the end that was asked for, and is not."""
    with pytest.raises(Violation, match=r"^exit: member 1 ends"):
        explain("member 1", code, said, causes)


@pytest.mark.parametrize(
    "line",
    [
        "Traceback (most recent call last):",
        "2026-01-01 CRITICAL stopping",
        "AssertionError",
        "Task exception was never retrieved",
        "RuntimeWarning: coroutine was never awaited",
        "Exception ignored in: <x>",
    ],
)
def test_what_no_server_may_say(line: str) -> None:
    check_said("member 1", CALM + FULL)
    with pytest.raises(Violation, match=r"^exit: member 1 says"):
        check_said("member 1", CALM + line + "\n" + CALM)
