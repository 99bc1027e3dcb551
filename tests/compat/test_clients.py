"""Clients that others wrote work here: Apache's command line of 3.8 and 3.9.3 and its C client, unchanged.

Each tour also runs against Apache ZooKeeper 3.9.3, which proves the tour. `test_kazoo` does the same for kazoo.
"""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.compat import oracle, wire
from tests.compat.conftest import Referee
from tests.compat.oracle import Server
from tests.compat.session import Session
from tests.compat.shell import Shell

pytestmark = [pytest.mark.compat, pytest.mark.xdist_group("clients")]

ZKCLI: Final = Path("/usr/share/zookeeper/bin/zkCli.sh")
C_CLIENT: Final = Path("/usr/lib/zookeeper/bin/cli_mt")
EVENT: Final = "WatchedEvent state:SyncConnected type:"
ANN: Final = "'digest,'ann:7RJfAeIvrl4zdj6sS2fXrQHDvHM="
STAT: Final = (
    *("^cZxid = 0x", "^ctime = ", "^mZxid = 0x", "^mtime = ", "^pZxid = 0x", "^cversion = 2", "^dataVersion = 1"),
    *("^aclVersion = 0", "^ephemeralOwner = 0x0", "^dataLength = 4", "^numChildren = 2"),
)

Row = tuple[str, tuple[str, ...]]
Command = Callable[[Server], list[str]]


def java_tour(root: str) -> list[Row]:
    """What to type into ZooKeeperMain, and what has to show; the node `root` must not be there."""
    return [
        ("help", ("addauth scheme auth", "whoami")),
        ("ls /", (r"^\[.*zookeeper.*\]",)),
        (f"create {root} one", (f"Created {root}$",)),
        (f"create {root} again", (f"Node already exists: {root}",)),
        (f"create -e {root}/eph two", (f"Created {root}/eph",)),
        (f"create {root}/eph/x", (f"Ephemerals cannot have children: {root}/eph/x",)),
        (f"create -s {root}/seq- three", (f"Created {root}/seq-0000000001",)),
        (f"ls {root}", (r"^\[eph, seq-0000000001\]",)),
        (f"get {root}", ("^one$",)),
        (f"set {root} four", ()),
        (f"set -v 7 {root} five", ("version No is not valid",)),
        (f"get -s {root}", ("^four$", *STAT)),
        (f"stat {root}", STAT),
        (f"delete {root}", (f"Node not empty: {root}",)),
        (f"getAcl {root}", ("^'world,'anyone", "^: cdrwa")),
        (f"getEphemerals {root}", (rf"{root}/eph\]",)),
        (f"getAllChildrenNumber {root}", ("2",)),
        (f"deleteall {root}", ()),
        (f"ls {root}", (f"Node does not exist: {root}",)),
    ]


def java_watches(root: str) -> list[Row]:
    return [
        (f"create {root} old", (f"Created {root}$",)),
        (f"get -w {root}", ("^old$",)),
        (f"set {root} new", (rf"{EVENT}NodeDataChanged path:{root}\b",)),
        (f"ls -w {root}", (r"^\[\]",)),
        (f"create {root}/child x", (rf"{EVENT}NodeChildrenChanged path:{root}\b",)),
        (f"addWatch {root}", ()),
        (f"set {root}/child y", (f"{EVENT}NodeDataChanged path:{root}/child",)),
        (f"create {root}/child/deep", (f"{EVENT}NodeCreated path:{root}/child/deep",)),
        (f"removewatches {root} -a", ()),
        (f"stat -w {root}/child/deep", ("numChildren = 0",)),
        (f"delete {root}/child/deep", (f"{EVENT}NodeDeleted path:{root}/child/deep",)),
        (f"ls -R {root}", (f"^{root}$", f"^{root}/child$")),
        (f"sync {root}", ("Sync is OK",)),
    ]


def java_acls(root: str) -> list[Row]:
    return [
        (f"create {root} x", (f"Created {root}$",)),
        (f"setAcl {root} auth:ann:secret:cdrwa", (f"Acl is not valid : {root}",)),
        ("addauth digest ann:secret", ()),
        (f"setAcl {root} auth:ann:secret:cdrwa", ()),
        (f"getAcl {root}", (f"^{ANN}", "^: cdrwa")),
        (f"getAcl -s {root}", (f"^{ANN}", "^: cdrwa", "^aclVersion = 1")),
        ("whoami", ("^digest: ann",)),
        (f"create -c {root}/container", (f"Created {root}/container",)),
        (f"create -t 600000 {root}/ttl", (f"Created {root}/ttl",)),
        (f"get -s {root}/ttl", ("^null$", "ephemeralOwner = 0x0")),
    ]


