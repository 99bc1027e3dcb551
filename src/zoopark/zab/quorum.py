"""Which sets of servers are quorums: pure arithmetic that holds no state and never changes.

Every two quorums of one verifier have a server in common; all of agreement rests on that. Servers that do not vote may
be among those that acknowledge, and count for nothing.
Source: ZooKeeper's QuorumMaj, QuorumHierarchical and SyncedLearnerTracker.
"""

from collections.abc import Collection, Mapping
from typing import TypeAlias, final


@final
class Majority:
    """More than half of the voters.

    Args:
        voters: their sids, at least one.
    """

    __slots__ = ("_n_needed", "voters")

    def __init__(self, voters: Collection[int]) -> None:
        assert voters, "no voters"
        self.voters = frozenset(voters)
        self._n_needed = len(self.voters) // 2 + 1

    def has_quorum(self, acks: Collection[int]) -> bool:
        """Whether these servers are a quorum."""
        return len(self.voters.intersection(acks)) >= self._n_needed

    def weight(self, sid: int) -> int:
        """1 for a voter, else 0; who weighs nothing is never elected."""
        return 1 if sid in self.voters else 0


@final
class Hierarchical:
    """More than half of the weight in each of more than half of the groups.

    Groups that weigh nothing do not count; servers that weigh nothing vote, but it has no effect.

    Args:
        groups: by group id, the weight of each of its voters by sid. The groups are disjoint, no weight is below 0,
            and one at least is above.
    """

    __slots__ = ("_groups", "_n_needed", "_weights", "voters")

    def __init__(self, groups: Mapping[int, Mapping[int, int]]) -> None:
        self._weights = {sid: weight for members in groups.values() for sid, weight in members.items()}
        assert len(self._weights) == sum(len(members) for members in groups.values()), "groups that overlap"
        assert all(weight >= 0 for weight in self._weights.values()), self._weights
        self._groups = [dict(members) for members in groups.values() if any(members.values())]
        assert self._groups, "no weight at all"
        self._n_needed = len(self._groups) // 2 + 1
        self.voters = frozenset(self._weights)

    def has_quorum(self, acks: Collection[int]) -> bool:
        """Whether these servers are a quorum."""
        counted = frozenset(acks)
        return sum(_has_majority(members, counted) for members in self._groups) >= self._n_needed

    def weight(self, sid: int) -> int:
        """The weight of a voter, else 0; who weighs nothing is never elected."""
        return self._weights.get(sid, 0)


@final
class Joint:
    """A quorum of every one of several verifiers: of the current configuration and of the pending one.

    Args:
        parts: the current one first; it alone says who may be elected.
    """

    __slots__ = ("_parts", "voters")

    def __init__(self, parts: "Collection[Majority | Hierarchical]") -> None:
        assert parts, "no verifiers"
        self._parts = tuple(parts)
        self.voters = frozenset(sid for part in self._parts for sid in part.voters)

    def has_quorum(self, acks: Collection[int]) -> bool:
        """Whether these servers are a quorum of each part."""
        return all(part.has_quorum(acks) for part in self._parts)

    def weight(self, sid: int) -> int:
        """The weight in the current configuration."""
        return self._parts[0].weight(sid)


Verifier: TypeAlias = Majority | Hierarchical | Joint


def _has_majority(weights: Mapping[int, int], acks: frozenset[int]) -> bool:
    return 2 * sum(weight for sid, weight in weights.items() if sid in acks) > sum(weights.values())
