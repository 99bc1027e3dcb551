"""A snapshot leaves through a child, and gives up with its link."""

import asyncio
import socket

import pytest

from tests.compat.oracle import free_port
from tests.host.test_links import PATIENCE_S, Post, _info
from tests.tree.test_snapshot import furnished
from zoopark.host.sender import SnapshotSender
from zoopark.jute.quorum import SNAP, QuorumPacket, encode_packet
from zoopark.tree.snapshot import write_stream


@pytest.mark.parametrize("is_broken", [False, True])
def test_a_snapshot_is_sent_whole_or_its_link_ends(is_broken: bool) -> None:
    """The learner takes as long as it likes; a learner that goes away ends the child."""

    async def play() -> None:
        leader = Post(1, {sid: ("127.0.0.1", free_port()) for sid in (1, 2)})
        await leader.open()
        loop = asyncio.get_running_loop()
        big = bytes(1 << 20)
        pieces = [*write_stream(furnished()), *[big] * 20]
        over: asyncio.Queue[SnapshotSender] = asyncio.Queue()
        with socket.create_connection(leader.address, PATIENCE_S) as plug:
            plug.setblocking(False)
            await loop.sock_sendall(plug, encode_packet(_info(2)))
            await leader.hear(2)
            leader.links.send(1, [QuorumPacket(SNAP, 9)])
            sender = SnapshotSender(leader.links.by_number[1], lambda: iter(pieces), over.put_nowait)
            sender.start()
            assert sender.child
            expected = encode_packet(QuorumPacket(SNAP, 9)) + b"".join(pieces)
            came = bytearray()
            while len(came) < (1000 if is_broken else len(expected)):
                came += await asyncio.wait_for(loop.sock_recv(plug, 1 << 16), PATIENCE_S)
            assert expected.startswith(came)
        assert await asyncio.wait_for(over.get(), PATIENCE_S) is sender
        assert sender.child == 0
        assert await leader.hear() == [("lost", 1)]
        leader.close()

    asyncio.run(play())
