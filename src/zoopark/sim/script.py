"""Golden interaction scripts: what is done, a line of dashes, and everything that comes of it.

    # Why somebody should care.        comments and blank lines stay where they are
    a create /x                        one command a line; those of one step happen together
    a get /x
    ----
    log 2: create /x                   every effect, in order; a blank line or a comment ends the step
    a <- create: ok, zxid 2, /x

A script is played by giving each step's commands to a function that carries them out and says what came of them. The
text of a played script has the same commands and comments, and what came of them now. It never runs anything itself.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

RULE: Final = "----"

Perform: TypeAlias = Callable[[list[str]], list[str]]
"""Carries out the commands of one step; returns what came of them, one line each."""


def play(text: str, perform: Perform) -> str:
    """The script as it should read after `perform` has carried out its steps in order.

    Raises ValueError for a script with commands that no rule follows.
    """
    played: list[str] = []
    commands: list[str] = []
    is_effect = False
    for line in text.splitlines():
        if line == RULE:
            played += [RULE, *perform(commands)]
            commands, is_effect = [], True
        elif not line or line.startswith("#"):
            played.append(line)
            is_effect = False
        elif not is_effect:
            played.append(line)
            commands.append(line)
    if commands:
        raise ValueError(f"no {RULE} after: {commands[0]}")
    return "\n".join(played) + "\n"
