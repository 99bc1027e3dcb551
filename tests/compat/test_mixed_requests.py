"""Requests of every sort, through each server of a mixed ensemble: all make the same of them.

Server 1 is of the other kind than 2 and 3, one of which leads.
"""

from collections.abc import Iterator
from functools import partial
from operator import not_
from random import Random
from typing import Final

import pytest

from tests.compat import requests as ask
from tests.compat import wire
from tests.compat.conftest import Form, Referee
from tests.compat.generate import Generator
from tests.compat.members import WAIT_S, Members, fill, until
from tests.compat.pair import DIFFERENTIAL_SETTINGS
from tests.compat.relay import do, must
from tests.compat.run import Side
from tests.compat.session import Session
from tests.compat.wire import Reader

pytestmark = pytest.mark.compat

KINDS: Final = {
    "Apache leads": ("zoopark", "3.9.3", "3.9.3"),
    "zoopark leads": ("3.9.3", "zoopark", "zoopark"),
}
OFTEN: Final = {"znode.container.checkIntervalMs": "200"}
SUPER: Final = {f"zookeeper.{key}": value for key, value in DIFFERENTIAL_SETTINGS.items() if "." in key}
STEPS: Final = 150
BAD_VERSION, ABORTED, FOLLOWS = -103, 0, -2


@pytest.fixture(scope="module", params=KINDS)
def mixed(
    request: pytest.FixtureRequest, flavour: Referee, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Members]:
    flavours = [flavour(kind) for kind in KINDS[request.param]]
    members = Members(tmp_path_factory.mktemp("mixed"), flavours, properties={**OFTEN, **SUPER}).start()
    yield members
    members.finish()


def test_a_multi_is_one_change_wherever_it_comes_in(mixed: Members) -> None:
    """All of it has one zxid; one that fails says which part did, and leaves nothing."""
    for sid in mixed.servers:
        session, root = mixed.session(sid), f"/multi-{sid}"
        done = do(session, ask.multi(ask.create(root), ask.create(f"{root}/a"), ask.set_data(f"{root}/a", b"1")))
        assert done.error == 0
        failed = ask.multi(ask.create(f"{root}/b"), ask.check(root, 7), ask.delete(f"{root}/a"))
        assert errors_of(Reader(do(session, failed).body), 3) == [ABORTED, BAD_VERSION, FOLLOWS]
        for other in mixed.servers:
            reader = mixed.session(other)
            must(reader, ask.named(wire.SYNC, root))
            assert reader.node(root).children == ("a",)
            assert reader.node(f"{root}/a").data == b"1"
            assert {reader.node(f"{root}/a").stat[zxid] for zxid in ("czxid", "mzxid")} == {done.zxid}


def errors_of(reader: Reader, count: int) -> list[int]:
    """The errors in the answer to a multi that failed."""
    found = []
    for _ in range(count):
        reader.take(9)
        found.append(reader.i32())
    return found


def test_errors_come_back_in_the_order_of_requests(mixed: Members) -> None:
    """Refused and accepted writes, and reads in between, sent at once: kazoo hangs up if answers are out of order."""
    for sid in mixed.servers:
        client = mixed.client(sid)
        client.create(f"/order-{sid}")
        waiting = []
        for number in range(20):
            path = f"/order-{sid}/{number}"
            waiting += [client.create_async(path), client.create_async(path), client.get_async(path)]
            waiting += [client.delete_async(path), client.get_async(path)]
        for one in waiting:
            one.wait(WAIT_S)
        told = [type(one.exception).__name__ for one in waiting]
        assert told == ["NoneType", "NodeExistsError", "NoneType", "NoneType", "NoNodeError"] * 20


def test_the_leader_reaps_containers_and_what_outlived_its_time(mixed: Members) -> None:
    """Made through any server; the leader of either kind deletes them, and everybody sees it."""
    watcher = mixed.session(1)
    for sid in mixed.servers:
        session = mixed.session(sid)
        must(session, ask.create(f"/container-{sid}", opcode=wire.CREATE_CONTAINER, flags=ask.CONTAINER))
        must(session, ask.create(f"/container-{sid}/child"), ask.delete(f"/container-{sid}/child"))
        must(session, ask.create_ttl(f"/brief-{sid}", 300), ask.create_ttl(f"/long-{sid}", 300_000))
    for sid in mixed.servers:
        until(partial(is_there, watcher, f"/container-{sid}"), not_)
        until(partial(is_there, watcher, f"/brief-{sid}"), not_)
        assert is_there(watcher, f"/long-{sid}")


def is_there(session: Session, path: str) -> bool:
    return do(session, ask.exists(path)).error == 0


def test_random_requests_through_each_server_leave_equal_trees(form: Form) -> None:
    """Bad ones included. Apache's leader never answers a follower what it cannot read, so zoopark leads here."""
    members = form(*KINDS["zoopark leads"], properties={**OFTEN, **SUPER}).start()
    for sid, server in members.servers.items():
        side = Side(server.address)
        for step in Generator(Random(sid)).steps(STEPS):
            side.perform(step)
        fill(members.client(sid), f"/random-{sid}", range(128))
        members.check()
        side.finish()
    assert len(members.digests()) > len(members.servers)
