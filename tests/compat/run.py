"""One sequence of steps against one server, in lock step: what every step made the server say, as text.

No time passes between cause and effect here: after each step a ping goes out on the link that was used, then one on
every other link and on the observer, a session of the test's own. ZooKeeper answers in order, so when all pings are
answered all replies and events of the step have arrived, and the observer's pong tells the zxid the step ended with.
"""

import time
from collections import deque
from itertools import groupby
from typing import Final

from tests.compat import masks as masking
from tests.compat import wire, words
from tests.compat.masks import Masks
from tests.compat.requests import Request, auth
from tests.compat.steps import SESSION_TIMEOUT_MS, Await, Drop, Open, Raw, Send, Step, Word
from tests.compat.wire import Link, SilenceError

OBSERVER: Final = -1
CONNECT, CLOSED, SILENT = "connect", "closed", "silent"
SUPER: Final = auth("digest", b"super:secret")
KEPT_NODES: Final = (b"/", b"/zookeeper", b"/zookeeper/config", b"/zookeeper/quota")
Outcome = dict[str, list[str]]


class ServerGoneError(Exception):
    """The server hung up on the observer or refuses connections: it has most likely died."""


class Station:
    """One link of a run: its connection, its session, and the requests that wait for a reply."""

    def __init__(self) -> None:
        self.link: Link | None = None
        self.session_id = 0
        self.pings_due = 0
        self.last_xid = 0
        self.waiting: deque[tuple[int, int]] = deque()
        self._left: list[Link] = []

    @property
    def is_open(self) -> bool:
        return self.link is not None and self.link.is_open

    def connect(self, address: tuple[str, int]) -> Link:
        """A new connection; the old one stays open, for the server to find out, until `close`."""
        if self.link is not None:
            self._left.append(self.link)
        self.link = Link(address)
        self.pings_due = 0
        self.waiting.clear()
        return self.link

    def encode(self, request: Request, masks: "Side") -> bytes:
        """The request with its xid, remembered as waiting for its reply."""
        if request.xid is None:
            self.last_xid += 1
        xid = self.last_xid if request.xid is None else request.xid
        answered = wire.PING_XID if request.opcode == wire.PING else xid  # whatever the ping's own xid was
        self.pings_due += answered == wire.PING_XID
        self.waiting.append((answered, request.opcode))
        return wire.request(xid, request.opcode, request.body_for(masks))

    def send_ping(self) -> None:
        assert self.link is not None
        self.pings_due += 1
        self.waiting.append((wire.PING_XID, wire.PING))
        self.link.send(wire.request(wire.PING_XID, wire.PING, b""))

    def drain(self, seconds: float = wire.OPEN_SECONDS) -> list[bytes | str]:
        """All frames up to the reply to the last ping; CLOSED or SILENT at the end if it does not come."""
        frames: list[bytes | str] = []
        while self.pings_due:
            frame = self.receive(seconds)
            frames.append(frame)
            if isinstance(frame, str):
                break
            self.pings_due -= int.from_bytes(frame[:4], "big", signed=True) == wire.PING_XID
        return frames

    def receive(self, seconds: float) -> bytes | str:
        assert self.link is not None
        try:
            frame = self.link.receive(seconds)
        except SilenceError:
            self.link.close()
            return SILENT
        return CLOSED if frame is None else frame

    def drop(self) -> None:
        if self.link is not None:
            self.link.close()

    def close(self) -> None:
        self.drop()
        for link in self._left:
            link.close()


