"""Who knocks and says nothing costs little, and is spoken of once a minute."""

import asyncio
import logging
import socket

import pytest

from zoopark.host.strangers import MAX_SOURCES, MAX_STRANGERS, QUIET_S, Complaints, Strangers, report, source_of


def test_a_source_is_complained_of_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """A flood must not fill the disk, nor hide another source."""
    now = [100.0]
    complaints = Complaints(lambda: now[0])
    said = [complaints.say("a", "a knocks"), complaints.say("a", "a knocks"), complaints.say("b", "b knocks")]
    now[0] += QUIET_S
    said.append(complaints.say("a", "a knocks again"))
    assert said == [True, False, True, True]
    assert [record.message for record in caplog.records] == ["a knocks", "b knocks", "a knocks again"]
    assert all(record.levelno == logging.WARNING for record in caplog.records)


def test_of_a_source_that_may_be_told_of_more_often_the_last_line_says_that_there_is_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    now = [100.0]
    complaints = Complaints(lambda: now[0], 3, logging.INFO)
    assert [complaints.say("a", f"a-{at}") for at in range(5)] == [True] * 3 + [False] * 2
    assert complaints.say("b", "b-0")
    now[0] += QUIET_S
    assert complaints.say("a", "a-5")
    more = " (no more of this is told until a minute after the first of it)"
    assert [record.message for record in caplog.records] == ["a-0", "a-1", f"a-2{more}", "b-0", "a-5"]


def test_many_sources_take_bounded_memory_and_few_lines() -> None:
    """Those beyond are one source, and those that were there stay what they were."""
    now = [100.0]
    complaints = Complaints(lambda: now[0], 2)
    told = [complaints.say(f"source {at}", "knocks") for at in range(MAX_SOURCES + 3)]
    assert told == [True] * (MAX_SOURCES + 2) + [False]
    assert [complaints.say("source 0", "knocks") for _ in range(2)] == [True, False]
    now[0] += QUIET_S
    assert complaints.say(f"source {MAX_SOURCES + 2}", "knocks")


async def _knock(strangers: Strangers, count: int) -> list[socket.socket]:
    """So many connections that say nothing."""
    loop = asyncio.get_running_loop()
    came = asyncio.Semaphore(0)

    class Door(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            strangers.add(transport)
            came.release()

    listener = await loop.create_server(Door, "127.0.0.1", 0)
    address = listener.sockets[0].getsockname()
    plugs = []
    for _ in range(count):
        plugs.append(socket.create_connection(address, 10))
        await asyncio.wait_for(came.acquire(), 10)
    listener.close()
    return plugs


async def _is_closed(plug: socket.socket) -> bool:
    """Whether the other side ends the connection, which it must do soon."""
    plug.setblocking(False)
    try:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(plug, 1), 10) == b""
    except ConnectionError:
        return True


def test_of_too_many_the_oldest_goes() -> None:
    """A server introduces itself at once, so the oldest are those who never will."""

    async def play() -> None:
        loop = asyncio.get_running_loop()
        strangers = Strangers(loop, "quorum", 60.0, Complaints(loop.time))
        plugs = await _knock(strangers, MAX_STRANGERS + 1)
        assert len(strangers) == MAX_STRANGERS
        assert await _is_closed(plugs[0])
        strangers.close()
        assert len(strangers) == 0
        assert [await _is_closed(plug) for plug in plugs[1:]] == [True] * MAX_STRANGERS
        for plug in plugs:
            plug.close()

    asyncio.run(play())


def test_who_says_nothing_in_time_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    """Half a handshake that is held open."""

    async def play() -> None:
        loop = asyncio.get_running_loop()
        strangers = Strangers(loop, "election", 0.01, Complaints(loop.time))
        (plug,) = await _knock(strangers, 1)
        assert await _is_closed(plug)
        plug.close()

    asyncio.run(play())
    assert [record.message for record in caplog.records] == [
        "127.0.0.1 on the election port: no introduction within 0 s"
    ]


def test_a_task_that_failed_is_reported_at_once() -> None:
    """An invariant that breaks in a task must stop the server like any other."""
    heard: list[object] = []

    async def fail() -> None:
        raise AssertionError("broken")

    async def play() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: heard.append(context["exception"]))
        task = loop.create_task(fail())
        await asyncio.wait([task])
        report(loop, task)

    asyncio.run(play())
    assert [str(error) for error in heard] == ["broken"]


def test_a_transport_without_a_peer_has_no_address() -> None:
    """It may be gone already."""
    assert source_of(asyncio.BaseTransport()) == "somebody"
