"""What befalls the members follows from a seed."""

from pathlib import Path
from random import Random

from chaos.ensemble import Ensemble
from chaos.faults import FAULTS, LONG_S, LULL_S, MAX_AT_ONCE, MIN_S, Fate


def fate_of(home: Path, seed: int, names: list[str]) -> tuple[Fate, list[str]]:
    """A fate over members that are down, to whom nothing can happen."""
    told: list[str] = []
    return Fate(Ensemble(home, is_sealed=False), Random(seed), names, told.append), told


def test_a_seed_decides_what_befalls_whom(tmp_path: Path) -> None:
    """So that a fault that broke something can be asked for again."""
    told = []
    for at, seed in enumerate((7, 7, 8)):
        fate, lines = fate_of(tmp_path / str(at), seed, ["pause one", "pause leader", "pause all", "failing disk"])
        for step in range(300):
            fate.step(step / 10)
        told.append(lines)
        assert len(lines) > 10
    assert told[0] == told[1] != told[2]


def test_few_things_happen_at_once(tmp_path: Path) -> None:
    fate, told = fate_of(tmp_path, 1, ["pause all"])
    for step in range(600):
        fate.step(step / 10)
        under_way = told.count("pause all") - told.count("end of pause all")
        assert under_way <= MAX_AT_ONCE


def test_there_are_lulls(tmp_path: Path) -> None:
    """In which writes that are not answered have no excuse."""
    fate, told = fate_of(tmp_path, 1, ["pause one", "pause all"])
    lengths, quiet_s, n_told = [], 0.0, 0
    for step in range(2000):
        fate.step(step / 10)
        quiet_s = quiet_s + 0.1 if len(told) == n_told else 0.0
        n_told = len(told)
        lengths.append(quiet_s)
    assert LULL_S - 0.5 < max(lengths) < LULL_S + 0.5


def test_nothing_happens_after_the_stop(tmp_path: Path) -> None:
    """What `Ensemble.heal` has made well must stay so."""
    fate, told = fate_of(tmp_path, 1, ["pause all"])
    fate.step(1)
    assert told[0] == "pause all"
    before = list(told)
    fate.later(0.1, lambda: told.append("later"))
    fate.stop()
    fate.step(1e9)
    assert told == before


def test_faults_last_neither_too_short_nor_too_long(tmp_path: Path) -> None:
    fate, _ = fate_of(tmp_path, 1, list(FAULTS))
    durations = [fate.duration_s() for _ in range(1000)]
    assert MIN_S <= min(durations) < max(durations) <= LONG_S


NEEDING_SOMEBODY = ["kill leader", "rolling restart", "pause one", "pause leader", "failing disk", "lose disk"]


def test_what_befalls_nobody_is_not_counted(tmp_path: Path) -> None:
    """Members that are down can neither be killed nor stopped, and nobody leads."""
    fate, told = fate_of(tmp_path, 1, NEEDING_SOMEBODY)
    for step in range(2000):
        fate.step(step / 10)
    assert set(NEEDING_SOMEBODY) < set(told)
    assert fate.counts == dict.fromkeys(NEEDING_SOMEBODY, 0)


def test_every_kind_strikes_before_one_strikes_again(tmp_path: Path) -> None:
    """So that a run of some minutes has had all of them."""
    fate, told = fate_of(tmp_path, 1, NEEDING_SOMEBODY)
    for step in range(600):
        before = len(told)
        fate.step(step / 10)
        if told[before:] and told[-1] in NEEDING_SOMEBODY:
            fate.strike("somebody")
    assert 0 < max(fate.counts.values()) - 1 <= min(fate.counts.values())
