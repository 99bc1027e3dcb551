"""Two servers side by side, driven with the same steps until they differ."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final

from tests.compat import oracle
from tests.compat.oracle import Flavour, Server
from tests.compat.requests import digest_id
from tests.compat.run import OBSERVER, Outcome, ServerGoneError, Side
from tests.compat.steps import Open, Step

FOREVER_MS: Final = "3600000"
DIFFERENTIAL_SETTINGS: Final = {
    "maxSessionTimeout": "600000",
    "extendedTypesEnabled": "true",
    "enforceQuota": "true",
    "forceSync": "no",
    "DigestAuthenticationProvider.superDigest": digest_id("super", "secret"),
}
DIFFERENTIAL_PROPERTIES: Final = {"znode.container.checkIntervalMs": FOREVER_MS}
SHRINK_SECONDS: Final = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two servers parted: the step (counted from 1) and what each of them said."""

    number: int
    step: Step
    reference: Outcome
    candidate: Outcome
    is_fatal: bool = False

    def __str__(self) -> str:
        lines = [f"step {self.number}  {self.step}"]
        for key in sorted({*self.reference, *self.candidate}):
            left, right = self.reference.get(key, []), self.candidate.get(key, [])
            lines += _beside(key, left, right)
        return "\n".join(lines)


def _beside(key: str, left: Sequence[str], right: Sequence[str]) -> list[str]:
    lines = []
    for wanted, found in zip_longest(left, right, fillvalue="(nothing)"):
        lines += (
            [f"    both {key} {wanted}"] if wanted == found else [f"    want {key} {wanted}", f"    got  {key} {found}"]
        )
    return lines


class Pair:
    """A reference and a candidate with one configuration.

    Args:
        reference, candidate: what to run.
        home: an existing empty directory.
        settings, properties: on top of DIFFERENTIAL_SETTINGS and DIFFERENTIAL_PROPERTIES.
    """

    def __init__(
        self,
        reference: Flavour,
        candidate: Flavour,
        home: Path,
        settings: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        self._flavours = (reference, candidate)
        self._home = home
        self._settings = {**DIFFERENTIAL_SETTINGS, **(settings or {})}
        self._properties = {**DIFFERENTIAL_PROPERTIES, **(properties or {})}
        self._servers: list[Server] = []
        self._generation = 0

    def start(self) -> "Pair":
        """Start both servers on new, empty data directories, after stopping those that run."""
        self.stop()
        self._generation += 1
        for place, kind in zip(("reference", "candidate"), self._flavours, strict=True):
            home = self._home / f"{place}-{self._generation}"
            home.mkdir()
            self._servers.append(Server(kind, home, self._settings, self._properties).start())
        return self

    def stop(self) -> None:
        for server in self._servers:
            server.stop()
        self._servers.clear()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where the reference and the candidate listen."""
        return [server.address for server in self._servers]

    def compare(self, steps: Sequence[Step]) -> Difference | None:
        """Run steps on both servers up to the first one they answer differently, then clean up what it left."""
        try:
            sides = [Side(server.address) for server in self._servers]
        except (ServerGoneError, ConnectionRefusedError) as error:
            told = [{"server": [str(error), *server.log.splitlines()[-3:]]} for server in self._servers]
            return Difference(0, Open(OBSERVER), told[0], told[1], is_fatal=True)
        difference = self._first_difference(steps, *sides)
        for side in sides:
            if difference is not None and difference.is_fatal:
                side.hang_up()
            else:
                side.finish()
        return difference

    def _first_difference(self, steps: Sequence[Step], *sides: Side) -> Difference | None:
        for number, step in enumerate(steps, 1):
            outcomes = [_perform(side, step, server) for side, server in zip(sides, self._servers, strict=True)]
            (wanted, is_alive), (found, is_alive_too) = outcomes
            if wanted != found or not (is_alive and is_alive_too):
                return Difference(number, step, wanted, found, not (is_alive and is_alive_too))
        return None

    def shrink(self, steps: Sequence[Step], found: Difference) -> list[Step]:
        """A shorter sequence that still ends in a difference at the same step, as short as SHRINK_SECONDS allow.

        Not tried for a difference that ended a server: the whole sequence comes back.
        """
        if found.is_fatal:
            return list(steps[: found.number])
        deadline = time.monotonic() + SHRINK_SECONDS
        kept = list(steps[: found.number])

        def is_still_different(candidate: list[Step]) -> bool:
            difference = self.compare(candidate)
            return difference is not None and difference.step == found.step

        size = len(kept) // 2
        while size and time.monotonic() < deadline:
            kept = _without_pieces(kept, size, is_still_different, deadline)
            size //= 2
        return kept


def _without_pieces(
    steps: list[Step], size: int, is_still_different: Callable[[list[Step]], bool], deadline: float
) -> list[Step]:
    """Drop every run of `size` steps, but never the last step, that the difference does not need."""
    start = 0
    while start < len(steps) - 1 and time.monotonic() < deadline:
        end = min(start + size, len(steps) - 1)
        shorter = steps[:start] + steps[end:]
        if is_still_different(shorter):
            steps = shorter
        else:
            start += size
    return steps


def _perform(side: Side, step: Step, server: Server) -> tuple[Outcome, bool]:
    """What a step made the server say, and whether it survived."""
    try:
        return side.perform(step), True
    except (ServerGoneError, ConnectionRefusedError) as error:
        causes = [line for line in server.log.splitlines() if re.match(r"\S*(Error|Exception)", line)]
        return {"server": [f"gone: {error}", *causes[-1:]]}, False


def flavours(reference: str, candidate: str) -> tuple[Flavour, Flavour]:
    """Two flavours by name; see `oracle.flavour`."""
    return oracle.flavour(reference), oracle.flavour(candidate)
