"""Ports of this machine for members that have no addresses of their own."""

from tests.compat.oracle import free_port


def free_ports(n_members: int) -> list[tuple[int, int, int]]:
    """Three TCP ports for each, all different, on none of which anybody listens, and which no connection is given."""
    found: set[int] = set()
    while len(found) < 3 * n_members:
        found.add(free_port())
    ports = iter(found)
    return list(zip(ports, ports, ports, strict=True))
