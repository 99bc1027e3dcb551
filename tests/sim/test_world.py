"""One order for everything, from one seed."""

import os
import subprocess
import sys
from pathlib import Path

from zoopark.sim.world import STEP, TIMER, World


def test_events_happen_in_the_order_of_their_moments_and_then_of_their_making() -> None:
    world = World(1)
    seen: list[tuple[int, int]] = []
    for who, delay_us in ((1, 20), (2, 10), (3, 10), (4, 0)):
        world.after(delay_us, lambda who, what, payload: seen.append((who, world.now_us)), STEP, who, 0, None)
    assert world.run(10) == 4
    assert seen == [(4, 0), (2, 10), (3, 10), (1, 20)]


def test_it_stops_where_it_is_told() -> None:
    world = World(1)
    for delay_us in (5, 15, 25):
        world.after(delay_us, lambda who, what, payload: None, STEP, 0, 0, None)
    assert world.run(1) == 1 and world.now_us == 5
    assert world.run(9, until_us=20) == 1 and world.now_us == 20
    assert world.run(9) == 1 and world.now_us == 25


def test_the_hash_tells_what_and_who_and_when() -> None:
    def trace(kind: int, who: int, what: int, delay_us: int) -> str:
        world = World(1)
        world.after(delay_us, lambda who, what, payload: None, kind, who, what, None)
        world.run(1)
        return world.trace_hash()

    hashes = {
        trace(STEP, 1, 2, 3),
        trace(TIMER, 1, 2, 3),
        trace(STEP, 9, 2, 3),
        trace(STEP, 1, 9, 3),
        trace(STEP, 1, 2, 9),
    }
    assert len(hashes) == 5
    assert trace(STEP, 1, 2, 3) in hashes


def test_a_line_for_every_event_names_no_address() -> None:
    lines: list[str] = []
    world = World(1, lines.append)
    world.after(1500, lambda who, what, payload: world.note("noted"), STEP, 3, 4, (object(), b"\x01", [1] * 9))
    world.run(1)
    assert lines == [
        "      1        1.500 ms  step 3 4 object 01 [1, 1, 1, 1, 1, …]",
        "               1.500 ms  | noted",
    ]


def test_the_same_seed_has_the_same_trace_in_every_process() -> None:
    """Nothing may depend on the hashes of strings, which differ from process to process."""
    root = Path(__file__).parents[2]
    found = []
    for hash_seed in ("1", "2"):
        command = [sys.executable, "-m", "zoopark.sim", "--kind", "alone", "--seed", "7", "--events", "1500"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root / "src")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
        found.append(next(line.split()[3] for line in done.stdout.splitlines() if line.startswith("seed")))
    assert found[0] == found[1]
