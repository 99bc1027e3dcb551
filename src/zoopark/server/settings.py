"""Every key of zoo.cfg that one server honours: its name here, what it may say, its default.

One row a key; `zoopark.server.config` reads the rows, docs/configuration.md shows them to users, and a test holds the
three together. Defaults are those of ZooKeeper 3.9, but for autopurge.purgeInterval: disks that fill up by default
help nobody. Must never read a file or know which value was given.
"""

import re
from typing import Final, final

from zoopark.record import Record

Value = int | float | bool | str | tuple[str, ...]

# Where a key may be given.
FILE: Final = 0  # in zoo.cfg only, as `key`
PROPERTY: Final = 1  # in zoo.cfg as `key`, or as the JVM property `zookeeper.key`
JVM: Final = 2  # as PROPERTY; the JVM property is also known without its prefix

INT_MAX: Final = 2**31 - 1
LONG_MAX: Final = 2**63 - 1


@final
class Whole(Record):
    """A whole number of `unit`, `low` … `high`; `note` says what special values mean; below `floor` becomes `floor`."""

    __slots__ = ("floor", "high", "low", "note", "unit")

    def __init__(self, unit: str, low: int, high: int = INT_MAX, note: str = "", floor: int | None = None) -> None:
        self.unit = unit
        self.low = low
        self.high = high
        self.note = note
        self.floor = low if floor is None else floor

    def read(self, text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,20}", text):
            raise ValueError
        number = int(text)
        if not self.low <= number <= self.high:
            raise ValueError
        return max(number, self.floor)

    def allowed(self) -> str:
        note = f" ({self.note})" if self.note else ""
        return f"a whole number of {self.unit} from {self.floor} to {self.high}{note}"


@final
class Fraction(Record):
    """A decimal number, `low` … `high`; `note` says what special values mean."""

    __slots__ = ("high", "low", "note")

    def __init__(self, low: int = 0, high: int = 1, note: str = "") -> None:
        self.low = low
        self.high = high
        self.note = note

    def read(self, text: str) -> float:
        if not re.fullmatch(r"-?[0-9]{0,20}\.?[0-9]{1,20}", text) or not self.low <= float(text) <= self.high:
            raise ValueError
        return float(text)

    def allowed(self) -> str:
        note = f" ({self.note})" if self.note else ""
        return f"a number from {self.low} to {self.high}{note}"


@final
class Truth(Record):
    """True or false, in the two words the key has for them."""

    __slots__ = ("no", "yes")

    def __init__(self, yes: str = "true", no: str = "false") -> None:
        self.yes = yes
        self.no = no

    def read(self, text: str) -> bool:
        if text.lower() not in (self.yes, self.no):
            raise ValueError
        return text.lower() == self.yes

    def allowed(self) -> str:
        return f"{self.yes} or {self.no}"


@final
class Choice(Record):
    """One of a few words, compared without regard to case; each maps to the word used here."""

    __slots__ = ("words",)

    def __init__(self, words: dict[str, str]) -> None:
        self.words = words

    def read(self, text: str) -> str:
        for word, meaning in self.words.items():
            if word.lower() == text.lower():
                return meaning
        raise ValueError

    def allowed(self) -> str:
        return "one of " + ", ".join(word or "(nothing)" for word in self.words)


@final
class Text(Record):
    """Any text but the empty one."""

    __slots__ = ("what",)

    def __init__(self, what: str) -> None:
        self.what = what

    def read(self, text: str) -> str:
        if not text:
            raise ValueError
        return text

    def allowed(self) -> str:
        return self.what


@final
class Words(Record):
    """Words between commas; blanks around them do not count, empty ones are dropped."""

    __slots__ = ("what",)

    def __init__(self, what: str) -> None:
        self.what = what

    def read(self, text: str) -> tuple[str, ...]:
        return tuple(word for word in (part.strip() for part in text.split(",")) if word)

    def allowed(self) -> str:
        return self.what


Kind = Whole | Fraction | Truth | Choice | Text | Words