class Side:
    """One server during one run.

    Args:
        address: host and port; the server must know the super digest of "super:secret".
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.stations: dict[int, Station] = {}
        self.known_sessions: list[int] = []
        self._observer = Station()
        link = self._observer.connect(address)
        link.send(wire.frame(wire.connect_request(0, SESSION_TIMEOUT_MS, 0, bytes(16)) + b"\x00"))
        answer = link.receive()
        if answer is None:
            self._observer.close()
            raise ServerGoneError("the observer's session is refused")
        link.send(self._observer.encode(SUPER, self))
        self.masks = Masks(0)
        self.masks = Masks(self._settle()[1])
        self.masks.sessions[0] = "none"

    def zxid_of(self, steps_back: int) -> int:
        """The last zxid of the server before the last `steps_back` steps."""
        marks = self.masks.marks
        return marks[max(0, len(marks) - 1 - steps_back)]

    def perform(self, step: Step) -> Outcome:
        """Carry out a step; every link's frames as text, in order, and how many zxids it took."""
        started_ms = time.time_ns() // 1_000_000
        frames = self._act(step)
        later, zxid = self._settle()
        for number, more in later.items():
            frames.setdefault(number, []).extend(more)
        self.masks.wall_ms = (started_ms, time.time_ns() // 1_000_000)
        before = self.masks.marks[-1]
        self.masks.end_step(zxid)
        outcome = {f"#{number}": self._texts(number, found) for number, found in frames.items()}
        if _is_unordered(step):
            outcome = {key: _with_sorted_events(lines) for key, lines in outcome.items()}
        outcome["zxids"] = [f"+{zxid - before}"] if zxid != before else []
        if isinstance(step, Word):
            outcome["word"] = words.masked(step.word, self.masks, self._ask(step.word))
        return outcome

    def finish(self) -> None:
        """Close every session of the run, delete every node and hang up."""
        for session_id in dict.fromkeys(self.known_sessions):
            self._close_session(session_id)
        for path in self._paths(b"/"):
            self._ask_observer(wire.DELETE, wire.buf(path) + wire.i32(-1))
        self._ask_observer(wire.CLOSE_SESSION, b"")
        self.hang_up()

    def hang_up(self) -> None:
        """Close every connection, for a server that is beyond cleaning up."""
        for station in (*self.stations.values(), self._observer):
            station.close()

    def _act(self, step: Step) -> dict[int, list[bytes | str]]:
        if isinstance(step, Word):
            return {}
        station = self.stations.setdefault(step.link, Station())
        if isinstance(step, Open):
            return {step.link: self._open(station, step)}
        if isinstance(step, Drop):
            station.drop()
            return {}
        frames: list[bytes | str] = []
        if isinstance(step, Raw) and step.is_bare:
            station.connect(self.address)
        elif not station.is_open:
            frames = self._open(station, Open(step.link))
        assert station.link is not None
        if isinstance(step, Send):
            self._write(station, step)
            station.send_ping()
            return {step.link: frames + self._without_pong(station)}
        if isinstance(step, Await):
            caused = {} if step.after is None else self._act(step.after)
            return {**caused, step.link: frames + _collect(station, step.frames, step.seconds)}
        station.link.send(step.data)
        return {step.link: frames + _collect(station, 1000, wire.OPEN_SECONDS)}

    def _write(self, station: Station, step: Send) -> None:
        assert station.link is not None
        data = b"".join(station.encode(request, self) for request in step.requests)
        size = step.piece_bytes or len(data)
        for start in range(0, len(data), size):
            station.link.send(data[start : start + size])

    def _open(self, station: Station, step: Open) -> list[bytes | str]:
        payload = self._connect_request(step) if step.payload is None else step.payload
        link = station.connect(self.address)
        link.send(wire.frame(payload) + b"".join(station.encode(request, self) for request in step.requests))
        answer = station.receive(wire.OPEN_SECONDS)
        if isinstance(answer, str):
            return [answer]
        text, station.session_id = masking.connect_reply(answer, self.masks)
        if station.session_id:
            self.known_sessions.append(station.session_id)
            station.send_ping()
            return [f"{CONNECT} {text}", *self._without_pong(station)]
        return [f"{CONNECT} {text}", station.receive(wire.OPEN_SECONDS)]

    def _connect_request(self, step: Open) -> bytes:
        session_id = 0 if step.session_of is None else self.stations.setdefault(step.session_of, Station()).session_id
        session_id = session_id if step.session_id is None else step.session_id
        password = wire.session_password(session_id) if session_id else bytes(16)
        zxid = 0 if step.ahead is None else self.masks.marks[-1] + step.ahead
        given = password if step.password is None else step.password
        last = b"" if step.read_only is None else wire.boolean(step.read_only)
        return wire.connect_request(zxid, step.timeout_ms, session_id, given) + last

    def _without_pong(self, station: Station) -> list[bytes | str]:
        frames = station.drain()
        return frames[:-1] if frames and isinstance(frames[-1], bytes) else frames

    def _settle(self) -> tuple[dict[int, list[bytes | str]], int]:
        """What the other links have received meanwhile, and the server's zxid."""
        others = {number: station for number, station in self.stations.items() if station.is_open}
        for station in others.values():
            station.send_ping()
        frames = {number: self._without_pong(station) for number, station in others.items()}
        self._observer.send_ping()
        pong = self._observer.drain()[-1]
        if isinstance(pong, str):
            raise ServerGoneError(f"the observer's connection is {pong}")
        return frames, int.from_bytes(pong[4:12], "big", signed=True)

    def _texts(self, number: int, frames: list[bytes | str]) -> list[str]:
        return [frame if isinstance(frame, str) else self._text(self.stations[number], frame) for frame in frames]

    def _text(self, station: Station, frame: bytes) -> str:
        xid = int.from_bytes(frame[:4], "big", signed=True)
        while station.waiting and station.waiting[0] == (wire.PING_XID, wire.PING) and xid != wire.PING_XID:
            station.waiting.popleft()
        if station.waiting and station.waiting[0][0] == xid:
            return masking.reply(frame, station.waiting.popleft()[1], self.masks)
        if xid == wire.EVENT_XID:
            return masking.event(frame, self.masks)
        return masking.reply(frame, wire.PING, self.masks)

    def _ask(self, word: bytes) -> str:
        link = Link(self.address)
        link.send(word)
        try:
            return link.receive_all().decode(errors="replace")
        except SilenceError:
            link.close()
            return SILENT

    def _ask_observer(self, opcode: int, body: bytes) -> bytes:
        """The observer's reply, events left out; nothing when the server hangs up."""
        assert self._observer.link is not None
        self._observer.link.send(wire.request(1, opcode, body))
        reply = self._observer.link.receive()
        return reply or b""

    def _paths(self, root: bytes) -> list[bytes]:
        """Every node under root that a client made, children before parents."""
        reader = wire.Reader(self._ask_observer(wire.GET_CHILDREN, wire.buf(root) + b"\x00")[16:])
        found: list[bytes] = []
        for name in sorted(reader.buf() or b"" for _ in range(reader.i32())):
            found += self._paths(root.rstrip(b"/") + b"/" + name)
        return found if root in KEPT_NODES else [*found, root]

    def _close_session(self, session_id: int) -> None:
        link = Link(self.address)
        password = wire.session_password(session_id)
        link.send(wire.frame(wire.connect_request(0, SESSION_TIMEOUT_MS, session_id, password) + b"\x00"))
        link.receive()
        link.send(wire.request(1, wire.CLOSE_SESSION, b""))
        while link.receive() is not None:
            pass
        link.close()


def _collect(station: Station, count: int, seconds: float) -> list[bytes | str]:
    """Up to `count` frames, fewer if the link closes or falls silent."""
    frames: list[bytes | str] = []
    while len(frames) < count:
        frames.append(station.receive(seconds))
        if isinstance(frames[-1], str):
            break
    return frames


def _is_unordered(step: Step) -> bool:
    """Whether a step may end a session: its ephemerals come from a hash set, so their events have no order."""
    return isinstance(step, Await) or (
        isinstance(step, Send) and any(request.opcode == wire.CLOSE_SESSION for request in step.requests)
    )


def _with_sorted_events(lines: list[str]) -> list[str]:
    """Neighbouring events sorted, all else where it was."""
    parts = [(is_event, list(some)) for is_event, some in groupby(lines, lambda line: line.startswith("event"))]
    return [line for is_event, some in parts for line in (sorted(some) if is_event else some)]
