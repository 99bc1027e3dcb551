"""A house of members: an ensemble whose disks, links and clients move only when the test moves them.

Members a, b, c … are servers 1, 2, 3 …; the first `n_voters` vote. It does what a host does, in the same order. A disk
keeps a log, epochs and snapshots as bytes; what it was asked for and has not finished is lost with a crash.
"""

from collections import deque
from collections.abc import Mapping
from random import Random
from typing import Final

from tests.server.stand import KEYS, Peer
from zoopark.jute import quorum as jute
from zoopark.jute.quorum import Notification, QuorumPacket
from zoopark.record import Effect, Now
from zoopark.server import effects as served
from zoopark.server.config import Config, default_config
from zoopark.server.ensemble import EnsembleMember
from zoopark.tree.owners import OwnerKinds
from zoopark.tree.snapshot import read_stream, write_stream
from zoopark.tree.tree import Tree
from zoopark.zab.effects import (
    Append,
    CloseLink,
    Dial,
    Notify,
    ReadLog,
    ReceiveSnapshot,
    SaveEpoch,
    Send,
    SendSnapshot,
    Truncate,
)
from zoopark.zab.history import History
from zoopark.zab.outbox import Entry
from zoopark.zab.quorum import Majority
from zoopark.zab.settings import Limits, PeerSettings

TICK_MS: Final = 2000
Work = Append | SaveEpoch | Truncate | ReadLog | served.SaveSnapshot
Item = QuorumPacket | bytes | None
"""What travels on a link: a packet, a whole snapshot, or the link's end."""


class Wire:
    """One direction of a link, named by the number that the receiver knows it by."""

    def __init__(self, sender: str, receiver: str, number: int) -> None:
        self.sender = sender
        self.receiver = receiver
        self.number = number
        self.items: deque[Item] = deque()


class Room:
    """One member with its disk."""

    def __init__(self, sid: int, settings: PeerSettings, config: Config) -> None:
        self.sid = sid
        self.settings = settings
        self.config = config
        self.member: EnsembleMember | None = None
        self.log: list[Entry] = []
        self.snapshots: list[tuple[int, bytes]] = []
        self.epochs = {"currentEpoch": 0, "acceptedEpoch": 0}
        self.work: deque[Work] = deque()
        self.receiving: int | None = None

    def recover(self) -> Tree:
        """The tree that the disk holds."""
        tree = Tree(OwnerKinds(self.config.has_extended_types, self.config.has_353_ttl_nodes))
        if self.snapshots:
            zxid, stream = self.snapshots[-1]
            read_stream(tree, [stream])
            tree.last_zxid = zxid
        for zxid, txn in self.log:
            if zxid > tree.last_zxid:
                tree.apply(txn)
        return tree

    def finish(self, now: Now) -> None:
        """The disk has done the first thing it was asked."""
        member, work = self.member, self.work.popleft()
        assert member is not None
        if isinstance(work, Append):
            self.log += work.entries
            member.on_logged(work.zxid, now)
        elif isinstance(work, SaveEpoch):
            self.epochs[work.name] = work.epoch
            member.on_epoch_saved(now)
        elif isinstance(work, Truncate):
            self.log = [entry for entry in self.log if entry[0] <= work.zxid]
            self.snapshots = [kept for kept in self.snapshots if kept[0] <= work.zxid]
            member.on_reloaded(self.recover())
            member.on_truncated(member.tree.last_zxid, now)
        elif isinstance(work, ReadLog):
            start = max((at for at, (zxid, _) in enumerate(self.log) if zxid <= work.from_zxid), default=-1)
            found = [entry for entry in self.log[start:] if entry[0] <= work.upto_zxid] if start >= 0 else None
            member.on_log_read(work.link, found, now)
        else:
            self.log = []
            self.snapshots = [(work.zxid, b"".join(write_stream(work.tree)))]
            member.on_snapshot_saved(work.zxid, now)


