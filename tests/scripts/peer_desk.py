"""The desk for scripts of whole peers: members by name, links and disks that do as they are told.

    ensemble a b c              who votes, by default these three; other names are observers
    a has 1:1-1:3 2:1 epoch 2 accepted 3 window 0     what is on its disk; the last three words have defaults
    a starts, a crashes
    a proposes 2                so many transactions
    a syncs                     a client of the leader syncs
    b requests sync             a client of a learner does; other words are passed to the leader's server
    disk b holds, goes, once    its writes finish only while it goes, or one does
    link a b holds, goes, cut   what a sends to b waits, comes, is lost with the link
    wait 1000                   milliseconds; everything due by then happens
    x dials a                   somebody who is no peer opens a link
    b tells a ACK 1:2 …         a packet on the link from b to a that b would not send; `…` is its data, see `data_of`

Members a, b, c … are servers 1, 2, 3 …; a zxid is epoch:counter. All that can happen happens, in the order of names.
Notifications are delivered and not shown.
"""

from collections import deque
from itertools import pairwise

from tests.zab.machine import Item, Machine, Saved, Wire
from zoopark.jute import quorum as jute
from zoopark.jute.buffer import I32
from zoopark.jute.quorum import LearnerInfo, QuorumPacket, encode_learner_info
from zoopark.record import Effect, Now
from zoopark.zab.effects import (
    Append,
    Became,
    CloseLink,
    Deliver,
    Dial,
    Note,
    Notify,
    Passed,
    Pinged,
    ReadLog,
    ReceiveSnapshot,
    Replay,
    SaveEpoch,
    Send,
    SendSnapshot,
    Truncate,
)
from zoopark.zab.outbox import Entry
from zoopark.zab.quorum import Majority
from zoopark.zab.settings import Limits, PeerSettings
from zoopark.zxid import counter_of, epoch_of, make_zxid

KINDS = {
    value: name
    for name, value in vars(jute).items()
    if isinstance(value, int) and 1 <= value <= 19 and name.isupper() and "_" not in name
}
KINDS |= {jute.FOLLOWERINFO: "FOLLOWERINFO", jute.PROPOSAL: "PROPOSAL", jute.REQUEST: "REQUEST", jute.ACK: "ACK"}
STATES = ("LOOKING", "FOLLOWING", "LEADING", "OBSERVING")
LIMITS = Limits(tick_ms=2000, init_limit=5, sync_limit=3)


