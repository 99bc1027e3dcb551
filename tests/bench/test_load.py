"""zkbench against a small server of the test's own: what it asks, what it counts, and which replies it refuses."""

import json
import shutil
from pathlib import Path

import pytest

from bench.load import Load, LoadFailedError, Slice, ask, build, parse_slice, quantile_us
from tests.bench.answering import answering

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="zkbench needs gcc")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("zkbench"))


@pytest.mark.parametrize("workload", ["get", "set", "create", "mixed"])
def test_counts_what_the_server_answered(program: Path, workload: str) -> None:
    """Root, parent, nodes and a sync each, then the load and a close each: nothing is counted twice or forgotten."""
    with answering() as server:
        found = result(ask(program, server.address, Load(workload, 3, 4, seconds=0.2, warm=0, nodes=50)))
    assert found["requests"] == server.requests
    assert 0 < found["ops"] <= server.requests - 52 - 3 - 3
    assert 0 < found["p50_us"] <= found["p99_us"] <= found["p999_us"] <= found["max_us"]


def test_load_creates_every_node_under_its_parent(program: Path) -> None:
    """1,000 nodes over 7 parents do not divide evenly; each must exist once, with 100 bytes."""
    with answering() as server:
        ask(program, server.address, Load("load", connections=3, nodes=1000, parents=7, root="/many"))
    leaves = [path for path in server.nodes if b"/k" in path]
    expected = [f"/many/p{n // 143:06}/k{n:09}".encode() for n in range(1000)]
    assert sorted(leaves) == expected
    assert {len(server.nodes[path]) for path in leaves} == {100}
    assert len(server.nodes) == 1000 + 7 + 1


@pytest.mark.parametrize("fault", ["xid", "error", "short"])
def test_a_wrong_reply_ends_the_run(program: Path, fault: str) -> None:
    """A fast server that answers wrongly must not get a number."""
    words = {"xid": "xid", "error": "error -4", "short": "bytes where"}
    with answering(fault) as server, pytest.raises(LoadFailedError, match=words[fault]):
        ask(program, server.address, Load("get", connections=2, seconds=30, nodes=10))


def test_slices_hold_every_measured_reply(program: Path) -> None:
    """Slices are the same replies as the result, only cut by time."""
    with answering() as server:
        lines = ask(program, server.address, Load("get", 2, 2, seconds=0.2, nodes=10, slice_ms=50))
    found = result(lines)
    slices = [parse_slice(line) for line in lines[:-1]]
    assert sum(sum(one.counts.values()) for one in slices) == found["ops"]
    assert quantile_us(slices, 0.5) == pytest.approx(found["p50_us"], rel=0.02, abs=0.2)


def test_quantile_of_merged_slices() -> None:
    slices = [Slice(0, {1.0: 97, 5.0: 1}), Slice(1, {2.0: 1, 9.0: 1})]
    assert [quantile_us(slices, share) for share in (0.5, 0.97, 0.98, 0.99, 1.0)] == [1.0, 2.0, 5.0, 9.0, 9.0]
    assert quantile_us([], 0.5) == 0.0


def test_a_line_that_is_no_slice_is_refused() -> None:
    with pytest.raises(LoadFailedError, match="zkbench wrote"):
        parse_slice("stray 12 1.0:3")


def result(lines: list[str]) -> dict[str, float]:
    found: dict[str, float] = json.loads(lines[-1])
    return found
