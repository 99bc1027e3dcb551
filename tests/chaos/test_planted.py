"""A fault that ZAB does not bear, done to real processes: a majority comes back with older disks. It must be found."""

import asyncio
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from chaos.clients import Clients
from chaos.ensemble import WITNESS, Ensemble
from chaos.history import HELD, RUN, History
from chaos.members import Member
from chaos.verdict import HISTORY, judge
from zoopark.sim.checkers import Violation
from zoopark.sim.world import World

WAIT_S = 40.0
N_WRITES = 40
LOOK_S = 0.05
EVERYBODY = range(1, WITNESS + 1)
FORGETFUL = (1, 2, 3)


class Stage:
    """An ensemble and its clients, on this machine's own network. `close` must follow."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ensemble = Ensemble(home, is_sealed=False)
        world = World(3)
        self.history = History(world)
        self.clients = Clients(world, self.ensemble.seats, self.history, 4)

    def members(self, sids: Iterable[int]) -> list[Member]:
        return [self.ensemble.members[sid] for sid in sids]

    async def serve(self, *sids: int) -> None:
        """Start these, and wait until all of them serve at one zxid."""
        for member in self.members(sids):
            member.start()
        until_s = time.monotonic() + WAIT_S
        standings = self.ensemble.standings
        while set(standings) != set(sids) or len({zxid for _, zxid in standings.values()}) > 1:
            if time.monotonic() > until_s:
                raise Violation(f"liveness: {standings}")
            await asyncio.sleep(LOOK_S)
            await self.ensemble.survey()
            standings = self.ensemble.standings

    async def write(self) -> None:
        """Wait until some more writes are answered."""
        until_s, wanted = time.monotonic() + WAIT_S, self.clients.n_writes + N_WRITES
        while self.clients.n_writes < wanted:
            assert time.monotonic() < until_s, self.clients.n_writes
            await asyncio.sleep(LOOK_S)

    def kill(self) -> None:
        for member in self.ensemble.members.values():
            member.kill()

    def close(self) -> None:
        self.clients.end()
        self.kill()
        self.history.close()


async def go_back(stage: Stage) -> None:
    """Three of five write what they then forget."""
    stage.history.open(stage.home / HISTORY)
    stage.ensemble.prepare()
    await stage.serve(*EVERYBODY)
    stage.clients.start()
    await stage.write()
    stage.kill()
    for member in stage.members(FORGETFUL):
        shutil.copytree(member.data, member.home / "older")
    for member in stage.members(EVERYBODY):
        member.start()
    await stage.write()
    stage.clients.rest()
    stage.kill()
    for member in stage.members(FORGETFUL):
        shutil.rmtree(member.data)
        shutil.copytree(member.home / "older", member.data)


async def come_to_rest(stage: Stage) -> None:
    """They serve without the others, who then join them."""
    await stage.serve(*FORGETFUL)
    await stage.serve(*EVERYBODY)
    held = tuple(client.view.session.session_id for client in stage.clients.clients)
    stage.history.tell(RUN, HELD, held)


def test_a_majority_that_comes_back_with_older_disks_is_found(tmp_path: Path) -> None:
    """Everybody may be well and agree, and writes that were acknowledged are gone: then only the history knows.

    Or the two that kept their disks hold other transactions under zxids that are given again: I-10.
    """
    stage = Stage(tmp_path)
    with asyncio.Runner() as runner:
        try:
            runner.run(go_back(stage))
            runner.run(come_to_rest(stage))
            stage.close()
            with pytest.raises(Violation, match=r"^(committed|session|I-10):"):
                judge(tmp_path)
        finally:
            stage.close()
