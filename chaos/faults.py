"""What befalls the members. A fault begins something bad and returns what ends it, as the simulator's nemeses do.

    processes    kill -9 of one, of whoever leads, of two, of all; SIGSTOP of one, of whoever leads, of all; a rolling
                 restart by SIGTERM
    disks        full (no room on a small disk in memory: ENOSPC), failing (no file may grow: EFBIG), lost
    partitions   one cut off, with or without its clients; two halves, a bridge, one blind, one mute, one way, a ring of
                 majorities

Whoever ends because of its disk is started when the disk is well again, and must catch up. A disk is lost only while
the others have all that it had: more than that ZAB does not bear.
"""

from collections.abc import Callable, Iterable
from itertools import permutations
from random import Random
from typing import Final, TypeAlias, final

from chaos.disks import Shelf
from chaos.ensemble import N_VOTERS, Ensemble
from chaos.members import Member
from chaos.wires import CLIENTS, Way

End: TypeAlias = Callable[[], None]
Fault: TypeAlias = Callable[["Fate"], End]

MAX_AT_ONCE: Final = 2
MIN_S: Final = 0.3
TYPICAL_S: Final = 5.0
NEXT_S: Final = 3.0
"""By then the next fault begins."""
LONG_S: Final = 15.0
LONG_ODDS: Final = 0.15
LULL_AFTER: Final = 16
"""So many faults are drawn between two lulls."""
LULL_S: Final = 15.0
"""For so long nothing befalls anybody, from when all faults have ended."""


@final
class Fate:
    """Lets faults come and go.

    Args:
        ensemble: whom they befall.
        random: decides which, whom, and for how long.
        names: of FAULTS or PARTITIONS.
        tell: is given a line for every beginning and end.

    Attributes:
        counts: how often each fault struck; one that finds nobody to befall is soon drawn again.
    """

    def __init__(self, ensemble: Ensemble, random: Random, names: list[str], tell: Callable[[str], None]) -> None:
        self.ensemble = ensemble
        self.random = random
        self.counts = dict.fromkeys(names, 0)
        self._names = names
        self._left: list[str] = []
        self._name = ""
        self._tell = tell
        self._ends: list[tuple[float, str, End]] = []
        self._next_s = 0.0
        self._n_drawn = 0
        self._later: list[tuple[float, str, End]] = []
        self._now_s = 0.0
        self._is_over = False

    def step(self, now_s: float) -> None:
        """Begin and end what is due."""
        if self._is_over:
            return
        self._now_s = now_s
        for due in [one for one in self._later if one[0] <= now_s]:
            self._later.remove(due)
            _, self._name, act = due
            act()
        for ending in [one for one in self._ends if one[0] <= now_s]:
            self._ends.remove(ending)
            self._tell(f"end of {ending[1]}")
            ending[2]()
        if self._n_drawn == LULL_AFTER:
            if not self._ends and not self._later:
                self._n_drawn = 0
                self._next_s = now_s + LULL_S
        elif now_s >= self._next_s and len(self._ends) < MAX_AT_ONCE:
            self._draw()

    def _draw(self) -> None:
        self._n_drawn += 1
        self._left = self._left or list(self._names)
        name = self._name = self.random.choice(self._left)
        self._next_s = self._now_s + self.random.uniform(MIN_S, NEXT_S)
        self._tell(name)
        self._ends.append((self._now_s + self.duration_s(), name, FAULTS[name](self)))

    def stop(self) -> None:
        """Nothing ever happens again; what goes on is for `Ensemble.heal` to end."""
        self._is_over = True

    def later(self, delay_s: float, act: End) -> None:
        """Do something a little later, unless all is over."""
        self._later.append((self._now_s + delay_s, self._name, act))

    def duration_s(self) -> float:
        """How long something takes; now and then long enough for sessions to end."""
        return self.random.uniform(MIN_S, LONG_S if self.random.random() < LONG_ODDS else TYPICAL_S)

    def some(self) -> Member:
        return self.random.choice(self.ensemble.voters)

    def leaders(self) -> list[Member]:
        """Whoever leads; nobody if nobody says so."""
        leader = self.ensemble.leader()
        return [leader] if leader is not None else []

    def strike(self, text: str) -> None:
        """The fault that was drawn, or has waited, befalls somebody now; it is drawn again after all others."""
        self.counts[self._name] += 1
        if self._name in self._left:
            self._left.remove(self._name)
        self._tell(text)


def _nothing() -> None:
    """What does not have to be ended."""


def _kill(fate: Fate, members: list[Member]) -> End:
    """Those that live die at once, and all are started again each in its own time."""
    running = [member for member in members if member.is_running()]
    if running:
        fate.strike(f"kill -9 {[member.sid for member in running]}")
    for member in members:
        member.kill()
        fate.later(fate.duration_s(), member.start)
    return _nothing


def kill_one(fate: Fate) -> End:
    return _kill(fate, [fate.some()])


def kill_leader(fate: Fate) -> End:
    return _kill(fate, fate.leaders())


def kill_two(fate: Fate) -> End:
    return _kill(fate, fate.random.sample(fate.ensemble.voters, 2))


def kill_all(fate: Fate) -> End:
    return _kill(fate, fate.ensemble.voters)


