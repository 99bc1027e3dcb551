"""Keys that one server accepts without honouring them."""

import pytest

from zoopark.server.otherkeys import WITHOUT_EFFECT, asks_for_nothing, is_later, is_later_in_file
from zoopark.server.settings import SETTINGS


@pytest.mark.parametrize(
    ("key", "of_reader"),
    [
        ("server.1", True),
        ("group.2", True),
        ("weight.2", True),
        ("metricsProvider.httpPort", True),
        ("secureClientPort", True),
        ("admin.serverPort", False),
        ("ssl.quorum.keyStore.location", False),
        ("authProvider.sasl", False),
        ("leader.maxConcurrentSnapSyncs", False),
    ],
)
def test_later_keys_are_known_with_where_they_are_read(key: str, of_reader: bool) -> None:
    """A key of zoo.cfg's own reader never becomes a property, so -D cannot set it."""
    assert is_later(key)
    assert of_reader == is_later_in_file(key)


@pytest.mark.parametrize("key", ["serverless", "Group.1", "sslx", "tickTime", "snapCount", "my.key"])
def test_other_keys_are_not_later(key: str) -> None:
    """Near names are the user's own properties."""
    assert not is_later(key)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("commitLogCount", "10", True),
        ("sslQuorum", "False", True),
        ("sslQuorum", "true", False),
        ("standaloneEnabled", "true", True),
        ("standaloneEnabled", "false", False),
        ("admin.enableServer", "false", True),
        ("admin.serverPort", "8080", False),
        ("metricsProvider.className", "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider", True),
        ("server.1", "localhost:2888:3888", False),
        ("superUser", "", False),
    ],
)
def test_a_later_key_that_asks_for_nothing_is_told_apart(key: str, value: str, expected: bool) -> None:
    """A warning nobody can act on hides the ones that matter."""
    assert expected == asks_for_nothing(key, value)


def test_no_key_is_both_honoured_and_not() -> None:
    """The warning must not name a key that is in force."""
    honoured = [setting.key for setting in SETTINGS]
    assert [key for key in honoured if is_later(key) or key in WITHOUT_EFFECT] == []
    assert [key for key in WITHOUT_EFFECT if is_later(key)] == []


@pytest.mark.parametrize(("key", "expected"), [("commitLogCount", False), ("jvm.pause.monitor", True)])
def test_what_asks_for_nothing_of_one_server_may_ask_a_member(key: str, expected: bool) -> None:
    """But Java's own tuning asks nobody for anything."""
    assert asks_for_nothing(key, "10")
    assert expected == asks_for_nothing(key, "10", is_ensemble=True)
