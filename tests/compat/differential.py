"""The differential test by hand: `python -m tests.compat.differential --against zoopark --seed 3 --steps 500`.

Prints each difference found, with the steps that lead to it, and ends with exit code 1 if there was one.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from tests.compat.generate import Generator
from tests.compat.pair import Pair, flavours
from tests.compat.scenarios import SCENARIOS, SETTINGS
from tests.compat.steps import Step


def sequences(options: argparse.Namespace) -> Iterator[tuple[str, Sequence[Step]]]:
    """The named sequences that the options ask for: scenarios of the chosen settings, then seeds."""
    if options.seed is None:
        for name, scenario in SCENARIOS[options.settings].items():
            if options.scenario in (None, name):
                yield f"scenario {name}", scenario
    if options.scenario is None:
        first = options.seed or 0
        for seed in range(first, first + options.seeds):
            yield f"seed {seed}", Generator(Random(seed)).steps(options.steps)


def run(pair: Pair, options: argparse.Namespace) -> int:
    """Run every sequence; how many differ (at most `options.stop_after`)."""
    differences = count = 0
    for name, steps in sequences(options):
        found = pair.compare(steps)
        count += 1
        if found is None:
            continue
        differences += 1
        sys.stdout.write(f"== {name}: {found}\n")
        if options.shrink:
            shorter = pair.shrink(steps, found)
            sys.stdout.write("  shortest way there:\n" + "".join(f"    {step}\n" for step in shorter))
        sys.stdout.flush()
        pair.start()
        if differences == options.stop_after:
            break
    sys.stdout.write(f"{count} sequences, {differences} with differences\n")
    return differences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", default="zoopark", help="the candidate: zoopark (default), 3.9.3 or 3.8")
    parser.add_argument("--reference", default="3.9.3", help="the reference: 3.9.3 (default), 3.8 or zoopark")
    parser.add_argument("--settings", default="full", choices=sorted(SETTINGS), help="which zoo.cfg both get")
    parser.add_argument("--seed", type=int, help="first seed; without it the hand-written scenarios come first")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds")
    parser.add_argument("--steps", type=int, default=1000, help="steps for each seed")
    parser.add_argument("--scenario", help="only the hand-written scenario of this name")
    parser.add_argument("--stop-after", type=int, default=20, help="end after so many differing sequences")
    parser.add_argument("--shrink", action="store_true", help="look for a shorter sequence, up to 20 s for each")
    options = parser.parse_args()
    settings, properties = SETTINGS[options.settings]
    with tempfile.TemporaryDirectory(prefix="zoopark-compat-") as home:
        pair = Pair(*flavours(options.reference, options.against), Path(home), settings, properties)
        try:
            differences = run(pair.start(), options)
        finally:
            pair.stop()
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
