"""One simulated host: a disk that survives, and one life of a member after another that runs on it.

It carries out the effects of its member in their order, as a real host does, and whatever takes time comes back as an
event of the world: a log write, an epoch, a snapshot, a timer. Between any two effects it may lose its life.

What works on the disk is in `zoopark.sim.storage`, links to other members in `zoopark.sim.quorumlinks`, links to
clients here.

It must never be kinder than the real host: nothing is durable before its event, and an input that comes while the
process is stopped waits until it goes on.
"""

from collections.abc import Callable
from random import Random
from typing import Any, Final, TypeAlias, final
from zlib import crc32

from zoopark.errors import StorageError
from zoopark.record import Effect, Now
from zoopark.server import effects as served
from zoopark.server.config import Config
from zoopark.server.recovery import Recovered
from zoopark.sim.checkers.ledger import Ledger
from zoopark.sim.disk import SimCrash
from zoopark.sim.network import GONE, Link, Network
from zoopark.sim.storage import Storage
from zoopark.sim.world import MS, RESTART, TIMER, WAKE

LAZY_US: Final = 2 * MS
BASE_MS: Final = 1_000_000
WALL_MS: Final = 1_600_000_000_000
RATE: Final = 1_000_000
"""Millionths of a second that this machine's clock counts in a second, without skew."""

Member: TypeAlias = Any
"""What runs: anything with the inputs and outputs of `zoopark.server.member.Member`."""
Build: TypeAlias = Callable[["Machine", Recovered, Now], Member]
Role: TypeAlias = Callable[[Member], tuple[int, bool, int, int]]
"""(state, is_serving, leader_sid, epoch) of a member."""


