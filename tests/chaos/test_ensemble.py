"""Who must be able to go on."""

from itertools import permutations

import pytest

from chaos.ensemble import connected_majority
from chaos.wires import CLIENTS, Way

ALL = (1, 2, 3, 4, 5)


def between(left: tuple[int, ...], right: tuple[int, ...]) -> set[Way]:
    """Both ways between two sides."""
    return {way for a in left for b in right for way in ((a, b), (b, a))}


RING = {way for way in permutations(ALL, 2) if abs(way[0] - way[1]) not in (1, 4)}


@pytest.mark.parametrize(
    ("well", "blocked", "expected"),
    [
        (ALL, set(), {1, 2, 3, 4, 5}),
        ((1, 3, 5), set(), {1, 3, 5}),
        ((1, 3), set(), set()),
        (ALL, between((1,), (2, 3, 4, 5)), {2, 3, 4, 5}),
        (ALL, between((1,), (2, 3, 4, 5, CLIENTS)), {2, 3, 4, 5}),
        (ALL, between((1, 2), (3, 4, 5)), {3, 4, 5}),
        ((1, 2, 3, 4), between((1, 2), (3, 4, 5)), set()),
        (ALL, between((1, 2), (4, 5)), set()),
        (ALL, {(1, 2)}, set()),
        (ALL, {(other, 1) for other in ALL[1:]}, set()),
        ((2, 3, 4, 5), {(other, 1) for other in ALL[1:]}, {2, 3, 4, 5}),
        (ALL, {(CLIENTS, 3)}, set()),
        (ALL, RING, set()),
        ((), set(), set()),
    ],
)
def test_a_majority_apart_from_the_others(well: tuple[int, ...], blocked: set[Way], expected: set[int]) -> None:
    """Where somebody is heard and does not hear, he may be elected, and nobody promises anything."""
    assert connected_majority(well, blocked, 5) == expected
