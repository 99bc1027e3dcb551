"""What goes wrong. A nemesis begins something bad and returns what ends it; a scenario lets some come and go by chance.

    kills        one, the leader, all, between two effects, with or without power, one after the other
    pauses       one, all
    partitions   one member cut off, a bridge, a blind member, blind others, one way, a ring of majorities
    links        one breaks, the network is slow
    clocks       one runs fast or slow, its wall clock jumps
    disks        slow, full, failing fsync, a flipped byte in the newest log or snapshot or both, everything gone

The first twelve of ClickHouse Keeper's Jepsen tests are among them. What would be allowed to lose data by the rules of
ZAB itself is not done: a disk is emptied or left damaged only while the others know everything (`Ensemble.may_lose`).
"""

import errno
from collections.abc import Callable
from random import Random
from typing import Final, TypeAlias, final

from zoopark.server.recovery import log_directory, snapshot_directory
from zoopark.sim.ensemble import Ensemble
from zoopark.sim.machine import RATE, Machine
from zoopark.sim.storage import SLOW
from zoopark.sim.world import MS, NEMESIS, SECOND

End: TypeAlias = Callable[[], None]
Nemesis: TypeAlias = Callable[[Ensemble, Random], End]

MAX_DOWN_MS: Final = 4_000
MIN_REST_MS: Final = 200
MAX_REST_MS: Final = 3_000
MAX_AT_ONCE: Final = 3
MAX_SKEW: Final = RATE // 20


def _nothing() -> None:
    """What does not have to be ended."""


def _some(ensemble: Ensemble, random: Random) -> Machine:
    return ensemble.machines[random.choice(list(ensemble.machines))]


def _kill(machine: Machine, random: Random) -> None:
    machine.crash(has_power=random.random() < 0.5)
    machine.restart_later(int(random.random() * MAX_DOWN_MS) * MS)


def kill_one(ensemble: Ensemble, random: Random) -> End:
    _kill(_some(ensemble, random), random)
    return _nothing


def kill_leader(ensemble: Ensemble, random: Random) -> End:
    sid = ensemble.leader()
    if sid:
        _kill(ensemble.machines[sid], random)
    return _nothing


def kill_all(ensemble: Ensemble, random: Random) -> End:
    for machine in ensemble.machines.values():
        _kill(machine, random)
    return _nothing


def doom(ensemble: Ensemble, random: Random) -> End:
    """Somebody dies between two of its next effects."""
    _some(ensemble, random).doom = 1 + random.randrange(60)
    return _nothing


def rolling_restart(ensemble: Ensemble, random: Random) -> End:
    """One after the other, each a second after the one before, until all is to be well."""

    def stop(sid: int, what: int, payload: None) -> None:
        if not ensemble.is_resting:
            ensemble.machines[sid].crash()
            ensemble.machines[sid].restart_later(300 * MS)

    for at, sid in enumerate(ensemble.machines):
        ensemble.world.after((1 + at) * SECOND, stop, NEMESIS, sid, 0, None)
    return _nothing


def pause_one(ensemble: Ensemble, random: Random) -> End:
    machine = _some(ensemble, random)
    machine.pause()
    return machine.resume


def pause_all(ensemble: Ensemble, random: Random) -> End:
    for machine in ensemble.machines.values():
        machine.pause()

    def end() -> None:
        for machine in ensemble.machines.values():
            machine.resume()

    return end


def _partition(ensemble: Ensemble, random: Random, pairs: list[tuple[int, int]]) -> End:
    """Block these ways; some links break at once, and clients may be on the wrong side."""
    network = ensemble.network
    network.block(pairs)
    blocked = dict.fromkeys(pairs)
    for link in list(network.links.values()):
        places = link.places
        if (places in blocked or (places[1], places[0]) in blocked) and random.random() < 0.3:
            network.break_link(link)
    return ensemble.heal_network


def _both(first: int, second: int) -> list[tuple[int, int]]:
    return [(first, second), (second, first)]


def isolate_one(ensemble: Ensemble, random: Random) -> End:
    one = _some(ensemble, random).sid
    pairs = [pair for sid in ensemble.machines if sid != one for pair in _both(one, sid)]
    if random.random() < 0.5:
        pairs += [pair for client in ensemble.clients for pair in _both(one, client.place)]
    return _partition(ensemble, random, pairs)


def bridge(ensemble: Ensemble, random: Random) -> End:
    """Two halves that see each other through one member only."""
    sids = list(ensemble.machines)
    random.shuffle(sids)
    half = len(sids) // 2
    pairs = [pair for left in sids[:half] for right in sids[half + 1 :] for pair in _both(left, right)]
    return _partition(ensemble, random, pairs)


def blind_one(ensemble: Ensemble, random: Random) -> End:
    """One hears nothing from the others; they hear it."""
    one = _some(ensemble, random).sid
    return _partition(ensemble, random, [(sid, one) for sid in ensemble.machines if sid != one])


def blind_others(ensemble: Ensemble, random: Random) -> End:
    """The others hear nothing from one."""
    one = _some(ensemble, random).sid
    return _partition(ensemble, random, [(one, sid) for sid in ensemble.machines if sid != one])


def one_way(ensemble: Ensemble, random: Random) -> End:
    """One way between two members."""
    sids = list(ensemble.machines)
    random.shuffle(sids)
    return _partition(ensemble, random, [(sids[0], sids[-1])] if len(sids) > 1 else [])


