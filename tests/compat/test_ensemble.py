"""Three processes of zoopark form an ensemble."""

from concurrent.futures import ThreadPoolExecutor

from tests.compat.conftest import Form
from tests.compat.members import WAIT_S, count, until


def test_a_write_through_a_follower_is_read_at_another(form: Form) -> None:
    """One leads, two follow, and all say so; what one is told all know."""
    members = form("zoopark", "zoopark", "zoopark").start()
    assert sorted(members.modes().values()) == ["follower", "follower", "leader"]
    one, other = members.others(members.leader())
    assert members.client(one).create("/a", b"data") == "/a"
    reader = members.client(other)
    reader.sync("/a")
    assert reader.get("/a")[0] == b"data"
    assert {server.word("isro") for server in members.servers.values()} == {"rw"}
    assert "zk_server_state\tfollower" in members.servers[one].word("mntr")


def test_no_acknowledged_write_is_lost_with_the_leader(form: Form) -> None:
    """kill -9 while a client counts: the count goes on and no number is missing; it rejoins by DIFF."""
    members = form("zoopark", "zoopark", "zoopark").start()
    leader = members.leader()
    client = members.client(*members.others(leader))
    client.create("/count")
    with ThreadPoolExecutor(1) as pool:
        counted = pool.submit(count, client, "/count", range(400))
        count(members.client(members.others(leader)[0]), "/first", range(20))
        members.kill(leader)
        acknowledged = counted.result(WAIT_S)
    members.servers[leader].start()
    rows = members.rows(leader)
    assert [number for number in acknowledged if f"/count/{number}" not in rows] == []
    assert rows == members.rows(members.leader())
    assert "saving the leader's snapshot" not in members.servers[leader].log


def test_a_wiped_member_gets_a_snapshot(form: Form) -> None:
    """It has nothing, and ends with everything; it may then be needed for a quorum."""
    members = form("zoopark", "zoopark", "zoopark").start()
    count(members.client(1, 2, 3), "/n", range(200))
    wiped, kept = members.others(members.leader())
    members.kill(wiped)
    members.wipe(wiped)
    members.servers[wiped].start()
    assert "saving the leader's snapshot" in members.servers[wiped].log
    members.kill(kept)
    assert len([path for path in members.rows(wiped) if path.startswith("/n/")]) == 200


def test_what_was_never_committed_is_taken_back(form: Form) -> None:
    """A leader logs what nobody else hears of, and dies: TRUNC, and the others' history."""
    members = form("zoopark", "zoopark", "zoopark").start()
    leader = members.leader()
    count(members.client(leader), "/n", range(10))
    members.doom(leader, "/doomed")
    members.start(*members.others(leader))
    members.servers[leader].start()
    assert "truncating the log" in members.servers[leader].log
    count(members.client(*members.others(leader)), "/n", range(10, 20))
    rows = members.rows(leader)
    assert "/doomed" not in rows and "/n/19" in rows
    assert rows == members.rows(members.leader())


def test_a_member_alone_does_not_serve(form: Form) -> None:
    """Two of three are gone: no write may be acknowledged; when one returns, both serve."""
    members = form("zoopark", "zoopark", "zoopark").start()
    last, *others = members.servers
    for sid in others:
        members.servers[sid].kill()
    until(lambda: members.servers[last].word("isro"), lambda said: said == "null")
    assert members.modes() == {}
    members.servers[others[0]].start()
    assert sorted(members.wait(last, others[0]).values()) == ["follower", "leader"]
