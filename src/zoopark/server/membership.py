"""Who is in an ensemble: the lines server.N, group.N and weight.N of zoo.cfg, to one record.

    server.N = host:quorum port:election port[|host:port:port…][:participant|:observer][;[address:]client port]
    group.N  = sid:sid:…        disjoint groups of participants; then quorums are counted by group and weight
    weight.N = whole number     of server N, 1 if nobody says

As in ZooKeeper one participant alone is no ensemble but one server. Unlike ZooKeeper a line that cannot be used is
refused with its place. Must never resolve a name or read a file: who this server is, is told from outside.
Source: ZooKeeper's QuorumPeerConfig and QuorumServer.
"""

import re
from collections.abc import Mapping
from typing import Final, TypeAlias, final

from zoopark.errors import ConfigError
from zoopark.jute.quorum import Address
from zoopark.record import Record
from zoopark.zab.quorum import Hierarchical, Majority, Verifier

UNKNOWN: Final = -1
"""The sid of a server that has not been told who it is."""
MAX_SID: Final = 255
"""Session ids carry the sid in their highest byte."""
MAX_WEIGHT: Final = 1_000_000

_PORT: Final = "[0-9]{1,5}"
_HOST: Final = r"\[[^\]|]+\]|[^\[\]:;|]+"
_PLACE: Final = rf"(?:{_HOST}):{_PORT}:{_PORT}"
_SERVER: Final = re.compile(
    rf"(?P<places>{_PLACE}(?:\|{_PLACE})*)(?::(?P<role>participant|observer))?"
    rf"(?:;(?:(?P<address>{_HOST}|):)?(?P<client>{_PORT}))?",
    re.IGNORECASE,
)
_ALLOWED: Final = "host:port:port[|host:port:port…][:participant|:observer][;[address:]port]"

Line: TypeAlias = tuple[str, str, str]
""""zoo.cfg:12: ", the key, the value."""
Place: TypeAlias = tuple[str, int, int]
"""A name or an IP address without brackets, where a leader is dialled, and where votes are told."""


@final
class Seat(Record):
    """One server of an ensemble.

    Args:
        sid: its server id.
        places: where it can be reached, at least one; they are tried in this order.
        is_observer: whether it only learns.
        client_address: where its clients come in, "" for every interface; `client_port` 0 if the line does not say.
    """

    __slots__ = ("client_address", "client_port", "is_observer", "places", "sid")

    def __init__(
        self, sid: int, places: tuple[Place, ...], is_observer: bool = False, client: tuple[str, int] = ("", 0)
    ) -> None:
        self.sid = sid
        self.places = places
        self.is_observer = is_observer
        self.client_address, self.client_port = client

    def quorum_addresses(self) -> list[Address]:
        """Where a leader is dialled."""
        return [(host, port) for host, port, _ in self.places]

    def election_addresses(self) -> list[Address]:
        """Where votes are told."""
        return [(host, port) for host, _, port in self.places]

    def text(self) -> str:
        """The line as servers tell it each other."""
        role = "observer" if self.is_observer else "participant"
        client = f";{_bracketed(self.client_address or '0.0.0.0')}:{self.client_port}" if self.client_port else ""
        places = "|".join(f"{_bracketed(host)}:{quorum}:{election}" for host, quorum, election in sorted(self.places))
        return f"server.{self.sid}={places}:{role}{client}"


@final
class Membership(Record):
    """An ensemble, as one of its servers sees it.

    Args:
        sid: which of them this server is; UNKNOWN before it is told.
        seats: all servers by sid.
        verifier: who votes, and what is a quorum.
        extra: the lines group.N and weight.N, as servers tell them each other.
        version: of this configuration.
    """

    __slots__ = ("extra", "seats", "sid", "verifier", "version")

    def __init__(
        self, sid: int, seats: Mapping[int, Seat], verifier: Verifier, extra: tuple[str, ...] = (), version: int = 0
    ) -> None:
        self.sid = sid
        self.seats = dict(seats)
        self.verifier = verifier
        self.extra = extra
        self.version = version

    def own(self) -> Seat:
        """This server's own line."""
        return self.seats[self.sid]

    def text(self) -> bytes:
        """The configuration as servers tell it each other."""
        lines = [self.seats[sid].text() for sid in sorted(self.seats)]
        return "\n".join([*lines, *self.extra, f"version={self.version:x}"]).encode()


def read_membership(lines: list[Line], sid: int, version: int = 0) -> Membership | None:
    """The ensemble that these lines make; None if there is one participant or no line at all.

    Args:
        lines: those with server.N, group.N or weight.N, in file order.
        sid: this server's, or UNKNOWN.
        version: of these lines.

    Raises ConfigError for a line that cannot be used, and for a sid that none of them names.
    """
    seats = {seat.sid: seat for line in lines if line[1].startswith("server.") for seat in [read_seat(line)]}
    voters = [seat.sid for seat in seats.values() if not seat.is_observer]
    if seats and len(voters) < 2:
        _refuse_observers(lines, seats)
        return None
    if not seats:
        return None
    if sid != UNKNOWN and sid not in seats:
        place, key, _ = next(line for line in lines if line[1].startswith("server."))
        raise ConfigError(f"{place}{key}: myid is {sid}, and there is no line server.{sid}")
    verifier, extra = _verifier(lines, voters)
    return Membership(sid, seats, verifier, extra, version)


