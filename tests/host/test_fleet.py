"""Servers as processes of one parent. What becomes of them when the parent dies is in tests/cli/test_ensemble.py."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from tests.cli.started import ENVIRONMENT, servers_of
from tests.host.test_homes import first_ports
from zoopark.host.fleet import LOOKING, Fleet, News
from zoopark.host.homes import Home, settle

WAIT_S = 60.0
LOOK_S = 0.02
Begin = Callable[[list[Home]], Fleet]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Starts fleets; none of them outlives the test."""
    made: list[Fleet] = []

    def start(homes: list[Home]) -> Fleet:
        made.append(Fleet(homes, ENVIRONMENT))
        made[-1].start()
        return made[-1]

    yield start
    for fleet in made:
        fleet.kill()


def _homes(directory: Path, n_voters: int) -> list[Home]:
    return settle(directory, n_voters, 0, first_ports())


def _append(home: Home, text: str) -> None:
    with home.log.open("a") as log:
        log.write(text)


def _until(fleet: Fleet, is_right: Callable[[], bool]) -> list[News]:
    """All the news up to then."""
    news: list[News] = []
    deadline = time.monotonic() + WAIT_S
    while not is_right():
        assert time.monotonic() < deadline, [(item.home.sid, item.what) for item in news]
        Event().wait(LOOK_S)
        news += fleet.look()
    return news


def test_what_servers_become_is_news(begin: Begin, tmp_path: Path) -> None:
    """That they look for a leader at first is not: it is what a start is."""
    homes = _homes(tmp_path, 3)
    fleet = begin(homes)
    assert fleet.roles == {1: "", 2: "", 3: ""}
    news = _until(fleet, lambda: all(fleet.roles.values()))
    (leader,) = [sid for sid, role in fleet.roles.items() if role == "leading in epoch 1"]
    following = f"following server {leader} in epoch 1"
    assert fleet.roles == dict.fromkeys((1, 2, 3), following) | {leader: "leading in epoch 1"}
    assert LOOKING not in {item.what for item in news} and not any(item.has_ended for item in news)


def test_a_lost_leader_and_the_next_one_are_news(begin: Begin, tmp_path: Path) -> None:
    """Who is gone, and that the others looked for another one."""
    fleet = begin(_homes(tmp_path, 3))
    _until(fleet, lambda: all(fleet.roles.values()))
    (leader,) = [sid for sid, role in fleet.roles.items() if role.startswith("leading")]
    others = {1, 2, 3} - {leader}
    os.kill(servers_of(os.getpid())[leader], signal.SIGKILL)
    news = _until(fleet, lambda: set(fleet.roles) == others and all("epoch 2" in role for role in fleet.roles.values()))
    (ended,) = [item for item in news if item.has_ended]
    assert (ended.home.sid, ended.what) == (leader, "was killed by signal 9 (Killed)")
    assert {item.home.sid for item in news if item.what == LOOKING} == others


def test_news_are_in_the_order_of_their_times(begin: Begin, tmp_path: Path) -> None:
    """Not in that of the servers; and only what has come whole is told."""
    homes = _homes(tmp_path, 2)
    fleet = begin(homes)
    _until(fleet, lambda: all(fleet.roles.values()))
    _append(homes[0], "2026-01-01 10:00:00,002 INFO leading in epoch 9\n")
    _append(homes[1], "2026-01-01 10:00:00,001 INFO following server 1 in epoch 9\n2026-01-01 10:00:00,003 INFO lead")
    news = fleet.look()
    assert [(item.time, item.home.sid, item.what) for item in news] == [
        ("10:00:00,001", 2, "following server 1 in epoch 9"),
        ("10:00:00,002", 1, "leading in epoch 9"),
    ]
    _append(homes[1], "ing in epoch 10\n")
    (item,) = fleet.look()
    assert (item.time, item.home.sid, item.what) == ("10:00:00,003", 2, "leading in epoch 10")


def test_a_stop_is_news_too(begin: Begin, tmp_path: Path) -> None:
    """Of one that stands still as of one that runs."""
    fleet = begin(_homes(tmp_path, 1))
    _until(fleet, lambda: fleet.roles == {1: "listening"})
    os.kill(servers_of(os.getpid())[1], signal.SIGSTOP)
    fleet.terminate()
    news = _until(fleet, lambda: not fleet.roles)
    assert [(item.what, item.has_ended) for item in news] == [("has stopped", True)]


def test_a_server_that_cannot_start_says_why(begin: Begin, tmp_path: Path) -> None:
    """The reason is the last line of its log, and is not left there for a person to find."""
    homes = _homes(tmp_path, 1)
    port = int(homes[0].address.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        fleet = begin(homes)
        (item,) = _until(fleet, lambda: not fleet.roles)
    assert item.what.startswith(
        f"ended with exit code 1: zoopark: cannot listen on 127.0.0.1:{port}: the port is in use"
    )


def test_a_second_start_does_not_read_the_log_of_the_first(begin: Begin, tmp_path: Path) -> None:
    """The log is kept, and what it says of the past is not news."""
    homes = _homes(tmp_path, 1)
    first = begin(homes)
    _until(first, lambda: first.roles == {1: "listening"})
    first.kill()
    assert first.look() == [] and first.roles == {}
    second = begin(homes)
    news = _until(second, lambda: second.roles == {1: "listening"})
    assert [item.what for item in news] == ["listening"]
    assert homes[0].log.read_text().count("listening on ") == 2