class PeerDesk:
    """Members, what travels between them, and the clock."""

    def __init__(self) -> None:
        self.machines: dict[str, Machine] = {}
        self.voters = [1, 2, 3]
        self.windows: dict[str, int] = {}
        self.wires: dict[int, Wire] = {}
        self.n_links = 0
        self.dials: deque[tuple[str, str]] = deque()
        self.votes: deque[tuple[int, int, jute.Notification]] = deque()
        self.held_links: set[tuple[str, str]] = set()
        self.held_disks: set[str] = set()
        self.mono_ms = 0
        self.lines: list[str] = []

    def perform(self, commands: list[str]) -> list[str]:
        """The commands in order, then all that comes of them."""
        self.lines = []
        for command in commands:
            actor, verb, *words = command.split()
            if actor == "ensemble":
                self.voters = [sid_of(name) for name in (verb, *words)]
            elif actor == "disk":
                self._disk(verb, words[0])
            elif actor == "link":
                self._link(verb, *words)
            elif actor == "wait":
                self._wait(int(verb))
            else:
                self._act(actor, verb, words)
        self._settle()
        return self.lines

    def _now(self) -> Now:
        return Now(self.mono_ms, self.mono_ms)

    # ---- commands

    def _act(self, name: str, verb: str, words: list[str]) -> None:
        machine = self._machine(name)
        peer = machine.peer
        if verb == "has":
            self._has(name, machine, words)
        elif verb == "starts":
            machine.start(self._now(), self.windows.get(name, 500))
        elif verb == "crashes":
            self._crash(name, machine)
        elif verb == "dials":
            self._connect(name, words[0])
        elif verb == "tells":
            wire = self._wire(name, words[0])
            wire.items.append(packet_of(words[1:]))
        elif verb == "proposes":
            assert peer is not None
            for _ in range(int(words[0])):
                zxid = peer.next_zxid() if peer.is_serving() else 0
                peer.propose(zxid, b"txn", self._now())
        elif verb == "syncs":
            assert peer is not None
            peer.sync(None, self._now())
        else:
            assert peer is not None and verb == "requests", verb
            peer.request(QuorumPacket(jute.REQUEST, -1, " ".join(words).encode()), self._now())

    def _machine(self, name: str) -> Machine:
        if name not in self.machines:
            settings = PeerSettings(sid_of(name), Majority(self.voters), b"version=0", 0, LIMITS)
            self.machines[name] = Machine(settings)
            self.machines = dict(sorted(self.machines.items()))
        return self.machines[name]

    def _has(self, name: str, machine: Machine, words: list[str]) -> None:
        numbers = dict(pairwise(words))
        for word in words:
            if ":" in word:
                first, _, last = word.partition("-")
                machine.log += [(zxid, b"txn") for zxid in range(zxid_of(first), zxid_of(last or first) + 1)]
        machine.current_epoch = int(numbers.get("epoch", epoch_of(machine.log[-1][0])))
        machine.accepted_epoch = int(numbers.get("accepted", machine.current_epoch))
        self.windows[name] = int(numbers.get("window", 500))

    def _crash(self, name: str, machine: Machine) -> None:
        machine.crash()
        for number, wire in list(self.wires.items()):
            if wire.receiver == sid_of(name):
                del self.wires[number]
                self._end(number)

    def _disk(self, name: str, verb: str) -> None:
        if verb == "once":
            self.lines.append(f"{name} disk: {worded(self.machines[name].work[0])}")
            self.machines[name].finish_work(self._now())
        else:
            (self.held_disks.add if verb == "holds" else self.held_disks.discard)(name)

    def _link(self, sender: str, receiver: str, verb: str) -> None:
        if verb == "holds":
            self.held_links.add((sender, receiver))
        elif verb == "goes":
            self.held_links.discard((sender, receiver))
        else:
            for one, other in ((sender, receiver), (receiver, sender)):
                self._wire(one, other).items = deque([None])

    def _wire(self, sender: str, receiver: str) -> Wire:
        """The last link between the two."""
        ends = (sid_of(sender), sid_of(receiver))
        return [wire for wire in self.wires.values() if (wire.sender, wire.receiver) == ends][-1]

    def _wait(self, ms: int) -> None:
        self._settle()
        until_ms = self.mono_ms + ms
        while (due := min(self._dues(), default=(until_ms + 1, "")))[0] <= until_ms:
            self.mono_ms = max(due[0], self.mono_ms)
            peer = self.machines[due[1]].peer
            assert peer is not None
            peer.on_timeout(self._now())
            self._settle()
        self.mono_ms = until_ms

    def _dues(self) -> list[tuple[int, str]]:
        peers = [(name, machine.peer) for name, machine in self.machines.items() if machine.peer is not None]
        return [(due_ms, name) for name, peer in peers if (due_ms := peer.deadline()) is not None]

    # ---- what happens by itself

    def _settle(self) -> None:
        """Until nothing can happen."""
        for _ in range(10_000):
            if not (self._effects() or self._disks() or self._connects() or self._votes() or self._arrivals()):
                return
        raise AssertionError("no end")

    def _effects(self) -> bool:
        any_effects = False
        for name, machine in self.machines.items():
            if machine.peer is None:
                continue
            for effect in machine.peer.take():
                any_effects = True
                self._show(name, effect)
                self._carry_out(name, machine, effect)
        return any_effects

    def _disks(self) -> bool:
        for name, machine in self.machines.items():
            if machine.work and name not in self.held_disks:
                self.lines.append(f"{name} disk: {worded(machine.work[0])}")
                machine.finish_work(self._now())
                return True
        return False

    def _connects(self) -> bool:
        if not self.dials:
            return False
        sender, receiver = self.dials.popleft()
        listener, dialler = self.machines.get(receiver), self.machines[sender].peer
        if dialler is not None and (listener is None or listener.peer is None):
            self.lines.append(f"{sender}: no answer from {receiver}")
            dialler.on_dial_failed(sid_of(receiver), self._now())
        elif dialler is not None:
            self._connect(sender, receiver)
        return True

    def _connect(self, sender: str, receiver: str) -> None:
        one, other = self.n_links + 1, self.n_links + 2
        self.n_links += 2
        self.wires[one] = Wire(sid_of(receiver), sid_of(sender), one)
        self.wires[other] = Wire(sid_of(sender), sid_of(receiver), other)
        listener, dialler = self.machines[receiver].peer, self.machines[sender].peer
        assert listener is not None
        listener.on_link(other, self._now())
        if dialler is not None:
            dialler.on_dialled(sid_of(receiver), one, self._now())

    def _votes(self) -> bool:
        if not self.votes:
            return False
        sender, receiver, notification = self.votes.popleft()
        machine = self.machines.get(name_of(receiver))
        if machine is not None and machine.peer is not None:
            machine.peer.on_notification(sender, notification, self._now())
        return True

    def _arrivals(self) -> bool:
        for wire in list(self.wires.values()):
            machine = self.machines[name_of(wire.receiver)]
            is_held = (name_of(wire.sender), name_of(wire.receiver)) in self.held_links
            if wire.items and not is_held:
                self._arrive_all(machine, wire)
                return True
        return False

    def _arrive_all(self, machine: Machine, wire: Wire) -> None:
        """Up to a snapshot, which is read in a piece of its own."""
        while wire.items:
            item = wire.items.popleft()
            self._arrive(machine, wire, item)
            if not isinstance(item, QuorumPacket) or item.type == jute.SNAP:
                return

    def _arrive(self, machine: Machine, wire: Wire, item: Item) -> None:
        if isinstance(item, list) and machine.peer is None:
            return
        if isinstance(item, list):
            machine.receiving = None
            machine.work.append(Saved(item[-1][0] if item else 0, item))
        elif item is None:
            del self.wires[wire.number]
            if machine.peer is not None:
                self._lose_snapshot(machine, wire.number)
                machine.peer.on_link_lost(wire.number, self._now())
        elif machine.peer is not None:
            machine.peer.on_packet(wire.number, item, self._now())

    def _lose_snapshot(self, machine: Machine, link: int) -> None:
        if machine.receiving == link:
            assert machine.peer is not None
            machine.receiving = None
            machine.peer.on_snapshot_lost(self._now())

    def _end(self, number: int) -> None:
        other = self.wires.get(other_end(number))
        if other is not None:
            other.items.append(None)

    # ---- effects

    def _carry_out(self, name: str, machine: Machine, effect: Effect) -> None:
        assert machine.peer is not None
        if isinstance(effect, Append | SaveEpoch | Truncate | ReadLog):
            machine.work.append(effect)
        elif isinstance(effect, Notify):
            self.votes.append((sid_of(name), effect.sid, effect.notification))
        elif isinstance(effect, Dial):
            self.dials.append((name, name_of(effect.sid)))
        elif isinstance(effect, Pinged):
            machine.peer.pong(b"", self._now())
        elif isinstance(effect, Passed):
            for _ in [packet for packet in effect.packets if packet.data == b"sync"]:
                machine.peer.sync(effect.link, self._now())
        elif isinstance(effect, Deliver | Replay):
            machine.tree += effect.entries
        elif isinstance(effect, ReceiveSnapshot):
            machine.receiving = effect.link
        elif isinstance(effect, Send | SendSnapshot | CloseLink):
            self._carry_out_on_link(machine, effect)

    def _carry_out_on_link(self, machine: Machine, effect: Send | SendSnapshot | CloseLink) -> None:
        wire = self.wires.get(other_end(effect.link))
        if isinstance(effect, CloseLink):
            self._end(effect.link)
            self.wires.pop(effect.link, None)
            self._lose_snapshot(machine, effect.link)
        elif wire is not None:
            items: list[Item] = [list(machine.tree)] if isinstance(effect, SendSnapshot) else [*effect.packets]
            wire.items += items

    def _show(self, name: str, effect: Effect) -> None:
        if isinstance(effect, Send | SendSnapshot | ReceiveSnapshot | CloseLink | ReadLog):
            other = self.wires.get(effect.link)
            whom = name_of(other.sender) if other is not None else "nobody"
            self.lines.append(f"{name} {LINK_WORDS[type(effect)]} {whom}: {worded(effect)}")
        elif isinstance(effect, Passed):
            wire = self.wires[effect.link] if effect.link is not None else None
            whom = f" from {name_of(wire.sender)}" if wire is not None else ""
            self.lines += [f"{name}: passed {packet_text(packet)}{whom}" for packet in effect.packets]
        elif not isinstance(effect, Notify | Pinged):
            self.lines.append(f"{name}: {worded(effect)}")


