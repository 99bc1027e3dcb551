"""Servers of Apache's and of zoopark's are one ensemble, in every mixture, whoever leads and whoever only observes.

What clients do through each of them is in `test_mixed_requests` and `test_mixed_sessions`, what servers tell one that
was away in `test_mixed_sync`. All with 3.9.3, the shortest also with 3.8.
"""

import pytest

from tests.compat.conftest import Form
from tests.compat.members import count

pytestmark = pytest.mark.compat

MIXTURES = [
    ("3.9.3", "3.9.3", "zoopark"),
    ("3.9.3", "zoopark", "3.9.3"),
    ("zoopark", "3.9.3", "zoopark"),
    ("zoopark", "zoopark", "3.9.3"),
    ("zoopark", "3.8", "zoopark"),
    ("3.8", "zoopark", "3.8"),
]


@pytest.mark.parametrize("kinds", MIXTURES, ids=" ".join)
def test_servers_of_both_kinds_are_one_ensemble(form: Form, kinds: tuple[str, ...]) -> None:
    """Each kind leads once, writes come in on all, and all end with the same data, Stats included.

    Of equal logs the larger id's leads, so servers 2 and 3 take turns.
    """
    members = form(*kinds).start()
    led = set()
    for at in range(4):
        for sid in members.modes():
            count(members.client(sid), f"/from-{sid}-{at}", range(20))
        leader = members.leader()
        led.add(kinds[leader - 1])
        assert members.rows(1) == members.rows(2) == members.rows(3)
        if len(led) == 2:
            break
        members.kill(leader)
        count(members.client(members.others(leader)[0]), f"/without-{leader}", range(20))
        members.start(leader)
    assert led == set(kinds)
    count(members.client(1), "/more", range(150))
    assert members.digests() != {}


@pytest.mark.parametrize(("voters", "observer"), [("zoopark", "3.9.3"), ("3.9.3", "zoopark"), ("3.8", "zoopark")])
def test_an_observer_of_either_kind_serves_clients(form: Form, voters: str, observer: str) -> None:
    """Its clients write through it, also under the next leader; when it was wiped it gets a snapshot."""
    members = form(voters, voters, voters, observer, n_observers=1).start()
    assert members.modes()[4] == "observer"
    count(members.client(4), "/before", range(20))
    members.kill(members.leader())
    count(members.client(4), "/after", range(20))
    members.servers[4].kill()
    members.wipe(4)
    members.start(4)
    assert members.rows(4) == members.rows(members.leader())
