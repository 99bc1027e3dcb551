"""When silence is a fault of the members."""

import pytest

from chaos.stall import STALL_S, Stall
from zoopark.sim.checkers import Violation

ALL = frozenset({1, 2, 3, 4, 5})
FOUR = ALL - {5}
NOBODY: frozenset[int] = frozenset()


def test_a_majority_that_writes_nothing_is_found() -> None:
    stall = Stall(100)
    stall.look(100, ALL, is_led=True, written_s=90)
    stall.look(100 + STALL_S, ALL, is_led=True, written_s=90)
    with pytest.raises(Violation, match=r"^liveness:"):
        stall.look(100.1 + STALL_S, ALL, is_led=True, written_s=90)


def test_who_falls_away_beside_a_quorum_does_not_excuse_silence() -> None:
    """Otherwise faults that come every few seconds would excuse everything."""
    stall = Stall(0)
    stall.look(1, ALL, is_led=True, written_s=0)
    stall.look(STALL_S, FOUR, is_led=True, written_s=0)
    with pytest.raises(Violation, match=r"^liveness:"):
        stall.look(STALL_S + 1, FOUR, is_led=True, written_s=0)


@pytest.mark.parametrize("well", [NOBODY, FOUR])
def test_a_quorum_that_is_lost_has_time_to_come_back(well: frozenset[int]) -> None:
    stall = Stall(0)
    stall.look(1, ALL, is_led=True, written_s=0)
    stall.look(STALL_S, well, is_led=False, written_s=0)
    stall.look(STALL_S + 1, ALL, is_led=False, written_s=0)
    assert (stall.now_s, stall.armed_s) == (1, 0)


def test_how_long_silence_would_have_been_found() -> None:
    stall = Stall(0)
    for now_s in range(1, int(STALL_S) + 4):
        stall.look(now_s, ALL, is_led=True, written_s=now_s)
    assert (stall.armed_s, stall.longest_s) == (3, 0)
