"""The configuration of one server: the text of zoo.cfg and JVM properties to one record, given once.

    zoo.cfg ──parse_properties──> entries ──┬─ keys of its own reader ────────────────────────┐
                                            └─ every other key K ──> property zookeeper.K ──┐ │
    -D name=value ──────────────────────────────────────────────────> property name ────────┴─┴──> Config, warnings

As in ZooKeeper, a key that zoo.cfg's reader does not know becomes the JVM property zookeeper.<key> when the file is
read, after the command line's properties: the file wins over -D, and -D cannot set a key of the reader. Unlike
ZooKeeper, a bad value stops the start instead of meaning the default, and jute.maxbuffer, znode.container.* and
fsync.warningthresholdms may stand in zoo.cfg, with or without the prefix.
Must never read a file, resolve a name or look at a clock.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Final, final

from zoopark.errors import ConfigError
from zoopark.record import Record
from zoopark.server.membership import UNKNOWN, Line, Membership, Seat, read_membership, read_seat
from zoopark.server.otherkeys import WITHOUT_EFFECT, asks_for_nothing, is_later, is_later_in_file
from zoopark.server.properties import TRIMMED, Entry, parse_properties
from zoopark.server.settings import FILE, JVM, SETTINGS, Setting, Value, Whole

# The embedded default lacks only a dataDir.
EMBEDDED: Final = "clientPort=2181\nclientPortAddress=127.0.0.1\n"

_PREFIX: Final = "zookeeper."
_COMMAND_LINE: Final = "-D "
_ENSEMBLE_PROVIDER: Final = "EnsembleAuthenticationProvider"
_SCHEMES: Final = ("ip", "digest", "ensemble")  # what enforce.auth.schemes may name until there are others
_DYNAMIC: Final = "dynamicConfigFile"
_OF_MEMBERSHIP: Final = ("server.", "group", "weight")
_BY_KEY: Final = {setting.key: setting for setting in SETTINGS}


@final
class Config(Record):
    """What one server is told, every key with its value. Names, units and defaults: docs/configuration.md.

    Booleans and texts are as given; a "-1" or "0" that means "no limit" stays what it is, so ask `limit > 0`.
    """

    __slots__ = (
        *(setting.field for setting in SETTINGS),
        "has_ensemble_scheme",
        "membership",
        "properties",
        "source_name",
    )

    # Where clients come in.
    client_port: int  # TCP port; 0 = any free one
    client_port_address: str  # host name or IP address; "" = every interface
    client_port_listen_backlog: int  # connections waiting to be accepted; -1 = the system's own
    max_client_cnxns: int  # connections from one IP address; 0 or less = no limit
    max_cnxns: int  # connections in all; 0 = no limit
    max_client_watches: int  # watches of one connection; 0 = no limit
    sessionless_cnxn_timeout_ms: int  # a connection that has no session by then is closed
    has_client_tcp_keep_alive: bool
    four_letter_words: tuple[str, ...]  # the words that are answered; "*" among them = all
    # Time and sessions.
    tick_time_ms: int
    min_session_timeout_ms: int
    max_session_timeout_ms: int
    has_local_sessions: bool  # sessions that only their server knows; of no effect on one server, as in ZooKeeper
    has_local_sessions_upgrading: bool  # local sessions may create ephemerals, and are told to all servers then
    has_read_only_mode: bool  # a member without a leader answers reads; of no effect on one server
    is_reconfig_enabled: bool  # which of two errors reconfig gets from one server
    has_close_session_txn: bool  # closeSession transactions carry the paths they delete
    # The ensemble.
    membership: Membership | None  # None = one server alone
    init_limit: int  # ticks for connecting and synchronising
    sync_limit: int  # ticks without a sign of life
    peer_type: str  # "participant" or "observer"; the server lines decide
    may_leader_serve: bool  # clients, while this member leads
    has_quorum_on_all_ips: bool  # the quorum and election ports are open on every interface
    has_multi_address: bool  # a server may have several addresses
    cnx_timeout_ms: int  # for one attempt to reach an election port
    snapshot_size_factor: float  # how much log a learner is sent, in sizes of a snapshot; below 0 = none
    # Where data lies.
    data_dir: str  # snapshots and epochs are in its version-2
    data_log_dir: str  # logs are in its version-2
    may_create_data_dir: bool
    may_create_db: bool
    snap_retain_count: int  # snapshots that a purge keeps, 3 or more
    purge_interval_hours: int  # 0 or less = never
    # The transaction log.
    pre_alloc_size_kb: int  # KiB of zeros ahead of the log's end; 0 = none
    txn_log_size_limit_kb: int  # KiB of one log file; 0 or less = no limit
    has_force_sync: bool  # fdatasync before any reply to a write
    fsync_warning_threshold_ms: int
    flush_delay_ms: int  # the longest a write waits for others to join its sync
    max_write_queue_poll_time_ms: int  # the longest wait for one more write within the delay
    max_batch_size: int  # transactions of one sync; 0 = no limit
    # Snapshots.
    snap_count: int  # transactions between two snapshots, 2 or more
    snap_size_limit_kb: int  # KiB of log between two snapshots; 0 or less = no limit
    snapshot_compression: str  # "", "gz" or "snappy"
    may_trust_empty_snapshot: bool  # logs without any snapshot are a database too
    has_last_processed_zxid: bool  # snapshots end with the last zxid
    has_digest: bool
    # The tree.
    has_extended_types: bool  # TTL znodes
    has_353_ttl_nodes: bool  # TTL znodes of ZooKeeper 3.5.3
    is_quota_enforced: bool
    container_check_interval_ms: int  # 0 = never
    container_max_per_minute: int
    container_max_never_used_ms: int  # 0 = containers that never had a child stay
    max_response_cache_size: int
    max_get_children_response_cache_size: int
    # Sizes and back-pressure.
    jute_max_buffer_bytes: int  # longest packet of a client
    jute_extra_size_bytes: int  # what a record on disk may be longer than that
    global_outstanding_limit: int  # requests in the server at once
    request_throttle_max_requests: int  # 0 = no throttle
    request_throttle_stall_time_ms: int
    request_throttle_may_drop_stale: bool
    has_stale_latency_check: bool
    has_stale_connection_check: bool
    throttled_op_wait_time_ms: int  # 0 = no request is rejected for its age
    large_request_max_bytes: int  # bytes of large requests in the server at once
    large_request_threshold_bytes: int  # longer requests are large; -1 = none is
    connection_throttle_tokens: int  # bucket size; 0 = no throttle
    connection_throttle_fill_time_ms: int
    connection_throttle_fill_count: int  # tokens a fill
    connection_throttle_freeze_time_ms: int  # -1 = never drop at random
    connection_throttle_drop_increase: float
    connection_throttle_drop_decrease: float
    connection_throttle_decrease_ratio: float
    has_connection_throttle_weights: bool
    connection_throttle_global_weight: int
    connection_throttle_local_weight: int
    connection_throttle_renew_weight: int
    # Who may do what.
    is_acl_skipped: bool
    has_digest_scheme: bool
    super_digest: str  # user:hash whose owner may do everything; "" = nobody
    digest_alg: str  # of passwords in ACLs, by hashlib's name
    is_auth_enforced: bool
    enforced_auth_schemes: tuple[str, ...]
    is_client_sasl_required: bool
    has_ensemble_scheme: bool  # an authProvider.N asked for the scheme "ensemble"
    ensemble_auth_names: tuple[str, ...]
    # As given.
    properties: dict[str, str]  # every JVM property, those from unknown keys of zoo.cfg included
    source_name: str  # the file, "" for the embedded default

    def __init__(
        self,
        values: Mapping[str, Value],
        properties: Mapping[str, str],
        source_name: str,
        membership: Membership | None = None,
    ) -> None:
        assert values.keys() == set(self.__slots__) - {"membership", "properties", "source_name"}, values
        for field, value in values.items():
            setattr(self, field, value)
        self.membership = membership
        self.properties = dict(properties)
        self.source_name = source_name


@final
class _Given(Record):
    """A value somebody wrote: `spelling` is how the key was written, `place` is "zoo.cfg:12: " or "-D "."""

    __slots__ = ("place", "spelling", "text")

    def __init__(self, place: str, spelling: str, text: str) -> None:
        self.place = place
        self.spelling = spelling
        self.text = text

    def refused(self, allowed: str) -> ConfigError:
        return ConfigError(f"{self.place}{self.spelling}={self.text}: {allowed} is allowed")


def dynamic_file(text: str, source_name: str) -> str | None:
    """The file that this zoo.cfg leaves its server lines to (dynamicConfigFile), None if it has them itself.

    Raises ConfigError.
    """
    found = [entry.value.strip(TRIMMED) for entry in parse_properties(text, source_name) if _is_dynamic(entry)]
    return found[-1] if found else None


def load_config(
    text: str, *, source_name: str, overrides: Mapping[str, str], sid: int = UNKNOWN, dynamic_text: str = ""
) -> tuple[Config, list[str]]:
    """The configuration that a zoo.cfg and a command line make together.

    Args:
        text: the file's bytes decoded as ISO-8859-1, as Java reads them.
        source_name: the file's name, for errors and warnings.
        overrides: JVM properties of the command line, by their full names: `zookeeper.snapCount`.
        sid: which server of the ensemble this is. A member's configuration that was made without one is good for
            nothing but to find out that an ensemble is asked for, and where its myid lies.
        dynamic_text: what `dynamic_file` holds, decoded as `text` is.

    Returns:
        The configuration, and warnings of one line each, fit for a user.

    Raises:
        ConfigError: a value that is not allowed, a key that is missing, keys that contradict each other.
    """
    in_file = _parse(text, source_name)
    dynamic = in_file.get(_DYNAMIC)
    if dynamic is not None:
        in_file |= _parse_dynamic(dynamic_text, dynamic, in_file)
    return _build(in_file, overrides, source_name, sid)


def default_config(data_dir: str, keys: Mapping[str, str] | None = None) -> Config:
    """The embedded default: one server on 127.0.0.1:2181.

    Args:
        data_dir: where snapshots and logs go.
        keys: keys of zoo.cfg that differ from the default, as in `{"clientPort": "0", "snapCount": "1000"}`.

    Raises:
        ConfigError: a value of `keys` that is not allowed.
    """
    given = {entry.key: entry.value for entry in parse_properties(EMBEDDED)} | {"dataDir": data_dir} | dict(keys or {})
    config, _ = _build({key: _Given("", key, text) for key, text in given.items()}, {}, "", UNKNOWN)
    return config


def _is_dynamic(entry: Entry) -> bool:
    return entry.key.strip(TRIMMED) == _DYNAMIC


def _parse(text: str, source_name: str) -> dict[str, _Given]:
    return {
        key: _Given(f"{source_name}:{entry.line}: ", key, entry.value.strip(TRIMMED))
        for entry in parse_properties(text, source_name)
        for key in [entry.key.strip(TRIMMED)]
    }


def _parse_dynamic(text: str, dynamic: _Given, in_file: dict[str, _Given]) -> dict[str, _Given]:
    """The lines of a file that has nothing but servers, groups and weights; then none of them is in zoo.cfg."""
    for key, given in in_file.items():
        if key.startswith(_OF_MEMBERSHIP):
            raise ConfigError(f"{given.place}{key}={given.text}: this line belongs into {dynamic.text}: {_DYNAMIC}")
    found = _parse(text, dynamic.text)
    for key, given in found.items():
        if not key.startswith(_OF_MEMBERSHIP):
            raise ConfigError(f"{given.place}{key}={given.text}: only server.N, group.N and weight.N are allowed here")
    return found


def _build(
    in_file: dict[str, _Given], overrides: Mapping[str, str], source_name: str, sid: int
) -> tuple[Config, list[str]]:
    properties = {name: _Given(_COMMAND_LINE, name, text.strip(TRIMMED)) for name, text in overrides.items()}
    properties.update((_property_name(key), given) for key, given in in_file.items() if not _is_of_reader(key))
    membership = _read_membership(in_file, sid)
    warnings = _warnings(in_file, properties, membership is not None)

    values: dict[str, Value | None] = {}
    for setting in SETTINGS:
        given = _find(setting, in_file, properties)
        values[setting.field] = setting.default if given is None else _read(setting, given, warnings)
    _derive_client_address(values, in_file, source_name, membership)
    _derive_defaults(values, in_file, source_name)
    _derive_limits(values, source_name, membership)
    if not values["has_multi_address"]:
        _refuse_more_addresses(in_file, membership)
    if membership is not None and sid != UNKNOWN:
        warnings.extend(_contradictions(values, membership.own()))
    _check_schemes(values, in_file, properties)
    providers = [given.text for name, given in properties.items() if name.startswith("zookeeper.authProvider.")]
    values["has_ensemble_scheme"] = any(provider.endswith(_ENSEMBLE_PROVIDER) for provider in providers)

    complete = {field: value for field, value in values.items() if value is not None}
    told = {name: given.text for name, given in properties.items()}
    return Config(complete, told, source_name, membership), warnings


def _is_of_reader(key: str) -> bool:
    setting = _BY_KEY.get(key)
    return key == _DYNAMIC or is_later_in_file(key) or (setting is not None and setting.where == FILE)


def _property_name(key: str) -> str:
    """The JVM property that `key` of zoo.cfg becomes; a JVM key with the prefix is not prefixed again."""
    setting = _BY_KEY.get(key.removeprefix(_PREFIX))
    if setting is not None and setting.where == JVM:
        return _PREFIX + setting.key
    return _PREFIX + key


def _find(setting: Setting, in_file: dict[str, _Given], properties: dict[str, _Given]) -> _Given | None:
    if setting.where == FILE:
        return in_file.get(setting.key)
    found = [properties[name] for name in setting.property_names() if name in properties]
    return found[0] if found else None


def _read(setting: Setting, given: _Given, warnings: list[str]) -> Value:
    try:
        value = setting.read(given.text)
    except ValueError:
        raise given.refused(setting.kind.allowed()) from None
    kind = setting.kind
    if isinstance(kind, Whole) and value == kind.floor and _is_below(given.text, kind.floor):
        warnings.append(f"{given.place}{given.spelling}={given.text}: {kind.floor} is the least; taken as {kind.floor}")
    return value


def _is_below(text: str, floor: int) -> bool:
    return text.lstrip("+-").isdigit() and int(text) < floor


def _read_membership(in_file: dict[str, _Given], sid: int) -> Membership | None:
    """As in ZooKeeper, the version of a dynamic file is what follows the last dot of its name, in hexadecimal."""
    dynamic = in_file.get(_DYNAMIC)
    version = re.search(r"\.([0-9a-fA-F]{1,15})$", dynamic.text) if dynamic is not None else None
    return read_membership(_membership_lines(in_file), sid, int(version[1], 16) if version is not None else 0)


def _membership_lines(in_file: dict[str, _Given]) -> list[Line]:
    return [(given.place, key, given.text) for key, given in in_file.items() if key.startswith(_OF_MEMBERSHIP)]


def _derive_client_address(
    values: dict[str, Value | None], in_file: dict[str, _Given], source_name: str, membership: Membership | None
) -> None:
    """clientPort, or what follows the semicolon of this server's own line, must say where clients connect."""
    lines = [line for line in _membership_lines(in_file) if line[1].startswith("server.")]
    if membership is not None:
        lines = [line for line in lines if line[1] == f"server.{membership.sid}"]
    seat = _seat_of(lines, membership)
    if seat is not None and seat.client_port:
        place, key, text = lines[0]
        if values["client_port"] not in (None, seat.client_port):
            same = f"the same client port as in clientPort={values['client_port']}"
            raise ConfigError(f"{place}{key}={text}: {same} is allowed")
        if values["client_port"] is None:
            values["client_port"] = seat.client_port
            values["client_port_address"] = seat.client_address
    if membership is not None and membership.sid == UNKNOWN and values["client_port"] is None:
        values["client_port"] = 0
    if values["client_port"] is None:
        _refuse_without_port(in_file, source_name)
    values["client_port_address"] = str(values["client_port_address"]).strip("[]")


