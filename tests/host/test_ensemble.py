"""A member as its user sees it start: what it is refused for, and what its other servers' ports do meanwhile.

What ensembles of several processes do is in tests/compat/test_ensemble.py.
"""

import errno
import socket
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.compat.members import until
from tests.compat.oracle import four_letter_word, free_port
from tests.faults.process import Fleet, Process

WAIT_S = 10.0
NO_LINES = {f"server.{sid}": "" for sid in (1, 2, 3)}


def _member(fleet: Fleet, myid: str | None = "1", **settings: str) -> Process:
    """Server 1 of three, whose others are not there."""
    lines = {f"server.{sid}": f"127.0.0.1:{free_port()}:{free_port()}" for sid in (1, 2, 3)}
    process = fleet.server(
        {"initLimit": "5", "syncLimit": "5", "tickTime": "500", "4lw.commands.whitelist": "*", **lines, **settings}
    )
    if myid is not None:
        (process.home / "data").mkdir()
        (process.home / "data" / "myid").write_text(myid)
    return process


def test_a_member_without_others_answers_words_and_stops(fleet: Fleet) -> None:
    """It looks for a leader, says that it does not serve, and ends cleanly."""
    member = _member(fleet).start()
    assert four_letter_word(member.address, b"ruok") == b"imok"
    assert four_letter_word(member.address, b"srvr") == b"This ZooKeeper instance is not currently serving requests\n"
    assert four_letter_word(member.address, b"isro") == b"null"
    assert member.stop() == 0
    assert "looking for a leader" in member.err()


@pytest.mark.parametrize(
    ("myid", "settings", "expected"),
    [
        (None, {}, "data/myid: there is no such file: it says which server.N of "),
        ("x\n", {}, "data/myid: 'x': a whole number from 0 to 255 is allowed"),
        ("7", {}, "server.1: myid is 7, and there is no line server.7"),
        ("1", {"server.2": "127.0.0.1:1"}, "server.2=127.0.0.1:1: host:port:port"),
        ("1", {"dynamicConfigFile": "none", **NO_LINES}, "none: cannot be read: No such file or directory"),
        ("1", {"server.2": "127.0.0.1:1:2|127.0.0.2:1:2"}, "needs multiAddress.enabled=true"),
        ("1", {"initLimit": ""}, "initLimit is missing: an ensemble needs it, in ticks"),
    ],
)
def test_a_member_that_does_not_know_who_it_is_says_so_in_one_line(
    fleet: Fleet, myid: str | None, settings: dict[str, str], expected: str
) -> None:
    """With the file, and the line where there is one; the exit code is that of a bad configuration."""
    member = _member(fleet, myid, **settings)
    member.spawn()
    assert member.wait() == 2
    (line,) = member.err().splitlines()
    assert expected in line


def test_a_quorum_port_in_use_is_named(fleet: Fleet) -> None:
    """With the key that says it."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        member = _member(fleet, **{"server.1": f"127.0.0.1:{port}:{free_port()}"})
        member.spawn()
        assert member.wait() == 1
    (line,) = member.err().splitlines()
    assert line == (
        f"zoopark: cannot listen on 127.0.0.1:{port}: the port is in use; stop the other server, or set server.1"
    )


@pytest.mark.parametrize("is_everywhere", [False, True])
def test_the_ports_between_servers_are_open_where_they_should_be(fleet: Fleet, is_everywhere: bool) -> None:
    """quorumListenOnAllIPs: else only at the address of the server line."""
    port = free_port()
    lines = {"server.1": f"127.0.0.1:{port}:{free_port()}", "quorumListenOnAllIPs": str(is_everywhere).lower()}
    member = _member(fleet, **lines).start()
    socket.create_connection(("127.0.0.1", port), WAIT_S).close()
    with socket.socket() as plug:
        plug.settimeout(WAIT_S)
        assert (plug.connect_ex(("127.0.0.2", port)) == 0) is is_everywhere
    assert member.stop() == 0


def test_an_epoch_that_disagrees_with_the_log_is_named(fleet: Fleet, tmp_path: Path) -> None:
    """Which file, what is wrong, how to mend it; exit code 3."""
    member = _member(fleet)
    version_2 = member.home / "data" / "version-2"
    version_2.mkdir()
    (version_2 / "currentEpoch").write_text("5")
    (version_2 / "acceptedEpoch").write_text("4")
    member.spawn()
    assert member.wait() == 3
    (line,) = member.err().splitlines()
    assert line.startswith(
        f"zoopark: {version_2}/acceptedEpoch: holds 4, less than the current epoch 5 in currentEpoch."
    )


def test_a_member_listens_on_all_of_its_addresses(fleet: Fleet) -> None:
    """On both ports of each, and nowhere else."""
    ports = [free_port() for _ in range(4)]
    places = [("127.0.0.2", ports[0]), ("127.0.0.2", ports[1]), ("127.0.0.1", ports[2]), ("127.0.0.1", ports[3])]
    line = f"127.0.0.2:{ports[0]}:{ports[1]}|127.0.0.1:{ports[2]}:{ports[3]}"
    _member(fleet, **{"server.1": line, "multiAddress.enabled": "true"}).start()
    for place in places:
        socket.create_connection(place, WAIT_S).close()
    with socket.socket() as plug:
        assert plug.connect_ex(("127.0.0.3", ports[0])) == errno.ECONNREFUSED


def test_an_attempt_to_reach_an_election_port_ends_in_time(fleet: Fleet) -> None:
    """cnxTimeout: the other side's queue is full, so that nobody answers; the default would take 5 s."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as silent,
        socket.socket() as taker,
        socket.socket() as other,
    ):
        for plug in (taker, other):
            plug.setblocking(False)
            plug.connect_ex(silent.getsockname())
        port = silent.getsockname()[1]
        member = _member(fleet, **{"server.2": f"127.0.0.1:{free_port()}:{port}", "cnxTimeout": "200"}).start()
        line = f"server 2 does not answer yet (no answer at 127.0.0.1:{port}); it is tried again"
        said = until(member.err, lambda said: line in said)
        assert _when(said, line) - _when(said, "looking for a leader") < timedelta(seconds=4.5)


def _when(log: str, words: str) -> datetime:
    """The moment that a log gives its first line with these words: how long the process took to start is not in it."""
    return next(datetime.fromisoformat(line[:23]) for line in log.splitlines() if words in line)
