"""The simulator's clients at real servers.

They live in a simulated world, whose clock is set by the real one every few milliseconds. The far end of each of their
links is a socket. So they are the same clients with the same workloads, and their histories have the same form; the
simulated network adds a millisecond of its own, and cuts what they send into pieces.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, cast, final
from zlib import crc32

from chaos.history import History
from chaos.members import Seat
from zoopark.jute import proto
from zoopark.sim.checkers.recording import ANSWER, Recording
from zoopark.sim.client import FIRST_PLACE, SimClient
from zoopark.sim.network import GONE, Link, Network
from zoopark.sim.workloads import WORKLOADS, mix
from zoopark.sim.world import TO_CLIENT, TO_SERVER, World

TICK_S: Final = 0.004
CONNECT_S: Final = 5.0
WORKLOADS_EACH: Final = 3
_WRITES: Final = (proto.CREATE, proto.SET_DATA, proto.DELETE, proto.MULTI)
_FOREVER: Final = 1 << 40


@final
class Clients:
    """So many clients of these members.

    Args:
        world: where they live; what they ask follows from its chance.
        seats: the members.
        history: is told everything that they are told.

    Attributes:
        clients: all of them.
        written_s: when a write was answered last, on the clock of `time.monotonic`.
        n_answers: answers to writes, and to anything.
    """

    def __init__(self, world: World, seats: list[Seat], history: History, n_clients: int) -> None:
        self.world = world
        self.history = history
        self.written_s = time.monotonic()
        self.n_writes = 0
        self._seats = {seat.sid: seat for seat in seats}
        self._network = Network(world)
        self._began_s = time.monotonic()
        self._dials: set[asyncio.Task[None]] = set()
        self.clients = [self._client(FIRST_PLACE + at) for at in range(n_clients)]
        self._tick: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Let them live, from now on."""
        self._began_s = time.monotonic()
        for client in self.clients:
            client.start()
        self._on_tick()

    def rest(self) -> None:
        """Ask for nothing more; sessions are kept."""
        for client in self.clients:
            client.is_resting = True

    def are_served(self) -> bool:
        """Whether each has a session and an answer to everything."""
        return all(client.is_served() for client in self.clients)

    def end(self) -> None:
        """Let them go, if they live; what is under way is told to have an unknown outcome."""
        if self._tick is None:
            return
        self._tick.cancel()
        self._tick = None
        for client in self.clients:
            client.end()
            self.history.tell_operations(client.view.name, client.history)

    def catch_up(self) -> None:
        """Let everything happen that is due by the real clock, until the end."""
        if self._tick is not None:
            self.world.run(_FOREVER, int((time.monotonic() - self._began_s) * 1_000_000))

    def _client(self, place: int) -> SimClient:
        name = f"client {place}"
        view = Recording(name, self._teller(name))
        client = SimClient(place, self._network, sorted(self._seats), view, self._knock)
        client.draw = mix(self.world.random.sample(list(WORKLOADS), WORKLOADS_EACH))
        return client

    def _teller(self, name: str) -> Callable[[str, tuple[Any, ...]], None]:
        def tell(what: str, arguments: tuple[Any, ...]) -> None:
            self.history.tell(name, what, arguments)
            if what == ANSWER and arguments[0][0] in _WRITES:
                self.written_s = time.monotonic()
                self.n_writes += 1

        return tell

    def _knock(self, client: SimClient, sid: int) -> Link:
        socket = Socket(self)
        link = self._network.open((client.place, sid), (client.on_link, socket.on_link), (TO_CLIENT, TO_SERVER))
        socket.link = link
        dial = asyncio.get_running_loop().create_task(self._dial(socket, self._seats[sid]))
        self._dials.add(dial)
        dial.add_done_callback(self._dials.discard)
        return link

    async def _dial(self, socket: "Socket", seat: Seat) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S):
                await loop.create_connection(lambda: cast(asyncio.Protocol, socket), seat.host, seat.ports[2])
        except OSError:
            self.close(socket)

    def arrived(self, socket: "Socket", data: bytes) -> None:
        """A server sent something: the client is given it as the simulated network would."""
        self.catch_up()
        if socket.link is not None:
            self._network.send(socket.link, 1, crc32(data), data)

    def close(self, socket: "Socket") -> None:
        """A server, or the way to it, is lost."""
        self.catch_up()
        if socket.link is not None:
            self._network.close(socket.link, 1)

    def _on_tick(self) -> None:
        self._tick = asyncio.get_running_loop().call_later(TICK_S, self._on_tick)
        self.catch_up()


@final
class Socket:
    """The far end of a client's link; an asyncio.Protocol by its methods.

    Attributes:
        link: set right after it is made.
    """

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self.link: Link | None = None
        self._transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = []
        self._is_left = False

    def on_link(self, link: Link, message: Any) -> None:
        """The client sends something, or is gone."""
        if message is GONE:
            self._is_left = True
            if self._transport is not None:
                self._transport.abort()
        elif self._transport is None:
            self._waiting.append(message)
        else:
            self._transport.write(message)

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        transport.write(b"".join(self._waiting))
        if self._is_left:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self._clients.arrived(self, data)

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        """Clients write little."""

    def resume_writing(self) -> None:
        """As above."""

    def connection_lost(self, error: Exception | None) -> None:
        self._clients.close(self)
