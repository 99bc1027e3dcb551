"""The four-letter words: short questions on the client port, answered as text.

The texts are ZooKeeper 3.9's to the byte, since people's scripts read them. Two lines cannot be: the version says whose
server this is, in a form that a reader of X.Y.Z understands, and `envi` tells of Python where ZooKeeper tells of Java.
What it must never do: change anything but counts and the trace mask, or answer a word that is not on the whitelist.
Source: ZooKeeper administrator's guide, "The Four Letter Words".
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final, final

from zoopark import __version__
from zoopark.jute import proto
from zoopark.jute.quorum import Address
from zoopark.record import Now
from zoopark.server.config import Config
from zoopark.server.connection import OPEN, Connection
from zoopark.server.localsessions import LocalSessions
from zoopark.server.metrics import Metrics, Row, decimal
from zoopark.server.pipeline import Pipeline
from zoopark.server.sessions import SessionTracker
from zoopark.server.standing import Standing
from zoopark.tree.tree import Tree

SPOKEN_VERSION: Final = "3.9.5"
"""The ZooKeeper whose protocol and files this server speaks."""
VERSION: Final = f"{SPOKEN_VERSION}-zoopark-{__version__}, built on Python {sys.version_info[0]}.{sys.version_info[1]}"

TELNET_CLOSE: Final = b"\xff\xf4\xff\xfd"
TRACE_MASK: Final = 306
"""What `gtmk` says before anybody sets it. It has no effect here: nothing is traced."""
STMK_BYTES: Final = 12
NOT_SERVING: Final = "This ZooKeeper instance is not currently serving requests\n"
_ALWAYS: Final = (b"ruok", b"envi", b"gtmk", b"stmk", b"isro", TELNET_CLOSE)
"""Words that a member of an ensemble answers before it serves."""
READ_ONLY: Final = "read-only"
_ACCESS: Final = {READ_ONLY: "ro", "": "null"}
"""What `isro` says by mode, where it is not rw."""
_MASK_64: Final = (1 << 64) - 1
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

OP_NAMES: Final = {
    proto.CREATE_SESSION: "SESS",
    proto.CLOSE_SESSION: "CLOS",
    proto.PING: "PING",
    proto.CREATE: "CREA",
    proto.CREATE2: "CREA",
    proto.CREATE_CONTAINER: "CREA",
    proto.CREATE_TTL: "CREA",
    proto.DELETE: "DELE",
    proto.DELETE_CONTAINER: "DELE",
    proto.EXISTS: "EXIS",
    proto.GET_DATA: "GETD",
    proto.SET_DATA: "SETD",
    proto.GET_ACL: "GETA",
    proto.SET_ACL: "SETA",
    proto.GET_CHILDREN: "GETC",
    proto.GET_CHILDREN2: "GETC",
    proto.GET_ALL_CHILDREN_NUMBER: "GETACN",
    proto.GET_EPHEMERALS: "GETE",
    proto.SYNC: "SYNC",
    proto.MULTI: "MULT",
    proto.MULTI_READ: "MLTR",
    proto.RECONFIG: "RECO",
    proto.SET_WATCHES: "SETW",
    proto.SET_WATCHES2: "STW2",
    proto.ADD_WATCH: "ADDW",
    proto.CHECK_WATCHES: "CHKW",
    proto.REMOVE_WATCHES: "REMW",
    proto.WHO_AM_I: "HOMI",
}
"""What `cons` calls the last operation; NA for none, and for a write that failed."""


@final
class Words:
    """Answers for one server.

    Args:
        connections: all of them by their ids; the one that asks is among them and has no session.
        metrics: the numbers of this server.

    Attributes:
        standing: what a member of an ensemble counts of its part in it; None for one server alone.
        mode: standalone, leader, follower, observer or READ_ONLY; empty while a member of an ensemble does not serve.
        local: the sessions that no other server knows; None on one server alone, which makes none, as in ZooKeeper.
    """

    def __init__(
        self,
        config: Config,
        tree: Tree,
        sessions: SessionTracker,
        pipeline: Pipeline,
        connections: Mapping[int, Connection],
        metrics: Metrics,
    ) -> None:
        self.config = config
        self.tree = tree
        self.sessions = sessions
        self.pipeline = pipeline
        self.connections = connections
        self.metrics = metrics
        self.trace_mask = TRACE_MASK
        self.mode = "standalone"
        self.standing: Standing | None = None
        self.local: LocalSessions | None = None
        self._is_read_only_possible = config.has_read_only_mode
        self._answers: dict[bytes, Callable[[Now], str]] = {
            b"ruok": lambda now: "imok",
            b"srvr": lambda now: self._head() + self._state(),
            b"stat": self._stat,
            b"mntr": self._mntr,
            b"conf": self._conf,
            b"cons": self._cons,
            b"crst": self._crst,
            b"srst": self._srst,
            b"dump": self._dump,
            b"envi": self._envi,
            b"dirs": self._dirs,
            b"isro": lambda now: _ACCESS.get(self.mode, "rw"),
            b"wchs": self._wchs,
            b"wchc": self._wchc,
            b"wchp": self._wchp,
            b"gtmk": lambda now: str(self.trace_mask),
            b"hash": self._hash,
        }

    def answer(self, chunk: bytes, now: Now) -> bytes:
        """The text for the word that the chunk starts with; bytes behind it matter to `stmk` only."""
        for connection in self.connections.values():
            connection.settle_counts()
        word = chunk[:4]
        name = "telnet close" if word == TELNET_CLOSE else word.decode("latin-1")
        if not self._is_allowed(name):
            return f"{name} is not executed because it is not in the whitelist.\n".encode()
        if not self.mode and word not in _ALWAYS:
            return (NOT_SERVING.rstrip() if word == b"hash" else NOT_SERVING).encode()
        if word == b"stmk":
            return self._stmk(chunk).encode()
        say = self._answers.get(word)
        return say(now).encode("utf-8", "replace") if say is not None else b""

    def gauges(self, now: Now) -> list[Row]:
        """The numbers that are looked up when somebody asks."""
        metrics, tree = self.metrics, self.tree
        latency = metrics.latency()
        rows = [
            ("ephemerals_count", sum(map(len, tree.ephemerals.values()))),
            ("num_alive_connections", len(self.connections)),
            ("avg_latency", decimal(latency.sum, latency.count)),
            ("outstanding_requests", self._n_outstanding()),
            ("znode_count", self._n_nodes()),
            ("global_sessions", len(self.sessions.by_id)),
            ("packets_sent", metrics.sent()),
            ("packets_received", metrics.received),
            ("watch_count", tree.watches.n_watches()),
            ("auth_failed_count", metrics.auth_failed),
            ("min_latency", latency.least),
            ("approximate_data_size", tree.data_bytes),
            ("local_sessions", len(self.local.tracker.by_id) if self.local is not None else 0),
            ("uptime", now.mono_ms - metrics.started_ms),
            ("max_latency", latency.most),
        ]
        open_files = metrics.survey().open_files
        if open_files is not None:
            rows += [("max_file_descriptor_count", open_files[1]), ("open_file_descriptor_count", open_files[0])]
        return [(name, str(value)) for name, value in rows]

    def _is_allowed(self, name: str) -> bool:
        allowed = self.config.four_letter_words
        return "*" in allowed or name in allowed or (name == "isro" and self._is_read_only_possible)

    # ------------------------------------------------------------------ the server

    def _state(self) -> str:
        metrics = self.metrics
        latency = metrics.latency()
        mean = decimal(latency.sum, latency.count)
        return (
            f"Latency min/avg/max: {latency.least}/{mean}/{latency.most}\n"
            f"Received: {metrics.received}\n"
            f"Sent: {metrics.sent()}\n"
            f"Connections: {len(self.connections)}\n"
            f"Outstanding: {self._n_outstanding()}\n"
            f"Zxid: {self.tree.last_zxid:#x}\n"
            f"Mode: {self.mode}\n"
            f"Node count: {self._n_nodes()}\n"
        ) + (f"Proposal sizes last/min/max: {metrics.proposals.text()}\n" if self.mode == "leader" else "")

    def _head(self) -> str:
        warning = "READ-ONLY mode; serving only read-only clients\n" if self.mode == READ_ONLY else ""
        return f"Zookeeper version: {VERSION}\n{warning}"

    def _stat(self, now: Now) -> str:
        clients = "".join(f" {_packets(connection)})\n" for connection in self.connections.values())
        return f"{self._head()}Clients:\n{clients}\n{self._state()}"

    def _mntr(self, now: Now) -> str:
        rows = [("version", VERSION), ("server_state", self.mode), *self.gauges(now), *self.metrics.rows()]
        if self.standing is not None:
            rows += self.standing.gauges(now) + self.standing.rows()
        return "".join(f"zk_{name}\t{value}\n" for name, value in rows)

    def _srst(self, now: Now) -> str:
        self.metrics.reset()
        if self.standing is not None:
            self.standing.reset()
        return "Server stats reset.\n"

    def _conf(self, now: Now) -> str:
        config, survey = self.config, self.metrics.survey()
        rows = (
            ("clientPort", config.client_port or survey.client_port),
            ("secureClientPort", -1),
            ("dataDir", config.data_dir.rstrip("/") + "/version-2"),
            ("dataDirSize", survey.data_bytes),
            ("dataLogDir", config.data_log_dir.rstrip("/") + "/version-2"),
            ("dataLogSize", survey.log_bytes),
            ("tickTime", config.tick_time_ms),
            ("maxClientCnxns", config.max_client_cnxns),
            ("minSessionTimeout", config.min_session_timeout_ms),
            ("maxSessionTimeout", config.max_session_timeout_ms),
            ("clientPortListenBacklog", config.client_port_listen_backlog),
            ("serverId", config.membership.sid if config.membership is not None else 0),
        )
        return "".join(f"{key}={value}\n" for key, value in rows) + self._conf_of_ensemble()

    def _conf_of_ensemble(self) -> str:
        """As ZooKeeper's: the lines of all servers end without a newline, and are not told in read-only mode."""
        config, membership = self.config, self.config.membership
        if membership is None:
            return ""
        own = membership.own()
        told = f"membership: \n{membership.text().decode()}" if self.mode != READ_ONLY else ""
        return (
            f"initLimit={config.init_limit}\n"
            f"syncLimit={config.sync_limit}\n"
            "electionAlg=3\n"
            f"electionPort={_ports(own.election_addresses())}\n"
            f"quorumPort={_ports(own.quorum_addresses())}\n"
            f"peerType={int(own.is_observer)}\n{told}"
        )

    def _envi(self, now: Now) -> str:
        rows = [("zookeeper.version", VERSION), *self.metrics.survey().environment]
        return "Environment:\n" + "".join(f"{key}={value}\n" for key, value in rows)

    def _dirs(self, now: Now) -> str:
        survey = self.metrics.survey()
        return f"datadir_size: {survey.data_bytes}\nlogdir_size: {survey.log_bytes}\n"

    def _stmk(self, chunk: bytes) -> str:
        if len(chunk) < STMK_BYTES:
            return ""
        self.trace_mask = int.from_bytes(chunk[4:STMK_BYTES], "big", signed=True)
        return str(self.trace_mask)

    def _hash(self, now: Now) -> str:
        return "".join(f"{zxid:x}: {digest}\n" for zxid, digest in self.metrics.digests)

    # ------------------------------------------------------------------ connections and sessions

    def _cons(self, now: Now) -> str:
        return "".join(f" {_whole(connection, now)}\n" for connection in self.connections.values()) + "\n"

    def _crst(self, now: Now) -> str:
        for connection in self.connections.values():
            connection.traffic.reset()
            connection.last_op = 0
            connection.last_xid = connection.last_zxid = -1
        return "Connection stats reset.\n"

    def _dump(self, now: Now) -> str:
        owners = self.tree.ephemerals
        return (
            f"SessionTracker dump:\n{self._sessions(now)}"
            f"ephemeral nodes dump:\nSessions with Ephemerals ({len(owners)}):\n"
            + "".join(f"{_hex(owner)}:\n{_indented(owned)}" for owner, owned in owners.items())
            + f"Connections dump:\nConnections {_sets(self._connections_by_expiry(), now)}"
        )

    def _sessions(self, now: Now) -> str:
        """Those that expire here by when they do; where somebody else lets them expire, by their ids."""
        sessions = self.sessions.by_id
        local = ""
        if self.local is not None and self.local.opens():
            local = f"Local Session {_sets(_by_expiry(self.local.tracker), now)}"
        if not self.sessions.is_expiring:
            lines = [f"{_hex(session_id)}\t{sessions[session_id].timeout_ms}ms\n" for session_id in sorted(sessions)]
            return f"{local}Global Sessions({len(sessions)}):\n{''.join(lines)}"
        return f"{local}{'Global ' if local else ''}Session {_sets(_by_expiry(self.sessions), now)}"

    def _connections_by_expiry(self) -> dict[int, list[str]]:
        """A connection ends with its session; without one, when its time to open one is over."""
        by_expiry: dict[int, list[str]] = {}
        for connection in self.connections.values():
            session = connection.session
            if session is not None:
                due_ms = self.sessions.expiry_ms(session)
            else:
                due_ms = connection.opened_ms + self.config.sessionless_cnxn_timeout_ms
            line = f"\tip: {_address(connection)} sessionId: {_hex(session.session_id if session else 0)}"
            by_expiry.setdefault(due_ms, []).append(line)
        return by_expiry

    def _n_outstanding(self) -> int:
        return len(self.pipeline.pending) + sum(len(connection.waiting) for connection in self.connections.values())

    def _n_nodes(self) -> int:
        """ZooKeeper counts its root twice, under the empty path too."""
        return len(self.tree.nodes) + 1

    # ------------------------------------------------------------------ watches

    def _wchs(self, now: Now) -> str:
        """As in ZooKeeper, these three words tell of data watches; `mntr` counts child watches too."""
        data = self.tree.watches.data
        return (
            f"{len(data.by_watcher)} connections watching {len(data.by_path)} paths\nTotal watches:{data.n_watches()}\n"
        )

    def _wchc(self, now: Now) -> str:
        by_watcher = self.tree.watches.data.by_watcher
        groups = [f"{self._watcher(watcher)}\n{_indented(paths)}" for watcher, paths in by_watcher.items()]
        return "".join(groups) + "\n"

    def _wchp(self, now: Now) -> str:
        lines = []
        for path, watchers in self.tree.watches.data.by_path.items():
            lines.append(path.decode("utf-8", "replace"))
            lines += [f"\t{self._watcher(watcher)}" for watcher in watchers]
        return "".join(f"{line}\n" for line in lines) + "\n"

    def _watcher(self, connection_id: int) -> str:
        """Watches belong to connections, and are told of by session."""
        session = self.connections[connection_id].session
        return _hex(session.session_id if session is not None else 0)