def _seat_of(lines: list[Line], membership: Membership | None) -> Seat | None:
    """The seat of the server that is configured; None if there is no line for it."""
    if membership is not None:
        return membership.seats.get(membership.sid)
    return read_seat(lines[0]) if lines else None


def _derive_limits(values: dict[str, Value | None], source_name: str, membership: Membership | None) -> None:
    """An ensemble needs initLimit and syncLimit, as ZooKeeper's does; for one server they say nothing."""
    for field, key in (("init_limit", "initLimit"), ("sync_limit", "syncLimit")):
        if values[field] is None and membership is not None:
            raise ConfigError(f"{source_name}: {key} is missing: an ensemble needs it, in ticks")
        values[field] = values[field] or 1


def _refuse_more_addresses(in_file: dict[str, _Given], membership: Membership | None) -> None:
    """As ZooKeeper does: servers before 3.6 could not be told of them."""
    for sid, seat in (membership.seats if membership is not None else {}).items():
        if len(seat.places) > 1:
            given = in_file[f"server.{sid}"]
            raise ConfigError(f"{given.place}{given.spelling}={given.text}: needs multiAddress.enabled=true")


def _contradictions(values: dict[str, Value | None], seat: Seat) -> list[str]:
    """What a member is told and cannot do, or is told twice."""
    found = []
    if (values["peer_type"] == "observer") != seat.is_observer:
        role = "an observer" if seat.is_observer else "a participant"
        found.append(f"peerType={values['peer_type']}, but server.{seat.sid} is {role}; the server line counts")
    return found


