"""A data directory goes back and forth between zoopark and Apache ZooKeeper 3.8 and 3.9.3, and nothing is lost.

The trees are told by a raw client and the files are read by `files`, which shares nothing with zoopark's own readers.
"""

import contextlib
import itertools
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.compat import files, oracle, relay, wire
from tests.compat import requests as ask
from tests.compat.conftest import Referee
from tests.compat.files import Entry
from tests.compat.oracle import Flavour, Server
from tests.compat.relay import Relay
from tests.compat.session import RefusedError

pytestmark = [pytest.mark.compat, pytest.mark.xdist_group("data directory")]

SECONDS: Final = 100
N_WRITERS: Final = 4
ROUND_OF_WRITES: Final = 150
LAST_WRITE: Final = 400
GZ: Final = {"snapshot.compression.method": "gz"}
SNAPPY: Final = {"snapshot.compression.method": "snappy"}
FEW: Final = {"snapCount": "60"}
"""Several logs and snapshots come of one round of work."""

Find = Callable[[str], Flavour]
Relays = Callable[[], Relay]


@pytest.fixture(scope="session")
def find(referee: Referee) -> Find:
    return lambda name: oracle.zoopark() if name == "zoopark" else referee(name)


@pytest.fixture
def relays(find: Find, tmp_path: Path) -> Iterator[Relays]:
    """Makes relays, whose servers end with the test."""
    made: list[Relay] = []

    def make() -> Relay:
        home = tmp_path / f"relay-{len(made)}"
        home.mkdir()
        made.append(Relay(home, find))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="module", params=["zoopark", "3.9.3"])
