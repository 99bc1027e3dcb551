"""The records that servers exchange: against Apache's bytes (tests/golden/quorum.hex), in any pieces, and spoiled."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zoopark.errors import Malformed
from zoopark.jute import quorum
from zoopark.jute.buffer import I32, I64, Reader
from zoopark.jute.quorum import (
    MAX_ADDRESS_BYTES,
    MAX_IDS,
    MAX_NOTIFICATION_BYTES,
    SNAP,
    ElectionReader,
    LearnerInfo,
    Notification,
    Opening,
    PacketReader,
    QuorumPacket,
    Vote,
    decode_learner_info,
    decode_notification,
    decode_opening,
    decode_packet,
    encode_learner_info,
    encode_notification,
    encode_opening,
    encode_packet,
)
from zoopark.zxid import counter_of

GOLDEN = Path(__file__).parents[1] / "golden" / "quorum.hex"
STATES = ("LOOKING", "FOLLOWING", "LEADING", "OBSERVING")


def golden() -> list[tuple[str, str, str, bytes]]:
    """(channel, sign, name, bytes)."""
    provenance, *lines = GOLDEN.read_text(encoding="utf-8").splitlines()
    assert provenance.startswith("# Apache ZooKeeper 3.9.3")
    rows = [line.split() for line in lines]
    return [(channel, sign, name, bytes.fromhex(data)) for channel, sign, name, data in rows]


ROWS = golden()
PACKETS = [(name, data) for channel, _, name, data in ROWS if channel != "election" and name != "snapshot"]
NOTIFICATIONS = [(name, data) for channel, _, name, data in ROWS if channel == "election" and name != "opening"]
OPENINGS = [data for _, _, name, data in ROWS if name == "opening"]


@pytest.mark.parametrize(("name", "data"), PACKETS, ids=[name for name, _ in PACKETS])
def test_a_packet_of_apache_is_read_and_written_to_the_byte(name: str, data: bytes) -> None:
    reader = Reader(data)
    packet = decode_packet(reader)
    assert (vars(quorum)[name], 0) == (packet.type, reader.rest())
    assert data == encode_packet(packet)


@pytest.mark.parametrize(("name", "data"), NOTIFICATIONS)
def test_a_notification_of_apache_is_read_and_written_to_the_byte(name: str, data: bytes) -> None:
    notification = decode_notification(data[4:])
    assert (STATES[notification.state], 2) == (name, notification.version)
    assert notification.vote.leader in (1, 3)
    assert data == encode_notification(notification)


@pytest.mark.parametrize("data", OPENINGS)
def test_an_opening_of_apache_is_read_and_written_to_the_byte(data: bytes) -> None:
    opening = decode_opening(Reader(data))
    assert (opening.sid, opening.addresses[0][0]) == (3, "127.0.0.1")
    assert data == encode_opening(opening)


def test_the_capture_holds_what_the_protocol_has() -> None:
    """Else the tests above are about less than they seem."""
    joining = {"FOLLOWERINFO", "OBSERVERINFO", "LEADERINFO", "ACKEPOCH", "DIFF", "SNAP", "NEWLEADER", "UPTODATE"}
    at_work = {"REQUEST", "PROPOSAL", "ACK", "COMMIT", "INFORM", "PING", "REVALIDATE", "SYNC"}
    assert {name for name, _ in PACKETS} == joining | at_work
    assert {"LOOKING", "FOLLOWING", "LEADING"} == {name for name, _ in NOTIFICATIONS}


def test_what_apache_says_about_its_configuration() -> None:
    """The config of a notification is text, one line a server and the version."""
    config = decode_notification(next(data for name, data in NOTIFICATIONS if name == "LEADING")[4:]).config
    assert config.startswith(b"server.1=127.0.0.1:")
    assert config.endswith(b"version=0")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (I64.pack(7), LearnerInfo(7, 1, 0)),
        (I64.pack(7) + I32.pack(0x10000), LearnerInfo(7, 0x10000, 0)),
        (I64.pack(7) + I32.pack(0x10000) + I64.pack(9), LearnerInfo(7, 0x10000, 9)),
    ],
)
def test_learners_of_all_ages_say_who_they_are(data: bytes, expected: LearnerInfo) -> None:
    """Servers before 3.5 did not tell the version of their configuration, older ones not even the protocol's."""
    assert expected == decode_learner_info(data)


