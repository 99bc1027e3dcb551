"""A simulated client: one session after another, over links to whichever member takes it.

It speaks the protocol as real clients do: it pings when idle, gives a silent server up, reconnects with its session to
another member, hands over its watches first, and starts anew when its session is gone. What it is told goes to a
`SessionView`; what it did, with outcomes that may be unknown, into a history for the search of `checkers.linear`.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeAlias, final
from zlib import crc32

from zoopark import errors
from zoopark.jute import proto
from zoopark.jute.buffer import Reader
from zoopark.sim import asks
from zoopark.sim.asks import Answer, Ask
from zoopark.sim.checkers.linear import FOREVER, Operation
from zoopark.sim.checkers.recording import Recording
from zoopark.sim.checkers.sessions import SessionView
from zoopark.sim.network import GONE, Link, Network
from zoopark.sim.world import MS, STEP, World

DOWN: Final = 0
OPENING: Final = 1
OPEN: Final = 2

FIRST_PLACE: Final = 100
THINK_US: Final = 40 * MS
RETRY_US: Final = 100 * MS
_WRITES: Final = (proto.CREATE, proto.SET_DATA, proto.DELETE, proto.MULTI)
_ANSWERS: Final = {errors.NODE_EXISTS: "exists", errors.NO_NODE: "none", errors.BAD_VERSION: "version"}

Knock: TypeAlias = Callable[["SimClient", int], Link | None]
"""Opens a link from a client to the member with this sid; None if nobody is there."""
View: TypeAlias = SessionView | Recording
"""Checks what a client is told, or writes it down."""
Draw: TypeAlias = Callable[["SimClient"], Ask]
"""What to ask next."""


@final
class SimClient:
    """One client.

    Args:
        place: names it in the network, from FIRST_PLACE.
        network: carries its links.
        sids: the members it may connect to.
        view: checks what it is told.
        knock: opens links.

    Attributes:
        draw: decides what is asked.
        history: operations by path.
        seen: the newest version it was told, by path, and `mine` the paths that it created; for workloads.
        is_resting: asks nothing more, but keeps its session.
    """

    __slots__ = (
        "_begun",
        "_heard_us",
        "_inbox",
        "_is_dying",
        "_is_leaving",
        "_last_xid",
        "_sent_us",
        "_world",
        "depth",
        "draw",
        "history",
        "is_resting",
        "knock",
        "link",
        "mine",
        "n_answers",
        "network",
        "place",
        "seen",
        "sids",
        "state",
        "timeout_ms",
        "view",
    )

    def __init__(self, place: int, network: Network, sids: list[int], view: View, knock: Knock) -> None:
        self.place = place
        self.network = network
        self.sids = sids
        self.view = view
        self.knock = knock
        self._world: World = network.world
        random = self._world.random
        self.timeout_ms = random.choice((1500, 3000, 6000))
        self.depth = random.choice((1, 1, 3))
        self.draw: Draw | None = None
        self.history: dict[bytes, list[Operation]] = {}
        self.seen: dict[bytes, int] = {}
        self.mine: list[bytes] = []
        self.is_resting = False
        self.n_answers = 0
        self.link: Link | None = None
        self.state = DOWN
        self._begun: deque[tuple[int, Ask | None, int]] = deque()
        self._inbox = b""
        self._is_leaving = self._is_dying = False
        self._last_xid = 0
        self._heard_us = self._sent_us = 0

    def start(self) -> None:
        """Begin to live."""
        self._world.after(int(self._world.random.random() * THINK_US), self.step, STEP, self.place, 0, None)

    def step(self, who: int, what: int, payload: Any) -> None:
        """What it does by itself: connect, ask, ping, give up a silent server."""
        world = self._world
        wait_us = int(world.random.random() * 2 * THINK_US) + MS
        if self.state == DOWN:
            self._connect()
            wait_us = int(world.random.random() * RETRY_US) + MS
        elif self._is_leaving or world.now_us - self._heard_us > self.timeout_ms * MS * 2 // 3:
            world.mark("client hangs up" if self._is_leaving else "client gives up a silent server")
            self._is_leaving = False
            self._disconnect()
            if self._is_dying:
                self._be_born_again()
        elif self.state == OPEN:
            if not self.is_resting and self.draw is not None and len(self._begun) < self.depth:
                self.ask(self.draw(self))
            elif world.now_us - self._sent_us > self.timeout_ms * MS // 3:
                self._send(proto.PING_XID, proto.PING, b"", None)
            if self.is_resting:
                wait_us = self.timeout_ms * MS // 8
        world.after(wait_us, self.step, STEP, self.place, 0, None)

    def ask(self, ask: Ask) -> None:
        """Send one request; the client must be connected."""
        assert self.state == OPEN, self.state
        self._last_xid += 1
        if ask.op == proto.SYNC:
            self.view.on_sync_sent()
        self._send(self._last_xid, ask.op, ask.body, ask)

    def is_served(self) -> bool:
        """Whether it has a session, over a link that nobody leaves, and everything is answered that it asked."""
        link = self.link
        is_linked = self.state == OPEN and link is not None and link.is_open and all(link.is_alive)
        return is_linked and not self._is_leaving and all(ask is None for _, ask, _ in self._begun)

    def hang_up_soon(self) -> None:
        """Leave the server without a word after the next request; the session lives on."""
        self._is_leaving = True

    def die_soon(self) -> None:
        """Forget the session after the next request, and everything else: nobody will close it."""
        self._is_leaving = self._is_dying = True

    def end(self) -> None:
        """The run is over: what is under way counts as having an unknown outcome."""
        self._forget_link()

    def on_link(self, link: Link, message: Any) -> None:
        """Something came over a link of this client."""
        if link is not self.link:
            return
        if message is GONE:
            self._forget_link()
            return
        self._heard_us = self._world.now_us
        inbox = self._inbox + message
        at, end = 0, len(inbox)
        while end - at >= 4:
            stop = at + 4 + int.from_bytes(inbox[at : at + 4], "big")
            if stop > end:
                break
            self._on_frame(Reader(inbox[at + 4 : stop]))
            at = stop
            if self.link is not link:
                return
        self._inbox = inbox[at:]

    def _be_born_again(self) -> None:
        self._world.mark("client died")
        self._is_dying = False
        self.view.on_over()
        self.mine.clear()

    def _connect(self) -> None:
        sid = self._world.random.choice(self.sids)
        link = self.knock(self, sid)
        if link is None:
            return
        self.link, self.state, self._inbox = link, OPENING, b""
        self._heard_us = self._sent_us = self._world.now_us
        self._transmit(asks.connect(self.view.session.last_zxid, self.timeout_ms, self.view.session.session_id))

    def _on_frame(self, reader: Reader) -> None:
        if self.state == OPENING:
            self._on_connected(reader)
            return
        xid, zxid, err = reader.i32(), reader.i64(), reader.i32()
        if xid == proto.NOTIFICATION_XID:
            event, _, path = reader.i32(), reader.i32(), reader.string()
            self._world.mark("watch fired")
            self.view.on_event(event, path or b"", zxid)
            return
        expected, ask, began = self._begun.popleft()
        assert expected == xid, (self.place, expected, xid)
        if xid == proto.SET_WATCHES_XID:
            self.view.on_rearmed(zxid)
        self.view.on_zxid(zxid)
        if ask is not None:
            self._on_answer(ask, asks.read_answer(ask, zxid, err, reader), began)

    def _on_connected(self, reader: Reader) -> None:
        _, timeout_ms, session_id = reader.i32(), reader.i32(), reader.i64()
        if not session_id:
            self._world.mark("session refused")
            self.view.on_expired()
            self.mine.clear()
            self._disconnect()
            return
        if self.view.session.session_id:
            self._world.mark("session moved")
        self.state, self.timeout_ms = OPEN, timeout_ms
        self.view.on_connected(session_id)
        lists = self.view.session.paths_watched()
        if any(lists):
            body = asks.set_watches(self.view.session.last_zxid, lists)
            self._send(proto.SET_WATCHES_XID, proto.SET_WATCHES, body, None)

    def _on_answer(self, ask: Ask, answer: Answer, began: int) -> None:
        self.n_answers += 1
        self.view.on_answer(ask, answer)
        if answer.value:
            self.seen[ask.path] = answer.value[-2]
        if answer.err == errors.OK and ask.op == proto.CREATE:
            self.mine.append(answer.path)
        if answer.names:
            self.seen[ask.path] = len(answer.names)
            self.mine.extend(ask.path + b"/" + name for name in list(answer.names)[:3])
        if ask.call is not None and _is_of_one_znode(ask, answer):
            self._record(ask, began, 2 * self._world.count, _outcome(ask, answer))
        if ask.op == proto.CLOSE_SESSION:
            self.view.on_over()
            self.mine.clear()
            self._disconnect()

    def _record(self, ask: Ask, began: int, ended: int, outcome: Any) -> None:
        self.history.setdefault(ask.path, []).append(Operation(began, ended, ask.call, outcome))

    def _send(self, xid: int, op: int, body: bytes, ask: Ask | None) -> None:
        self._begun.append((xid, ask, 2 * self._world.count + 1))
        self._transmit(asks.frame(xid, op, body))

    def _transmit(self, data: bytes) -> None:
        assert self.link is not None
        self._sent_us = self._world.now_us
        random = self._world.random
        if random.random() < 0.02:
            cut = random.randrange(len(data))
            self.network.send(self.link, 0, crc32(data[:cut]), data[:cut])
            data = data[cut:]
        self.network.send(self.link, 0, crc32(data), data)

    def _disconnect(self) -> None:
        link = self.link
        self._forget_link()
        if link is not None:
            self.network.close(link, 0)

    def _forget_link(self) -> None:
        """The connection is gone, and with it what is known of requests under way: they may happen at any time."""
        for _, ask, began in self._begun:
            if ask is not None and ask.call is not None:
                self._record(ask, began, FOREVER, None)
            if ask is not None and ask.op in _WRITES:
                self._world.mark("write with an unknown outcome")
        self._begun.clear()
        self.view.on_link_lost()
        self.link, self.state, self._inbox = None, DOWN, b""


def _is_of_one_znode(ask: Ask, answer: Answer) -> bool:
    """Whether the answer tells of this znode alone, not of its parent or children."""
    if ask.op == proto.CREATE and answer.err == errors.NO_NODE:
        return False
    return answer.err == errors.OK or answer.err in _ANSWERS


def _outcome(ask: Ask, answer: Answer) -> Any:
    """The answer in the words of the model."""
    if answer.err != errors.OK:
        return _ANSWERS[answer.err]
    if ask.op == proto.DELETE:
        return "gone"
    return answer.value[0] if ask.op == proto.SET_DATA else 0
