"""The program as its user and its supervisor see it: what it prints, how it stops, why it does not start.

Every stop that is not clean is one line on stderr and an exit code, never a traceback.
"""

import os
import re
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.compat.members import until
from tests.compat.oracle import four_letter_word, free_port
from tests.faults.process import Fleet, Process

Spoil = Callable[[Process], None]


def test_the_first_screen_says_where_everything_is(fleet: Fleet, tmp_path: Path) -> None:
    """Somebody who starts it for the first time must find the port and the data."""
    server = fleet.server().start()
    port = server.port
    assert server.stop() == 0
    version, *lines = server.out.decode().splitlines()
    assert re.fullmatch(r"zoopark \d+\.\d+\.\d+", version)
    assert lines == [f"data in {server.data}", "a new, empty database", f"listening on 127.0.0.1:{port}"]


def test_a_restart_says_what_was_recovered(fleet: Fleet, tmp_path: Path) -> None:
    """Snapshot, transactions, zxid and seconds: what one wants to know after a crash."""
    server = fleet.server({"dataLogDir": str(tmp_path / "log")}).start()
    client = server.client()
    client.create("/a")
    client.close_session()
    assert server.stop() == 0
    assert [path.name for path in (tmp_path / "log" / "version-2").glob("log.*")] == ["log.1"]
    assert not list(server.data.glob("log.*"))
    server.start()
    assert server.stop() == 0
    shown = server.out.decode().splitlines()
    assert shown[1] == f"data in {server.data}, log in {tmp_path / 'log' / 'version-2'}"
    assert re.fullmatch(
        r"recovered snapshot\.0 and 3 logged transactions: 5 znodes, up to zxid 0x3, in \d+\.\d\d s", shown[2]
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_while_it_starts_is_clean(fleet: Fleet, tmp_path: Path, number: int) -> None:
    """A supervisor may change its mind at any time; nobody wants a traceback from Ctrl-C."""
    server = fleet.server()
    server.spawn()
    assert server.popen.stdout is not None
    assert server.popen.stdout.readline().startswith(b"zoopark")  # from here on the signals are taken
    server.popen.send_signal(number)
    assert server.wait() == 0
    assert "Traceback" not in server.err()


def occupy(server: Process) -> None:
    """Nothing to spoil: see the settings."""


def make_a_file(server: Process) -> None:
    server.home.joinpath("data").write_text("no directory")


def misplace_a_log(server: Process) -> None:
    server.data.mkdir(parents=True)
    (server.data / "log.1").write_bytes(b"ZKLG")


def lose_the_snapshots(server: Process) -> None:
    server.start()
    client = server.client()
    client.create("/a")
    client.link.close()
    server.kill()
    (server.data / "snapshot.0").unlink()


def rot_the_snapshot(server: Process) -> None:
    server.start()
    server.kill()
    content = bytearray((server.data / "snapshot.0").read_bytes())
    content[100] ^= 0xFF
    (server.data / "snapshot.0").write_bytes(content)


def rot_the_log(server: Process) -> None:
    lose_nothing(server)
    content = bytearray((server.data / "log.1").read_bytes())
    content[60] ^= 0xFF
    (server.data / "log.1").write_bytes(content)


def lose_nothing(server: Process) -> None:
    server.start()
    client = server.client()
    for _ in range(20):
        client.create("/n-", b"x" * 200, 2)
    client.link.close()
    server.kill()


REFUSALS: list[tuple[Spoil, dict[str, str], int, str]] = [
    (occupy, {"clientPortAddress": "192.0.2.7"}, 1, r"cannot listen on 192\.0\.2\.7:0: this machine has no such.*"),
    (occupy, {"clientPortAddress": "no.such.host.invalid"}, 1, r"cannot listen on no\.such.*: no such host: .*"),
    (occupy, {"datadir.autocreate": "false"}, 3, r"\S+/data/version-2: there is no such directory, and .*"),
    (occupy, {"dataLogDir": "/proc/zoopark"}, 3, r"cannot use the data directory: /proc/zoopark: .*"),
    (make_a_file, {}, 3, r"cannot use the data directory: \S+/data: not a directory"),
    (misplace_a_log, {"dataLogDir": "LOGS"}, 3, r"\S+/log\.1: a transaction log in the snapshot directory, .*"),
    (lose_the_snapshots, {}, 3, r"\S+: there are transaction logs but no snapshot; restore .*"),
    (rot_the_snapshot, {}, 3, r"\S+snapshot\.0: none of the 1 snapshots can be read; .*"),
    (rot_the_log, {}, 3, r"\S+log\.1: .*"),
]


@pytest.mark.parametrize(("spoil", "settings", "code", "line"), REFUSALS, ids=[str(n) for n in range(len(REFUSALS))])
def test_what_cannot_start_is_one_line_and_an_exit_code(
    fleet: Fleet, tmp_path: Path, spoil: Spoil, settings: dict[str, str], code: int, line: str
) -> None:
    """Supervisors tell by the code whether a restart can help, people by the line what to do."""
    settings = {key: value.replace("LOGS", str(tmp_path / "logs")) for key, value in settings.items()}
    server = fleet.server(settings)
    spoil(server)
    server.spawn()
    assert server.wait() == code
    assert re.fullmatch(f"zoopark: {line}\n", server.err()), server.err()
    assert "listening" not in server.out.decode()


def test_a_port_in_use_shows_before_anything_is_read(fleet: Fleet, tmp_path: Path) -> None:
    """A long recovery for nothing would be a bad way to learn it; the data directory stays as it was."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = fleet.server({"clientPort": str(port)})
        server.spawn()
        assert server.wait() == 1
    assert server.err() == (
        f"zoopark: cannot listen on 127.0.0.1:{port}: the port is in use; stop the other server, or set clientPort\n"
    )
    assert [path.name for path in server.data.iterdir()] == [".zoopark.lock"]


@pytest.mark.parametrize("shared", ["dataDir", "dataLogDir"])
def test_two_servers_on_one_directory(fleet: Fleet, tmp_path: Path, shared: str) -> None:
    """Two writers would destroy each other's log; the one that was there first does not notice."""
    other = {"dataDir": "dataLogDir", "dataLogDir": "dataDir"}[shared]
    first, second = (
        fleet.server({shared: str(tmp_path / "both"), other: str(tmp_path / name / "own")}, name) for name in "ab"
    )
    first.start()
    second.spawn()
    assert second.wait() == 3
    directory = tmp_path / "both" / "version-2"
    assert second.err() == (
        f"zoopark: {directory}: in use by another server; stop it, or give this one a dataDir of its own\n"
    )
    client = first.client()
    client.create("/still-there")
    client.close_session()
    assert first.stop() == 0


def test_a_directory_that_may_not_be_written(fleet: Fleet) -> None:
    """Another user's directory: the usual mistake after a first start as root."""
    server = fleet.server()
    server.data.mkdir(parents=True)
    server.data.chmod(0o500)
    is_root = os.geteuid() == 0  # who may do what permissions forbid, unless that is taken away
    server.spawn(*(["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if is_root else []))
    assert server.wait() == 3
    server.data.chmod(0o700)
    assert server.err() == (
        f"zoopark: {server.data}/.zoopark.lock: cannot lock the data directory: Permission denied\n"
    )


def test_every_interface_is_the_default_of_a_file(fleet: Fleet, tmp_path: Path) -> None:
    """Without clientPortAddress the same port is open for IPv4 and, where there is any, IPv6."""
    server = fleet.server({"clientPortAddress": ""}).start()
    client = server.client()
    client.close_session()
    assert server.stop() == 0
    addresses = re.findall(r"listening on (\S+):(\d+)", server.out.decode())
    assert "0.0.0.0" in [address for address, _ in addresses]
    assert {port for _, port in addresses} == {str(server.port)}


def test_a_full_disk_at_the_first_start(fleet: Fleet, tmp_path: Path) -> None:
    """Not even the first snapshot can be written: 10, and nothing half-made that a later start would take for data."""
    server = fleet.server()
    server.spawn("prlimit", "--fsize=100")
    assert server.wait() == 10
    assert server.err() == "zoopark: cannot write the first snapshot: File too large\n"
    server.start()
    assert server.out.decode().splitlines()[2] == "a new, empty database"
    assert server.stop() == 0


def test_a_reader_of_the_screen_may_go_away(fleet: Fleet, tmp_path: Path) -> None:
    """`zoopark serve | head -1` is no reason to stop."""
    port = free_port()
    server = fleet.server({"clientPort": str(port)})
    server.spawn()
    assert server.popen.stdout is not None
    server.popen.stdout.close()
    until(lambda: _mode_at(port), bool)
    assert server.stop() == 0
    assert os.path.exists(server.data / "snapshot.0")


def _mode_at(port: int) -> bytes:
    """What a server says of itself, nothing while it does not listen."""
    with suppress(ConnectionRefusedError):
        return four_letter_word(("127.0.0.1", port), b"srvr")
    return b""