@final
class Setting(Record):
    """One key.

    Args:
        where: FILE, PROPERTY or JVM.
        field: its name in Config, unit last.
        key: its name in zoo.cfg.
        kind: what it may say.
        default: what Config holds when nobody gives it; None for a default that depends on other keys.
    """

    __slots__ = ("default", "field", "key", "kind", "where")

    def __init__(self, where: int, field: str, key: str, kind: Kind, default: Value | None) -> None:
        self.where = where
        self.field = field
        self.key = key
        self.kind = kind
        self.default = default

    def read(self, text: str) -> Value:
        """The value `text` stands for. Raises ValueError where it is not allowed."""
        if self.where != FILE and isinstance(self.kind, Whole):
            text = _decimal(text)
        return self.kind.read(text)

    def property_names(self) -> tuple[str, ...]:
        """The JVM properties that set it, the stronger first."""
        if self.where == FILE:
            return ()
        return (f"zookeeper.{self.key}", self.key)[: self.where]


def _decimal(text: str) -> str:
    """`text` with the prefixes 0x and # (hexadecimal) and 0 (octal) resolved, as Integer.getInteger does."""
    match = re.fullmatch(r"([+-]?)(0[xX]|#|0)([0-9a-fA-F]{1,20})", text)
    if match is None:
        return text
    sign, prefix, digits = match.groups()
    try:
        return sign + str(int(digits, 8 if prefix == "0" else 16))
    except ValueError:
        return text


_PORT: Final = Whole("a TCP port", 0, 65535, "0 = any free port")
_MS: Final = Whole("milliseconds", 0)
_MS1: Final = Whole("milliseconds", 1)
_LONG_MS: Final = Whole("milliseconds", 0, LONG_MAX)
_TRUTH: Final = Truth()
_TICKS: Final = Whole("ticks", 1)
_PEER_TYPE: Final = Choice({"participant": "participant", "observer": "observer"})
_CACHE: Final = Whole("cached replies", 0, note="0 = no cache")
_WEIGHT: Final = Whole("tokens", 1)
_BYTES: Final = Whole("bytes", 1)
_GZ: Final = Choice({"": "", "gz": "gz", "snappy": "snappy"})
_DIGEST_ALG: Final = Choice(
    {
        "SHA1": "sha1",
        "SHA-1": "sha1",
        "SHA-224": "sha224",
        "SHA-256": "sha256",
        "SHA-384": "sha384",
        "SHA-512": "sha512",
        "SHA3-224": "sha3_224",
        "SHA3-256": "sha3_256",
        "SHA3-384": "sha3_384",
        "SHA3-512": "sha3_512",
        "MD5": "md5",
    }
)
_SESSION_MS: Final = Whole("milliseconds", -1, note="-1 = the default")
_SNAP_KB: Final = Whole("KiB", -LONG_MAX, LONG_MAX, "0 or less = no limit")
_FACTOR: Final = Fraction(-1000, 1000, "less than 0 = no log, only snapshots; more than 1 = 0.33")
_LARGE: Final = Whole("bytes", -1, note="-1 or 0 = no request is large")

