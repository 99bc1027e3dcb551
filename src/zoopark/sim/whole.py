"""Whole members of an ensemble: agreement, tree, sessions and connections, as a real host would build them.

A member is `zoopark.server.ensemble.EnsembleMember`, unmodified. What it is told at its start is read from the
simulated disk here; `zoopark.sim.bare` tells its members the same.
"""

from typing import Final

from zoopark.log.logreader import read_from
from zoopark.record import Now
from zoopark.server.ensemble import EnsembleMember
from zoopark.server.recovery import Recovered, log_directory
from zoopark.sim.machine import Machine, Member
from zoopark.zab.history import WINDOW_TXNS, History
from zoopark.zab.quorum import Majority
from zoopark.zab.settings import Limits, PeerSettings
from zoopark.zxid import counter_of, epoch_of, make_zxid

TICK_MS: Final = 500
SIZE_FACTORS: Final = (0.33, 1.0, 0.0)
"""How much of its log a leader may send in place of a snapshot; one of these, by chance."""


def build_whole(machine: Machine, found: Recovered, now: Now) -> Member:
    """A member of an ensemble of the voters that its machine knows, started."""
    member = EnsembleMember(
        machine.config, found.tree, settings_of(machine), history_of(machine, found), machine.random, now
    )
    member.logged_since_snapshot = found.n_txns
    member.on_start(now)
    return member


def settings_of(machine: Machine) -> PeerSettings:
    """Who the member of a machine is."""
    limits = Limits(TICK_MS, size_factor=machine.random.choice(SIZE_FACTORS))
    return PeerSettings(machine.sid, Majority(machine.voters), limits=limits)


def history_of(machine: Machine, found: Recovered) -> History:
    """What was recovered, with as much of its end as can be read back from the log."""
    last_zxid = found.tree.last_zxid
    counter = counter_of(last_zxid)
    start = last_zxid - WINDOW_TXNS if counter > WINDOW_TXNS else make_zxid(epoch_of(last_zxid), 0)
    window = list(read_from(machine.storage.disk, log_directory(machine.config), start + 1))
    if not window or window[-1][0] != last_zxid:
        window = []
    epochs = machine.storage.epochs
    return History(last_zxid, window, epochs.current, epochs.accepted)


def role_of(member: Member) -> tuple[int, bool, int, int]:
    """(state, is_serving, leader_sid, epoch), as the member said last."""
    became = member.became
    return became.state, became.is_serving, became.leader_sid, became.epoch
