"""One simulated host: a disk that survives, and one life of a member after another that runs on it.

It carries out the effects of its member in their order, as a real host does, and whatever takes time comes back as an
event of the world: a log write, an epoch, a snapshot, a timer. Between any two effects it may lose its life.

    log      one job at a time, in order: append, truncate, a snapshot that was received
    epochs   beside the log, not behind it: a member that needs an order has to wait for it
    clients  links to clients; `zoopark.sim.quorumlinks` has those to other members

It must never be kinder than the real host: nothing is durable before its event, and an input that comes while the
process is stopped waits until it goes on.
"""

import errno
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random
from typing import Any, Final, TypeAlias, final
from zlib import crc32

from zoopark.errors import StorageError
from zoopark.log.epochs import ACCEPTED_EPOCH, CURRENT_EPOCH, Epochs
from zoopark.log.logreader import truncate
from zoopark.log.snapfiles import SnapshotWriter, purge
from zoopark.record import Effect, Now
from zoopark.server import effects as served
from zoopark.server.config import Config
from zoopark.server.recovery import Recovered, log_directory, recover, snapshot_directory
from zoopark.sim.checkers.ledger import Ledger
from zoopark.sim.disk import SimCrash, SimDisk
from zoopark.sim.network import GONE, Link, Network
from zoopark.sim.world import DISK, EPOCH, MS, RESTART, SNAPSHOT, TIMER, WAKE
from zoopark.tree.snapshot import write_snapshot

LOG_US: Final = 300
LOG_SPREAD_US: Final = 900
SLOW: Final = 400
LAZY_US: Final = 2 * MS
BASE_MS: Final = 1_000_000
WALL_MS: Final = 1_600_000_000_000
RATE: Final = 1_000_000
"""Millionths of a second that this machine's clock counts in a second, without skew."""
MAX_CONNECT_ODDS: Final = 0.05

