"""kazoo works here, recipes included, and finds its session again when the server was restarted.

Everything also runs against Apache ZooKeeper 3.9.3, which proves the tests.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any, Final

import pytest

from tests.compat import oracle
from tests.compat.conftest import Referee
from tests.compat.members import AT_ONCE
from tests.compat.oracle import Server

pytestmark = [pytest.mark.compat, pytest.mark.xdist_group("clients")]

kazoo: Final[Any] = import_module("kazoo.client")  # it comes without types
errors: Final[Any] = import_module("kazoo.exceptions")
security: Final[Any] = import_module("kazoo.security")

SECONDS: Final = 100
SHORT_S: Final = 4.0
Client = Any
Clients = Callable[[], Client]


@pytest.fixture(scope="module", params=["zoopark", "3.9.3"])
def server(
    request: pytest.FixtureRequest, referee: Referee, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    flavour = oracle.zoopark() if request.param == "zoopark" else referee(request.param)
    settings = {"extendedTypesEnabled": "true", "tickTime": "100", "maxSessionTimeout": "60000"}
    server = Server(flavour, tmp_path_factory.mktemp("server"), settings).start()
    yield server
    server.stop()


@contextmanager
def connected(server: Server, root: str = "", timeout: float = 30) -> Iterator[Client]:
    hosts = f"127.0.0.1:{server.port}{root}"
    client = kazoo.KazooClient(hosts=hosts, timeout=timeout, connection_retry=AT_ONCE)
    client.start(SECONDS)
    try:
        yield client
    finally:
        client.stop()
        client.close()


@pytest.fixture
def clients(server: Server) -> Iterator[Clients]:
    """Makes connected clients, which end with the test."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(connected(server))


@pytest.fixture
def client(clients: Clients) -> Client:
    return clients()


@pytest.fixture
def root(client: Client, request: pytest.FixtureRequest) -> str:
    """A node of the test's own."""
    path = f"/{request.function.__name__}"
    client.ensure_path(path)
    return path


class States:
    """The connection states of a client, one after the other."""

    def __init__(self, client: Client) -> None:
        self._states: queue.Queue[str] = queue.Queue()
        client.add_listener(self._states.put)

    def next(self) -> str:
        return self._states.get(timeout=SECONDS)


def test_nodes_of_every_kind_are_created_read_and_deleted(client: Client, root: str) -> None:
    assert client.create(f"{root}/plain", b"one") == f"{root}/plain"
    assert client.create(f"{root}/seq-", sequence=True) == f"{root}/seq-0000000001"
    assert client.create(f"{root}/eph-", ephemeral=True, sequence=True) == f"{root}/eph-0000000002"
    path, stat = client.create(f"{root}/a/b/c", b"deep", makepath=True, include_data=True)
    assert (path, stat.dataLength, stat.version) == (f"{root}/a/b/c", 4, 0)
    assert client.set(f"{root}/plain", b"two", version=0).version == 1
    data, stat = client.get(f"{root}/plain")
    assert (data, stat.version, stat.dataLength) == (b"two", 1, 3)
    assert sorted(client.get_children(root)) == ["a", "eph-0000000002", "plain", "seq-0000000001"]
    children, stat = client.get_children(root, include_data=True)
    assert (stat.cversion, stat.numChildren) == (4, len(children))
    assert client.get(f"{root}/eph-0000000002")[1].ephemeralOwner == client.client_id[0]
    assert client.exists(f"{root}/nowhere") is None
    client.delete(root, recursive=True)
    assert client.exists(root) is None


@pytest.mark.parametrize(
    ("error", "act"),
    [
        ("NodeExistsError", lambda client, root: client.create(root)),
        ("NoNodeError", lambda client, root: client.get(f"{root}/nowhere")),
        ("NoNodeError", lambda client, root: client.create(f"{root}/nowhere/x")),
        ("BadVersionError", lambda client, root: client.set(root, b"", version=7)),
        (
            "NotEmptyError",
            lambda client, root: client.delete(client.create(f"{root}/x/y", makepath=True)[: -len("/y")]),
        ),
        (
            "InvalidACLError",
            lambda client, root: client.create(f"{root}/x", acl=[security.ACL(31, security.Id("no", ""))]),
        ),
    ],
)
def test_errors_arrive_as_their_exceptions(client: Client, root: str, error: str, act: Callable[..., Any]) -> None:
    with pytest.raises(getattr(errors, error)):
        act(client, root)


