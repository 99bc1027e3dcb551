"""What a member of an ensemble counts of its part in it: the rows of `mntr` that one server alone does not have.

Names are those of ZooKeeper's Leader, Follower and ServerMetrics; what each of them means here is told in
docs/operations.md. Latencies of transactions are from the moment that stands in them, which is when the leader prepared
them by its own clock, to the moment on this server: clocks that differ show.
What it must never do: hold a number that was not measured, or change what it counts.
"""

from bisect import bisect_right
from struct import Struct
from typing import Final, final

from zoopark.jute.quorum import FOLLOWING, LEADING, LOOKING, OBSERVING
from zoopark.record import Now
from zoopark.server.metrics import Latencies, Metrics, Row, Summary
from zoopark.zab.effects import Became
from zoopark.zab.outbox import Entry
from zoopark.zab.peer import Peer

STATES: Final = {FOLLOWING: "following", LEADING: "leading", OBSERVING: "observing"}
"""How `zk_peer_state` begins."""
_TIME: Final = Struct(">20xq")
"""When a transaction was prepared, in ms of the wall clock: behind session, cxid and zxid."""


@final
class Standing:
    """The counts of one member.

    Args:
        peer: tells of learners.
        metrics: the counts that every server has; how long transactions take to come here is told to it.
        now: the moment of the start.

    Attributes:
        n_revalidated: sessions that learners asked this leader for.
    """

    def __init__(self, peer: Peer, metrics: Metrics, now: Now) -> None:
        self.peer = peer
        self.metrics = metrics
        self.became: Became | None = None
        self._down_ms: int | None = now.mono_ms
        self._since_ms = now.mono_ms
        self.metrics.propagation = Latencies()
        self.reset()

    def reset(self) -> None:
        """Count anew."""
        self.n_revalidated = 0
        self._n_looking = self._n_snapshots = 0
        self._n_synchronised = self.peer.n_synchronised()
        self._n_appended = dict.fromkeys(STATES, 0)
        self._n_delivered = dict.fromkeys(STATES, 0)
        self._sync_ms = {state: Summary() for state in (FOLLOWING, OBSERVING)}
        self._election_ms, self._down, self._leader_down = Summary(), Summary(), Summary()
        self._in_flight = Summary()
        self._quorum_acks, self._commits, self._proposals = Latencies(), Latencies(), Latencies()
        self.metrics.propagation.reset()

    # ---- what happens

    def on_became(self, became: Became, now: Now) -> None:
        """The role changed: looking, then chosen, then serving, in this order."""
        self.became = became
        lasted_ms, self._since_ms = now.mono_ms - self._since_ms, now.mono_ms
        if became.state == LOOKING:
            self._n_looking += 1
            if self._down_ms is None:
                self._down_ms = now.mono_ms
        elif not became.is_serving:
            if became.state != OBSERVING:
                self._election_ms.add(lasted_ms)
        else:
            assert self._down_ms is not None, "served twice"
            down_ms, self._down_ms = now.mono_ms - self._down_ms, None
            self._down.add(down_ms)
            if became.state == LEADING:
                self._leader_down.add(down_ms)
            else:
                self._sync_ms[became.state].add(lasted_ms)

    def on_append(self, entries: list[Entry], now: Now) -> None:
        """A batch goes to the log."""
        self.metrics.batch_size.add(len(entries))
        state = self._serving_state()
        if state != LOOKING:
            self._n_appended[state] += len(entries)
        if state == FOLLOWING:
            _measure(entries, now, self._proposals)

    def on_delivered(self, entries: list[Entry], now: Now) -> None:
        """A batch is committed and applied."""
        state = self._serving_state()
        if state == LOOKING:
            return
        self._n_delivered[state] += len(entries)
        _measure(entries, now, self.metrics.propagation, self._quorum_acks if state == LEADING else self._commits)

    def on_snapshot_sent(self) -> None:
        """A learner is about to get the tree."""
        self._n_snapshots += 1
        self._in_flight.add(sum(learner.is_sent_snapshot() for learner in self.peer.learners()[0]))

    # ---- what is told

    def gauges(self, now: Now) -> list[Row]:
        """What is so at the moment; nothing without a role."""
        became, peer = self.became, self.peer
        if became is None or not became.is_serving:
            return []
        rows = [("peer_state", f"{STATES[became.state]} - broadcast"), ("quorum_size", str(len(peer.voters())))]
        if became.state == OBSERVING:
            rows.append(("observer_master_id", str(became.leader_sid)))
        return rows + (self._of_leader(now) if became.state == LEADING else [])

    def rows(self) -> list[Row]:
        """Every counter, summary and latency."""
        n_differences = self.peer.n_synchronised() - self._n_synchronised - self._n_snapshots
        rows = [
            ("looking_count", str(self._n_looking)),
            ("proposal_count", str(self._n_appended[LEADING])),
            ("commit_count", str(self._n_delivered[LEADING])),
            ("learner_proposal_received_count", str(self._n_appended[FOLLOWING])),
            ("learner_commit_received_count", str(self._n_delivered[FOLLOWING] + self._n_delivered[OBSERVING])),
            ("snap_count", str(self._n_snapshots)),
            ("diff_count", str(n_differences)),
            ("revalidate_count", str(self.n_revalidated)),
        ]
        for name, counted in (
            ("election_time", self._election_ms),
            ("unavailable_time", self._down),
            ("leader_unavailable_time", self._leader_down),
            ("follower_sync_time", self._sync_ms[FOLLOWING]),
            ("observer_sync_time", self._sync_ms[OBSERVING]),
            ("inflight_snap_count", self._in_flight),
            ("proposal_latency", self._proposals),
            ("quorum_ack_latency", self._quorum_acks),
            ("commit_propagation_latency", self._commits),
        ):
            rows += counted.rows(name)
        return rows

    def _serving_state(self) -> int:
        became = self.became
        return became.state if became is not None and became.is_serving else LOOKING

    def _of_leader(self, now: Now) -> list[Row]:
        voters, sizes = self.peer.voters(), self.metrics.proposals
        learners, n_syncs = self.peer.learners()
        synced = [learner for learner in learners if learner.is_synchronised()]
        followers = [learner for learner in synced if not learner.is_observer]
        rows = (
            ("learners", len(learners)),
            ("synced_followers", sum(learner.sid in voters for learner in followers)),
            ("synced_non_voting_followers", sum(learner.sid not in voters for learner in followers)),
            ("synced_observers", len(synced) - len(followers)),
            ("pending_syncs", n_syncs),
            ("leader_uptime", now.mono_ms - self._since_ms),
            ("last_proposal_size", sizes.last),
            ("min_proposal_size", sizes.least),
            ("max_proposal_size", sizes.most),
        )
        return [(name, str(value)) for name, value in rows]


def _measure(entries: list[Entry], now: Now, *latencies: Latencies) -> None:
    """How old these transactions are, those of the same ms at once; their times never go back."""
    at, count = 0, len(entries)
    while at < count:
        made_ms = _made_ms(entries[at])
        end = count if _made_ms(entries[-1]) == made_ms else bisect_right(entries, made_ms, at, key=_made_ms)
        end = max(end, at + 1)  # a leader's wall clock may be set back
        for kept in latencies:
            kept.add(now.wall_ms - made_ms, end - at)
        at = end


def _made_ms(entry: Entry) -> int:
    return int(_TIME.unpack_from(entry[1])[0])
