"""From a zoo.cfg and a command line to one Config, one clear refusal, or warnings worth reading."""

import pytest

from zoopark.errors import ConfigError
from zoopark.server.config import Config, default_config, dynamic_file, load_config
from zoopark.server.membership import UNKNOWN
from zoopark.server.settings import SETTINGS, Setting, Value

SMALLEST = "dataDir=/data\nclientPort=2181\n"  # a key under test stands on line 3

APACHES_SAMPLE = """\
# The number of milliseconds of each tick
tickTime=2000
initLimit=10
syncLimit=5
dataDir=/var/lib/zookeeper
clientPort=2181
#maxClientCnxns=60
#autopurge.snapRetainCount=3
"""


def _load(text: str, overrides: dict[str, str] | None = None) -> tuple[Config, list[str]]:
    return load_config(text, source_name="zoo.cfg", overrides=overrides or {})


def _refusal(text: str, overrides: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as refusal:
        _load(text, overrides)
    return str(refusal.value)


def test_apaches_sample_is_taken_without_a_word() -> None:
    """Everybody starts from it; warnings about initLimit would teach people to ignore warnings."""
    config, warnings = _load(APACHES_SAMPLE)
    assert warnings == []
    assert (config.client_port, config.client_port_address) == (2181, "")
    assert (config.data_dir, config.data_log_dir) == ("/var/lib/zookeeper", "/var/lib/zookeeper")
    assert (config.tick_time_ms, config.min_session_timeout_ms, config.max_session_timeout_ms) == (2000, 4000, 40000)


def test_defaults_are_those_of_zookeeper_3_9() -> None:
    """A zoo.cfg says only what differs from ZooKeeper's defaults, so they must be the same here."""
    config, _ = _load(SMALLEST)
    assert (config.tick_time_ms, config.min_session_timeout_ms, config.max_session_timeout_ms) == (3000, 6000, 60000)
    assert (config.jute_max_buffer_bytes, config.jute_extra_size_bytes) == (1048575, 1048575)
    assert (config.max_client_cnxns, config.max_cnxns, config.global_outstanding_limit) == (60, 0, 1000)
    assert (config.snap_count, config.snap_size_limit_kb, config.pre_alloc_size_kb) == (100000, 4194304, 65536)
    assert (config.has_digest, config.has_force_sync, config.has_close_session_txn) == (True, True, True)
    assert (config.has_extended_types, config.is_quota_enforced, config.is_acl_skipped) == (False, False, False)
    assert config.four_letter_words == ("srvr",)


def test_purging_is_on_by_default() -> None:
    """The one default that differs: ZooKeeper's fills the disk."""
    config, _ = _load(SMALLEST)
    assert (config.purge_interval_hours, config.snap_retain_count) == (1, 3)


HONOURED: list[tuple[str, str, Value]] = [
    ("clientPortAddress=10.0.0.1", "client_port_address", "10.0.0.1"),
    ("clientPortAddress=[::1]", "client_port_address", "::1"),
    ("dataLogDir = /log \t", "data_log_dir", "/log"),
    ("maxClientCnxns=0", "max_client_cnxns", 0),
    ("minSessionTimeout=-1", "min_session_timeout_ms", 6000),
    ("maxSessionTimeout=9000", "max_session_timeout_ms", 9000),
    ("autopurge.purgeInterval=0", "purge_interval_hours", 0),
    ("forceSync=no", "has_force_sync", False),
    ("skipACL=yes", "is_acl_skipped", True),
    ("snapshot.compression.method=GZ", "snapshot_compression", "gz"),
    ("flushDelay=10", "max_write_queue_poll_time_ms", 3),
    ("jute.maxbuffer=0x400000", "jute_max_buffer_bytes", 4194304),
    ("jute.maxbuffer=0x400000", "jute_extra_size_bytes", 4194304),
    ("zookeeper.jute.maxbuffer=5000", "jute_max_buffer_bytes", 5000),
    ("jute.maxbuffer.extrasize=2048", "jute_extra_size_bytes", 2048),
    ("znode.container.checkIntervalMs=5", "container_check_interval_ms", 5),
    ("fsync.warningthresholdms=20", "fsync_warning_threshold_ms", 20),
    ("4lw.commands.whitelist=stat, ruok,*", "four_letter_words", ("stat", "ruok", "*")),
    ("DigestAuthenticationProvider.digestAlg=sha-256", "digest_alg", "sha256"),
    ("DigestAuthenticationProvider.superDigest=super:x=", "super_digest", "super:x="),
    ("connection_throttle_drop_increase=0.5", "connection_throttle_drop_increase", 0.5),
    ("ensembleAuthName=a,b", "ensemble_auth_names", ("a", "b")),
    ("authProvider.1=org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider", "has_ensemble_scheme", True),
    ("tickTime=1000\ntickTime=500", "tick_time_ms", 500),
    ("clientPort=0", "client_port", 0),
    ("cnxTimeout=700", "cnx_timeout_ms", 700),
    ("snapshotSizeFactor=-1", "snapshot_size_factor", -1.0),
    ("multiAddress.enabled=true", "has_multi_address", True),
]


@pytest.mark.parametrize(("line", "field", "expected"), HONOURED)
def test_a_line_of_zoo_cfg_is_honoured_in_silence(line: str, field: str, expected: Value) -> None:
    """What is in force needs no warning."""
    config, warnings = _load(SMALLEST + line)
    assert expected == getattr(config, field)
    assert warnings == []


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_a_value_that_is_not_allowed_names_file_line_key_and_what_is(setting: Setting) -> None:
    """ZooKeeper takes many a bad value for the default in silence; here the start stops and says where to look."""
    try:
        setting.read("bad\x01value")
    except ValueError:
        expected = f"zoo.cfg:3: {setting.key}=bad\x01value: {setting.kind.allowed()} is allowed"
        assert expected == _refusal(f"{SMALLEST}{setting.key}=bad\x01value\n")
    else:
        assert getattr(_load(f"{SMALLEST}{setting.key}=bad\x01value\n")[0], setting.field)


REFUSED = [
    ("tickTime=abc", "zoo.cfg:3: tickTime=abc: a whole number of milliseconds from 1 to 2147483647 is allowed"),
    (
        "minSessionTimeout=9\nmaxSessionTimeout=5",
        "zoo.cfg:3: minSessionTimeout=9: minSessionTimeout 9 ms must not be larger than maxSessionTimeout 5 ms",
    ),
    (
        "maxSessionTimeout=5",
        "zoo.cfg:3: maxSessionTimeout=5: minSessionTimeout 6000 ms must not be larger than maxSessionTimeout 5 ms",
    ),
    ("server.1=a:2888:3888\nserver.2=b:2888:3888", "zoo.cfg: initLimit is missing: an ensemble needs it, in ticks"),
    (
        "initLimit=5\nserver.1=a:2888:3888\nserver.2=b:2888:3888",
        "zoo.cfg: syncLimit is missing: an ensemble needs it, in ticks",
    ),
    (
        "server.1=a:2888:3888:Observer",
        "zoo.cfg:3: server.1=a:2888:3888:Observer: observers need two participants or more",
    ),
    ("server.x=a:1:2", "zoo.cfg:3: server.x=a:1:2: server.N with N from 0 to 255, no zeros in front, is allowed"),
    (
        "server.1=a:1:2;99999",
        "zoo.cfg:3: server.1=a:1:2;99999: "
        "host:port:port[|host:port:port…][:participant|:observer][;[address:]port] is allowed",
    ),
    ("server.1=a:1:2;2182", "zoo.cfg:3: server.1=a:1:2;2182: the same client port as in clientPort=2181 is allowed"),
    (
        "dynamicConfigFile=z.dyn\ngroup.1=1:2",
        "zoo.cfg:4: group.1=1:2: this line belongs into z.dyn: dynamicConfigFile",
    ),
    (
        "initLimit=5\nsyncLimit=5\nserver.1=a:1:2|b:1:2\nserver.2=c:1:2",
        "zoo.cfg:5: server.1=a:1:2|b:1:2: needs multiAddress.enabled=true",
    ),
    (
        "initLimit=0\nserver.1=a:2888:3888\nserver.2=b:2888:3888",
        "zoo.cfg:3: initLimit=0: a whole number of ticks from 1 to 2147483647 is allowed",
    ),
    (
        "initLimit=5\nsyncLimit=0\nserver.1=a:2888:3888\nserver.2=b:2888:3888",
        "zoo.cfg:4: syncLimit=0: a whole number of ticks from 1 to 2147483647 is allowed",
    ),
    ("enforce.auth.enabled=true", "zoo.cfg:3: enforce.auth.enabled=true: enforce.auth.schemes is missing"),
    (
        "enforce.auth.enabled=true\nenforce.auth.schemes=digest,kerberos",
        "zoo.cfg:4: enforce.auth.schemes=digest,kerberos: a list of ip, digest, ensemble is allowed",
    ),
    ("x=\\u12", "zoo.cfg:3: \\u must be followed by four hexadecimal digits"),
]


@pytest.mark.parametrize(("lines", "expected"), REFUSED)
def test_a_zoo_cfg_that_cannot_be_served_is_refused_in_one_line(lines: str, expected: str) -> None:
    """Whoever reads the line must know what to change."""
    assert expected == _refusal(SMALLEST + lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "zoo.cfg: clientPort is missing: a TCP port is needed"),
        ("clientPort=2181", "zoo.cfg: dataDir is missing: a directory is needed"),
        ("dataDir=/d", "zoo.cfg: clientPort is missing: a TCP port is needed"),
        (
            "dataDir=/d\nclientPortAddress=h",
            "zoo.cfg:2: clientPortAddress=h: clientPort is missing: a TCP port is needed",
        ),
        (
            "dataDir=/d\nsecureClientPort=2281",
            "zoo.cfg:2: secureClientPort=2281: TLS is not there yet: clientPort is needed",
        ),
    ],
)
def test_a_key_that_must_be_there_is_missed_by_name(text: str, expected: str) -> None:
    """ZooKeeper starts without any port and serves nobody; that helps nobody."""
    assert expected == _refusal(text)


