"""What a simulated host does for agreement: votes, links between members, snapshots that travel, the log read back.

    votes       one waits for each way between two members at most, a newer one replaces it; some are lost with a crash
    links       dialled by learners; a burst arrives as one, now and then in two pieces
    snapshots   follow their SNAP packet on the link, and are saved by the log's worker when they are whole

It must never be kinder than sockets: a dial may fail or come to nothing, a link may end in the middle of a snapshot.
"""

from collections.abc import Callable
from typing import Any, Final, final

from zoopark.record import Effect, Now
from zoopark.server import effects as served
from zoopark.server.rewriting import read_for_learner
from zoopark.sim.machine import Machine
from zoopark.sim.network import GONE, Link
from zoopark.sim.world import DIAL, DISK, MS, PACKET, SNAPSHOT, TIMER, VOTE
from zoopark.tree.snapshot import write_stream
from zoopark.zab import effects as agreed

DIAL_TIMEOUT_US: Final = 1_000 * MS
SPLIT_ODDS: Final = 0.05
KEPT_VOTE_ODDS: Final = 0.5
PACE_US: Final = 30 * MS


@final
class Stream:
    """A snapshot on its way over a link."""

    __slots__ = ("pieces", "zxid")

    def __init__(self, zxid: int, pieces: list[bytes]) -> None:
        self.zxid = zxid
        self.pieces = pieces

    def __repr__(self) -> str:
        return f"snapshot {self.zxid:#x}"


