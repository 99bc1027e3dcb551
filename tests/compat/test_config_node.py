"""Who is in the ensemble, as /zookeeper/config says it, on servers of both kinds."""

from typing import Any

import pytest

from tests.compat.conftest import Form
from tests.compat.members import Members, errors

pytestmark = pytest.mark.compat


def told(members: Members, sid: int) -> tuple[Any, ...]:
    """What any client may read at this server: the text, and the Stat without the moment of its start."""
    data, stat = members.client(sid).get("/zookeeper/config")
    return (data, *stat._replace(mtime=0))


@pytest.mark.parametrize("kinds", [("zoopark", "3.9.3", "zoopark", "3.9.3"), ("3.9.3", "zoopark", "3.9.3", "zoopark")])
def test_all_say_the_same_whatever_brought_them_here(form: Form, kinds: tuple[str, ...]) -> None:
    """After a first start, a snapshot, a difference, and a start of all of them."""
    members = form(*kinds, n_observers=1).start()
    lines = [members.servers[1].settings[f"server.{sid}"] for sid in (1, 2, 3, 4)]
    roles = [line if line.endswith("observer") else f"{line}:participant" for line in lines]
    text = "".join(f"server.{sid}={line}\n" for sid, line in enumerate(roles, 1)) + "version=0"
    first = told(members, 1)
    assert first[0] == text.encode()
    assert {told(members, sid) for sid in members.servers} == {first}
    members.client(1).create("/a")
    for sid in (1, 2, 4):
        members.kill(sid)
        if sid != 4:
            members.wipe(sid)
        members.client(3).create(f"/missed-by-{sid}")
        members.start(sid)
    assert {told(members, sid) for sid in members.servers} == {first}
    for server in members.servers.values():
        server.stop()
    members.start()
    assert {told(members, sid) for sid in members.servers} == {first}


@pytest.mark.parametrize(
    "kinds", [("zoopark", "zoopark", "zoopark", "zoopark"), ("3.9.3", "3.9.3", "3.9.3", "zoopark")]
)
def test_nobody_changes_it_while_reconfiguration_is_disabled(form: Form, kinds: tuple[str, ...]) -> None:
    """The leader, a follower and an observer refuse with the same error."""
    members = form(*kinds, n_observers=1).start()
    for sid in members.servers:
        with pytest.raises(errors.ReconfigDisabledError):
            members.client(sid).reconfig(joining="server.5=127.0.0.1:1:2;3", leaving=None, new_members=None)


@pytest.mark.parametrize("kinds", [("zoopark", "zoopark", "zoopark"), ("zoopark", "3.9.3", "zoopark")], ids=" ".join)
def test_servers_with_several_addresses_are_one_ensemble(form: Form, kinds: tuple[str, ...]) -> None:
    """Each listens on all of its own; what all say of all is the same, sorted."""
    are_several = "multiAddress.enabled"
    members = form(*kinds, properties={f"zookeeper.{are_several}": "true"}, settings={are_several: "true"})
    for server in members.servers.values():
        for sid in members.servers:
            place = server.settings[f"server.{sid}"]
            server.settings[f"server.{sid}"] = f"{place.replace('127.0.0.1', '127.0.0.2')}|{place}"
    members.start()
    assert {told(members, sid) for sid in members.servers} == {told(members, 1)}
    assert told(members, 1)[0].startswith(b"server.1=127.0.0.1:")
    assert b"|127.0.0.2:" in told(members, 1)[0]
    members.kill(members.leader())
    members.client(*members.modes()).create("/a")


@pytest.mark.parametrize("kinds", [("zoopark", "zoopark", "zoopark"), ("zoopark", "3.9.3", "zoopark")], ids=" ".join)
def test_server_lines_in_a_file_of_their_own_are_one_ensemble(form: Form, kinds: tuple[str, ...]) -> None:
    """dynamicConfigFile, which nobody writes to; its name has the version."""
    members = form(*kinds)
    for server in members.servers.values():
        lines = {key: server.settings.pop(key) for key in list(server.settings) if key.startswith("server.")}
        dynamic = server.home / "zoo.cfg.dynamic.1c"
        dynamic.write_text("".join(f"{key}={line}\n" for key, line in lines.items()))
        server.settings["dynamicConfigFile"] = str(dynamic)
    members.start()
    assert {told(members, sid) for sid in members.servers} == {told(members, 1)}
    assert told(members, 1)[0].endswith(b"\nversion=1c")
    assert told(members, 1)[2] == 0x1C
    names = {
        path.name for server in members.servers.values() for path in server.home.iterdir() if "dynamic" in path.name
    }
    assert names == {"zoo.cfg.dynamic.1c"}
