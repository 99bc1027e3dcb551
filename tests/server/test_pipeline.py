"""Writes on their way: in the order of their zxids, and none before the disk has it."""

import pytest

from tests.compat import requests as ask
from tests.compat import wire
from zoopark.record import Now
from zoopark.server.config import default_config
from zoopark.server.pipeline import Pipeline
from zoopark.server.prepare import Preparer, Requester
from zoopark.server.sessions import SessionTracker
from zoopark.tree.owners import OwnerKinds
from zoopark.tree.tree import Tree

NOW = Now(5, 1000)
ME = Requester(1, [])


def pipeline_with(count: int) -> Pipeline:
    """`count` writes submitted: zxids 1, 2, …, of connections 101, 102, …"""
    sessions = SessionTracker(2000, 1)
    sessions.add(1, 1000, 0)
    pipeline = Pipeline(Preparer(default_config("/data"), Tree(OwnerKinds(is_extended=False)), sessions, 0))
    for number in range(1, count + 1):
        request = ask.create(f"/{number}")
        assert pipeline.submit(ME, 100 + number, number, request.opcode, ask.plain(request), NOW)
    return pipeline


def test_entries_are_taken_once_and_in_order() -> None:
    pipeline = pipeline_with(3)
    assert [zxid for zxid, _ in pipeline.take_entries()] == [1, 2, 3]
    assert pipeline.take_entries() == []


@pytest.mark.parametrize("logged", range(5))
def test_only_what_is_logged_comes_back(logged: int) -> None:
    pipeline = pipeline_with(3)
    done = pipeline.take_logged(logged)
    assert [pending[0] for pending in done] == list(range(1, min(logged, 3) + 1))
    assert [pending[0] for pending in pipeline.take_logged(99)] == list(range(logged + 1, 4))


def test_what_comes_back_says_whom_to_answer() -> None:
    zxid, connection, xid, op, txn, came_ms, change = pipeline_with(1).take_logged(1)[0]
    assert (zxid, connection, xid, op, came_ms) == (1, 101, 1, wire.CREATE2, NOW.mono_ms)
    assert txn == pipeline_with(1).take_entries()[0][1]
    assert change is None or change[0] in txn


def test_a_record_that_cannot_be_read_never_enters() -> None:
    pipeline = pipeline_with(0)
    assert not pipeline.submit(ME, 1, 1, wire.DELETE, b"", NOW)
    assert (pipeline.take_entries(), pipeline.take_logged(99)) == ([], [])


def test_a_sync_of_one_server_alone_waits_for_nobody() -> None:
    pipeline = pipeline_with(1)
    assert not pipeline.sync(ME, 1, 1, b"", NOW)
    pipeline.is_replicated = True
    assert pipeline.sync(ME, 1, 1, b"", NOW)
    assert pipeline.syncs[0][0] == 1


def test_a_relay_takes_everything() -> None:
    taken: list[tuple[int, int]] = []

    def relay(requester: Requester, connection: int, xid: int, op: int, body: bytes, now: Now) -> bool:
        taken.append((xid, op))
        return True

    pipeline = pipeline_with(0)
    pipeline.relay = relay
    assert pipeline.submit(ME, 1, 5, wire.DELETE, b"", NOW) and pipeline.sync(ME, 1, 6, b"", NOW)
    assert (taken, pipeline.take_entries()) == ([(5, wire.DELETE), (6, wire.SYNC)], [])


def test_what_waits_for_somebody_else_has_a_ticket() -> None:
    pipeline = pipeline_with(0)
    pipeline.hold(1, 5, wire.DELETE, b"key", NOW)
    pipeline.hold_sync(1, 6, b"", NOW)
    pipeline.hold(1, 7, wire.DELETE, b"key", NOW)
    assert [pending[0] for pending in pipeline.pending] == [1, 2]
    assert pipeline.syncs[0][0] == 1
    assert pipeline.pending_bytes == 6


def test_dropping_forgets_everything() -> None:
    pipeline = pipeline_with(3)
    pipeline.hold_sync(1, 6, b"", NOW)
    pipeline.drop()
    assert (pipeline.take_entries(), pipeline.pending_bytes, list(pipeline.syncs)) == ([], 0, [])
    assert pipeline.take_logged(99) == []
