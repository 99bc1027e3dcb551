"""The format of golden scripts."""

import pytest

from zoopark.sim.script import play

SCRIPT = """\
# A script.

one
two
----
did one
did two

# Nothing comes of this.
three
----

four
----
did four
"""


def perform(commands: list[str]) -> list[str]:
    return [f"did {command}" for command in commands if command != "three"]


def test_a_script_that_is_right_stays_as_it_is() -> None:
    assert play(SCRIPT, perform) == SCRIPT


def test_steps_are_performed_together_and_in_order() -> None:
    seen: list[list[str]] = []

    def note(commands: list[str]) -> list[str]:
        seen.append(commands)
        return []

    play(SCRIPT, note)
    assert seen == [["one", "two"], ["three"], ["four"]]


@pytest.mark.parametrize(
    "stale",
    [
        SCRIPT.replace("did two\n", ""),
        SCRIPT.replace("did two", "did something else\nand more"),
        SCRIPT.replace("three\n----\n", "three\n----\nsomething\n"),
    ],
)
def test_what_came_before_is_replaced(stale: str) -> None:
    """That is how a script is written anew."""
    assert stale != SCRIPT
    assert play(stale, perform) == SCRIPT


def test_commands_need_a_rule() -> None:
    with pytest.raises(ValueError, match="after: five"):
        play(SCRIPT + "\nfive\n", perform)
