"""What Apache 3.9.3 says to other servers: `python -m tests.jute.capture_quorum` writes tests/golden/quorum.hex.

Two ensembles of two voters, one of them played here by our own election and records: in the first Apache leads a
follower and an observer of ours, in the second it follows. A row is the channel, < for Apache's bytes and > for ours,
a name, the bytes.
"""

import contextlib
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.compat import oracle, wire
from tests.compat import requests as ask
from zoopark.jute import quorum
from zoopark.jute.buffer import I32, I64
from zoopark.jute.quorum import (
    ElectionReader,
    LearnerInfo,
    Notification,
    Opening,
    PacketReader,
    QuorumPacket,
    encode_learner_info,
    encode_notification,
    encode_opening,
    encode_packet,
)
from zoopark.record import Now
from zoopark.zab.effects import Notify
from zoopark.zab.election import Election
from zoopark.zab.quorum import Majority
from zoopark.zxid import make_zxid

GOLDEN: Final = Path(__file__).parents[1] / "golden" / "quorum.hex"
PROVENANCE: Final = (
    "# Apache ZooKeeper 3.9.3 with one other voter that was played: python -m tests.jute.capture_quorum; "
    "> was sent to it, < came from it\n"
)
SECONDS: Final = 30
STATES: Final = ("LOOKING", "FOLLOWING", "LEADING", "OBSERVING")
NAMES: Final = {
    number: name
    for name, number in vars(quorum).items()
    if name
    in (
        *("REQUEST", "PROPOSAL", "ACK", "COMMIT", "PING", "REVALIDATE", "SYNC", "INFORM", "NEWLEADER", "FOLLOWERINFO"),
        *("UPTODATE", "DIFF", "TRUNC", "SNAP", "OBSERVERINFO", "LEADERINFO", "ACKEPOCH"),
    )
}
OBSERVER: Final = 2
SNAPSHOT_END: Final = wire.string("BenWasHere")


class Stage:
    """One Apache server, sid `apache`, and the ports and sockets of the voter `ours`."""

    def __init__(self, home: Path, ours: int, apache: int, pool: Executor) -> None:
        self.ours, self.apache = ours, apache
        self.rows: list[str] = []
        self.ports = {sid: (oracle.free_port(), oracle.free_port()) for sid in (ours, apache, OBSERVER)}
        servers = {f"server.{sid}": f"127.0.0.1:{at}:{vote}" for sid, (at, vote) in self.ports.items()}
        servers[f"server.{OBSERVER}"] += ":observer"
        settings = {**servers, "initLimit": "10", "syncLimit": "10"}
        self.server = oracle.Server(oracle.apache("3.9.3"), home, settings)
        self.server.data_dir.mkdir()
        (self.server.data_dir / "myid").write_text(f"{apache}\n")
        self.listeners = [socket.create_server((oracle.LOOPBACK, port)) for port in self.ports[ours]]
        for listener in self.listeners:
            listener.settimeout(SECONDS)
        self.started = pool.submit(self.server.start)

    def row(self, channel: str, sign: str, name: str, data: bytes) -> None:
        self.rows.append(f"{channel} {sign} {name} {data.hex()}\n")

    def close(self) -> None:
        self.server.stop()
        for listener in self.listeners:
            listener.close()


