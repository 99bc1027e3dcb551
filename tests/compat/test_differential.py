"""The differential test: zoopark and Apache ZooKeeper 3.9.3 answer every sequence of requests alike.

ZOOPARK_DIFF_SEEDS and ZOOPARK_DIFF_STEPS scale the random part. A failure shows the first step that was answered
differently; `python -m tests.compat.differential --seed N --shrink` looks for a shorter way there.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

import pytest

from tests.compat import oracle, wire
from tests.compat import requests as ask
from tests.compat.conftest import Pairs, Referee
from tests.compat.generate import Generator
from tests.compat.pair import Difference, Pair
from tests.compat.requests import Acl
from tests.compat.run import Side
from tests.compat.scenarios import SCENARIOS
from tests.compat.steps import Drop, Raw, Step, Word, script, sends

pytestmark = [pytest.mark.compat, pytest.mark.xdist_group("differential")]

SEEDS = int(os.environ.get("ZOOPARK_DIFF_SEEDS", "5"))
STEPS = int(os.environ.get("ZOOPARK_DIFF_STEPS", "1000"))
WRITTEN = [(settings, name) for settings, scenarios in SCENARIOS.items() for name in scenarios]


def check(pair: Pair, steps: Sequence[Step]) -> None:
    """Fail with the difference, and leave a fresh pair behind."""
    found = pair.compare(steps)
    if found is not None:
        pair.start()
        pytest.fail(str(found), pytrace=False)


@pytest.mark.parametrize(("settings", "name"), WRITTEN)
def test_hand_written_sequences_are_answered_alike(pairs: Pairs, settings: str, name: str) -> None:
    check(pairs(settings), SCENARIOS[settings][name])


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_sequences_are_answered_alike(pairs: Pairs, seed: int) -> None:
    check(pairs("full"), Generator(Random(seed)).steps(STEPS))


@pytest.mark.parametrize("seed", range(1000, 1000 + (SEEDS + 4) // 5))
def test_random_sequences_are_answered_alike_without_extended_types(pairs: Pairs, seed: int) -> None:
    check(pairs("plain"), Generator(Random(seed)).steps(STEPS))


KNOWN_DIFFERENCES = {
    "exists of a hidden node": sends(0, ask.create("/a", acls=(Acl(30, "world", "anyone"),)), ask.exists("/a")),
    "zxid of an event": script(sends(0, ask.exists("/a", True)), sends(1, ask.create("/a"))),
    "types of removeWatches": sends(0, ask.add_watch("/a", 0), ask.watches(wire.REMOVE_WATCHES, "/a", 4)),
    "modes seen by checkWatches": sends(0, ask.add_watch("/a", 0), ask.watches(wire.CHECK_WATCHES, "/a", 1)),
    "check outside of a multi": sends(0, ask.check("/")),
}
"""What is known to have changed between 3.8.0 and 3.9.3."""


@pytest.fixture(scope="module")
def unequal(referee: Referee, tmp_path_factory: pytest.TempPathFactory) -> Iterable[Pair]:
    pair = Pair(referee("3.9.3"), referee("3.8"), tmp_path_factory.mktemp("unequal")).start()
    yield pair
    pair.stop()


@pytest.mark.parametrize("name", KNOWN_DIFFERENCES)
def test_the_comparison_finds_what_changed_since_3_8(unequal: Pair, name: str) -> None:
    """A differential test that cannot fail proves nothing."""
    found = unequal.compare(KNOWN_DIFFERENCES[name])
    unequal.start()
    assert found is not None


def test_the_comparison_finds_nothing_between_equal_servers(referee: Referee, tmp_path: Path) -> None:
    """The masks hide all that a real server does differently from itself."""
    pair = Pair(referee("3.9.3"), referee("3.9.3"), tmp_path).start()
    try:
        assert_same(pair.compare(Generator(Random(99)).steps(500)))
        assert_same(pair.compare(SCENARIOS["full"]["four-letter words"]))
    finally:
        pair.stop()


def assert_same(found: Difference | None) -> None:
    assert found is None, str(found)


def test_a_pair_is_clean_after_every_sequence(referee: Referee, tmp_path: Path) -> None:
    """Nodes, sessions, quotas and hidden nodes of one sequence do not reach the next."""
    quota = "/zookeeper/quota/a"
    hidden = (Acl(0, "world", "anyone"),)
    messy = script(
        sends(0, ask.create("/a", acls=hidden), ask.create("/b", flags=1), ask.create(quota), ask.create(f"{quota}/x")),
        Drop(0),
        sends(1, ask.create("/c/d"), ask.add_watch("/", 1)),
        Raw(1, b"\xff\xff\xff\xff"),
        Word(b"ruok"),
    )
    pair = Pair(referee("3.9.3"), referee("3.9.3"), tmp_path).start()
    try:
        assert_same(pair.compare(messy))
        side = Side(pair.addresses[0])
        looks = sends(
            0, ask.get_children("/"), ask.get_children("/zookeeper/quota"), ask.named(wire.GET_EPHEMERALS, "")
        )
        replies = [side.perform(look)["#0"][-1] for look in looks]
        side.finish()
    finally:
        pair.stop()
    assert [reply.split("err=0 ")[1] for reply in replies] == ["[\"b'zookeeper'\"]", "[]", "[]"]


def test_a_machine_without_java_is_told_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(oracle.OracleMissingError, match=r"no java.*apt-get install"):
        oracle.apache("3.9.3", search_path=str(tmp_path))