def test_learner_info_is_written_as_apache_does() -> None:
    first = next(data for name, data in PACKETS if name == "FOLLOWERINFO")
    assert encode_learner_info(LearnerInfo(1)) == decode_packet(Reader(first)).data


@pytest.mark.parametrize("data", [None, b"", bytes(7)])
def test_a_learner_without_a_sid_is_malformed(data: bytes | None) -> None:
    with pytest.raises(Malformed):
        decode_learner_info(data)


VOTE = I32.pack(2) + I64.pack(3) + I64.pack(5 << 32 | 9) + I64.pack(4)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (VOTE, Notification(2, Vote(3, 5 << 32 | 9, 5), 4, 0)),
        (VOTE + I64.pack(6) + b"junk", Notification(2, Vote(3, 5 << 32 | 9, 6), 4, 0)),
        (VOTE + I64.pack(6) + I32.pack(1) + b"junk", Notification(2, Vote(3, 5 << 32 | 9, 6), 4, 1)),
        (VOTE + I64.pack(6) + I32.pack(2) + I32.pack(1) + b"c", Notification(2, Vote(3, 5 << 32 | 9, 6), 4, 2, b"c")),
        (VOTE + I64.pack(6) + I32.pack(2) + I32.pack(0), Notification(2, Vote(3, 5 << 32 | 9, 6), 4, 2)),
    ],
)
def test_notifications_of_all_ages(data: bytes, expected: Notification) -> None:
    """28 bytes have no epoch but that of the zxid, 40 bytes have no version, version 1 has no configuration."""
    assert expected == decode_notification(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        VOTE[:27],
        VOTE + b"\0",
        VOTE + bytes(11),
        VOTE + I64.pack(6) + I32.pack(2) + bytes(2),
        VOTE + I64.pack(6) + I32.pack(2) + I32.pack(-1),
        VOTE + I64.pack(6) + I32.pack(2) + I32.pack(2) + b"c",
    ],
)
def test_a_notification_too_short_for_what_it_says_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode_notification(data)


@pytest.mark.parametrize(
    ("opening", "is_multi", "text"),
    [
        (Opening(3, (("host", 3888), ("other", 1))), False, b"host:3888"),
        (Opening(3, (("host", 3888), ("::1", 1))), True, b"host:3888|[::1]:1"),
    ],
)
def test_the_addresses_of_an_opening(opening: Opening, is_multi: bool, text: bytes) -> None:
    """The second form is only understood since 3.6."""
    data = encode_opening(opening, is_multi)
    assert I64.pack(-65535 if is_multi else -65536) + I64.pack(3) + I32.pack(len(text)) + text == data
    assert opening.addresses[: 2 if is_multi else 1] == decode_opening(Reader(data)).addresses


def test_a_bare_sid_is_an_opening() -> None:
    """Servers before 3.5 begin so."""
    reader = ElectionReader(is_accepted=True)
    assert [Notification(2, Vote(3, 5 << 32 | 9, 5), 4, 0)] == reader.feed(I64.pack(5) + I32.pack(28) + VOTE)
    assert Opening(5, ()) == reader.opening