def java_quotas(root: str) -> list[Row]:
    return [
        (f"create {root} abc", (f"Created {root}$",)),
        (f"listquota {root}", (f"quota for {root} does not exist",)),
        (f"setquota -n 5 {root}", ()),
        (f"create {root}/child de", (f"Created {root}/child",)),
        (f"listquota {root}", (f"quota for {root} count=5,bytes=-1=", f"stat for {root} count=2,bytes=5")),
        (f"setquota -B 7 {root}", ()),
        (f"set {root}/child defgh", (f"Quota has exceeded : {root}/child",)),
        (f"delquota -B {root}", ()),
        (f"set {root}/child defgh", ()),
        (f"listquota {root}", (f"stat for {root} count=2,bytes=8",)),
        (f"delquota {root}", ()),
        (f"listquota {root}", (f"quota for {root} does not exist",)),
        ("nosuch", ("Command not found nosuch",)),
        ("version", (r"ZooKeeper CLI version: 3\.\d",)),
    ]


JAVA_TOURS: Final = {"nodes": java_tour, "watches": java_watches, "acls": java_acls, "quotas": java_quotas}
C_STAT: Final = ("ctime = ", "czxid=", "mtime=", "mzxid=", r"version=1\taversion=0", "ephemeralOwner = 0")


def c_tour(root: str) -> list[Row]:
    """What to type into cli_mt; rc is an error code of the protocol."""
    return [
        ("help", ("create2? .*<path>", "quit")),
        (f"create {root}", (rf"\[{root}\]: rc = 0", f"name = {root}$")),
        (f"create {root}", (rf"\[{root}\]: rc = -110",)),
        (f"set {root} one", (f"{root}: rc = 0 Stat:", *C_STAT)),
        (f"create +e {root}/eph", (f"name = {root}/eph",)),
        (f"create +s {root}/seq-", (f"name = {root}/seq-0000000001",)),
        (f"create +c {root}/container", (f"name = {root}/container",)),
        (f"create +t=600000 {root}/ttl", (f"name = {root}/ttl",)),
        (f"create2 {root}/two", (f"name = {root}/two", "czxid=")),
        (f"ls {root}", (f"{root}: rc = 0", "eph", "seq-0000000001")),
        (f"ls2 {root}", (f"{root}: rc = 0", "eph", "seq-0000000001", *C_STAT)),
        (f"get {root}", (f"{root}: rc = 0", "value_len = 3", "^one$", *C_STAT)),
        (f"exists {root}/nowhere", (f"Error -101 for {root}/nowhere",)),
        (f"delete {root}", (f"{root}: rc = -111",)),
        (f"wexists {root}", ()),
        (f"set {root} two", (f"Watcher CHANGED_EVENT state = CONNECTED_STATE for path {root}",)),
        (f"sync {root}", (rf"\[{root}\]: rc = 0",)),
        (f"create {root}/two/deep", (f"name = {root}/two/deep",)),
        (f"delete {root}/two/deep", (f"{root}/two/deep: rc = 0",)),
        ("config", ("/zookeeper/config: rc = 0", "value_len = 0")),
    ]


