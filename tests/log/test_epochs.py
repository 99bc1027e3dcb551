"""The two epoch files and their invariant."""

import pytest

from zoopark.errors import StorageError
from zoopark.log.epochs import Epochs
from zoopark.sim.disk import SimDisk
from zoopark.zxid import MAX_EPOCH, make_zxid

D = "/data"


def disk_with(**files: str) -> SimDisk:
    disk = SimDisk()
    disk.make_directory(D)
    for name, text in files.items():
        disk.write(f"{D}/{name.replace('_', '.')}", 0, text.encode(), is_synced=True)
    return disk


def content(disk: SimDisk) -> dict[str, bytes]:
    return {name: disk.read(f"{D}/{name}", 0, 100) for name in disk.list(D)}


@pytest.mark.parametrize(
    ("files", "zxid_epoch", "current", "accepted"),
    [
        ({}, 0, 0, 0),
        ({}, 3, 3, 3),
        ({"currentEpoch": "2", "acceptedEpoch": "5"}, 2, 2, 5),
        ({"currentEpoch": "2", "acceptedEpoch": "2"}, 1, 2, 2),
        ({"currentEpoch": "2\n", "acceptedEpoch": " 2"}, 1, 2, 2),
        ({"currentEpoch": "3"}, 3, 3, 3),
        ({"acceptedEpoch": "3"}, 3, 3, 3),
        ({"currentEpoch": "2", "acceptedEpoch": "4", "currentEpoch_tmp": "3"}, 3, 3, 4),
        ({"currentEpoch": "2", "acceptedEpoch": "4", "currentEpoch_tmp": "3"}, 2, 2, 4),
        ({"currentEpoch": "2", "acceptedEpoch": "4", "currentEpoch_tmp": ""}, 2, 2, 4),
        # As in ZooKeeper.
        ({"currentEpoch": "2\n7\n", "acceptedEpoch": "+2"}, 2, 2, 2),
        ({"currentEpoch": "2", "acceptedEpoch": str(MAX_EPOCH)}, 2, 2, MAX_EPOCH),
        # Its history was durable, its epoch not yet (ZOOKEEPER-4643).
        ({"currentEpoch": "2", "acceptedEpoch": "4"}, 3, 2, 4),
        ({"currentEpoch": "2", "acceptedEpoch": "4", "currentEpoch_tmp": "4"}, 3, 2, 4),
        ({"currentEpoch": "2", "acceptedEpoch": "4", "currentEpoch_tmp": "x"}, 4, 2, 4),
        ({"currentEpoch": "2", "acceptedEpoch": "4", "currentEpoch_tmp": str(MAX_EPOCH + 1)}, 4, 2, 4),
    ],
)
def test_load(files: dict[str, str], zxid_epoch: int, current: int, accepted: int) -> None:
    disk = disk_with(**files)
    epochs = Epochs(disk, D)
    epochs.load(make_zxid(zxid_epoch, 7))
    assert (current, accepted) == (epochs.current, epochs.accepted)
    again = Epochs(disk, D)
    again.load(make_zxid(zxid_epoch, 7))
    assert (current, accepted) == (again.current, again.accepted)


def test_missing_files_are_written_in_decimal_without_a_newline() -> None:
    disk = disk_with()
    Epochs(disk, D).load(make_zxid(12, 1))
    assert content(disk) == {"currentEpoch": b"12", "acceptedEpoch": b"12"}


@pytest.mark.parametrize(
    ("files", "zxid_epoch", "words"),
    [
        ({"currentEpoch": "2", "acceptedEpoch": "2"}, 3, ["/data/acceptedEpoch", "holds 2", "epoch 3", "0x300000007"]),
        ({"currentEpoch": "4", "acceptedEpoch": "3"}, 1, ["/data/acceptedEpoch", "holds 3", "epoch 4"]),
        ({"currentEpoch": "4"}, 1, ["/data/acceptedEpoch", "no such file", "holds 4", "epoch 1"]),
        ({"currentEpoch": "four", "acceptedEpoch": "4"}, 1, ["/data/currentEpoch", "four", "decimal"]),
        ({"currentEpoch": "", "acceptedEpoch": "4"}, 1, ["/data/currentEpoch", "decimal"]),
        ({"currentEpoch": "1", "acceptedEpoch": "-4"}, 1, ["/data/acceptedEpoch", "-4", "decimal"]),
        ({"currentEpoch": "1", "acceptedEpoch": ""}, 1, ["/data/acceptedEpoch", "holds ''", "greatest acceptedEpoch"]),
        ({"currentEpoch": "x", "acceptedEpoch": "1"}, 1, ["/data/currentEpoch", "holds 'x'", "delete it"]),
        ({"currentEpoch": "1", "acceptedEpoch": str(MAX_EPOCH + 1)}, 1, ["/data/acceptedEpoch", "up to 2147483647"]),
        ({"currentEpoch": "\x00\x00", "acceptedEpoch": "1"}, 1, ["/data/currentEpoch", "\\x00", "decimal"]),
        ({"currentEpoch": "9" * 40, "acceptedEpoch": "1"}, 1, ["/data/currentEpoch", "decimal"]),
    ],
)
def test_what_cannot_be_is_refused(files: dict[str, str], zxid_epoch: int, words: list[str]) -> None:
    """One line that names the file, what is wrong and how to mend it."""
    disk = disk_with(**files)
    with pytest.raises(StorageError) as caught:
        Epochs(disk, D).load(make_zxid(zxid_epoch, 7))
    assert content(disk) == {name: text.encode()[:100] for name, text in files.items()}
    text = str(caught.value)
    assert "\n" not in text and "estore" in text
    for word in words:
        assert word in text


def test_saving_writes_the_file_then_the_memory() -> None:
    disk = disk_with()
    epochs = Epochs(disk, D)
    epochs.load(0)
    epochs.save_accepted(3)
    epochs.save_current(3)
    assert (epochs.current, epochs.accepted) == (3, 3)
    assert content(disk) == {"currentEpoch": b"3", "acceptedEpoch": b"3"}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_failing_disk_leaves_the_memory_behind_never_ahead(count: int) -> None:
    """ZOOKEEPER-2307: a value in memory that is not on the disk could be promised to others."""
    disk = disk_with()
    epochs = Epochs(disk, D)
    epochs.load(0)
    disk.fail_at(count)
    with pytest.raises(OSError, match="Input/output"):
        epochs.save_accepted(9)
    assert epochs.accepted == 0


def test_epochs_never_go_back() -> None:
    disk = disk_with()
    epochs = Epochs(disk, D)
    epochs.load(make_zxid(4, 0))
    with pytest.raises(AssertionError):
        epochs.save_current(3)
    with pytest.raises(AssertionError):
        epochs.save_accepted(3)


def test_a_longer_leftover_does_not_show_behind_the_end() -> None:
    disk = disk_with(acceptedEpoch="1", currentEpoch="1", acceptedEpoch_tmp="12345")
    epochs = Epochs(disk, D)
    epochs.load(0)
    epochs.save_accepted(2)
    assert content(disk)["acceptedEpoch"] == b"2"