def worked(request: pytest.FixtureRequest, find: Find, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """A directory that one server filled with several logs and snapshots and left by a kill; for copies only."""
    made = Relay(tmp_path_factory.mktemp("worked"), find)
    for count in range(2, 5):
        server = made.open(request.param, FEW)
        made.work()
        until(server, partial(has_snapshots, made.data_dir, count))
        made.end("kill")
    yield made
    made.close()


@pytest.fixture
def copied(worked: Relay, relays: Relays) -> Relay:
    """A copy of `worked` that knows what has to be in it."""
    copy = relays()
    copy.take_over(worked)
    return copy


def has_snapshots(data_dir: Path, count: int) -> bool:
    return n_snapshots(data_dir) >= count


def n_snapshots(data_dir: Path) -> int:
    """How many are whole: a kill leaves one of Apache's unfinished, under its name, and no server counts it."""
    n_whole = 0
    for path in files.files_of(data_dir, "snapshot"):
        with contextlib.suppress(*files.UNFINISHED):
            files.read_snapshot(path)
            n_whole += 1
    return n_whole


def other_of(worked: Relay) -> str:
    """The other one of the two that fill `worked`."""
    return "3.9.3" if worked.makers[-1] == "zoopark" else "zoopark"


@pytest.mark.parametrize("compression", [{}, GZ, SNAPPY], ids=["plain", "gz", "snappy"])
@pytest.mark.parametrize("first", ["zoopark", "3.8", "3.9.3"])
def test_a_directory_goes_from_hand_to_hand(relays: Relays, first: str, compression: dict[str, str]) -> None:
    """Whoever goes on finds the tree, its digests, sessions and sequence numbers, after a stop and after a crash."""
    order = {
        "zoopark": ["zoopark", "3.9.3", "zoopark", "3.8", "zoopark"],
        "3.8": ["3.8", "zoopark", "3.8"],
        "3.9.3": ["3.9.3", "zoopark", "zoopark", "3.9.3"],
    }[first]
    runner, exact = relays(), set()
    for number, name in enumerate(order):
        before = set(files.files_of(runner.data_dir, "snapshot"))
        server = runner.open(name, {**compression, **(FEW if number % 2 else {})})
        at_start = set(files.files_of(runner.data_dir, "snapshot"))
        runner.check()
        runner.work()
        if name == "zoopark" and number % 2:  # on a busy machine its snapshot may still be written
            wait_for_another(server, runner.data_dir, at_start)
        runner.end("kill" if number % 3 else "stop")
        after = set(files.files_of(runner.data_dir, "snapshot")) if name == "zoopark" else at_start
        exact |= after - before
    check_files(runner.data_dir, exact)


def wait_for_another(server: Server, data_dir: Path, snapshots: set[Path]) -> None:
    """Return when there is a snapshot beside these."""
    until(server, lambda: bool(set(files.files_of(data_dir, "snapshot")) - snapshots))


def check_files(data_dir: Path, exact: set[Path]) -> None:
    """Logs go on without a hole, and snapshots carry the digest of their nodes.

    Args:
        exact: those that hold the tree of one moment. One that Apache writes while transactions go on does not.
    """
    entries = files.read_logs(data_dir)
    assert [entry.zxid for entry in entries] == list(range(1, 1 + len(entries)))
    assert {entry.digest[0] for entry in entries if entry.digest is not None} == {2}
    snapshots = {path: files.read_snapshot(path) for path in exact if path.name.split(".")[1] != "0"}
    assert len(snapshots) >= 2
    for path, snapshot in snapshots.items():
        told = (f"{snapshot.digest[0]:x}", snapshot.digest[2])
        assert told == (path.name.split(".")[1], snapshot.computed_digest()), path


def test_there_is_more_than_one_log_and_snapshot(worked: Relay) -> None:
    """What the tests of copies start from."""
    assert len(files.files_of(worked.data_dir, "log")) >= 3
    assert n_snapshots(worked.data_dir) >= 3


def test_the_log_alone_is_enough(worked: Relay, copied: Relay) -> None:
    """With the first snapshot only, everything comes from replaying several logs."""
    for path in files.files_of(copied.data_dir, "snapshot")[1:]:
        path.unlink()
    copied.open(other_of(worked))
    copied.check()


def test_a_snapshot_and_a_longer_log(worked: Relay, copied: Relay) -> None:
    """Without the newest two snapshots there is much to replay, from the middle of a log on."""
    for path in files.files_of(copied.data_dir, "snapshot")[-2:]:
        path.unlink()
    copied.open(other_of(worked))
    copied.check()


def test_digests_are_equal_at_equal_zxids(worked: Relay, relays: Relays) -> None:
    """Both compute them while they replay the same log."""
    told = []
    for name in ("zoopark", "3.9.3"):
        copy = relays()
        copy.take_over(worked)
        for path in files.files_of(copy.data_dir, "snapshot")[1:]:
            path.unlink()
        told.append(digests_of(copy.open(name)))
    assert len(told[0]) >= 2
    assert told[0] == told[1]


def digests_of(server: Server) -> list[str]:
    """The lines of the word `hash`: a digest for every 128th zxid."""
    return [line for line in server.word("hash").splitlines() if line]


def test_a_wrong_digest_would_be_noticed(worked: Relay, copied: Relay) -> None:
    """Proves `Relay.check`: one flipped bit of one digest in the log, under a good checksum, is counted."""
    for path in files.files_of(copied.data_dir, "snapshot")[1:]:
        path.unlink()
    log = files.files_of(copied.data_dir, "log")[0]
    entry = next(entry for entry in files.read_log(log)[5:] if entry.digest is not None)
    data = bytearray(log.read_bytes())
    data[entry.end - 2] ^= 1
    txn = data[entry.start + 12 : entry.end - 1]
    data[entry.start : entry.start + 8] = wire.i64(zlib.adler32(txn))
    log.write_bytes(data)
    assert relay.mismatches(copied.open(other_of(worked))) != []


@pytest.mark.parametrize("name", ["3.9.3", "3.8", "zoopark"])
def test_a_snapshot_that_is_ahead_of_its_digest_is_made_up_for(relays: Relays, name: str) -> None:
    """Apache's server writes such ones: it changes a node while it saves the digest from before that.

    Its servers then say once that a digest differs, which `mismatches` knows them to do; ours has nothing to say.
    """
    runner = relays()
    path = newest_of_now(runner.open("zoopark", {"snapCount": "2"}), runner.data_dir)
    runner.end("kill")
    before = files.read_logs(runner.data_dir)[-2]
    data = with_digest(path.read_bytes(), before)
    path.rename(path.with_name(f"snapshot.{before.zxid:x}")).write_bytes(data)
    assert files.read_snapshot(files.files_of(runner.data_dir, "snapshot")[-1]).ahead() == 1
    server = runner.open(name)
    assert ("Value is Zxid" in server.log) is (name != "zoopark")
    assert relay.mismatches(server) == []


def with_digest(data: bytes, entry: Entry) -> bytes:
    """A snapshot of zoopark's that says of itself that it is one of the moment after this transaction."""
    assert entry.digest is not None
    seal, zxid = len(wire.i64(0) + wire.string("/")), wire.i64(entry.zxid)
    nodes = data[: -2 * (seal + 8) - 12]
    for part in (zxid + wire.i32(entry.digest[0]) + wire.i64(entry.digest[1]), zxid):
        nodes += part
        nodes += wire.i64(zlib.adler32(nodes)) + wire.string("/")
    return nodes


def cut_in_the_middle(data: bytes, last: Entry) -> bytes:
    return data[: (last.start + last.end) // 2]


def cut_in_the_head(data: bytes, last: Entry) -> bytes:
    return data[: last.start + 5]


def zero_the_second_half(data: bytes, last: Entry) -> bytes:
    half = (last.start + last.end) // 2
    return data[:half] + bytes(last.end - half) + data[last.end :]


def forget_the_last_byte(data: bytes, last: Entry) -> bytes:
    return data[: last.end - 1] + b"\x00" + data[last.end :]


TEARS: Final = [cut_in_the_middle, cut_in_the_head, zero_the_second_half, forget_the_last_byte]


@pytest.mark.parametrize("tear", TEARS)
def test_a_torn_tail_costs_the_torn_transaction_only(
    worked: Relay, copied: Relay, tear: Callable[[bytes, Entry], bytes]
) -> None:
    """What one writer left half written the other one takes for the end, goes on behind it, and hands back."""
    log = files.files_of(copied.data_dir, "log")[-1]
    last = files.read_log(log)[-1]
    assert last.type == wire.CLOSE_SESSION, "the walk's own session: the tree is the same without its end"
    log.write_bytes(tear(log.read_bytes(), last))
    server = copied.open(other_of(worked))
    assert zxid_of(server) == last.zxid - 1
    copied.check()
    copied.work()
    copied.end("kill")
    copied.open("zoopark" if other_of(worked) != "zoopark" else "3.9.3")
    copied.check()


def zxid_of(server: Server) -> int:
    """The last zxid, by the word srvr."""
    lines = server.word("srvr").splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("Zxid:"))


def test_what_a_purge_left_is_enough(copied: Relay) -> None:
    """zoopark removes old files at its start; what it keeps opens in Apache's server."""
    before = n_snapshots(copied.data_dir)
    server = copied.open("zoopark", {"autopurge.purgeInterval": "1", "autopurge.snapRetainCount": "3"})
    until(server, lambda: n_snapshots(copied.data_dir) == 3 < before)
    copied.check()
    copied.work()
    copied.end("stop")
    copied.open("3.9.3")
    copied.check()


def until(server: Server, is_so: Callable[[], bool]) -> None:
    """Wait for what a server does in the background; AssertionError after SECONDS."""
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        server.word("ruok")


def test_a_snapshot_holds_what_apache_would_save(worked: Relay, relays: Relays) -> None:
    """zoopark's snapshot and the one that Apache takes after it replayed the same log from its beginning."""
    mine, theirs = relays(), relays()
    mine.take_over(worked)
    path = newest_of_now(mine.open("zoopark", {"snapCount": "2"}), mine.data_dir)
    mine.end("kill")
    theirs.take_over(mine)
    for each in files.files_of(theirs.data_dir, "snapshot")[1:]:
        each.unlink()
    theirs.open("3.9.3")
    saved = files.files_of(theirs.data_dir, "snapshot")[-1]
    assert (saved.name, files.read_snapshot(saved)) == (path.name, files.read_snapshot(path))


def newest_of_now(server: Server, data_dir: Path) -> Path:
    """Write until the snapshot of the last write is there: one of two transactions in a row has a snapshot."""
    session = relay.super_user(server)
    session.create("/snapshot-wanted")
    newest, zxid = -1, 0
    while newest < zxid:
        zxid = session.call(wire.SET_DATA, wire.string("/snapshot-wanted") + wire.buf(b"x") + wire.i32(-1)).zxid
        until(server, partial(has_saved, data_dir, zxid - 1))
        newest = zxid_of_newest(data_dir)
    session.close()
    return files.files_of(data_dir, "snapshot")[-1]


def has_saved(data_dir: Path, zxid: int) -> bool:
    """Whether there is a snapshot of this moment or a later one."""
    return zxid_of_newest(data_dir) >= zxid


def zxid_of_newest(data_dir: Path) -> int:
    """Of the newest snapshot."""
    return int(files.files_of(data_dir, "snapshot")[-1].name.split(".")[1], 16)


@pytest.mark.parametrize("name", ["zoopark", "3.9.3"])
def test_a_crash_under_load_loses_nothing_acknowledged(relays: Relays, name: str) -> None:
    """Snapshots are taken and logs roll while four clients write; then all servers read the same files alike."""
    crashed, trees = relays(), []
    acknowledged = write_until_it_dies(crashed.open(name, FEW))
    crashed.end("kill")
    if name == "zoopark":
        for path in files.files_of(crashed.data_dir, "snapshot"):
            assert files.read_snapshot(path).ahead() == 0, f"{path}: of no one moment"
    for reader in ("zoopark", "3.9.3", "3.8"):
        copy = relays()
        copy.take_over(crashed)
        server = copy.open(reader)
        trees.append(relay.walk(server))
        assert relay.mismatches(server) == []
        copy.end("kill")
    ahead = [int(trees[0][path].data or b"") - int(data) for path, data in acknowledged.items()]
    assert sorted({0, *ahead}) in ([0], [0, ROUND_OF_WRITES])
    assert sum(ahead) <= N_WRITERS * ROUND_OF_WRITES, "a writer has one request in flight"
    assert trees[0] == trees[1] == trees[2]


def write_until_it_dies(server: Server) -> dict[str, bytes]:
    """What four clients wrote and were told is written, until the server is killed under them."""
    acknowledged: dict[str, bytes] = {}

    def write(number: int) -> None:
        session = relay.super_user(server)
        with contextlib.closing(session), contextlib.suppress(RefusedError):
            for i in itertools.count():
                path, data = f"/{number}-{i % ROUND_OF_WRITES}", str(i).encode()
                request = ask.set_data(path, data) if i >= ROUND_OF_WRITES else ask.create(path, data)
                relay.must(session, request)
                acknowledged[path] = data
                if number == 0 and i == LAST_WRITE:
                    server.kill()

    with ThreadPoolExecutor(N_WRITERS) as threads:
        for done in [threads.submit(write, number) for number in range(N_WRITERS)]:
            done.result(SECONDS)
    return acknowledged


def test_the_same_requests_give_the_same_log(relays: Relays) -> None:
    """Byte for byte: what has to differ are times, session ids, and the digests, which both go into."""
    logs = []
    for name in ("zoopark", "3.9.3"):
        runner = relays()
        server = runner.open(name)
        runner.work()
        runner.work()
        session = relay.super_user(server)
        relay.must(session, ask.multi(ask.create("/two"), ask.create("/two/n-", flags=ask.SEQUENTIAL)))
        session.end()
        runner.end("stop")
        logs.append(masked(files.read_logs(runner.data_dir)))
    for mine, wanted in zip(*logs, strict=True):
        assert mine == wanted


def masked(entries: list[Entry]) -> list[tuple[object, ...]]:
    """Entries with sessions numbered in the order of their coming; the paths of a closeSession come from a hash set."""
    sessions: dict[int, int] = {}
    return [
        (
            sessions.setdefault(entry.session_id, len(sessions)),
            *(entry.cxid, entry.zxid, entry.type, entry.end - entry.start),
            sorted_paths(entry.body) if entry.type == wire.CLOSE_SESSION else entry.body,
            None if entry.digest is None else entry.digest[0],
        )
        for entry in entries
    ]


def sorted_paths(body: bytes) -> bytes:
    reader = wire.Reader(body)
    return wire.vector(sorted(wire.buf(reader.buf()) for _ in range(reader.i32())))