def test_a_chroot_hides_what_is_above(server: Server, client: Client, root: str) -> None:
    with connected(server, root) as inside:
        inside.create("/x", b"y")
        assert (inside.get_children("/"), inside.get("/x")[0]) == (["x"], b"y")
    assert client.get(f"{root}/x")[0] == b"y"


def test_watches_fire_once_for_what_they_watch(client: Client, root: str) -> None:
    seen: queue.Queue[Any] = queue.Queue()
    client.get(root, watch=seen.put)
    client.get_children(root, watch=seen.put)
    client.exists(f"{root}/new", watch=seen.put)
    client.create(f"{root}/new")
    client.set(root, b"x")
    client.set(root, b"y")
    client.delete(f"{root}/new")
    events = [seen.get(timeout=SECONDS) for _ in range(3)]
    assert sorted((event.type, event.path) for event in events) == [
        ("CHANGED", root),
        ("CHILD", root),
        ("CREATED", f"{root}/new"),
    ]
    assert seen.empty()


def test_datawatch_and_childrenwatch_follow_a_node(client: Client, clients: Clients, root: str) -> None:
    values: queue.Queue[bytes | None] = queue.Queue()
    children: queue.Queue[list[str]] = queue.Queue()
    client.DataWatch(f"{root}/node", lambda data, stat: values.put(data))
    assert values.get(timeout=SECONDS) is None
    other = clients()
    for data in (b"one", b"two"):
        (other.set if other.exists(f"{root}/node") else other.create)(f"{root}/node", data)
        assert values.get(timeout=SECONDS) == data
    client.ChildrenWatch(root, lambda names: children.put(sorted(names)))
    assert children.get(timeout=SECONDS) == ["node"]
    other.create(f"{root}/second")
    assert children.get(timeout=SECONDS) == ["node", "second"]
    other.delete(f"{root}/node")
    assert children.get(timeout=SECONDS) == ["second"]
    assert values.get(timeout=SECONDS) is None


def test_digest_acls_let_in_who_knows_the_password(client: Client, clients: Clients, root: str) -> None:
    acl = security.make_digest_acl("ann", "secret", all=True)
    client.create(f"{root}/locked", b"secret", acl=[acl])
    stranger, ann = clients(), clients()
    with pytest.raises(errors.NoAuthError):
        stranger.get(f"{root}/locked")
    ann.add_auth("digest", "ann:secret")
    assert ann.get(f"{root}/locked")[0] == b"secret"
    stat = ann.set_acls(f"{root}/locked", [*security.READ_ACL_UNSAFE, acl])
    assert stat.aversion == 1
    assert stranger.get(f"{root}/locked")[0] == b"secret"
    assert [entry.id.scheme for entry in ann.get_acls(f"{root}/locked")[0]] == ["world", "digest"]
    with pytest.raises(errors.NoAuthError):
        stranger.set(f"{root}/locked", b"")


def test_a_wrong_scheme_fails_the_authentication(server: Server) -> None:
    with connected(server) as client, pytest.raises(errors.AuthFailedError):
        client.add_auth("nonsense", "x")


def test_a_transaction_happens_as_a_whole_or_not(client: Client, root: str) -> None:
    transaction = client.transaction()
    transaction.create(f"{root}/a", b"1")
    transaction.set_data(f"{root}/a", b"2")
    transaction.check(f"{root}/a", version=1)
    transaction.create(f"{root}/a/seq-", sequence=True)
    created, changed, checked, numbered = transaction.commit()
    assert (created, changed.version, checked, numbered) == (f"{root}/a", 1, True, f"{root}/a/seq-0000000000")
    failing = client.transaction()
    failing.create(f"{root}/b")
    failing.delete(f"{root}/nowhere")
    failing.create(f"{root}/c")
    results = failing.commit()
    assert [type(result).__name__ for result in results] == ["RolledBackError", "NoNodeError", "RuntimeInconsistency"]
    assert client.get_children(root) == ["a"]


def test_a_lock_has_one_owner_and_a_line(clients: Clients, root: str) -> None:
    """Four clients, each in its own thread, add to a node that nothing but the lock protects."""
    first = clients()
    first.create(f"{root}/count", b"0")

    def add(number: int) -> None:
        mine = clients_of_threads[number]
        for _ in range(5):
            with mine.Lock(f"{root}/lock", f"contender {number}"):
                value = int(mine.get(f"{root}/count")[0])
                mine.set(f"{root}/count", str(value + 1).encode())

    clients_of_threads = [clients() for _ in range(4)]
    in_threads(add, 4)
    assert first.get(f"{root}/count")[0] == b"20"
    assert first.Lock(f"{root}/lock").contenders() == []


