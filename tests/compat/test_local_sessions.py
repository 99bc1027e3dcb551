"""Local sessions on real ensembles, of zoopark's servers, of Apache's and of both: the same happens on all of them."""

from contextlib import suppress
from typing import Final

import pytest

from tests.compat import wire
from tests.compat.conftest import Form
from tests.compat.members import Members, until
from tests.compat.session import RefusedError, Session

EPHEMERAL: Final = 1
EPHEMERAL_ON_LOCAL_SESSION: Final = -120
KINDS: Final = [
    ("zoopark", "zoopark", "zoopark"),
    *(
        pytest.param(kinds, marks=pytest.mark.compat, id=" ".join(kinds))
        for kinds in (("3.9.3",) * 3, ("zoopark", "3.9.3", "3.9.3"), ("3.9.3", "zoopark", "zoopark"))
    ),
]


def form_local(form: Form, kinds: tuple[str, ...], is_upgrading: str) -> Members:
    """An ensemble with local sessions, which are upgraded or not."""
    lines = {"localSessionsEnabled": "true", "localSessionsUpgradingEnabled": is_upgrading}
    return form(*kinds, settings=lines).start()


def goes_on(members: Members, sid: int, session: Session) -> bool:
    """Whether a client may go on with a session at a server."""
    try:
        members.session(sid, session)
    except RefusedError:
        return False
    return True


def write(session: Session, path: str, flags: int = 0) -> tuple[int, int]:
    """(error, zxid) of a create."""
    body = (
        wire.string(path) + wire.buf(b"") + wire.vector([wire.i32(31) + wire.string("world") + wire.string("anyone")])
    )
    reply = session.call(wire.CREATE, body + wire.i32(flags))
    return reply.error, reply.zxid


def counts(members: Members, sid: int) -> list[str]:
    """How many sessions of which kind a server knows."""
    return [line for line in members.servers[sid].word("mntr").splitlines() if "al_sessions" in line]


@pytest.mark.parametrize("kinds", KINDS)
def test_without_upgrading_a_local_session_may_all_but_own(form: Form, kinds: tuple[str, ...]) -> None:
    """It costs no transaction, ends where it began, and is refused an ephemeral by one."""
    members = form_local(form, kinds, "false")
    for sid in members.servers:
        session = members.session(sid)
        assert session.session_id >> 56 == sid
        error, first = write(session, f"/a{sid}")
        assert (error, counts(members, sid)) == (0, ["zk_global_sessions\t0", "zk_local_sessions\t1"])
        assert write(session, f"/e{sid}", EPHEMERAL) == (EPHEMERAL_ON_LOCAL_SESSION, first + 1)
        assert write(session, f"/b{sid}") == (0, first + 2)
        assert [other for other in members.servers if goes_on(members, other, session)] == [sid]
        session = members.session(sid, session)
        session.end()
        assert not goes_on(members, sid, session)
        assert write(members.session(sid), f"/c{sid}") == (0, first + 3)


@pytest.mark.parametrize("kinds", KINDS)
def test_an_ephemeral_makes_a_local_session_one_of_the_ensemble(form: Form, kinds: tuple[str, ...]) -> None:
    """It moves, survives the leader and takes its ephemerals along; one that owns nothing ends with the leader."""
    members = form_local(form, kinds, "true")
    leader = members.leader()
    one, other = members.others(leader)
    owners = {sid: members.session(sid) for sid in members.servers}
    for sid, owner in owners.items():
        assert write(owner, f"/e{sid}", EPHEMERAL)[0] == 0
        until(lambda: counts(members, one)[0], f"zk_global_sessions\t{sid}".__eq__)
    moved = members.session(other, owners[one])
    assert write(moved, "/moved")[0] == 0
    local = members.session(other)
    members.kill(leader)
    with suppress(RefusedError, OSError):
        local.wait_end()
    assert not goes_on(members, other, local)
    again = members.session(one, owners[leader])
    again.must(wire.GET_DATA, wire.string(f"/e{leader}") + b"\x00")
    again.end()
    reader = members.session(one)
    reader.must(wire.SYNC, wire.string("/"))
    found = [reader.call(wire.GET_DATA, wire.string(f"/e{sid}") + b"\x00").error for sid in (leader, one)]
    assert found == [-101, 0]
