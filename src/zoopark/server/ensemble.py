"""One member of an ensemble, without the world around it: agreement below, clients above, the tree between them.

                 clients: Connection, sessions, words
                        |                 ^
       Learning (relay) | Leading (prepare, propose)          the role's half of the server; while nobody leads
                        v                 |                   there is none, or ReadOnly
                        |                 |  applied, answered
       Peer   --->   Deliver, Replay, Became, Passed, Pinged   carried out here
              --->   everything else                           carried out by the host

    on_start, on_notification, on_link … on_log_read     the inputs of `zab.peer.Peer`, with the same meaning
    on_connect, Connection.on_bytes, on_disconnect       what clients do
    on_snapshot, on_reloaded, on_snapshot_received       what the host has done for the tree
    on_timeout, take, deadline                           as everywhere

The member routes and holds no policy. The role changes only by `Became`: when it stops serving, every connection ends,
what was prepared is dropped, and nobody is told anything; what is logged and was not committed comes as `Replay`, and
may be taken back by a truncation or a snapshot. Snapshots are taken only while it serves: then the tree holds what is
committed and nothing else, whatever the log holds (ZOOKEEPER-1549).

What it must never do: serve a client without a leader; apply what is not committed while it serves; let the tree change
between `SendSnapshot` and the moment when the host has it.
"""

from collections.abc import Iterable, Iterator
from random import Random
from typing import Final, final

from zoopark.errors import CorruptSnapshot
from zoopark.jute.quorum import (
    FOLLOWING,
    LEADING,
    LOOKING,
    OBSERVING,
    PING,
    REQUEST,
    REVALIDATE,
    SYNC,
    Notification,
    QuorumPacket,
)
from zoopark.record import Effect, Now, earliest
from zoopark.server.applier import Applier
from zoopark.server.clients import Clients
from zoopark.server.config import Config
from zoopark.server.connection import Connection
from zoopark.server.effects import Purge, SaveSnapshot, TakeSnapshot
from zoopark.server.leading import Leading
from zoopark.server.learning import Learning
from zoopark.server.localsessions import LocalSessions
from zoopark.server.metrics import Metrics, nothing_known
from zoopark.server.pipeline import Pipeline
from zoopark.server.prepare import Preparer
from zoopark.server.readonly import ReadOnly
from zoopark.server.sessions import SessionTracker, first_session_id
from zoopark.server.snapshots import SnapshotSchedule
from zoopark.server.standing import Standing
from zoopark.tree.snapshot import read_stream, write_stream
from zoopark.tree.tree import Tree, adopt, set_config
from zoopark.zab.effects import (
    Append,
    Became,
    CloseLink,
    Deliver,
    Passed,
    Pinged,
    ReceiveSnapshot,
    Replay,
    SendSnapshot,
)
from zoopark.zab.history import History
from zoopark.zab.outbox import Entry
from zoopark.zab.peer import Peer
from zoopark.zab.settings import PeerSettings

HOUR_MS: Final = 3_600_000
MODES: Final = {LOOKING: "", FOLLOWING: "follower", LEADING: "leader", OBSERVING: "observer"}
NOBODY: Final = -1