@pytest.fixture(scope="module", params=["zoopark", "3.9.3"])
def server(
    request: pytest.FixtureRequest, referee: Referee, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    flavour = oracle.zoopark() if request.param == "zoopark" else referee(request.param)
    settings = {"extendedTypesEnabled": "true", "enforceQuota": "true"}
    server = Server(flavour, tmp_path_factory.mktemp("server"), settings).start()
    yield server
    server.stop()


def zkcli(server: Server) -> list[str]:
    """Debian's package of 3.8, by its own script."""
    return [str(ZKCLI), "-server", f"{server.address[0]}:{server.port}"]


def zookeeper_main(server: Server) -> list[str]:
    """The command line of 3.9.3."""
    return oracle.java_command("3.9.3", "org.apache.zookeeper.ZooKeeperMain", "-server", f"127.0.0.1:{server.port}")


@pytest.fixture(params=[zkcli, zookeeper_main], ids=["zkCli.sh-3.8", "ZooKeeperMain-3.9.3"])
def java_client(request: pytest.FixtureRequest, referee: Referee) -> Command:
    referee("3.8" if request.param is zkcli else "3.9.3")
    command: Command = request.param
    return command


@pytest.fixture
def c_client() -> Command:
    if not C_CLIENT.exists():
        if oracle.is_required():
            pytest.fail(f"ZOOPARK_REQUIRE_ORACLE=1, but there is no {C_CLIENT}")
        pytest.skip(f"there is no {C_CLIENT}; on Debian: apt-get install zookeeper-bin")
    return lambda server: [str(C_CLIENT), f"127.0.0.1:{server.port}"]


def take(shell: Shell, rows: list[Row]) -> None:
    for line, wanted in rows:
        shell.type(line)
        shell.wait_for(*wanted)


def is_there(server: Server, path: str) -> bool:
    session = Session(server.address)
    error = session.call(wire.EXISTS, wire.string(path) + b"\x00").error
    session.close()
    return error == 0


def test_the_java_client_takes_its_tours(server: Server, java_client: Command) -> None:
    with Shell(java_client(server)) as shell:
        shell.wait_for("SyncConnected")
        for name, tour in JAVA_TOURS.items():
            root = f"/{java_client.__name__}-{name}"
            take(shell, tour(root))
        shell.type("quit")
        assert shell.wait_for_end() == 0


def test_an_ephemeral_of_the_java_client_goes_with_quit(server: Server, java_client: Command) -> None:
    """At once, because the session is closed, not when it would expire."""
    path = f"/{java_client.__name__}-goes"
    with Shell(java_client(server)) as shell:
        shell.wait_for("SyncConnected")
        take(shell, [(f"create -e {path}", (f"Created {path}",))])
        assert is_there(server, path)
        shell.type("quit")
        shell.wait_for_end()
    assert not is_there(server, path)


def test_the_java_client_has_its_session_and_watches_after_a_restart(server: Server, java_client: Command) -> None:
    path = f"/{java_client.__name__}-stays"
    with Shell(java_client(server)) as shell:
        shell.wait_for("SyncConnected")
        take(shell, [(f"create -e {path}", (f"Created {path}",)), (f"get -w {path}", ("^null$",))])
        take(shell, [(f"addWatch {path}-tree", ()), (f"ls {path}", (r"^\[\]",))])
        server.stop()
        shell.wait_for("state:Disconnected")
        server.start()
        shell.wait_for("state:SyncConnected")
        change(server, path)
        shell.wait_for(rf"{EVENT}NodeDataChanged path:{path}\b")
        take(shell, [(f"create {path}-tree", (f"{EVENT}NodeCreated path:{path}-tree",))])
        take(shell, [(f"getEphemerals {path}", (rf"\[{path}\]",))])


def test_the_c_client_has_its_session_and_watches_after_a_restart(server: Server, c_client: Command) -> None:
    with Shell(c_client(server)) as shell:
        shell.wait_for("Got a new session id: (0x.*)")
        take(shell, [("create +e /c-stays", ("name = /c-stays",)), ("wexists /c-stays", ()), ("sync /", ("rc = 0",))])
        server.stop()
        shell.wait_for("SESSION_EVENT state = CONNECTING_STATE")
        server.start()
        shell.wait_for("SESSION_EVENT state = CONNECTED_STATE")
        change(server, "/c-stays")
        shell.wait_for("CHANGED_EVENT state = CONNECTED_STATE for path /c-stays")


def change(server: Server, path: str) -> None:
    session = Session(server.address)
    session.must(wire.SET_DATA, wire.string(path) + wire.buf(b"changed") + wire.i32(-1))
    session.end()


def test_the_java_client_runs_one_command_and_ends(server: Server, java_client: Command) -> None:
    """Under a chroot, with the exit code that scripts look at."""
    root = f"/{java_client.__name__}-once"
    session = Session(server.address)
    session.create(root)
    session.close()
    command = java_client(server)
    command[-1] += root

    def run(*words: str) -> tuple[int, str]:
        done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=100, check=False)
        return done.returncode, done.stdout + done.stderr

    assert run("create", "/inside", "x")[0] == 0
    assert is_there(server, f"{root}/inside")
    code, output = run("get", "/nowhere")
    assert (code, "Node does not exist: /nowhere" in output) == (1, True)


def test_the_c_client_takes_its_tour(server: Server, c_client: Command) -> None:
    with Shell(c_client(server)) as shell:
        shell.wait_for("SESSION_EVENT state = CONNECTED_STATE", "Got a new session id")
        take(shell, c_tour("/c"))
        assert is_there(server, "/c/eph")
        shell.type("quit")
        shell.wait_for("Quitting")
        assert shell.wait_for_end() == 0
    assert [is_there(server, "/c/eph"), is_there(server, "/c")] == [False, True]


def test_the_c_client_authenticates(server: Server, c_client: Command) -> None:
    """One of its own making shows that the server took the credentials: this client cannot write ACLs."""
    session = Session(server.address)
    ann = wire.i32(31) + wire.string("digest") + wire.string("ann:7RJfAeIvrl4zdj6sS2fXrQHDvHM=")
    session.create("/c-locked", b"secret", acl=wire.vector([ann]))
    session.close()
    with Shell(c_client(server)) as shell:
        shell.wait_for("Got a new session id")
        take(shell, [("get /c-locked", ("/c-locked: rc = -102",)), ("addauth digest ann:secret", ())])
        take(shell, [("get /c-locked", ("/c-locked: rc = 0", "value_len = 6", "^secret$"))])
        take(shell, [("addauth nonsense x", ("AUTH_FAILED_STATE", "Authentication failure"))])


def test_the_c_client_of_a_dead_process_leaves_its_session_behind(server: Server, c_client: Command) -> None:
    """Killed, it says nothing to the server: its ephemerals stay until the session expires."""
    with Shell(c_client(server)) as shell:
        shell.wait_for("Got a new session id")
        take(shell, [("create +e /c-left", ("name = /c-left",))])
        shell.kill()
        shell.wait_for_end()
        assert is_there(server, "/c-left")


def test_netcat_asks_with_a_four_letter_word(server: Server) -> None:
    netcat = shutil.which("nc")
    if netcat is None:
        pytest.skip("there is no nc; on Debian: apt-get install netcat-openbsd")
    asked = subprocess.run(
        [netcat, "127.0.0.1", str(server.port)], input=b"srvr\n", capture_output=True, timeout=100, check=True
    )
    assert b"\nMode: standalone\n" in asked.stdout
