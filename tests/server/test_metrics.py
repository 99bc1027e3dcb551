"""What a whole server counts."""

from random import Random

import pytest

from zoopark.record import Now
from zoopark.server.metrics import BOUNDS_MS, DIGESTS_KEPT, Latencies, Metrics, Summary, decimal, nothing_known
from zoopark.tree.acl import AclTable
from zoopark.tree.watches import NODE_CHILDREN_CHANGED, NODE_CREATED, NODE_DATA_CHANGED, NODE_DELETED

START = Now(1_000, 1_600_000_000_000)
ACL = AclTable().open


def _metrics() -> Metrics:
    return Metrics(START, nothing_known)


def _values(metrics: Metrics) -> dict[str, str]:
    return dict(metrics.rows())


@pytest.mark.parametrize(
    ("total", "count", "text"),
    [(0, 0, "0.0"), (0, 5, "0.0"), (5, 2, "2.5"), (137, 306, "0.4477"), (2, 3, "0.6667"), (4_000, 1, "4000.0")],
)
def test_means_are_written_as_zookeeper_writes_them(total: int, count: int, text: str) -> None:
    """At least one digit after the point and at most four."""
    assert decimal(total, count) == text


def test_a_summary_tells_five_numbers() -> None:
    """Their names and their order are those of ZooKeeper's `mntr`."""
    summary = Summary()
    for value, count in ((4, 1), (1, 2), (9, 1)):
        summary.add(value, count)
    assert summary.rows("x") == [
        ("avg_x", "3.75"),
        ("min_x", "1"),
        ("max_x", "9"),
        ("cnt_x", "4"),
        ("sum_x", "15"),
    ]


def test_a_summary_keeps_finer_units_than_it_shows() -> None:
    """A sync of 0.3 ms is not nothing: its mean shows it, though whole ms do not."""
    summary = Summary(1000)
    for micros in (300, 500, 2_900):
        summary.add(micros)
    assert [value for _, value in summary.rows("x")] == ["1.2333", "0", "2", "3", "3"]


def test_an_empty_summary_is_zeros() -> None:
    """As in ZooKeeper: what did not happen has a least of 0."""
    assert [value for _, value in Summary().rows("x")] == ["0.0", "0", "0", "0", "0"]


def test_prompt_and_late_latencies_are_one_summary() -> None:
    """The hot path only counts the prompt ones."""
    latencies = Latencies()
    latencies.n_prompt += 3
    latencies.add(0, 1)
    latencies.add(8, 2)
    summary = latencies.summary()
    assert (summary.count, summary.sum, summary.least, summary.most) == (6, 16, 0, 8)


