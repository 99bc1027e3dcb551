"""Fail at the N-th call, lose power at the N-th change: the durable column, until nothing fails any more.

A short life of a server is played on a simulated disk: it appends in batches, rolls, writes snapshots, epochs, purges.
After every fault the directory must open again, with all that was acknowledged, nothing invented, and go on.
"""

import errno
from random import Random

import pytest

from tests.log.samples import Entry, read_all, recover, txn
from zoopark.log.epochs import Epochs
from zoopark.log.snapfiles import GZ, PLAIN, SEAL, SnapshotReader, SnapshotWriter, candidates, purge, remove_unfinished
from zoopark.log.txnlog import TxnLog
from zoopark.sim.disk import SimCrash, SimDisk

D = "/version-2"
BATCHES = [1, 1, 7, 30, 2, 1, 12, 1, 3, 25, 1, 4, 1, 1, 9, 40]
SIZES = [32, 60, 200, 333, 511, 600, 90]


class Life:
    """What a server does, and what it has promised so far."""

    def __init__(self, disk: SimDisk) -> None:
        self.disk = disk
        self.acknowledged: list[Entry] = []
        self.sent: list[Entry] = []
        self.epoch = 0

    def run(self) -> None:
        self.disk.make_directory(D)
        epochs = Epochs(self.disk, D)
        epochs.load(0)
        log = TxnLog(self.disk, D, 0, 8192)
        zxid = 1
        for step, count in enumerate(BATCHES):
            batch = [(at, txn(at, SIZES[at % len(SIZES)])) for at in range(zxid, zxid + count)]
            self.sent += batch
            log.append(batch)
            self.acknowledged += batch
            zxid += count
            if log.wants_reserve():
                log.reserve_ahead()
            if step % 3 == 2:
                self.save(log, step)
                epochs.save_accepted(epochs.accepted + 1)
                self.epoch = epochs.accepted

    def save(self, log: TxnLog, step: int) -> None:
        log.roll()
        writer = SnapshotWriter(self.disk, D, log.last_zxid, PLAIN if step % 2 else GZ, sync_every_bytes=1000)
        writer.write(snapshot_bytes(log.last_zxid))
        writer.finish()
        purge(self.disk, D, D, 3)


def snapshot_bytes(zxid: int) -> bytes:
    return f"state at {zxid} ".encode() * 300 + SEAL


def check(life: Life) -> None:
    """Open the directory as a server would, and compare with what was promised."""
    disk = life.disk
    disk.make_directory(D)
    remove_unfinished(disk, D)
    base = 0
    for file in candidates(disk, D):
        reader = SnapshotReader(disk, file)
        assert b"".join(iter(reader.next_chunk, b"")) == snapshot_bytes(file.zxid)
        base = max(base, file.zxid)
    found, _ = read_all(disk, D, base + 1)
    assert found == life.sent[base : base + len(found)]
    assert base + len(found) >= len(life.acknowledged)
    again, log = recover(disk, D, 8192)
    log.last_zxid = max(log.last_zxid, base)
    zxid = log.last_zxid + 1
    log.append([(zxid, txn(zxid))])
    assert read_all(disk, D)[0] == [*again, (zxid, txn(zxid))]
    epochs = Epochs(disk, D)
    epochs.load(0)
    assert epochs.accepted in (life.epoch, life.epoch + 1)


def calls_of_a_life() -> tuple[int, int]:
    """How many calls a life without faults makes, and how many of them change something."""
    life = Life(SimDisk())
    life.run()
    return life.disk.call_count, life.disk.mutation_count


def test_a_life_without_faults() -> None:
    """The scale of the loops below: the life does what they are about."""
    life = Life(SimDisk())
    life.run()
    assert len(life.acknowledged) == sum(BATCHES)
    names = life.disk.list(D)
    assert sum(name.startswith("snapshot.") for name in names) == 3
    assert sum(name.startswith("log.") for name in names) >= 3
    check(life)


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_fail_at_every_call(error: int) -> None:
    """The server stops at the error; with what is on the disk then, and with what is left of it after a power failure,
    the directory opens again."""
    count, faults = 0, 0
    while True:
        count += 1
        life = Life(SimDisk())
        life.disk.fail_at(count, error)
        try:
            life.run()
        except OSError as raised:
            assert raised.errno == error
            faults += 1
            twin = Life(life.disk.clone())
            twin.acknowledged, twin.sent, twin.epoch = life.acknowledged, life.sent, life.epoch
            check(twin)
            life.disk.crash(Random(count))
            check(life)
            continue
        break
    assert faults == calls_of_a_life()[0]


@pytest.mark.parametrize("seed", range(6))
def test_crash_at_every_change(seed: int) -> None:
    """Power is lost in the middle of every change there is, with another part of it on the disk for every seed."""
    count, faults = 0, 0
    while True:
        count += 1
        life = Life(SimDisk())
        life.disk.crash_at(count)
        try:
            life.run()
        except SimCrash:
            faults += 1
            life.disk.crash(Random(seed * 1000 + count))
            check(life)
            continue
        break
    assert faults == calls_of_a_life()[1]


@pytest.mark.parametrize("seed", range(4))
def test_crash_while_recovering_from_a_crash(seed: int) -> None:
    """Mending is safe to repeat: power fails again at every change of a recovery."""
    chance = Random(seed)
    for count in range(1, calls_of_a_life()[1], 3):
        for again in range(1, 4):
            life = Life(SimDisk())
            life.disk.crash_at(count)
            with pytest.raises(SimCrash):
                life.run()
            life.disk.crash(chance)
            life.disk.crash_at(again)
            try:
                remove_unfinished(life.disk, D)
                recover(life.disk, D)
            except SimCrash:
                pass
            life.disk.crash(chance)
            check(life)


def test_crash_after_everything_loses_nothing() -> None:
    """What was acknowledged was durable: the worst crash right after it takes nothing along."""
    life = Life(SimDisk())
    life.run()
    life.disk.lose_all_unsynced()
    check(life)
    assert life.acknowledged[-1] in read_all(life.disk, D)[0]
