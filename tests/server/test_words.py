"""The four-letter words. Their texts are ZooKeeper 3.9.3's, taken from a running one, with other numbers."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest

from tests.compat import requests as ask
from tests.compat import wire
from tests.server.house import House
from tests.server.stand import START, Peer, Stand
from zoopark.record import Now
from zoopark.server.config import load_config
from zoopark.server.member import Member
from zoopark.server.metrics import Survey
from zoopark.server.words import READ_ONLY, TELNET_CLOSE, VERSION
from zoopark.tree.owners import OwnerKinds
from zoopark.tree.tree import Tree

ALL = {"4lw.commands.whitelist": "*", "tickTime": "2000"}
ENVIRONMENT = [("host.name", "zoo"), ("os.name", "Linux")]


def _survey() -> Survey:
    return Survey(1_234, 5_678, 2_182, (21, 1_024), ENVIRONMENT)


def _stand(keys: Mapping[str, str] | None = None) -> Stand:
    stand = Stand({**ALL, **(keys or {})})
    stand.member.metrics.survey = _survey
    return stand


def _say(stand: Stand, chunk: bytes, address: str = "127.0.0.1") -> str:
    """The answer that a new connection gets before it is closed."""
    connection = stand.member.on_connect(address, 50_000, stand.now)
    assert connection is not None
    connection.on_bytes(chunk, stand.now)
    answer = connection.take_out().decode()
    effects = stand.member.take()
    assert [type(effect).__name__ for effect in effects] == ["CloseLink"]
    stand.member.on_disconnect(connection)
    return answer


def _metric(stand: Stand, name: str) -> str:
    values = dict(line.split("\t") for line in _say(stand, b"mntr").splitlines())
    return values[f"zk_{name}"]


def _hex(peer: Peer) -> str:
    return f"0x{peer.session_id:x}"


@pytest.mark.parametrize(
    ("chunk", "answer"),
    [
        (b"ruok", "imok"),
        (b"ruok\n", "imok"),
        (b"ruokruok", "imok"),
        (b"isro", "rw"),
        (b"gtmk", "306"),
        (b"stmk", ""),
        (b"stmk" + bytes(7), ""),
        (b"stmk" + bytes(7) + b"\x07", "7"),
        (b"stmk" + b"\xff" * 8, "-1"),
        (b"crst", "Connection stats reset.\n"),
        (b"srst", "Server stats reset.\n"),
        (b"hash", ""),
        (b"dirs", "datadir_size: 1234\nlogdir_size: 5678\n"),
        (b"wchs", "0 connections watching 0 paths\nTotal watches:0\n"),
        (b"wchc", "\n"),
        (b"wchp", "\n"),
        (b"cons", " /127.0.0.1:50000[0](queued=0,recved=1,sent=0)\n\n"),
        (TELNET_CLOSE, ""),
    ],
)
def test_words_of_an_idle_server(chunk: bytes, answer: str) -> None:
    """To the byte, newlines included; what follows a word does not matter but to stmk."""
    assert _say(_stand(), chunk) == answer


@pytest.mark.parametrize("word", ["ruok", "stat", "mntr", "stmk", "isro", "telnet close"])
def test_a_word_that_is_not_on_the_whitelist_is_named(word: str) -> None:
    """ZooKeeper's own sentence; srvr is all that is answered by default."""
    stand = _stand({"4lw.commands.whitelist": "srvr"})
    chunk = TELNET_CLOSE if word == "telnet close" else word.encode()
    assert _say(stand, chunk) == f"{word} is not executed because it is not in the whitelist.\n"
    assert _say(stand, b"srvr").startswith("Zookeeper version: ")


@pytest.mark.parametrize("word", [b"lead", b"RUOK", b"kill", b"xyzw"])
def test_an_unknown_word_is_a_frame_that_is_too_long(word: bytes) -> None:
    """As in ZooKeeper there is no answer, whitelisted or not."""
    assert _say(_stand(), word) == ""
    assert _say(_stand({"4lw.commands.whitelist": "srvr"}), word) == ""