@final
class EnsembleMember:
    """A member of an ensemble over a recovered tree. Nothing happens before `on_start`.

    Args:
        config: what it is told about clients.
        tree: the tree as recovered.
        settings: who this is in the ensemble; its sid is the highest byte of the session ids made here.
        history: the log as recovered; its last_zxid is the tree's.
        random: decides when snapshots are taken, and which connections a throttle drops.
        now: the moment of the start.

    Attributes:
        became: the role, as it was told last; serving or not.
        tree: stays the same object whatever is loaded.
        metrics: `metrics.survey` is the host's to set.
    """

    def __init__(
        self, config: Config, tree: Tree, settings: PeerSettings, history: History, random: Random, now: Now
    ) -> None:
        assert history.last_zxid == tree.last_zxid, (history.last_zxid, tree.last_zxid)
        self.config = config
        self.tree = tree
        self.peer = Peer(settings, history)
        self.became = Became(LOOKING, False, NOBODY, history.current_epoch)
        self.sessions = SessionTracker(config.tick_time_ms, first_session_id(settings.sid, now.wall_ms))
        self.pipeline = Pipeline(Preparer(config, tree, self.sessions, tree.last_zxid))
        self.metrics = Metrics(now, nothing_known)
        self.clients = Clients(config, tree, self.pipeline, self.metrics, random, now)
        self.applier = Applier(config, tree, self.sessions, self.clients, self.metrics)
        self.leading = Leading(self.peer, self.pipeline, self.applier)
        self.learning = Learning(self.peer, self.pipeline, self.applier)
        self.local = self.clients.parts.local = LocalSessions(config, settings.sid)
        self.pipeline.preparer.local = self.local
        self.clients.words.local = self.local
        self.read_only = ReadOnly(self.clients, self.sessions, self.local, history)
        self.snapshots = SnapshotSchedule(config, random)
        self.standing = Standing(self.peer, self.metrics, now)
        self.clients.words.standing = self.standing
        self._now = now
        self._purge_ms = now.mono_ms
        self._held: list[Effect] = []
        self._receiving: ReceiveSnapshot | None = None
        self._received: Tree | None = None
        self._is_stirred = False
        self._config = (settings.config, settings.config_version)
        self._set_config()
        self._tell_role()

    # ---- clients

    def on_connect(self, address: str, port: int, now: Now) -> Connection | None:
        """Somebody connected from this IP address; None if a limit is reached and the host should close at once.

        While this member does not serve, a connection may ask four-letter words and nothing else.
        """
        return self.clients.on_connect(address, port, now)

    def on_disconnect(self, connection: Connection) -> None:
        """The connection is gone; its session lives on until it expires."""
        self.clients.on_disconnect(connection)

    # ---- agreement: the inputs of Peer

    def on_start(self, now: Now) -> None:
        """Begin; once."""
        self._stir(now)
        self.peer.on_start(now)

    def on_notification(self, sid: int, notification: Notification, now: Now) -> None:
        """See `Peer.on_notification`."""
        self._stir(now)
        self.peer.on_notification(sid, notification, now)

    def on_link(self, link: int, now: Now) -> None:
        """See `Peer.on_link`. Links are numbered from 0."""
        assert link >= 0, link
        self._stir(now)
        self.peer.on_link(link, now)

    def on_dialled(self, sid: int, link: int, now: Now) -> None:
        """See `Peer.on_dialled`."""
        self._stir(now)
        self.peer.on_dialled(sid, link, now)

    def on_dial_failed(self, sid: int, now: Now) -> None:
        """See `Peer.on_dial_failed`."""
        self._stir(now)
        self.peer.on_dial_failed(sid, now)

    def on_packet(self, link: int, packet: QuorumPacket, now: Now) -> None:
        """See `Peer.on_packet`."""
        self._stir(now)
        self.peer.on_packet(link, packet, now)

    def on_link_lost(self, link: int, now: Now) -> None:
        """See `Peer.on_link_lost`."""
        self._stir(now)
        self.peer.on_link_lost(link, now)

    def on_logged(self, zxid: int, now: Now) -> None:
        """See `Peer.on_logged`."""
        self._stir(now)
        self.peer.on_logged(zxid, now)

    def on_epoch_saved(self, now: Now) -> None:
        """See `Peer.on_epoch_saved`."""
        self._stir(now)
        self.peer.on_epoch_saved(now)

    def on_log_read(self, link: int, entries: list[Entry] | None, now: Now) -> None:
        """See `Peer.on_log_read`."""
        self._stir(now)
        self.peer.on_log_read(link, entries, now)

    def on_truncated(self, zxid: int, now: Now) -> None:
        """See `Peer.on_truncated`; `on_reloaded` comes first, with the tree at `zxid`."""
        assert self.tree.last_zxid == zxid, (self.tree.last_zxid, zxid)
        self._stir(now)
        self.peer.on_truncated(zxid, now)

    def on_snapshot_saved(self, zxid: int, now: Now) -> None:
        """The snapshot that came is durable, and alone.

        Its tree is the one of SaveSnapshot; or the host has loaded it from what it saved, and called `on_reloaded`.
        """
        assert not self._serves_somebody(), "a tree is replaced under its clients"
        self._stir(now)
        if self._received is not None:
            adopt(self.tree, self._received)
        self.learning.on_snapshot()
        self._set_config()
        self._received = self._receiving = None
        assert self.tree.last_zxid == zxid, (self.tree.last_zxid, zxid)
        self.peer.on_snapshot_saved(zxid, now)

    def on_snapshot_lost(self, now: Now) -> None:
        """See `Peer.on_snapshot_lost`; not after `on_snapshot_received`."""
        assert self._received is None, "the snapshot is whole"
        self._receiving = None
        self._stir(now)
        self.peer.on_snapshot_lost(now)

    # ---- the tree

    def on_reloaded(self, tree: Tree) -> None:
        """The database was recovered anew, after a truncation or from a snapshot; `tree` is used up."""
        assert not self._serves_somebody(), "a tree is replaced under its clients"
        adopt(self.tree, tree)
        self._set_config()

    def on_snapshot_received(self, link: int, pieces: Iterable[bytes], now: Now) -> None:
        """All of the snapshot that ReceiveSnapshot asked for has come, the signature included.

        Effects: SaveSnapshot, which the host answers by `on_snapshot_saved`. Nothing more is asked of the host if the
        stream is no snapshot: the link is closed.
        """
        receiving = self._receiving
        assert receiving is not None and receiving.link == link, link
        self._stir(now)
        tree = Tree(self.tree.kinds)
        try:
            read_stream(tree, pieces)
        except CorruptSnapshot as error:
            self._receiving = None
            self.clients.note(f"the snapshot of {receiving.zxid:#x} from the leader cannot be used: {error}")
            self.peer.on_snapshot_lost(now)
            return
        tree.last_zxid = receiving.zxid
        self._received = tree
        self.clients.effects.append(SaveSnapshot(receiving.zxid, tree))

    def snapshot_stream(self) -> Iterator[bytes]:
        """What follows a SNAP, in pieces: for the host, when it carries out a SendSnapshot.

        The tree must not change until the last piece is taken: take them all before the next input, or in a process
        that was forked for them.
        """
        return write_stream(self.tree)

    def on_snapshot(self) -> None:
        """The snapshot that TakeSnapshot asked for is complete."""
        self.snapshots.on_snapshot()

    @property
    def logged_since_snapshot(self) -> int:
        """Transactions since the last snapshot; the host sets it at the start."""
        return self.snapshots.n_txns

    @logged_since_snapshot.setter
    def logged_since_snapshot(self, count: int) -> None:
        self.snapshots.n_txns = count

    @property
    def logged_bytes_since_snapshot(self) -> int:
        """Bytes of log since the last snapshot; the host sets it."""
        return self.snapshots.n_bytes

    @logged_bytes_since_snapshot.setter
    def logged_bytes_since_snapshot(self, size: int) -> None:
        self.snapshots.n_bytes = size

    # ---- time and effects

    def on_timeout(self, now: Now) -> None:
        """`deadline` has come."""
        self._stir(now)
        self.peer.on_timeout(now)
        if self.leading.housekeeping is not None:
            self.leading.housekeeping.on_timeout(now)
        self.read_only.on_timeout(now)
        self._end(self.local.on_timeout(now))
        self.clients.close_silent(now)
        if self.config.purge_interval_hours > 0 and now.mono_ms >= self._purge_ms:
            self._purge_ms = now.mono_ms + self.config.purge_interval_hours * HOUR_MS
            self.clients.effects.append(Purge(self.config.snap_retain_count))

    def deadline(self) -> int | None:
        """When to call on_timeout at the latest, on the monotonic clock; None for never."""
        purge_ms = self._purge_ms if self.config.purge_interval_hours > 0 else None
        housekeeping = self.leading.housekeeping
        return earliest(
            self.peer.deadline(),
            self.clients.deadline(),
            self.read_only.deadline(),
            self.local.deadline(),
            housekeeping.deadline() if housekeeping is not None else None,
            purge_ms,
        )

    def take(self) -> list[Effect]:
        """What the host is to do now, in this order. Ends behind a SendSnapshot: call again until nothing comes."""
        left, self.clients.effects = self.clients.effects, []
        self._is_stirred = False
        while effects := self._next_effects():
            for at, effect in enumerate(effects):
                self._carry_out(effect, left)
                if isinstance(effect, SendSnapshot):
                    self._held = effects[at + 1 :]
                    return left
        self.clients.take(left)
        if self.became.is_serving and self.snapshots.is_due():
            self.snapshots.begin()
            left.append(TakeSnapshot(self.tree.last_zxid))
        return left + self._take_notes()

    def has_effects(self) -> bool:
        """Whether take() may return something."""
        return self._is_stirred or bool(self._held or self.pipeline.entries) or self.clients.has_effects()

    # ---- inside

    def _serves_somebody(self) -> bool:
        return self.became.is_serving or self.read_only.is_serving

    def _set_config(self) -> None:
        """Whatever a snapshot says, /zookeeper/config is the configuration of this member."""
        set_config(self.tree, *self._config, self._now.wall_ms)

    def _end(self, connections: list[tuple[int, str]]) -> None:
        """Local sessions have expired; these were their connections, which may ask for nothing from now on."""
        self.metrics.sessions_expired += len(connections)
        for connection_id, why in connections:
            connection = self.clients.connections.get(connection_id)
            if connection is not None:
                connection.close(why)

    def _stir(self, now: Now) -> None:
        self._now = now
        self._is_stirred = True

    def _next_effects(self) -> list[Effect]:
        """The next that agreement asks for, once it has what was prepared."""
        if self._held:
            effects, self._held = self._held, []
            return effects
        self.leading.propose()
        return self.peer.take()

    def _take_notes(self) -> list[Effect]:
        effects, self.clients.effects = self.clients.effects, []
        return effects

    def _carry_out(self, effect: Effect, left: list[Effect]) -> None:
        if isinstance(effect, Deliver):
            self._deliver(effect.entries)
        elif isinstance(effect, Passed):
            self._pass(effect.link, effect.packets, left)
        elif isinstance(effect, Pinged):
            self.peer.pong(self.learning.touches(self._now), self._now)
        elif isinstance(effect, Became):
            self._become(effect)
        elif isinstance(effect, Replay):
            self._replay(effect.entries)
        else:
            if isinstance(effect, Append):
                self.standing.on_append(effect.entries, self._now)
            elif isinstance(effect, SendSnapshot):
                self.standing.on_snapshot_sent()
            elif isinstance(effect, ReceiveSnapshot):
                self._receiving = effect
            left.append(effect)

    def _deliver(self, entries: list[Entry]) -> None:
        self.snapshots.n_txns += len(entries)
        self.standing.on_delivered(entries, self._now)
        if self.leading.housekeeping is not None:
            self.leading.on_delivered(entries[-1][0], self._now)
        else:
            self.learning.on_delivered(entries, self._now)

    def _replay(self, entries: list[Entry]) -> None:
        assert not self._serves_somebody(), "replayed under the eyes of clients"
        self.snapshots.n_txns += len(entries)
        for zxid, txn in entries:
            self.learning.apply(zxid, txn)

    def _become(self, became: Became) -> None:
        """The role changed; whatever was before ends with its clients."""
        if self._serves_somebody():
            self.clients.parts.is_serving = False
            self.clients.close_all(
                "this server is read-only no more"
                if self.read_only.is_serving
                else "this server has lost its leader, or leads no more"
            )
            self.leading.end()
            self.learning.end()
            self.local.end()
            self.pipeline.drop()
        self.became = became
        self.standing.on_became(became, self._now)
        self.read_only.on_became(became, self._now)
        if became.is_serving and became.state == LEADING:
            self.leading.begin(became.epoch, self._now)
        elif became.is_serving:
            self.learning.begin(self._now)
        if became.is_serving:
            self.local.begin(self._now)
            if self.learning.on_uptodate():
                self.snapshots.hasten()
        self._tell_role()

    def _tell_role(self) -> None:
        """Clients are served, or not; a leader may be told to leave them to others."""
        is_serving = self.became.is_serving and (self.became.state != LEADING or self.config.may_leader_serve)
        self.clients.parts.is_serving = is_serving
        self.clients.words.mode = MODES[self.became.state] if is_serving else ""

    def _pass(self, link: int | None, packets: list[QuorumPacket], left: list[Effect]) -> None:
        """Packets that are the server's business; a link on which nonsense comes is closed."""
        if not self.became.is_serving or link is None:
            return
        is_leading, now = self.leading.housekeeping is not None, self._now
        for packet in packets:
            why = self._on_learner(link, packet, now) if is_leading else self._on_leader(packet, now)
            if why:
                left.append(CloseLink(link, why))
                self.peer.on_link_lost(link, now)
                return

    def _on_learner(self, link: int, packet: QuorumPacket, now: Now) -> str:
        """A learner's packet; why it cannot be right, or ""."""
        if packet.type == REQUEST:
            return self.leading.on_request(link, packet, now)
        if packet.type == PING:
            self.leading.on_touches(packet, now)
        self.standing.n_revalidated += packet.type == REVALIDATE
        return self.leading.on_revalidate(link, packet, now) if packet.type == REVALIDATE else ""

    def _on_leader(self, packet: QuorumPacket, now: Now) -> str:
        """The leader's packet; why it cannot be right, or ""."""
        if packet.type == SYNC:
            return self.learning.on_sync(now)
        return self.learning.on_revalidated(packet, now) if packet.type == REVALIDATE else ""
