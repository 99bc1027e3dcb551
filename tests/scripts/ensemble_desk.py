"""The desk for scripts of whole members: clients by name, links and disks that do as they are told.

    members a b c d                who there is, servers 1, 2, 3, 4; the first three vote; all start and form
    key localSessionsEnabled true  for the zoo.cfg of the members that come next
    a starts, a crashes, a wiped   a member that is down; wiped: with an empty disk; forgets: with a snapshot and no log
    x at b connect [timeout-ms]    a new session for client x at member b
    x at b read                    the same, for who asks for a read-only server
    y at c attach x                y takes the session of x over
    x create|set|get|sync|…        as in `tests.scripts.desk`, and `x drop`
    disk b holds, goes             its writes finish only while it goes
    link a b holds, goes, cut      what a sends to b waits, comes, is lost with the link
    link a b loses                 what waits never comes
    wait 1000                      milliseconds; everything due by then happens
    trees                          which members have the same tree

Shown is what clients hear, what leaders propose, what servers tell each other of clients, and how roles change. A zxid
is epoch:counter.
"""

from itertools import groupby

from tests.compat import wire
from tests.compat.requests import Request
from tests.scripts.desk import CODES, EVENTS, TXNS, request_of, shown, txn_text
from tests.server.house import House
from tests.server.stand import TIMEOUT_MS, Peer, Reply, greeting, wire_session
from zoopark.jute import quorum as jute
from zoopark.jute.quorum import QuorumPacket
from zoopark.record import Effect
from zoopark.server.effects import SaveSnapshot
from zoopark.zab.effects import Append, Send, SendSnapshot, Truncate
from zoopark.zxid import counter_of, epoch_of

SHOWN = {jute.REQUEST: "REQUEST", jute.REVALIDATE: "REVALIDATE", jute.SYNC: "SYNC"}
SYNCED = {jute.DIFF: "DIFF", jute.TRUNC: "TRUNC", jute.SNAP: "SNAP"}
OPS = {
    -10: "createSession",
    -11: "closeSession",
    1: "create",
    15: "create",
    2: "delete",
    5: "set",
    9: "sync",
    14: "multi",
}
STATES = ("LOOKING", "FOLLOWING", "LEADING", "OBSERVING")