def test_a_word_may_come_in_pieces() -> None:
    """A network may cut anywhere."""
    stand = _stand()
    connection = stand.member.on_connect("127.0.0.1", 50_000, stand.now)
    assert connection is not None
    for piece in (b"r", b"uo", b"k"):
        assert connection.take_out() == b""
        connection.on_bytes(piece, stand.now)
    assert connection.take_out() == b"imok"


def test_the_trace_mask_is_remembered() -> None:
    """It has no effect, but what was set can be asked for."""
    stand = _stand()
    _say(stand, b"stmk" + (0x132 + 1).to_bytes(8, "big"))
    assert _say(stand, b"gtmk") == "307"


def test_the_version_is_understood_by_readers_of_three_numbers() -> None:
    """kazoo and most probes look for X.Y.Z followed by a hyphen; the rest says whose server this is."""
    assert re.match(r"\d+\.\d+\.\d+-zoopark-", VERSION)
    assert VERSION.endswith(f", built on Python {sys.version_info[0]}.{sys.version_info[1]}")
    assert _metric(_stand(), "version") == VERSION


def test_srvr_of_a_server_at_work() -> None:
    """Words are packets too: this one came in and has not been answered yet when it is counted."""
    stand = _stand()
    peer = stand.open()
    peer.ask(ask.create("/a", b"123"))
    peer.send(ask.set_data("/a", b"4"))
    stand.turn()
    stand.now = Now(stand.now.mono_ms + 5, stand.now.wall_ms + 5)
    stand.settle()
    assert _say(stand, b"srvr") == (
        f"Zookeeper version: {VERSION}\n"
        "Latency min/avg/max: 0/1.6667/5\n"
        "Received: 4\nSent: 3\nConnections: 2\nOutstanding: 0\nZxid: 0x3\nMode: standalone\nNode count: 6\n"
    )


def test_requests_that_wait_are_outstanding() -> None:
    """A write that is not on disk, and the read behind it."""
    stand = _stand()
    peer = stand.open()
    peer.send(ask.create("/a", b""), ask.get_data("/a"))
    assert "\nOutstanding: 2\n" in _say_while_writing(stand, b"srvr")
    stand.settle()
    assert "\nOutstanding: 0\n" in _say(stand, b"srvr")


def _say_while_writing(stand: Stand, word: bytes) -> str:
    connection = stand.member.on_connect("127.0.0.1", 50_000, stand.now)
    assert connection is not None
    connection.on_bytes(word, stand.now)
    return connection.take_out().decode()


def test_stat_lists_clients() -> None:
    """Briefly: cons tells more."""
    stand = _stand()
    stand.open()
    lines = _say(stand, b"stat").split("\n")
    assert lines[:6] == [
        f"Zookeeper version: {VERSION}",
        "Clients:",
        " /127.0.0.1:40000[1](queued=0,recved=1,sent=1)",
        " /127.0.0.1:50000[0](queued=0,recved=1,sent=0)",
        "",
        "Latency min/avg/max: 0/0.0/0",
    ]
    assert lines[-2:] == ["Node count: 5", ""]


def test_cons_tells_everything_of_a_connection() -> None:
    """Times are ms: `est` by the wall clock, `lresp` by the monotonic one."""
    stand = _stand()
    peer = stand.open()
    peer.ask(ask.create("/a", b""))
    stand.wait(3)
    peer.ask(ask.get_data("/a"))
    assert _say(stand, b"cons").split("\n")[0] == (
        f" /127.0.0.1:40000[1](queued=0,recved=3,sent=3,sid={_hex(peer)},lop=GETD,est={START.wall_ms},to=10000,"
        f"lcxid=0x2,lzxid=0x2,lresp={START.mono_ms + 3},llat=0,minlat=0,avglat=0,maxlat=0)"
    )


