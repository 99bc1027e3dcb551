"""One round: an ensemble, its clients, faults for a while, and whether it comes to rest and agrees afterwards.

all serve ── faults ── all is healed ── all serve and agree, every client is served
          ── quiet, for longer than a session lasts ── znodes compared ── stopped ── judged
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final, final

from chaos.clients import Clients
from chaos.ensemble import WITNESS, Ensemble
from chaos.faults import ANYWHERE, FAULTS, Fate
from chaos.history import FAULT, HELD, RUN, History
from chaos.rows import rows_of
from chaos.stall import STALL_S, Stall
from chaos.verdict import HISTORY, Verdict, check_against, check_rows, judge
from zoopark.sim.checkers import Violation
from zoopark.sim.world import World

START_S: Final = 40.0
REST_S: Final = 40.0
QUIET_S: Final = 8.0
"""Longer than any session lasts without its client."""
REMARKABLE_S: Final = 3.0
STEP_S: Final = 0.05
N_CLIENTS: Final = 6
CALM_S: Final = 2.0
WARM_S: Final = 60.0
"""After this a member's memory is as large as it gets, but for GROWTH_KB."""
GROWTH_KB: Final = 3 << 10
TELLING_S: Final = 80.0
"""Faults that last as long have had a lull."""


@final
class Round:
    """One round.

    Args:
        home: an empty directory.
        seed: decides faults and workloads.
        seconds: for how long faults come and go.
        is_sealed: whether members may have networks and disks of their own.
        say: is given what happens, in lines.

    Attributes:
        counts: of what happened, by name.
        stall: how long nothing was written while faults came and went.
        growth_kb: how much more memory the witness took than it ever did until WARM_S.
    """

    def __init__(self, home: Path, seed: int, seconds: float, is_sealed: bool, say: Callable[[str], None]) -> None:
        self.home = home
        self.seconds = seconds
        self.counts: dict[str, int] = {}
        self._say = say
        self._began_s = time.monotonic()
        self.ensemble = Ensemble(home, is_sealed)
        world = World(seed)
        self.history = History(world)
        self.clients = Clients(world, self.ensemble.seats, self.history, N_CLIENTS)
        self.fate = Fate(self.ensemble, Random(seed), list(FAULTS if is_sealed else ANYWHERE), self._note)
        self.stall = Stall(self._began_s)
        self._warm_kb = self.growth_kb = 0
        self._broken: BaseException | None = None

    async def go(self) -> Verdict:
        """Let it happen and judge it. Raises Violation. No process outlives this."""
        try:
            return await self._go()
        finally:
            for member in self.ensemble.members.values():
                member.kill()
            self.clients.end()
            self.history.close()

    async def _go(self) -> Verdict:
        asyncio.get_running_loop().set_exception_handler(self._on_broken)
        self.history.open(self.home / HISTORY)
        self.ensemble.prepare()
        self.ensemble.start()
        await self._until(self.ensemble.is_settled, START_S, "not everybody serves after the start")
        self.clients.start()
        await self._suffer()
        self.fate.stop()
        self._note("all is healed")
        self.ensemble.heal()
        self.clients.rest()
        await self._until(self._is_at_rest, REST_S, "not everybody serves, agrees and is served after all is well")
        held = sorted(client.view.session.session_id for client in self.clients.clients)
        await self._watch(time.monotonic() + QUIET_S)
        await self._until(self._is_at_rest, REST_S, "what was at rest is not any more")
        rows = {seat.sid: await rows_of(seat) for seat in self.ensemble.seats}
        check_rows(rows)
        self.history.tell(RUN, HELD, tuple(held))
        self._look()
        self._end()
        verdict = judge(self.home)
        check_against(verdict.truth, rows[1])
        self._count(verdict)
        return verdict

    async def _suffer(self) -> None:
        """Faults come and go."""
        began_s = time.monotonic()
        self.stall = Stall(began_s)
        until_s, calm_until_s = began_s + self.seconds, began_s + CALM_S
        survey = asyncio.create_task(self._survey())
        try:
            while (now_s := time.monotonic()) < until_s:
                if now_s > calm_until_s:
                    self.fate.step(now_s)
                self._look()
                self._check_progress(now_s)
                self.check_memory(now_s - began_s)
                await asyncio.sleep(STEP_S)
        finally:
            survey.cancel()
        if self.seconds > TELLING_S and not self.stall.armed_s:
            raise Violation(f"liveness: there was no moment at which {STALL_S:.0f} s without a write would be found")

    def _look(self) -> None:
        """Raises what went wrong in a process, or in a client that was told something impossible."""
        if self._broken is not None:
            raise self._broken
        self.ensemble.look()

    def _on_broken(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._broken = self._broken or context.get("exception") or Violation(f"client: {context.get('message')}")

    def _check_progress(self, now_s: float) -> None:
        """While a majority is well and connected, writes are answered."""
        before_s = self.stall.now_s
        well = self.ensemble.majority()
        self.stall.look(now_s, well, self.ensemble.is_led(well), self.clients.written_s)
        if self.stall.now_s < before_s and before_s > REMARKABLE_S:
            self._note(f"nothing was written for {before_s:.1f} s")

    def check_memory(self, spent_s: float) -> None:
        """The witness, which nothing befalls, stops growing. Raises Violation.

        Args:
            spent_s: for how long there have been faults.
        """
        rss_kb = self.ensemble.members[WITNESS].rss_kb
        if spent_s < WARM_S:
            self._warm_kb = max(self._warm_kb, rss_kb)
            return
        self.growth_kb = max(self.growth_kb, rss_kb - self._warm_kb)
        if self.growth_kb > GROWTH_KB:
            raise Violation(f"memory: the observer takes {self.growth_kb:,} kB more than in its first minute")

    async def _survey(self) -> None:
        while True:
            await self.ensemble.survey()
            await asyncio.sleep(STEP_S)

    async def _watch(self, until_s: float) -> None:
        while time.monotonic() < until_s:
            self._look()
            await asyncio.sleep(STEP_S)

    async def _until(self, is_right: Callable[[], bool], wait_s: float, otherwise: str) -> None:
        until_s = time.monotonic() + wait_s
        await self.ensemble.survey()
        while not is_right():
            if time.monotonic() > until_s:
                raise Violation(f"liveness: {otherwise}, in {wait_s:.0f} s: {self.ensemble.standings}")
            self._look()
            await asyncio.sleep(STEP_S)
            await self.ensemble.survey()

    def _is_at_rest(self) -> bool:
        return self.ensemble.is_settled() and self.clients.are_served()

    def _end(self) -> None:
        """Everybody stops, as asked."""
        self.clients.end()
        for member in self.ensemble.members.values():
            member.terminate()
        for member in self.ensemble.members.values():
            member.stop()
            member.look()
            member.check_logs()
        self.history.flush()

    def _note(self, text: str) -> None:
        self.history.tell(RUN, FAULT, (text,))
        self._say(f"{time.monotonic() - self._began_s:7.1f} s  {text}")

    def _count(self, verdict: Verdict) -> None:
        self.counts.update({f"fault: {name}": count for name, count in self.fate.counts.items()})
        for member in self.ensemble.members.values():
            for reason, count in member.exits.items():
                self.counts[f"ended: {reason}"] = self.counts.get(f"ended: {reason}", 0) + count
        self.counts.update(verdict.counts)
        self.counts.update({f"client: {name}": count for name, count in self.clients.world.counts.items()})
        self.counts["writes answered"] = self.clients.n_writes
        self.counts["seconds in which a stall would be found"] = round(self.stall.armed_s)
