"""Agreement and nothing else: a member without sessions and clients, so that elections and broadcast run fast.

It is `zoopark.zab.peer.Peer`, unmodified, over a tree. Whoever leads is asked to write now and then. What can be seen
of it is what can be seen of a whole member, so the same checkers watch it.
"""

from collections.abc import Callable, Iterable
from random import Random
from typing import Final, final

from zoopark.jute import txn as txns
from zoopark.jute.buffer import I32, pack_buffer
from zoopark.jute.quorum import LEADING
from zoopark.jute.stat import version_of
from zoopark.record import Effect, Now
from zoopark.server.effects import SaveSnapshot, TakeSnapshot
from zoopark.server.recovery import Recovered
from zoopark.sim.machine import Machine, Member
from zoopark.sim.whole import history_of, settings_of
from zoopark.tree.snapshot import read_stream
from zoopark.tree.tree import Tree
from zoopark.zab.effects import Became, Deliver, Passed, Pinged, ReceiveSnapshot, Replay, SendSnapshot
from zoopark.zab.peer import Peer

N_NODES: Final = 20
SNAPSHOT_TXNS: Final = 120
_PARENT_CVERSION: Final = I32.pack(txns.CURRENT_CVERSION)


@final
class Bare:
    """A Peer and the tree that its transactions make.

    Args:
        peer: not started.
        tree: as recovered.
        random: decides what is written.
        clock: the moment, for answers that are given at once.

    Attributes:
        became: what the peer said last of its role.
    """

    __slots__ = (
        "_clock",
        "_effects",
        "_is_snapshot_running",
        "_n_applied",
        "_random",
        "_received",
        "_receiving_zxid",
        "_versions",
        "became",
        "deadline",
        "logged_bytes_since_snapshot",
        "on_dial_failed",
        "on_dialled",
        "on_epoch_saved",
        "on_link",
        "on_link_lost",
        "on_log_read",
        "on_logged",
        "on_notification",
        "on_packet",
        "on_snapshot_lost",
        "on_timeout",
        "on_truncated",
        "peer",
        "tree",
    )

    def __init__(self, peer: Peer, tree: Tree, random: Random, clock: Callable[[], Now]) -> None:
        self.peer = peer
        self.tree = tree
        self.became = Became(0, False, -1, 0)
        self.logged_bytes_since_snapshot = 0
        self._random = random
        self._clock = clock
        self._effects: list[Effect] = []
        self._versions: dict[bytes, int] = {}
        self._n_applied = 0
        self._is_snapshot_running = False
        self._receiving_zxid = 0
        self._received: Tree | None = None
        # Inputs go to the peer as they are.
        self.deadline = peer.deadline
        self.on_notification = peer.on_notification
        self.on_link = peer.on_link
        self.on_dialled = peer.on_dialled
        self.on_dial_failed = peer.on_dial_failed
        self.on_link_lost = peer.on_link_lost
        self.on_packet = peer.on_packet
        self.on_logged = peer.on_logged
        self.on_epoch_saved = peer.on_epoch_saved
        self.on_truncated = peer.on_truncated
        self.on_snapshot_lost = peer.on_snapshot_lost
        self.on_log_read = peer.on_log_read
        self.on_timeout = peer.on_timeout

    def on_reloaded(self, tree: Tree) -> None:
        """The database was loaded anew, after a truncation or from a snapshot."""
        self.tree = tree

    def on_snapshot_received(self, link: int, pieces: Iterable[bytes], now: Now) -> None:
        """The snapshot that was waited for on this link is whole."""
        self._received = Tree(self.tree.kinds)
        read_stream(self._received, pieces)
        self._received.last_zxid = self._receiving_zxid
        self._effects.append(SaveSnapshot(self._receiving_zxid, self._received))

    def on_snapshot_saved(self, zxid: int, now: Now) -> None:
        """It is durable, and alone."""
        assert self._received is not None, "no snapshot has come"
        self.tree, self._received = self._received, None
        self.peer.on_snapshot_saved(zxid, now)

    def on_snapshot(self) -> None:
        """The snapshot that was asked for is complete."""
        self._is_snapshot_running = False

    def take(self) -> list[Effect]:
        """What is left to the host. Nothing follows a tree that is to be sent: it must not change before."""
        left: list[Effect] = []
        while not left and (effects := self._effects or self.peer.take()):
            self._effects = []
            for at, effect in enumerate(effects):
                self._carry_out(effect, left)
                if isinstance(effect, SendSnapshot):
                    self._effects = effects[at + 1 :]
                    break
        return left

    def has_effects(self) -> bool:
        """Whether `take` may return something; it alone knows."""
        return True

    def write(self, now: Now) -> bool:
        """Propose something if this member leads; whether it does."""
        if self.became.state != LEADING or not self.became.is_serving or self.peer.state != LEADING:
            return False
        zxid = self.peer.next_zxid()
        path = b"/n%d" % self._random.randrange(N_NODES)
        node = self.tree.nodes.get(path)
        version = self._versions.get(path, version_of(node.stat) if node is not None else -1)
        self._versions[path] = version + 1
        data = pack_buffer(b"%x" % zxid)
        if version < 0:
            kind, body = txns.CREATE, txns.encode_create(path, data + txns.OPEN_ACL, False, txns.CURRENT_CVERSION)
        else:
            kind, body = txns.SET_DATA, txns.encode_set_data(path, data, version + 1)
        self.peer.propose(zxid, txns.HEADER.pack(0, 0, zxid, now.wall_ms, kind) + body, now)
        return True

    def _carry_out(self, effect: Effect, left: list[Effect]) -> None:
        if isinstance(effect, Deliver | Replay):
            for _, txn in effect.entries:
                self.tree.apply(txn)
            self._n_applied += len(effect.entries)
            if self._n_applied > SNAPSHOT_TXNS and self.became.is_serving and not self._is_snapshot_running:
                self._n_applied, self._is_snapshot_running = 0, True
                left.append(TakeSnapshot(self.tree.last_zxid))
        elif isinstance(effect, Became):
            self.became = effect
            self._versions.clear()
        elif isinstance(effect, Pinged):
            self.peer.pong(b"", self._clock())
        elif not isinstance(effect, Passed):
            if isinstance(effect, ReceiveSnapshot):
                self._receiving_zxid = effect.zxid
            left.append(effect)


def build_bare(machine: Machine, found: Recovered, now: Now) -> Member:
    """A member of an ensemble of the voters that its machine knows, started."""
    settings = settings_of(machine)
    peer = Peer(settings, history_of(machine, found))
    member = Bare(peer, found.tree, machine.random, machine.now)
    peer.on_start(now)
    return member