def test_crst_forgets_connections_but_not_the_server() -> None:
    """As new ones, with no last request."""
    stand = _stand()
    peer = stand.open()
    peer.ask(ask.create("/a", b""))
    _say(stand, b"crst")
    assert _say(stand, b"cons").split("\n")[0] == (
        f" /127.0.0.1:40000[1](queued=0,recved=0,sent=0,sid={_hex(peer)},lop=NA,est={START.wall_ms},to=10000,"
        "lzxid=0xffffffffffffffff,lresp=0,llat=0,minlat=0,avglat=0,maxlat=0)"
    )
    assert _metric(stand, "cnt_updatelatency") == "2"


def test_srst_forgets_the_server_but_not_connections() -> None:
    """The word itself is answered after it took effect, so it counts as sent."""
    stand = _stand()
    peer = stand.open()
    peer.ask(ask.create("/a", b""))
    _say(stand, b"srst")
    assert "Latency min/avg/max: 0/0.0/0\nReceived: 1\nSent: 1\n" in _say(stand, b"srvr")
    assert "recved=2,sent=2," in _say(stand, b"cons")


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (ask.ping(), "PING"),
        (ask.create("/b", b""), "CREA"),
        (ask.set_data("/a", b""), "SETD"),
        (ask.set_data("/none", b""), "NA"),
        (ask.delete("/none"), "NA"),
        (ask.get_data("/none"), "GETD"),
        (ask.exists("/a"), "EXIS"),
        (ask.get_children("/"), "GETC"),
        (ask.get_children2("/"), "GETC"),
        (ask.get_acl("/a"), "GETA"),
        (ask.set_acl("/a", ask.OPEN), "SETA"),
        (ask.named(wire.SYNC, "/"), "SYNC"),
        (ask.named(wire.GET_EPHEMERALS, "/"), "GETE"),
        (ask.named(wire.GET_ALL_CHILDREN_NUMBER, "/"), "GETACN"),
        (ask.multi(ask.check("/a")), "MULT"),
        (ask.multi(ask.get_data("/a"), opcode=wire.MULTI_READ), "MLTR"),
        (ask.add_watch("/a", 0), "ADDW"),
        (ask.watches(wire.CHECK_WATCHES, "/a", 3), "CHKW"),
        (ask.watches(wire.REMOVE_WATCHES, "/a", 3), "REMW"),
        (ask.who_am_i(), "HOMI"),
        (ask.auth("digest", b"a:b"), "CREA"),
        (ask.sasl(b""), "CREA"),
    ],
)
def test_the_last_operation_has_zookeepers_name(request_: ask.Request, name: str) -> None:
    """Four letters, with one exception; a write that failed has none, a proof of identity leaves the one before."""
    stand = _stand()
    peer = stand.open()
    peer.ask(ask.create("/a", b""))
    peer.ask(request_)
    assert f",lop={name}," in _say(stand, b"cons")


def test_a_new_sessions_last_operation_is_its_creation() -> None:
    """With cxid 0 and the zxid of that transaction."""
    stand = _stand()
    stand.open()
    assert ",lop=SESS,est=1600000000000,to=10000,lcxid=0x0,lzxid=0x1," in _say(stand, b"cons")


def test_a_ping_has_no_cxid() -> None:
    """The last request that had one is shown, also when both came in one piece."""
    stand = _stand()
    peer = stand.open()
    peer.send(ask.exists("/a"), ask.exists("/a"), ask.ping())
    assert ",lop=PING,est=1600000000000,to=10000,lcxid=0x2," in _say(stand, b"cons")


@pytest.mark.parametrize(
    ("address", "shown"),
    [("10.1.2.3", "/10.1.2.3"), ("::1", "/[0:0:0:0:0:0:0:1]"), ("fe80::1%eth0", "/[fe80:0:0:0:0:0:0:1]")],
)
def test_addresses_are_written_as_java_writes_them(address: str, shown: str) -> None:
    """Scripts split at the last colon and compare the rest."""
    assert _say(_stand(), b"cons", address).startswith(f" {shown}:50000[0](")


