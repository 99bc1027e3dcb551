"""The throttles, alone and in a server. Where a line speaks of ZooKeeper, version 3.9.3 was seen to do so."""

from collections.abc import Mapping
from random import Random

import pytest

from tests.compat import requests as ask
from tests.compat import wire
from tests.compat.requests import Request
from tests.server.stand import START, Peer, Stand, greeting
from zoopark import errors
from zoopark.server.config import default_config
from zoopark.server.connection import MAX_OUT_BYTES
from zoopark.server.metrics import Metrics, nothing_known
from zoopark.server.throttles import NEVER, TOO_MANY, ConnectionThrottle, WatchLimit, why_closed
from zoopark.tree.watches import Watches

LONG_MS = "10000000"


def throttle(keys: Mapping[str, str], seed: int = 1) -> ConnectionThrottle:
    full = {f"connection_throttle_{key}": value for key, value in keys.items()}
    return ConnectionThrottle(default_config("/data", full), Random(seed), Metrics(START, nothing_known), 0)


def admitted(bucket: ConnectionThrottle, now_ms: int, count: int, is_renewal: bool = False) -> int:
    return sum(bucket.admits(is_renewal, now_ms) for _ in range(count))


# ---------------------------------------------------------------------- connections


def test_without_tokens_there_is_no_throttle() -> None:
    bucket = throttle({})
    assert admitted(bucket, 0, 10_000) == 10_000
    assert (bucket.metrics.connections_rejected, bucket.metrics.token_deficit.most) == (0, 0)


def test_a_bucket_lets_in_what_it_holds_and_fills_with_time() -> None:
    """A fill time must have passed whole and a bit, as in ZooKeeper; then every part of it counts."""
    bucket = throttle({"tokens": "5", "fill_time": "10", "fill_count": "2"})
    seen = [(now_ms, admitted(bucket, now_ms, 10)) for now_ms in (0, 10, 11, 16, 1000, 1000)]
    assert seen == [(0, 5), (10, 0), (11, 2), (16, 0), (1000, 5), (1000, 0)]
    assert bucket.metrics.connections_rejected == 60 - 12


@pytest.mark.parametrize(
    ("weights", "size", "new", "renewal"),
    [
        ({"global": "3", "local": "1", "renew": "2"}, 30, 10, 15),
        ({"global": "4", "local": "3", "renew": "1"}, 40, 10, 13),
        ({"global": "1", "local": "6", "renew": "9"}, 60, 10, 6),
    ],
)
def test_weights(weights: Mapping[str, str], size: int, new: int, renewal: int) -> None:
    """The size counts new sessions, and nothing is lighter than a local one."""
    keys = {"tokens": "10", "weight_enabled": "true", "fill_time": LONG_MS}
    keys |= {f"{kind}_session_weight": weight for kind, weight in weights.items()}
    bucket, other = throttle(keys), throttle(keys)
    assert (bucket.size, admitted(bucket, 0, 100), admitted(other, 0, 100, is_renewal=True)) == (size, new, renewal)


def test_weights_count_only_when_they_are_switched_on() -> None:
    bucket = throttle({"tokens": "10", "global_session_weight": "5", "fill_time": LONG_MS})
    assert admitted(bucket, 0, 100) == 10


def test_an_empty_bucket_raises_the_drop_probability_and_a_full_one_lowers_it() -> None:
    """One step each freeze time, between 0 and 1."""
    keys = {"tokens": "2", "fill_time": "1000", "freeze_time": "10", "drop_increase": "0.4", "drop_decrease": "0.3"}
    bucket = throttle(keys)
    admitted(bucket, 0, 2)
    seen = []
    for now_ms in (10, 11, 21, 22, 33, 44, 5000, 5010, 5011):
        bucket.tokens = 2 if now_ms >= 5000 else 0
        bucket.admits(False, now_ms)
        seen.append(round(bucket.metrics.drop_probability, 3))
    assert seen == [0.0, 0.4, 0.4, 0.8, 1.0, 1.0, 0.7, 0.7, 0.4]


def test_chance_drops_its_share() -> None:
    """At a probability of a half, half of those are dropped who would find a token."""
    keys = {"tokens": "1000", "freeze_time": "10", "drop_increase": "0.5", "decrease_ratio": "0", "fill_time": LONG_MS}
    bucket = throttle(keys)
    admitted(bucket, 0, 1000)
    bucket.admits(False, 11)
    bucket.tokens = 1000
    assert 200 < admitted(bucket, 12, 500) < 300