def _refuse_without_port(in_file: dict[str, _Given], source_name: str) -> None:
    address = in_file.get("clientPortAddress")
    if address is not None:
        raise ConfigError(
            f"{address.place}clientPortAddress={address.text}: clientPort is missing: a TCP port is needed"
        )
    secure = in_file.get("secureClientPort")
    if secure is not None:
        raise ConfigError(f"{secure.place}secureClientPort={secure.text}: TLS is not there yet: clientPort is needed")
    raise ConfigError(f"{source_name}: clientPort is missing: a TCP port is needed")


def _derive_defaults(values: dict[str, Value | None], in_file: dict[str, _Given], source_name: str) -> None:
    """Fill in the keys whose default is another key's value, and check them against each other."""
    if values["data_dir"] is None:
        raise ConfigError(f"{source_name}: dataDir is missing: a directory is needed")
    tick_ms = values["tick_time_ms"]
    flush_delay_ms = values["flush_delay_ms"]
    assert isinstance(tick_ms, int) and isinstance(flush_delay_ms, int)
    for field, default in (
        ("data_log_dir", values["data_dir"]),
        ("min_session_timeout_ms", tick_ms * 2),
        ("max_session_timeout_ms", tick_ms * 20),
        ("max_write_queue_poll_time_ms", flush_delay_ms // 3),
        ("jute_extra_size_bytes", values["jute_max_buffer_bytes"]),
    ):
        if values[field] in (None, -1):
            values[field] = default
    low, high = values["min_session_timeout_ms"], values["max_session_timeout_ms"]
    assert isinstance(low, int) and isinstance(high, int)
    if low > high:
        given = in_file.get("minSessionTimeout") or in_file["maxSessionTimeout"]
        both = f"minSessionTimeout {low} ms must not be larger than maxSessionTimeout {high} ms"
        raise ConfigError(f"{given.place}{given.spelling}={given.text}: {both}")


def _check_schemes(values: dict[str, Value | None], in_file: dict[str, _Given], properties: dict[str, _Given]) -> None:
    if not values["is_auth_enforced"]:
        return
    given = _find(_BY_KEY["enforce.auth.schemes"], in_file, properties)
    schemes = values["enforced_auth_schemes"]
    assert isinstance(schemes, tuple)
    if given is None or not schemes:
        switch = properties["zookeeper.enforce.auth.enabled"]
        raise ConfigError(f"{switch.place}{switch.spelling}={switch.text}: enforce.auth.schemes is missing")
    if not all(scheme in _SCHEMES for scheme in schemes):
        raise given.refused(f"a list of {', '.join(_SCHEMES)}")


def _warnings(in_file: dict[str, _Given], properties: dict[str, _Given], is_ensemble: bool) -> list[str]:
    """What the user should know: keys without force yet, in one line; keys that look misspelt or misplaced."""
    warnings = []
    asked = {
        key: given
        for key, given in in_file.items()
        if is_later(key) and not (is_ensemble and key.startswith(_OF_MEMBERSHIP))
    }
    asked.update(
        (key, given)
        for name, given in properties.items()
        for key in [name.removeprefix(_PREFIX)]
        if given.place == _COMMAND_LINE and is_later(key) and not is_later_in_file(key)
    )
    later = [
        given.spelling
        for key, given in asked.items()
        if not asks_for_nothing(key, given.text, is_ensemble) and not given.text.endswith(_ENSEMBLE_PROVIDER)
    ]
    if later:
        warnings.append(f"not in force yet: {', '.join(sorted(later))}")
    for name, given in properties.items():
        warnings.extend(_misspelt(name, given))
    return warnings


def _misspelt(name: str, given: _Given) -> list[str]:
    """At most one line, about a property that nothing reads though its name is near one that something does."""
    key = name.removeprefix(_PREFIX)
    is_of_command_line = given.place == _COMMAND_LINE
    if is_of_command_line and _is_of_reader(key):
        return [f"{given.place}{name}: {key} is read from zoo.cfg only, so this has no effect"]
    keys = [other for other in (*_BY_KEY, *WITHOUT_EFFECT) if not (is_of_command_line and _is_of_reader(other))]
    known = {other.lower(): other for other in keys}
    setting = _BY_KEY.get(key)
    is_read = key in WITHOUT_EFFECT or (setting is not None and name in setting.property_names())
    near = difflib.get_close_matches(key.lower().removeprefix(_PREFIX), known, 1, 0.85)
    if is_read or is_later(key) or not near:
        return []
    if is_of_command_line:
        return [f"{given.place}{name}: not a known property; is {_PREFIX}{known[near[0]]} meant?"]
    return [f"{given.place}{given.spelling}: not a known key; is {known[near[0]]} meant?"]