def test_conf() -> None:
    """What is in force, with defaults filled in."""
    assert _say(_stand({"clientPort": "2181"}), b"conf") == (
        "clientPort=2181\nsecureClientPort=-1\ndataDir=/data/version-2\ndataDirSize=1234\n"
        "dataLogDir=/data/version-2\ndataLogSize=5678\ntickTime=2000\nmaxClientCnxns=60\nminSessionTimeout=4000\n"
        "maxSessionTimeout=40000\nclientPortListenBacklog=-1\nserverId=0\n"
    )


def test_conf_tells_the_port_that_was_found() -> None:
    """clientPort=0 lets the system choose one."""
    assert _say(_stand({"clientPort": "0"}), b"conf").startswith("clientPort=2182\n")


def test_envi() -> None:
    """The host's lines behind the version."""
    assert _say(_stand(), b"envi") == f"Environment:\nzookeeper.version={VERSION}\nhost.name=zoo\nos.name=Linux\n"


def test_dump() -> None:
    """Sessions by when they expire, ephemerals by session, connections by when they end; dates are UTC."""
    stand = _stand()
    first, second = stand.open(), stand.open(20_000)
    for path in ("/a", "/b"):
        first.ask(ask.create(path, b"", flags=ask.EPHEMERAL))
    assert _say(stand, b"dump") == (
        "SessionTracker dump:\nSession Sets (2)/(2):\n"
        f"1 expire at Sun Sep 13 12:26:51 UTC 2020:\n\t{_hex(first)}\n"
        f"1 expire at Sun Sep 13 12:27:01 UTC 2020:\n\t{_hex(second)}\n"
        "ephemeral nodes dump:\nSessions with Ephemerals (1):\n"
        f"{_hex(first)}:\n\t/a\n\t/b\n"
        "Connections dump:\nConnections Sets (3)/(3):\n"
        "1 expire at Sun Sep 13 12:26:50 UTC 2020:\n\tip: /127.0.0.1:50000 sessionId: 0x0\n"
        f"1 expire at Sun Sep 13 12:26:51 UTC 2020:\n\tip: /127.0.0.1:40000 sessionId: {_hex(first)}\n"
        f"1 expire at Sun Sep 13 12:27:01 UTC 2020:\n\tip: /127.0.0.1:40001 sessionId: {_hex(second)}\n"
    )


def test_dump_of_an_idle_server() -> None:
    """Headings without entries; only the connection that asks is there."""
    assert _say(_stand(), b"dump") == (
        "SessionTracker dump:\nSession Sets (0)/(0):\nephemeral nodes dump:\nSessions with Ephemerals (0):\n"
        "Connections dump:\nConnections Sets (1)/(1):\n"
        "1 expire at Sun Sep 13 12:26:50 UTC 2020:\n\tip: /127.0.0.1:50000 sessionId: 0x0\n"
    )


def test_watches_by_connection_and_by_path() -> None:
    """Data watches only, as in ZooKeeper; mntr counts child watches too."""
    stand = _stand()
    first, second = stand.open(), stand.open()
    first.ask(ask.exists("/x", True))
    first.ask(ask.get_data("/", True))
    second.ask(ask.get_data("/", True))
    second.ask(ask.get_children("/", True))
    assert _say(stand, b"wchs") == "2 connections watching 2 paths\nTotal watches:3\n"
    assert _say(stand, b"wchc") == f"{_hex(first)}\n\t/x\n\t/\n{_hex(second)}\n\t/\n\n"
    assert _say(stand, b"wchp") == f"/x\n\t{_hex(first)}\n/\n\t{_hex(first)}\n\t{_hex(second)}\n\n"
    assert _metric(stand, "watch_count") == "4"


def test_hash_tells_the_digest_at_every_128th_zxid() -> None:
    """The same lines on every member, so that two of them can be compared; zxids are hexadecimal."""
    stand = _stand()
    peer = stand.open()
    digests = {}
    for number in range(1, 300):
        reply = peer.ask(ask.create(f"/n{number}", b"x"))
        digests[reply.zxid] = stand.member.tree.digest
    assert _say(stand, b"hash") == f"80: {digests[0x80]}\n100: {digests[0x100]}\n"


