"""A whole simulated ensemble: machines, the network between them, clients, and the checkers that watch all of it."""

from typing import Any, Final, final

from zoopark.record import Now
from zoopark.server.config import default_config
from zoopark.server.member import Member as AloneMember
from zoopark.server.recovery import Recovered
from zoopark.sim.bare import build_bare
from zoopark.sim.checkers import Violation
from zoopark.sim.checkers.ledger import LEADING, Ledger
from zoopark.sim.checkers.sessions import SessionView
from zoopark.sim.checkers.truth import Truth
from zoopark.sim.client import FIRST_PLACE, SimClient
from zoopark.sim.machine import RATE, Build, Machine, Member, Role
from zoopark.sim.network import Link, Network
from zoopark.sim.quorumlinks import QuorumLinks
from zoopark.sim.whole import build_whole, role_of
from zoopark.sim.world import MS, SECOND, STEP, TO_CLIENT, TO_SERVER, World

KEYS: Final = {
    "tickTime": "500",
    "snapCount": "150",
    "preAllocSize": "16",
    "autopurge.purgeInterval": "1",
    "autopurge.snapRetainCount": "3",
}
LOCAL_KEYS: Final = {
    **KEYS,
    "localSessionsEnabled": "true",
    "localSessionsUpgradingEnabled": "true",
    "readonlymode.enabled": "true",
}
"""Nobody here asks for a read-only server; the members check that no tree is replaced while there is one."""


@final
class Kind:
    """What the members of an ensemble are.

    Args:
        build: makes one from what was recovered.
        role: reads its role.
        has_quorum_links: whether they talk to each other.
        has_local_sessions: whether sessions are local until they create an ephemeral, and members without a leader are
            read-only servers.
    """

    __slots__ = ("build", "has_local_sessions", "has_quorum_links", "role")

    def __init__(self, build: Build, role: Role, has_quorum_links: bool, has_local_sessions: bool = False) -> None:
        self.build = build
        self.role = role
        self.has_quorum_links = has_quorum_links
        self.has_local_sessions = has_local_sessions


def build_alone(machine: Machine, found: Recovered, now: Now) -> Member:
    """A standalone server."""
    member = AloneMember(machine.config, found.tree, machine.random, now)
    member.logged_since_snapshot = found.n_txns
    return member


def role_alone(member: Member) -> tuple[int, bool, int, int]:
    """It leads, always, in epoch 0."""
    return LEADING, True, 1, 0


ALONE: Final = Kind(build_alone, role_alone, has_quorum_links=False)
BARE: Final = Kind(build_bare, role_of, has_quorum_links=True)
WHOLE: Final = Kind(build_whole, role_of, has_quorum_links=True)
LOCAL: Final = Kind(build_whole, role_of, has_quorum_links=True, has_local_sessions=True)
WRITE_US: Final = 20 * MS


