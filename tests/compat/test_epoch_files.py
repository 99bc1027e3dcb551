"""A member whose epoch files disagree with its log says which file, what is wrong and how to mend it, and stops.

Its log ends in epoch 2, and two others serve. Apache 3.9.3 is given the same directory: what it starts with, zoopark
starts with; what it refuses, zoopark refuses, but for the two rows that are told apart.
"""

import shutil
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tests.compat import oracle
from tests.compat.conftest import Referee
from tests.compat.members import Members
from tests.compat.oracle import Server, ServerFailedError

pytestmark = pytest.mark.xdist_group("epoch files")

CURRENT: Final = "currentEpoch"
ACCEPTED: Final = "acceptedEpoch"
MENDED: Final = "write the greatest acceptedEpoch of all members into it"
Files = dict[str, str | None]
Start = Callable[[str, Files], str]

TAKEN: Final[dict[str, Files]] = {
    "as it was left": {},
    "current is lost": {CURRENT: None},
    "accepted is lost": {ACCEPTED: None},
    "both are lost": {CURRENT: None, ACCEPTED: None},
    "newlines": {CURRENT: "2\n", ACCEPTED: "2\n"},
    "a second line": {CURRENT: "2\n7\n"},
    "a sign": {CURRENT: "+2"},
    "a new epoch that was not renamed": {CURRENT: "1", CURRENT + ".tmp": "2"},
}
REFUSED: Final[dict[str, tuple[Files, list[str]]]] = {
    "current above accepted": ({CURRENT: "9"}, [f"/{ACCEPTED}: holds 2", "less than the current epoch 9", "Restore"]),
    "both below the log": ({CURRENT: "1", ACCEPTED: "1"}, [f"/{ACCEPTED}: holds 1", "older than epoch 2", "Restore"]),
    "letters in current": ({CURRENT: "abc"}, [f"/{CURRENT}: holds 'abc'", "decimal digits", "delete it"]),
    "letters in accepted": ({ACCEPTED: "abc"}, [f"/{ACCEPTED}: holds 'abc'", "decimal digits", MENDED]),
    "current is empty": ({CURRENT: ""}, [f"/{CURRENT}: holds ''", "delete it"]),
    "accepted is empty": ({ACCEPTED: ""}, [f"/{ACCEPTED}: holds ''", MENDED]),
    "current is negative": ({CURRENT: "-1"}, [f"/{CURRENT}: holds '-1'", "delete it"]),
    "accepted is negative": ({ACCEPTED: "-1"}, [f"/{ACCEPTED}: holds '-1'", MENDED]),
    "more digits than fit": ({ACCEPTED: "9" * 20}, [f"/{ACCEPTED}: holds '{'9' * 20}'", "up to 2147483647"]),
    "a promise is lost": ({CURRENT: "9", ACCEPTED: None}, [f"/{ACCEPTED}: there is no such file", MENDED]),
}


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    """Three, of which 1 is down, after a transaction of epoch 2; its directory is kept beside it."""
    made = Members(tmp_path_factory.mktemp("members"), [oracle.zoopark()] * 3)
    try:
        made.start(2, 3).start(1)  # two elect the larger id; of three, two that are quick elect one of them
        for number in (1, 2):
            made.client(1, 2).create(f"/epoch-{number}")
            made.kill(3)
            made.start(3)
        assert (made.servers[1].data_dir / "version-2" / CURRENT).read_text() == "2"
        made.kill(1)
        shutil.copytree(made.servers[1].data_dir, made.servers[1].home / "kept")
        yield made
    finally:
        made.stop()


@pytest.fixture
def start(members: Members, referee: Referee) -> Iterator[Start]:
    """Starts server 1, of this kind and with these files; why it ended, or "" once it serves."""
    former, started = members.servers[1], list[Server]()

    def run(kind: str, files: Files) -> str:
        shutil.rmtree(former.data_dir)
        shutil.copytree(former.home / "kept", former.data_dir)
        for name, text in files.items():
            place = former.data_dir / "version-2" / name
            place.unlink(missing_ok=True)
            if text is not None:
                place.write_text(text)
        flavour = oracle.zoopark() if kind == "zoopark" else referee(kind)
        server = Server(flavour, former.home, former.settings, former.properties, former.data_dir)
        started.append(server)
        try:
            server.start()
        except ServerFailedError as failure:
            return str(failure)
        return ""

    yield run
    for server in started:
        server.stop()


@pytest.mark.parametrize("kind", ["zoopark", pytest.param("3.9.3", marks=pytest.mark.compat)])
@pytest.mark.parametrize("row", TAKEN)
def test_what_apache_starts_with(start: Start, row: str, kind: str) -> None:
    assert start(kind, TAKEN[row]) == ""


@pytest.mark.parametrize("row", REFUSED)
def test_a_member_says_what_is_wrong_and_how_to_mend_it(start: Start, row: str) -> None:
    """In one line, the last, and with exit code 3."""
    files, words = REFUSED[row]
    failure = start("zoopark", files)
    assert "ended with exit code 3\n" in failure
    line = failure.splitlines()[-1]
    assert [word for word in words if word not in line] == [], line


@pytest.mark.compat
@pytest.mark.parametrize("row", REFUSED)
def test_what_apache_refuses(start: Start, row: str) -> None:
    files, _ = REFUSED[row]
    assert "ended with exit code 1\n" in start("3.9.3", files)


def test_a_log_that_is_ahead_of_the_current_epoch_is_a_crash_and_no_damage(start: Start) -> None:
    """A learner writes the history before the epoch (ZOOKEEPER-4643); Apache refuses what such a crash leaves."""
    assert start("zoopark", {CURRENT: "1"}) == ""


def test_an_epoch_that_fits_into_no_zxid_is_refused(start: Start) -> None:
    """Apache goes on with it, and its next zxids belong to another epoch than it says."""
    failure = start("zoopark", {ACCEPTED: "4294967296"})
    assert "ended with exit code 3\n" in failure
    assert f"/{ACCEPTED}: holds '4294967296', not an epoch in decimal digits up to 2147483647" in failure