@pytest.mark.parametrize(
    ("client_part", "address", "port"), [("2182", "", 2182), ("h:2182", "h", 2182), ("[::1]:2182", "::1", 2182)]
)
def test_one_server_line_may_say_the_client_port(client_part: str, address: str, port: int) -> None:
    """ZooKeeper's container image writes `server.1=localhost:2888:3888;2181` and no clientPort."""
    config, warnings = _load(f"dataDir=/d\nserver.1=localhost:2888:3888;{client_part}")
    assert (address, port) == (config.client_port_address, config.client_port)
    assert warnings == ["not in force yet: server.1"]


def test_keys_of_later_parts_are_named_in_one_warning() -> None:
    """The owner of an existing zoo.cfg must learn what of it is not in force, once and together."""
    later = "ssl.keyStore.location=x\nmetricsProvider.httpPort=7000\nadmin.serverPort=8080\noraclePath=/o\n"
    quiet = "admin.enableServer=false\nsslQuorum=false\nstandaloneEnabled=true\nnio.numWorkerThreads=4\n"
    _, warnings = _load(SMALLEST + later + quiet, {"zookeeper.audit.enable": "true"})
    assert warnings == [
        "not in force yet: admin.serverPort, metricsProvider.httpPort, oraclePath,"
        " ssl.keyStore.location, zookeeper.audit.enable"
    ]