def test_mntr_tells_what_happened() -> None:
    """Every number is one that was counted here."""
    stand = _stand()
    peer, other = stand.open(), stand.open(4_000)
    peer.ask(ask.get_data("/", True))
    peer.ask(ask.get_children("/", True))
    other.ask(ask.create("/e", b"12", flags=ask.EPHEMERAL))
    for name, value in (
        ("server_state", "standalone"),
        ("znode_count", "6"),
        ("ephemerals_count", "1"),
        ("approximate_data_size", str(44 + len("/e12"))),
        ("num_alive_connections", "3"),
        ("global_sessions", "2"),
        ("watch_count", "1"),
        ("connection_request_count", "2"),
        ("cnt_readlatency", "2"),
        ("cnt_updatelatency", "3"),
        ("sum_sync_processor_batch_size", "3"),
        ("sum_node_children_watch_count", "1"),
        ("watch_bytes", "29"),
        ("max_file_descriptor_count", "1024"),
        ("open_file_descriptor_count", "21"),
    ):
        assert (name, _metric(stand, name)) == (name, value)


def test_mntr_leaves_out_what_the_host_does_not_know() -> None:
    """A number nobody measured is not printed."""
    stand = _stand()
    stand.member.metrics.survey = lambda: Survey(0, 0, 0, None, [])
    assert "file_descriptor" not in _say(stand, b"mntr")


def test_mntr_counts_ends() -> None:
    """Sessions that expire, connections that never open one, connections that are refused."""
    stand = _stand({"maxClientCnxns": "2"})
    peer = stand.open(4_000)
    stand.drop(peer)
    stand.connect()
    stand.wait(20_000)
    stand.connect()
    stand.connect("10.0.0.1")
    assert stand.member.on_connect("127.0.0.1", 1, stand.now) is not None
    assert stand.member.on_connect("127.0.0.1", 2, stand.now) is None
    connection = stand.member.on_connect("10.0.0.1", 3, stand.now)
    assert connection is not None
    connection.on_bytes(b"mntr", stand.now)
    values = dict(line.split("\t") for line in connection.take_out().decode().splitlines())
    assert (
        values["zk_stale_sessions_expired"],
        values["zk_sessionless_connections_expired"],
        values["zk_connection_rejected"],
        values["zk_uptime"],
    ) == ("1", "1", "1", "20000")


def test_mntr_counts_renewed_sessions_and_no_auth_packet_as_a_failure() -> None:
    """Signs of a network that breaks; ZooKeeper counts refusals by TLS and SASL only."""
    stand = _stand()
    peer = stand.open()
    peer.ask(ask.auth("nosuch", b"x"))
    again = stand.connect()
    connect = wire.connect_request(0, 10_000, peer.session_id, wire.session_password(peer.session_id)) + b"\x00"
    again.raw(wire.frame(connect))
    stand.settle()
    assert (_metric(stand, "auth_failed_count"), _metric(stand, "connection_revalidate_count")) == ("0", "1")


def test_mntr_is_one_metric_a_line() -> None:
    """Name, tab, value, as every collector expects."""
    lines = _say(_stand(), b"mntr").splitlines()
    assert lines[1] == "zk_server_state\tstandalone"
    assert all(re.fullmatch(r"zk_[a-z0-9_]+\t-?\d+(\.\d+)?", line) for line in lines[2:])
    names = [line.split("\t")[0] for line in lines]
    assert sorted(set(names)) == sorted(names)


def _documented(text: str) -> set[str]:
    tables = [line for line in text.splitlines() if line.startswith("| `")]
    return {name for line in tables for name in re.findall(r"`(\w+)`", line.split("|")[1])}


def _names(answer: str) -> set[str]:
    """The names in an answer to mntr, without what a summary puts in front of its own."""
    names = {line.split("\t")[0].removeprefix("zk_") for line in answer.splitlines()}
    plain = {name for name in names if re.fullmatch("(avg|min|max)_(latency|proposal_size|file.*)", name)}
    return plain | {re.sub(r"^(avg|min|max|cnt|sum|p\d+)_", "", name) for name in names - plain}