def test_a_throttled_client_is_closed_without_a_word() -> None:
    """What Apache counts meanwhile is counted too: those let in, and what they left in the bucket."""
    stand = Stand({"connection_throttle_tokens": "2", "connection_throttle_fill_time": LONG_MS})
    first = stand.open()
    stand.open()
    late = stand.connect()
    late.raw(greeting())
    back = stand.connect()
    back.raw(greeting(first.session_id, wire.session_password(first.session_id)))
    stand.settle()
    assert (late.frames, back.frames) == ([], [])
    assert late.why == back.why == "no token is left (connection_throttle_tokens)"
    metrics = stand.member.metrics
    deficit = metrics.token_deficit
    assert (metrics.connections_rejected, metrics.connection_requests, metrics.sessions_renewed) == (2, 2, 0)
    assert (deficit.count, deficit.most, deficit.sum) == (2, 2, 3)
    assert first.why is None


# ---------------------------------------------------------------------- large requests

LARGE = {"largeRequestThreshold": "1000", "largeRequestMaxBytes": "3000"}


def sized(frame_bytes: int) -> Request:
    """A setData whose frame says it has this length."""
    return ask.set_data("/x", b"z" * (frame_bytes - 8 - len(ask.plain(ask.set_data("/x", b"")))))


def opened(stand: Stand) -> Peer:
    peer = stand.open()
    peer.ask(ask.create("/x"))
    peer.replies()
    return peer


@pytest.mark.parametrize(
    ("frame_bytes", "keys", "is_closed"),
    [
        (1000, LARGE, False),
        (3000, LARGE, False),
        (3001, LARGE, True),
        (3001, {**LARGE, "largeRequestThreshold": "0"}, False),
        (3001, {**LARGE, "largeRequestThreshold": "-1"}, False),
        (3001, {**LARGE, "largeRequestThreshold": "3001"}, False),
        (3001, {**LARGE, "largeRequestThreshold": "3000"}, True),
    ],
)
def test_one_request_larger_than_all_large_ones_may_be(
    frame_bytes: int, keys: Mapping[str, str], is_closed: bool
) -> None:
    """In one piece, or as soon as its length has been read."""
    for piece_bytes in (1 << 20, 100):
        stand = Stand(keys)
        peer = opened(stand)
        data = peer.encode(sized(frame_bytes))
        for start in range(0, len(data), piece_bytes):
            peer.raw(data[start : start + piece_bytes])
            stand.settle()
        assert (peer.why is not None, len(peer.frames)) == (is_closed, int(not is_closed))
        assert stand.member.metrics.large_rejected == int(is_closed)


def test_large_requests_add_up_until_they_are_applied() -> None:
    """Of several connections; small ones pass, and so does a large one once the disk is done."""
    stand = Stand(LARGE)
    first, second, third = (opened(stand) for _ in range(3))
    first.send(sized(2000))
    second.send(sized(900))
    third.send(sized(2000))
    stand.turn()
    assert (first.why, second.why, third.why is None) == (None, None, False)
    stand.sync()
    stand.settle()
    second.send(sized(2000))
    stand.settle()
    assert [(reply.xid, reply.err) for reply in second.replies()] == [(2, errors.OK), (3, errors.OK)]
    assert [reply.err for reply in first.replies()] == [errors.OK]


def test_large_requests_of_a_connection_that_is_gone_still_count() -> None:
    """They lie in the server until the disk has them."""
    stand = Stand(LARGE)
    first, second = opened(stand), opened(stand)
    first.send(sized(2000))
    stand.drop(first)
    second.send(sized(2000))
    stand.turn()
    assert second.why is not None


def test_large_reads_in_turn() -> None:
    """Answered as they come, they are never in the server together."""
    stand = Stand(LARGE)
    peer = opened(stand)
    peer.send(*[ask.multi(*[ask.get_data("/x")] * 100, opcode=wire.MULTI_READ)] * 5)
    assert ([reply.err for reply in peer.replies()], peer.why) == ([errors.OK] * 5, None)


# ---------------------------------------------------------------------- requests in the server

FEW = {"request_throttle_max_requests": "2"}
MIXED = (*(ask.set_data("/x", b"1"), ask.get_data("/x"), ask.ping()) * 5, ask.exists("/x"))


def drive(stand: Stand, peer: Peer) -> None:
    """Turns of a host that goes on with what is held back, until nothing moves."""
    stand.settle()
    while peer.connection.is_held and peer.why is None:
        peer.connection.on_written(stand.now)
        peer.receive(peer.connection.take_out())
        assert stand.member.has_effects() or not peer.connection.is_stalled
        stand.settle()