@pytest.mark.parametrize(
    "data",
    [
        I64.pack(-1),
        I64.pack(-65537),
        I64.pack(-65536) + I64.pack(3) + I32.pack(0),
        I64.pack(-65536) + I64.pack(3) + I32.pack(-1),
        I64.pack(-65536) + I64.pack(3) + I32.pack(MAX_ADDRESS_BYTES + 1),
        *(I64.pack(-65536) + I64.pack(3) + I32.pack(5) + text for text in (b"hosts", b"h:99x", b":9999", b"\xff:123")),
        I64.pack(-65536) + I64.pack(3) + I32.pack(7) + b"h:65536",
        I64.pack(5) + I32.pack(0),
        I64.pack(5) + I32.pack(-1),
        I64.pack(5) + I32.pack(MAX_NOTIFICATION_BYTES + 1),
        I64.pack(5) + I32.pack(27) + VOTE[:27],
    ],
)
def test_a_stranger_on_the_election_port_is_found_out_at_once(data: bytes) -> None:
    """Nobody may have bytes kept for a message that cannot be."""
    with pytest.raises(Malformed):
        ElectionReader(is_accepted=True).feed(data)


HEAD = I32.pack(1) + I64.pack(2)
NO_DATA = HEAD + I32.pack(-1)


@pytest.mark.parametrize(
    "data",
    [
        HEAD + I32.pack(-2) + bytes(4),
        HEAD + I32.pack(101) + bytes(4),
        NO_DATA + I32.pack(-2),
        NO_DATA + I32.pack(MAX_IDS + 1),
        NO_DATA + I32.pack(1) + I32.pack(101),
        NO_DATA + I32.pack(1) + I32.pack(-2),
    ],
)
def test_a_stranger_on_the_quorum_port_is_found_out_at_once(data: bytes) -> None:
    """By the first length that is too great, not when so many bytes have come."""
    with pytest.raises(Malformed):
        PacketReader(max_data_bytes=100).feed(data)


def test_identities_that_come_again_are_those_that_come() -> None:
    """The reader remembers the last ones; others that begin alike are others."""
    ids = [((b"ip", b"1.2.3.4"),), ((b"ip", b"1.2.3.4"), (b"digest", b"a:b")), None, ((b"ip", b"1.2.3.45"),), ()]
    packets = [QuorumPacket(quorum.REQUEST, -1, b"x", authinfo) for authinfo in ids for _ in range(2)]
    assert PacketReader().feed(b"".join(map(encode_packet, packets))) == packets


def test_identities_are_limited_together() -> None:
    """A thousand of two megabytes each would fill the memory."""
    one = I32.pack(2000) + bytes(2000)
    with pytest.raises(Malformed):
        PacketReader().feed(NO_DATA + I32.pack(1000) + 2 * 600 * one)


BUFFERS = st.none() | st.binary(max_size=30)
NUMBERS = st.integers(-(1 << 63), (1 << 63) - 1)
IDS = st.none() | st.lists(st.tuples(BUFFERS, BUFFERS), max_size=3).map(tuple)
NO_ACK_NO_SNAP = st.integers(1, 2) | st.integers(4, 14) | st.integers(16, 19)
ANY_PACKET = st.builds(QuorumPacket, NO_ACK_NO_SNAP, NUMBERS, BUFFERS, IDS)
ZXIDS = st.integers((2 << 32) - 3, (2 << 32) + 6) | st.integers(-2, 6)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    """The data in pieces."""
    ends = sorted({end % (len(data) + 1) for end in at} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(ends)]


@given(st.lists(ANY_PACKET, max_size=6), st.lists(st.integers(0, 500)), st.binary(max_size=15))
def test_packets_come_out_as_they_went_in_whatever_the_pieces(
    packets: list[QuorumPacket], cuts: list[int], tail: bytes
) -> None:
    """TCP has no boundaries; what is not whole yet is kept."""
    data = b"".join(map(encode_packet, packets)) + tail
    for pieces in (cut(data, cuts), [data], [data[at : at + 1] for at in range(len(data))]):
        reader = PacketReader()
        assert packets == [packet for piece in pieces for packet in reader.feed(piece)]
        assert tail == reader.rest()


