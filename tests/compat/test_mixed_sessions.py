"""Sessions of a mixed ensemble: they go from kind to kind with all they have, and end when the leader says so.

Server 1 is of the other kind than 2 and 3, one of which leads, so that each way of a request is taken: to a follower of
either kind, and to the leader.
"""

import time
from collections.abc import Iterator
from functools import partial
from itertools import permutations
from operator import not_
from typing import Final

import pytest

from tests.compat import requests as ask
from tests.compat import wire
from tests.compat.conftest import Form, Referee
from tests.compat.members import TICK_MS, Members, until
from tests.compat.relay import do, must
from tests.compat.session import Event, RefusedError, Session
from tests.compat.wire import Link, Reader

pytestmark = pytest.mark.compat

KINDS: Final = {
    "Apache leads": ("zoopark", "3.9.3", "3.9.3"),
    "zoopark leads": ("3.9.3", "zoopark", "zoopark"),
}
SHORT_MS: Final = 2500
"""Of sessions that are to expire: long enough to make an ephemeral first, on a busy machine too."""
LONGER_MS: Final = 9000
"""Of sessions that are to live, because they ping."""
AHEAD: Final = 1 << 60
CREATED, DELETED, CHANGED, CHILD = 1, 2, 3, 4
NO_NODE, SESSION_MOVED = -101, -118
PERSISTENT, RECURSIVE = 0, 1


@pytest.fixture(scope="module", params=KINDS)
def mixed(
    request: pytest.FixtureRequest, flavour: Referee, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Members]:
    """One ensemble for all tests that leave every server alone."""
    flavours = [flavour(kind) for kind in KINDS[request.param]]
    members = Members(tmp_path_factory.mktemp("mixed"), flavours).start()
    yield members
    members.finish()


def exists(session: Session, path: str) -> bool:
    """Whether a node is there, by now."""
    must(session, ask.named(wire.SYNC, path))
    return do(session, ask.exists(path)).error == 0


def set_watches(session: Session, since_zxid: int, *lists: list[str]) -> None:
    """setWatches2: data, exists, children, persistent and recursive watches that were set up to this zxid."""
    encoded = b"".join(wire.vector([wire.string(path) for path in paths]) for paths in lists)
    assert session.call(wire.SET_WATCHES2, wire.i64(since_zxid) + encoded, wire.SET_WATCHES_XID).error == 0


def test_everybody_reads_what_was_written_at_any(mixed: Members) -> None:
    """Its own writes at once, in the order of its requests; others' behind a sync."""
    for sid in mixed.servers:
        writer = mixed.session(sid)
        writer.create(f"/own-{sid}", b"0")
        for number in range(1, 50):
            must(writer, ask.set_data(f"/own-{sid}", b"%d" % number))
            assert writer.node(f"/own-{sid}").data == b"%d" % number
            for other in mixed.others(sid) if number % 16 == 0 else []:
                reader = mixed.session(other)
                must(reader, ask.named(wire.SYNC, "/"))
                assert reader.node(f"/own-{sid}").data == b"%d" % number


@pytest.mark.parametrize(("start", "end"), list(permutations((1, 2, 3), 2)))
def test_a_session_moves_with_its_ephemerals_and_watches(mixed: Members, start: int, end: int) -> None:
    """What it missed on the way it is told when it sets its watches again; the connection it left may write no more."""
    root = f"/move-{start}-{end}"
    former = mixed.session(start)
    for name in ("", "/data", "/gone", "/children", "/recursive"):
        former.create(root + name)
    former.create(f"{root}/ephemeral", flags=ask.EPHEMERAL)
    must(former, ask.add_watch(f"{root}/data", PERSISTENT), ask.add_watch(f"{root}/recursive", RECURSIVE))
    seen_zxid = do(former, ask.exists(f"{root}/gone", True)).zxid
    stranger = mixed.session(6 - start - end)
    must(stranger, ask.set_data(f"{root}/data", b"1"), ask.delete(f"{root}/gone"), ask.create(f"{root}/new"))
    stranger.create(f"{root}/children/child")

    moved = mixed.session(end, former)
    assert moved.session_id == former.session_id
    must(moved, ask.named(wire.SYNC, root))
    assert moved.node(f"{root}/ephemeral").stat["ephemeral_owner"] == moved.session_id
    paths = [f"{root}/{name}" for name in ("data", "gone", "new", "children", "recursive")]
    set_watches(moved, seen_zxid, paths[:2], paths[2:3], paths[3:4], paths[:1], paths[4:])
    missed = [(CHANGED, paths[0]), (DELETED, paths[1]), (CREATED, paths[2]), (CHILD, paths[3])]
    assert sorted(moved.wait_events(4), key=str) == sorted((Event(*event) for event in missed), key=str)
    must(moved, ask.add_watch(paths[1], RECURSIVE))
    must(stranger, ask.set_data(paths[0], b"2"), ask.create(f"{paths[4]}/deep"), ask.create(paths[1]))
    later = [Event(CHANGED, paths[0]), Event(CREATED, f"{paths[4]}/deep"), Event(CREATED, paths[1])]
    assert moved.wait_events(7)[4:] == later

    assert is_refused(former, f"{root}/too-late")
    assert not exists(moved, f"{root}/too-late")
    moved.end()
    assert not exists(stranger, f"{root}/ephemeral")