class EnsembleDesk:
    """An ensemble and its clients by name."""

    def __init__(self) -> None:
        self.house = House()
        self.keys: dict[str, str] = {}
        self.peers: dict[str, Peer] = {}
        self.asked: dict[tuple[str, int], Request] = {}
        self.sessions: dict[int, str] = {}
        self.roles: dict[str, str] = {}
        self.lines: list[str] = []

    def perform(self, commands: list[str]) -> list[str]:
        """Consecutive commands of one client arrive in one piece; then everything happens that can."""
        self.lines = []
        for actor, group in groupby(commands, key=lambda command: command.split()[0]):
            words = [command.split()[1:] for command in group]
            if actor in self.peers or words[0][:1] == ["at"]:
                self._send(actor, words)
            else:
                for rest in words:
                    self._act(actor, *rest)
            self._settle()
        return self.lines

    # ---- commands

    def _act(self, actor: str, *words: str) -> None:
        house = self.house
        if actor == "members":
            self.house = House("".join(words), keys=self.keys)
            self.house.form()
        elif actor == "key":
            self.keys[words[0]] = words[1]
        elif actor == "disk":
            (house.held_disks.add if words[1] == "holds" else house.held_disks.discard)(words[0])
        elif actor == "link":
            self._link(*words)
        elif actor == "wait":
            house.wait(int(words[0]))
        elif actor == "trees":
            self._trees()
        elif words[0] == "starts":
            house.start(actor)
        elif words[0] == "crashes":
            house.crash(actor)
        elif words[0] == "wiped":
            house.wipe(actor)
        else:
            assert words[0] == "forgets", words
            house.forget_log(actor)

    def _link(self, one: str, other: str, verb: str) -> None:
        house = self.house
        if verb == "holds":
            house.held_links.add((one, other))
        elif verb == "goes":
            house.held_links.discard((one, other))
        elif verb == "loses":
            house.lose(one, other)
        else:
            house.cut(one, other)

    def _trees(self) -> None:
        for name in self.house.names:
            member = self.house.rooms[name].member
            if member is not None:
                same = [
                    other
                    for other in self.house.names
                    if (room := self.house.rooms[other].member) is not None and room.tree.digest == member.tree.digest
                ]
                self.lines.append(f"{name} at {zxid_text(member.tree.last_zxid)}, the same as {' '.join(same)}")

    def _send(self, name: str, commands: list[list[str]]) -> None:
        data = b""
        for verb, *words in commands:
            if verb == "at":
                self.peers[name] = self.house.connect(words[0])
                data += self._greeting(words[1:])
            elif verb == "drop":
                self.house.drop(self.peers[name])
            else:
                request = request_of(verb, words)
                data += self.peers[name].encode(request)
                xid = self.peers[name].last_xid if request.xid is None else request.xid
                self.asked[name, xid] = request
        self.peers[name].raw(data)

    def _greeting(self, words: list[str]) -> bytes:
        if words[0] in ("connect", "read"):
            return greeting(timeout_ms=int(words[1]) if words[1:] else TIMEOUT_MS, is_read_only=words[0] == "read")
        session_id = self.peers[words[1]].session_id
        return greeting(session_id, wire.session_password(session_id))

    # ---- what is shown

    def _settle(self) -> None:
        self.house.settle()
        for name, effect in self.house.take_effects():
            self._show(name, effect)
        for name in self.house.names:
            self._show_role(name)
        for name, peer in self.peers.items():
            for frame in peer.frames:
                self.lines.append(f"{name} <- {self._frame(name, peer, frame)}")
            peer.frames = []
            if peer.why is not None and peer.why != "dropped":
                self.lines.append(f"{name} closed: {peer.why}")
                peer.why = "dropped"

    def _show(self, name: str, effect: Effect) -> None:
        if isinstance(effect, Append) and self.house.rooms[name].member is not None:
            if self.house.member(name).became.state == jute.LEADING:
                self.lines += [f"{name} proposes {zxid_text(zxid)}: {txn_of(txn)}" for zxid, txn in effect.entries]
        elif isinstance(effect, Send):
            self.lines += [f"{name}: {text}" for packet in effect.packets if (text := packet_text(packet))]
        elif isinstance(effect, SendSnapshot):
            self.lines.append(f"{name}: the tree at {zxid_text(effect.zxid)}")
        elif isinstance(effect, SaveSnapshot):
            self.lines.append(f"{name} saves the snapshot of {zxid_text(effect.zxid)}")
        elif isinstance(effect, Truncate):
            self.lines.append(f"{name} truncates to {zxid_text(effect.zxid)}")

    def _show_role(self, name: str) -> None:
        member = self.house.rooms[name].member
        became = member.became if member is not None else None
        text = "down" if became is None else STATES[became.state]
        if became is not None and became.is_serving:
            text += f", serving epoch {became.epoch}"
        if self.roles.get(name, "down") != text:
            self.lines.append(f"{name} is {text}")
        self.roles[name] = text

    def _frame(self, name: str, peer: Peer, frame: bytes) -> str:
        if not peer.is_greeted:
            peer.is_greeted = True
            peer.session_id = wire_session(frame)
            self.sessions.setdefault(peer.session_id, name)
            return f"session of {self.sessions[peer.session_id]}" if peer.session_id else "no session"
        reply = Reply(frame)
        if reply.is_event():
            kind, path = reply.event()
            return f"event {EVENTS[kind]} {path}, zxid {zxid_text(reply.zxid)}"
        request = self.asked[name, reply.xid]
        verb = request.text.split()[0]
        words = [f"{verb}: {CODES[reply.err]}", f"zxid {zxid_text(reply.zxid)}", *shown(request.opcode, reply)]
        return ", ".join(words)


def txn_of(txn: bytes) -> str:
    reader = wire.Reader(txn)
    reader.take(28)
    kind = reader.i32()
    return " ".join(["closeSession", *doomed(reader)]) if TXNS.get(kind) == "closeSession" else txn_text(kind, reader)


def doomed(reader: wire.Reader) -> list[str]:
    return [(reader.buf() or b"").decode() for _ in range(reader.i32())]


def packet_text(packet: QuorumPacket) -> str:
    """What a packet says of clients, or of how a learner comes up to its leader; "" for any other."""
    if packet.type in SYNCED:
        return f"{SYNCED[packet.type]} {zxid_text(packet.zxid)}"
    if packet.type not in SHOWN:
        return ""
    reader = wire.Reader(packet.data or b"")
    if packet.type == jute.REQUEST:
        reader.take(12)
        return f"REQUEST {OPS.get(op := reader.i32(), str(op))}"
    if packet.type == jute.REVALIDATE and len(packet.data or b"") == 9:
        reader.take(8)
        return f"REVALIDATE {'valid' if reader.boolean() else 'not valid'}"
    return SHOWN[packet.type]


def zxid_text(zxid: int) -> str:
    return f"{epoch_of(zxid)}:{counter_of(zxid)}"
