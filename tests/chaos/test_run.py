"""A short round with real processes, and what its judge says once a write that was acknowledged is lost."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest

from chaos.disks import Shelf
from chaos.ensemble import N_VOTERS, WITNESS
from chaos.history import read_history
from chaos.rows import Rows
from chaos.run import GROWTH_KB, WARM_S, Round
from chaos.verdict import HISTORY, Unwitnessed, check_against, check_disks, check_rows, check_sessions, judge
from zoopark.server.rewriting import truncate_files
from zoopark.sim.checkers import Violation
from zoopark.sim.checkers.recording import ANSWER
from zoopark.sim.checkers.truth import Truth

SEED = 4
"""All voters are killed first."""
FAULTS_S = 4.0
WAIT_S = 40.0


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Round:
    """A round that is over, with nothing violated."""
    one = Round(tmp_path_factory.mktemp("chaos"), SEED, FAULTS_S, False, lambda line: None)
    asyncio.run(one.go())
    return one


@pytest.fixture
def home(finished: Round, tmp_path: Path) -> Path:
    """What it left, to be spoilt."""
    return Path(shutil.copytree(finished.home, tmp_path / "copy"))


def test_a_round_ends_with_nothing_violated(finished: Round) -> None:
    assert finished.counts["writes answered"] > 50
    assert finished.counts["ended: asked to stop"] >= 6
    assert finished.counts["fault: kill all"] >= 1
    assert finished.counts["ended: kill -9"] >= N_VOTERS
    assert judge(finished.home).counts["told"] == finished.counts["told"]


def test_an_observer_that_grows_is_found(tmp_path: Path) -> None:
    """Nothing befalls it, so it is as old as the round."""
    one = Round(tmp_path, SEED, FAULTS_S, False, lambda line: None)
    sizes_kb = {1.0: 20_000, 2.0: 30_000, WARM_S - 1: 25_000, WARM_S: 30_000 + GROWTH_KB}
    for spent_s, size_kb in sizes_kb.items():
        one.ensemble.members[WITNESS].rss_kb = size_kb
        one.check_memory(spent_s)
    assert one.growth_kb == GROWTH_KB
    one.ensemble.members[WITNESS].rss_kb += 1
    with pytest.raises(Violation, match=r"^memory:"):
        one.check_memory(WARM_S + 1)


def last_answered_write(home: Path) -> int:
    """The zxid of the last setData, create or delete that was acknowledged."""
    written = [
        arguments[1][1]
        for _, _, _, what, arguments in read_history(home / HISTORY)
        if what == ANSWER and arguments[0][3] is not None and arguments[1][0] == 0
    ]
    return int(written[-1])


def test_writes_that_left_every_disk_are_found(home: Path) -> None:
    """As if a majority had come back with older disks, and all others had followed it."""
    zxid = last_answered_write(home)
    for place in home.glob("[0-9]"):
        shelf = Shelf(place / "data")
        truncate_files(shelf.config, shelf.disk, zxid - 1)
        shelf.close()
    with pytest.raises(Violation, match=r"^(committed|session):"):
        judge(home)


def test_a_run_that_nobody_saw_from_the_beginning_is_not_judged(home: Path) -> None:
    """A member that was sent a snapshot has neither the first one nor the transactions before."""
    for place in home.glob("[0-9]"):
        (place / "data" / "version-2" / "snapshot.0").unlink(missing_ok=True)
    with pytest.raises(Unwitnessed):
        judge(home)


def test_one_disk_that_lags_is_found(home: Path) -> None:
    shelf = Shelf(home / "3" / "data")
    truncate_files(shelf.config, shelf.disk, last_answered_write(home) - 1)
    shelf.close()
    with pytest.raises(Violation, match=r"^I-10:"):
        judge(home)


def respell(home: Path, pattern: str, replacement: str) -> None:
    """Change the last line of the history that matches."""
    lines = (home / HISTORY).read_text().splitlines()
    at = max(at for at, line in enumerate(lines) if re.search(pattern, line))
    lines[at] = re.sub(pattern, replacement, lines[at])
    (home / HISTORY).write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("pattern", "replacement", "name"),
    [
        (r"'zxid', \(\d+,\)", "'zxid', (4294967297,)", "monotonic"),
        (r"'zxid', \(\d+,\)", "'zxid', (99999999999999,)", "committed"),
        (r"'connected', \(\d+,\)", "'connected', (1,)", "session"),
        (r"'held', \(\d+, ", "'held', (", "session"),
    ],
)
def test_a_history_that_was_spoilt_is_found(home: Path, pattern: str, replacement: str, name: str) -> None:
    respell(home, pattern, replacement)
    with pytest.raises(Violation, match=f"^{name}:"):
        judge(home)


def test_a_session_that_ended_too_early_is_found(finished: Round) -> None:
    truth = judge(finished.home).truth
    closed = next(session_id for session_id, zxid in truth.sessions.items() if zxid)
    with pytest.raises(Violation, match=r"^session:.* has ended"):
        check_sessions(truth, {closed})


def test_a_disk_with_less_than_is_committed_is_found(home: Path) -> None:
    truth = judge(home).truth
    shelves = {1: Shelf(home / "1" / "data")}
    truncate_files(shelves[1].config, shelves[1].disk, last_answered_write(home) - 1)
    with pytest.raises(Violation, match=r"^durability:"):
        check_disks(truth, shelves)
    shelves[1].close()


def test_members_that_differ_are_found() -> None:
    rows: dict[int, Rows] = {1: {b"/": b"", b"/a": b"x"}, 2: {b"/": b"", b"/a": b"x"}}
    check_rows(rows)
    rows[2][b"/a"] = b"y"
    with pytest.raises(Violation, match=r"^rows: members 1 and 2 differ in b'/a'"):
        check_rows(rows)
    del rows[2][b"/a"]
    with pytest.raises(Violation, match=r"^rows:"):
        check_rows(rows)


def test_a_znode_that_nobody_wrote_is_found() -> None:
    with pytest.raises(Violation, match=r"^rows:"):
        check_against(Truth(), {b"/a": b"\0\0\0\1x" + bytes(68)})