class Raw:
    """The bytes that came on a channel, as they came: a row is cut from them, and must be what we would have sent."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage, self.name, self.data = stage, name, b""

    def row(self, name: str, encoded: bytes) -> None:
        raw, self.data = self.data[: len(encoded)], self.data[len(encoded) :]
        assert raw == encoded, (name, raw, encoded)
        self.stage.row(self.name, "<", name, raw)


class Link:
    """A quorum link: packets that are sent and packets that are waited for."""

    def __init__(self, stage: Stage, name: str, plug: socket.socket) -> None:
        self.stage, self.name, self.plug = stage, name, plug
        self.reader = PacketReader()
        self.waiting: list[QuorumPacket] = []
        self.raw = Raw(stage, name)

    def send(self, kind: int, zxid: int, data: bytes | None = None) -> None:
        packet = encode_packet(QuorumPacket(kind, zxid, data))
        self.stage.row(self.name, ">", NAMES[kind], packet)
        self.plug.sendall(packet)

    def until(self, kind: int) -> QuorumPacket:
        """The next packet of this type; pings and proposals before it are answered as a follower does."""
        while True:
            packet = self._next()
            if packet.type == kind:
                return packet
            if packet.type == quorum.PING:
                self.send(quorum.PING, packet.zxid, b"")
            elif packet.type == quorum.PROPOSAL:
                self.send(quorum.ACK, packet.zxid)

    def _next(self) -> QuorumPacket:
        while not self.waiting:
            self._hear(self._receive())
        return self.waiting.pop(0)

    def _hear(self, data: bytes) -> None:
        packets = self.reader.feed(data)
        self.raw.data += data
        self.waiting += packets
        for packet in packets:
            self.raw.row(NAMES[packet.type], encode_packet(packet))
        if packets and packets[-1].type == quorum.SNAP:
            self._skip_snapshot()

    def _skip_snapshot(self) -> None:
        stream = self.reader.rest()
        while SNAPSHOT_END not in stream:
            stream += self._receive()
        end = stream.index(SNAPSHOT_END) + len(SNAPSHOT_END)
        self.raw.data = b""
        self.stage.row(self.name, "<", "snapshot", stream[:end])
        self._hear(stream[end:])

    def _receive(self) -> bytes:
        data = self.plug.recv(65536)
        assert data, "the link was closed"
        return data


def elect(stage: Stage, plug: socket.socket, reader: ElectionReader) -> Election:
    """Take part in the election until it is decided."""
    election = Election(stage.ours, Majority([stage.ours, stage.apache]))
    election.on_start(0, 0, now())
    raw = Raw(stage, "election")
    while election.state == quorum.LOOKING:
        speak(stage, plug, election)
        plug.settimeout(max(0.001, ((election.deadline() or 0) - now().mono_ms) / 1000))
        try:
            data = plug.recv(65536)
            assert data, "the election link was closed"
        except TimeoutError:
            election.on_timeout(now())
            continue
        is_open = reader.opening is not None
        notifications = reader.feed(data)
        raw.data += data
        if reader.opening is not None and not is_open:
            raw.row("opening", encode_opening(reader.opening))
        for notification in notifications:
            raw.row(STATES[notification.state], encode_notification(notification))
            election.on_notification(stage.apache, notification, now())
    speak(stage, plug, election)
    return election


def speak(stage: Stage, plug: socket.socket, election: Election) -> None:
    for effect in election.take():
        assert isinstance(effect, Notify)
        stage.row("election", ">", STATES[effect.notification.state], encode_notification(effect.notification))
        plug.sendall(encode_notification(effect.notification))


def answered(stage: Stage, plug: socket.socket, election: Election) -> Notification:
    """What it says, now that it has decided, to one who looks."""
    asked = Notification(quorum.LOOKING, election.vote, election.round + 1)
    stage.row("election", ">", "LOOKING", encode_notification(asked))
    plug.sendall(encode_notification(asked))
    plug.settimeout(SECONDS)
    reader, raw = ElectionReader(is_accepted=False), Raw(stage, "election")
    notifications: list[Notification] = []
    while not notifications:
        data = plug.recv(65536)
        assert data, "the election link was closed"
        raw.data += data
        notifications = reader.feed(data)
    raw.row(STATES[notifications[0].state], encode_notification(notifications[0]))
    return notifications[0]


def now() -> Now:
    return Now(time.monotonic_ns() // 1_000_000, 0)


def dial(stage: Stage, port: int) -> socket.socket:
    """A connection to a port that the server will listen on soon."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return socket.create_connection((oracle.LOOPBACK, port), SECONDS)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, stage.server.log
        with contextlib.suppress(TimeoutError):
            stage.started.result(oracle.POLL_SECONDS)  # which raises if the server has ended


