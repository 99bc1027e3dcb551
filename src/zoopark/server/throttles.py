"""What keeps strangers from filling the server: who may connect, which requests wait, and how many watches are enough.

    ConnectRequest ──> ConnectionThrottle   a bucket of tokens, and chance once the bucket runs dry
    frame ───────────> RequestGate          large requests, and requests beyond what may be in the server at once
    registration ────> WatchLimit           watches of one connection

Off by default, but for WatchLimit, which is far above what anybody needs. Frames of up to `RequestGate.plain_bytes`
are never shown to the gate, so what is off costs nothing.
What it must never do: hold bytes itself, or look at a clock. Source: the chapter "Advanced Configuration" of the
ZooKeeper administrator's guide; the drop probability is that of BLUE (Feng, Shin, Kandlur, Saha, 2002).
"""

from collections import deque
from random import Random
from typing import Final, final

from zoopark.jute import proto
from zoopark.server.config import Config
from zoopark.server.metrics import Metrics
from zoopark.server.pipeline import Pipeline
from zoopark.tree.watches import Watches

# What becomes of a frame.
GO_ON: Final = 0
INCOMPLETE: Final = 1  # its rest is waited for
STALLED: Final = 2  # the server is full; it is looked at again when something was finished
REFUSED: Final = 3  # answered with THROTTLED_OP, as it waited too long
TOO_LARGE: Final = 4  # its connection is closed
STALE: Final = 5  # its connection is closed

NOT_STALLED: Final = -1
NEVER: Final = 1 << 62
TOO_MANY: Final = -1
MAX_WATCH_BYTES: Final = 256 << 20
OFF: Final = 0

REQUEST_HEADER_BYTES: Final = 8
"""The sum of large requests leaves out their headers, as ZooKeeper's does."""

_WHY_CLOSED: Final = {
    TOO_LARGE: "too many large requests are in the server (largeRequestMaxBytes)",
    STALE: "its requests are older than its session's timeout (request_stale_latency_check)",
}
_NOT_QUEUED: Final = (proto.AUTH, proto.SASL)
_NOT_REFUSED: Final = (proto.PING, proto.CLOSE_SESSION)


