"""`python -m chaos --minutes 5`: rounds of real faults until the time is over, each judged at its end."""

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from chaos.run import QUIET_S, Round
from chaos.seal import is_sealed, seal, settle_in
from chaos.verdict import Unwitnessed, judge
from zoopark.sim.scenario import BROKEN

ROUND_S: Final = 150.0
"""Shorter rounds are judged sooner; longer ones have longer histories."""
AROUND_S: Final = QUIET_S + 18.0
"""What a round takes beside its faults."""
MIN_FAULTS_S: Final = 5.0
TELLING_MINUTES: Final = 4.0
"""A run as long as this has had every kind of fault."""
WRITES_A_MINUTE: Final = 300
MAX_UNWITNESSED: Final = 3
"""Rounds that could not be judged, and were made up for."""


def main(arguments: list[str]) -> int:
    """Run what the arguments ask for; 0 if every guarantee held, 1 if one did not or too little happened to say so."""
    options = _options(arguments)
    if options.judge is not None:
        return _judge(options.judge)
    if not options.unsealed and not is_sealed():
        seal(arguments)
    if is_sealed():
        settle_in()
    elif options.sealed:
        _say("no namespaces here: unshare and ip are needed, and root or users who may have namespaces")
        return 1
    else:
        _say("no namespaces here: no partitions, no full disks")
    return _rounds(options)


def _rounds(options: argparse.Namespace) -> int:
    until_s = time.monotonic() + options.minutes * 60
    seed = options.seed or int(time.time())
    totals: dict[str, int] = {}
    n_rounds = n_unwitnessed = 0
    while True:
        began_s = time.monotonic()
        seconds = max(MIN_FAULTS_S, min(until_s - began_s, ROUND_S) - AROUND_S)
        try:
            if not _round(seed + n_rounds, seconds, totals, options.verbose):
                return 1
        except Unwitnessed as error:
            _say(f"seed {seed + n_rounds}: not judged: {error}")
            n_unwitnessed += 1
            if n_unwitnessed > MAX_UNWITNESSED:
                return 1
            until_s += time.monotonic() - began_s
        n_rounds += 1
        if until_s - time.monotonic() < AROUND_S + MIN_FAULTS_S:
            break
    for name in sorted(totals):
        _say(f"{totals[name]:>9,}  {name}")
    lacks = lacking(totals, options.minutes)
    for what in lacks:
        _say(f"this run says nothing: {what}")
    return 1 if lacks else 0


def lacking(totals: Mapping[str, int], minutes: float) -> list[str]:
    """What did not happen and should have, in so many minutes; a run that was well without it has proved nothing."""
    if minutes < TELLING_MINUTES:
        return []
    lacks = [f"no {name}" for name, count in totals.items() if name.startswith("fault: ") and not count]
    n_writes = totals.get("writes answered", 0)
    if n_writes < minutes * WRITES_A_MINUTE:
        lacks.append(f"{n_writes} writes answered")
    return lacks


def _round(seed: int, seconds: float, totals: dict[str, int], is_verbose: bool) -> bool:
    """One round; its history is kept if it violates something, or cannot go on."""
    home = Path(tempfile.mkdtemp(prefix="zoopark-chaos-"))
    lines: list[str] = []
    one = Round(home, seed, seconds, is_sealed(), _say if is_verbose else lines.append)
    began_s = time.monotonic()
    try:
        asyncio.run(one.go())
    except Unwitnessed:
        _discard(one, home)
        raise
    except Exception as error:
        for line in lines[-20:]:
            _say(line)
        _say(f"seed {seed}: {type(error).__name__}: {error}")
        _say(f"kept: {_keep(one, home)}")
        if not isinstance(error, BROKEN):
            raise
        return False
    except BaseException:
        _clear(one, home)
        raise
    rss_mb = max(member.max_rss_kb for member in one.ensemble.members.values()) >> 10
    spent_s = time.monotonic() - began_s
    memory = f"at most {rss_mb} MB a member, {one.growth_kb:,} kB more in the observer after its first minute"
    _say(f"seed {seed}: {spent_s:.0f} s, longest stall {one.stall.longest_s:.1f} s, {memory}")
    for name, count in one.counts.items():
        totals[name] = totals.get(name, 0) + count
    _discard(one, home)
    return True


def _discard(one: Round, home: Path) -> None:
    """Make room for the next round."""
    _clear(one, home)
    if one.ensemble.wires is not None:
        one.ensemble.wires.remove()


def _keep(one: Round, home: Path) -> Path:
    """Copy what lies in memory to where it stays."""
    for member in one.ensemble.members.values():
        if member.data.is_mount():
            stays = member.home / "kept"
            shutil.copytree(member.data, stays)
            _unmount(member.data)
            member.data.rmdir()
            stays.rename(member.data)
    return home


def _clear(one: Round, home: Path) -> None:
    for member in one.ensemble.members.values():
        if member.data.is_mount():
            _unmount(member.data)
    shutil.rmtree(home)


def _unmount(path: Path) -> None:
    subprocess.run(["umount", "--lazy", str(path)], check=True, timeout=20)


def _judge(home: Path) -> int:
    """Judge a kept run again."""
    try:
        verdict = judge(home)
    except (*BROKEN, Unwitnessed) as error:
        _say(f"{type(error).__name__}: {error}")
        return 1
    for name, count in verdict.counts.items():
        _say(f"{count:>9,}  {name}")
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="how long, about")
    parser.add_argument("--seed", type=int, default=0, help="of the first round; without it another one each time")
    places = parser.add_mutually_exclusive_group()
    places.add_argument(
        "--sealed", action="store_true", help="fail where no networks and disks of its own are to be had"
    )
    places.add_argument("--unsealed", action="store_true", help="without networks and disks of its own")
    parser.add_argument("--verbose", action="store_true", help="say what is done when")
    parser.add_argument(
        "--judge", type=Path, metavar="DIR", help="only judge a run that was kept, and had come to rest"
    )
    return parser.parse_args(arguments)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
