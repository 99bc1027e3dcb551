"""Fast leader election of one member; how members elect together is in tests/scripts/zab/election_*.txt."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.zab.ballot import Ballot
from zoopark.jute.quorum import FOLLOWING, LEADING, LOOKING, OBSERVING, Notification, Vote, encode_notification
from zoopark.record import Now
from zoopark.zab.effects import Notify
from zoopark.zab.election import (
    FINALIZE_WAIT_MS,
    MAX_RESEND_MS,
    MAX_ROUND,
    MIN_RESEND_MS,
    NO_VOTE,
    NOBODY,
    NOT_LOADED,
    Election,
    is_equal,
)
from zoopark.zab.quorum import Hierarchical, Joint, Majority, Verifier

THREE = Majority([1, 2, 3])
START = Now(1000, 0)
GREAT = Vote(3, 9, 1)


def started(verifier: Verifier = THREE, sid: int = 1, lost_leader: int = NOBODY) -> Election:
    """A member that looks, in round 1, with zxid 5 of epoch 1; what it has sent is taken."""
    election = Election(sid, verifier, b"config")
    election.on_start(5, 1, START, lost_leader)
    election.take()
    return election


def told(election: Election) -> list[tuple[int, int, Vote, int]]:
    """(to, state, vote, round) of what it has sent since."""
    sent = [effect for effect in election.take() if isinstance(effect, Notify)]
    return [
        (effect.sid, effect.notification.state, effect.notification.vote, effect.notification.round) for effect in sent
    ]


def at(ms: int) -> Now:
    return Now(START.mono_ms + ms, 0)


def test_a_lone_voter_elects_itself_at_once() -> None:
    """A server alone must not wait for anybody."""
    election = started(Majority([1]))
    assert (LEADING, Vote(1, 5, 1), 1) == (election.state, election.vote, election.round)
    assert election.deadline() is None


def test_every_notification_carries_the_configuration() -> None:
    """From it other members learn of a newer one."""
    election = Election(1, THREE, b"config")
    election.on_start(5, 1, START)
    assert {b"config"} == {effect.notification.config for effect in election.take() if isinstance(effect, Notify)}


@pytest.mark.parametrize(
    ("vote", "is_adopted"),
    [
        (Vote(2, 5, 1), True),
        (Vote(2, 4, 1), False),
        (Vote(2, 4, 2), True),
        (Vote(3, 6, 0), False),
        (Vote(9, 9, 9), False),
        (Vote(2, -1, 9), False),
        (NO_VOTE, False),
    ],
)
def test_the_greater_vote_is_adopted(vote: Vote, is_adopted: bool) -> None:
    """By epoch, then zxid, then sid; never for one who is no voter (ZOOKEEPER-764) or has no database yet."""
    election = started()
    election.on_notification(2, Notification(LOOKING, vote, 1), at(0))
    assert is_adopted == (election.vote == vote)
    assert ([(2, LOOKING, vote, 1), (3, LOOKING, vote, 1)] if is_adopted else []) == told(election)


@pytest.mark.parametrize("state", [-1, OBSERVING, 4, 77])
def test_a_voter_in_no_state_of_an_election_is_not_counted(state: int) -> None:
    election = started()
    election.on_notification(2, Notification(state, GREAT, 1), at(0))
    assert (Vote(1, 5, 1), []) == (election.vote, told(election))


@pytest.mark.parametrize("round_", [-1, MAX_ROUND, (1 << 63) - 1])
def test_a_round_that_cannot_be_is_not_believed(round_: int) -> None:
    """One message could otherwise make rounds overflow for ever."""
    election = started()
    election.on_notification(2, Notification(LOOKING, GREAT, round_), at(0))
    assert (1, Vote(1, 5, 1)) == (election.round, election.vote)


@pytest.mark.parametrize(
    ("round_", "own_round", "vote", "adopted"),
    [
        (7, 7, Vote(2, 9, 1), Vote(2, 9, 1)),
        (7, 7, Vote(2, 4, 1), Vote(1, 5, 1)),
        (0, 1, Vote(2, 9, 1), Vote(1, 5, 1)),
    ],
)
def test_a_newer_round_is_joined_and_an_older_one_answered(
    round_: int, own_round: int, vote: Vote, adopted: Vote
) -> None:
    """In a newer round one starts from the own vote: what was adopted in the older one may be of a member now gone."""
    election = started()
    election.on_notification(2, Notification(LOOKING, vote, round_), at(0))
    assert (own_round, adopted) == (election.round, election.vote)
    assert (2, LOOKING, adopted, own_round) in told(election)


def test_votes_of_an_older_round_are_forgotten() -> None:
    """They belong to another election: their members may have changed their minds since."""
    election = started(Majority([1, 2, 3, 4, 5]))
    for sid in (2, 3):
        election.on_notification(sid, Notification(LOOKING, Vote(1, 5, 1), 1), at(0))
    assert election.deadline() == at(FINALIZE_WAIT_MS).mono_ms
    election.on_notification(4, Notification(LOOKING, Vote(4, 4, 1), 2), at(0))
    election.on_timeout(at(FINALIZE_WAIT_MS))
    assert (election.state, election.vote, election.round) == (LOOKING, Vote(1, 5, 1), 2)


def test_the_finalize_wait_is_not_begun_anew_by_equal_votes() -> None:
    """Otherwise a voter that repeats itself could put off the decision for ever."""
    election = started()
    for ms in (0, 150, 199):
        election.on_notification(2, Notification(LOOKING, Vote(1, 5, 1), 1), at(ms))
    election.on_timeout(at(FINALIZE_WAIT_MS))
    assert election.state == LEADING


def test_the_finalize_wait_is_skipped_when_all_voters_agree() -> None:
    """Nobody is left whose vote could be greater."""
    election = started()
    election.on_notification(2, Notification(LOOKING, GREAT, 1), at(0))
    assert election.state == LOOKING
    election.on_notification(3, Notification(LOOKING, GREAT, 1), at(1))
    assert election.state == FOLLOWING


def test_nobody_waits_for_the_vote_of_a_leader_that_is_gone() -> None:
    """All who are left agree: the wait would add 200 ms to every fail-over."""
    election = started(lost_leader=3)
    election.on_notification(2, Notification(LOOKING, Vote(2, 9, 1), 1), at(0))
    assert election.state == FOLLOWING


def test_a_lost_leader_that_is_heard_is_waited_for() -> None:
    """It is back: its vote may be the greatest."""
    election = started(Majority([1, 2, 3, 4]), lost_leader=4)
    election.on_notification(4, Notification(LOOKING, Vote(4, 4, 1), 1), at(0))
    for sid in (2, 3):
        election.on_notification(sid, Notification(LOOKING, Vote(2, 9, 1), 1), at(0))
    assert election.state == LOOKING


def test_a_voter_that_turns_away_undoes_the_quorum() -> None:
    """It is known to follow another: to wait for the wait to end would elect somebody it does not follow."""
    election = started()
    election.on_notification(2, Notification(LOOKING, Vote(1, 5, 1), 1), at(0))
    election.on_notification(2, Notification(FOLLOWING, Vote(3, 4, 1), 1), at(1))
    election.on_timeout(at(FINALIZE_WAIT_MS))
    assert election.state == LOOKING


def test_repeats_double_up_to_a_minute() -> None:
    """What is lost is said again, but a member alone for a day does not flood the others."""
    election = started()
    waits = []
    for _ in range(12):
        due_ms = election.deadline()
        assert due_ms is not None
        election.on_timeout(Now(due_ms, 0))
        assert [sid for sid, *_ in told(election)] == [2, 3]
        waits.append((election.deadline() or 0) - due_ms)
    assert [min(2**n * MIN_RESEND_MS, MAX_RESEND_MS) for n in range(1, 13)] == waits


def test_nothing_is_said_before_its_time() -> None:
    election = started()
    election.on_timeout(at(MIN_RESEND_MS - 1))
    assert told(election) == []


def test_who_has_decided_answers_voters_that_look_and_nobody_else() -> None:
    """A joiner must learn of the leader; answers to answers would never end."""
    election = started()
    for sid in (2, 3):
        election.on_notification(sid, Notification(LOOKING, GREAT, 1), at(0))
    election.on_epoch(2)
    told(election)
    for state in (FOLLOWING, LEADING, OBSERVING):
        election.on_notification(2, Notification(state, GREAT, 1), at(5))
        election.on_notification(9, Notification(state, GREAT, 1), at(5))
    assert told(election) == []
    election.on_notification(2, Notification(LOOKING, GREAT, 8), at(5))
    election.on_notification(9, Notification(LOOKING, NO_VOTE, 8), at(5))
    assert [(2, FOLLOWING, Vote(3, 9, 2), 1), (9, FOLLOWING, Vote(3, 9, 2), 1)] == told(election)


def test_who_followed_until_now_is_told_once_what_it_has_missed() -> None:
    """It has counted nothing while it followed, and would not hear this vote before it is repeated after 200 ms; it
    may say the same again as often as it likes, or two such members would answer each other for ever."""
    election = started(sid=2)
    election.on_notification(1, Notification(FOLLOWING, Vote(3, 5, 1), 0), at(0))
    assert told(election) == []
    election.on_notification(1, Notification(LOOKING, Vote(1, 5, 1), 1), at(1))
    assert [(1, LOOKING, Vote(2, 5, 1), 1)] == told(election)
    election.on_notification(1, Notification(LOOKING, Vote(1, 5, 1), 1), at(2))
    assert told(election) == []


@pytest.mark.parametrize(
    ("vote", "round_", "expected"),
    [
        (Vote(1, 5, 1), 0, [(1, Vote(2, 5, 1), 1)]),
        (Vote(1, 6, 1), 1, [(1, Vote(1, 6, 1), 1), (3, Vote(1, 6, 1), 1)]),
        (Vote(1, 5, 1), 2, [(1, Vote(2, 5, 1), 2), (3, Vote(2, 5, 1), 2)]),
        (Vote(1, NOT_LOADED, 1), 1, []),
    ],
)
def test_who_followed_until_now_is_not_told_twice(
    vote: Vote, round_: int, expected: list[tuple[int, Vote, int]]
) -> None:
    """An older round is answered, a greater vote or round is told to all, and who has no database counts nothing."""
    election = started(sid=2)
    election.on_notification(1, Notification(FOLLOWING, Vote(3, 5, 1), 0), at(0))
    election.on_notification(1, Notification(LOOKING, vote, round_), at(1))
    assert expected == [(sid, vote, round_) for sid, _, vote, round_ in told(election)]


def test_who_looks_follows_nobody() -> None:
    """A quorum that followed 5 is none any more once one of it looks, though 5 still says that it leads."""
    election = started(Majority([1, 2, 3, 4, 5]))
    for sid in (2, 3):
        election.on_notification(sid, Notification(FOLLOWING, Vote(5, 9, 1), 4), at(0))
    election.on_notification(2, Notification(LOOKING, Vote(2, 5, 1), 1), at(1))
    election.on_notification(5, Notification(LEADING, Vote(5, 9, 1), 4), at(2))
    assert election.state == LOOKING
    election.on_notification(2, Notification(FOLLOWING, Vote(5, 9, 1), 4), at(3))
    election.on_notification(5, Notification(LEADING, Vote(5, 9, 1), 4), at(4))
    assert election.state == FOLLOWING


def test_an_observer_does_not_answer() -> None:
    """A voter answers whatever an observer says; if that answered as well the two would never stop."""
    election = started(sid=9)
    election.on_start(5, 1, START)
    told(election)
    election.on_notification(1, Notification(LOOKING, Vote(1, 5, 1), 1), at(0))
    assert (election.vote, told(election)) == (NO_VOTE, [])


def test_what_claims_to_be_from_this_member_is_not_heard() -> None:
    """Two servers with one sid are a mistake of configuration; a vote of the other must not replace the own one."""
    election = started()
    election.on_notification(1, Notification(LOOKING, GREAT, 1), at(0))
    assert (Vote(1, 5, 1), []) == (election.vote, told(election))


def test_a_new_start_forgets_what_was_stored() -> None:
    """ZOOKEEPER-2845: the vote is of the log as it is at this moment."""
    election = started()
    for sid in (2, 3):
        election.on_notification(sid, Notification(LOOKING, GREAT, 1), at(0))
    election.on_epoch(2)
    told(election)
    election.on_start(12, 2, at(9))
    assert (LOOKING, Vote(1, 12, 2), 2) == (election.state, election.vote, election.round)
    assert at(9 + MIN_RESEND_MS).mono_ms == election.deadline()


def test_a_new_configuration_starts_the_election_again() -> None:
    """Votes were counted by the old one; who is a voter now and was not has a vote of its own from now on."""
    election = started(Majority([2, 3]))
    assert election.vote == NO_VOTE
    election.on_config(THREE, b"newer", at(1))
    assert (Vote(1, 5, 1), 2) == (election.vote, election.round)


def test_a_new_configuration_changes_no_decision() -> None:
    """Who leads under the new one is up to the leader of the old one."""
    election = started(Majority([1]))
    election.on_config(THREE, b"newer", at(1))
    assert (election.state, election.deadline()) == (LEADING, None)


def test_a_leader_that_says_it_follows_does_not_lead() -> None:
    """Its followers have not noticed yet that it gave up; only its own word counts."""
    election = started()
    election.on_notification(2, Notification(FOLLOWING, GREAT, 4), at(0))
    election.on_notification(3, Notification(FOLLOWING, GREAT, 4), at(0))
    assert election.state == LOOKING


@pytest.mark.parametrize("round_", [2, 9])
def test_a_new_start_forgets_who_followed(round_: int) -> None:
    """Two followed 5 when this member looked before; now there is the word of 5 alone."""
    election = started(Majority([1, 2, 3, 4, 5]))
    for sid in (2, 3):
        election.on_notification(sid, Notification(FOLLOWING, Vote(5, 9, 1), 1), at(0))
    election.on_start(5, 1, at(1))
    election.on_notification(5, Notification(LEADING, Vote(5, 9, 1), round_), at(1))
    assert election.state == LOOKING


def test_a_new_start_is_said_again_soon() -> None:
    """A member that had waited for a minute is in an election with others now."""
    election = started()
    for ms in (200, 1000, 3000):
        election.on_timeout(at(ms))
    election.on_start(5, 1, at(4000))
    election.on_timeout(at(4000 + MIN_RESEND_MS))
    assert election.deadline() == at(4000 + 3 * MIN_RESEND_MS).mono_ms


def test_within_a_round_the_leader_alone_has_to_be_the_same() -> None:
    """The leader has synchronised already and its follower has not: the third need not wait for that."""
    election = started()
    election.on_notification(2, Notification(FOLLOWING, GREAT, 1), at(0))
    election.on_notification(3, Notification(LEADING, Vote(3, 9, 2), 1), at(0))
    assert (election.state, election.vote) == (FOLLOWING, Vote(3, 9, 2))


def test_the_round_of_who_votes_for_no_voter_is_not_joined() -> None:
    """An observer, or a member of another ensemble, must not drive the rounds of this one."""
    election = started()
    election.on_notification(2, Notification(LOOKING, NO_VOTE, 7), at(0))
    election.on_notification(9, Notification(LOOKING, GREAT, 7), at(0))
    assert (election.round, election.vote) == (1, Vote(1, 5, 1))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Notification(LOOKING, GREAT, 1), Notification(LOOKING, GREAT, 1), True),
        (Notification(LOOKING, GREAT, 1), Notification(LOOKING, GREAT, 2), False),
        (Notification(LOOKING, GREAT, 1), Notification(FOLLOWING, GREAT, 1), True),
        (Notification(LOOKING, GREAT, 1), Notification(FOLLOWING, Vote(3, 9, 2), 1), False),
        (Notification(LOOKING, GREAT, 1), Notification(LEADING, Vote(3, 8, 1), 1), False),
        (Notification(LEADING, GREAT, 1), Notification(FOLLOWING, Vote(3, 8, 1), 2), True),
        (Notification(LEADING, GREAT, 1), Notification(FOLLOWING, Vote(3, 9, 2), 1), False),
        (Notification(LEADING, GREAT, 1), Notification(FOLLOWING, Vote(2, 9, 1), 1), False),
        (Notification(LEADING, GREAT, 1, 2), Notification(FOLLOWING, Vote(3, 9, 2), 1, 0), True),
        (Notification(LEADING, GREAT, 1, 0), Notification(FOLLOWING, Vote(3, 9, 2), 1, 0), False),
    ],
)
def test_equal_votes(one: Notification, other: Notification, expected: bool) -> None:
    """The table of ZooKeeper's Vote.equals, either way round."""
    assert (expected, expected) == (is_equal(one, other), is_equal(other, one))