def test_an_unknown_key_becomes_a_property() -> None:
    """As in ZooKeeper: the file is read after -D and wins over it; keys of its own reader are not properties."""
    config, warnings = _load(SMALLEST + "my.key = 1\ninitLimit=5", {"zookeeper.my.key": "2", "other": " 3 "})
    assert config.properties == {"zookeeper.my.key": "1", "other": "3"}
    assert warnings == []


@pytest.mark.parametrize(
    ("text", "overrides", "expected"),
    [
        ("", {"zookeeper.snapCount": "7"}, 7),
        ("", {"snapCount": "7"}, 100000),
        ("snapCount=5", {"zookeeper.snapCount": "7"}, 5),
    ],
)
def test_a_property_is_set_by_its_full_name_and_the_file_wins(
    text: str, overrides: dict[str, str], expected: int
) -> None:
    """The precedence of ZooKeeper: reading zoo.cfg sets the property again."""
    assert expected == _load(SMALLEST + text, overrides)[0].snap_count


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"jute.maxbuffer": "5000"}, 5000),
        ({"zookeeper.jute.maxbuffer": "5000"}, 5000),
        ({"zookeeper.jute.maxbuffer": "5000", "jute.maxbuffer": "6000"}, 5000),
    ],
)
def test_a_jvm_property_has_two_names(overrides: dict[str, str], expected: int) -> None:
    """Nobody should have to know which of ZooKeeper's properties lack the prefix."""
    assert expected == _load(SMALLEST, overrides)[0].jute_max_buffer_bytes


