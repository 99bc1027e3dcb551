"""`zoopark status`: of servers that are there, that are not, and that say nothing."""

import socket
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from tests.cli.started import run
from tests.compat.oracle import free_port
from tests.faults.process import Fleet

CONFIG = "dataDir={home}/data\ninitLimit=10\nsyncLimit=5\n"


def _status(*arguments: str, home: Path | None = None) -> tuple[int, str, str]:
    """The exit code, stdout and stderr."""
    ran = run("status", *arguments, home=home)
    return ran.returncode, ran.stdout, ran.stderr


def _found(port: int, host: str = "127.0.0.1") -> str:
    return f"Client port found: {port}. Client address: {host}. Client SSL: false.\n"


def test_a_server_that_serves(fleet: Fleet) -> None:
    """By its address or by its file, as zkServer.sh says it."""
    port = free_port()
    server = fleet.server({"clientPort": str(port)}).start()
    said = (0, _found(port) + "Mode: standalone\n", "")
    assert _status(f"127.0.0.1:{port}") == said
    assert _status(str(server.zoo_cfg)) == said


def test_a_server_on_every_interface(fleet: Fleet) -> None:
    """It has no address to dial, so it is looked for on this machine, as by zkServer.sh."""
    port = free_port()
    server = fleet.server({"clientPort": str(port), "clientPortAddress": ""}).start()
    assert _status(str(server.zoo_cfg)) == (0, _found(port, "localhost") + "Mode: standalone\n", "")


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    """Exit code 1, as of zkServer.sh, and the reason."""
    port = free_port()
    zoo_cfg = tmp_path / "zoo.cfg"
    zoo_cfg.write_text(CONFIG.format(home=tmp_path) + f"server.5=127.0.0.1:1:2;127.0.0.1:{port}\n")
    reason = f"127.0.0.1:{port} does not answer: Connection refused; the server is probably not running\n"
    assert _status(str(zoo_cfg)) == (1, _found(port), reason)


def test_a_server_without_a_quorum(fleet: Fleet, tmp_path: Path) -> None:
    """It runs, and that it does not serve is no secret and no success."""
    port = free_port()
    lines = {f"server.{sid}": f"127.0.0.1:{free_port()}:{free_port()};127.0.0.1:{port}" for sid in (1, 2, 3)}
    limits = {"initLimit": "10", "syncLimit": "5", "clientPort": "", "clientPortAddress": ""}
    server = fleet.server({**limits, **lines})
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "myid").write_text("2\n")
    server.start()
    reason = "runs, and does not serve clients: it looks for a leader, or leads with leaderServes=no"
    assert _status(str(server.zoo_cfg)) == (1, _found(port), f"127.0.0.1:{port} {reason}\n")
    (tmp_path / "data" / "myid").unlink()
    assert _status("--myid", "2", str(server.zoo_cfg))[:2] == (1, _found(port))
    code, _, err = _status(str(server.zoo_cfg))
    assert code == 2 and err.startswith(f"{tmp_path}/data/myid: there is no such file")


def test_a_server_that_may_not_say(fleet: Fleet) -> None:
    """It must not look as if it were down."""
    port = free_port()
    fleet.server({"clientPort": str(port), "4lw.commands.whitelist": "ruok"}).start()
    reason = f"127.0.0.1:{port} runs, and does not say more: srvr is not in its 4lw.commands.whitelist\n"
    assert _status(f"127.0.0.1:{port}") == (1, _found(port), reason)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 100_000])
def test_something_else_on_the_port(answer: bytes) -> None:
    """Whatever it is, it is not waited for, and not shown."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = Thread(target=_answer_once, args=(listener, answer))
        thread.start()
        said = _status(f"127.0.0.1:{port}")
        thread.join()
    assert said == (1, _found(port), f"127.0.0.1:{port} does not answer srvr as a ZooKeeper server does\n")


def _answer_once(listener: socket.socket, answer: bytes) -> None:
    link, _ = listener.accept()
    with link, suppress(OSError):  # who asks may have read enough
        link.recv(4)
        link.sendall(answer)
        link.shutdown(socket.SHUT_WR)
        link.recv(1)


@pytest.mark.parametrize(
    ("server", "line"),
    [
        ("none.cfg", "none.cfg: cannot be read: No such file or directory\n"),
        ("host:99999", "host:99999: cannot be read: No such file or directory\n"),
        ("bad.cfg", "bad.cfg: clientPort is missing: a TCP port is needed\n"),
    ],
)
def test_what_names_no_server_is_one_line_and_exit_code_2(tmp_path: Path, server: str, line: str) -> None:
    """A wrong call is not a server that is down."""
    (tmp_path / "bad.cfg").write_text("dataDir=data\n")
    assert _status(server, home=tmp_path) == (2, "", line)


def test_any_free_port_is_not_in_the_file(tmp_path: Path) -> None:
    """Only the server knows it."""
    (tmp_path / "any.cfg").write_text("dataDir=data\nclientPort=0\n")
    reason = "any.cfg: clientPort=0: the server took a free port, and says in its first lines which\n"
    assert _status("any.cfg", home=tmp_path) == (1, "", reason)
