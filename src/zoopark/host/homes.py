"""The homes of servers that share a machine: the files a person would write by hand, written once and then only read.

    DIR/1/zoo.cfg      the same lines in all of them, but for dataDir
    DIR/1/data/myid    which of the server lines is this server's
    DIR/1/log          what this server says
    DIR/2/…

Must never change a file that is there: whoever keeps DIR may edit it. Ports are taken from where ZooKeeper's users
look for them, 2181, 2888 and 3888, upwards; who has been given one may still find it taken when the server starts.
"""

import errno
import socket
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, final

from zoopark.errors import ConfigError
from zoopark.record import Record
from zoopark.server.config import Config, dynamic_file, load_config

LOOPBACK: Final = "127.0.0.1"
FIRST_PORTS: Final = (2181, 2888, 3888)
"""Where to begin to look for client, quorum and election ports."""
LAST_PORT: Final = 32_767
"""Above it systems give ports to whoever dials, so that a server that is down may not have its own back."""

_ZOO_CFG: Final = """\
# Server {sid}. The server lines are the same for all of them; data/myid says which one is this server's.
dataDir={data_dir}
tickTime=2000
initLimit=10
syncLimit=5
"""


@final
class Home(Record):
    """Where one server lives.

    Args:
        directory: holds its zoo.cfg, data and log.
        address: where its clients come in, as a client writes it: "127.0.0.1:2181".
        is_observer: whether it only learns.
    """

    __slots__ = ("address", "directory", "is_observer", "sid")

    def __init__(self, sid: int, directory: Path, address: str, is_observer: bool = False) -> None:
        self.sid = sid
        self.directory = directory
        self.address = address
        self.is_observer = is_observer

    @property
    def zoo_cfg(self) -> Path:
        """What it is started with."""
        return self.directory / "zoo.cfg"

    @property
    def log(self) -> Path:
        """What it says."""
        return self.directory / "log"


def settle(
    directory: Path, n_voters: int | None, n_observers: int | None, first_ports: Sequence[int] = FIRST_PORTS
) -> list[Home]:
    """The homes of an ensemble: those that are in the directory, or new ones if it is empty or missing.

    Args:
        directory: of this ensemble alone.
        n_voters: how many servers vote; None for as many as there are, or three.
        n_observers: how many only learn; None for as many as there are, or none.
        first_ports: where to begin to look for client, quorum and election ports.

    Effects: a directory without an ensemble gets one.
    Raises ConfigError: it cannot be used, or holds something else than what is asked for; OSError.
    """
    directory = directory.absolute()
    if n_voters == 1 and n_observers:
        raise ConfigError("observers need two voting servers or more")
    if not directory.exists() or not any(directory.iterdir()):
        _write(directory, 3 if n_voters is None else n_voters, n_observers or 0, first_ports)
    homes = _read(directory)
    n_there = sum(home.is_observer for home in homes)
    there = (len(homes) - n_there, n_there)
    asked = (there[0] if n_voters is None else n_voters, there[1] if n_observers is None else n_observers)
    if asked != there:
        raise ConfigError(f"{directory}: holds an ensemble of {_count(*there)}; {_count(*asked)} were asked for")
    return homes


def free_ports(first: int) -> Iterator[int]:
    """Ports of the loopback that nobody listens on, from `first` upwards. Raises ConfigError when there are no more."""
    yield from filter(_is_free, range(first, LAST_PORT + 1))
    raise ConfigError(f"there is no free port on {LOOPBACK} from {first} to {LAST_PORT}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            return False
    return True


def _write(directory: Path, n_voters: int, n_observers: int, first_ports: Sequence[int]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    n_all = n_voters + n_observers
    lines = []
    for sid, ports in enumerate(islice(zip(*map(free_ports, first_ports), strict=True), n_all), 1):
        client, quorum, election = ports
        role = ":observer" if sid > n_voters else ""
        lines.append(f"server.{sid}={LOOPBACK}:{quorum}:{election}{role};{LOOPBACK}:{client}\n")
    for sid in range(1, n_all + 1):
        data_dir = directory / str(sid) / "data"
        data_dir.mkdir(parents=True)
        (data_dir / "myid").write_text(f"{sid}\n", encoding="ascii")
        text = _ZOO_CFG.format(sid=sid, data_dir=_escaped(str(data_dir))) + "".join(lines)
        (directory / str(sid) / "zoo.cfg").write_text(text, encoding="ascii")


def _read(directory: Path) -> list[Home]:
    names = [path.parent.name for path in directory.glob("*/zoo.cfg")]
    sids = sorted(int(name) for name in names if name.isdecimal())
    if not sids:
        raise ConfigError(f"{directory}: is not empty, and holds no ensemble: there is no 1/zoo.cfg in it")
    return [_read_home(sid, directory / str(sid), sids) for sid in sids]


def _read_home(sid: int, directory: Path, sids: list[int]) -> Home:
    zoo_cfg = directory / "zoo.cfg"
    text = zoo_cfg.read_bytes().decode("iso-8859-1")
    elsewhere = dynamic_file(text, str(zoo_cfg))
    if elsewhere is not None:
        raise ConfigError(f"{zoo_cfg}: dynamicConfigFile={elsewhere}: the server lines must be in this file here")
    config, _ = load_config(text, source_name=str(zoo_cfg), overrides={}, sid=sid)
    named = [1] if config.membership is None else sorted(config.membership.seats)
    if named != sids:
        raise ConfigError(f"{zoo_cfg}: names servers {_list(named)}; {directory.parent} holds {_list(sids)}")
    if Path(config.data_dir).resolve() != (directory / "data").resolve():
        raise ConfigError(f"{zoo_cfg}: dataDir={config.data_dir}: {directory / 'data'} is allowed; was it moved?")
    is_observer = config.membership is not None and config.membership.own().is_observer
    host, port = reachable_at(config)
    return Home(sid, directory, f"[{host}]:{port}" if ":" in host else f"{host}:{port}", is_observer)


def reachable_at(config: Config) -> tuple[str, int]:
    """Where a client on the same machine finds a server: host and port."""
    host = config.client_port_address
    return "localhost" if host in ("", "0.0.0.0", "::") else host, config.client_port


def _escaped(text: str) -> str:
    """A value for a properties file: UTF-16 units beyond ASCII and backslashes by their numbers, as Java has it."""
    units = text.encode("utf-16-be", "surrogatepass")
    numbers = [units[at] << 8 | units[at + 1] for at in range(0, len(units), 2)]
    return "".join(chr(number) if 31 < number < 127 and number != 92 else f"\\u{number:04x}" for number in numbers)


def _list(sids: list[int]) -> str:
    return ", ".join(map(str, sids))


def _count(n_voters: int, n_observers: int) -> str:
    return f"{n_voters} voting and {n_observers} observing"