def rolling_restart(fate: Fate) -> End:
    """One after the other is asked to stop and started again, as for an upgrade."""

    def restart(member: Member) -> End:
        def act() -> None:
            if member.is_well() and member.sid in fate.ensemble.standings:
                fate.strike(f"restart {member.sid}")
                member.stop()
                member.start()

        return act

    for at, member in enumerate(fate.random.sample(fate.ensemble.voters, 3)):
        fate.later(1.5 * at, restart(member))
    return _nothing


def _pause(fate: Fate, members: list[Member]) -> End:
    running = [member for member in members if member.is_running() and not member.is_paused]
    if not running:
        return _nothing
    fate.strike(f"SIGSTOP {[member.sid for member in running]}")
    for member in running:
        member.pause()

    def end() -> None:
        for member in running:
            member.resume()

    return end


def pause_one(fate: Fate) -> End:
    return _pause(fate, [fate.some()])


def pause_leader(fate: Fate) -> End:
    return _pause(fate, fate.leaders())


def pause_all(fate: Fate) -> End:
    return _pause(fate, fate.ensemble.voters)


def _sicken(fate: Fate, member: Member, act: Callable[[Member], None]) -> End:
    if member.is_sick:
        return _nothing
    fate.strike(f"{act.__name__} {member.sid}")
    act(member)

    def end() -> None:
        member.heal_disk()
        member.start()

    return end


def full_disk(fate: Fate) -> End:
    small = [member for member in fate.ensemble.voters if member.has_small_disk]
    return _sicken(fate, fate.random.choice(small), Member.fill_disk)


def failing_disk(fate: Fate) -> End:
    member = fate.some()
    return _sicken(fate, member, Member.fail_disk) if member.is_well() else _nothing


def lose_disk(fate: Fate) -> End:
    """Somebody starts anew with nothing, if the four others are well and have all that it had."""
    member = fate.some()
    others = [other.sid for other in fate.ensemble.voters if other is not member]
    if len(fate.ensemble.majority()) < N_VOTERS or any(sid not in fate.ensemble.standings for sid in others):
        return _nothing
    member.kill()
    promised = Shelf(member.data).promised()

    def look() -> None:
        standings = fate.ensemble.standings
        known = [standings[sid][1] for sid in others if sid in standings]
        if member.is_running() or len(known) < len(others) or min(known) < promised:
            member.start()
            return
        fate.strike(f"lose disk {member.sid}")
        member.lose_disk()
        member.start()

    fate.later(LOOK_AGAIN_S, look)
    return _nothing


LOOK_AGAIN_S: Final = 1.5


def _partition(fate: Fate, ways: list[Way]) -> End:
    assert fate.ensemble.wires is not None
    if not ways:
        return _nothing
    fate.strike(f"cut {ways}")
    return fate.ensemble.wires.cut(ways)


def _sids(fate: Fate) -> list[int]:
    """The voters in any order."""
    sids = [member.sid for member in fate.ensemble.voters]
    fate.random.shuffle(sids)
    return sids


def _both(pairs: Iterable[Way]) -> list[Way]:
    return [way for a, b in pairs for way in ((a, b), (b, a))]


def _isolate(fate: Fate, members: list[Member]) -> End:
    others = _sids(fate)
    if fate.random.random() < 0.5:
        others.append(CLIENTS)
    return _partition(fate, _both((one.sid, other) for one in members for other in others if other != one.sid))


def isolate_one(fate: Fate) -> End:
    return _isolate(fate, [fate.some()])


def isolate_leader(fate: Fate) -> End:
    return _isolate(fate, fate.leaders())


def halves(fate: Fate) -> End:
    """Two cannot see three."""
    sids = _sids(fate)
    return _partition(fate, _both((a, b) for a in sids[:2] for b in sids[2:]))


def bridge(fate: Fate) -> End:
    """Two halves that see each other through one member only."""
    sids = _sids(fate)
    return _partition(fate, _both((a, b) for a in sids[:2] for b in sids[3:]))


def blind_one(fate: Fate) -> End:
    """One hears nothing from the others; they hear it."""
    one, *others = _sids(fate)
    return _partition(fate, [(other, one) for other in others])


def mute_one(fate: Fate) -> End:
    """The others hear nothing from one."""
    one, *others = _sids(fate)
    return _partition(fate, [(one, other) for other in others])


def one_way(fate: Fate) -> End:
    """One way between two members."""
    one, *_, other = _sids(fate)
    return _partition(fate, [(one, other)])


def majority_ring(fate: Fate) -> End:
    """Each sees two neighbours, so a majority, and no two see the same one."""
    sids = _sids(fate)
    near = {(a, b) for at, a in enumerate(sids) for b in (sids[at - 1], sids[(at + 1) % len(sids)])}
    return _partition(fate, [way for way in permutations(sids, 2) if way not in near])


ANYWHERE: Final[dict[str, Fault]] = {
    "kill one": kill_one,
    "kill leader": kill_leader,
    "kill two": kill_two,
    "kill all": kill_all,
    "rolling restart": rolling_restart,
    "pause one": pause_one,
    "pause leader": pause_leader,
    "pause all": pause_all,
    "failing disk": failing_disk,
    "lose disk": lose_disk,
}
SEALED: Final[dict[str, Fault]] = {
    "full disk": full_disk,
    "isolate one": isolate_one,
    "isolate leader": isolate_leader,
    "halves": halves,
    "bridge": bridge,
    "blind one": blind_one,
    "mute one": mute_one,
    "one way": one_way,
    "majority ring": majority_ring,
}
FAULTS: Final[dict[str, Fault]] = {**ANYWHERE, **SEALED}
