"""The addresses a server listens on: taken before a long recovery, opened after it.

A bound socket that does not listen refuses clients, so that nobody waits for a server that is not ready; that the port
is in use shows at once all the same.
"""

import errno
import socket
from typing import Final

from zoopark.errors import ZooparkError

CLIENTS: Final = "client"
QUORUM: Final = "quorum"
ELECTION: Final = "election"
CLIENT_KEYS: Final = ("clientPortAddress", "clientPort")
_NO_SUCH_FAMILY: Final = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)


class PortError(ZooparkError):
    """An address that cannot be listened on."""


def bind(host: str, port: int, keys: tuple[str, str] = CLIENT_KEYS) -> list[socket.socket]:
    """Take an address for listening.

    Args:
        host: a name or an IP address; "" for every interface, IPv4 and IPv6.
        port: a TCP port; 0 for any free one, the same on all interfaces.
        keys: what of zoo.cfg says the host, and the port.

    Returns: bound sockets that do not listen yet, at least one.
    Errors: PortError, one line for the user.
    """
    where = f"{host or '*'}:{port}"
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise PortError(f"cannot listen on {where}: no such host: {error.strerror}; see {keys[0]}") from error
    bound: list[socket.socket] = []
    refusals: list[OSError] = []
    for family, address in dict.fromkeys((item[0], item[4]) for item in found):
        number = bound[0].getsockname()[1] if bound else port
        try:
            bound.append(_bind_one(family, (address[0], number, *address[2:])))
        except OSError as error:
            refusals.append(error)
    # Where one of two families is switched off, the other one is every interface there is.
    hard = [error for error in refusals if host or error.errno not in _NO_SUCH_FAMILY]
    if hard or not bound:
        for sock in bound:
            sock.close()
        raise PortError(_say(where, (hard or refusals)[0], keys))
    return bound


def _bind_one(family: int, address: tuple[str | int, ...]) -> socket.socket:
    # With the protocol named, asyncio sets TCP_NODELAY on what is accepted; uvloop always does.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _say(where: str, error: OSError, keys: tuple[str, str]) -> str:
    reasons = {
        errno.EADDRINUSE: f"the port is in use; stop the other server, or set {keys[1]}",
        errno.EADDRNOTAVAIL: f"this machine has no such address; see {keys[0]}",
        errno.EACCES: "not allowed for this user; ports below 1024 need a privilege",
    }
    return f"cannot listen on {where}: {reasons.get(error.errno or 0, error.strerror)}"


def in_use(sock: socket.socket, error: OSError, keys: tuple[str, str] = CLIENT_KEYS) -> PortError:
    """What to say when `listen` fails on a socket that could be bound: somebody was faster."""
    host, port = sock.getsockname()[:2]
    return PortError(_say(f"{host}:{port}", error, keys))
