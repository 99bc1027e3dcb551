"""Real members without a quorum, and leaders that serve nobody: of zoopark's and of Apache's servers."""

from importlib import import_module
from typing import Any, Final

import pytest

from tests.compat import wire
from tests.compat.conftest import Form
from tests.compat.members import AT_ONCE, WAIT_S, Members, errors, until
from tests.compat.session import RefusedError

kazoo: Final[Any] = import_module("kazoo.client")
states: Final[Any] = import_module("kazoo.protocol.states")
NOT_READ_ONLY: Final = -119
KINDS: Final = ["zoopark", pytest.param("3.9.3", marks=pytest.mark.compat)]
NOT_SERVING: Final = "This ZooKeeper instance is not currently serving requests\n"
LOCAL: Final = {"localSessionsEnabled": "true"}
"""Without them Apache's server opens no session while it is read-only."""
READ_ONLY: Final = {"readonlymode.enabled": "true"}


def alone(form: Form, kind: str) -> tuple[Members, int, int]:
    """An ensemble that lost its quorum: its last server, and one of those that are gone."""
    members = form(*[kind] * 3, settings=LOCAL, properties=READ_ONLY).start()
    leader = members.leader()
    gone, last = members.others(leader)
    client = members.client(last)
    client.create("/a", b"x")  # acknowledged here: this server has it, too
    client.stop()
    for sid in (gone, leader):
        members.servers[sid].kill()
    until(lambda: members.servers[last].word("isro"), lambda said: said == "ro")
    return members, last, gone


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_without_a_quorum_answers_reads(form: Form, kind: str) -> None:
    """Of those who ask for no more; and says what it is. With a quorum they must come again."""
    members, last, gone = alone(form, kind)
    server = members.servers[last]
    said = server.word("srvr").splitlines()
    assert (said[1], "Mode: read-only" in said) == ("READ-ONLY mode; serving only read-only clients", True)
    with pytest.raises(RefusedError, match="hung up on the connect request"):
        members.session(last)
    session = members.session(last, is_read_only=True)
    assert (session.must(wire.GET_DATA, wire.string("/a") + b"\x00").buf(), session.is_read_only) == (b"x", True)
    for opcode in (wire.SET_DATA, wire.SYNC, wire.DELETE, wire.MULTI, wire.CREATE):
        assert session.call(opcode, wire.string("/a") + wire.buf(b"") + wire.i32(-1)).error == NOT_READ_ONLY
    assert session.call(wire.EXISTS, wire.string("/a") + b"\x00").error == 0
    members.servers[gone].start()
    members.wait(last, gone)
    session.wait_end()
    with pytest.raises(RefusedError, match="expired"):
        members.session(last, session, is_read_only=True)
    assert server.word("isro") == "rw"
    assert not members.session(last, is_read_only=True).is_read_only


def test_kazoo_reads_and_comes_back_to_write(form: Form) -> None:
    members, last, gone = alone(form, "zoopark")
    hosts = f"127.0.0.1:{members.servers[last].port}"
    client = kazoo.KazooClient(hosts, timeout=30, read_only=True, connection_retry=AT_ONCE)
    try:
        client.start(WAIT_S)
        assert client.client_state == states.KeeperState.CONNECTED_RO
        assert client.get("/a")[0] == b"x"
        with pytest.raises(errors.NotReadOnlyCallError):
            client.set("/a", b"y")
        members.servers[gone].start()
        until(lambda: client.client_state, lambda state: state == states.KeeperState.CONNECTED)
        client.retry(client.set, "/a", b"y")
        assert client.get("/a")[0] == b"y"
    finally:
        client.stop()
        client.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_leader_may_leave_clients_to_others(form: Form, kind: str) -> None:
    """leaderServes=no: two of three serve, and the third says that it does not."""
    members = form(*[kind] * 3, settings={"leaderServes": "no"})
    for server in members.servers.values():
        server.spawn()  # the one that leads never says that it serves
    modes = until(members.modes, lambda modes: len(modes) == 2)
    assert sorted(modes.values()) == ["follower", "follower"]
    (leader,) = set(members.servers) - set(modes)
    assert members.servers[leader].word("srvr") == NOT_SERVING
    with pytest.raises(RefusedError, match="hung up"):
        members.session(leader)
    one, other = modes
    members.session(one).create("/a")
    reader = members.session(other)
    reader.must(wire.SYNC, wire.string("/a"))
    reader.must(wire.GET_DATA, wire.string("/a") + b"\x00")
