"""Why a process ended, and whether it said so as it must: pure."""

import re
from typing import Final

from zoopark.sim.checkers import Violation

STOPPED: Final = 0
KILLED: Final = -9
TERMINATED: Final = -15
OF_A_SICK_DISK: Final = (1, 3, 10)
"""Exit codes for a log, a data directory and a snapshot that cannot be written."""
_UNEXPECTED: Final = re.compile(r"Traceback|CRITICAL|AssertionError|never (?:retrieved|awaited)|Exception ignored")
_REASON: Final = re.compile(r"^zoopark: | ERROR ")


def check_said(who: str, said: str) -> None:
    """Raises Violation if a log holds what nobody expects of a server, whatever befalls it."""
    for line in said.splitlines():
        if _UNEXPECTED.search(line):
            raise Violation(f"exit: {who} says: {line}")


def explain(who: str, code: int, said: str, causes: tuple[bool, bool, bool]) -> str:
    """The reason for the end of a process, in two or three words. Raises Violation if it has none.

    Args:
        who: for the text.
        code: as of `subprocess`.
        said: all that it logged.
        causes: whether it was killed, was asked to stop, and had a disk that failed at any time.
    """
    check_said(who, said)
    was_killed, was_stopped, was_sick = causes
    reasons = [line for line in said.splitlines() if _REASON.search(line)]
    if len(reasons) > was_sick:
        raise Violation(f"exit: {who} ends with code {code} and says: {' | '.join(reasons)}")
    if code == KILLED and was_killed:
        return "kill -9"
    if code == STOPPED and was_stopped and not reasons:
        return "asked to stop"
    if code == TERMINATED and was_stopped and not said:
        return "asked to stop before it could hear"
    if code in OF_A_SICK_DISK and reasons:
        return f"failed disk, code {code}"
    last = said.splitlines()[-1:]
    raise Violation(f"exit: {who} ends with code {code} and does not say why; its last words: {last}")
