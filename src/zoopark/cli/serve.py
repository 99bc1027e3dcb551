"""`zoopark serve`: read zoo.cfg and -D, warn, hand one Config to the host.

Exit codes are ZooKeeper's: 0 stopped cleanly, 1 unexpected, 2 bad arguments or configuration, 3 data directory,
10 snapshot. Must decide nothing about the server itself.
"""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

if TYPE_CHECKING:
    from zoopark.server.config import Config

EXIT_BAD_ARGUMENTS: Final = 2
DEFAULT_DATA_DIR: Final = "zoopark-data"


@click.command()
@click.argument("config", required=False, type=click.Path(path_type=Path))
@click.option(
    "-D",
    "overrides",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set what a JVM property would, as in -D zookeeper.snapCount=1000. May be repeated.",
)
@click.option(
    "--myid",
    metavar="N",
    envvar="ZOOPARK_MYID",
    help="Which server.N of the ensemble this is, in place of the file myid in dataDir. Also ZOOPARK_MYID.",
)
def serve(config: Path | None, overrides: tuple[str, ...], myid: str | None) -> None:
    """Serve ZooKeeper's clients until SIGTERM or Ctrl-C.

    CONFIG is an ordinary zoo.cfg. Without it the server listens on 127.0.0.1:2181 and keeps its data in ./zoopark-data.
    """
    loaded, warnings = load(config, _properties(overrides), myid)
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    from zoopark.host.run import run_server

    sys.exit(run_server(loaded))


def load(path: Path | None, properties: dict[str, str], myid: str | None = None) -> tuple["Config", list[str]]:
    """The configuration of one start, and warnings of one line each.

    Args:
        path: a zoo.cfg, or None for the embedded default.
        properties: JVM properties of the command line by their full names.
        myid: which server of an ensemble this is; None for what the file myid says.

    Effects: a file or a value that cannot be used is named in one line on stderr and leaves the program with code 2.
    """
    from zoopark.errors import ConfigError
    from zoopark.server.config import EMBEDDED, dynamic_file, load_config

    text = f"{EMBEDDED}dataDir={DEFAULT_DATA_DIR}\n" if path is None else _read(path)
    source_name = "" if path is None else str(path)
    try:
        dynamic = dynamic_file(text, source_name)
        load_as = partial(
            load_config,
            text,
            source_name=source_name,
            overrides=properties,
            dynamic_text=_read(Path(dynamic)) if dynamic is not None else "",
        )
        config, warnings = load_as()
        if config.membership is not None:
            config, warnings = load_as(sid=_sid(config, myid))
    except ConfigError as error:
        _refuse(str(error))
    return config, warnings


def _sid(config: "Config", myid: str | None) -> int:
    """Which server of the ensemble this is. Raises ConfigError."""
    from zoopark.server.membership import read_myid

    if myid is not None:
        return read_myid(myid, "--myid")
    path = Path(config.data_dir) / "myid"
    if not path.exists():
        _refuse(
            f"{path}: there is no such file: it says which server.N of {config.source_name} this is, as --myid does"
        )
    return read_myid(_read(path), str(path))


def _properties(overrides: tuple[str, ...]) -> dict[str, str]:
    properties = {}
    for override in overrides:
        name, equals, value = override.partition("=")
        if not name or not equals:
            _refuse(f"-D {override}: NAME=VALUE is allowed")
        properties[name] = value
    return properties


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("iso-8859-1")
    except OSError as error:
        _refuse(f"{path}: cannot be read: {error.strerror}")


def _refuse(line: str) -> NoReturn:
    click.echo(line, err=True)
    sys.exit(EXIT_BAD_ARGUMENTS)
