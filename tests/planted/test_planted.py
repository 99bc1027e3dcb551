"""The harness must be able to fail: known bugs, planted one at a time into copies of the product, are found.

Each fault is played by seeds in a world that suits it, or in a scene, until the simulator finds it; that must be soon,
it must be found for what it is, and the product must pass everything that was played.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

import pytest

from tests.planted import hosts, leaders, learners, scenes
from tests.planted.parts import IS_COMPILED
from tests.planted.stage import Plant, nothing, play, run, serve

Trial = Callable[[Plant, int], str]
"""Plays one seed of a world or a scene; says what went wrong."""

MAX_SEEDS: Final = 30


def in_crashes(plant: Plant, seed: int) -> str:
    """Members are killed between any two effects."""
    return run(plant, seed, ["kill one", "kill leader", "doom", "break link"], 4_000)


def in_slow_disks(plant: Plant, seed: int) -> str:
    """Links break while writes are on their way to disks that take long."""
    return run(plant, seed, ["slow disk", "break link"], 5_000)


def in_wipes(plant: Plant, seed: int) -> str:
    """Members lose everything, are sent a snapshot, and are killed."""
    return run(plant, seed, ["wipe", "kill one", "kill all"], 6_000)


def in_slow_history(plant: Plant, seed: int) -> str:
    return play(plant, scenes.slow_history, seed)


def in_death_at_the_epoch(plant: Plant, seed: int) -> str:
    return play(plant, scenes.death_at_the_epoch, seed)


def in_change_of_roles(plant: Plant, seed: int) -> str:
    return play(plant, scenes.learner_becomes_leader, seed)


def in_truncation(plant: Plant, seed: int) -> str:
    return play(plant, scenes.tail_is_truncated, seed)


def with_sessions(plant: Plant, seed: int) -> str:
    """One server with clients that open and close sessions."""
    return serve(plant, seed, ["sessions"], ["kill one", "kill all"])


def with_sessions_on_three(plant: Plant, seed: int) -> str:
    """Three members with clients that open and close sessions, or die."""
    return serve(plant, seed, ["sessions"], ["kill one", "kill leader", "kill all"], n_voters=3)


FAULTS: Final[Sequence[tuple[str, Plant, Trial, str]]] = [
    ("ZOOKEEPER-2845", leaders.looks_without_replay, in_crashes, "I-5"),
    ("ZOOKEEPER-3104", leaders.newleader_ahead_of_history, in_slow_history, "durability"),
    ("ZOOKEEPER-3911", learners.history_logged_after_uptodate, in_slow_history, "durability"),
    ("ZOOKEEPER-4643", learners.epoch_before_history, in_death_at_the_epoch, "I-8"),
    ("ZOOKEEPER-4646", learners.newleader_acked_while_flushing, in_slow_history, "durability"),
    ("ZOOKEEPER-4685", learners.proposals_acked_ahead_of_newleader, in_crashes, "I-12"),
    ("ZOOKEEPER-4394", learners.commit_ahead_of_uptodate, in_crashes, "IndexError"),
    ("ZOOKEEPER-4785", learners.history_logged_behind_the_ack, in_slow_history, "durability"),
    ("ZOOKEEPER-4925", learners.history_bypasses_window, in_change_of_roles, "I-10"),
    ("ZOOKEEPER-4712", leaders.stale_writes_outlive_the_role, in_slow_disks, "I-5"),
    ("ZOOKEEPER-1549", hosts.snapshot_of_the_uncommitted, in_truncation, "AssertionError"),
    ("ZOOKEEPER-2355", hosts.close_session_half_done, with_sessions, "digest|ephemeral|read"),
    ("ZOOKEEPER-3144", hosts.sessions_saved_before_nodes, with_sessions, "session"),
    ("ZOOKEEPER-2355 on three", hosts.close_session_half_done, with_sessions_on_three, "digest|ephemeral|read"),
    ("ZOOKEEPER-3144 on three", hosts.sessions_saved_before_nodes, with_sessions_on_three, "session|digest"),
    ("ZOOKEEPER-962", leaders.outstanding_left_out, in_crashes, "I-13|I-14"),
    ("ZOOKEEPER-1282", leaders.epoch_proposed_ahead_of_the_disk, in_crashes, "durability"),
    ("ZOOKEEPER-3642", hosts.snapshot_kept_in_memory, in_wipes, "durability|recovery"),
    ("Zab-1", leaders.proposals_after_ack_only, in_crashes, "I-14"),
    ("Zab-2", learners.proposals_once_only, in_crashes, "I-13"),
    ("Zab-3", leaders.commits_after_uptodate_only, in_crashes, "I-14"),
]


def sought(plant: Plant, trial: Trial) -> tuple[int, str]:
    """The first seed that shows the fault, and what it shows; (0, "") if none of the first ones does."""
    for seed in range(1, MAX_SEEDS + 1):
        found = trial(plant, seed)
        if found:
            return seed, found
    return 0, ""


@pytest.mark.parametrize(("plant", "trial", "checker"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_a_known_bug_is_found_and_the_product_does_not_have_it(plant: Plant, trial: Trial, checker: str) -> None:
    if IS_COMPILED and trial is with_sessions_on_three:
        pytest.skip("compiled members take no copies in the place of their parts; the sources run the same rows")
    seed, found = sought(plant, trial)
    assert seed, "the simulator does not see it"
    assert re.match(f"(Violation: )?({checker}): ", found), found
    assert [trial(nothing, at) for at in range(1, seed + 1)] == [""] * seed


def test_copies_are_the_product() -> None:
    """A copy with nothing planted passes worlds and scenes; so what is found is what was planted."""
    scenes_played = (in_slow_history, in_death_at_the_epoch, in_change_of_roles, in_truncation)
    trials = [in_crashes, *scenes_played, with_sessions]
    if not IS_COMPILED:
        trials.append(with_sessions_on_three)
    assert [trial(nothing, MAX_SEEDS) for trial in trials] == [""] * len(trials)
