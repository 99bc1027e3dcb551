"""What a whole server counts, in plain ints that live as long as the process or until `srst`: the source of `mntr`.

Hot paths add once per chunk, batch or rare event. The names are those of ZooKeeper's ServerMetrics; what each of them
means here, and which of ZooKeeper's are left out, is told in docs/operations.md.
What it must never do: hold a number that was not measured.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from operator import itemgetter
from typing import Final, NamedTuple, TypeAlias, final

from zoopark.record import Now
from zoopark.server.pipeline import Pending
from zoopark.tree import watches
from zoopark.tree.tree import Fired

DIGEST_INTERVAL: Final = 128
"""A power of two: the tree digest is remembered at every zxid that it divides."""
DIGESTS_KEPT: Final = 1024

BOUNDS_MS: Final = (
    *(0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150, 200, 250, 300, 400, 500, 600, 800),
    *(1_000, 1_200, 1_500, 2_000, 2_500, 3_000, 4_000, 5_000, 6_000, 8_000, 10_000),
    *(12_000, 15_000, 20_000, 25_000, 30_000, 40_000, 50_000, 60_000),
)
"""The upper bounds of a histogram's buckets; one more bucket is open."""
QUANTILES: Final = (("p50", 500), ("p95", 950), ("p99", 990), ("p999", 999))
"""Name and permille."""

_US_PER_MS: Final = 1000

Row: TypeAlias = tuple[str, str]
"""A metric's name without its prefix, and its value as text."""


class Survey(NamedTuple):
    """What only the host can tell.

    Args:
        data_bytes: the size of all files of the snapshot directory; `log_bytes` that of the log directory.
        client_port: the TCP port on which clients connect.
        open_files: file descriptors in use and the most that may be, None where the system does not tell.
        environment: (key, value) for `envi`, in order.
    """

    data_bytes: int
    log_bytes: int
    client_port: int
    open_files: tuple[int, int] | None
    environment: list[tuple[str, str]]