Member: TypeAlias = Any
"""What runs: anything with the inputs and outputs of `zoopark.server.member.Member`."""
Build: TypeAlias = Callable[["Machine", Recovered, Now], Member]
Role: TypeAlias = Callable[[Member], tuple[int, bool, int, int]]
"""(state, is_serving, leader_sid, epoch) of a member."""
Job: TypeAlias = tuple[str, Any]


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
        epochs: of this life.
        doom: after how many effects it dies; 0 for never.
        is_paused: whether the process is stopped.
        slowness: how many times longer its disk takes.
        is_damaged: whether its disk was damaged on purpose since it last was in order.
        is_lazy: whether it sometimes lets effects wait for the next input.
        on_refused: is told when it cannot start on its disk.
        quorum: what else it does; set by the ensemble.
    """

    __slots__ = (
        "_acts",
        "_backlog",
        "_build",
        "_by_connection",
        "_clock",
        "_connections",
        "_epoch_job",
        "_flight",
        "_is_observed",
        "_jobs",
        "_now",
        "_role",
        "_snapshot",
        "_timer_us",
        "_told",
        "config",
        "disk",
        "doom",
        "epochs",
        "found",
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
        "voters",
        "slowness",
        "wall_offset_ms",
        "world",
    )

    def __init__(
        self, sid: int, config: Config, network: Network, ledger: Ledger, build: Build, role: Role
    ) -> None:
        self.sid = sid
        self.config = config
        self.network = network
        self.world = network.world
        self.random: Random = network.world.random
        self.ledger = ledger
        self.disk = SimDisk()
        self.member: Member = None
        self.life = 0
        self.doom = 0
        self.is_paused = False
        self.slowness = 1
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
        self._forget()
        self._acts: dict[type[Effect], Callable[[Any], None]] = {
            served.Append: self.append,
            served.Flush: self._flush,
            served.CloseLink: self._close_client,
            served.TakeSnapshot: self._take_snapshot,
            served.Purge: self._purge,
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
            self._recover()
        except SimCrash:
            self.disk.crash(self.random)
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
        zxid = self.found.tree.last_zxid
        self.ledger.on_start(self.sid, zxid, (self.epochs.current, self.epochs.accepted), self.is_damaged)
        self.is_damaged = False
        self.member = self._build(self, self.found, now)
        self.turn()

    def crash(self, has_power: bool = True) -> None:
        """End this life at once; without power the disk forgets too, and nobody is told."""
        if self.member is None:
            return
        self.world.mark("process killed" if has_power else "power lost")
        self._observe_tree()
        self.member = None
        self.ledger.on_crash(self.sid)
        self._leave_disk(has_power)
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
        self.disk = SimDisk()
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

    # Inside: the log.

    def append(self, effect: Any) -> None:
        self.ledger.on_append(self.sid, effect.entries)
        self.log_job("append", effect.entries)

    def log_job(self, kind: str, what: Any) -> None:
        """Have the log do something after everything it was told before."""
        self._jobs.append((kind, what))
        self._fly()

    def _fly(self) -> None:
        """Begin with the next job; appends that wait together are one write."""
        if self._flight is not None or not self._jobs:
            return
        kind, what = self._jobs.pop(0)
        while kind == "append" and self._jobs and self._jobs[0][0] == "append":
            what = [*what, *self._jobs.pop(0)[1]]
        self._flight = (kind, what)
        fingerprint = what[-1][0] if kind == "append" else 0
        self.world.after(self.disk_us(), self._on_flown, DISK, self.sid, fingerprint, self.life)

    def disk_us(self) -> int:
        """How long the disk takes."""
        return (LOG_US + int(self.random.random() * LOG_SPREAD_US)) * self.slowness

    def _on_flown(self, who: int, what: int, life: int) -> None:
        if life != self.life or self._flight is None:
            return
        kind, content = self._flight
        try:
            answer = self._do(kind, content)
        except SimCrash:
            self.crash(has_power=False)
            self.restart_later(100 * MS)
            return
        except OSError as error:
            self._flight = None  # what is on the disk is unknown: it is not tried again
            self._stop_on(error)
            return
        self._flight = None
        self.give(*answer)
        self._fly()

    def _do(self, kind: str, content: Any) -> tuple[Any, ...]:
        """Carry a job out; returns the input that tells of it."""
        log = self.found.log
        if kind == "append":
            log.append(content)
            zxid = content[-1][0]
            self.ledger.on_logged(self.sid, zxid)
            return self._on_logged, zxid
        if kind == "roll":
            log.roll()
            log.mark()
            return (lambda now: None,)
        zxid = content[0]
        if kind == "truncate":
            truncate(self.disk, log_directory(self.config), zxid)
            self._remove_snapshots_after(zxid)
            self._reload()
            zxid = self.found.tree.last_zxid
            self.ledger.on_truncated(self.sid, zxid)
            return self.member.on_truncated, zxid
        self._save_received(zxid, content[1])
        self._reload()
        self.ledger.on_snapshot(self.sid, zxid)
        return self.member.on_snapshot_saved, zxid

    def _on_logged(self, zxid: int, now: Now) -> None:
        self.member.on_logged(zxid, now)
        self.member.logged_bytes_since_snapshot = self.found.log.bytes_since_mark

    def _stop_on(self, error: OSError) -> None:
        """A disk that fails ends the process; somebody looks after it and starts it again."""
        self.world.mark(f"stopped on {errno.errorcode.get(error.errno or 0, '?')}")
        self.crash()
        self.restart_later(300 * MS)

    def _save_received(self, zxid: int, pieces: list[bytes]) -> None:
        config = self.config
        writer = SnapshotWriter(self.disk, snapshot_directory(config), zxid, config.snapshot_compression)
        for piece in pieces:
            writer.write(piece)
        written = writer.finish()
        # Nothing from before connects to it: an older snapshot with a log that begins behind the new one has a hole.
        for path, _ in self.disk.files(log_directory(config), "log."):
            self.disk.remove(path)
        for path, _ in self.disk.files(snapshot_directory(config), "snapshot."):
            if path != written.path:
                self.disk.remove(path)

    def _remove_snapshots_after(self, zxid: int) -> None:
        """What a truncated member must not load again (ZOOKEEPER-4837)."""
        for path, _ in self.disk.files(snapshot_directory(self.config), "snapshot."):
            if int(path.rpartition("/")[2].split(".")[1], 16) > zxid:
                self.disk.remove(path)

    def _reload(self) -> None:
        """Load the database anew; the member goes on with the new tree."""
        self._load()
        self.member.on_reloaded(self.found.tree)

    # Inside: epochs and snapshots.

    def save_epoch(self, name: str, epoch: int) -> None:
        """Write an epoch beside whatever the log does."""
        assert self._epoch_job is None, "two epochs at a time"
        self._epoch_job = (name, epoch)
        self.world.after(self.disk_us(), self._on_epoch, EPOCH, self.sid, epoch, self.life)

    def _on_epoch(self, who: int, what: int, life: int) -> None:
        if life != self.life or self._epoch_job is None:
            return
        try:
            self._write_epoch(*self._epoch_job)
        except OSError as error:
            self._stop_on(error)
            return
        self._epoch_job = None
        self.give(self.member.on_epoch_saved)

    def _write_epoch(self, name: str, epoch: int) -> None:
        is_current = name == CURRENT_EPOCH
        if is_current:
            self.epochs.save_current(epoch)
        else:
            self.epochs.save_accepted(epoch)
        self.ledger.on_epoch(self.sid, is_current, epoch)

    def snapshot_pieces(self) -> list[bytes]:
        """The tree as it is now."""
        return list(write_snapshot(self.member.tree, self.config.has_digest, self.config.has_last_processed_zxid))

    def _take_snapshot(self, effect: served.TakeSnapshot) -> None:
        config = self.config
        writer = SnapshotWriter(self.disk, snapshot_directory(config), effect.zxid, config.snapshot_compression)
        self._snapshot = (writer, iter(self.snapshot_pieces()))
        self.log_job("roll", None)
        self._write_later()

    def _write_later(self) -> None:
        self.world.after(self.disk_us(), self._on_piece, SNAPSHOT, self.sid, 0, self.life)

    def _on_piece(self, who: int, what: int, life: int) -> None:
        if life != self.life or self._snapshot is None:
            return
        writer, pieces = self._snapshot
        try:
            piece = next(pieces, None)
            if piece is not None:
                writer.write(piece)
                self._write_later()
                return
            writer.finish()
        except OSError as error:
            self._stop_on(error)
            return
        self._snapshot = None
        self.world.mark("snapshot taken")
        self.give(self._on_snapshot)

    def _on_snapshot(self, now: Now) -> None:
        self.member.on_snapshot()

    def _purge(self, effect: served.Purge) -> None:
        try:
            purge(self.disk, snapshot_directory(self.config), log_directory(self.config), effect.keep)
        except OSError as error:
            self._stop_on(error)

    def note(self, effect: Any) -> None:
        self.world.note(f"{self.sid}: {effect.text}")

    # Inside: life and death.

    def _recover(self) -> None:
        for directory in (snapshot_directory(self.config), log_directory(self.config)):
            self.disk.make_directory(directory)
        self._load()
        if self.found.snapshot is None:
            self._save_first()

    def _load(self) -> None:
        """Recover the database and the epochs.

        A learner that dies between the durable history of a new epoch and its currentEpoch leaves zxids of an epoch
        that it has accepted and not made current. `Epochs.load` refuses that, so it is shown the accepted epoch as the
        current one meanwhile.
        """
        directory = snapshot_directory(self.config)
        name = f"{directory}/{CURRENT_EPOCH}"
        try:
            self.found = recover(self.config, self.disk, _silently)
        except StorageError as error:
            if f"{CURRENT_EPOCH}: holds" not in str(error):
                raise
            self.world.mark("recovered ahead of its epoch")
            current = self.disk.read(name, 0, 64)
            accepted = self.disk.read(f"{directory}/{ACCEPTED_EPOCH}", 0, 64)
            self._replace(name, accepted)
            self.found = recover(self.config, self.disk, _silently)
            self._replace(name, current)
            self.epochs = Epochs(self.disk, directory)
            self.epochs.current, self.epochs.accepted = int(current), int(accepted)
            return
        self.epochs = Epochs(self.disk, directory)
        self.epochs.load(self.found.tree.last_zxid)

    def _replace(self, name: str, text: bytes) -> None:
        self.disk.remove(name)
        self.disk.write(name, 0, text, is_synced=True)

    def _save_first(self) -> None:
        config, tree = self.config, self.found.tree
        writer = SnapshotWriter(self.disk, snapshot_directory(config), tree.last_zxid, config.snapshot_compression)
        for piece in write_snapshot(tree, config.has_digest, config.has_last_processed_zxid):
            writer.write(piece)
        writer.finish()

    def _leave_disk(self, has_power: bool) -> None:
        """What was under way at the end: done, or not, or torn."""
        flight, epoch = self._flight, self._epoch_job
        chance = self.random.random()
        with suppress(SimCrash, OSError):
            if not has_power and chance < 0.7:
                self.disk.crash_at(1 + int(chance * 4))
            if flight is not None and flight[0] == "append" and chance < 0.85:
                self.found.log.append(flight[1])
            elif epoch is not None and chance < 0.95:
                self._write_epoch(*epoch)
        if not has_power:
            self.disk.crash(self.random)

    def _forget(self) -> None:
        self.life += 1
        self.doom = 0
        self.is_paused = False
        self._backlog: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        self._connections: dict[int, tuple[Link, Any]] = {}
        self._by_connection: dict[int, Link] = {}
        self._jobs: list[Job] = []
        self._flight: Job | None = None
        self._epoch_job: tuple[str, int] | None = None
        self._snapshot: tuple[SnapshotWriter, Iterator[bytes]] | None = None
        self._timer_us = 0
        self._told: tuple[int, bool, int, int] | None = None
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


def _silently(what: str, done: int, size: int) -> None:
    del what, done, size