LINK_WORDS = {Send: "->", SendSnapshot: "->", ReceiveSnapshot: "<-", CloseLink: "closes", ReadLog: "for"}


def worded(effect: Effect | Saved) -> str:
    """An effect in a line."""
    if isinstance(effect, Append | Deliver | Replay):
        return f"{type(effect).__name__.lower()} {zxids(effect.entries)}"
    if isinstance(effect, Send):
        return ", ".join(packet_text(packet) for packet in effect.packets)
    if isinstance(effect, SendSnapshot | ReceiveSnapshot):
        return f"snapshot {zxid_text(effect.zxid)}"
    if isinstance(effect, Saved):
        return f"snapshot {zxid_text(effect.zxid)} saved"
    if isinstance(effect, ReadLog):
        return f"read log {zxid_text(effect.from_zxid)} to {zxid_text(effect.upto_zxid)}"
    if isinstance(effect, Truncate):
        return f"truncate to {zxid_text(effect.zxid)}"
    if isinstance(effect, SaveEpoch):
        return f"save {effect.name} {effect.epoch}"
    if isinstance(effect, Dial):
        return f"dial {name_of(effect.sid)}"
    if isinstance(effect, Became):
        whom = f" {name_of(effect.leader_sid)}" if effect.leader_sid > 0 and effect.state != jute.LEADING else ""
        return f"{STATES[effect.state]}{whom}{f', serving epoch {effect.epoch}' if effect.is_serving else ''}"
    if isinstance(effect, CloseLink):
        return effect.why
    assert isinstance(effect, Note), effect
    return f"note: {effect.text}"


