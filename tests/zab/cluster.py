"""A few Peers under a seeded fate: anything that can happen next happens in any order, and members crash at any effect.

After every step the invariants of the formal work on Zab are asserted (Multi-Grained Specifications, EuroSys 2025):

    I-1   one established leader for an epoch                    I-2   only what was broadcast is delivered
    I-3   agreement      I-4   total order      I-5, I-6   primary order: deliveries are one sequence for all members
    I-7   a primary broadcasts once it holds all that was delivered before
    I-8   the initial history of an established epoch begins with all that was delivered before
    I-9   what is committed is in the logs of a quorum, on disk
    I-10  the logs of a follower and of its leader are each other's beginning
    I-11 … I-14   nobody meets a packet, an acknowledgement or a commit that cannot be
"""

from collections import deque
from random import Random

from tests.zab.machine import Item, Machine, Saved, Wire
from zoopark.jute.quorum import FOLLOWING, LEADING, LOOKING, OBSERVING, Notification, Vote
from zoopark.record import Effect, Now
from zoopark.zab.effects import (
    Append,
    Became,
    CloseLink,
    Deliver,
    Dial,
    Note,
    Notify,
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

IMPOSSIBLE = ("out of turn", "not proposed", "ahead of", "proposal 0x", "commit of", "NEWLEADER of", "truncate to")


class Cluster:
    """Members 1 … n_voters, then observers, driven by one seed."""

    def __init__(self, seed: int, n_voters: int = 3, n_observers: int = 0) -> None:
        self.random = Random(seed)
        self.mono_ms = 1_000
        voters = range(1, n_voters + 1)
        verifier = Majority(voters)
        limits = Limits(tick_ms=1000, init_limit=5, sync_limit=3)
        self.verifier = verifier
        self.machines = {
            sid: Machine(PeerSettings(sid, verifier, limits=limits)) for sid in range(1, n_voters + n_observers + 1)
        }
        self.wires: dict[int, Wire] = {}
        self.other_end: dict[int, int] = {}
        self.dials: deque[tuple[int, int]] = deque()
        self.votes: dict[tuple[int, int], Notification] = {}
        self.n_links = 0
        self.committed: list[Entry] = []
        self.proposed: dict[int, bytes] = {0: b""}
        self.leaders: dict[int, int] = {}
        self.n_proposed = 0
        self.kinds: set[str] = set()
        self.slow = self.random.sample(sorted(self.machines), self.random.randint(0, min(2, n_voters)))
        self.n_rigged = 0
        for machine in self.machines.values():
            machine.start(self.now(), self._n_window())
            self._take(machine)

    def now(self) -> Now:
        return Now(self.mono_ms, self.mono_ms)

    def _n_window(self) -> int:
        return self.random.choice((0, 0, 1, 3, 500))

    # ---- fate

    def run(self, n_steps: int, n_faults: int = 0, n_txns: int = 0) -> None:
        """That many steps, with at most so many crashes, cut links, rigged elections, and proposals among them.

        The disks in `slow` seldom get their turn.
        """
        budget = {"crash": n_faults, "cut": n_faults, "rig": n_faults // 2, "propose": n_txns}
        for _ in range(n_steps):
            name = self.random.choices(list(budget), [1, 1, 1, 8])[0]
            if budget[name] and self.random.random() < 0.04 and self._disturb(name):
                budget[name] -= 1
            else:
                self._step()
            self.check()

    def calm(self, n_steps: int = 6000) -> None:
        """Everybody is up and nothing fails; returns once all serve and hold the same, fails if they never do."""
        for machine in self.machines.values():
            if machine.peer is None:
                machine.start(self.now(), self._n_window())
                self._take(machine)
        for _ in range(n_steps):
            self._step(is_calm=True)
            self.check()
            if self._is_at_rest():
                return
        raise AssertionError(f"no rest: {[(sid, peer_state(m)) for sid, m in self.machines.items()]}")

    def _is_at_rest(self) -> bool:
        states = [machine.peer.state if machine.peer else 0 for machine in self.machines.values()]
        is_formed = states.count(LEADING) == 1 and all(state in (LEADING, FOLLOWING, OBSERVING) for state in states)
        is_idle = not any(wire.items for wire in self.wires.values()) and not any(
            machine.effects or machine.work for machine in self.machines.values()
        )
        return is_formed and is_idle and all(machine.tree == self.committed for machine in self.machines.values())

    def _disturb(self, name: str) -> bool:
        if name == "crash":
            up = [machine for machine in self.machines.values() if machine.peer is not None]
            return bool(up) and self._crash(self.random.choice(up))
        if name == "cut":
            return bool(self.wires) and self._cut(self.random.choice(sorted(self.wires)))
        if name == "rig":
            return self._rig()
        return self.propose()

    def _rig(self) -> bool:
        """Everybody hears that all elect one member, whatever it holds: elections are no part of safety."""
        self.n_rigged += 1
        leader = self.random.choice(sorted(self.verifier.voters))
        vote = Vote(leader, (1 << 62) + self.n_rigged, 1 << 30)
        forged = Notification(LOOKING, vote, 1000 * self.n_rigged)
        for sid, machine in self.machines.items():
            for other in self.verifier.voters - {sid}:
                if machine.peer is not None and not machine.effects:
                    machine.peer.on_notification(other, forged, self.now())
            if machine.peer is not None:
                self._take(machine)
        return True

    def _step(self, is_calm: bool = False) -> None:
        """One thing that can happen does. Time passes when nothing else can, and now and then."""
        busy = [machine for machine in self.machines.values() if machine.effects]
        if busy:
            self._carry_out(self.random.choice(busy))
            return
        down = [machine for machine in self.machines.values() if machine.peer is None]
        if down and self.random.random() < 0.02:
            machine = self.random.choice(down)
            machine.start(self.now(), self._n_window())
            self._take(machine)
            return
        moves: list[tuple[str, int]] = [("wire", number) for number, wire in self.wires.items() if wire.items]
        is_patient = self.random.random() < 0.95 and not is_calm
        slow = self.slow if is_patient and moves else ()
        moves += [("work", sid) for sid, machine in self.machines.items() if machine.work and sid not in slow]
        moves += [("vote", number) for number in range(len(self.votes))] + [("dial", 0)] * bool(self.dials)
        if not moves or self.random.random() < (0.0 if is_calm else 0.01):
            self._pass_time()
            return
        kind, number = self.random.choice(moves)
        {"wire": self._arrive, "work": self._work, "vote": self._vote, "dial": self._connect}[kind](number)

    def _pass_time(self) -> None:
        due = {sid: m.peer.deadline() for sid, m in self.machines.items() if m.peer is not None}
        dues = [(at, sid) for sid, at in due.items() if at is not None]
        if not dues:
            return
        at, sid = min(dues)
        self.mono_ms = max(self.mono_ms, at)
        machine = self.machines[sid]
        assert machine.peer is not None
        machine.peer.on_timeout(self.now())
        self._take(machine)

    def _work(self, sid: int) -> None:
        machine = self.machines[sid]
        machine.finish_work(self.now(), self.random.random() < 0.8)
        self._take(machine)

    def _vote(self, number: int) -> None:
        sender, receiver = list(self.votes)[number]
        notification = self.votes.pop((sender, receiver))
        machine = self.machines[receiver]
        if machine.peer is not None:
            machine.peer.on_notification(sender, notification, self.now())
            self._take(machine)

    def _connect(self, _: int) -> None:
        sender, receiver = self.dials.popleft()
        dialler, listener = self.machines[sender], self.machines[receiver]
        if dialler.peer is None:
            return
        if listener.peer is None:
            dialler.peer.on_dial_failed(receiver, self.now())
            self._take(dialler)
            return
        one, other = self.n_links + 1, self.n_links + 2
        self.n_links += 2
        self.wires[one], self.wires[other] = Wire(receiver, sender, one), Wire(sender, receiver, other)
        self.other_end[one], self.other_end[other] = other, one
        listener.peer.on_link(other, self.now())
        self._take(listener)
        dialler.peer.on_dialled(receiver, one, self.now())
        self._take(dialler)

    def _arrive(self, number: int) -> None:
        wire = self.wires[number]
        machine = self.machines[wire.receiver]
        assert machine.peer is not None
        if machine.receiving == number:
            self._arrive_snapshot(machine, wire)
        else:
            self._hand_over(machine, wire, wire.items.popleft())
        self._take(machine)

    def _arrive_snapshot(self, machine: Machine, wire: Wire) -> None:
        """The stream comes whole, or not at all; what is behind it is fed on while it is saved."""
        assert machine.peer is not None
        item = wire.items.popleft()
        if isinstance(item, list):
            machine.receiving = -1
            machine.work.append(Saved(item[-1][0] if item else 0, item))
            return
        assert item is None, item
        machine.receiving = None
        machine.peer.on_snapshot_lost(self.now())
        self._hand_over(machine, wire, item)

    def _hand_over(self, machine: Machine, wire: Wire, item: Item) -> None:
        assert machine.peer is not None
        if item is None:
            del self.wires[wire.number]
            machine.peer.on_link_lost(wire.number, self.now())
        elif isinstance(item, list):
            raise AssertionError("a snapshot that nobody asked for")
        else:
            self.kinds.add(f"packet {item.type}")
            machine.peer.on_packet(wire.number, item, self.now())

    # ---- faults

    def _crash(self, machine: Machine) -> bool:
        machine.crash(self.random.random())
        for number, wire in list(self.wires.items()):
            if wire.receiver == machine.settings.sid:
                del self.wires[number]
                self._end(number)
        return True

    def _cut(self, number: int) -> bool:
        """The link is lost for both sides, with any end of what was on its way."""
        for side in (number, self.other_end[number]):
            wire = self.wires.get(side)
            if wire is not None and None not in wire.items:
                n_kept = self.random.randint(0, len(wire.items))
                wire.items = deque([*list(wire.items)[:n_kept], None])
        return True

    def _end(self, number: int) -> None:
        """The other side will see the end of the link behind what was sent before."""
        wire = self.wires.get(self.other_end[number])
        if wire is not None and None not in wire.items:
            wire.items.append(None)

    def propose(self) -> bool:
        """A transaction by whoever leads."""
        for machine in self.machines.values():
            if machine.peer is not None and not machine.effects and self._is_serving_leader(machine):
                zxid = machine.peer.next_zxid()
                self.n_proposed += 1
                txn = f"{self.n_proposed} of {machine.settings.sid}".encode()
                assert zxid not in self.proposed, "two primaries of one epoch"
                self.proposed[zxid] = txn
                machine.peer.propose(zxid, txn, self.now())
                self._take(machine)
                return True
        return False

    def _is_serving_leader(self, machine: Machine) -> bool:
        return machine.peer is not None and machine.peer.is_serving() and machine.peer.state == LEADING

    # ---- effects

    def _take(self, machine: Machine) -> None:
        assert machine.peer is not None
        machine.effects += machine.peer.take()

    def _carry_out(self, machine: Machine) -> None:
        """The first effect, and nothing more: between any two of them a crash may come."""
        assert machine.peer is not None
        effect = machine.effects.popleft()
        sid = machine.settings.sid
        self.kinds.add(type(effect).__name__)
        if isinstance(effect, Append | SaveEpoch | Truncate | ReadLog):
            machine.work.append(effect)
        elif isinstance(effect, Notify):
            self.votes[sid, effect.sid] = effect.notification
        elif isinstance(effect, Dial):
            self.dials.append((sid, effect.sid))
        elif isinstance(effect, Pinged):
            machine.peer.pong(b"", self.now())
            self._take(machine)
        elif isinstance(effect, Note):
            assert not any(word in effect.text for word in IMPOSSIBLE), effect.text
        elif isinstance(effect, Became):
            self._became(machine, effect)
        elif isinstance(effect, Deliver | Replay):
            self._apply(machine, effect.entries, isinstance(effect, Deliver))
        else:
            self._carry_out_on_link(machine, effect)

    def _carry_out_on_link(self, machine: Machine, effect: Effect) -> None:
        assert isinstance(effect, Send | SendSnapshot | ReceiveSnapshot | CloseLink), effect
        link = effect.link
        outgoing = self.wires.get(self.other_end[link])
        if isinstance(effect, Send):
            if outgoing is not None and None not in outgoing.items:
                outgoing.items += effect.packets
        elif isinstance(effect, SendSnapshot):
            assert (machine.tree[-1][0] if machine.tree else 0) == effect.zxid
            if outgoing is not None and None not in outgoing.items:
                outgoing.items.append(list(machine.tree))
        elif isinstance(effect, ReceiveSnapshot):
            machine.receiving = link
        else:
            assert not any(word in effect.why for word in IMPOSSIBLE), effect.why
            self._end(link)
            self.wires.pop(link, None)
            self._lose_snapshot(machine, link)

    def _lose_snapshot(self, machine: Machine, link: int) -> None:
        if machine.receiving == link:
            assert machine.peer is not None
            machine.receiving = None
            machine.peer.on_snapshot_lost(self.now())
            self._take(machine)

    def _apply(self, machine: Machine, entries: list[Entry], is_delivered: bool) -> None:
        assert machine.peer is not None
        own = machine.appended() if machine.peer.state == LEADING else machine.log
        assert set(entries) <= set(own), "delivered ahead of the log"
        for zxid, txn in entries:
            assert self.proposed[zxid] == txn, "I-2"
            assert not machine.tree or machine.tree[-1][0] < zxid, "I-4"
            machine.tree.append((zxid, txn))
        if is_delivered:
            self._agree(machine)

    def _agree(self, machine: Machine) -> None:
        """What this member serves is one sequence for all, and it may make it longer."""
        n_common = min(len(machine.tree), len(self.committed))
        assert machine.tree[:n_common] == self.committed[:n_common], "I-3"
        self.committed += machine.tree[n_common:]

    def _became(self, machine: Machine, effect: Became) -> None:
        if not effect.is_serving:
            return
        if effect.state == LEADING:
            assert effect.epoch not in self.leaders, "I-1"
            self.leaders[effect.epoch] = machine.settings.sid
            assert len(machine.tree) >= len(self.committed), "I-8"
        self._agree(machine)

    # ---- invariants

    def check(self) -> None:
        """I-9 and I-10; the others are asserted where they could break."""
        n_committed = len(self.committed)
        holding = [sid for sid, m in self.machines.items() if m.log[:n_committed] == self.committed]
        assert self.verifier.has_quorum(holding), f"I-9: only {holding} hold what is committed"
        for leader in self.machines.values():
            if self._is_serving_leader(leader):
                self._check_followers(leader)

    def _check_followers(self, leader: Machine) -> None:
        for machine in self.machines.values():
            peer = machine.peer
            if peer is None or not peer.is_serving() or peer.leader_sid != leader.settings.sid:
                continue
            if machine is not leader and machine.current_epoch == leader.current_epoch:
                one, other = sorted((leader.appended(), machine.appended()), key=len)
                assert other[: len(one)] == one, "I-10"


def peer_state(machine: Machine) -> str:
    """For the message of a failure."""
    peer = machine.peer
    if peer is None:
        return "down"
    return f"state {peer.state} of {peer.leader_sid} serving {peer.is_serving()} settled {peer.history.is_settled()}"
