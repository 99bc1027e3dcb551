"""Quotas: their text, which of them applies, and when it is exceeded."""

import pytest

from zoopark.tree.quotas import QuotaPaths, QuotaText, is_exceeded, limits_path, parse_quota, stats_path

TEXTS = {
    b"count=5,bytes=10=;byteHardLimit=20;countHardLimit=6": (5, 10, 6, 20),
    b"count=5,bytes=10": (5, 10, -1, -1),
    b"bytes=10,count=5": (5, 10, -1, -1),
    b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=-1": (-1, -1, -1, -1),
    b"countHardLimit=3": (-1, -1, 3, -1),
    b"": (-1, -1, -1, -1),
    b"nonsense": (-1, -1, -1, -1),
    b"count=x,bytes=10": (-1, 10, -1, -1),
    b"count=": (-1, -1, -1, -1),
}


def numbers(quota: QuotaText) -> tuple[int, int, int, int]:
    return quota.count, quota.bytes, quota.count_hard_limit, quota.byte_hard_limit


@pytest.mark.parametrize("text", TEXTS, ids=repr)
def test_texts(text: bytes) -> None:
    assert numbers(parse_quota(text)) == TEXTS[text]


def test_no_data_limits_nothing() -> None:
    assert numbers(parse_quota(None)) == (-1, -1, -1, -1)


@pytest.mark.parametrize(
    ("hard", "expected"),
    [
        ((-1, -1), b"count=2,bytes=7"),
        ((3, -1), b"count=2,bytes=7=;countHardLimit=3"),
        ((3, 9), b"count=2,bytes=7=;byteHardLimit=9;countHardLimit=3"),
    ],
)
def test_the_text_that_is_written(hard: tuple[int, int], expected: bytes) -> None:
    """The odd "=;" keeps readers of before hard limits from reading on."""
    quota = QuotaText(2, 7)
    quota.count_hard_limit, quota.byte_hard_limit = hard
    assert quota.encode() == expected
    assert numbers(parse_quota(expected)) == numbers(quota)


def test_a_number_too_long_for_python_is_no_number() -> None:
    """Anybody may write these nodes: int() refuses thousands of digits with an error that nobody catches."""
    assert numbers(parse_quota(b"count=" + b"9" * 5000)) == (-1, -1, -1, -1)


@pytest.mark.parametrize(
    ("limits", "grown_bytes", "grown_count", "expected"),
    [
        (b"count=1,bytes=1", 99, 99, False),
        (b"count=1=;byteHardLimit=-1;countHardLimit=-1", 99, 99, False),
        (b"countHardLimit=5", 99, 2, False),
        (b"countHardLimit=5", 0, 3, True),
        (b"countHardLimit=2", 99, 0, False),
        (b"byteHardLimit=10", 3, 99, False),
        (b"byteHardLimit=10", 4, 0, True),
        (b"byteHardLimit=5", 0, 99, False),
        (b"byteHardLimit=5", -1, 0, True),
    ],
)
def test_only_hard_limits_are_limits(limits: bytes, grown_bytes: int, grown_count: int, expected: bool) -> None:
    """With 3 nodes and 7 bytes there already. Only what changes is looked at, even if it shrinks."""
    assert is_exceeded(parse_quota(limits), QuotaText(3, 7), grown_bytes, grown_count) == expected


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        (b"/a", b"/a"),
        (b"/a/x", b"/a"),
        (b"/a/b", b"/a/b"),
        (b"/a/b/c/d", b"/a/b"),
        (b"/ab", None),
        (b"/", None),
        (b"/x/a", None),
    ],
)
def test_the_nearest_one_applies(path: bytes, nearest: bytes | None) -> None:
    quotas = QuotaPaths()
    quotas.add(b"/a")
    quotas.add(b"/a/b")
    assert quotas.nearest(path) == nearest


def test_a_quota_that_is_removed_is_gone() -> None:
    quotas = QuotaPaths()
    quotas.add(b"/a")
    quotas.remove(b"/a")
    quotas.remove(b"/b")
    assert quotas.is_empty()
    assert quotas.nearest(b"/a") is None


def test_where_a_quota_lives() -> None:
    assert limits_path(b"/a/b") == b"/zookeeper/quota/a/b/zookeeper_limits"
    assert stats_path(b"/a/b") == b"/zookeeper/quota/a/b/zookeeper_stats"