def test_late_latencies_alone_have_a_least_above_0() -> None:
    """Nothing prompt happened, so nothing took 0 ms."""
    latencies = Latencies()
    latencies.add(8, 2)
    latencies.add(5, 1)
    assert latencies.summary().least == 5


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("permille", [500, 950, 990, 999])
def test_percentiles_are_at_most_a_bucket_too_high(seed: int, permille: int) -> None:
    """Never below the true one, never above the next bound and the greatest latency."""
    random = Random(seed)
    values = sorted(int(random.lognormvariate(2, 2)) for _ in range(random.randrange(1, 2_000)))
    latencies = Latencies()
    for value in values:
        latencies.add(value, 1)
    true = values[-(-len(values) * permille // 1000) - 1]
    ceiling = next((bound for bound in BOUNDS_MS if bound >= true), values[-1])
    assert latencies.quantile(permille) == min(ceiling, values[-1])


def test_percentiles_of_nothing_are_0() -> None:
    """A server that has just started has a p99 all the same."""
    assert Latencies().quantile(999) == 0


def test_a_latency_beyond_all_bounds_is_itself() -> None:
    """The open bucket has no bound but the greatest latency."""
    latencies = Latencies()
    latencies.add(BOUNDS_MS[-1] * 7, 1)
    assert latencies.quantile(500) == BOUNDS_MS[-1] * 7


@pytest.mark.parametrize(
    ("came_ms", "sum_ms", "least_ms", "most_ms"),
    [
        ([1_000], 20, 20, 20),
        ([1_020, 1_020], 0, 0, 0),
        ([1_000, 1_000, 1_000], 60, 20, 20),
        ([1_000, 1_005, 1_005, 1_005, 1_018, 1_020], 20 + 45 + 2, 0, 20),
        (list(range(1_000, 1_021)), 210, 0, 20),
    ],
)
def test_a_batch_is_counted_by_when_its_requests_came(
    came_ms: list[int], sum_ms: int, least_ms: int, most_ms: int
) -> None:
    """One step per different moment, and the same numbers as one step per transaction."""
    metrics = _metrics()
    metrics.on_updates([(zxid, 1, zxid, 5, b"", came, None) for zxid, came in enumerate(came_ms)], Now(1_020, 0))
    summary = metrics.updates.summary()
    found = (summary.count, summary.sum, summary.least, summary.most)
    assert found == (len(came_ms), sum_ms, least_ms, most_ms)
    assert metrics.propagation.summary().sum == sum_ms


def test_what_nobody_here_asked_for_is_no_update() -> None:
    """A session that expires, a write of another member's client: no reply leaves, so none is counted."""
    metrics = _metrics()
    metrics.on_updates([(1, 0, 0, 5, b"", 1_000, None), (2, 7, 1, 5, b"", 1_004, None)], Now(1_010, 0))
    metrics.on_updates([(3, 0, 0, 5, b"", 1_000, None)], Now(1_010, 0))
    assert (metrics.updates.summary().count, metrics.updates.summary().sum, metrics.sent()) == (1, 6, 1)


def test_reads_and_updates_are_one_latency() -> None:
    """What `srvr` shows covers both; the least is 0 only if one of them is."""
    metrics = _metrics()
    metrics.reads.add(4, 3)
    metrics.on_updates([(1, 1, 1, 5, b"", 1_000, None)], Now(1_010, 0))
    latency = metrics.latency()
    assert (latency.count, latency.sum, latency.least, latency.most) == (4, 22, 4, 10)
    metrics.sent_other += 5
    assert metrics.sent() == 9


def test_no_replies_have_no_latency() -> None:
    """Before the first request."""
    latency = _metrics().latency()
    assert (latency.count, latency.sum, latency.least, latency.most) == (0, 0, 0, 0)


def test_fired_watches_are_counted_by_event() -> None:
    """One value per event and path, how many heard of it, as ZooKeeper's watch counts have it."""
    metrics = _metrics()
    metrics.on_fired(
        [
            (1, NODE_CREATED, b"/a/b", 7, ACL),
            (2, NODE_CREATED, b"/a/b", 7, ACL),
            (1, NODE_CHILDREN_CHANGED, b"/a", 7, ACL),
            (2, NODE_DELETED, b"/a/c", 7, ACL),
            (2, NODE_DELETED, b"/a/d", 7, ACL),
        ]
    )
    metrics.on_fired([(1, NODE_DATA_CHANGED, b"/a", 8, ACL)])
    values = _values(metrics)
    counted = {
        name: (values[f"cnt_node_{name}_watch_count"], values[f"sum_node_{name}_watch_count"])
        for name in ("created", "deleted", "changed", "children")
    }
    assert counted == {"created": ("1", "2"), "deleted": ("2", "2"), "changed": ("1", "1"), "children": ("1", "1")}


def test_a_reset_counts_anew_but_keeps_the_digests() -> None:
    """As `srst` in ZooKeeper: the history of digests is no statistic."""
    metrics = _metrics()
    unused = metrics.rows()
    metrics.digests.append((128, 5))
    metrics.received = metrics.sessions_expired = 3
    metrics.reads.n_prompt += 1
    metrics.fsync_us.add(7)
    metrics.on_updates([(1, 1, 1, 5, b"", 0, None)], START)
    metrics.on_fired([(1, NODE_CREATED, b"/a", 7, ACL)])
    assert metrics.rows() != unused
    metrics.reset()
    assert metrics.rows() == unused
    assert metrics.received == 0
    assert list(metrics.digests) == [(128, 5)]


def test_the_history_of_digests_is_bounded() -> None:
    """The oldest make room."""
    metrics = _metrics()
    metrics.digests.extend((128 * number, number) for number in range(DIGESTS_KEPT + 10))
    assert (len(metrics.digests), metrics.digests[0]) == (DIGESTS_KEPT, (1280, 10))


def test_no_metric_is_named_twice() -> None:
    """A reader takes the first or the last of two, and who knows which."""
    names = [name for name, _ in _metrics().rows()]
    assert sorted(set(names)) == sorted(names)
