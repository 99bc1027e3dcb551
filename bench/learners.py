"""A follower that comes back to a large tree: having missed writes, and having lost everything."""

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.ensembles import Ensemble
from bench.large import PARENTS, ROOT, SLICE_MS, overlapping
from bench.load import Load, quantile_us, run
from bench.processes import calm
from bench.servers import Running

OTHERS: Final = Load("mixed", connections=50, depth=1, warm=1, slice_ms=SLICE_MS)
"""What other clients do while a follower is sent the whole tree."""
AHEAD_SECONDS: Final = 2.0
"""So long they do so before it starts."""
MISSED_PARENTS: Final = 50


@dataclass(frozen=True, slots=True)
class CatchUp:
    """A follower that was stopped, and missed some writes.

    Args:
        recovery_s: from before its process existed to its first answer, which it gives when its own files are loaded.
        joined_s: from then on until it serves with the leader's last zxid.
        is_by_snapshot: it was sent the whole tree in place of what it had missed.
    """

    recovery_s: float
    joined_s: float
    is_by_snapshot: bool


@dataclass(frozen=True, slots=True)
class Transfer:
    """A follower without data that was sent the whole tree, and the latency of other clients meanwhile.

    Args:
        served_s: from before its process existed until it served.
        is_covered: the load lasted at least so long.
        ops_s: of the load, all of it.
        p99_us, p999_us, max_us: of the load, from the start of the process until it served.
        before_p999_us: of the load before that.
    """

    served_s: float
    is_covered: bool
    ops_s: float
    p99_us: float
    p999_us: float
    max_us: float
    before_p999_us: float


def fill(program: Path, ensemble: Ensemble, nodes: int) -> float:
    """Create the large tree; the seconds that it took."""
    loaded, _ = run(program, ensemble, Load("load", nodes=nodes, parents=PARENTS, root=ROOT))
    calm(ensemble.pids)
    return loaded.seconds


def catch_up(program: Path, ensemble: Ensemble, writes: int, root: str, tell: Callable[[str], None]) -> CatchUp:
    """Stop a follower, write so much (new nodes below `root`) to the others, and start it again."""
    follower, leader = ensemble.follower, ensemble.leader
    follower.stop()
    run(program, ensemble, Load("load", nodes=writes, parents=MISSED_PARENTS, root=root))
    calm(ensemble.pids)
    aim = leader.said("Zxid")
    follower.launch()
    recovery_s = follower.wait_for(lambda: bool(follower.srvr()))
    total_s = follower.wait_for(lambda: bool(follower.said("Mode")) and follower.said("Zxid") == aim)
    is_by_snapshot = (follower.data / "version-2" / f"snapshot.{aim.removeprefix('0x')}").exists()
    found = CatchUp(recovery_s, total_s - recovery_s, is_by_snapshot)
    calm(ensemble.pids)
    how = "the whole tree" if is_by_snapshot else "what was missed"
    tell(f"{writes:,} missed    {ensemble.name:<14}{recovery_s:.2f} s to load, {found.joined_s:.2f} s to join by {how}")
    return found


def transfer(program: Path, ensemble: Ensemble, seconds: float, tell: Callable[[str], None]) -> Transfer:
    """Empty a follower and start it while other clients put a load of so many seconds on the other members."""
    follower = ensemble.follower
    follower.stop()
    shutil.rmtree(follower.data / "version-2")
    calm(ensemble.pids)
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(run, program, ensemble, replace(OTHERS, seconds=seconds))
        time.sleep(OTHERS.warm + AHEAD_SECONDS)
        start_ns, served_s = time.monotonic_ns(), _restart(follower)
        measured, slices = load.result()
    end_ns = start_ns + int(served_s * 1e9)
    during = overlapping(slices, [(start_ns, end_ns)])
    found = Transfer(
        served_s=served_s,
        is_covered=slices[-1].start_ns >= end_ns,
        ops_s=measured.ops_s,
        p99_us=quantile_us(during, 0.99),
        p999_us=quantile_us(during, 0.999),
        max_us=quantile_us(during, 1.0),
        before_p999_us=quantile_us([one for one in slices if one not in during and one.start_ns < start_ns], 0.999),
    )
    tell(
        f"the whole tree    {ensemble.name:<14}{served_s:.1f} s; others {found.ops_s:,.0f}/s, p99.9 "
        f"{found.p999_us / 1000:.1f} ms (before {found.before_p999_us / 1000:.1f} ms), max {found.max_us / 1000:.1f} ms"
    )
    return found


def _restart(follower: Running) -> float:
    follower.start()
    return follower.start_seconds
