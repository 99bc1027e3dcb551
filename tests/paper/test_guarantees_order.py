"""What ZooKeeper's documentation guarantees about order and reads, claim by claim, over one whole server.

Source: programmer's guide, "Consistency Guarantees" and "ZooKeeper Watches"; Hunt, Konar, Junqueira, Reed, "ZooKeeper:
Wait-free coordination for Internet-scale systems", USENIX ATC 2010. The claims are in our words.
"""

from itertools import permutations

from tests.compat import requests as ask
from tests.server.stand import Reply, Stand, greeting
from zoopark import errors
from zoopark.jute import proto

DATA_CHANGED = 3


def datum(reply: Reply) -> bytes:
    """The data of a getData, the path of a create."""
    size = int.from_bytes(reply.body[:4], "big")
    return reply.body[4 : 4 + size]


def test_sequential_consistency_updates_of_a_client_are_applied_in_the_order_it_sent_them() -> None:
    stand = Stand()
    peer = stand.open()
    peer.send(ask.create("/a", b"0"), *(ask.set_data("/a", b"%d" % n) for n in range(1, 6)))
    stand.settle()
    zxids = [reply.zxid for reply in peer.replies()]
    assert zxids == sorted(zxids) and len(set(zxids)) == 6
    assert datum(peer.ask(ask.get_data("/a"))) == b"5"


def test_fifo_client_order_answers_come_in_the_order_of_requests() -> None:
    """Reads between writes too: a read waits for the writes its client sent before it, and sees them."""
    stand = Stand()
    peer = stand.open()
    peer.send(ask.create("/a", b"1"), ask.get_data("/a"), ask.set_data("/a", b"2"), ask.get_data("/a"))
    stand.turn()
    assert peer.replies() == []
    stand.settle()
    replies = peer.replies()
    assert [reply.xid for reply in replies] == [1, 2, 3, 4]
    assert [datum(replies[1]), datum(replies[3])] == [b"1", b"2"]


def test_atomicity_a_transaction_happens_as_a_whole_or_not_at_all() -> None:
    stand = Stand()
    peer = stand.open()
    peer.ask(ask.create("/a"))
    failed = peer.ask(ask.multi(ask.create("/b"), ask.set_data("/a", b"x"), ask.delete("/missing")))
    assert peer.ask(ask.exists("/b")).err == errors.NO_NODE
    assert datum(peer.ask(ask.get_data("/a"))) == b""
    done = peer.ask(ask.multi(ask.create("/b"), ask.set_data("/a", b"x")))
    assert done.zxid == failed.zxid + 1
    assert peer.ask(ask.exists("/b")).err == errors.OK and datum(peer.ask(ask.get_data("/a"))) == b"x"


def test_updates_succeed_or_fail_there_are_no_partial_results() -> None:
    """A refused write leaves nothing behind, although it has a place in the order of all writes."""
    stand = Stand()
    peer = stand.open()
    peer.ask(ask.create("/a", b"1"))
    digest = stand.member.tree.digest
    assert peer.ask(ask.set_data("/a", b"2", version=7)).err == errors.BAD_VERSION
    assert stand.member.tree.digest == digest


def test_single_system_image_a_client_never_goes_back_in_time() -> None:
    """A server that has not seen what the client has seen turns it away."""
    stand = Stand()
    peer = stand.connect()
    peer.raw(greeting(last_zxid=stand.member.tree.last_zxid + 1))
    stand.settle()
    assert peer.why is not None and peer.frames == []


def test_reliability_an_acknowledged_update_is_durable() -> None:
    """No answer leaves before the disk has the write; then every later state holds it until it is overwritten."""
    stand = Stand()
    peer = stand.open()
    peer.send(ask.create("/a", b"1"))
    stand.turn()
    assert peer.replies() == [] and stand.unsynced
    stand.sync()
    stand.turn()
    assert [reply.err for reply in peer.replies()] == [errors.OK]
    assert stand.log[-1][0] == stand.member.tree.last_zxid


def test_no_state_is_shown_that_a_crash_could_take_back() -> None:
    """Reliability, for others: a reader does not see a write that is not durable."""
    stand = Stand()
    writer, reader = stand.open(), stand.open()
    writer.send(ask.create("/a"))
    stand.turn()
    reader.send(ask.exists("/a"))
    stand.turn()
    assert [reply.err for reply in reader.replies()] == [errors.NO_NODE]