def follow(stage: Stage) -> None:
    """Apache leads; a voter and an observer of ours follow it, and a client writes."""
    plug, _ = stage.listeners[1].accept()
    election = elect(stage, plug, ElectionReader(is_accepted=True))
    assert (election.state, election.vote.leader) == (quorum.FOLLOWING, stage.apache)
    follower = join(stage, "follower", quorum.FOLLOWERINFO, stage.ours)
    assert answered(stage, plug, election).state == quorum.LEADING
    observer = join(stage, "observer", quorum.OBSERVERINFO, OBSERVER)
    stage.started.result(SECONDS)
    client = wire.Link(stage.server.address)
    client.send(wire.frame(wire.connect_request(0, SECONDS * 1000, 0, bytes(16)) + b"\0"))
    follower.until(quorum.COMMIT)
    greeting = client.receive()
    assert greeting is not None
    client.send(wire.request(1, wire.CREATE, ask.plain(ask.create("/a", b"data", opcode=wire.CREATE))))
    follower.until(quorum.COMMIT)
    observer.until(quorum.INFORM)
    follower.send(quorum.REVALIDATE, 0, greeting[8:16] + I32.pack(SECONDS * 1000))
    follower.until(quorum.REVALIDATE)
    follower.send(quorum.REQUEST, -1, greeting[8:16] + I32.pack(7) + I32.pack(wire.SYNC) + wire.string("/a"))
    follower.until(quorum.SYNC)
    follower.until(quorum.PING)
    for link in (client, follower.plug, observer.plug, plug):
        link.close()


def join(stage: Stage, name: str, kind: int, sid: int) -> Link:
    """A learner of ours, as far as UPTODATE."""
    link = Link(stage, name, dial(stage, stage.ports[stage.apache][0]))
    link.send(kind, 0, encode_learner_info(LearnerInfo(sid)))
    epoch = link.until(quorum.LEADERINFO).zxid
    link.send(quorum.ACKEPOCH, 0, I32.pack(0))
    assert link.until(quorum.NEWLEADER).zxid == epoch
    link.send(quorum.ACK, epoch)
    link.until(quorum.UPTODATE)
    link.send(quorum.ACK, epoch)
    return link


def lead(stage: Stage) -> None:
    """Apache follows; clients come to it."""
    plug = dial(stage, stage.ports[stage.apache][1])
    opening = encode_opening(Opening(stage.ours, ((oracle.LOOPBACK, stage.ports[stage.ours][1]),)))
    stage.row("election", ">", "opening", opening)
    plug.sendall(opening)
    election = elect(stage, plug, ElectionReader(is_accepted=False))
    assert (election.state, election.vote.leader) == (quorum.LEADING, stage.ours)
    link = Link(stage, "leader", stage.listeners[0].accept()[0])
    link.plug.settimeout(SECONDS)
    link.until(quorum.FOLLOWERINFO)
    epoch = make_zxid(1, 0)
    link.send(quorum.LEADERINFO, epoch, I32.pack(quorum.PROTOCOL_VERSION))
    link.until(quorum.ACKEPOCH)
    link.send(quorum.DIFF, 0)
    link.send(quorum.NEWLEADER, epoch)
    link.until(quorum.ACK)
    link.send(quorum.UPTODATE, -1)
    link.until(quorum.ACK)
    assert answered(stage, plug, election).state == quorum.FOLLOWING
    stage.started.result(SECONDS)
    client = dial(stage, stage.server.port)
    client.sendall(wire.frame(wire.connect_request(0, SECONDS * 1000, 0, bytes(16)) + b"\0"))
    link.until(quorum.REQUEST)
    comer = dial(stage, stage.server.port)
    comer.sendall(wire.frame(wire.connect_request(0, SECONDS * 1000, 0x77, wire.session_password(0x77)) + b"\0"))
    session = link.until(quorum.REVALIDATE).data
    assert session is not None
    assert session.startswith(I64.pack(0x77))
    link.send(quorum.REVALIDATE, 0, session[:8] + b"\1")
    link.send(quorum.PING, epoch)
    link.until(quorum.PING)
    for socket_ in (client, comer, link.plug, plug):
        socket_.close()


def capture() -> str:
    """The golden file's text, from servers that are started for it."""
    return PROVENANCE + "".join(played(follow, 1, 3) + played(lead, 3, 1))


def played(play: Callable[[Stage], None], ours: int, apache: int) -> list[str]:
    """The rows of one play between sid `ours` and an Apache server, which is stopped in the end."""
    with tempfile.TemporaryDirectory() as home, ThreadPoolExecutor(1) as pool:
        stage = Stage(Path(home), ours, apache, pool)
        try:
            play(stage)
        finally:
            stage.close()
    return stage.rows


if __name__ == "__main__":
    GOLDEN.write_text(capture(), encoding="utf-8")
    sys.stdout.write(f"{GOLDEN}\n")
