"""Followers of a real ensemble that come back, and a leader that is killed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.ensembles import Ensemble
from bench.failover import kill_leader
from bench.learners import catch_up, fill, transfer
from bench.load import build
from bench.servers import zoopark

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="zkbench needs gcc")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("zkbench"))


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ensemble]:
    ensemble = Ensemble(zoopark(), tmp_path_factory.mktemp("ensemble")).start()
    try:
        yield ensemble
    finally:
        ensemble.stop()


def modes(ensemble: Ensemble) -> list[str]:
    return sorted(member.said("Mode") for member in ensemble.members)


def test_the_killed_leader_is_back_as_a_follower(ensemble: Ensemble) -> None:
    leader = ensemble.leader
    assert 0 < kill_leader(ensemble) < 60_000
    assert ensemble.leader is not leader
    assert modes(ensemble) == ["follower", "follower", "leader"]


def test_a_follower_catches_up(program: Path, ensemble: Ensemble) -> None:
    """It is back with all that it missed: nodes, their parents, their root, and the sessions that made them."""
    lines: list[str] = []
    found = catch_up(program, ensemble, 200, "/missed", lines.append)
    assert found.recovery_s > 0
    assert found.joined_s > 0
    assert {int(member.said("Node count")) for member in ensemble.members} == {200 + 50 + 1 + 5}
    assert "200 missed" in lines[0]


def test_an_emptied_follower_gets_the_whole_tree(program: Path, ensemble: Ensemble) -> None:
    """Others are measured all the while, before it starts and after it serves."""
    assert fill(program, ensemble, 1000) > 0
    lines: list[str] = []
    found = transfer(program, ensemble, 8.0, lines.append)
    assert found.served_s < 8
    assert found.is_covered
    assert 0 < found.p99_us <= found.p999_us <= found.max_us
    assert found.before_p999_us > 0
    assert "p99.9" in lines[0]
    assert modes(ensemble) == ["follower", "follower", "leader"]