def majority_ring(ensemble: Ensemble, random: Random) -> End:
    """Each sees a majority, and no two see the same one."""
    sids = list(ensemble.machines)
    random.shuffle(sids)
    reach = len(sids) // 2 // 2 + (len(sids) < 5)
    pairs = [
        (sids[at], sids[other])
        for at in range(len(sids))
        for other in range(len(sids))
        if min((at - other) % len(sids), (other - at) % len(sids)) > reach
    ]
    return _partition(ensemble, random, pairs)


def break_link(ensemble: Ensemble, random: Random) -> End:
    links = list(ensemble.network.links.values())
    if links:
        ensemble.network.break_link(random.choice(links))
    return _nothing


def slow_network(ensemble: Ensemble, random: Random) -> End:
    ensemble.network.stretch = random.choice((5, 50, 300))

    def end() -> None:
        ensemble.network.stretch = 1

    return end


def skew_clock(ensemble: Ensemble, random: Random) -> End:
    machine = _some(ensemble, random)
    machine.skew(RATE + random.randrange(-MAX_SKEW, MAX_SKEW), random.randrange(-60_000, 60_000))
    return lambda: machine.skew(RATE, 0)


def slow_disk(ensemble: Ensemble, random: Random) -> End:
    machine = _some(ensemble, random)
    machine.storage.slowness = 1 + random.randrange(SLOW)

    def end() -> None:
        machine.storage.slowness = 1

    return end


def _sick_disk(ensemble: Ensemble, random: Random, error: int) -> End:
    machine = _some(ensemble, random)
    machine.storage.disk.sicken(error)
    return machine.storage.disk.heal


def full_disk(ensemble: Ensemble, random: Random) -> End:
    return _sick_disk(ensemble, random, errno.ENOSPC)


def failing_fsync(ensemble: Ensemble, random: Random) -> End:
    return _sick_disk(ensemble, random, errno.EIO)


def wipe(ensemble: Ensemble, random: Random) -> End:
    """Somebody loses everything and starts anew."""
    machine = _some(ensemble, random)
    if ensemble.may_lose(machine.sid):
        machine.crash(has_power=False)
        machine.wipe()
        ensemble.world.mark("wiped")
        machine.restart_later(SECOND)
    return _nothing


def _rot(ensemble: Ensemble, random: Random, has_log: bool, has_snapshot: bool) -> End:
    """Flip a byte in the newest files of somebody, whom the others could replace, and let it start from them."""
    machine = _some(ensemble, random)
    if not ensemble.may_lose(machine.sid):
        return _nothing
    config, disk = machine.config, machine.storage.disk
    machine.crash()
    machine.is_damaged = True
    ensemble.world.mark("rotten")
    newest = disk.files(log_directory(config), "log.")[-1:] if has_log else []
    newest += disk.files(snapshot_directory(config), "snapshot.")[-1:] if has_snapshot else []
    for path, size in newest:
        if size:
            disk.flip_byte(path, random.randrange(size), 1 << random.randrange(8))
    machine.restart_later(SECOND)
    return _nothing


def flip_log(ensemble: Ensemble, random: Random) -> End:
    return _rot(ensemble, random, has_log=True, has_snapshot=False)


def flip_snapshot(ensemble: Ensemble, random: Random) -> End:
    return _rot(ensemble, random, has_log=False, has_snapshot=True)


def flip_both(ensemble: Ensemble, random: Random) -> End:
    return _rot(ensemble, random, has_log=True, has_snapshot=True)


NEMESES: Final[dict[str, Nemesis]] = {
    "kill one": kill_one,
    "kill leader": kill_leader,
    "kill all": kill_all,
    "doom": doom,
    "rolling restart": rolling_restart,
    "pause one": pause_one,
    "pause all": pause_all,
    "isolate one": isolate_one,
    "bridge": bridge,
    "blind one": blind_one,
    "blind others": blind_others,
    "one way": one_way,
    "majority ring": majority_ring,
    "break link": break_link,
    "slow network": slow_network,
    "skew clock": skew_clock,
    "slow disk": slow_disk,
    "full disk": full_disk,
    "failing fsync": failing_fsync,
    "wipe": wipe,
    "flip log": flip_log,
    "flip snapshot": flip_snapshot,
    "flip both": flip_both,
}


@final
class Fate:
    """Lets nemeses come and go.

    Args:
        ensemble: whom they befall.
        names: which ones.
    """

    __slots__ = ("_ends", "_names", "ensemble", "is_over")

    def __init__(self, ensemble: Ensemble, names: list[str]) -> None:
        self.ensemble = ensemble
        self._names = names
        self._ends: dict[int, End] = {}
        self.is_over = False

    def start(self) -> None:
        """Begin after a while of peace."""
        if self._names:
            self.ensemble.world.after(SECOND, self._strike, NEMESIS, 0, 0, None)

    def stop(self) -> None:
        """End everything that goes on, and heal."""
        self.is_over = True
        for end in list(self._ends.values()):
            end()
        self._ends.clear()
        self.ensemble.heal()

    def _strike(self, who: int, serial: int, payload: None) -> None:
        if self.is_over:
            return
        world, random = self.ensemble.world, self.ensemble.world.random
        if len(self._ends) < MAX_AT_ONCE:
            name = random.choice(self._names)
            world.mark(f"nemesis: {name}")
            world.note(f"nemesis: {name}")
            self._ends[serial] = NEMESES[name](self.ensemble, random)
            world.after(self._pause_us(), self._end, NEMESIS, 1, serial, None)
        world.after(self._pause_us(), self._strike, NEMESIS, 0, serial + 1, None)

    def _end(self, who: int, serial: int, payload: None) -> None:
        end = self._ends.pop(serial, None)
        if end is not None:
            end()

    def _pause_us(self) -> int:
        return (MIN_REST_MS + int(self.ensemble.world.random.random() * MAX_REST_MS)) * MS