SETTINGS: Final = (
    # Where clients come in.
    Setting(FILE, "client_port", "clientPort", _PORT, None),
    Setting(FILE, "client_port_address", "clientPortAddress", Text("a host name or an IP address"), ""),
    Setting(FILE, "client_port_listen_backlog", "clientPortListenBacklog", Whole("connections", -1), -1),
    Setting(FILE, "max_client_cnxns", "maxClientCnxns", Whole("connections", -1, note="0 or -1 = no limit"), 60),
    Setting(PROPERTY, "max_cnxns", "maxCnxns", Whole("connections", 0, note="0 = no limit"), 0),
    Setting(PROPERTY, "max_client_watches", "maxClientWatches", Whole("watches", 0, note="0 = no limit"), 1_000_000),
    Setting(PROPERTY, "sessionless_cnxn_timeout_ms", "nio.sessionlessCnxnTimeout", _MS1, 10_000),
    Setting(PROPERTY, "has_client_tcp_keep_alive", "clientTcpKeepAlive", _TRUTH, False),
    Setting(PROPERTY, "four_letter_words", "4lw.commands.whitelist", Words("words between commas, or *"), ("srvr",)),
    # Time and sessions.
    Setting(FILE, "tick_time_ms", "tickTime", _MS1, 3000),
    Setting(FILE, "min_session_timeout_ms", "minSessionTimeout", _SESSION_MS, None),
    Setting(FILE, "max_session_timeout_ms", "maxSessionTimeout", _SESSION_MS, None),
    Setting(FILE, "has_local_sessions", "localSessionsEnabled", _TRUTH, False),
    Setting(FILE, "has_local_sessions_upgrading", "localSessionsUpgradingEnabled", _TRUTH, False),
    Setting(JVM, "has_read_only_mode", "readonlymode.enabled", _TRUTH, False),
    Setting(FILE, "is_reconfig_enabled", "reconfigEnabled", _TRUTH, False),
    Setting(PROPERTY, "has_close_session_txn", "closeSessionTxn.enabled", _TRUTH, True),
    # The ensemble.
    Setting(FILE, "init_limit", "initLimit", _TICKS, None),
    Setting(FILE, "sync_limit", "syncLimit", _TICKS, None),
    Setting(FILE, "peer_type", "peerType", _PEER_TYPE, "participant"),
    Setting(PROPERTY, "may_leader_serve", "leaderServes", Truth("yes", "no"), True),
    Setting(FILE, "has_quorum_on_all_ips", "quorumListenOnAllIPs", _TRUTH, False),
    Setting(PROPERTY, "has_multi_address", "multiAddress.enabled", _TRUTH, False),
    Setting(PROPERTY, "cnx_timeout_ms", "cnxTimeout", _MS1, 5000),
    Setting(PROPERTY, "snapshot_size_factor", "snapshotSizeFactor", _FACTOR, 0.33),
    # Where data lies.
    Setting(FILE, "data_dir", "dataDir", Text("a directory"), None),
    Setting(FILE, "data_log_dir", "dataLogDir", Text("a directory"), None),
    Setting(PROPERTY, "may_create_data_dir", "datadir.autocreate", _TRUTH, True),
    Setting(PROPERTY, "may_create_db", "db.autocreate", _TRUTH, True),
    Setting(FILE, "snap_retain_count", "autopurge.snapRetainCount", Whole("snapshots", -INT_MAX, floor=3), 3),
    Setting(FILE, "purge_interval_hours", "autopurge.purgeInterval", Whole("hours", -1, note="0 or -1 = never"), 1),
    # The transaction log.
    Setting(PROPERTY, "pre_alloc_size_kb", "preAllocSize", Whole("KiB", 0, note="0 = none"), 65536),
    Setting(PROPERTY, "txn_log_size_limit_kb", "txnLogSizeLimitInKb", _SNAP_KB, -1),
    Setting(PROPERTY, "has_force_sync", "forceSync", Truth("yes", "no"), True),
    Setting(JVM, "fsync_warning_threshold_ms", "fsync.warningthresholdms", _LONG_MS, 1000),
    Setting(PROPERTY, "flush_delay_ms", "flushDelay", _LONG_MS, 0),
    Setting(PROPERTY, "max_write_queue_poll_time_ms", "maxWriteQueuePollTime", _LONG_MS, None),
    Setting(PROPERTY, "max_batch_size", "maxBatchSize", Whole("transactions", 0, note="0 = no limit"), 1000),
    # Snapshots.
    Setting(PROPERTY, "snap_count", "snapCount", Whole("transactions", -INT_MAX, floor=2), 100_000),
    Setting(PROPERTY, "snap_size_limit_kb", "snapSizeLimitInKb", _SNAP_KB, 4_194_304),
    Setting(PROPERTY, "snapshot_compression", "snapshot.compression.method", _GZ, ""),
    Setting(PROPERTY, "may_trust_empty_snapshot", "snapshot.trust.empty", _TRUTH, False),
    Setting(PROPERTY, "has_last_processed_zxid", "serializeLastProcessedZxid.enabled", _TRUTH, True),
    Setting(PROPERTY, "has_digest", "digest.enabled", _TRUTH, True),
    # The tree.
    Setting(PROPERTY, "has_extended_types", "extendedTypesEnabled", _TRUTH, False),
    Setting(PROPERTY, "has_353_ttl_nodes", "emulate353TTLNodes", _TRUTH, False),
    Setting(PROPERTY, "is_quota_enforced", "enforceQuota", _TRUTH, False),
    Setting(JVM, "container_check_interval_ms", "znode.container.checkIntervalMs", _MS, 60_000),
    Setting(JVM, "container_max_per_minute", "znode.container.maxPerMinute", Whole("znodes", 1), 10_000),
    Setting(JVM, "container_max_never_used_ms", "znode.container.maxNeverUsedIntervalMs", _LONG_MS, 0),
    Setting(PROPERTY, "max_response_cache_size", "maxResponseCacheSize", _CACHE, 10_000),
    Setting(PROPERTY, "max_get_children_response_cache_size", "maxGetChildrenResponseCacheSize", _CACHE, 400),
    # Sizes and back-pressure.
    Setting(JVM, "jute_max_buffer_bytes", "jute.maxbuffer", _BYTES, 1_048_575),
    Setting(JVM, "jute_extra_size_bytes", "jute.maxbuffer.extrasize", Whole("bytes", -INT_MAX, floor=1024), None),
    Setting(PROPERTY, "global_outstanding_limit", "globalOutstandingLimit", Whole("requests", 1), 1000),
    Setting(PROPERTY, "request_throttle_max_requests", "request_throttle_max_requests", Whole("requests", 0), 0),
    Setting(PROPERTY, "request_throttle_stall_time_ms", "request_throttle_stall_time", _MS1, 100),
    Setting(PROPERTY, "request_throttle_may_drop_stale", "request_throttle_drop_stale", _TRUTH, True),
    Setting(PROPERTY, "has_stale_latency_check", "request_stale_latency_check", _TRUTH, False),
    Setting(PROPERTY, "has_stale_connection_check", "request_stale_connection_check", _TRUTH, True),
    Setting(PROPERTY, "throttled_op_wait_time_ms", "throttled_op_wait_time", _MS, 0),
    Setting(PROPERTY, "large_request_max_bytes", "largeRequestMaxBytes", _BYTES, 104_857_600),
    Setting(PROPERTY, "large_request_threshold_bytes", "largeRequestThreshold", _LARGE, -1),
    Setting(PROPERTY, "connection_throttle_tokens", "connection_throttle_tokens", Whole("tokens", 0), 0),
    Setting(PROPERTY, "connection_throttle_fill_time_ms", "connection_throttle_fill_time", _MS1, 1),
    Setting(PROPERTY, "connection_throttle_fill_count", "connection_throttle_fill_count", _WEIGHT, 1),
    Setting(
        PROPERTY,
        "connection_throttle_freeze_time_ms",
        "connection_throttle_freeze_time",
        Whole("milliseconds", -1, note="-1 = never drop at random"),
        -1,
    ),
    Setting(PROPERTY, "connection_throttle_drop_increase", "connection_throttle_drop_increase", Fraction(), 0.02),
    Setting(PROPERTY, "connection_throttle_drop_decrease", "connection_throttle_drop_decrease", Fraction(), 0.002),
    Setting(PROPERTY, "connection_throttle_decrease_ratio", "connection_throttle_decrease_ratio", Fraction(), 0.0),
    Setting(PROPERTY, "has_connection_throttle_weights", "connection_throttle_weight_enabled", _TRUTH, False),
    Setting(PROPERTY, "connection_throttle_global_weight", "connection_throttle_global_session_weight", _WEIGHT, 3),
    Setting(PROPERTY, "connection_throttle_local_weight", "connection_throttle_local_session_weight", _WEIGHT, 1),
    Setting(PROPERTY, "connection_throttle_renew_weight", "connection_throttle_renew_session_weight", _WEIGHT, 2),
    # Who may do what.
    Setting(PROPERTY, "is_acl_skipped", "skipACL", Truth("yes", "no"), False),
    Setting(PROPERTY, "has_digest_scheme", "DigestAuthenticationProvider.enabled", _TRUTH, True),
    Setting(PROPERTY, "super_digest", "DigestAuthenticationProvider.superDigest", Text("user:hash"), ""),
    Setting(PROPERTY, "digest_alg", "DigestAuthenticationProvider.digestAlg", _DIGEST_ALG, "sha1"),
    Setting(PROPERTY, "is_auth_enforced", "enforce.auth.enabled", _TRUTH, False),
    Setting(PROPERTY, "enforced_auth_schemes", "enforce.auth.schemes", Words("schemes between commas"), ()),
    Setting(PROPERTY, "is_client_sasl_required", "sessionRequireClientSASLAuth", _TRUTH, False),
    Setting(PROPERTY, "ensemble_auth_names", "ensembleAuthName", Words("names between commas"), ()),
)
