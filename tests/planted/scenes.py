"""Scenes: who is killed and started when, where a fault needs an order of events that chance takes long to find.

All have three voters. The one with the greatest sid leads first, and clients write all the time.
"""

from tests.planted.stage import Stage
from zoopark.sim.storage import SLOW


def _leads(stage: Stage, sid: int) -> bool:
    return stage.ensemble.leader() == sid


def begin(stage: Stage) -> None:
    """3 leads, and all of them have written something."""
    stage.until(lambda: _leads(stage, 3) and stage.serves(1) and stage.serves(2))
    stage.grow(5)


def tail(stage: Stage) -> None:
    """1 is down and lacks what 2 and 3 have committed; 3 is down and has logged more, which nobody else has."""
    begin(stage)
    stage.crash(1)
    stage.grow(5)
    stage.crash(2)
    mirror = stage.ledger.mirrors[3]
    stage.until(lambda: mirror.durable_zxid() > stage.ledger.committed_zxid + 3)
    stage.crash(3)


def slow_history(stage: Stage) -> None:
    """A follower with a slow disk makes the quorum of a leader that has more than was committed."""
    tail(stage)
    stage.ensemble.machines[2].storage.slowness = SLOW
    stage.start(2, 3)
    stage.until(lambda: _leads(stage, 3))
    stage.grow(3)


def death_at_the_epoch(stage: Stage) -> None:
    """A follower that lacked committed transactions dies as soon as the new epoch is its current one.

    It then meets the one member that held those transactions and has not heard of that epoch.
    """
    begin(stage)
    stage.crash(1)
    stage.grow(5)
    stage.settle()
    stage.crash(2, 3)
    stage.start(1, 3)
    machine = stage.ensemble.machines[1]
    stage.until(lambda: machine.storage._epoch_job == ("currentEpoch", 2))
    machine.doom = 1
    stage.until(lambda: machine.member is None)
    stage.crash(3)
    stage.start(1, 2)
    stage.until(lambda: stage.ensemble.leader() > 0)


def learner_becomes_leader(stage: Stage) -> None:
    """2 is synchronised by 3, writes go on, 3 dies, and 2 synchronises 1, which was away all the time."""
    tail(stage)
    stage.start(2, 3)
    stage.until(lambda: _leads(stage, 3) and stage.serves(2))
    stage.grow(3)
    stage.crash(3)
    stage.start(1)
    stage.until(lambda: _leads(stage, 2) and stage.serves(1))


def tail_is_truncated(stage: Stage) -> None:
    """3 comes up with what was never committed and finds nobody; the others form an epoch without it, and it returns.

    Nobody writes in that epoch before it is back: else it would be sent a snapshot, not told to truncate.
    """
    tail(stage)
    stage.start(3)
    stage.wait(2)
    stage.crash(3)
    stage.ensemble.is_resting = True
    stage.start(1, 2)
    stage.until(lambda: _leads(stage, 2) and stage.serves(1))
    stage.start(3)
    stage.until(lambda: stage.serves(3))
    stage.ensemble.is_resting = False
    stage.grow(3)