@final
class Ensemble:
    """Machines and clients in one world.

    Args:
        world: where they are.
        kind: what the members are.
        n_voters: sids 1 … n_voters vote.
        n_observers: the sids behind them only learn.
        n_clients: how many clients there are.

    Attributes:
        truth: what is committed, `ledger` what the members did.
        machines: by sid.
        is_resting: nobody asks for anything any more.
    """

    def __init__(self, world: World, kind: Kind, n_voters: int, n_observers: int, n_clients: int) -> None:
        self.world = world
        self.kind = kind
        self.network = Network(world)
        self.truth = Truth()
        self.is_resting = False
        self.voters = list(range(1, n_voters + 1))
        self.observers = list(range(n_voters + 1, n_voters + n_observers + 1))
        needed = n_voters // 2 + 1
        self.quorum_size = needed
        self.ledger = Ledger(self.voters, self.observers, lambda sids: len(sids) >= needed, self.truth.on_committed)
        self.machines: dict[int, Machine] = {}
        for sid in self.voters + self.observers:
            config = default_config("/data", LOCAL_KEYS if kind.has_local_sessions else KEYS)
            self.machines[sid] = Machine(sid, config, self.network, self.ledger, kind.build, kind.role)
            self.machines[sid].on_refused = self.on_refused
        self.votes: dict[tuple[int, int], Any] = {}
        if kind.has_quorum_links:
            for machine in self.machines.values():
                QuorumLinks(machine, self.machines, self.votes)
        sids = list(self.machines)
        self.clients = [
            SimClient(
                FIRST_PLACE + at,
                self.network,
                sids,
                SessionView(
                    f"client {FIRST_PLACE + at}", self.truth, self.ledger.has_end, may_be_local=kind.has_local_sessions
                ),
                self.knock,
            )
            for at in range(n_clients)
        ]

    def start(self) -> None:
        """Start everything, each machine in its own time."""
        for machine in self.machines.values():
            machine.restart_later(int(self.world.random.random() * 50) * MS)
        for client in self.clients:
            client.start()
        if not self.clients:
            self.world.after(WRITE_US, self._write, STEP, 0, 0, None)

    def _write(self, who: int, what: int, payload: Any) -> None:
        """Members without clients are asked to write: whoever leads does."""
        for machine in self.machines.values():
            if machine.member is not None and not self.is_resting:
                machine.give(machine.member.write)
        self.world.after(int(self.world.random.random() * WRITE_US), self._write, STEP, 0, 0, None)

    def knock(self, client: SimClient, sid: int) -> Link | None:
        """A link from a client to a member, if there is a way and somebody listens."""
        machine = self.machines[sid]
        if machine.member is None or not self.network.is_reachable(client.place, sid):
            return None
        link = self.network.open((client.place, sid), (client.on_link, machine.on_client), (TO_CLIENT, TO_SERVER))
        machine.accept(link)
        return link

    def heal_network(self) -> None:
        """No partition any more."""
        self.network.heal()
        for machine in self.machines.values():
            if machine.quorum is not None:
                machine.quorum.flush_votes()

    def heal(self) -> None:
        """Make everything well that can be, and start whoever is down."""
        self.network.stretch = 1
        self.heal_network()
        for machine in self.machines.values():
            machine.storage.slowness = 1
            machine.doom = 0
            machine.storage.disk.heal()
            machine.skew(RATE, 0)
            if machine.is_paused:
                machine.resume()
            if machine.member is None:
                machine.restart_later(0)

    def on_refused(self, machine: Machine, why: str) -> None:
        """A machine cannot start on its disk: somebody empties it, as soon as the others keep what it knew."""
        self.world.note(f"{machine.sid} cannot start: {why}")
        if not machine.is_damaged:
            raise Violation(f"recovery: member {machine.sid} refuses a disk that nobody damaged: {why}")
        if self.may_lose(machine.sid):
            machine.wipe()
        machine.restart_later(SECOND)

    def leader(self) -> int:
        """The sid of a member that leads and serves, the one of the newest epoch; 0 if there is none."""
        leading = [
            (mirror.epoch, sid)
            for sid, mirror in self.ledger.mirrors.items()
            if mirror.is_serving and mirror.state == LEADING
        ]
        return max(leading)[1] if leading else 0

    def up(self) -> list[int]:
        """The sids of the machines that run."""
        return [sid for sid, machine in self.machines.items() if machine.member is not None]

    def down(self) -> list[int]:
        """The sids of the machines that do not."""
        return [sid for sid, machine in self.machines.items() if machine.member is None]

    def is_settled(self) -> bool:
        """Whether every member serves and all of them are at the last committed transaction."""
        zxids: dict[int, None] = {}
        for sid, machine in self.machines.items():
            if machine.member is None or machine.is_paused or not self.ledger.mirrors[sid].is_serving:
                return False
            zxids[machine.member.tree.last_zxid] = None
        return len(zxids) == 1

    def is_at_rest(self) -> bool:
        """Whether it is settled and every client is served."""
        return self.is_settled() and all(client.is_served() for client in self.clients)

    def may_lose(self, sid: int) -> bool:
        """Whether the others keep everything that is committed or promised if this member forgets all it knows.

        Each quorum that it may be part of afterwards must have another voter that knows: so fewer of the others than
        a quorum without it may be ignorant. Nor may it have made durable more than is committed: an acknowledgement
        of that may still be under way, and would count for a disk that has forgotten it.
        """
        mirrors = self.ledger.mirrors
        if sid not in self.voters:
            return True
        if mirrors[sid].durable_zxid() > self.ledger.committed_zxid:
            return False
        accepted = max(mirrors[voter].accepted_epoch for voter in self.voters)
        ignorant = [
            voter
            for voter in self.voters
            if voter != sid
            and (
                not mirrors[voter].holds(self.ledger.committed_zxid)
                or mirrors[voter].accepted_epoch < accepted
                or mirrors[voter].current_epoch < max(self.ledger.established, default=0)
            )
        ]
        return len(self.voters) > 1 and len(ignorant) < self.quorum_size - 1
