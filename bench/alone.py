"""One server beside one: rows of load, the large tree, its restarts."""

from contextlib import ExitStack

from bench import large, throughput
from bench.arena import Arena
from bench.results import Results
from bench.rows import ALONE, rows_named
from bench.servers import Running


def compare_rows(arena: Arena, found: Results) -> None:
    """Both servers up, warm, and loaded in turn."""
    chosen, homes = rows_named(ALONE, arena.patterns), arena.work / "rows"
    with ExitStack() as stack:
        running = []
        for i, contestant in enumerate(arena.contestants):
            server = Running(contestant, homes / str(i))
            stack.callback(server.stop)
            running.append(server.start())
        for side, server in zip(found.sides, running, strict=True):
            side.version = server.version
        throughput.compare(arena, running, chosen, found)
    large.discard(homes)


def compare_large(arena: Arena, found: Results) -> None:
    """One server after the other with the large tree, then their restarts in turn."""
    nodes, seconds = int(found.settings["nodes"]), float(found.settings["snapshot_seconds"])
    homes = [arena.work / f"large-{i}" for i in range(len(arena.contestants))]
    for side, contestant, home in zip(found.sides, arena.contestants, homes, strict=True):
        side.large = large.measure(arena.program, contestant, home, (nodes, seconds), arena.tell)
        side.version = side.large.version
    for _ in range(int(found.settings["restarts"])):
        for side, contestant, home in zip(found.sides, arena.contestants, homes, strict=True):
            if side.large is not None:
                large.restart(contestant, home, side.large, arena.tell)
    for home in homes:
        large.discard(home)
