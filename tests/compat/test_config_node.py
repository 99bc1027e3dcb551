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
    members = form(*kinds, n_observers=1)
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
    members = form(*kinds, n_observers=1)
    for sid in members.servers:
        with pytest.raises(errors.ReconfigDisabledError):
            members.client(sid).reconfig(joining="server.5=127.0.0.1:1:2;3", leaving=None, new_members=None)