def test_a_lock_goes_on_when_its_owner_is_gone(server: Server, client: Client, root: str) -> None:
    with connected(server) as owner:
        assert owner.Lock(f"{root}/lock", "owner").acquire(timeout=SECONDS)
        assert client.Lock(f"{root}/lock", "next").acquire(blocking=False) is False
    mine = client.Lock(f"{root}/lock", "next")
    assert mine.acquire(timeout=SECONDS)
    mine.release()


def test_readers_share_and_a_writer_does_not(clients: Clients, root: str) -> None:
    one, two, writer = clients(), clients(), clients()
    readers = [one.ReadLock(f"{root}/rw"), two.ReadLock(f"{root}/rw")]
    assert [reader.acquire(timeout=SECONDS) for reader in readers] == [True, True]
    write = writer.WriteLock(f"{root}/rw")
    assert write.acquire(blocking=False) is False
    for reader in readers:
        reader.release()
    assert write.acquire(timeout=SECONDS)
    assert readers[0].acquire(blocking=False) is False
    write.release()


def test_a_semaphore_has_so_many_leases(clients: Clients, root: str) -> None:
    holders = [clients().Semaphore(f"{root}/semaphore", f"holder {number}", max_leases=2) for number in range(3)]
    assert [holder.acquire(blocking=False) for holder in holders] == [True, True, False]
    assert sorted(holders[0].lease_holders()) == ["holder 0", "holder 1"]
    holders[0].release()
    assert holders[2].acquire(timeout=SECONDS)


def test_a_queue_gives_by_priority_and_order(client: Client, clients: Clients, root: str) -> None:
    mine, other = client.Queue(f"{root}/queue"), clients().Queue(f"{root}/queue")
    for value, priority in ((b"late", 200), (b"first", 100), (b"second", 100)):
        mine.put(value, priority)
    assert [other.get(), mine.get(), other.get(), mine.get()] == [b"first", b"second", b"late", None]


def test_a_locking_queue_gives_each_entry_to_one(client: Client, clients: Clients, root: str) -> None:
    mine, other = client.LockingQueue(f"{root}/queue"), clients().LockingQueue(f"{root}/queue")
    mine.put_all([b"one", b"two"])
    assert (mine.get(SECONDS), other.get(SECONDS)) == (b"one", b"two")
    assert mine.consume()
    assert other.release()
    assert mine.get(SECONDS) == b"two"
    assert mine.consume()
    assert other.get(0.05) is None


def test_an_election_has_one_leader_at_a_time(clients: Clients, root: str) -> None:
    leading = threading.Semaphore(1)
    led: list[int] = []

    def lead(number: int) -> None:
        assert leading.acquire(blocking=False), "two leaders"
        led.append(number)
        leading.release()

    elections = [clients().Election(f"{root}/election", f"candidate {number}") for number in range(4)]
    in_threads(lambda number: elections[number].run(lead, number), 4)
    assert sorted(led) == [0, 1, 2, 3]


def test_a_barrier_holds_until_it_is_removed(client: Client, clients: Clients, root: str) -> None:
    barrier = client.Barrier(f"{root}/barrier")
    barrier.create()
    assert barrier.wait(0.01) is False
    other = clients().Barrier(f"{root}/barrier")
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(other.wait, SECONDS)
        assert barrier.remove() is True
        assert waiting.result(SECONDS) is True


def test_a_double_barrier_opens_when_all_are_there(clients: Clients, root: str) -> None:
    barriers = [clients().DoubleBarrier(f"{root}/barrier", 3) for _ in range(3)]
    inside = threading.Barrier(3)

    def pass_through(number: int) -> None:
        barriers[number].enter()
        inside.wait(SECONDS)
        barriers[number].leave()

    in_threads(pass_through, 3)
    assert [barrier.participating for barrier in barriers] == [False] * 3


