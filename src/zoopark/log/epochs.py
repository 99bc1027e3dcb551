"""The two epochs a server remembers: `currentEpoch`, whose history it follows, and `acceptedEpoch`, which it promised.

Each is a file of ASCII decimal digits without a newline, replaced in one step: name.tmp, sync, rename. The file is
written before the value in memory changes (ZOOKEEPER-2307, 1653), and at start

    epoch of the last zxid <= acceptedEpoch    and    currentEpoch <= acceptedEpoch

must hold. Of a file only the first line counts, as in ZooKeeper. The last zxid may be of a later epoch than
currentEpoch: on NEWLEADER a learner makes the history durable before it writes the epoch (ZOOKEEPER-4643), and may die
in between. ZooKeeper refuses to start then.
"""

from typing import Final, final

from zoopark.errors import StorageError
from zoopark.log.disk import Disk
from zoopark.zxid import MAX_EPOCH, epoch_of

CURRENT_EPOCH: Final = "currentEpoch"
ACCEPTED_EPOCH: Final = "acceptedEpoch"
TEMPORARY_SUFFIX: Final = ".tmp"
MAX_FILE_BYTES: Final = 64
MENDING: Final = {
    CURRENT_EPOCH: "delete it: it is written anew from the last zxid",
    ACCEPTED_EPOCH: f"write the greatest {ACCEPTED_EPOCH} of all members into it",
}
"""A current epoch that is too small loses elections; an accepted one that is too small breaks a promise."""


@final
class Epochs:
    """The epochs of one data directory.

    Args:
        disk: where the files are.
        directory: the existing directory of the snapshots, `version-2`.

    Attributes:
        current: the value of currentEpoch; 0 before `load`.
        accepted: the value of acceptedEpoch; 0 before `load`.
    """

    __slots__ = ("_directory", "_disk", "accepted", "current")

    def __init__(self, disk: Disk, directory: str) -> None:
        self._disk = disk
        self._directory = directory
        self.current = 0
        self.accepted = 0

    def load(self, last_zxid: int) -> None:
        """Read both epochs after the database was recovered up to `last_zxid`; a missing file is written from it.

        Effects: a currentEpoch.tmp that a crash left is promoted if it holds the epoch of `last_zxid` and currentEpoch
        is behind it; other temporary files stay unread. Without one currentEpoch stays behind: the history it stands
        for was never acknowledged.
        Errors: StorageError if a file is unreadable or the invariant does not hold. OSError from the disk.
        """
        zxid_epoch = epoch_of(last_zxid)
        current = self._read_or_write(CURRENT_EPOCH, zxid_epoch)
        if current < zxid_epoch and self._read_if_there(CURRENT_EPOCH + TEMPORARY_SUFFIX) == zxid_epoch:
            current = zxid_epoch
            self._write(CURRENT_EPOCH, current)
        accepted = self._accepted(zxid_epoch, current)
        if accepted < zxid_epoch:
            raise StorageError(
                f"{self._directory}/{ACCEPTED_EPOCH}: holds {accepted}, older than epoch {zxid_epoch} of the last zxid "
                f"0x{last_zxid:x}. Restore the data directory from one backup; or, if other members hold the data, "
                f"empty it and let the server copy it from them"
            )
        if accepted < current:
            raise StorageError(
                f"{self._directory}/{ACCEPTED_EPOCH}: holds {accepted}, less than the current epoch {current} in "
                f"{CURRENT_EPOCH}. Restore both files from one backup; or, if other members hold the data, empty this "
                f"directory and let the server copy it from them"
            )
        self.current = current
        self.accepted = accepted

    def save_current(self, epoch: int) -> None:
        """Make `epoch` the current one, durably, then in memory. Errors: OSError; the memory is then unchanged."""
        assert epoch >= self.current, (epoch, self.current)
        self._write(CURRENT_EPOCH, epoch)
        self.current = epoch

    def save_accepted(self, epoch: int) -> None:
        """Make `epoch` the accepted one, durably, then in memory. Errors: OSError; the memory is then unchanged."""
        assert epoch >= self.accepted, (epoch, self.accepted)
        self._write(ACCEPTED_EPOCH, epoch)
        self.accepted = epoch

    def _accepted(self, zxid_epoch: int, current: int) -> int:
        """The accepted epoch; a file that is lost is written anew only while no other file tells of a later promise.

        As in ZooKeeper that forgets one: of an epoch later than both currentEpoch and the log, promised to a leader
        that this member never came to follow. It may promise an epoch up to that one again, to another leader.
        """
        if current > zxid_epoch and self._read_if_there(ACCEPTED_EPOCH) is None:
            raise StorageError(
                f"{self._directory}/{ACCEPTED_EPOCH}: there is no such file, but {CURRENT_EPOCH} holds {current}, more "
                f"than the epoch {zxid_epoch} of the last zxid. Restore it from a backup, or write the greatest "
                f"{ACCEPTED_EPOCH} of all members into it"
            )
        return self._read_or_write(ACCEPTED_EPOCH, zxid_epoch)

    def _read_or_write(self, name: str, epoch: int) -> int:
        found = self._read_if_there(name)
        if found is None:
            self._write(name, epoch)
            return epoch
        return found

    def _read_if_there(self, name: str) -> int | None:
        path = f"{self._directory}/{name}"
        if name not in self._disk.list(self._directory):
            return None
        text = self._disk.read(path, 0, MAX_FILE_BYTES)
        first = text.partition(b"\n")[0].strip().removeprefix(b"+")
        if first.isdigit() and int(first) <= MAX_EPOCH:
            return int(first)
        if not name.endswith(TEMPORARY_SUFFIX):
            raise StorageError(
                f"{path}: holds {text.decode('latin-1')!r}, not an epoch in decimal digits up to {MAX_EPOCH}. "
                f"Restore it from a backup, or {MENDING[name]}"
            )
        return None  # its write was not finished

    def _write(self, name: str, epoch: int) -> None:
        path = f"{self._directory}/{name}"
        temporary = path + TEMPORARY_SUFFIX
        if name + TEMPORARY_SUFFIX in self._disk.list(self._directory):
            self._disk.remove(temporary)
        self._disk.write(temporary, 0, str(epoch).encode(), is_synced=True)
        self._disk.rename(temporary, path)