def _ports(addresses: Iterable[Address]) -> str:
    """Each of them once; ZooKeeper's order is that of a hash table."""
    return "|".join(dict.fromkeys(str(port) for _, port in addresses))


def _packets(connection: Connection) -> str:
    """A client without the closing bracket; 1 stands for a connection that is read from, as in select()."""
    traffic = connection.traffic
    is_read = int(connection.state == OPEN)
    queued = connection.n_outstanding()
    return f"{_address(connection)}[{is_read}](queued={queued},recved={traffic.received},sent={traffic.sent()}"


def _whole(connection: Connection, now: Now) -> str:
    text, session, traffic = _packets(connection), connection.session, connection.traffic
    if session is None:
        return text + ")"
    opened_ms = now.wall_ms - (now.mono_ms - connection.opened_ms)
    last_xid = f"lcxid={_hex(connection.last_xid)}," if connection.last_xid >= 0 else ""
    return (
        f"{text},sid={_hex(session.session_id)},lop={OP_NAMES.get(connection.last_op, 'NA')},est={opened_ms},"
        f"to={connection.timeout_ms},{last_xid}lzxid={_hex(connection.last_zxid)},lresp={traffic.replied_ms},"
        f"llat={traffic.last_ms},minlat={traffic.least_ms()},avglat={traffic.average_ms()},maxlat={traffic.most_ms})"
    )