@final
class Machine:
    """One host.

    Args:
        sid: its server id, and its place in the network.
        config: of its member.
        network: carries its links.
        ledger: is told what can be seen.
        build: makes the member from what was recovered.
        role: reads the member's role.

    Attributes:
        member: the one that runs; None while it is down.
        life: counts the ends of its lives.
        doom: after how many effects it dies; 0 for never.
        is_paused: whether the process is stopped.
        is_damaged: whether its disk was damaged on purpose since it last was in order.
        is_lazy: whether it sometimes lets effects wait for the next input.
        on_refused: is told when it cannot start on its disk.
        storage: its disk.
        quorum: what else it does; set by the ensemble.
    """

    __slots__ = (
        "_acts",
        "_backlog",
        "_build",
        "_by_connection",
        "_clock",
        "_connections",
        "_is_observed",
        "_now",
        "_role",
        "_timer_us",
        "_told",
        "config",
        "doom",
        "is_damaged",
        "is_lazy",
        "is_paused",
        "ledger",
        "life",
        "member",
        "network",
        "on_refused",
        "quorum",
        "random",
        "sid",
        "storage",
        "voters",
        "wall_offset_ms",
        "world",
    )

    def __init__(self, sid: int, config: Config, network: Network, ledger: Ledger, build: Build, role: Role) -> None:
        self.sid = sid
        self.config = config
        self.network = network
        self.world = network.world
        self.random: Random = network.world.random
        self.ledger = ledger
        self.storage = Storage(self)
        self.member: Member = None
        self.life = 1
        self.doom = 0
        self.is_paused = False
        self.is_damaged = False
        self.is_lazy = False
        self.wall_offset_ms = WALL_MS
        self.quorum: Any = None
        self.voters = ledger.voters
        self.on_refused: Callable[[Machine, str], None] = lambda machine, why: None
        self._build = build
        self._role = role
        self._clock = (0, BASE_MS, RATE)
        self._now = Now(0, 0)
        self._backlog: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        self._connections: dict[int, tuple[Link, Any]] = {}
        self._by_connection: dict[int, Link] = {}
        self._timer_us = 0
        self._told: tuple[int, bool, int, int] | None = None
        self._is_observed = -1
        self._acts: dict[type[Effect], Callable[[Any], None]] = {
            served.Append: self.append,
            served.Flush: self._flush,
            served.CloseLink: self._close_client,
            served.TakeSnapshot: self.storage.take_snapshot,
            served.Purge: self.storage.purge,
            served.Note: self.note,
        }

    def add_acts(self, acts: dict[type[Effect], Callable[[Any], None]]) -> None:
        """Carry out more kinds of effects."""
        self._acts.update(acts)

    # What time it is here.

    def now(self) -> Now:
        """The moment, by this machine's clock."""
        start_us, start_ms, rate = self._clock
        mono_ms = start_ms + (self.world.now_us - start_us) * rate // 1_000_000_000
        if mono_ms != self._now.mono_ms:
            self._now = Now(mono_ms, mono_ms + self.wall_offset_ms)
        return self._now

    def skew(self, rate: int, wall_offset_ms: int) -> None:
        """Let the clock run at another rate, and the wall clock jump."""
        self._clock = (self.world.now_us, self.now().mono_ms, rate)
        self.wall_offset_ms = WALL_MS + wall_offset_ms
        self._now = Now(0, 0)
        self._timer_us = 0
        if self.member is not None:
            self._arm()

    # Its life.

    def is_up(self) -> bool:
        return self.member is not None

    def start(self) -> None:
        """Begin a life on what the disk kept. Nothing happens if it runs, or if its disk refuses."""
        if self.member is not None:
            return
        try:
            self.storage.recover()
        except SimCrash:
            self.storage.disk.crash(self.random)
            self.restart_later(50 * MS)
            return
        except StorageError as error:
            self.world.mark("start refused")
            self.on_refused(self, str(error))
            return
        except OSError:
            self.restart_later(500 * MS)
            return
        now = self.now()
        zxid = self.storage.found.tree.last_zxid
        self.ledger.on_start(
            self.sid, zxid, (self.storage.epochs.current, self.storage.epochs.accepted), self.is_damaged
        )
        self.is_damaged = False
        self.member = self._build(self, self.storage.found, now)
        self.turn()

    def crash(self, has_power: bool = True) -> None:
        """End this life at once; without power the disk forgets too, and nobody is told."""
        if self.member is None:
            return
        self.world.mark("process killed" if has_power else "power lost")
        self._observe_tree()
        self.member = None
        self.ledger.on_crash(self.sid)
        self.storage.leave(has_power)
        for link in self._links():
            side = link.side_of(self.sid)
            if has_power:
                self.network.close(link, side)
            else:
                self.network.vanish(link, side)
        self._forget()

    def restart_later(self, delay_us: int) -> None:
        """Start after a while."""
        self.world.after(delay_us, self._on_restart, RESTART, self.sid, self.life, None)

    def pause(self) -> None:
        """Stop the process; its links stay open and fill up."""
        self.is_paused = True

    def resume(self) -> None:
        """Let the process go on with everything that came meanwhile."""
        self.is_paused = False
        life, backlog, self._backlog = self.life, self._backlog, []
        for act, arguments in backlog:
            if self.life == life:
                self.give(act, *arguments)

    def wipe(self) -> None:
        """Remove everything from the disk of a machine that is down."""
        assert self.member is None
        self.storage.empty()
        self.ledger.on_wipe(self.sid)

    # Inputs.

    def give(self, act: Callable[..., Any], *arguments: Any) -> None:
        """Every input of the member comes through here; `act` is called with the arguments and the moment."""
        if self.is_paused:
            self._backlog.append((act, arguments))
            return
        act(*arguments, self.now())
        if self.is_lazy and self.random.random() < 0.1:
            self._observe_tree()
            self.world.after(int(self.random.random() * LAZY_US), self._on_wake, WAKE, self.sid, self.life, None)
        else:
            self.turn()

    def turn(self) -> None:
        """One wake-up: carry out effects until there are none."""
        member = self.member
        if member is None:
            return
        acts = self._acts
        while effects := member.take():
            self._observe_role()
            for effect in effects:
                if self.doom and self._is_doomed():
                    return
                acts[type(effect)](effect)
                if self.member is not member:
                    return
            if not member.has_effects():
                break
        self._observe_role()
        self._observe_tree()
        self._arm()

    def accept(self, link: Link) -> None:
        """A client has connected."""
        self.give(self._on_accepted, link)

    def on_client(self, link: Link, message: Any) -> None:
        """Something came over a link from a client."""
        if self.member is not None:
            self.give(self._on_client, link, message)

    # Inside: clients.

    def _on_accepted(self, link: Link, now: Now) -> None:
        connection = self.member.on_connect("10.0.0.1", link.places[0], now)
        if connection is None:
            self.network.close(link, 1)
            return
        self._connections[link.serial] = (link, connection)
        self._by_connection[connection.connection_id] = link

    def _on_client(self, link: Link, message: Any, now: Now) -> None:
        found = self._connections.get(link.serial)
        if found is None:
            return
        connection = found[1]
        if message is GONE:
            self._drop_client(link)
            self.member.on_disconnect(connection)
            return
        connection.on_bytes(message, now)
        self._write(link, connection)

    def _write(self, link: Link, connection: Any) -> None:
        while data := connection.take_out():
            self.network.send(link, 1, crc32(data), data)
            if connection.is_held:
                connection.on_written(self.now())

    def _drop_client(self, link: Link) -> None:
        _, connection = self._connections.pop(link.serial)
        del self._by_connection[connection.connection_id]

    def _flush(self, effect: served.Flush) -> None:
        for connection in effect.connections:
            link = self._by_connection.get(connection.connection_id)
            if link is not None:
                self._write(link, connection)

    def _close_client(self, effect: served.CloseLink) -> None:
        link = self._by_connection.get(effect.connection.connection_id)
        if link is not None:
            self.world.note(f"{self.sid} closes client {link.places[0]}: {effect.why}")
            self._write(link, effect.connection)
            self._drop_client(link)
            self.network.close(link, 1)
            self.member.on_disconnect(effect.connection)

    def append(self, effect: Any) -> None:
        self.ledger.on_append(self.sid, effect.entries)
        self.storage.log_job("append", effect.entries)

    def note(self, effect: Any) -> None:
        self.world.note(f"{self.sid}: {effect.text}")

    # Inside: life and death.

    def _forget(self) -> None:
        self.life += 1
        self.doom = 0
        self.is_paused = False
        self._backlog = []
        self._connections = {}
        self._by_connection = {}
        self.storage.forget()
        self._timer_us = 0
        self._told = None
        self._is_observed = -1
        if self.quorum is not None:
            self.quorum.forget()

    def _links(self) -> list[Link]:
        links = [link for link, _ in self._connections.values()]
        return links + (self.quorum.links() if self.quorum is not None else [])

    def _is_doomed(self) -> bool:
        self.doom -= 1
        if self.doom:
            return False
        self.world.mark("died between two effects")
        self.crash(has_power=self.random.random() < 0.5)
        self.restart_later(int(self.random.random() * 2_000) * MS)
        return True

    def _on_restart(self, who: int, life: int, payload: Any) -> None:
        if life == self.life:
            self.start()

    def _on_wake(self, who: int, life: int, payload: Any) -> None:
        if life == self.life and not self.is_paused:
            self.turn()

    # Inside: what can be seen, and the timer.

    def _observe_role(self) -> None:
        role = self._role(self.member)
        if role != self._told:
            self._told = role
            self.world.note(f"{self.sid} is {role}")
            self.ledger.on_role(self.sid, role)

    def _observe_tree(self) -> None:
        if self._told is not None and self._told[1]:
            tree = self.member.tree
            if tree.last_zxid != self._is_observed:
                self._is_observed = tree.last_zxid
                self.ledger.on_applied(self.sid, tree.last_zxid, tree.digest)
        else:
            self._is_observed = -1

    def _arm(self) -> None:
        """Set the one timer to the member's deadline; one that is set to an earlier moment looks again then."""
        due_ms = self.member.deadline()
        if due_ms is None:
            return
        start_us, start_ms, rate = self._clock
        due_us = start_us - (start_ms - due_ms) * 1_000_000_000 // rate + 1
        now_us = self.world.now_us
        due_us = max(due_us, now_us + 1)
        if now_us < self._timer_us <= due_us:
            return
        self._timer_us = due_us
        self.world.at(due_us, self._on_timer, TIMER, (self.sid, self.life), due_us)

    def _on_timer(self, who: int, life: int, due_us: int) -> None:
        if life != self.life or due_us != self._timer_us:
            return
        self._timer_us = 0
        self.give(self._on_time)

    def _on_time(self, now: Now) -> None:
        due_ms = self.member.deadline()
        if due_ms is not None and due_ms <= now.mono_ms:
            self.member.on_timeout(now)