@final
class ConnectionThrottle:
    """Who may open a session or come back to one.

    Every ConnectRequest takes tokens from a bucket that fills with time; none is let in while there are too few. With
    a freeze time, a share of the requests is dropped by chance too: the share grows by one step each freeze time in
    which the bucket is found empty, and shrinks while it is nearly full. The fill is counted when somebody asks.

    Args:
        config: the connection_throttle_ keys.
        random: drops.
        metrics: gets the rejections, the deficit after each admission and the drop probability.
        now_ms: when the bucket is full.
    """

    def __init__(self, config: Config, random: Random, metrics: Metrics, now_ms: int) -> None:
        self.random = random
        self.metrics = metrics
        self.new_weight, self.renewal_weight = _weights(config)
        scale = max(config.connection_throttle_global_weight, config.connection_throttle_local_weight)
        # With weights on, the size and the fill are meant in new sessions, not in tokens.
        scale = scale if config.has_connection_throttle_weights else 1
        self.size = config.connection_throttle_tokens * scale
        self.fill_count = config.connection_throttle_fill_count * scale
        self.fill_time_ms = config.connection_throttle_fill_time_ms
        self.freeze_time_ms = config.connection_throttle_freeze_time_ms
        self.drop_increase = config.connection_throttle_drop_increase
        self.drop_decrease = config.connection_throttle_drop_decrease
        self.nearly_full_deficit = int(self.size * config.connection_throttle_decrease_ratio + 0.5)
        self.tokens = self.size
        self._filled_ms = now_ms
        self._changed_ms = now_ms

    def admits(self, is_renewal: bool, now_ms: int) -> bool:
        """Whether a ConnectRequest is let in; its tokens are gone then. `is_renewal`: it names a session."""
        is_admitted = self.size == OFF or self._takes(self.renewal_weight if is_renewal else self.new_weight, now_ms)
        if is_admitted:
            self.metrics.token_deficit.add(self.size - self.tokens)
        else:
            self.metrics.connections_rejected += 1
        return is_admitted

    def _takes(self, weight: int, now_ms: int) -> bool:
        self._fill(now_ms)
        if self._is_dropped(now_ms) or self.tokens < weight:
            return False
        self.tokens -= weight
        return True

    def _fill(self, now_ms: int) -> None:
        passed_ms = now_ms - self._filled_ms
        if passed_ms > self.fill_time_ms:
            self.tokens = min(self.tokens + passed_ms * self.fill_count // self.fill_time_ms, self.size)
            self._filled_ms = now_ms

    def _is_dropped(self, now_ms: int) -> bool:
        if self.freeze_time_ms < 0:
            return False
        metrics = self.metrics
        if now_ms - self._changed_ms > self.freeze_time_ms:
            self._changed_ms = now_ms
            if self.tokens == 0:
                metrics.drop_probability = min(metrics.drop_probability + self.drop_increase, 1.0)
            elif self.size - self.tokens <= self.nearly_full_deficit:
                metrics.drop_probability = max(metrics.drop_probability - self.drop_decrease, 0.0)
        return self.random.random() < metrics.drop_probability


def _weights(config: Config) -> tuple[int, int]:
    """Tokens of a new session and of one that comes back; none is lighter than a local one. One server has no local
    sessions, whatever localSessionsEnabled says."""
    if not config.has_connection_throttle_weights:
        return 1, 1
    least = config.connection_throttle_local_weight
    if config.has_local_sessions and config.membership is not None:
        return least, max(config.connection_throttle_renew_weight, least)
    return max(config.connection_throttle_global_weight, least), max(config.connection_throttle_renew_weight, least)


@final
class RequestGate:
    """Which requests may come in now.

    A request is in the server from its arrival until it is answered. Reads are answered as they come, so only writes
    and the reads behind them are.

    Args:
        config: the keys of large requests and of the request throttle.
        pipeline: the writes that are in the server.
        metrics: gets what is refused.

    Attributes:
        plain_bytes: frames up to this length need not be shown to the gate.
    """

    def __init__(self, config: Config, pipeline: Pipeline, metrics: Metrics) -> None:
        self.config = config
        self.pipeline = pipeline
        self.metrics = metrics
        self.max_requests = config.request_throttle_max_requests
        # ZooKeeper reads 0 as -1.
        threshold = config.large_request_threshold_bytes
        self.threshold_bytes = threshold if threshold > 0 else NEVER
        self.plain_bytes = 0 if self.max_requests else min(self.threshold_bytes, config.jute_max_buffer_bytes)
        self._large: deque[tuple[int, int]] = deque()
        self._large_bytes = 0

    def judge(self, op: int, size_bytes: int, n_waiting: int, waited_ms: int, timeout_ms: int) -> int:
        """What becomes of a whole frame: GO_ON, STALLED, REFUSED, TOO_LARGE or STALE.

        Args:
            op: its opcode.
            size_bytes: its length as it says itself.
            n_waiting: reads of the same connection that wait.
            waited_ms: how long it was STALLED, NOT_STALLED if it was not.
            timeout_ms: the timeout of its session.
        """
        if not self._has_room(size_bytes):
            return TOO_LARGE
        if op in _NOT_QUEUED:
            return GO_ON
        config, metrics = self.config, self.metrics
        is_stale = config.has_stale_latency_check and waited_ms > timeout_ms and op != proto.CLOSE_SESSION
        if is_stale and config.request_throttle_may_drop_stale:
            metrics.stale_dropped += 1
            return STALE
        if 0 < self.max_requests <= len(self.pipeline.pending) + n_waiting:
            metrics.throttle_waits += waited_ms == NOT_STALLED
            return STALLED
        if 0 < config.throttled_op_wait_time_ms < waited_ms and op not in _NOT_REFUSED:
            metrics.throttled_ops += 1
            return REFUSED
        self._add_large(size_bytes - REQUEST_HEADER_BYTES)
        return GO_ON

    def judge_length(self, size_bytes: int) -> int:
        """What becomes of a frame whose length is known and whose rest is not there: INCOMPLETE or TOO_LARGE."""
        return INCOMPLETE if self._has_room(size_bytes) else TOO_LARGE

    def _add_large(self, size_bytes: int) -> None:
        """A large request is in the server until the next transaction is applied, or none is on its way."""
        if size_bytes > self.threshold_bytes:
            self._large.append((self.pipeline.preparer.zxid + 1, size_bytes))
            self._large_bytes += size_bytes

    def _has_room(self, size_bytes: int) -> bool:
        if size_bytes <= self.threshold_bytes:
            return True
        pending, large = self.pipeline.pending, self._large
        while large and (not pending or large[0][0] < pending[0][0]):
            self._large_bytes -= large.popleft()[1]
        if self._large_bytes + size_bytes <= self.config.large_request_max_bytes:
            return True
        self.metrics.large_rejected += 1
        return False


@final
class WatchLimit:
    """How many watches one connection may have (maxClientWatches), and how many bytes of paths.

    They are counted now and then, not at each registration: a request but setWatches adds at most two.

    Args:
        config: the limit.
        watches: those of the server.
    """

    def __init__(self, config: Config, watches: Watches) -> None:
        self.limit = config.max_client_watches
        self.max_frame_bytes = config.jute_max_buffer_bytes
        self.watches = watches

    def next_look(self, connection_id: int, n_requests: int) -> int:
        """At which number of requests to ask again, after `n_requests`; TOO_MANY if it has more than the limit."""
        if self.limit == OFF:
            return NEVER
        data, child = self.watches.data.by_watcher, self.watches.child.by_watcher
        room = self.limit - len(data.get(connection_id, ())) - len(child.get(connection_id, ()))
        data_bytes, child_bytes = self.watches.data.path_bytes, self.watches.child.path_bytes
        room_bytes = MAX_WATCH_BYTES - data_bytes.get(connection_id, 0) - child_bytes.get(connection_id, 0)
        room = min(room, room_bytes // self.max_frame_bytes)
        return n_requests + room // 2 + 1 if room >= 0 else TOO_MANY


def why_closed(verdict: int) -> str:
    """Why a frame's verdict closes its connection, "" if it does not."""
    return _WHY_CLOSED.get(verdict, "")