def test_a_bad_property_of_the_command_line_is_refused_by_its_name() -> None:
    """There is no file and no line to name."""
    expected = "-D zookeeper.snapCount=x: a whole number of transactions from 2 to 2147483647 is allowed"
    assert expected == _refusal(SMALLEST, {"zookeeper.snapCount": "x"})


@pytest.mark.parametrize(
    ("line", "overrides", "expected"),
    [
        ("ticktime=5", {}, "zoo.cfg:3: ticktime: not a known key; is tickTime meant?"),
        ("maxClientCnxn=5", {}, "zoo.cfg:3: maxClientCnxn: not a known key; is maxClientCnxns meant?"),
        ("zookeeper.snapCount=5", {}, "zoo.cfg:3: zookeeper.snapCount: not a known key; is snapCount meant?"),
        ("", {"snapCount": "5"}, "-D snapCount: not a known property; is zookeeper.snapCount meant?"),
        ("", {"snapCuont": "5"}, "-D snapCuont: not a known property; is zookeeper.snapCount meant?"),
        ("snapCount=1", {}, "zoo.cfg:3: snapCount=1: 2 is the least; taken as 2"),
        ("autopurge.snapRetainCount=0", {}, "zoo.cfg:3: autopurge.snapRetainCount=0: 3 is the least; taken as 3"),
        (
            "",
            {"zookeeper.tickTime": "5"},
            "-D zookeeper.tickTime: tickTime is read from zoo.cfg only, so this has no effect",
        ),
    ],
)
def test_what_has_no_effect_or_another_one_is_warned_of(line: str, overrides: dict[str, str], expected: str) -> None:
    """A misspelt key that silently means the default costs an evening."""
    assert _load(SMALLEST + line, overrides)[1] == [expected]


def test_a_property_is_not_guessed_to_be_a_key_of_the_file() -> None:
    """The advice would not help: -D cannot set tickTime."""
    assert _load(SMALLEST, {"zookeeper.ticktime": "5"})[1] == []


def test_the_embedded_default_listens_on_loopback_only() -> None:
    """A server nobody configured must not be open to the network."""
    config = default_config("/data")
    assert (config.client_port_address, config.client_port) == ("127.0.0.1", 2181)
    assert (config.data_dir, config.data_log_dir, config.source_name) == ("/data", "/data", "")


def test_the_embedded_default_takes_keys_of_zoo_cfg() -> None:
    """Tests and embedders say what differs in the words users know, and are refused like users."""
    assert default_config("/data", {"clientPort": "0", "snapCount": "10"}).snap_count == 10
    with pytest.raises(ConfigError, match=r"^snapCount=x: a whole number"):
        default_config("/data", {"snapCount": "x"})


def test_equal_texts_make_equal_records() -> None:
    """Config is a value."""
    assert _load(SMALLEST) == _load(SMALLEST)
    assert _load(SMALLEST)[0] != _load(SMALLEST + "snapCount=7")[0]


