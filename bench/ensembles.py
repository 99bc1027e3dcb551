"""Several servers of one kind as one ensemble, measured like a server: all processes and all addresses together."""

from pathlib import Path
from typing import Final, TypeAlias

from bench.servers import Contestant, Running
from tests.compat.oracle import LOOPBACK, free_port

SIZE: Final = 3
LIMITS: Final = {"initLimit": "10", "syncLimit": "5"}
"""As in the zoo.cfg that ZooKeeper comes with, and so is tickTime."""


class Ensemble:
    """Servers 1, 2 and 3 of one ensemble. What is said of addresses, processes and memory is of those that are up.

    Args:
        contestant: what to run.
        home: a directory; each member gets one of its own below it.
    """

    def __init__(self, contestant: Contestant, home: Path) -> None:
        self.name = contestant.name
        ports = {sid: (free_port(), free_port()) for sid in range(1, SIZE + 1)}
        lines = {f"server.{sid}": f"{LOOPBACK}:{quorum}:{election}" for sid, (quorum, election) in ports.items()}
        self.members = [Running(contestant, home / str(sid), {**LIMITS, **lines}) for sid in ports]

    @property
    def pids(self) -> list[int]:
        return [member.pid for member in self._up]

    @property
    def address(self) -> str:
        return ",".join(member.address for member in self._up)

    @property
    def version(self) -> str:
        return self._up[0].version

    @property
    def leader(self) -> Running:
        """The member that says that it leads; all must serve."""
        (leader,) = [member for member in self._up if member.said("Mode") == "leader"]
        return leader

    @property
    def follower(self) -> Running:
        """One that does not."""
        leader = self.leader
        return next(member for member in self._up if member is not leader)

    def start(self) -> "Ensemble":
        """Start all and return when all serve. ServerFailedError if they do not; nothing is left running then."""
        try:
            for sid, member in enumerate(self.members, 1):
                member.data.mkdir(parents=True)
                (member.data / "myid").write_text(f"{sid}\n")
                member.launch()
            for member in self.members:
                member.wait_until_serving()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop all of them."""
        for member in self.members:
            member.stop()

    def check(self, grace_seconds: float = 0) -> None:
        """ServerFailedError if a member has ended by itself, or does so within a grace."""
        for member in self._up:
            member.check(grace_seconds)

    def tail(self) -> str:
        """The last lines of each member's output that are more than information."""
        return "\n".join(f"server {sid}:\n{member.tail()}" for sid, member in enumerate(self.members, 1))

    @property
    def _up(self) -> list[Running]:
        return [member for member in self.members if member.is_up]


Service: TypeAlias = Running | Ensemble
"""What a load can be put on."""
