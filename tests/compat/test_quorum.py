"""Apache ZooKeeper elects with our election and speaks with our records, in both roles."""

from collections.abc import Callable

import pytest

from tests.compat.oracle import Flavour
from tests.jute.capture_quorum import Stage, follow, lead, played

pytestmark = pytest.mark.compat


@pytest.mark.parametrize(
    ("play", "ours", "apache", "expected"),
    [
        (follow, 1, 3, {"PROPOSAL", "COMMIT", "INFORM", "SYNC", "REVALIDATE", "UPTODATE", "LEADING"}),
        (lead, 3, 1, {"FOLLOWERINFO", "ACKEPOCH", "ACK", "REQUEST", "REVALIDATE", "PING", "FOLLOWING"}),
    ],
    ids=["apache leads", "apache follows"],
)
def test_two_voters_elect_and_work(
    referee: Callable[[str], Flavour],
    play: Callable[[Stage], None],
    ours: int,
    apache: int,
    expected: set[str],
) -> None:
    """What came is byte for byte what we would have sent: `Raw` in the capture asserts it."""
    referee("3.9.3")
    rows = [row.split() for row in played(play, ours, apache)]
    assert expected <= {name for _, sign, name, _ in rows if sign == "<"}