def read_myid(text: str, place: str) -> int:
    """The sid that a file myid holds, or whoever sets it says. Raises ConfigError with `place` in front."""
    stripped = text.strip()
    if not re.fullmatch("[0-9]{1,18}", stripped) or int(stripped) > MAX_SID:
        raise ConfigError(f"{place}: {stripped!r}: a whole number from 0 to {MAX_SID} is allowed")
    return int(stripped)


def read_seat(line: Line) -> Seat:
    """The server of a line server.N; no zeros in front of N, so that no two lines are of one server.

    Raises ConfigError.
    """
    place, key, text = line
    number = key.removeprefix("server.")
    if not re.fullmatch("0|[1-9][0-9]{0,17}", number) or int(number) > MAX_SID:
        raise ConfigError(f"{place}{key}={text}: server.N with N from 0 to {MAX_SID}, no zeros in front, is allowed")
    match = _SERVER.fullmatch(text.strip())
    places = tuple([_place(part) for part in match["places"].split("|")]) if match is not None else ()
    client_port = int(match["client"] or "0") if match is not None else 0
    ports = [port for _, quorum, election in places for port in (quorum, election)]
    if match is None or not all(0 < port < 65536 for port in [*ports, client_port or int(match["client"] is None)]):
        raise ConfigError(f"{place}{key}={text}: {_ALLOWED} is allowed")
    is_observer = (match["role"] or "").lower() == "observer"
    return Seat(int(number), places, is_observer, ((match["address"] or "").strip("[]"), client_port))


def _place(text: str) -> Place:
    host, quorum_port, election_port = text.rsplit(":", 2)
    return host.strip("[]"), int(quorum_port), int(election_port)


def _refuse_observers(lines: list[Line], seats: Mapping[int, Seat]) -> None:
    for place, key, text in lines:
        if key.startswith("server.") and seats[int(key.removeprefix("server."))].is_observer:
            raise ConfigError(f"{place}{key}={text}: observers need two participants or more")


def _verifier(lines: list[Line], voters: list[int]) -> tuple[Verifier, tuple[str, ...]]:
    """Who votes; by groups and weights if there are groups."""
    weights = {_number(line, "weight.", voters): _weight(line) for line in lines if line[1].startswith("weight")}
    groups: dict[int, dict[int, int]] = {}
    grouped: set[int] = set()
    for line in lines:
        if line[1].startswith("group"):
            members = _members(line, voters, grouped)
            grouped |= set(members)
            groups[_number(line, "group.", None)] = {sid: weights.get(sid, 1) for sid in members}
    if not groups:
        return Majority(voters), ()
    place, key, _ = next(line for line in lines if line[1].startswith("group"))
    missing = [sid for sid in voters if sid not in grouped]
    if missing:
        raise ConfigError(f"{place}{key}: server {missing[0]} is in no group")
    if not any(any(members.values()) for members in groups.values()):
        raise ConfigError(f"{place}{key}: no server has a weight above 0")
    told = [f"group.{number}={':'.join(map(str, members))}" for number, members in sorted(groups.items())]
    told += [f"weight.{sid}={weight}" for sid, weight in sorted(weights.items())]
    return Hierarchical(groups), tuple(told)


def _members(line: Line, voters: list[int], grouped: set[int]) -> list[int]:
    place, key, text = line
    parts = [part.strip() for part in text.split(":")]
    members = [int(part) for part in parts if re.fullmatch("[0-9]{1,18}", part)]
    is_sound = len(members) == len(parts) == len(set(members)) and set(members) <= set(voters)
    if not is_sound or grouped & set(members):
        raise ConfigError(f"{place}{key}={text}: ids of participants between colons, each in one group, are allowed")
    return members


def _number(line: Line, prefix: str, voters: list[int] | None) -> int:
    """The N of group.N or weight.N."""
    place, key, text = line
    digits = key.removeprefix(prefix)
    if not re.fullmatch("[0-9]{1,18}", digits) or (voters is not None and int(digits) not in voters):
        what = "the id of a participant" if voters is not None else "a whole number"
        raise ConfigError(f"{place}{key}={text}: {prefix}N with {what} as N is allowed")
    return int(digits)


def _weight(line: Line) -> int:
    place, key, text = line
    if not re.fullmatch("[0-9]{1,7}", text) or int(text) > MAX_WEIGHT:
        raise ConfigError(f"{place}{key}={text}: a whole number from 0 to {MAX_WEIGHT} is allowed")
    return int(text)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
