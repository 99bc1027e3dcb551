"""`zoopark status`: what `zkServer.sh status` says of a server, asked by the four-letter word srvr.

Exit codes are those of the script: 0 the server serves, 1 it does not; and 2 for a zoo.cfg that cannot be used.
"""

import re
import socket
import sys
from pathlib import Path
from typing import Final, NoReturn

import click

from zoopark.cli.serve import load

EXIT_NOT_SERVING: Final = 1
PATIENCE_S: Final = 5.0
ANSWER_BYTES: Final = 65536
_ADDRESS: Final = re.compile(r"(?:\[(?P<literal>[^\]]+)\]|(?P<name>[^:/]+)):(?P<port>\d{1,5})")
_PORTS: Final = range(1, 65536)
_MODE: Final = re.compile(r"^Mode: .*$", re.MULTILINE)


@click.command()
@click.argument("server", required=False)
@click.option("--myid", metavar="N", envvar="ZOOPARK_MYID", help="As for `zoopark serve`.")
def status(server: str | None, myid: str | None) -> None:
    """Say whether a server leads, follows, observes or stands alone.

    SERVER is its zoo.cfg, or its host:port. Without it the one that `zoopark serve` starts is asked. Exits with 1 if it
    does not serve.
    """
    host, port = _find(server, myid)
    click.echo(f"Client port found: {port}. Client address: {host}. Client SSL: false.")
    try:
        answer = ask(host, port)
    except OSError as error:
        _fail(f"{host}:{port} does not answer: {error.strerror or error}; the server is probably not running")
    mode = _MODE.search(answer)
    if mode is None:
        _fail(f"{host}:{port} {_why_no_mode(answer)}")
    click.echo(mode.group())


def ask(host: str, port: int) -> str:
    """The answer to srvr. Raises OSError, TimeoutError among them."""
    with socket.create_connection((host, port), PATIENCE_S) as link:
        link.sendall(b"srvr")
        answer = b""
        while len(answer) < ANSWER_BYTES and (piece := link.recv(ANSWER_BYTES)):
            answer += piece
    return answer.decode("utf-8", "replace")


def _find(server: str | None, myid: str | None) -> tuple[str, int]:
    """Where the server's clients come in."""
    address = None if server is None else _ADDRESS.fullmatch(server)
    if server is not None and address is not None and int(address["port"]) in _PORTS and not Path(server).exists():
        return address["literal"] or address["name"], int(address["port"])
    config, _ = load(None if server is None else Path(server), {}, myid)
    if not config.client_port:
        _fail(f"{config.source_name}: clientPort=0: the server took a free port, and says in its first lines which")
    from zoopark.host.homes import reachable_at

    return reachable_at(config)


def _why_no_mode(answer: str) -> str:
    if "not currently serving" in answer:
        return "runs, and does not serve clients: it looks for a leader, or leads with leaderServes=no"
    if "not in the whitelist" in answer:
        return "runs, and does not say more: srvr is not in its 4lw.commands.whitelist"
    return "does not answer srvr as a ZooKeeper server does"


def _fail(line: str) -> NoReturn:
    click.echo(line, err=True)
    sys.exit(EXIT_NOT_SERVING)
