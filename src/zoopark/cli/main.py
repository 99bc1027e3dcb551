"""The command `zoopark`: a thin door; every command lives in its own module and imports what it needs when it runs.

`zoopark --help` is used in scripts and by people in a hurry, so it must import neither the server nor uvloop or rich.
"""

import sys
from typing import Final

import click

from zoopark import __version__
from zoopark.cli.ensemble import ensemble
from zoopark.cli.serve import serve
from zoopark.cli.status import status

EXIT_BAD_ARGUMENTS: Final = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="zoopark", message="%(prog)s %(version)s")
def zoopark() -> None:
    """The ZooKeeper coordination service in Python."""


for command in (serve, ensemble, status):
    zoopark.add_command(command)


def main() -> None:
    """Run the command line and leave with its exit code: 2 for bad arguments, else what the command returned."""
    if sys.flags.optimize:
        # A broken invariant must stop the server, not corrupt data (crash-stop); -O takes the invariants out.
        click.echo("zoopark does not run under python -O: its assertions are part of it", err=True)
        sys.exit(EXIT_BAD_ARGUMENTS)
    zoopark()
