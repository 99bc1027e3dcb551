"""How much log a learner is sent in the place of a snapshot: snapshotSizeFactor."""

from pathlib import Path

import pytest

from tests.compat import oracle
from tests.compat.members import Members, fill

LARGE = b"x" * 900_000
MORE_THAN_THE_WINDOW = 600


@pytest.mark.parametrize(("factor", "is_snapshot"), [("-1", True), ("0.33", False)])
def test_a_learner_is_sent_a_log_that_is_small_beside_a_snapshot(
    tmp_path: Path, factor: str, is_snapshot: bool
) -> None:
    """What it missed is no more in memory; the log of it is a tenth of a snapshot. Less than 0 means no log at all."""
    properties = {"zookeeper.snapCount": "100", "zookeeper.snapshotSizeFactor": factor}
    members = Members(tmp_path, [oracle.zoopark()] * 3, properties=properties)
    try:
        members.start()
        client = members.client(2, 3)
        client.create("/large", LARGE)
        members.save_all(client, len(LARGE))
        members.kill(1)
        fill(members.client(2, 3), "/missed", range(MORE_THAN_THE_WINDOW))
        members.start(1)
        assert ("saving the leader's snapshot" in members.said(1)) is is_snapshot
        members.finish()
    finally:
        members.stop()
