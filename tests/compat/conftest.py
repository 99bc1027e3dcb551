"""Fixtures: the referees and the pairs of servers, each kept for as long as tests need it."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.compat import oracle
from tests.compat.members import Members
from tests.compat.oracle import Flavour, OracleMissingError
from tests.compat.pair import Pair
from tests.compat.scenarios import SETTINGS

Referee = Callable[[str], Flavour]
Pairs = Callable[[str], Pair]
Form = Callable[..., Members]


@pytest.fixture(scope="session")
def referee() -> Referee:
    """Gives the flavour of an Apache ZooKeeper by version; skips the test (or fails it, when required) without one."""

    def find(version: str) -> Flavour:
        try:
            return oracle.apache(version)
        except OracleMissingError as missing:
            if oracle.is_required():
                pytest.fail(f"ZOOPARK_REQUIRE_ORACLE=1, but {missing}")
            pytest.skip(str(missing))

    return find


@pytest.fixture(scope="module")
def pairs(referee: Referee, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pairs]:
    """Gives Apache 3.9.3 and zoopark, running, by the name of their settings; one pair runs at a time."""
    running: dict[str, Pair] = {}

    def find(settings: str) -> Pair:
        if settings not in running:
            for pair in running.values():
                pair.stop()
            running.clear()
            home = tmp_path_factory.mktemp(f"pair-{settings}")
            running[settings] = Pair(referee("3.9.3"), oracle.zoopark(), home, *SETTINGS[settings]).start()
        return running[settings]

    yield find
    for pair in running.values():
        pair.stop()


@pytest.fixture(scope="session")
def flavour(referee: Referee) -> Referee:
    """Gives the flavour called "zoopark", "3.9.3" or "3.8"; as `referee` without one."""
    return lambda kind: oracle.zoopark() if kind == "zoopark" else referee(kind)


@pytest.fixture
def form(tmp_path: Path, flavour: Referee) -> Iterator[Form]:
    """Makes an ensemble of these kinds, not started, with these arguments of Members, whose `finish` is called."""
    made: list[Members] = []

    def make(*kinds: str, n_observers: int = 0, **lines: Mapping[str, str]) -> Members:
        made.append(Members(tmp_path, [flavour(kind) for kind in kinds], n_observers, **lines))
        return made[-1]

    yield make
    for members in made:
        members.finish()
