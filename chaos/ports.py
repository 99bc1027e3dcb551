"""Ports of this machine for members that have no addresses of their own."""

import socket
from contextlib import ExitStack


def free_ports() -> tuple[int, int, int]:
    """Three TCP ports of 127.0.0.1 that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        first, second, third = (sock.getsockname()[1] for sock in sockets)
        return first, second, third
