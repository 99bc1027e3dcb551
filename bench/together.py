"""Three servers beside three: rows of load over all members, fail-over, and learners that come back to a large tree."""

from contextlib import ExitStack

from bench import failover, large, learners, processes, throughput
from bench.arena import Arena
from bench.ensembles import Ensemble
from bench.results import Lagging, Results, Together
from bench.rows import ENSEMBLE, rows_named


def compare_rows(arena: Arena, found: Results) -> None:
    """Both ensembles up, warm, and loaded in turn; then their memory at rest, then their leaders are killed in turn."""
    homes = arena.work / "ensembles"
    with ExitStack() as stack:
        running = []
        for i, contestant in enumerate(arena.contestants):
            ensemble = Ensemble(contestant, homes / str(i))
            stack.callback(ensemble.stop)
            running.append(ensemble.start())
        for side, ensemble in zip(found.sides, running, strict=True):
            side.version = ensemble.version
        throughput.compare(arena, running, rows_named(ENSEMBLE, arena.patterns), found)
        processes.calm([pid for ensemble in running for pid in ensemble.pids])
        for side, ensemble in zip(found.sides, running, strict=True):
            side.together = Together(processes.proportional_mb(ensemble.pids))
            arena.tell(f"memory of three     {ensemble.name:<14}{side.together.resting_mb:>10,.0f} MB")
        for _ in range(int(found.settings["kills"])):
            for side, ensemble in zip(found.sides, running, strict=True):
                assert side.together is not None
                processes.calm([pid for one in running for pid in one.pids])
                taken_ms = failover.kill_leader(ensemble)
                side.together.failovers_ms.append(taken_ms)
                arena.tell(f"leader killed       {ensemble.name:<14}{taken_ms:>10,.0f} ms")
    large.discard(homes)


def compare_large(arena: Arena, found: Results) -> None:
    """One ensemble after the other: the large tree, a follower that missed some writes, one that lost everything."""
    settings = found.settings
    for i, (side, contestant) in enumerate(zip(found.sides, arena.contestants, strict=True)):
        home = arena.work / f"learners-{i}"
        ensemble = Ensemble(contestant, home).start()
        try:
            load_s = learners.fill(arena.program, ensemble, int(settings["nodes"]))
            loaded_mb = processes.proportional_mb(ensemble.pids)
            arena.tell(f"{settings['nodes']} nodes       {ensemble.name:<14}{load_s:.1f} s, {loaded_mb:,.0f} MB")
            missed = int(settings["missed"])
            catch_ups = [
                learners.catch_up(arena.program, ensemble, missed, f"/missed{k}", arena.tell)
                for k in range(int(settings["catch_ups"]))
            ]
            transfer = learners.transfer(arena.program, ensemble, float(settings["transfer_seconds"]), arena.tell)
            side.lagging = Lagging(int(settings["nodes"]), missed, load_s, loaded_mb, catch_ups, transfer)
            side.version = ensemble.version
        finally:
            ensemble.stop()
        large.discard(home)