def test_reads_are_local_and_wait_for_no_other_client() -> None:
    """Wait-free: however many writes of others wait for the disk, a read is answered."""
    stand = Stand()
    writer, reader = stand.open(), stand.open()
    writer.send(*(ask.create(f"/{n}") for n in range(20)))
    stand.turn()
    reader.send(ask.exists("/"))
    stand.turn()
    assert [reply.err for reply in reader.replies()] == [errors.OK] and len(stand.unsynced) == 20


def test_linearizable_writes_conditional_updates_have_one_winner() -> None:
    """All writes have one order: of several that expect the same version, in any order, the first succeeds alone."""
    for order in permutations(range(3)):
        stand = Stand()
        peers = [stand.open() for _ in range(3)]
        peers[0].ask(ask.create("/a"))
        for at in order:
            peers[at].send(ask.set_data("/a", b"%d" % at, version=0))
        stand.settle()
        won = [at for at in order if peers[at].replies()[-1].err == errors.OK]
        assert won == [order[0]]


def test_timeliness_a_sync_brings_a_client_up_to_all_writes_before_it() -> None:
    """What another client was told before the sync began is seen by the read behind the sync."""
    stand = Stand()
    writer, reader = stand.open(), stand.open()
    writer.ask(ask.create("/a", b"1"))
    reader.send(ask.named(proto.SYNC, "/a"), ask.get_data("/a"))
    stand.settle()
    replies = reader.replies()
    assert replies[0].err == errors.OK and datum(replies[1]) == b"1"


def test_watches_a_client_sees_the_event_before_the_new_state() -> None:
    """The notification of a change precedes every answer that shows it."""
    stand = Stand()
    writer, reader = stand.open(), stand.open()
    writer.ask(ask.create("/a", b"1"))
    reader.ask(ask.get_data("/a", watch=True))
    writer.send(ask.set_data("/a", b"2"))
    stand.settle()
    reader.send(ask.get_data("/a"))
    stand.settle()
    event, answer = reader.replies()
    assert event.is_event() and event.event() == (DATA_CHANGED, "/a")
    assert datum(answer) == b"2"


def test_watches_are_ordered_before_the_reply_to_the_write_that_fires_them() -> None:
    """Events and answers have one order: a client that changes what it watches hears the event first."""
    stand = Stand()
    peer = stand.open()
    peer.ask(ask.create("/a"))
    peer.ask(ask.get_data("/a", watch=True))
    peer.send(ask.set_data("/a", b"2"))
    stand.settle()
    assert [reply.is_event() for reply in peer.replies()] == [True, False]


def test_watches_events_come_in_the_order_of_the_changes() -> None:
    stand = Stand()
    writer, reader = stand.open(), stand.open()
    for name in "abc":
        writer.ask(ask.create(f"/{name}"))
        reader.ask(ask.get_data(f"/{name}", watch=True))
    writer.send(*(ask.set_data(f"/{name}", b"x") for name in "cab"))
    stand.settle()
    assert [reply.event()[1] for reply in reader.replies()] == ["/c", "/a", "/b"]


def test_watches_are_triggered_once() -> None:
    stand = Stand()
    peer = stand.open()
    peer.ask(ask.create("/a"))
    peer.ask(ask.get_data("/a", watch=True))
    peer.send(ask.set_data("/a", b"1"), ask.set_data("/a", b"2"))
    stand.settle()
    assert [reply.is_event() for reply in peer.replies()] == [True, False, False]


def test_versions_every_update_of_the_data_counts_once() -> None:
    """Version numbers tell a client whether what it read is what is there."""
    stand = Stand()
    peer = stand.open()
    peer.ask(ask.create("/a"))
    for version in range(3):
        assert peer.ask(ask.set_data("/a", b"x", version=version)).err == errors.OK
    assert peer.ask(ask.set_data("/a", b"x", version=1)).err == errors.BAD_VERSION


def test_sequence_names_are_unique_and_rise() -> None:
    """A sequential node's number is greater than that of every sibling before it, deleted ones too."""
    stand = Stand()
    peer = stand.open()
    names = []
    for _ in range(3):
        reply = peer.ask(ask.create("/n-", flags=proto.SEQUENTIAL_FLAG))
        names.append(datum(reply).decode())
        peer.ask(ask.delete(names[-1]))
    assert names == ["/n-0000000000", "/n-0000000001", "/n-0000000002"]