@final
class Summary:
    """How often something was measured, and its least, most and sum.

    Args:
        unit: how many of what is added make one of what is shown: 1000 for microseconds shown as milliseconds.
    """

    __slots__ = ("count", "least", "most", "sum", "unit")

    def __init__(self, unit: int = 1) -> None:
        self.unit = unit
        self.reset()

    def reset(self) -> None:
        self.count = self.sum = self.least = self.most = 0

    def add(self, value: int, count: int = 1) -> None:
        """`value` was measured `count` times, at least once."""
        if self.count == 0 or value < self.least:
            self.least = value
        if value > self.most:
            self.most = value
        self.count += count
        self.sum += value * count

    def rows(self, name: str) -> list[Row]:
        unit = self.unit
        return [
            (f"avg_{name}", decimal(self.sum / unit, self.count)),
            (f"min_{name}", str(self.least // unit)),
            (f"max_{name}", str(self.most // unit)),
            (f"cnt_{name}", str(self.count)),
            (f"sum_{name}", str(self.sum // unit)),
        ]


@final
class Sizes:
    """The last, the least and the largest of some sizes in bytes, -1 before there was one."""

    __slots__ = ("last", "least", "most")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.last = self.least = self.most = -1

    def add(self, size: int) -> None:
        self.last = size
        self.least = size if self.least < 0 else min(self.least, size)
        self.most = max(self.most, size)

    def text(self) -> str:
        """As `srvr` shows them."""
        return f"{self.last}/{self.least}/{self.most}"


@final
class Latencies:
    """A summary of latencies in ms, and a histogram for its percentiles: each is at most one bucket too high.

    `n_prompt` counts latencies of 0, so that a hot path has one int to add to.
    """

    __slots__ = ("_buckets", "_late", "n_prompt")

    def __init__(self) -> None:
        self._late = Summary()
        self.reset()

    def reset(self) -> None:
        self.n_prompt = 0
        self._late.reset()
        self._buckets = [0] * (len(BOUNDS_MS) + 1)

    def add(self, latency_ms: int, count: int) -> None:
        """`count` latencies, at least one."""
        if latency_ms <= 0:
            self.n_prompt += count
            return
        self._late.add(latency_ms, count)
        self._buckets[bisect_left(BOUNDS_MS, latency_ms)] += count

    def summary(self) -> Summary:
        """Everything so far, as a copy."""
        late, whole = self._late, Summary()
        whole.count = self.n_prompt + late.count
        whole.sum = late.sum
        whole.least = 0 if self.n_prompt else late.least
        whole.most = late.most
        return whole

    def quantile(self, permille: int) -> int:
        """A latency in ms that at least `permille` of 1000 did not exceed, 0 if there are none."""
        count = self.n_prompt + self._late.count
        wanted = -(-count * permille // 1000)
        seen = self.n_prompt
        for bound_ms, in_bucket in zip(BOUNDS_MS, self._buckets, strict=False):
            seen += in_bucket
            if seen >= wanted:
                return min(bound_ms, self._late.most)
        return self._late.most

    def rows(self, name: str) -> list[Row]:
        quantiles = [(f"{label}_{name}", str(self.quantile(permille))) for label, permille in QUANTILES]
        return self.summary().rows(name) + quantiles


@final
class Metrics:
    """The numbers of one server.

    Args:
        now: the moment of the start.
        survey: asks the host; called for a few of the four-letter words only.

    Attributes:
        received: packets; `sent_other` packets sent that answer no request of a session.
        reads, updates: latencies of replies to reads, and of transactions from their requests to their replies.
        propagation: from proposals to applied transactions; the updates, where a request is proposed as it comes in.
        proposals: the sizes of transactions that a leader proposed.
        drop_probability: of the connection throttle; `reset` leaves it alone.
        digests: (zxid, tree digest) at every DIGEST_INTERVAL-th zxid, the last DIGESTS_KEPT of them.
    """

    def __init__(self, now: Now, survey: Callable[[], Survey]) -> None:
        self.started_ms = now.mono_ms
        self.survey = survey
        self.digests: deque[tuple[int, int]] = deque(maxlen=DIGESTS_KEPT)
        self.reads = Latencies()
        self.updates = Latencies()
        self.propagation = self.updates
        self.proposals = Sizes()
        self.batch_size = Summary()
        self.fsync_us = Summary(_US_PER_MS)
        self.snapshot_us = Summary(_US_PER_MS)
        self.db_init_us = Summary(_US_PER_MS)
        self.snap_load_us = Summary(_US_PER_MS)
        self.txns_load_us = Summary(_US_PER_MS)
        self.txns_loaded = Summary()
        self.token_deficit = Summary()
        self.drop_probability = 0.0
        self.fired = {event: Summary() for event in _EVENT_NAMES}
        self._reset_counters()

    def reset(self) -> None:
        """Count anew, but for the digests and the drop probability."""
        self.reads.reset()
        self.updates.reset()
        for _, summary in self._summaries():
            summary.reset()
        self.proposals.reset()
        self._reset_counters()

    def on_updates(self, logged: list[Pending], now: Now) -> None:
        """One batch of transactions was applied; they are in the order in which their requests came.

        Those that no connection here has asked for do not count.
        """
        answered = [pending for pending in logged if pending[1]]
        count = len(answered)
        last_ms = came_ms_of(answered[-1]) if answered else 0
        at = 0
        while at < count:
            came_ms = came_ms_of(answered[at])
            end = count if came_ms == last_ms else bisect_left(answered, came_ms + 1, at, key=came_ms_of)
            self.updates.add(now.mono_ms - came_ms, end - at)
            at = end

    def on_fired(self, fired: list[Fired]) -> None:
        """The watches that one transaction fired, in order, at least one."""
        event, path, count = fired[0][1], fired[0][2], 0
        for _, next_event, next_path, _, _ in fired:
            if next_event != event or next_path != path:
                self.fired[event].add(count)
                event, path, count = next_event, next_path, 0
            count += 1
        self.fired[event].add(count)

    def latency(self) -> Summary:
        """Reads and updates together."""
        reads, updates = self.reads.summary(), self.updates.summary()
        parts = [part for part in (reads, updates) if part.count]
        whole = Summary()
        whole.count, whole.sum = reads.count + updates.count, reads.sum + updates.sum
        whole.least = min((part.least for part in parts), default=0)
        whole.most = max(reads.most, updates.most)
        return whole

    def sent(self) -> int:
        """Packets that went out."""
        return self.reads.summary().count + self.updates.summary().count + self.sent_other

    def rows(self) -> list[Row]:
        """Every counter, summary and latency, in ZooKeeper's order of these groups."""
        rows = [(name, str(getattr(self, field))) for name, field in _COUNTERS]
        for name, summary in self._summaries():
            rows += summary.rows(name)
        for name, latencies in (
            ("updatelatency", self.updates),
            ("readlatency", self.reads),
            ("propagation_latency", self.propagation),
        ):
            rows += latencies.rows(name)
        return rows

    def _summaries(self) -> list[tuple[str, Summary]]:
        return [
            *((name, self.fired[event]) for event, name in _EVENT_NAMES.items()),
            ("startup_txns_load_time", self.txns_load_us),
            ("fsynctime", self.fsync_us),
            ("snapshottime", self.snapshot_us),
            ("startup_txns_loaded", self.txns_loaded),
            ("dbinittime", self.db_init_us),
            ("connection_token_deficit", self.token_deficit),
            ("sync_processor_batch_size", self.batch_size),
            ("startup_snap_load_time", self.snap_load_us),
        ]

    def _reset_counters(self) -> None:
        self.received = 0
        self.bytes_received = 0
        self.sent_other = 0
        self.watch_bytes = 0
        self.connection_requests = 0
        self.connections_rejected = 0
        self.large_rejected = 0
        self.throttled_ops = 0
        self.throttle_waits = 0
        self.stale_dropped = 0
        self.sessions_renewed = 0
        self.sessionless_expired = 0
        self.sessions_expired = 0
        self.auth_failed = 0
        self.digest_mismatches = 0
        self.snapshot_errors = 0


came_ms_of: Final[Callable[[Pending], int]] = itemgetter(5)


def nothing_known() -> Survey:
    """The survey of a server without a host."""
    return Survey(0, 0, 0, None, [])


def decimal(total: float, count: int) -> str:
    """A mean as ZooKeeper prints it, with up to four digits after the point; 0.0 of nothing."""
    return repr(round(total / count, 4) if count else 0.0)


_EVENT_NAMES: Final = {
    watches.NODE_CREATED: "node_created_watch_count",
    watches.NODE_DELETED: "node_deleted_watch_count",
    watches.NODE_DATA_CHANGED: "node_changed_watch_count",
    watches.NODE_CHILDREN_CHANGED: "node_children_watch_count",
}
_COUNTERS: Final = (
    ("watch_bytes", "watch_bytes"),
    ("connection_rejected", "connections_rejected"),
    ("connection_drop_probability", "drop_probability"),
    ("large_requests_rejected", "large_rejected"),
    ("throttled_ops", "throttled_ops"),
    ("request_throttle_wait_count", "throttle_waits"),
    ("stale_requests_dropped", "stale_dropped"),
    ("sessionless_connections_expired", "sessionless_expired"),
    ("bytes_received_count", "bytes_received"),
    ("connection_revalidate_count", "sessions_renewed"),
    ("digest_mismatches_count", "digest_mismatches"),
    ("snapshot_error_count", "snapshot_errors"),
    ("connection_request_count", "connection_requests"),
    ("stale_sessions_expired", "sessions_expired"),
)
