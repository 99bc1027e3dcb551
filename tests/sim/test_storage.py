"""One job at a time, in order, and nothing durable before its event."""

import errno

from tests.sim.test_machine import running
from zoopark.log.logreader import read_from
from zoopark.server.recovery import log_directory
from zoopark.sim.machine import Machine


def logged(machine: Machine) -> list[int]:
    """The zxids that a power loss at this moment would leave for certain."""
    disk = machine.storage.disk.clone()
    return [zxid for zxid, _ in read_from(disk, log_directory(machine.config), 1)]


def test_the_log_is_what_the_ledger_says() -> None:
    for seed in range(4):
        ensemble = running(seed)
        zxids = logged(ensemble.machines[1])
        assert zxids == list(range(1, ensemble.ledger.mirrors[1].durable_zxid() + 1))


def test_a_snapshot_begins_a_new_file_and_loses_nothing() -> None:
    ensemble = running(1, 6000)
    assert ensemble.world.counts["snapshot taken"] > 1
    files = ensemble.machines[1].storage.disk.files(log_directory(ensemble.machines[1].config), "log.")
    assert len(files) > 1
    assert logged(ensemble.machines[1]) == list(range(1, ensemble.ledger.mirrors[1].durable_zxid() + 1))


def test_a_failing_disk_ends_the_process_and_a_healed_one_starts_it() -> None:
    for error in (errno.EIO, errno.ENOSPC):
        ensemble = running()
        machine = ensemble.machines[1]
        durable = ensemble.ledger.mirrors[1].durable_zxid()
        machine.storage.disk.sicken(error)
        ensemble.world.run(300)
        assert not machine.is_up()
        machine.storage.disk.heal()
        ensemble.world.run(300)
        assert machine.is_up() and machine.member.tree.last_zxid >= durable