@final
class QuorumLinks:
    """The half of a machine that talks to other machines.

    Args:
        machine: the other half.
        machines: all of them, by sid.
        waiting_votes: by (from, to), shared by all machines: what has not left yet.
    """

    __slots__ = ("_by_number", "_last_number", "_machines", "_numbers", "_receiving", "_streams", "_votes", "machine")

    def __init__(
        self, machine: Machine, machines: dict[int, Machine], waiting_votes: dict[tuple[int, int], Any]
    ) -> None:
        self.machine = machine
        self._machines = machines
        self._votes = waiting_votes
        self._last_number = 0
        self.forget()
        machine.quorum = self
        acts: dict[type[Effect], Callable[[Any], None]] = {
            agreed.Append: machine.append,
            agreed.Notify: self._notify,
            agreed.Dial: self._dial,
            agreed.CloseLink: self._close,
            agreed.Send: self._send,
            agreed.SendSnapshot: self._send_snapshot,
            agreed.ReceiveSnapshot: self._receive_snapshot,
            agreed.ReadLog: self._read_log,
            served.SaveSnapshot: lambda effect: machine.storage.log_job("receive", (effect.zxid, effect.tree)),
            agreed.Truncate: lambda effect: machine.storage.log_job("truncate", (effect.zxid,)),
            agreed.SaveEpoch: lambda effect: machine.storage.save_epoch(effect.name, effect.epoch),
            agreed.Note: machine.note,
        }
        machine.add_acts(acts)

    def forget(self) -> None:
        """A life has ended."""
        self._by_number: dict[int, Link] = {}
        self._numbers: dict[int, int] = {}
        self._receiving: dict[int, int] = {}
        self._streams: dict[int, Stream] = {}

    def links(self) -> list[Link]:
        """The open links to other members."""
        return list(self._by_number.values())

    def flush_votes(self) -> None:
        """Votes that waited for this machine, or for a partition to heal, leave again; some were lost meanwhile."""
        me = self.machine.sid
        for source, to in list(self._votes):
            if me in (source, to):
                notification = self._votes.pop((source, to))
                if self.machine.random.random() < KEPT_VOTE_ODDS:
                    self._machines[source].quorum.post(to, notification)

    def post(self, sid: int, notification: Any) -> None:
        """Let a vote travel."""
        world = self.machine.world
        delay_us = self.machine.network.delay_us()
        world.after(delay_us, self._on_vote, VOTE, sid, self.machine.sid, notification)

    # Effects.

    def _notify(self, effect: agreed.Notify) -> None:
        machine = self.machine
        if effect.sid == machine.sid:
            machine.world.after(0, self._on_vote, VOTE, effect.sid, machine.sid, effect.notification)
        elif effect.sid in self._machines:
            self._votes.pop((machine.sid, effect.sid), None)
            self.post(effect.sid, effect.notification)

    def _on_vote(self, to: int, source: int, notification: Any) -> None:
        machine, target = self.machine, self._machines[to]
        if source != to and (target.member is None or (source, to) in machine.network.blocked):
            self._votes[(source, to)] = notification
        elif target.member is not None:
            machine.network.n_messages += 1
            target.give(target.member.on_notification, source, notification)

    def _dial(self, effect: agreed.Dial) -> None:
        machine = self.machine
        machine.world.after(
            machine.network.delay_us(), self._on_dial, DIAL, effect.sid, machine.sid, (effect.sid, machine.life)
        )

    def _on_dial(self, who: int, source: int, payload: Any) -> None:
        machine, (sid, life) = self.machine, payload
        if life != machine.life or machine.member is None:
            return
        target = self._machines.get(sid)
        if target is None or target.member is None:
            machine.give(machine.member.on_dial_failed, sid)
            return
        if not machine.network.is_reachable(machine.sid, sid):
            machine.world.after(DIAL_TIMEOUT_US, self._on_dial_timeout, DIAL, sid, machine.sid, payload)
            return
        places = (machine.sid, sid)
        link = machine.network.open(places, (self.on_message, target.quorum.on_message), (PACKET, PACKET))
        number = self._add(link)
        target.quorum.accept(link)
        machine.give(machine.member.on_dialled, sid, number)

    def _on_dial_timeout(self, who: int, source: int, payload: Any) -> None:
        machine, (sid, life) = self.machine, payload
        if life == machine.life and machine.member is not None:
            machine.give(machine.member.on_dial_failed, sid)

    def accept(self, link: Link) -> None:
        """Another member dialled this one."""
        self.machine.give(self.machine.member.on_link, self._add(link))

    def _add(self, link: Link) -> int:
        self._last_number += 1
        self._by_number[self._last_number] = link
        self._numbers[link.serial] = self._last_number
        return self._last_number

    def _close(self, effect: agreed.CloseLink) -> None:
        link = self._by_number.get(effect.link)
        if link is None:
            return
        machine = self.machine
        machine.world.note(f"{machine.sid} closes its link with {sum(link.places) - machine.sid}: {effect.why}")
        self._drop(link, effect.link)
        machine.network.close(link, self._side(link))

    def _side(self, link: Link) -> int:
        return link.side_of(self.machine.sid)

    def _drop(self, link: Link, number: int) -> None:
        del self._by_number[number], self._numbers[link.serial]
        self._streams.pop(number, None)
        if self._receiving.pop(number, None) is not None:
            self._lose_snapshot()

    def _lose_snapshot(self) -> None:
        machine = self.machine
        machine.world.mark("snapshot lost on its way")
        machine.world.after(0, self._on_snapshot_lost, TIMER, machine.sid, machine.life, machine.life)

    def _on_snapshot_lost(self, who: int, what: int, life: int) -> None:
        machine = self.machine
        if life == machine.life and machine.member is not None:
            machine.give(machine.member.on_snapshot_lost)

    def _send(self, effect: agreed.Send) -> None:
        link = self._by_number.get(effect.link)
        if link is None:
            return
        machine, packets = self.machine, effect.packets
        machine.ledger.on_sent(machine.sid, link.serial, packets)
        last = packets[-1]
        if len(packets) > 1 and machine.random.random() < SPLIT_ODDS:
            cut = machine.random.randrange(1, len(packets))
            machine.network.send(link, self._side(link), packets[0].zxid, packets[:cut])
            packets = packets[cut:]
        machine.network.send(link, self._side(link), last.zxid * 32 + last.type, packets)

    def _send_snapshot(self, effect: agreed.SendSnapshot) -> None:
        machine = self.machine
        link = self._by_number.get(effect.link)
        if link is None:
            return
        tree = machine.member.tree
        assert tree.last_zxid == effect.zxid, f"a snapshot of {effect.zxid:#x} of a tree at {tree.last_zxid:#x}"
        machine.world.mark("SNAP sent")
        machine.network.send(link, self._side(link), effect.zxid, Stream(effect.zxid, list(write_stream(tree))))

    def _receive_snapshot(self, effect: agreed.ReceiveSnapshot) -> None:
        machine, number = self.machine, effect.link
        if number not in self._by_number:
            self._lose_snapshot()
            return
        self._receiving[number] = effect.zxid
        stream = self._streams.pop(number, None)
        if stream is not None:
            self._save(number, stream)
            return
        payload = (machine.life, number)
        machine.world.after(effect.idle_ms * MS, self._on_idle, TIMER, machine.sid, machine.life, payload)

    def _on_idle(self, who: int, what: int, payload: Any) -> None:
        life, number = payload
        if life == self.machine.life and self._receiving.pop(number, None) is not None:
            self._lose_snapshot()

    def _save(self, number: int, stream: Stream) -> None:
        machine, zxid = self.machine, self._receiving.pop(number)
        assert zxid == stream.zxid, (zxid, stream.zxid)
        payload = (machine.life, number, stream.pieces)
        machine.world.after(0, self._on_snapshot_received, SNAPSHOT, machine.sid, zxid, payload)

    def _on_snapshot_received(self, who: int, zxid: int, payload: Any) -> None:
        machine, (life, number, pieces) = self.machine, payload
        if life == machine.life and machine.member is not None:
            machine.give(machine.member.on_snapshot_received, number, pieces)

    def _read_log(self, effect: agreed.ReadLog) -> None:
        machine = self.machine
        machine.world.after(
            machine.storage.disk_us(), self._on_read, DISK, machine.sid, effect.upto_zxid, (machine.life, effect)
        )

    def _on_read(self, who: int, what: int, payload: Any) -> None:
        life, effect = payload
        machine = self.machine
        if life == machine.life and machine.member is not None:
            machine.world.mark("log read for a learner")
            entries = read_for_learner(machine.config, machine.storage.disk, effect)
            machine.give(machine.member.on_log_read, effect.link, entries)

    # Inputs.

    def on_message(self, link: Link, message: Any) -> None:
        """Something came over a link from another member."""
        if self.machine.member is not None:
            self.machine.give(self._on_message, link, message)

    def _on_message(self, link: Link, message: Any, now: Now) -> None:
        number = self._numbers.get(link.serial, 0)
        if not number:
            return
        member = self.machine.member
        if message is GONE:
            self._drop(link, number)
            member.on_link_lost(number, now)
        elif type(message) is Stream:
            if number in self._receiving:
                self._save(number, message)
            else:
                self._streams[number] = message
        else:
            on_packet = member.on_packet
            for packet in message:
                on_packet(number, packet, now)