VERIFIERS: list[Verifier] = [
    THREE,
    Majority([1]),
    Majority([2, 3, 4]),
    Hierarchical({1: {1: 1, 2: 2}, 2: {3: 0, 4: 1}}),
    Joint([THREE, Majority([3, 4, 5])]),
]
NUMBERS = st.one_of(st.integers(-2, 6), st.sampled_from([-(1 << 63), (1 << 63) - 1, 1 << 62, 1 << 32]))
VOTES = st.one_of(st.just(GREAT), st.builds(Vote, NUMBERS, NUMBERS, NUMBERS))
NOTIFICATIONS = st.builds(Notification, st.integers(-1, 4), VOTES, NUMBERS, st.sampled_from([0, 1, 2, 3]))
HEARD = st.tuples(st.just("hear"), NUMBERS, NOTIFICATIONS)
STEPS = st.one_of(
    HEARD,
    HEARD,
    HEARD,
    st.tuples(st.just("start"), st.sampled_from([-1, 0, 5, 1 << 32]), NOTIFICATIONS),
    st.tuples(st.just("wait"), st.sampled_from([0, 1, 200, 60_000]), NOTIFICATIONS),
    st.tuples(st.just("config"), st.integers(0, len(VERIFIERS) - 1), NOTIFICATIONS),
    st.tuples(st.just("epoch"), st.integers(0, 9), NOTIFICATIONS),
)


