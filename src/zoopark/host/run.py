"""Starts and stops one server: opens its directories and its ports, recovers, and has `host/server` serve.

    directories locked ─> port bound ─> recovered ─> port opened ─> serving ─> drained ─> stopped
         exit 3             exit 1      exit 3, 10                  exit 1, 10

The port is bound first, so that a long recovery does not end in a port that is in use, and opened last, so that nobody
is accepted who cannot be served.
"""

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, cast

from zoopark.errors import StorageError, ZooparkError
from zoopark.host.listener import ClientLink
from zoopark.host.ports import CLIENTS, ELECTION, QUORUM, PortError, bind, in_use
from zoopark.host.screen import Screen
from zoopark.host.server import EXIT_DATA_DIR, EXIT_SNAPSHOT, EXIT_STOPPED, EXIT_UNEXPECTED, Server
from zoopark.host.snapshotter import save
from zoopark.host.storage import DirectoryLock, FileDisk, explain, lock_directory
from zoopark.host.survey import LoadTimes
from zoopark.log.snapfiles import SNAPPY
from zoopark.log.snappy import require_snappy
from zoopark.server.config import Config
from zoopark.server.recovery import Recovered, log_directory, recover, snapshot_directory

EXIT_BAD_CONFIG: Final = 2
MAX_FILES: Final = 1 << 20
SWITCH_S: Final = 0.0005
"""How long the log's thread waits for the interpreter once its disk is done; the default is ten times as long."""
COLLECT_THRESHOLDS: Final = (50_000, 20, 100_000)
BACKLOG: Final = 511
"""Connections waiting to be accepted, unless clientPortListenBacklog says otherwise."""
_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

_log = logging.getLogger("zoopark")


class StartError(ZooparkError):
    """A server that cannot start, with the exit code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def run_server(config: Config) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code.

    0 stopped cleanly, 1 unexpected, a port that cannot be had or a failing log disk, 2 a configuration that cannot be
    served, 3 a data directory that cannot be used, 10 a snapshot that cannot be written. Anything but 0 comes with one
    line on stderr.

    Effects: takes over the signals SIGTERM and SIGINT, the root logger and the garbage collector of the process.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    screen = Screen(sys.stdout, sys.stderr)
    held: list[DirectoryLock] = []
    try:
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.default_int_handler)  # until the loop takes them
        _check(config)
        screen.show_places(config)
        _open_directories(config, held)
        return _run_locked(config, screen)
    except StartError as error:
        screen.refuse(str(error))
        return error.code
    except PortError as error:
        screen.refuse(str(error))
        return EXIT_UNEXPECTED
    except KeyboardInterrupt:
        screen.end_progress()
        return EXIT_STOPPED
    finally:
        for lock in held:
            lock.release()


def _run_locked(config: Config, screen: Screen) -> int:
    doors: dict[str, list[socket.socket]] = {}
    try:
        _bind_all(config, doors)
        times = LoadTimes(screen.progress)
        disk = FileDisk()
        found = _recover(config, disk, times, screen)
        _allow_many_files()
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_serve((config, found, disk), times, doors, screen))
    finally:
        for sockets in doors.values():
            for sock in sockets:
                sock.close()


def _bind_all(config: Config, doors: dict[str, list[socket.socket]]) -> None:
    doors[CLIENTS] = bind(config.client_port_address, config.client_port)
    if config.membership is not None:
        seat = config.membership.own()
        keys = (f"server.{seat.sid}",) * 2
        for door, addresses in ((QUORUM, seat.quorum_addresses()), (ELECTION, seat.election_addresses())):
            places = [("", port) for _, port in addresses] if config.has_quorum_on_all_ips else addresses
            doors[door] = []
            for host, port in dict.fromkeys(places):
                doors[door] += bind(host, port, keys)


def _recover(config: Config, disk: FileDisk, times: LoadTimes, screen: Screen) -> Recovered:
    gc.disable()
    start = time.perf_counter()
    try:
        found = recover(config, disk, times.progress)
    except StorageError as error:
        raise StartError(EXIT_DATA_DIR, str(error)) from error
    except OSError as error:
        raise StartError(EXIT_DATA_DIR, f"cannot read the data directory: {explain(error)}") from error
    times.stop()
    seconds = time.perf_counter() - start
    gc.freeze()
    gc.enable()
    gc.set_threshold(*COLLECT_THRESHOLDS)
    sys.setswitchinterval(SWITCH_S)
    screen.show_recovered(found, seconds)
    if found.snapshot is None:
        try:
            save(config, found.tree)
        except OSError as error:
            raise StartError(EXIT_SNAPSHOT, f"cannot write the first snapshot: {explain(error)}") from error
    return found


async def _serve(
    start: tuple[Config, Recovered, FileDisk], times: LoadTimes, doors: dict[str, list[socket.socket]], screen: Screen
) -> int:
    config, found, disk = start
    loop = asyncio.get_running_loop()
    server = Server(config, found, disk, loop)
    times.tell(server.member.metrics, found)
    server.surveyor.resolve_host_name()
    loop.set_exception_handler(server.on_broken)
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, server.stopped.set)
    backlog = config.client_port_listen_backlog if config.client_port_listen_backlog > 0 else BACKLOG
    listeners: list[asyncio.Server] = []
    try:
        if server.agreement is not None:
            await server.agreement.open(doors, listeners)
        for sock in doors[CLIENTS]:
            try:
                listeners.append(await loop.create_server(lambda: _link_to(server), sock=sock, backlog=backlog))
            except OSError as error:
                raise in_use(sock, error) from error
            host, port = sock.getsockname()[:2]
            server.surveyor.client_port = port
            screen.say(f"listening on {f'[{host}]' if ':' in host else host}:{port}")
        if server.agreement is not None:
            server.agreement.start()
        server.wake()
        await server.stopped.wait()
        for listener in listeners:
            listener.close()
        if not server.exit_code:
            _log.info("stopping")
            await server.drain()
    finally:
        server.close()
    for number in _STOP_SIGNALS:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)  # it is stopping already
    return server.exit_code


def _link_to(server: Server) -> asyncio.Protocol:
    return cast(asyncio.Protocol, ClientLink(server))


def _check(config: Config) -> None:
    """Refuse what the configuration asks for and this installation cannot do."""
    if config.snapshot_compression == SNAPPY:
        try:
            require_snappy()
        except StorageError as error:
            raise StartError(EXIT_BAD_CONFIG, f"snapshot.compression.method=snappy: {error}") from error


def _open_directories(config: Config, held: list[DirectoryLock]) -> None:
    """Have both directories, and hold them against a second server."""
    data_dir, log_dir = snapshot_directory(config), log_directory(config)
    try:
        for directory in (data_dir, log_dir):
            if not config.may_create_data_dir and not os.path.isdir(directory):
                raise StorageError(f"{directory}: there is no such directory, and datadir.autocreate is false")
            FileDisk().make_directory(directory)
        held.append(lock_directory(data_dir))
        if not os.path.samefile(data_dir, log_dir):
            held.append(lock_directory(log_dir))
    except StorageError as error:
        raise StartError(EXIT_DATA_DIR, str(error)) from error
    except (FileExistsError, NotADirectoryError) as error:
        raise StartError(EXIT_DATA_DIR, f"cannot use the data directory: {error.filename}: not a directory") from error
    except OSError as error:
        raise StartError(EXIT_DATA_DIR, f"cannot use the data directory: {explain(error)}") from error


def _allow_many_files() -> None:
    """Every connection is an open file; take as many as this process may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # some systems have a lower limit that they do not tell
        most = hard if 0 <= hard < MAX_FILES else MAX_FILES
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