def packet_text(packet: QuorumPacket) -> str:
    """A packet in words: its type, its zxid, and its data where that says something."""
    text = f"{KINDS[packet.type]} {zxid_text(packet.zxid) if packet.zxid >= 0 else packet.zxid}"
    data = packet.data
    if not data or packet.type in (jute.PROPOSAL, jute.INFORM):
        return text
    if packet.type in (jute.FOLLOWERINFO, jute.OBSERVERINFO):
        return f"{text} of {name_of(jute.decode_learner_info(data).sid)}"
    if packet.type == jute.ACKEPOCH:
        return f"{text} epoch {I32.unpack(data)[0]}"
    return f"{text} {data.hex() if packet.type == jute.LEADERINFO else data.decode()}"


def packet_of(words: list[str]) -> QuorumPacket:
    """TYPE zxid, then `of NAME`, `epoch N` or text as data."""
    numbers = {name: number for number, name in KINDS.items()}
    return QuorumPacket(numbers[words[0]], zxid_of(words[1]), data_of(words[2:]))


def data_of(words: list[str]) -> bytes | None:
    """`of NAME`: a LearnerInfo; `epoch N`: an i32; other words: themselves."""
    if words[:1] == ["of"]:
        return encode_learner_info(LearnerInfo(sid_of(words[1])))
    if words[:1] == ["epoch"]:
        return I32.pack(int(words[1]))
    return " ".join(words).encode() if words else None


def zxids(entries: list[Entry]) -> str:
    texts = [zxid_text(zxid) for zxid, _ in entries]
    return " ".join(texts) if len(texts) < 4 else f"{texts[0]} … {texts[-1]}"


def zxid_of(text: str) -> int:
    if ":" not in text:
        return int(text)
    epoch, counter = text.split(":")
    return make_zxid(int(epoch), int(counter, 0))


def zxid_text(zxid: int) -> str:
    counter = counter_of(zxid)
    return f"{epoch_of(zxid)}:{counter if counter < 1 << 16 else hex(counter)}"


def sid_of(name: str) -> int:
    return ord(name) - ord("a") + 1


def name_of(sid: int) -> str:
    return chr(sid + ord("a") - 1)


def other_end(number: int) -> int:
    """Links are numbered in pairs, 1 and 2, 3 and 4 …"""
    return number + 1 if number % 2 else number - 1