def is_refused(session: Session, path: str) -> bool:
    try:
        return do(session, ask.create(path)).error == SESSION_MOVED
    except RefusedError:
        return True


def refusal(mixed: Members, sid: int, former: Session) -> str:
    """How this server refuses a session.

    An Apache server hangs up without a word, and logs a CancelledKeyException, when the leader answers sooner than its
    own thread has put the connection aside; whoever asks again is told.
    """
    with pytest.raises(RefusedError) as refused:
        mixed.session(sid, former)
    assert "expired" in str(refused.value) or mixed.servers[sid].flavour.name.startswith("apache"), refused.value
    return str(refused.value)


def test_nobody_goes_on_with_a_session_that_is_not_its_own(mixed: Members) -> None:
    """One that nobody opened, one that was closed, one whose password is wrong: refused by each, and stays as it is."""
    for sid in mixed.servers:
        closed, kept = mixed.session(sid), mixed.session(sid)
        closed.end()
        for other in mixed.servers:
            until(partial(refusal, mixed, other, closed), lambda why: "has expired" in why)
            link = Link(mixed.servers[other].address)
            link.send(wire.frame(wire.connect_request(0, 10_000, kept.session_id, b"p" * 16) + b"\x00"))
            answer = Reader(link.receive() or b"")
            answer.take(8)
            assert answer.i64() == 0
            link.close()
        assert mixed.session(sid, kept).session_id == kept.session_id


def test_nobody_serves_a_client_that_has_seen_more(mixed: Members) -> None:
    """It goes on looking for a server that knows what it has seen."""
    for server in mixed.servers.values():
        with pytest.raises(RefusedError, match="hung up"):
            Session(server.address, last_zxid=AHEAD)


def test_a_closing_session_takes_its_ephemerals_along(mixed: Members) -> None:
    """All of them, for everybody, and whoever watches is told."""
    for sid in mixed.servers:
        session = mixed.session(sid)
        paths = [session.create(f"/closing-{sid}-{number}", flags=ask.EPHEMERAL) for number in range(5)]
        watchers = [mixed.session(other) for other in mixed.servers]
        for watcher in watchers:
            must(watcher, ask.named(wire.SYNC, "/"), *[ask.exists(path, True) for path in paths])
        session.end()
        for watcher in watchers:
            assert {event.path for event in watcher.wait_events(5)} == set(paths)
            assert not any(exists(watcher, path) for path in paths)


def test_sessions_expire_when_the_leader_has_heard_nothing_of_them(mixed: Members) -> None:
    """Those whose clients are silent do, none before its time; those that ping go on, at a server of either kind."""
    watcher = mixed.session(1)
    alive = {f"/alive-{sid}": mixed.session(sid, timeout_ms=LONGER_MS) for sid in mixed.servers}
    for path, session in alive.items():
        session.create(path, flags=ask.EPHEMERAL)
    since = time.monotonic()
    silent: dict[str, Session] = {}
    for sid in mixed.servers:
        session = silent[f"/silent-{sid}"] = mixed.session(sid, timeout_ms=SHORT_MS)
        assert session.timeout_ms == SHORT_MS
        session.create(f"/silent-{sid}", flags=ask.EPHEMERAL)

    def left() -> set[str]:
        for session in alive.values():
            session.call(wire.PING, b"", wire.PING_XID)
        return {path for path in silent | alive if exists(watcher, path)}

    until(left, lambda left: left != {*silent, *alive})
    assert time.monotonic() - since > (SHORT_MS - TICK_MS) / 1000
    until(left, lambda left: left == {*alive})
    for session in silent.values():
        for sid in mixed.servers:
            with pytest.raises(RefusedError):
                mixed.session(sid, session)
    until(left, lambda left: time.monotonic() - since > 1.2 * LONGER_MS / 1000)
    assert left() == {*alive}


@pytest.mark.parametrize("kinds", [("3.9.3", "zoopark", "3.9.3"), ("zoopark", "3.9.3", "zoopark")], ids=" ".join)
def test_sessions_outlive_their_server(form: Form, kinds: tuple[str, ...]) -> None:
    """Each kind leads, is killed, and the other kind takes over with all sessions, of which the silent ones expire.

    In the end a follower is killed too.
    """
    members = form(*kinds).start()
    members.make_leader(3)
    for doomed in (3, 2, 1):
        former = members.leader()
        assert doomed in (former, 1)
        sessions = {f"/of-{sid}-without-{doomed}": members.session(sid) for sid in members.servers}
        silent = members.session(doomed, timeout_ms=SHORT_MS)
        silent.create(f"/silent-{doomed}", flags=ask.EPHEMERAL)
        for path, session in sessions.items():
            session.create(path, flags=ask.EPHEMERAL)
        members.kill(doomed)
        heir = members.leader()
        assert heir == former or kinds[heir - 1] != kinds[former - 1]
        for sid, path in zip(members.servers, sessions, strict=True):
            moved = members.session(sid if sid != doomed else doomed % 3 + 1, sessions[path])
            assert moved.node(path).stat["ephemeral_owner"] == sessions[path].session_id
            sessions[path] = moved
        watcher = members.session(heir)
        until(partial(exists, watcher, f"/silent-{doomed}"), not_)
        assert all(exists(session, path) for path, session in sessions.items())
        members.start(doomed)
