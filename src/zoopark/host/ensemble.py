"""What a server does for a member of an ensemble, beside what every server does: votes, links, and the log rewritten.

    Notify                      host/votes       SaveEpoch             a thread of its own, beside the log
    Dial, Send, CloseLink       host/links       Truncate, SaveSnapshot   the log's thread, behind all that was appended
    SendSnapshot                host/sender      ReadLog               another thread
    ReceiveSnapshot             host/links

Everything else is carried out by `zoopark.host.server.Server`. It does what `zoopark.sim.quorumlinks` and `sim.storage`
do, in the same order. What it must never do: answer an effect twice, or before what it asks for is durable.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any, Final, TypeVar, final

from zoopark.host.links import Inputs, QuorumLinks
from zoopark.host.ports import ELECTION, QUORUM, in_use
from zoopark.host.sender import SnapshotSender
from zoopark.host.server import EXIT_DATA_DIR, Server
from zoopark.host.storage import explain
from zoopark.host.strangers import Complaints
from zoopark.host.votes import Votes
from zoopark.jute.quorum import FOLLOWING, LEADING, LOOKING, QuorumPacket
from zoopark.log.epochs import CURRENT_EPOCH, Epochs
from zoopark.log.txnlog import TxnLog
from zoopark.record import Effect
from zoopark.server.effects import SaveSnapshot
from zoopark.server.ensemble import EnsembleMember
from zoopark.server.membership import Membership
from zoopark.server.recovery import Recovered, log_directory, recover, snapshot_directory
from zoopark.server.rewriting import begin_with, read_for_learner, recent_entries, truncate_files
from zoopark.tree.snapshot import write_snapshot
from zoopark.zab import effects as agreed
from zoopark.zab.effects import Became
from zoopark.zab.history import History
from zoopark.zab.settings import Limits, PeerSettings

BACKLOG: Final = 64
ROLES: Final = {FOLLOWING: "following", LEADING: "leading"}

_log = logging.getLogger("zoopark")
_T = TypeVar("_T")


@final
class Agreement:
    """The part of a server that talks to other servers.

    Args:
        server: the rest of it.
        found: what was recovered from its disk.

    Attributes:
        member: composed here.
    """

    def __init__(self, server: Server, found: Recovered) -> None:
        membership = server.config.membership
        assert membership is not None
        self.server = server
        self.config = server.config
        self.epochs = Epochs(server.disk, snapshot_directory(self.config))
        self.epochs.load(found.tree.last_zxid)
        self.member = self._build(membership, found)
        self._became: Became = self.member.became
        self._epoch_thread = ThreadPoolExecutor(1, "epochs")
        self._read_thread = ThreadPoolExecutor(1, "log-reader")
        self._senders: dict[SnapshotSender, None] = {}
        self._is_closed = False
        loop, complaints = server.loop, Complaints(server.loop.time)
        seats = membership.seats
        elections = {sid: seat.election_addresses() for sid, seat in seats.items()}
        quorums = {sid: seat.quorum_addresses() for sid, seat in seats.items()}
        self.votes = Votes(loop, membership.sid, elections, self._on_notification, complaints)
        self.votes.dial_s = self.config.cnx_timeout_ms / 1000
        self.links = QuorumLinks(loop, membership.sid, quorums, self._inputs(), server.wake, complaints)
        self.links.stale_s = self.config.tick_time_ms / 1000
        self._acts: dict[type[Effect], Callable[[Any], None]] = {
            agreed.Notify: lambda effect: self.votes.notify(effect.sid, effect.notification),
            agreed.Dial: lambda effect: self.links.dial(effect.sid),
            agreed.Send: lambda effect: self.links.send(effect.link, effect.packets),
            agreed.CloseLink: lambda effect: self.links.close_link(effect.link, effect.why),
            agreed.Append: self._append,
            agreed.SaveEpoch: self._save_epoch,
            agreed.Truncate: self._truncate,
            agreed.ReadLog: self._read_log,
            agreed.SendSnapshot: self._send_snapshot,
            agreed.ReceiveSnapshot: self.links.receive,
            SaveSnapshot: self._save_snapshot,
        }

    async def open(self, doors: dict[str, list[socket.socket]], listeners: list[asyncio.Server]) -> None:
        """Listen for other servers; what listens is added to `listeners`. Errors: PortError."""
        loop, own = self.server.loop, f"server.{self.links.sid}"
        for door, accept in ((ELECTION, self.votes.accept), (QUORUM, self.links.accept)):
            for sock in doors[door]:
                try:
                    listeners.append(await loop.create_server(accept, sock=sock, backlog=BACKLOG))
                except OSError as error:
                    raise in_use(sock, error, (own, own)) from error

    def start(self) -> None:
        """Begin to look for a leader."""
        self.member.on_start(self.server.now())

    def carry_out(self, effect: Effect) -> None:
        """One effect of the member."""
        act = self._acts.get(type(effect))
        if act is not None:
            act(effect)
        else:
            self.server.carry_out(effect)

    def look_at_role(self) -> None:
        """Log what has become of this server, once its effects are carried out."""
        became = self.member.became
        if became is self._became:
            return
        self._became = became
        if became.state == LOOKING:
            _log.info("looking for a leader")
        elif became.is_serving:
            whom = "" if became.state == LEADING else f" server {became.leader_sid}"
            _log.info("%s%s in epoch %d", ROLES.get(became.state, "observing"), whom, became.epoch)

    def close(self) -> None:
        """End everything; nothing is told to the member any more."""
        self._is_closed = True
        self.votes.close()
        self.links.close()
        for sender in list(self._senders):
            sender.stop()
        self._epoch_thread.shutdown()
        self._read_thread.shutdown()

    # ---- inside: inputs

    def _build(self, membership: Membership, found: Recovered) -> EnsembleMember:
        config, server, zxid = self.config, self.server, found.tree.last_zxid
        window = recent_entries(config, server.disk, zxid)
        history = History(zxid, window, self.epochs.current, self.epochs.accepted)
        factor = config.snapshot_size_factor
        limits = Limits(max(config.tick_time_ms, 2), config.init_limit, config.sync_limit, factor)
        text, version = membership.text(), membership.version
        settings = PeerSettings(membership.sid, membership.verifier, text, version, limits)
        member = EnsembleMember(config, found.tree, settings, history, Random(), server.now())
        member.metrics.survey = server.surveyor.look
        return member

    def _inputs(self) -> Inputs:
        member, now = self.member, self.server.now
        inputs = Inputs()
        inputs.on_link = lambda link: member.on_link(link, now())
        inputs.on_dialled = lambda sid, link: member.on_dialled(sid, link, now())
        inputs.on_dial_failed = lambda sid: member.on_dial_failed(sid, now())
        inputs.on_packets = self._on_packets
        inputs.on_link_lost = lambda link: member.on_link_lost(link, now())
        inputs.on_snapshot = lambda link, pieces: member.on_snapshot_received(link, pieces, now())
        inputs.on_snapshot_lost = lambda: member.on_snapshot_lost(now())
        return inputs

    def _on_packets(self, link: int, packets: list[QuorumPacket]) -> None:
        member, now = self.member, self.server.now()
        for packet in packets:
            member.on_packet(link, packet, now)

    def _on_notification(self, sid: int, notification: Any) -> None:
        self.member.on_notification(sid, notification, self.server.now())
        self.server.wake()

    # ---- inside: the disk

    def _append(self, effect: agreed.Append) -> None:
        """A learner may wait for the disk with a transaction that came alone, which is cheaper than to be woken again.
        A leader never does: with others' acknowledgements it may commit ahead of its own disk."""
        server = self.server
        if not server.exit_code:
            server.gathering.on_batch(len(effect.entries))
            is_alone = len(effect.entries) == 1 and self.member.became.state != LEADING
            server.log_writer.append(effect.entries, is_alone=is_alone)
            server.n_chunks = 0

    def _save_epoch(self, effect: agreed.SaveEpoch) -> None:
        epochs = self.epochs
        save = epochs.save_current if effect.name == CURRENT_EPOCH else epochs.save_accepted
        self._in_thread(self._epoch_thread, lambda: save(effect.epoch), self._on_epoch_saved)

    def _on_epoch_saved(self, nothing: None) -> None:
        self.member.on_epoch_saved(self.server.now())

    def _read_log(self, effect: agreed.ReadLog) -> None:
        config, disk, member = self.config, self.server.disk, self.member
        self._in_thread(
            self._read_thread,
            lambda: read_for_learner(config, disk, effect),
            lambda entries: member.on_log_read(effect.link, entries, self.server.now()),
        )

    def _in_thread(self, thread: ThreadPoolExecutor, act: Callable[[], _T], tell: Callable[[_T], None]) -> None:
        """Have a thread do something and tell the member of it; a disk that fails stops the server."""

        def on_done(done: "asyncio.Future[_T]") -> None:
            error = done.exception()
            if isinstance(error, OSError):
                self.server.fail(EXIT_DATA_DIR, f"cannot use the data directory: {explain(error)}")
            elif not self._is_closed and not self.server.exit_code:
                tell(done.result())
                self.server.wake()

        self.server.loop.run_in_executor(thread, act).add_done_callback(on_done)

    def _truncate(self, effect: agreed.Truncate) -> None:
        found: list[Recovered] = []

        def act() -> TxnLog:
            with self.server.files_lock:
                truncate_files(self.config, self.server.disk, effect.zxid)
                found.append(recover(self.config, self.server.disk, _silently))
                return found[0].log

        def tell() -> None:
            self.member.on_reloaded(found[0].tree)
            self.member.on_truncated(self.member.tree.last_zxid, self.server.now())

        _log.info("truncating the log to %#x, as the leader asks", effect.zxid)
        self._rewrite(act, tell)

    def _save_snapshot(self, effect: SaveSnapshot) -> None:
        config, disk = self.config, self.server.disk

        def act() -> TxnLog:
            pieces = write_snapshot(effect.tree, config.has_digest, config.has_last_processed_zxid)
            with self.server.files_lock:
                begin_with(config, disk, effect.zxid, pieces)
            step_bytes = config.pre_alloc_size_kb * 1024
            return TxnLog(disk, log_directory(config), effect.zxid, step_bytes, config.has_force_sync)

        def tell() -> None:
            self.member.on_snapshot_saved(effect.zxid, self.server.now())

        _log.info("saving the leader's snapshot of %#x", effect.zxid)
        self._rewrite(act, tell)

    def _rewrite(self, act: Callable[[], TxnLog], tell: Callable[[], None]) -> None:
        """Change the files, with no snapshot of the former tree in the way."""
        snapshotter = self.server.snapshotter
        if snapshotter.child:
            snapshotter.stop()
            self.member.on_snapshot()

        def on_done() -> None:
            if not self._is_closed:
                tell()
                self.server.wake()

        self.server.log_writer.rewrite(act, on_done)

    # ---- inside: snapshots that travel

    def _send_snapshot(self, effect: agreed.SendSnapshot) -> None:
        link = self.links.by_number.get(effect.link)
        if link is None:
            return
        tree = self.member.tree
        assert tree.last_zxid == effect.zxid, f"a snapshot of {effect.zxid:#x} of a tree at {tree.last_zxid:#x}"
        _log.info("sending server %d a snapshot of %#x", link.sid, effect.zxid)
        sender = SnapshotSender(link, self.member.snapshot_stream, self._on_sent)
        self._senders[sender] = None
        sender.start()

    def _on_sent(self, sender: SnapshotSender) -> None:
        del self._senders[sender]


def _silently(what: str, done: int, size: int) -> None:
    del what, done, size
