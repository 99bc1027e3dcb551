"""Answers to four-letter words, with what differs between two right servers masked.

Masked: the version, latencies, sizes and places of directories, ports, moments, packet totals of the server (its start
is polled), tree digests (times are part of them), everything that describes a Java machine, and two values of a
connection that real servers update after the answer has left: packets sent, and interest in reading or writing; and the
approximate size of the data, which in 3.9.3 drifts away from what the tree holds as nodes come and go. Fewer than no
requests wait where Apache has answered one before it has counted it: that is none.
The order of connections, sessions and watches is that of hash tables, so those lines are sorted.
"""

import re
from collections.abc import Callable
from typing import Final

from tests.compat.masks import Masks

LATENCY: Final = re.compile(r"(?<=Latency min/avg/max: )[\d.]+/[\d.]+/[\d.]+")
TOTALS: Final = re.compile(r"^(Received|Sent): \d+$")
VERSION: Final = re.compile(r"(version[:=]? ?\t?)[^\t ].*$")
HEX_ZXID: Final = re.compile(r"(zxid=|Zxid: )(0x[0-9a-f]+|-1)")
SESSION: Final = re.compile(r"0x([0-9a-f]{6,})\b")
CLIENT: Final = re.compile(r"/127\.0\.0\.1:\d+(\[\d+\])?")
OWED: Final = re.compile(r"(?<=^Outstanding: )-\d+$|(?<=^zk_outstanding_requests\t)-\d+$")
SENT: Final = re.compile(r"\bsent=\d+")
TIMES: Final = re.compile(r"\b(est|lresp|llat|minlat|avglat|maxlat)=\d+")
CONFIGURED: Final = re.compile(r"^(clientPort|dataDir|dataDirSize|dataLogDir|dataLogSize)=.+$")
SHARED_ENVIRONMENT: Final = (
    "host.name",
    "os.name",
    "os.version",
    "user.name",
    "user.home",
    "user.dir",
    "zookeeper.version",
)
COUNTED_METRICS: Final = frozenset(
    f"zk_{name}"
    for name in (
        *("server_state", "ephemerals_count", "num_alive_connections", "outstanding_requests", "znode_count"),
        *("watch_count", "global_sessions", "local_sessions", "auth_failed_count"),
    )
)
MEASURED_METRICS: Final = frozenset(
    f"zk_{name}"
    for name in (
        *("version", "avg_latency", "min_latency", "max_latency", "packets_received", "packets_sent", "uptime"),
        *("approximate_data_size", "open_file_descriptor_count", "max_file_descriptor_count"),
        *("cnt_fsynctime", "cnt_snapshottime", "cnt_readlatency", "cnt_updatelatency", "p99_updatelatency"),
        *("connection_request_count", "connection_rejected", "stale_sessions_expired"),
        *("avg_node_changed_watch_count", "digest_mismatches_count", "p50_propagation_latency"),
    )
)


def masked(word: bytes, masks: Masks, answer: str) -> list[str]:
    """The lines of an answer to `word`, comparable between servers."""
    lines = [_common(line, masks) for line in answer.split("\n")]
    mask = WORDS.get(word)
    return lines if mask is None else mask(lines)


def _common(line: str, masks: Masks) -> str:
    line = LATENCY.sub("*", VERSION.sub(r"\1*", TOTALS.sub(r"\1: *", OWED.sub("0", line))))
    line = HEX_ZXID.sub(lambda found: found[1] + masks.zxid(int(found[2], 16)), line)
    line = SESSION.sub(lambda found: masks.session(int(found[1], 16)), line)
    return TIMES.sub(r"\1=*", SENT.sub("sent=*", CLIENT.sub("client", line)))


def _sorted_clients(lines: list[str]) -> list[str]:
    clients = sorted(line for line in lines if line.startswith(" client"))
    return [line for line in lines if not line.startswith(" client")] + clients


def _conf(lines: list[str]) -> list[str]:
    return [CONFIGURED.sub(r"\1=*", line) for line in lines]


def _dump(lines: list[str]) -> list[str]:
    """Sessions and connections without the moments at which they would expire."""
    kept = [line for line in lines if " expire at " not in line]
    return sorted(re.sub(r"Sets \(\d+\)/\(\d+\)", "Sets", line) for line in kept)


def _envi(lines: list[str]) -> list[str]:
    shown = []
    for line in lines:
        key, _, value = line.partition("=")
        if key in SHARED_ENVIRONMENT:
            shown.append(f"{key}=*" if key == "user.dir" else f"{key}={value}")
    return [lines[0], *shown]


def _mntr(lines: list[str]) -> list[str]:
    shown = []
    for line in lines:
        name, tab, value = line.partition("\t")
        if name in COUNTED_METRICS:
            shown.append(line)
        if name in MEASURED_METRICS:
            shown.append(f"{name}{tab}{re.sub(r'^[0-9.]+$', '*', value)}")
    return sorted(shown)


def _grouped(lines: list[str]) -> list[str]:
    """Watches by session or by path: groups and their members sorted."""
    groups: list[list[str]] = []
    for line in lines:
        if line.startswith("\t") and groups:
            groups[-1].append(line)
        else:
            groups.append([line])
    return [line for head, *members in sorted(groups) for line in (head, *sorted(members))]


def _digits(lines: list[str]) -> list[str]:
    return [re.sub(r"\d+", "*", line) for line in lines]


def _hash(lines: list[str]) -> list[str]:
    return [re.sub(r":.*", ": *", line) for line in lines]


WORDS: Final[dict[bytes, Callable[[list[str]], list[str]]]] = {
    b"stat": _sorted_clients,
    b"cons": _sorted_clients,
    b"conf": _conf,
    b"dump": _dump,
    b"envi": _envi,
    b"mntr": _mntr,
    b"wchc": _grouped,
    b"wchp": _grouped,
    b"dirs": _digits,
    b"hash": _hash,
}
