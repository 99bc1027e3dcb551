"""The files of an ensemble on one machine: what is written is what a person would write, and is then only read."""

import socket
from itertools import islice
from pathlib import Path

import pytest

from tests.compat.oracle import free_port
from zoopark.errors import ConfigError
from zoopark.host.homes import LAST_PORT, free_ports, reachable_at, settle
from zoopark.server.config import load_config

TWO_AND_ONE = """\
# Server {sid}. The server lines are the same for all of them; data/myid says which one is this server's.
dataDir={home}/{sid}/data
tickTime=2000
initLimit=10
syncLimit=5
server.1=127.0.0.1:{quorums[0]}:{elections[0]};127.0.0.1:{clients[0]}
server.2=127.0.0.1:{quorums[1]}:{elections[1]};127.0.0.1:{clients[1]}
server.3=127.0.0.1:{quorums[2]}:{elections[2]}:observer;127.0.0.1:{clients[2]}
"""

N_APART = 20
"""Ports between those where servers of an ensemble are looked for a place: more than it has servers."""


def first_ports() -> list[int]:
    """Where to begin to look for client, quorum and election ports; no port is found twice."""
    first = free_port()
    return [first, first + N_APART, first + 2 * N_APART]


def test_the_files_are_those_a_person_would_write(tmp_path: Path) -> None:
    """They are the tutorial's, and whoever grows out of one machine goes on with them."""
    first = first_ports()
    clients, quorums, elections = ([*islice(free_ports(port), 3)] for port in first)
    homes = settle(tmp_path / "park", 2, 1, first)
    assert [(home.sid, home.address, home.is_observer) for home in homes] == [
        (sid, f"127.0.0.1:{clients[sid - 1]}", sid == 3) for sid in (1, 2, 3)
    ]
    for home in homes:
        ports = {"clients": clients, "quorums": quorums, "elections": elections}
        assert home.zoo_cfg.read_text() == TWO_AND_ONE.format(sid=home.sid, home=tmp_path / "park", **ports)
        assert (home.directory / "data" / "myid").read_text() == f"{home.sid}\n"


def test_what_is_there_is_read_and_stays(tmp_path: Path) -> None:
    """The ports are its own, though they may not be free just now; what its user has edited is not ours to write."""
    homes = settle(tmp_path, 2, 0, first_ports())
    port = int(homes[0].address.rpartition(":")[2])
    with homes[0].zoo_cfg.open("a") as file:
        file.write("snapCount=7\n")
    before = homes[0].zoo_cfg.read_text()
    with socket.create_server(("127.0.0.1", port)):
        again = settle(tmp_path, None, None)
    assert [home.address for home in again] == [home.address for home in homes]
    assert homes[0].zoo_cfg.read_text() == before


def test_one_server_has_the_same_files(tmp_path: Path) -> None:
    """Two more lines make an ensemble of it."""
    (home,) = settle(tmp_path, 1, None, first_ports())
    assert home.zoo_cfg.read_text().count("server.") == 1
    assert not home.is_observer


@pytest.mark.parametrize("name", ["caf\u00e9", "\u65e5\u672c", "\U0001f418", "back\\slash", "a b #!=:", "tab\tbed"])
def test_any_path_may_be_a_home(tmp_path: Path, name: str) -> None:
    """zoo.cfg is ISO-8859-1 with escapes, as Java reads it; paths are not."""
    (home,) = settle(tmp_path / name, 1, 0, first_ports())
    assert home.directory == tmp_path / name / "1"
    assert home.zoo_cfg.read_bytes().isascii()


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ((5, None), "{home}: holds an ensemble of 2 voting and 1 observing; 5 voting and 1 observing were asked for"),
        ((None, 0), "{home}: holds an ensemble of 2 voting and 1 observing; 2 voting and 0 observing were asked for"),
        ((1, 1), "observers need two voting servers or more"),
    ],
)
def test_another_ensemble_than_is_there_is_refused(
    tmp_path: Path, asked: tuple[int | None, int | None], line: str
) -> None:
    """Neither is the one that is there changed behind its user's back, nor another one started than was asked for."""
    settle(tmp_path, 2, 1, first_ports())
    assert _refusal(tmp_path, *asked) == line.format(home=tmp_path)


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    """Nothing is written among other people's files."""
    (tmp_path / "notes").touch()
    assert _refusal(tmp_path) == f"{tmp_path}: is not empty, and holds no ensemble: there is no 1/zoo.cfg in it"


def test_a_server_that_is_missing_is_named(tmp_path: Path) -> None:
    """The others would wait for it, or worse, have a quorum without its data."""
    homes = settle(tmp_path, 3, 0, first_ports())
    homes[1].zoo_cfg.unlink()
    assert _refusal(tmp_path) == f"{homes[0].zoo_cfg}: names servers 1, 2, 3; {tmp_path} holds 1, 3"


def test_a_copy_does_not_run_on_the_data_of_its_original(tmp_path: Path) -> None:
    """dataDir is a whole path, so that any directory is right to start a server from; a moved one must say so."""
    (home,) = settle(tmp_path / "old", 1, 0, first_ports())
    (tmp_path / "old").rename(tmp_path / "new")
    found = _refusal(tmp_path / "new")
    new = tmp_path / "new" / "1"
    assert found == f"{new / 'zoo.cfg'}: dataDir={home.directory}/data: {new / 'data'} is allowed; was it moved?"


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """As `zoopark serve` names it."""
    (home,) = settle(tmp_path, 1, 0, first_ports())
    home.zoo_cfg.write_text("tickTime=soon\n")
    assert _refusal(tmp_path).startswith(f"{home.zoo_cfg}:1: tickTime=soon: ")


def test_server_lines_in_another_file_are_refused(tmp_path: Path) -> None:
    """They are read from zoo.cfg alone, and one server is not what its user has."""
    home, _ = settle(tmp_path, 2, 0, first_ports())
    with home.zoo_cfg.open("a") as file:
        file.write("dynamicConfigFile=zoo.dyn\n")
    expected = f"{home.zoo_cfg}: dynamicConfigFile=zoo.dyn: the server lines must be in this file here"
    assert _refusal(tmp_path) == expected


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    """On any address: a server on all interfaces has the loopback too."""
    port = free_port()
    with socket.create_server(("", port)):
        assert next(free_ports(port)) > port


def test_ports_come_to_an_end() -> None:
    """Beyond are those that systems give away by themselves."""
    with socket.create_server(("127.0.0.1", LAST_PORT)), pytest.raises(ConfigError) as refused:
        next(free_ports(LAST_PORT))
    assert str(refused.value) == f"there is no free port on 127.0.0.1 from {LAST_PORT} to {LAST_PORT}"


@pytest.mark.parametrize(
    ("address", "expected"),
    [("", "localhost"), ("0.0.0.0", "localhost"), ("::", "localhost"), ("::1", "::1"), ("10.0.0.1", "10.0.0.1")],
)
def test_every_interface_is_reached_on_this_one(address: str, expected: str) -> None:
    """A server's address is where it listens, not always where it can be dialled."""
    line = f"clientPortAddress={address}\n" if address else ""
    config, _ = load_config(f"dataDir=data\nclientPort=77\n{line}", source_name="", overrides={})
    assert reachable_at(config) == (expected, 77)


def _refusal(directory: Path, n_voters: int | None = None, n_observers: int | None = None) -> str:
    with pytest.raises(ConfigError) as refused:
        settle(directory, n_voters, n_observers)
    return str(refused.value)