ENSEMBLE = """dataDir=/d
initLimit=10
syncLimit=5
server.1=a:2888:3888;2181
server.2=b:2888:3888:participant;h:2182
server.3=c:2888:3888:observer
"""


def _load_member(sid: int, text: str = ENSEMBLE) -> tuple[Config, list[str]]:
    return load_config(text, source_name="zoo.cfg", overrides={}, sid=sid)


@pytest.mark.parametrize(("sid", "address", "port"), [(1, "", 2181), (2, "h", 2182)])
def test_a_member_finds_its_client_port_in_its_own_line(sid: int, address: str, port: int) -> None:
    """Everybody has the same server lines; myid says which of them is one's own."""
    config, warnings = _load_member(sid)
    assert (config.client_port_address, config.client_port) == (address, port)
    assert config.membership is not None and config.membership.sid == sid
    assert (config.init_limit, config.sync_limit, warnings) == (10, 5, [])


def test_a_member_without_a_client_port_is_refused() -> None:
    """The observer's line says none, nor does clientPort."""
    with pytest.raises(ConfigError, match=r"^zoo.cfg: clientPort is missing: a TCP port is needed$"):
        _load_member(3)


def test_a_myid_that_no_line_has_is_refused() -> None:
    """The usual mistake of a copied directory."""
    with pytest.raises(ConfigError, match=r"^zoo.cfg:4: server.1: myid is 7, and there is no line server.7$"):
        _load_member(7)


def test_an_ensemble_can_be_told_before_its_myid_is_read() -> None:
    """The file myid lies in dataDir, so dataDir must be known first."""
    config, _ = _load(ENSEMBLE)
    assert config.membership is not None and config.membership.sid == UNKNOWN and config.data_dir == "/d"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("peerType=observer", "peerType=observer, but server.1 is a participant; the server line counts"),
        ("connectToLearnerMasterLimit=3", "not in force yet: connectToLearnerMasterLimit"),
        ("commitLogCount=100", "not in force yet: commitLogCount"),
    ],
)
def test_a_member_is_warned_of_what_it_cannot_do_yet(line: str, expected: str) -> None:
    """What means nothing to one server may mean much to a member."""
    assert _load_member(1, f"{ENSEMBLE}{line}\n")[1] == [expected]


DYNAMIC = "server.1=a:1:2;3\nserver.2=b:1:2;4\n"


def _load_dynamic(name: str, text: str) -> Config:
    zoo_cfg = f"dataDir=/d\ninitLimit=5\nsyncLimit=2\n dynamicConfigFile = {name} \n"
    assert dynamic_file(zoo_cfg, "zoo.cfg") == name
    config, warnings = load_config(zoo_cfg, source_name="zoo.cfg", overrides={}, sid=2, dynamic_text=text)
    assert warnings == []
    return config


@pytest.mark.parametrize(
    ("name", "version"),
    [("z.dyn", 0), ("/etc/zoo.cfg.dynamic", 0), ("zoo.cfg.dynamic.10000000c", 0x10000000C), ("10", 0), ("cafe", 0)],
)
def test_server_lines_may_stand_in_a_file_of_their_own(name: str, version: int) -> None:
    """Apache's servers move them there once reconfiguration is enabled; the end of the name is the version."""
    config = _load_dynamic(name, DYNAMIC)
    assert config.membership is not None
    assert (config.membership.own().places, config.client_port) == ((("b", 1, 2),), 4)
    assert config.membership.version == version


@pytest.mark.parametrize("line", ["version=3", "tickTime=2000"])
def test_such_a_file_has_nothing_else(line: str) -> None:
    """As ZooKeeper, which reads nothing else from it; each line is named with its file."""
    with pytest.raises(ConfigError) as refusal:
        _load_dynamic("z.dyn", DYNAMIC + line)
    assert str(refusal.value) == f"z.dyn:3: {line}: only server.N, group.N and weight.N are allowed here"


def test_most_files_have_their_server_lines_themselves() -> None:
    assert dynamic_file("dataDir=/d\n#dynamicConfigFile=z\n", "zoo.cfg") is None