@settings(max_examples=300)
@given(st.sampled_from(VERIFIERS), st.integers(1, 5), st.lists(STEPS, max_size=40))
def test_any_notification_in_any_state_is_harmless(
    verifier: Verifier, sid: int, steps: list[tuple[str, int, Notification]]
) -> None:
    """Anybody may open the election port: nothing raises, all that is sent can be encoded, time is bounded."""
    election, now = Election(sid, verifier), START
    for verb, number, notification in steps:
        if verb == "hear":
            election.on_notification(number, notification, now)
        elif verb == "start":
            election.on_start(number, 1, now)
        elif verb == "wait":
            now = Now(now.mono_ms + number, 0)
            election.on_timeout(now)
        elif verb == "config":
            verifier = VERIFIERS[number]
            election.on_config(verifier, b"", now)
        elif election.state != LOOKING:
            election.on_epoch(number)
        for effect in election.take():
            assert isinstance(effect, Notify)
            assert sid != effect.sid
            assert encode_notification(effect.notification)
        assert (election.state == LEADING) == (election.state != LOOKING and election.vote.leader == sid)
        due_ms = election.deadline()
        assert due_ms is None or (election.state == LOOKING and due_ms <= now.mono_ms + MAX_RESEND_MS)


@settings(max_examples=150)
@given(st.integers(0, 1 << 32), st.sampled_from([3, 5]), st.sampled_from([5, 40, 400]))
def test_members_elect_one_leader_with_the_longest_log_of_a_quorum(seed: int, size: int, delay_ms: int) -> None:
    """Over links that keep order and delay as they like, also more than the finalize wait, and whenever they start."""
    ballot = Ballot(Random(seed), size, delay_ms)
    ballot.run(until_ms=300_000)
    leader = ballot.leader()
    assert leader is not None, ballot.story()
    assert [leader] * size == [member.vote.leader for member in ballot.members.values()], ballot.story()
