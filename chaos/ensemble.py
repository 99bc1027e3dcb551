"""Five voters and an observer as processes, and what can be seen of them from outside."""

import asyncio
import contextlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, final

from chaos.members import Member, Seat
from chaos.ports import free_ports
from chaos.wires import CLIENTS, Way, Wires, address

N_VOTERS: Final = 5
WITNESS: Final = 6
"""An observer that no fault befalls, so that one log holds everything that was ever committed."""
SMALL_DISKS: Final = (1, 2, 3)
"""Disks of these lie in memory and can be filled; the others share the machine's, with its real delays."""
PORTS: Final = (2888, 3888, 2181)
LOOK_S: Final = 0.5
_ZXID: Final = re.compile(rb"^Zxid: (0x[0-9a-f]+)$", re.MULTILINE)
_MODE: Final = re.compile(rb"^Mode: (\w+)", re.MULTILINE)

Standing = tuple[str, int]
"""(mode, last zxid) of a member that serves."""


@final
class Ensemble:
    """All members, down at first. `prepare` comes before everything else.

    Args:
        home: a directory for them.
        is_sealed: whether members may have networks and disks of their own.

    Attributes:
        members: by sid.
        wires: the network, None where it is the machine's own.
        standings: what those that serve said last.
    """

    def __init__(self, home: Path, is_sealed: bool) -> None:
        sids = range(1, WITNESS + 1)
        self.wires = Wires(sids) if is_sealed else None
        all_ports = [PORTS] * len(sids) if is_sealed else free_ports(len(sids))
        self.seats = []
        for sid, ports in zip(sids, all_ports, strict=True):
            where = address(sid) if is_sealed else "127.0.0.1"
            self.seats.append(Seat(sid, where, ports, sid == WITNESS))
        self.members: dict[int, Member] = {}
        for seat in self.seats:
            prefix = self.wires.prefix(seat.sid) if self.wires is not None else []
            has_small_disk = is_sealed and seat.sid in SMALL_DISKS
            self.members[seat.sid] = Member(seat, home / str(seat.sid), prefix, has_small_disk)
        self.voters = [self.members[sid] for sid in sids if sid != WITNESS]
        self.standings: dict[int, Standing] = {}

    def prepare(self) -> None:
        """Make networks, directories and disks. Errors: CalledProcessError where the kernel refuses."""
        if self.wires is not None:
            self.wires.lay()
        for member in self.members.values():
            member.prepare(self.seats)

    def start(self) -> None:
        for member in self.members.values():
            member.start()

    def look(self) -> None:
        """Whether every process is as it must be. Raises Violation."""
        for member in self.members.values():
            member.look()

    def heal(self) -> None:
        """Make everything well, and start whoever is down. Raises Violation if somebody is down for no reason."""
        if self.wires is not None:
            self.wires.heal()
        for member in self.members.values():
            member.heal_disk()
            member.resume()
            member.start()

    def leader(self) -> Member | None:
        """Who said last that it leads; if two did, the one that has more."""
        leading = [(zxid, sid) for sid, (mode, zxid) in self.standings.items() if mode == "leader"]
        return self.members[max(leading)[1]] if leading else None

    def is_settled(self) -> bool:
        """Whether every member serves and all of them are at one zxid."""
        return len(self.standings) == len(self.members) and len({zxid for _, zxid in self.standings.values()}) == 1

    def is_led(self, sids: frozenset[int]) -> bool:
        """Whether a majority of all voters serves among these, and their leader is one of them."""
        leader = self.leader()
        return leader is not None and leader.sid in sids and len(sids & self.standings.keys()) > N_VOTERS // 2

    async def survey(self) -> None:
        """Ask everybody how it stands; takes LOOK_S at most."""
        found = await asyncio.gather(*(_standing(member.seat) for member in self.members.values()))
        self.standings = {sid: one for sid, one in zip(self.members, found, strict=True) if one is not None}

    def majority(self) -> frozenset[int]:
        """The voters that must be able to go on; none where nobody can say.

        They are well, a majority, see each other and clients, and those that are well beside them are cut off from
        each of them in both directions: one that is heard and does not hear may well be elected.
        """
        well = [member.sid for member in self.voters if member.is_well()]
        blocked = self.wires.blocked() if self.wires is not None else set()
        return connected_majority(well, blocked, N_VOTERS)


def connected_majority(well: Iterable[int], blocked: set[Way], n_voters: int) -> frozenset[int]:
    """The members of `well` that form a majority apart from all the others; empty if there is none."""
    left = set(well)
    while left:
        group = {min(left)}
        while fresh := {b for a in group for b in left - group if not ((a, b) in blocked and (b, a) in blocked)}:
            group |= fresh
        left -= group
        whole = [*group, CLIENTS]
        is_whole = not any((a, b) in blocked for a in whole for b in whole)
        if len(group) > n_voters // 2:
            return frozenset(group) if is_whole else frozenset()
    return frozenset()


async def _standing(seat: Seat) -> Standing | None:
    """What a member says of itself; None if it does not serve."""
    said = b""
    with contextlib.suppress(OSError):
        async with asyncio.timeout(LOOK_S):
            reader, writer = await asyncio.open_connection(seat.host, seat.ports[2])
            try:
                writer.write(b"srvr")
                said = await reader.read()
            finally:
                writer.close()
    mode, zxid = _MODE.search(said), _ZXID.search(said)
    return (mode[1].decode(), int(zxid[1], 16)) if mode and zxid else None
