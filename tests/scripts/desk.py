"""Plays scripts of clients against one member: commands as a person types them, effects as a person reads them.

a connect [timeout-ms]         a new session for client a
b attach a [wrong]             b takes the session of a over (with a wrong password)
a create [-e] [-s] PATH [DATA] a set PATH DATA [VERSION]       a delete PATH [VERSION]
a get|exists|children PATH [watch]     a check PATH VERSION    a watch PATH persistent|recursive
a auth USER:PASSWORD           a lock PATH (only who authenticated may)     a rewatch ZXID PATH
a multi create PATH ; set PATH DATA ; …                        a ping | sync PATH | close | drop
disk holds                     nothing becomes durable until "disk syncs [COUNT]"
wait MS                        time passes
"""

import re
from itertools import groupby

from tests.compat import requests as ask
from tests.compat import wire
from tests.compat.requests import Acl, Request
from tests.server.stand import TIMEOUT_MS, Peer, Reply, Stand, greeting, wire_session
from zoopark import errors
from zoopark.server.effects import Append, CloseLink, Flush, Note

EVENTS = {1: "NodeCreated", 2: "NodeDeleted", 3: "NodeDataChanged", 4: "NodeChildrenChanged"}
TXNS = {
    -10: "createSession",
    -11: "closeSession",
    -1: "refused",
    2: "delete",
    5: "set",
    7: "lock",
    13: "check",
    14: "multi",
}
CREATES = (wire.CREATE, wire.CREATE2, wire.CREATE_CONTAINER, wire.CREATE_TTL)
CODES = {code: name.lower().replace("_", " ") for name, code in vars(errors).items() if isinstance(code, int)}


class Desk:
    """One member and its clients by name."""

    def __init__(self) -> None:
        self.stand = Stand({"tickTime": "2000"})
        self.peers: dict[str, Peer] = {}
        self.asked: dict[tuple[str, int], Request] = {}
        self.sessions: dict[int, str] = {}
        self.is_holding = False
        self.lines: list[str] = []

    def perform(self, commands: list[str]) -> list[str]:
        """Consecutive commands of one client arrive in one piece; then the server does all it can."""
        self.lines = []
        for actor, group in groupby(commands, key=lambda command: command.split()[0]):
            words = [command.split()[1:] for command in group]
            if actor == "disk":
                self._disk(*words[0])
            elif actor == "wait":
                self._wait(int(words[0][0]))
            else:
                self._send(actor, words)
        self._settle()
        return self.lines

    def _disk(self, verb: str, count: str = "") -> None:
        self._settle()
        self.is_holding = verb == "holds"
        if count:
            self.stand.sync(int(count))
            self.is_holding = True

    def _wait(self, ms: int) -> None:
        stand, until_ms = self.stand, self.stand.now.mono_ms + ms
        while (due_ms := stand.member.deadline()) is not None and due_ms <= until_ms:
            stand.move_clock(max(due_ms, stand.now.mono_ms))
            stand.member.on_timeout(stand.now)
            self._settle()
        stand.move_clock(until_ms)

    def _send(self, name: str, commands: list[list[str]]) -> None:
        data = b""
        for verb, *words in commands:
            if verb in ("connect", "attach"):
                self.peers[name] = self.stand.connect()
                data += self._greeting(verb, words)
            elif verb == "drop":
                self.stand.drop(self.peers[name])
            else:
                request = request_of(verb, words)
                data += self.peers[name].encode(request)
                xid = self.peers[name].last_xid if request.xid is None else request.xid
                self.asked[name, xid] = request
        self.peers[name].raw(data)
        self._hear()

    def _greeting(self, verb: str, words: list[str]) -> bytes:
        if verb == "connect":
            return greeting(timeout_ms=int(words[0]) if words else TIMEOUT_MS)
        session_id = self.peers[words[0]].session_id
        return greeting(session_id, bytes(16) if words[1:] else wire.session_password(session_id))

    def _settle(self) -> None:
        while self.stand.member.has_effects() or (self.stand.unsynced and not self.is_holding):
            self._turn()
            if not self.is_holding:
                self.stand.sync()

    def _turn(self) -> None:
        for effect in self.stand.member.take():
            if isinstance(effect, Append):
                self.stand.unsynced += effect.entries
                self.lines += [f"log {zxid}: {self._txn(txn)}" for zxid, txn in effect.entries]
            elif isinstance(effect, Flush):
                for connection in effect.connections:
                    self.stand.deliver(connection)
            elif isinstance(effect, CloseLink):
                self.stand.deliver(effect.connection)
                self._hear()
                self.stand.hang_up(effect)
                name = next(name for name, peer in self.peers.items() if peer.connection is effect.connection)
                self.lines.append(f"{name} closed: {self._named(effect.why)}")
            elif isinstance(effect, Note):
                self.lines.append(f"note: {self._named(effect.text)}")
            self._hear()

    def _hear(self) -> None:
        for name, peer in self.peers.items():
            for frame in peer.frames:
                self.lines.append(f"{name} <- {self._frame(name, peer, frame)}")
            peer.frames = []

    def _frame(self, name: str, peer: Peer, frame: bytes) -> str:
        if not peer.is_greeted:
            peer.is_greeted = True
            peer.session_id = wire_session(frame)
            self.sessions.setdefault(peer.session_id, name)
            timeout_ms = wire.Reader(frame[4:]).i32()
            return f"session of {self.sessions[peer.session_id]}, {timeout_ms} ms" if timeout_ms else "no session"
        reply = Reply(frame)
        if reply.is_event():
            kind, path = reply.event()
            return f"event {EVENTS[kind]} {path}, zxid {reply.zxid}"
        request = self.asked[name, reply.xid]
        words = [f"{request.text.split()[0]}: {CODES[reply.err]}", f"zxid {reply.zxid}", *shown(request.opcode, reply)]
        return ", ".join(words)

    def _named(self, text: str) -> str:
        """The text with session ids replaced by the names of those who opened them."""
        return re.sub(r"0x[0-9a-f]{6,}", lambda found: f"of {self.sessions.get(int(found[0], 16), '?')}", text)

    def _txn(self, txn: bytes) -> str:
        reader = wire.Reader(txn)
        session_id = reader.i64()
        reader.take(20)
        kind = reader.i32()
        text = txn_text(kind, reader)
        return f"{text} of {self._owner(session_id)}" if kind == wire.CLOSE_SESSION else text

    def _owner(self, session_id: int) -> str:
        """Who opened a session, also if the answer to that has not left yet."""
        waiting = {peer.connection.requester.session_id: name for name, peer in self.peers.items()}
        return self.sessions.get(session_id) or waiting[session_id]


