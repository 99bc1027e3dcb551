"""Which sets of servers are quorums."""

from collections.abc import Callable
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoopark.zab.quorum import Hierarchical, Joint, Majority, Verifier

THREE = Majority([1, 2, 3])
GROUPS = Hierarchical({1: {1: 1, 2: 1, 3: 1}, 2: {4: 1, 5: 1, 6: 1}, 3: {7: 1, 8: 1, 9: 1}})
WEIGHTS = Hierarchical({1: {1: 3, 2: 1, 3: 0}, 2: {4: 0, 5: 0}})
GROWS = Joint([THREE, Majority([2, 3, 4, 5, 6])])


@pytest.mark.parametrize(
    ("verifier", "acks", "expected"),
    [
        (Majority([1]), [], False),
        (Majority([1]), [1], True),
        (Majority([1, 2]), [1], False),
        (THREE, [1], False),
        (THREE, [1, 3], True),
        (THREE, [1, 1, 1], False),
        (THREE, [1, 7, 8, 9], False),
        (Majority([1, 2, 3, 4]), [1, 2], False),
        (Majority([1, 2, 3, 4]), [1, 2, 4], True),
        (GROUPS, [], False),
        (GROUPS, [1, 2, 4, 5], True),
        (GROUPS, [1, 2, 3, 4, 7], False),
        (GROUPS, [1, 2, 3, 4, 5, 6], True),
        (WEIGHTS, [1], True),
        (WEIGHTS, [2, 3, 4, 5], False),
        (Hierarchical({1: {1: 1, 2: 1}}), [1], False),
        (Hierarchical({1: {1: 1}, 2: {2: 1}}), [1], False),
        (GROWS, [1, 2], False),
        (GROWS, [4, 5, 6], False),
        (GROWS, [2, 3], False),
        (GROWS, [2, 3, 4], True),
        (GROWS, [1, 2, 4, 5], True),
    ],
)
def test_a_quorum(verifier: Verifier, acks: list[int], expected: bool) -> None:
    """Half is not enough, strangers and repetition count for nothing, groups without weight do not exist."""
    assert expected == verifier.has_quorum(acks)


@pytest.mark.parametrize(
    ("verifier", "sid", "expected"),
    [(THREE, 3, 1), (THREE, 4, 0), (WEIGHTS, 1, 3), (WEIGHTS, 3, 0), (WEIGHTS, 9, 0), (GROWS, 1, 1), (GROWS, 6, 0)],
)
def test_who_weighs_nothing_may_not_be_elected(verifier: Verifier, sid: int, expected: int) -> None:
    """A server of the pending configuration alone may not lead before that is the current one."""
    assert expected == verifier.weight(sid)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Majority([]),
        lambda: Hierarchical({1: {1: 0}, 2: {2: 0}}),
        lambda: Hierarchical({1: {1: 1}, 2: {1: 1}}),
        lambda: Hierarchical({1: {1: 1, 2: -1}}),
        lambda: Joint([]),
    ],
)
def test_what_has_no_quorums_at_all_cannot_be_built(build: Callable[[], Verifier]) -> None:
    """With overlapping groups or no weight there would be no quorum, or two that do not meet."""
    with pytest.raises(AssertionError):
        build()


def test_the_voters_are_those_of_every_part() -> None:
    """Both configurations take part in an election while one is pending."""
    assert (frozenset([1, 2, 3]), frozenset(range(1, 7))) == (THREE.voters, GROWS.voters)
    assert frozenset([1, 2, 3, 4, 5]) == WEIGHTS.voters


SIDS = range(1, 8)
MAJORITIES = st.sets(st.sampled_from(SIDS), min_size=1).map(Majority)


@st.composite
def hierarchies(draw: st.DrawFn) -> Hierarchical:
    """Up to seven servers in up to four groups, one at least with weight."""
    groups: dict[int, dict[int, int]] = {}
    for sid in SIDS:
        groups.setdefault(draw(st.integers(1, 4)), {})[sid] = draw(st.integers(0, 3))
    group = next(iter(groups.values()))
    group[next(iter(group))] += 1
    return Hierarchical(groups)


PLAIN = st.one_of(MAJORITIES, hierarchies())
VERIFIERS = st.one_of(PLAIN, st.lists(PLAIN, min_size=1, max_size=2).map(Joint))
SETS = st.sets(st.integers(0, 9))


@given(VERIFIERS, SETS, SETS)
def test_any_two_quorums_have_a_voter_in_common(verifier: Verifier, one: set[int], other: set[int]) -> None:
    """What one quorum has promised, no other can fail to hear of: nothing else keeps two leaders apart."""
    if verifier.has_quorum(one) and verifier.has_quorum(other):
        assert one & other & verifier.voters


@given(VERIFIERS, SETS)
def test_a_set_and_its_complement_are_not_both_quorums(verifier: Verifier, acks: set[int]) -> None:
    """The same for the two sides of a network that is cut in two."""
    assert not (verifier.has_quorum(acks) and verifier.has_quorum(verifier.voters - acks))


@given(VERIFIERS, SETS, SETS)
def test_more_acks_never_undo_a_quorum(verifier: Verifier, acks: set[int], more: set[int]) -> None:
    """An acknowledgement that comes late must not take back a commit."""
    assert verifier.has_quorum(acks | more) or not verifier.has_quorum(acks)


@given(VERIFIERS)
def test_all_voters_are_a_quorum(verifier: Verifier) -> None:
    """Otherwise nothing could ever be decided."""
    assert verifier.has_quorum(verifier.voters)


@given(VERIFIERS, SETS)
def test_who_weighs_nothing_changes_nothing(verifier: Verifier, acks: set[int]) -> None:
    """Apart from a joint one, where a server may weigh nothing now and something soon."""
    if not isinstance(verifier, Joint):
        weighty = [sid for sid in acks if verifier.weight(sid)]
        assert verifier.has_quorum(weighty) == verifier.has_quorum(acks)


@pytest.mark.parametrize("size", range(1, 8))
def test_a_majority_is_one_more_than_half(size: int) -> None:
    """Counted over every subset, not computed a second time the same way."""
    verifier = Majority(range(size))
    subsets = [acks for n in range(size + 1) for acks in combinations(range(size), n)]
    smallest = min(len(acks) for acks in subsets if verifier.has_quorum(acks))
    assert {True} == {verifier.has_quorum(acks) for acks in subsets if len(acks) >= smallest}
    assert 2 * smallest > size >= 2 * (smallest - 1)