class House:
    """Members by name, what travels between them, their clients and one clock.

    Args:
        names: the members, in the order of their sids.
        n_voters: how many of them vote.
        keys: keys of zoo.cfg that differ from those of the stand.

    Attributes:
        effects: (member, effect) of everything that was carried out since `take_effects`.
    """

    def __init__(self, names: str = "abc", n_voters: int = 3, keys: Mapping[str, str] | None = None) -> None:
        config = default_config("/data", {**KEYS, "tickTime": str(TICK_MS), **(keys or {})})
        limits = Limits(tick_ms=TICK_MS, init_limit=5, sync_limit=3)
        voters = Majority(range(1, n_voters + 1))
        self.rooms = {
            name: Room(sid, PeerSettings(sid, voters, f"as {name} was told".encode(), limits=limits), config)
            for sid, name in enumerate(names, 1)
        }
        self.names = names
        self.now = Now(1_000, 1_600_000_000_000)
        self.clients: list[tuple[str, Peer]] = []
        self.wires: dict[int, Wire] = {}
        self.n_links = 0
        self.dials: deque[tuple[str, str]] = deque()
        self.votes: deque[tuple[str, int, Notification]] = deque()
        self.held_links: set[tuple[str, str]] = set()
        self.held_disks: set[str] = set()
        self.effects: list[tuple[str, Effect]] = []

    # ---- what a test does

    def start(self, *names: str) -> None:
        """Start members on what their disks hold, and let everything happen."""
        for name in names:
            room = self.rooms[name]
            tree = room.recover()
            window = room.log[-500:] if room.log and room.log[-1][0] == tree.last_zxid else []
            epochs = room.epochs
            history = History(tree.last_zxid, window, epochs["currentEpoch"], epochs["acceptedEpoch"])
            room.member = EnsembleMember(room.config, tree, room.settings, history, Random(room.sid), self.now)
            room.member.on_start(self.now)
        self.settle()

    def form(self) -> str:
        """Start all members and wait until they serve; the name of the leader."""
        self.start(*self.names)
        self.wait(5_000)
        return self.leader()

    def leader(self) -> str:
        """The member that leads and serves, the only one."""
        (name,) = [
            name for name in self.names if self.is_serving(name) and self.member(name).became.state == jute.LEADING
        ]
        return name

    def is_serving(self, name: str) -> bool:
        member = self.rooms[name].member
        return member is not None and member.became.is_serving

    def member(self, name: str) -> EnsembleMember:
        """A member that runs."""
        member = self.rooms[name].member
        assert member is not None, name
        return member

    def crash(self, name: str) -> None:
        """A member ends; what its disk has not finished is lost, and so are its links and clients."""
        room = self.rooms[name]
        room.member, room.receiving = None, None
        room.work.clear()
        for number, wire in list(self.wires.items()):
            if wire.receiver == name:
                del self.wires[number]
                self._end(number)
        for at, peer in self.clients:
            if at == name and peer.why is None:
                peer.why = "crashed"
        self.clients = [(at, peer) for at, peer in self.clients if at != name]
        self.settle()

    def wipe(self, name: str) -> None:
        """The disk of a member that is down is replaced."""
        room = self.rooms[name]
        assert room.member is None
        room.log, room.snapshots, room.epochs = [], [], {"currentEpoch": 0, "acceptedEpoch": 0}

    def forget_log(self, name: str) -> None:
        """A member that is down has a snapshot of all it logged, and no log any more."""
        room = self.rooms[name]
        assert room.member is None
        tree = room.recover()
        room.log, room.snapshots = [], [(tree.last_zxid, b"".join(write_stream(tree)))]

    def connect(self, name: str) -> Peer:
        """A connection to a member, without a session."""
        connection = self.member(name).on_connect("127.0.0.1", 40_000 + len(self.clients), self.now)
        assert connection is not None
        peer = Peer(self, connection)
        self.clients.append((name, peer))
        return peer

    def drop(self, peer: Peer) -> None:
        """The connection of a client breaks."""
        peer.why = "dropped"
        for name, one in self.clients:
            if one is peer:
                self.member(name).on_disconnect(peer.connection)

    def cut(self, one: str, other: str) -> None:
        """The links between two members break, with everything on its way."""
        for wire in self.wires.values():
            if {wire.sender, wire.receiver} == {one, other}:
                wire.items = deque([None])
        self.settle()

    def lose(self, sender: str, receiver: str) -> None:
        """What a member has sent to another one and waits never comes; it waits no more."""
        self.held_links.discard((sender, receiver))
        for wire in self.wires.values():
            if (wire.sender, wire.receiver) == (sender, receiver):
                wire.items.clear()

    def wait(self, ms: int) -> None:
        """Time passes; what is due is done, and everything that comes of it."""
        self.settle()
        until_ms = self.now.mono_ms + ms
        while (due := min(self._dues(), default=(until_ms + 1, "")))[0] <= until_ms:
            self._move_clock(max(due[0], self.now.mono_ms))
            self.member(due[1]).on_timeout(self.now)
            self.settle()
        self._move_clock(until_ms)

    def settle(self) -> None:
        """Until nothing can happen by itself."""
        for _ in range(20_000):
            if not (self._turns() or self._disks() or self._connects() or self._votes() or self._arrivals()):
                return
        raise AssertionError("no end")

    def take_effects(self) -> list[tuple[str, Effect]]:
        """What was carried out since the last call."""
        effects, self.effects = self.effects, []
        return effects

    # ---- what happens by itself

    def _move_clock(self, mono_ms: int) -> None:
        self.now = Now(mono_ms, self.now.wall_ms + mono_ms - self.now.mono_ms)

    def _dues(self) -> list[tuple[int, str]]:
        running = [(name, room.member) for name, room in self.rooms.items() if room.member is not None]
        return [(due_ms, name) for name, member in running if (due_ms := member.deadline()) is not None]

    def _turns(self) -> bool:
        has_turned = False
        for name, room in self.rooms.items():
            while room.member is not None and (effects := room.member.take()):
                has_turned = True
                for effect in effects:
                    self.effects.append((name, effect))
                    self._carry_out(name, room, effect)
        return has_turned

    def _disks(self) -> bool:
        for name, room in self.rooms.items():
            if room.work and name not in self.held_disks:
                room.finish(self.now)
                return True
        return False

    def _connects(self) -> bool:
        if not self.dials:
            return False
        sender, receiver = self.dials.popleft()
        dialler, listener = self.rooms[sender].member, self.rooms[receiver].member
        if dialler is not None and listener is None:
            dialler.on_dial_failed(self.rooms[receiver].sid, self.now)
        elif dialler is not None and listener is not None:
            one, other = self.n_links + 1, self.n_links + 2
            self.n_links += 2
            self.wires[one] = Wire(receiver, sender, one)
            self.wires[other] = Wire(sender, receiver, other)
            listener.on_link(other, self.now)
            dialler.on_dialled(self.rooms[receiver].sid, one, self.now)
        return True

    def _votes(self) -> bool:
        if not self.votes:
            return False
        sender, sid, notification = self.votes.popleft()
        receiver = self.names[sid - 1]
        member = self.rooms[receiver].member
        if member is not None and (sender, receiver) not in self.held_links:
            member.on_notification(self.rooms[sender].sid, notification, self.now)
        return True

    def _arrivals(self) -> bool:
        for wire in list(self.wires.values()):
            if wire.items and (wire.sender, wire.receiver) not in self.held_links:
                self._arrive(wire, wire.items.popleft())
                return True
        return False

    def _arrive(self, wire: Wire, item: Item) -> None:
        room = self.rooms[wire.receiver]
        member = room.member
        if item is None:
            del self.wires[wire.number]
        if member is None:
            return
        if item is None:
            self._lose_snapshot(room, wire.number)
            member.on_link_lost(wire.number, self.now)
        elif isinstance(item, bytes):
            assert room.receiving == wire.number, "a snapshot that nobody waits for"
            room.receiving = None
            member.on_snapshot_received(wire.number, [item], self.now)
        else:
            member.on_packet(wire.number, item, self.now)
            if item.type == jute.SNAP:
                self._turns()

    def _lose_snapshot(self, room: Room, number: int) -> None:
        if room.receiving == number:
            room.receiving = None
            assert room.member is not None
            room.member.on_snapshot_lost(self.now)

    def _end(self, number: int) -> None:
        other = self.wires.get(other_end(number))
        if other is not None:
            other.items.append(None)

    # ---- effects

    def _carry_out(self, name: str, room: Room, effect: Effect) -> None:
        if isinstance(effect, Append | SaveEpoch | Truncate | ReadLog | served.SaveSnapshot):
            room.work.append(effect)
        elif isinstance(effect, Notify):
            self.votes.append((name, effect.sid, effect.notification))
        elif isinstance(effect, Dial):
            self.dials.append((name, self.names[effect.sid - 1]))
        elif isinstance(effect, ReceiveSnapshot):
            room.receiving = effect.link
        elif isinstance(effect, Send | SendSnapshot | CloseLink):
            self._carry_out_on_link(room, effect)
        elif isinstance(effect, served.TakeSnapshot):
            assert room.member is not None
            assert room.member.became.is_serving and effect.zxid == room.member.tree.last_zxid
        elif isinstance(effect, served.Flush):
            for connection in effect.connections:
                self._deliver(connection.connection_id, name)
        elif isinstance(effect, served.CloseLink):
            self._deliver(effect.connection.connection_id, name)
            self._hang_up(name, effect)

    def _carry_out_on_link(self, room: Room, effect: Send | SendSnapshot | CloseLink) -> None:
        wire = self.wires.get(other_end(effect.link))
        if isinstance(effect, CloseLink):
            self._end(effect.link)
            self.wires.pop(effect.link, None)
            self._lose_snapshot(room, effect.link)
        elif wire is not None and isinstance(effect, Send):
            wire.items += effect.packets
        elif wire is not None and isinstance(effect, SendSnapshot):
            member = room.member
            assert member is not None and member.tree.last_zxid == effect.zxid, "the tree has gone on"
            wire.items.append(b"".join(member.snapshot_stream()))

    def _deliver(self, connection_id: int, name: str) -> None:
        for at, peer in self.clients:
            if at == name and peer.connection.connection_id == connection_id:
                peer.receive(peer.connection.take_out())

    def _hang_up(self, name: str, effect: served.CloseLink) -> None:
        for at, peer in self.clients:
            if at == name and peer.connection is effect.connection and peer.why is None:
                peer.why = effect.why
                self.member(name).on_disconnect(effect.connection)


def other_end(number: int) -> int:
    """Links are numbered in pairs, 1 and 2, 3 and 4 …"""
    return number + 1 if number % 2 else number - 1
