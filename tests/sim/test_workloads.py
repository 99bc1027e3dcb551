"""Workloads go where they should; that they pass is tested with whole runs, in test_scenario."""

import pytest

from tests.sim.test_machine import running
from zoopark.jute import proto
from zoopark.sim.workloads import ROOTS, WORKLOADS, mix

OPS = {
    "cas register": {proto.CREATE, proto.GET_DATA, proto.SYNC, proto.DELETE, proto.SET_DATA},
    "set": {proto.CREATE, proto.GET_CHILDREN},
    "unique ids": {proto.CREATE},
    "counter": {proto.GET_CHILDREN, proto.MULTI},
    "total queue": {proto.CREATE, proto.DELETE, proto.GET_CHILDREN},
    "linear queue": {proto.CREATE, proto.DELETE, proto.GET_CHILDREN},
    "sessions": {proto.CREATE, proto.CLOSE_SESSION, proto.GET_CHILDREN},
    "watches": {proto.GET_DATA, proto.EXISTS, proto.GET_CHILDREN, proto.CREATE, proto.SET_DATA, proto.DELETE},
    "multi": {proto.MULTI, proto.GET_DATA},
    "sync": {proto.SYNC, proto.GET_DATA, proto.CREATE, proto.SET_DATA},
}


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_asks_for_everything_it_is_for(name: str) -> None:
    client = running(3, 300).clients[0]
    client.mine = [b"/total/%d" % at for at in range(300)] + [b"/linear/q%d" % at for at in range(300)]
    assert {WORKLOADS[name](client).op for _ in range(400)} == OPS[name]


def test_a_mix_begins_with_the_parents() -> None:
    client = running(3, 300).clients[0]
    client.n_answers = 0
    draw = mix(["set"])
    assert {draw(client).path for _ in range(200)} == set(ROOTS)
