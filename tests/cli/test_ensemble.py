"""`zoopark ensemble`: real servers, real signals, and nothing left of either."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.started import Started, is_there, run, wait_for_end
from tests.faults.process import Client

Start = Callable[..., Started]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts ensembles; none of them outlives the test, nor do their temporary directories."""
    made: list[Started] = []

    def begin(*arguments: str, environment: dict[str, str] | None = None) -> Started:
        made.append(Started(*arguments, environment={"TMPDIR": str(tmp_path), **(environment or {})}))
        return made[-1]

    yield begin
    for started in made:
        started.end()


def _client(address: str) -> Client:
    host, _, port = address.rpartition(":")
    return Client((host, int(port)))


def test_three_servers_one_of_which_leads(start: Start) -> None:
    """One command and no argument; Ctrl-C reaches the whole group of the terminal, and takes everything away."""
    started = start()
    directory = started.directory
    addresses = started.wait_ready().split(",")
    text = started.output.text
    assert len(set(addresses)) == 3
    assert text.count(" leading in epoch 1\n") == 1 and text.count(" following server ") == 2
    assert all(f"  server {sid}  {address}  " in text for sid, address in enumerate(addresses, 1))
    with closing(_client(addresses[0]).link) as link:
        assert link is not None
    assert len(started.servers) == 3 and (directory / "1" / "zoo.cfg").exists()
    assert started.stop(signal.SIGINT, to_group=True) == 0
    assert started.output.text.endswith("Ctrl-C stops all of them\nstopping\n")
    assert not directory.exists() and not any(map(is_there, started.servers.values()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_kept_directory_keeps_the_data_and_the_ports(start: Start, tmp_path: Path, number: int) -> None:
    """Whoever stops it, and be it a supervisor that knows only the parent."""
    home = str(tmp_path / "park")
    first = start("--dir", home)
    addresses = first.wait_ready()
    client = _client(addresses.split(",")[0])
    client.create("/kept", b"data")
    client.close_session()
    assert first.stop(number) == 0
    assert not any(map(is_there, first.servers.values()))
    second = start("-n", "3", "--dir", home)
    assert second.wait_ready() == addresses
    client = _client(addresses.split(",")[2])
    assert client.get("/kept")[0] == b"data"
    client.close_session()
    assert second.stop(number) == 0


def test_the_end_of_servers_is_told(start: Start) -> None:
    """Who leads now, how to have back who is gone, and that one of three finds no leader."""
    started = start()
    directory = started.directory
    leader = int(started.output.wait_for(r"server (\d) .* leading in epoch 1\n")[1])
    started.wait_ready()
    os.kill(started.servers[leader], signal.SIGKILL)
    killed = rf"  server {leader}  \S+  was killed by signal 9 \(Killed\)\n"
    advice = f"    to start it again: zoopark serve {directory}/{leader}/zoo.cfg\n"
    _, elected = started.output.wait_for_all(killed + advice, r"  server (\d)  \S+  leading in epoch 2\n")
    next_leader = int(elected[1])
    assert next_leader != leader
    os.kill(started.servers[next_leader], signal.SIGTERM)
    (last,) = set(started.servers) - {leader, next_leader}
    started.output.wait_for_all(f"server {next_leader} .* has stopped\n", f"server {last} .* looking for a leader\n")
    os.kill(started.servers[last], signal.SIGKILL)
    assert started.output.end() == 1
    assert started.output.text.endswith("zoopark: no server is left\n")


def test_servers_do_not_outlive_who_started_them(start: Start) -> None:
    """Not even kill -9 leaves three servers behind that nobody remembers."""
    started = start("-n", "2")
    started.wait_ready()
    started.process.kill()
    for pid in started.servers.values():
        wait_for_end(pid)


def test_a_server_that_stands_still_is_stopped_too(start: Start) -> None:
    """A signal to a stopped process waits for ever."""
    started = start()
    started.wait_ready()
    os.kill(started.servers[1], signal.SIGSTOP)
    assert started.stop(signal.SIGTERM) == 0
    assert not is_there(started.servers[1])


def test_observers_observe(start: Start) -> None:
    """They are among those that clients may connect to."""
    started = start("-n", "2", "--observers", "1", environment={"ZOOPARK_MYID": "1"})
    observer = started.wait_ready().split(",")[2]
    assert f"  server 3  {observer}  observing" in started.output.text
    assert started.stop(signal.SIGTERM) == 0


def test_one_server_is_no_ensemble(start: Start) -> None:
    """It is what ZooKeeper makes of one server line: a server of its own, for whom one is enough."""
    started = start("-n", "1")
    assert ":" in started.wait_ready()
    assert "  listening\n" in started.output.text
    assert started.stop(signal.SIGINT) == 0
    assert started.output.text.endswith("Ctrl-C stops it\nstopping\n")


def test_a_taken_port_stops_all(start: Start, tmp_path: Path) -> None:
    """The ports of a kept directory are its own; somebody else may have one of them now."""
    first = start("-n", "2", "--dir", str(tmp_path))
    port = int(first.wait_ready().rpartition(":")[2])
    assert first.stop(signal.SIGTERM) == 0
    with socket.create_server(("127.0.0.1", port)):
        second = start("--dir", str(tmp_path))
        assert second.output.end() == 1
    reason = f"ended with exit code 1: zoopark: cannot listen on 127.0.0.1:{port}: the port is in use"
    assert reason in second.output.text
    assert "zoopark: server 2 did not start, so none does\n" in second.output.text


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["-n", "0"], "Error: Invalid value for '-n': 0 is not in the range 1<=x<=20.\n"),
        (["--dir", "file"], "Error: Invalid value for '--dir': Directory 'file' is a file.\n"),
        (["-n", "1", "--observers", "1"], "zoopark: observers need two voting servers or more\n"),
        (["--dir", "file/below"], "zoopark: cannot use the directory: {home}/file/below: Not a directory\n"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], line: str) -> None:
    """Before anything is started. What a directory may hold is in tests/host/test_homes.py."""
    (tmp_path / "file").touch()
    ran = run("ensemble", *arguments, home=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.endswith(line.format(home=tmp_path))


def test_a_directory_with_something_else_is_refused(tmp_path: Path) -> None:
    """It is not ours, and stays as it is."""
    (tmp_path / "letters").mkdir()
    ran = run("ensemble", "--dir", str(tmp_path))
    reason = "is not empty, and holds no ensemble: there is no 1/zoo.cfg in it"
    assert (ran.returncode, ran.stderr) == (2, f"zoopark: {tmp_path}: {reason}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["letters"]
