"""The network between members: a namespace for each, all on one bridge, and ways between them that can be cut.

    member 1         member 2    …     clients
    198.18.0.1       198.18.0.2        198.18.0.100
        └────────────────┴────── bridge ──────┘

Who is where on the bridge is written down, not asked for. A way is cut by telling its beginning a wrong hardware
address: what is sent leaves and arrives nowhere, in that direction only, and nobody is told; as with a broken switch.

All of it lies inside namespaces that `chaos.seal` has made, and ends with them.
"""

import subprocess
from collections.abc import Callable, Iterable
from typing import Final, final

CLIENTS: Final = 100
"""The place of the clients; members are at the places of their sids."""
NOWHERE: Final = "02:00:00:00:ff:ff"
BRIDGE: Final = "chaos"

Way = tuple[int, int]
"""(from, to), both places."""


def address(place: int) -> str:
    """The IP address of a place; of the range for tests of networks, RFC 2544."""
    return f"198.18.0.{place}"


def _hardware(place: int) -> str:
    return f"02:00:00:00:00:{place:02x}"


def _name(place: int) -> str:
    return f"chaos{place}"


@final
class Wires:
    """The network of these members and of their clients. `lay` comes before everything else.

    Errors: CalledProcessError where the kernel refuses.

    Attributes:
        cuts: the ways of each cut that has not ended.
    """

    def __init__(self, sids: Iterable[int]) -> None:
        self.places = [*sids, CLIENTS]
        self.cuts: dict[int, frozenset[Way]] = {}
        self._n_cuts = 0

    def lay(self) -> None:
        """Make namespaces, links and addresses."""
        lines = [f"link add {BRIDGE} address {_hardware(CLIENTS)} type bridge"]
        for place in self.places[:-1]:
            _ip("netns", "add", _name(place))
            peer = f"peer name eth0 address {_hardware(place)} netns {_name(place)}"
            lines += [f"link add to{place} type veth {peer}", f"link set to{place} master {BRIDGE} up"]
        lines += _up(BRIDGE, CLIENTS)
        _batch([], lines)
        for place in self.places[:-1]:
            _batch(["-n", _name(place)], ["link set lo up", *_up("eth0", place)])
        for place in self.places:
            self._tell(place, [other for other in self.places if other != place], set())

    def prefix(self, sid: int) -> list[str]:
        """What a command begins with to run where a member is."""
        return ["ip", "netns", "exec", _name(sid)]

    def blocked(self) -> set[Way]:
        """The ways that are cut now."""
        return set().union(*self.cuts.values())

    def cut(self, ways: Iterable[Way]) -> Callable[[], None]:
        """Cut these ways; what is returned ends that."""
        wanted = frozenset(ways)
        assert all(begin != to for begin, to in wanted), wanted
        self._n_cuts += 1
        serial = self._n_cuts
        before = self.blocked()
        self.cuts[serial] = wanted
        self._follow(before)

        def end() -> None:
            still = self.blocked()
            self.cuts.pop(serial, None)
            self._follow(still)

        return end

    def heal(self) -> None:
        """End every cut."""
        before = self.blocked()
        self.cuts.clear()
        self._follow(before)

    def remove(self) -> None:
        """Take it down; nobody uses it any more. A namespace takes its links along some time after it is deleted."""
        _batch([], [f"link delete {name}" for name in [BRIDGE, *(f"to{place}" for place in self.places[:-1])]])
        for place in self.places[:-1]:
            _ip("netns", "delete", _name(place))

    def _follow(self, before: set[Way]) -> None:
        """Have the kernel follow what has changed."""
        now = self.blocked()
        changed = before ^ now
        for place in sorted({way[0] for way in changed}):
            self._tell(place, sorted(to for begin, to in changed if begin == place), now)

    def _tell(self, place: int, others: list[int], blocked: set[Way]) -> None:
        device, inside = (BRIDGE, []) if place == CLIENTS else ("eth0", ["-n", _name(place)])
        lines = []
        for other in others:
            where = NOWHERE if (place, other) in blocked else _hardware(other)
            lines.append(f"neigh replace {address(other)} lladdr {where} dev {device} nud permanent")
        _batch(inside, lines)


def _up(device: str, place: int) -> list[str]:
    return [f"addr add {address(place)}/24 dev {device}", f"link set {device} up"]


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=20)


def _batch(options: list[str], lines: list[str]) -> None:
    subprocess.run(["ip", *options, "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True, timeout=20)