def txn_text(kind: int, reader: wire.Reader) -> str:
    """A transaction's type and what it is about."""
    name = "create" if kind in CREATES else TXNS[kind]
    if kind == wire.ERROR:
        return f"{name}, {CODES[reader.i32()]}"
    if kind == wire.CREATE_SESSION:
        return name
    if kind == wire.CLOSE_SESSION:
        paths = [(reader.buf() or b"").decode() for _ in range(reader.i32())]
        return " ".join([name, *paths])
    if kind == wire.MULTI:
        parts = [txn_text(reader.i32(), wire.Reader(reader.buf() or b"")) for _ in range(reader.i32())]
        return f"{name} [{'; '.join(parts)}]"
    return f"{name} {(reader.buf() or b'').decode()}"


def shown(opcode: int, reply: Reply) -> list[str]:
    """What a reply's body says, in words."""
    reader = wire.Reader(reply.body)
    if reply.err or opcode in (wire.DELETE, wire.PING, wire.AUTH, wire.CLOSE_SESSION, wire.ADD_WATCH):
        return []
    if opcode in (wire.CREATE, wire.CREATE2, wire.SYNC):
        return [(reader.buf() or b"").decode()]
    if opcode == wire.GET_DATA:
        return [repr((reader.buf() or b"").decode()), *stat_words(reader)]
    if opcode == wire.GET_CHILDREN2:
        names = [(reader.buf() or b"").decode() for _ in range(reader.i32())]
        return [f"[{' '.join(names)}]", *stat_words(reader)]
    if opcode == wire.MULTI:
        return [f"[{'; '.join(parts_of(reader))}]"]
    return stat_words(reader)


def stat_words(reader: wire.Reader) -> list[str]:
    if len(reader.data) - reader.position != 68:
        return []
    reader.take(32)
    version, cversion = reader.i32(), reader.i32()
    return [f"version {version}"] + ([f"cversion {cversion}"] if cversion else [])


def parts_of(reader: wire.Reader) -> list[str]:
    parts: list[str] = []
    while True:
        kind, is_done, err = reader.i32(), reader.boolean(), reader.i32()
        if is_done:
            return parts
        if kind == wire.ERROR:
            reader.i32()
            parts.append(CODES[err])
        elif kind in (wire.CREATE, wire.CREATE2):
            parts.append(f"created {(reader.buf() or b'').decode()}")
            reader.take(68 if kind == wire.CREATE2 else 0)
        elif kind == wire.SET_DATA:
            parts.append(f"set, {', '.join(stat_words(wire.Reader(reader.take(68))))}")
        else:
            parts.append("ok")


def request_of(verb: str, words: list[str]) -> Request:
    """The request that a command means."""
    if verb == "multi":
        parts = " ".join(words).split(" ; ")
        return ask.multi(*(request_of(part.split()[0], part.split()[1:]) for part in parts))
    flags = sum({"-e": 1, "-s": 2}[word] for word in words if word.startswith("-") and word in ("-e", "-s"))
    path, *rest = [word for word in words if word not in ("-e", "-s")] or [""]
    is_watching = rest == ["watch"]
    number = int(rest[-1]) if rest and re.fullmatch(r"-?\d+", rest[-1]) else -1
    data = rest[0].encode() if rest else b""
    simple = {
        "create": lambda: ask.create(path, data, flags=flags),
        "set": lambda: ask.set_data(path, data, number if len(rest) > 1 else -1),
        "delete": lambda: ask.delete(path, number),
        "check": lambda: ask.check(path, number),
        "get": lambda: ask.get_data(path, is_watching),
        "exists": lambda: ask.exists(path, is_watching),
        "children": lambda: ask.get_children2(path, is_watching),
        "watch": lambda: ask.add_watch(path, int(rest[0] == "recursive")),
        "auth": lambda: ask.auth("digest", path.encode()),
        "lock": lambda: ask.set_acl(path, [Acl(31, "auth", "")]),
        "rewatch": lambda: rewatch(int(path), rest[0]),
        "sync": lambda: ask.named(wire.SYNC, path),
        "ping": ask.ping,
        "close": ask.close_session,
    }
    return simple[verb]()


def rewatch(zxid: int, path: str) -> Request:
    """setWatches for one data watch of a client that has seen `zxid`."""
    body = wire.i64(zxid) + wire.vector([wire.string(path)]) + wire.vector([]) + wire.vector([])
    return ask.with_xid(ask.raw(wire.SET_WATCHES, body, "setWatches"), wire.SET_WATCHES_XID)