def test_every_metric_is_documented() -> None:
    """And what is documented as left out is not there."""
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    there, left_out = page.split("## Metrics")[1].split("### Left out")
    alone, of_members = there.split("### Of a member of an ensemble")
    assert _documented(alone) == _names(_say(_stand(), b"mntr"))
    house = House("abcd", keys=ALL)
    house.form()
    found: set[str] = set()
    for name in house.names:
        house.member(name).metrics.survey = _survey
        asker = house.connect(name).connection
        asker.on_bytes(b"mntr", house.now)
        found |= _names(asker.take_out().decode())
    assert _documented(there) == found
    assert not found & _documented(left_out) - {"auth_failed_count"}
    assert not _documented(alone) & _documented(of_members)


MEMBER = """clientPort=2181
dataDir=/data
tickTime=2000
initLimit=10
syncLimit=5
server.1=a:2888:3888;2181
server.2=b:2888:3888
server.3=[::1]:2889:3889:observer
4lw.commands.whitelist=*
"""


@pytest.mark.parametrize(("sid", "ports"), [(1, ("3888", "2888", "0")), (3, ("3889", "2889", "1"))])
def test_conf_of_a_member_tells_of_all(sid: int, ports: tuple[str, str, str]) -> None:
    """To the byte as ZooKeeper: the last line has no end."""
    config, _ = load_config(MEMBER, source_name="zoo.cfg", overrides={}, sid=sid)
    stand = _stand()
    stand.member = Member(config, Tree(OwnerKinds(False)), Random(1), START)
    _, found = _say(stand, b"conf").split("clientPortListenBacklog=-1\n")
    assert found == (
        f"serverId={sid}\ninitLimit=10\nsyncLimit=5\nelectionAlg=3\n"
        f"electionPort={ports[0]}\nquorumPort={ports[1]}\npeerType={ports[2]}\nmembership: \n"
        "server.1=a:2888:3888:participant;0.0.0.0:2181\nserver.2=b:2888:3888:participant\n"
        "server.3=[::1]:2889:3889:observer\nversion=0"
    )
    stand.member.clients.words.mode = READ_ONLY
    assert found.startswith(_say(stand, b"conf").split("clientPortListenBacklog=-1\n")[1] + "membership: \n")


@pytest.mark.parametrize(
    ("line", "election_ports", "quorum_ports"),
    [("b:2888:3888|c:2889:3889", "3888|3889", "2888|2889"), ("b:2888:3888|c:2888:3889", "3888|3889", "2888")],
)
def test_conf_tells_the_ports_of_all_addresses(line: str, election_ports: str, quorum_ports: str) -> None:
    """Each port once."""
    text = MEMBER.replace("b:2888:3888", line) + "multiAddress.enabled=true\n"
    config, _ = load_config(text, source_name="zoo.cfg", overrides={}, sid=2)
    stand = _stand()
    stand.member = Member(config, Tree(OwnerKinds(False)), Random(1), START)
    lines = _say(stand, b"conf").splitlines()
    assert f"electionPort={election_ports}" in lines and f"quorumPort={quorum_ports}" in lines


@pytest.mark.parametrize(
    ("is_possible", "answer"),
    [("true", "rw"), ("false", "isro is not executed because it is not in the whitelist.\n")],
)
def test_isro_is_allowed_where_read_only_mode_is(is_possible: str, answer: str) -> None:
    """Clients that are content with reading ask for it, so ZooKeeper adds it to any whitelist."""
    overrides = {"readonlymode.enabled": is_possible}
    config, _ = load_config("clientPort=2181\ndataDir=/data\n", source_name="zoo.cfg", overrides=overrides)
    stand = _stand()
    stand.member = Member(config, Tree(OwnerKinds(False)), Random(1), START)
    assert _say(stand, b"isro") == answer