def _address(connection: Connection) -> str:
    """As Java writes one: IPv6 in brackets, all eight groups, no zeros in front."""
    if ":" not in connection.address:
        return f"/{connection.address}:{connection.port}"
    groups = ip_address(connection.address.partition("%")[0]).exploded.split(":")
    return f"/[{':'.join(format(int(group, 16), 'x') for group in groups)}]:{connection.port}"


def _sets(by_expiry: Mapping[int, list[str]], now: Now) -> str:
    """Groups that expire together, the next one first."""
    n_members = sum(map(len, by_expiry.values()))
    lines = [f"Sets ({len(by_expiry)})/({n_members}):"]
    for due_ms, members in sorted(by_expiry.items()):
        lines.append(f"{len(members)} expire at {_date(now.wall_ms + due_ms - now.mono_ms)}:")
        lines += members
    return "\n".join(lines) + "\n"


def _by_expiry(tracker: SessionTracker) -> dict[int, list[str]]:
    by_expiry: dict[int, list[str]] = {}
    for session in tracker.by_id.values():
        by_expiry.setdefault(tracker.expiry_ms(session), []).append(f"\t{_hex(session.session_id)}")
    return by_expiry


def _date(wall_ms: int) -> str:
    """As Java writes a Date, in UTC."""
    date = datetime.fromtimestamp(wall_ms // 1000, UTC)
    return f"{_DAYS[date.weekday()]} {_MONTHS[date.month - 1]} {date:%d %H:%M:%S} UTC {date.year}"


def _indented(paths: Iterable[bytes]) -> str:
    return "".join(f"\t{path.decode('utf-8', 'replace')}\n" for path in paths)


def _hex(number: int) -> str:
    """As Java writes a long: negative ones as two's complement."""
    return f"0x{number & _MASK_64:x}"