def test_no_more_requests_than_may_be_in_the_server() -> None:
    """The rest lies unread, the host stops reading, and everything is answered in order."""
    for piece_bytes in (1 << 20, 7):
        stand = Stand(FEW)
        peer = opened(stand)
        data = b"".join(map(peer.encode, MIXED))
        for start in range(0, len(data), piece_bytes):
            peer.raw(data[start : start + piece_bytes])
            assert len(stand.member.pipeline.pending) + len(peer.connection.waiting) <= 2
        assert (peer.connection.is_stalled, peer.connection.has_much_to_do()) == (True, True)
        drive(stand, peer)
        replies = peer.replies()
        assert [reply.err for reply in replies] == [errors.OK] * len(MIXED)
        xids = [reply.xid for reply in replies if reply.xid > 0]
        assert (xids, len(xids)) == (sorted(xids), 11)
        assert stand.member.metrics.throttle_waits == 1


def test_requests_of_others_wait_too() -> None:
    """In ZooKeeper all of them stand in one line. Here a getData whose answer lies ready passes them."""
    stand = Stand(FEW)
    busy, reader = opened(stand), opened(stand)
    busy.send(*[ask.set_data("/x", b"1")] * 10)
    reader.send(ask.exists("/x"))
    assert (reader.replies(), reader.connection.is_stalled) == ([], True)
    drive(stand, busy)
    drive(stand, reader)
    assert [reply.err for reply in reader.replies()] == [errors.OK]


def test_a_request_that_waited_too_long_is_refused_in_its_turn() -> None:
    """But a ping is no request, and a session may always be closed."""
    stand = Stand({**FEW, "throttled_op_wait_time": "50"})
    peer = opened(stand)
    one = ask.set_data("/x", b"1")
    peer.send(one, one, one, ask.get_data("/x"), ask.ping(), ask.close_session())
    stand.move_clock(stand.now.mono_ms + 51)
    drive(stand, peer)
    expected = [errors.OK, errors.OK, errors.THROTTLED_OP, errors.THROTTLED_OP, errors.OK, errors.OK]
    replies = peer.replies()
    assert [reply.err for reply in replies] == expected
    assert replies[2].zxid == replies[1].zxid
    assert (stand.member.metrics.throttled_ops, peer.why) == (2, "the client closed its session")


@pytest.mark.parametrize(("wait_ms", "n_refused"), [("50", 0), ("49", 1), ("0", 0)])
def test_how_long_is_too_long(wait_ms: str, n_refused: int) -> None:
    stand = Stand({**FEW, "throttled_op_wait_time": wait_ms})
    peer = opened(stand)
    peer.send(*[ask.set_data("/x", b"1")] * 3)
    stand.move_clock(stand.now.mono_ms + 50)
    drive(stand, peer)
    assert [reply.err for reply in peer.replies()].count(errors.THROTTLED_OP) == n_refused


@pytest.mark.parametrize(
    ("keys", "is_closed"),
    [
        ({"request_stale_latency_check": "true"}, True),
        ({"request_stale_latency_check": "true", "request_throttle_drop_stale": "false"}, False),
        ({}, False),
    ],
)
def test_requests_older_than_their_session_may_be(keys: Mapping[str, str], is_closed: bool) -> None:
    """A client that has given up need not be served."""
    stand = Stand({**FEW, **keys})
    peer = opened(stand)
    peer.send(*[ask.set_data("/x", b"1")] * 3)
    stand.turn()
    stand.move_clock(stand.now.mono_ms + peer.connection.timeout_ms + 1)
    drive(stand, peer)
    assert ("request_stale_latency_check" in (peer.why or ""), len(peer.frames)) == (is_closed, 2 if is_closed else 3)
    assert stand.member.metrics.stale_dropped == int(is_closed)


def test_a_connection_that_is_gone_takes_along_what_waited() -> None:
    stand = Stand(FEW)
    peer = opened(stand)
    peer.send(*[ask.create("/x/n", flags=2)] * 10)
    stand.drop(peer)
    stand.settle()
    assert len(stand.member.tree.nodes[b"/x"].children or ()) == 2


# ---------------------------------------------------------------------- what one client may pile up


def test_watches_of_one_connection_have_an_end() -> None:
    """Its watches go with it; another connection may have as many."""
    stand = Stand({"maxClientWatches": "100"})
    greedy, modest = opened(stand), opened(stand)
    modest.send(*(ask.exists(f"/{number}", watch=True) for number in range(100)))
    stand.settle()
    for number in range(1000):
        greedy.send(ask.exists(f"/{number}", watch=True))
        stand.settle()
    assert (modest.why, greedy.why) == (None, "too many watches (maxClientWatches)")
    assert len(greedy.frames) <= 102
    assert stand.member.tree.watches.n_watches() == 100