def test_a_party_knows_who_is_there(server: Server, clients: Clients, root: str) -> None:
    party = clients().Party(f"{root}/party", "first")
    party.join()
    with connected(server) as second:
        guest = second.Party(f"{root}/party", "second")
        guest.join()
        assert (sorted(party), len(guest)) == (["first", "second"], 2)
    assert list(party) == ["first"]
    shallow = clients().ShallowParty(f"{root}/shallow", "third")
    shallow.join()
    assert (list(shallow), len(shallow)) == (["third"], 1)
    shallow.leave()
    assert len(shallow) == 0


def test_a_counter_counts_what_many_add(clients: Clients, root: str) -> None:
    counters = [clients().Counter(f"{root}/counter", default=0) for _ in range(4)]

    def add(number: int) -> None:
        for _ in range(5):
            counters[number] += 1

    in_threads(add, 4)
    assert counters[0].value == 20


def test_ephemerals_go_with_their_session(server: Server, client: Client, root: str) -> None:
    gone = threading.Event()
    with connected(server) as other:
        other.create(f"{root}/eph", ephemeral=True)
        assert client.exists(f"{root}/eph", watch=lambda event: gone.set())
    assert gone.wait(SECONDS)
    assert client.exists(f"{root}/eph") is None


def test_a_silent_session_expires_and_takes_its_ephemerals(server: Server, client: Client, root: str) -> None:
    """The server ends it, after the time that was agreed; the client itself learns of it when it comes back."""
    gone = threading.Event()
    with connected(server, timeout=SHORT_S) as other:
        states = States(other)
        session_id = other.client_id[0]
        other.create(f"{root}/eph", ephemeral=True)
        assert client.exists(f"{root}/eph", watch=lambda event: gone.set())
        with silenced(other):
            assert gone.wait(SECONDS)
        assert [states.next(), states.next(), states.next()] == ["SUSPENDED", "LOST", "CONNECTED"]
        assert other.client_id[0] != session_id
        other.create(f"{root}/eph", ephemeral=True)


@contextmanager
def silenced(client: Client) -> Iterator[None]:
    """The client's connection drops, and the next one is not made before the end."""
    attempt = client._connection._connect_attempt
    may_connect = threading.Event()

    def wait_and_attempt(*arguments: Any) -> Any:
        may_connect.wait(SECONDS)
        return attempt(*arguments)

    client._connection._connect_attempt = wait_and_attempt
    client._connection._socket.shutdown(2)
    try:
        yield
    finally:
        may_connect.set()


def test_sessions_and_watches_outlive_a_restart(server: Server, client: Client, clients: Clients, root: str) -> None:
    """kazoo's lasting watches look again after a reconnect; SetWatches is what Apache's clients send."""
    states, other = States(client), clients()
    session_id = client.client_id[0]
    client.create(f"{root}/eph", b"mine", ephemeral=True)
    values: queue.Queue[bytes] = queue.Queue()
    client.DataWatch(f"{root}/eph", lambda data, stat: values.put(data))
    assert values.get(timeout=SECONDS) == b"mine"
    children: queue.Queue[list[str]] = queue.Queue()
    client.ChildrenWatch(root, lambda names: children.put(sorted(names)))
    assert children.get(timeout=SECONDS) == ["eph"]
    server.stop()
    assert states.next() == "SUSPENDED"
    server.start()
    assert states.next() == "CONNECTED"
    assert client.client_id[0] == session_id
    assert client.get(f"{root}/eph")[1].ephemeralOwner == session_id
    other.retry(other.set, f"{root}/eph", b"changed")
    assert values.get(timeout=SECONDS) == b"changed"
    other.retry(other.create, f"{root}/new")
    assert children.get(timeout=SECONDS) == ["eph", "new"]


def test_many_clients_at_once(clients: Clients, root: str) -> None:
    """Each writes its own nodes in flight together, and all of them see all of it."""
    many = [clients() for _ in range(8)]

    def write(number: int) -> None:
        asked = [many[number].create_async(f"{root}/{number}-{i}", str(i).encode()) for i in range(100)]
        assert [each.get(timeout=SECONDS) for each in asked] == [f"{root}/{number}-{i}" for i in range(100)]

    in_threads(write, 8)
    expected = sorted(f"{number}-{i}" for number in range(8) for i in range(100))
    for each in many:
        each.sync(root)
        assert sorted(each.get_children(root)) == expected


def in_threads(act: Callable[[int], None], count: int) -> None:
    """Run act(0) to act(count - 1) in threads; what one raises is raised."""
    with ThreadPoolExecutor(count) as threads:
        for done in [threads.submit(act, number) for number in range(count)]:
            done.result(SECONDS * 2)