@given(
    st.lists(st.tuples(st.sampled_from([quorum.ACK, quorum.COMMIT]), ZXIDS), max_size=12),
    st.lists(st.integers(0, 300)),
)
@example([(quorum.ACK, 1)], [])
@example([(quorum.COMMIT, 0), (quorum.ACK, 1)], [])
def test_the_last_of_several_acknowledgements_says_what_they_say(heads: list[tuple[int, int]], cuts: list[int]) -> None:
    """Of proposals, one after the other. The acknowledgement of NEWLEADER, with counter 0, is another matter."""
    sent = [QuorumPacket(kind, zxid) for kind, zxid in heads]
    told = PacketReader().feed(b"".join(map(encode_packet, sent)))
    runs: list[QuorumPacket] = []
    for packet in sent:
        previous = runs[-1] if runs else QuorumPacket(0, 0)
        is_next = packet.zxid == previous.zxid + 1 and counter_of(previous.zxid) != 0 != counter_of(packet.zxid)
        if packet.type == previous.type == quorum.ACK and is_next:
            runs.pop()
        runs.append(packet)
    assert told == runs
    reader = PacketReader()
    in_pieces = [packet for piece in cut(b"".join(map(encode_packet, sent)), cuts) for packet in reader.feed(piece)]
    assert set(told) <= set(in_pieces) <= set(sent)


@given(st.lists(st.integers(0, 500)))
def test_the_stream_behind_a_snap_is_left_alone(cuts: list[int]) -> None:
    """Its first bytes look like packets of absurd lengths."""
    stream, after = b"\x7f" * 40, QuorumPacket(quorum.NEWLEADER, 1 << 32)
    pieces = cut(encode_packet(QuorumPacket(SNAP, 7)) + stream + encode_packet(after), cuts)
    reader = PacketReader()
    packets: list[QuorumPacket] = []
    while not packets:
        packets = reader.feed(pieces.pop(0))
    rest = reader.rest() + b"".join(pieces)
    assert ([QuorumPacket(SNAP, 7)], stream) == (packets, rest[:40])
    assert [after] == reader.feed(rest[40:])


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_are_packets_or_malformed(pieces: list[bytes]) -> None:
    reader = PacketReader(max_data_bytes=20)
    try:
        packets = [packet for piece in pieces for packet in reader.feed(piece)]
    except Malformed:
        return
    assert all(packet.type == SNAP or len(packet.data or b"") <= 20 for packet in packets)
    assert len(reader.rest()) <= sum(map(len, pieces))


ANY_NOTIFICATION = st.builds(
    Notification,
    st.integers(0, 3),
    st.builds(Vote, NUMBERS, NUMBERS, NUMBERS),
    NUMBERS,
    st.just(2),
    st.binary(max_size=40),
)


@given(st.lists(ANY_NOTIFICATION, max_size=4), st.lists(st.integers(0, 300)), st.booleans())
def test_notifications_come_out_as_they_went_in_whatever_the_pieces(
    notifications: list[Notification], cuts: list[int], is_accepted: bool
) -> None:
    """With the opening before them, if the other side dialled."""
    opening = Opening(3, (("host", 3888),))
    data = (encode_opening(opening) if is_accepted else b"") + b"".join(map(encode_notification, notifications))
    for pieces in (cut(data, cuts), [data], [data[at : at + 1] for at in range(len(data))]):
        reader = ElectionReader(is_accepted)
        assert notifications == [one for piece in pieces for one in reader.feed(piece)]
        assert reader.opening == (opening if is_accepted else None)


@given(st.lists(st.binary(max_size=60), max_size=5), st.booleans())
def test_any_bytes_are_notifications_or_malformed(pieces: list[bytes], is_accepted: bool) -> None:
    reader = ElectionReader(is_accepted)
    for piece in pieces:
        try:
            notifications = reader.feed(piece)
        except Malformed:
            return
        assert all(isinstance(one, Notification) for one in notifications)