def test_set_watches_cannot_get_around_it() -> None:
    stand = Stand({"maxClientWatches": "100"})
    peer = opened(stand)
    exist = [wire.string(f"/{number}") for number in range(101)]
    peer.send(ask.raw(wire.SET_WATCHES, wire.i64(0) + b"".join(map(wire.vector, ([], exist, [])))))
    stand.settle()
    assert (peer.why, stand.member.tree.watches.n_watches()) == ("too many watches (maxClientWatches)", 0)


def test_when_watches_are_counted_again() -> None:
    """Soon enough: a request adds at most two."""
    watches = Watches()
    limit = WatchLimit(default_config("/data", {"maxClientWatches": "10"}), watches)
    seen = [limit.next_look(1, 7)]
    for number in range(11):
        watches.data.add(b"/%d" % number, 1, 1)
        seen.append(limit.next_look(1, 7))
    assert seen == [13, 12, 12, 11, 11, 10, 10, 9, 9, 8, 8, TOO_MANY]
    assert limit.next_look(2, 7) == 13
    assert WatchLimit(default_config("/data", {"maxClientWatches": "0"}), watches).next_look(1, 7) == NEVER


def test_identities_of_one_connection_have_an_end() -> None:
    stand = Stand()
    peer = opened(stand)
    sent = 0
    while peer.why is None and sent < 2000:
        sent += 1
        peer.send(ask.auth("digest", f"user{sent}:x".encode()))
        stand.settle()
    assert (sent, peer.why) == (100, "more than 100 identities, or 65536 bytes of them")


def test_identities_have_an_end_in_bytes_too() -> None:
    stand = Stand()
    peer = opened(stand)
    peer.send(ask.auth("digest", b"u" * 65_536 + b":x"))
    stand.settle()
    assert peer.why == "more than 100 identities, or 65536 bytes of them"


def test_nobody_is_admitted_where_sasl_is_required() -> None:
    """A switch for security that is not there yet must not let everybody in."""
    stand = Stand({"sessionRequireClientSASLAuth": "true"})
    peer = opened(stand)
    peer.send(ask.create("/a"))
    stand.settle()
    assert peer.why is not None
    assert b"/a" not in stand.member.tree.nodes


def test_reads_that_visit_many_nodes_let_others_have_their_turn() -> None:
    """A frame of 18 bytes may cost as much as megabytes do."""
    stand = Stand()
    peer = opened(stand)
    peer.send(*[ask.raw(wire.GET_ALL_CHILDREN_NUMBER, wire.string("/zookeeper"))] * 50)
    assert not peer.connection.is_held
    peer.connection.out_bytes = MAX_OUT_BYTES
    peer.send(*[ask.raw(wire.GET_ALL_CHILDREN_NUMBER, wire.string("/zookeeper"))] * 50)
    assert peer.connection.is_held


def test_setting_the_empty_path_leaves_the_root_as_it_is_prepared() -> None:
    """The root has a second name; looking it up under that one must not bring back what was there before."""
    stand = Stand()
    peer = opened(stand)
    peer.send(ask.create("/s-", flags=2), ask.set_data("", b"x"), ask.create("/s-", flags=2))
    stand.settle()
    assert len([path for path in stand.member.tree.nodes if path.startswith(b"/s-")]) == 2
    assert stand.member.preparer.view.digest == stand.member.tree.digest


def test_the_same_identity_again_is_none_more() -> None:
    stand = Stand()
    peer = opened(stand)
    for _ in range(1500):
        peer.send(ask.auth("digest", b"user:x"))
    assert (peer.why, len(peer.connection.identities)) == (None, 2)


def test_small_answers_are_held_back_too() -> None:
    """A client that asks for much in few bytes and does not read cannot have the server pile up answers."""
    stand = Stand()
    peer = opened(stand)
    peer.ask(ask.set_data("/x", b"z" * 1000))
    peer.connection.on_bytes(b"".join(map(peer.encode, [ask.exists("/"), *[ask.get_data("/x")] * 20_000])), stand.now)
    assert sum(map(len, peer.connection.out)) < 6 << 20
    assert peer.connection.has_much_to_do()


def test_a_verdict_that_closes_says_why() -> None:
    assert [bool(why_closed(verdict)) for verdict in range(6)] == [False, False, False, False, True, True]
