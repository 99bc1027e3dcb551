"""What servers say to each other: packets between a leader and its learners, and notifications of an election.

    QuorumPacket   i32 type | i64 zxid | buffer data | vector<Id> authinfo   streamed, no length in front
    Id             string scheme | string id
    LearnerInfo    i64 sid | i32 protocol version | i64 config version                data of FOLLOWERINFO, OBSERVERINFO

    Opening        i64 protocol | i64 sid | i32 length | "host:port", several joined by "|" if the protocol is -65535
                   an i64 of 0 or more is a sid alone, from a server before 3.5
    Notification   i32 length, then as many bytes:
        0  i32 state of the sender            28  i64 peerEpoch, absent in 28 bytes: the epoch of the zxid
        4  i64 sid of the proposed leader     36  i32 version, absent in 40 bytes: 0
       12  i64 zxid of the proposed leader    40  i32 length of the config, if the version is 2 or more
       20  i64 electionEpoch, the round       44  the config's text

Source: ZooKeeper's zookeeper.jute, module org.apache.zookeeper.server.quorum, and QuorumCnxManager, FastLeaderElection.
Never trusts a length: anybody may open these ports, so each has a limit, and bytes beyond it are Malformed.
No class here is a Record: compiled, a class has no slots to compare.
"""

from struct import Struct
from typing import Final, NamedTuple, TypeAlias, final

from mypy_extensions import mypyc_attr

from zoopark.errors import Malformed
from zoopark.jute.buffer import I32, I64, NULL, Reader, pack_buffer, pack_vector
from zoopark.jute.framing import LENGTH_BYTES, Pieces
from zoopark.zxid import counter_of, epoch_of

REQUEST: Final = 1
PROPOSAL: Final = 2
ACK: Final = 3
COMMIT: Final = 4
PING: Final = 5
REVALIDATE: Final = 6
SYNC: Final = 7
INFORM: Final = 8
COMMITANDACTIVATE: Final = 9
NEWLEADER: Final = 10
FOLLOWERINFO: Final = 11
UPTODATE: Final = 12
DIFF: Final = 13
TRUNC: Final = 14
SNAP: Final = 15
OBSERVERINFO: Final = 16
LEADERINFO: Final = 17
ACKEPOCH: Final = 18
INFORMANDACTIVATE: Final = 19

LOOKING: Final = 0
FOLLOWING: Final = 1
LEADING: Final = 2
OBSERVING: Final = 3

PROTOCOL_VERSION: Final = 0x10000
"""Of the learner protocol, in LearnerInfo and in LEADERINFO."""
OLDEST_PROTOCOL_VERSION: Final = 1
"""Of a learner that does not say."""
NOTIFICATION_VERSION: Final = 2
MAX_DATA_BYTES: Final = 2 * 0xFFFFF
"""jute.maxbuffer and as much again, the limit of a field between ZooKeeper's servers."""
MAX_IDS: Final = 1024
MAX_AUTHINFO_BYTES: Final = 1 << 20
MAX_NOTIFICATION_BYTES: Final = 512 * 1024
MAX_ADDRESS_BYTES: Final = 2048

Id: TypeAlias = tuple[bytes | None, bytes | None]
"""(scheme, id)."""

_TYPE_ZXID: Final = Struct(">iq")
_NO_DATA: Final = Struct(">iqii")
_TYPE_ZXID_SIZE: Final = Struct(">iqi")
_SMALLEST_BYTES: Final = 20
_NO_ACK: Final = -1


@final
@mypyc_attr(acyclic=True)
class QuorumPacket:
    """One packet between a leader and a learner. Compared like a Record; not one, so that it is compiled whole: several
    of them are made for every write.

    Args:
        type: one of the numbers above; others may come.
        zxid: what it means depends on the type.
        data: None is the null buffer.
        authinfo: the client's identities in a REQUEST; None is the null vector.
    """

    __slots__ = ("authinfo", "data", "type", "zxid")

    def __init__(self, type: int, zxid: int, data: bytes | None = None, authinfo: tuple[Id, ...] | None = None) -> None:
        self.type = type
        self.zxid = zxid
        self.data = data
        self.authinfo = authinfo

    def __eq__(self, other: object) -> bool:
        return isinstance(other, QuorumPacket) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        return f"QuorumPacket(type={self.type}, zxid={self.zxid}, data={self.data!r}, authinfo={self.authinfo!r})"

    def _values(self) -> tuple[int, int, bytes | None, "tuple[Id, ...] | None"]:
        return self.type, self.zxid, self.data, self.authinfo


def encode_packet(packet: QuorumPacket) -> bytes:
    """The packet as it is streamed."""
    data, authinfo = packet.data, packet.authinfo
    if authinfo is not None:
        ids = pack_vector([pack_buffer(scheme) + pack_buffer(name) for scheme, name in authinfo])
        return _TYPE_ZXID.pack(packet.type, packet.zxid) + pack_buffer(data) + ids
    if data is None:
        return _NO_DATA.pack(packet.type, packet.zxid, -1, -1)
    return _TYPE_ZXID_SIZE.pack(packet.type, packet.zxid, len(data)) + data + NULL


def decode_packet(reader: Reader) -> QuorumPacket:
    """The packet that the reader stands before; Malformed if it is not whole."""
    kind, zxid, data, count = reader.i32(), reader.i64(), reader.buffer(), reader.i32()
    if count == -1:
        return QuorumPacket(kind, zxid, data)
    if not 0 <= count <= MAX_IDS:
        raise Malformed(f"{count} identities in a packet")
    return QuorumPacket(kind, zxid, data, tuple([(reader.string(), reader.string()) for _ in range(count)]))


@final
class PacketReader:
    """Cuts the bytes of one quorum link into packets.

    A SNAP is followed by the stream of a snapshot, which is no packet: `feed` stops behind a SNAP, `rest` hands over
    what has come of the snapshot, and what is left behind the snapshot's end is fed again.

    Args:
        max_data_bytes: the largest data, and the largest identity, that is not Malformed.
    """

    __slots__ = ("_authinfo", "_ids", "_max_data_bytes", "_pieces", "_wanted_bytes")

    def __init__(self, max_data_bytes: int = MAX_DATA_BYTES) -> None:
        self._max_data_bytes = max_data_bytes
        self._pieces = Pieces()
        self._wanted_bytes = _SMALLEST_BYTES
        # Most requests come from few clients: what the last identities were read from, and what they are.
        self._ids = NULL
        self._authinfo: tuple[Id, ...] | None = None

    def feed(self, data: bytes) -> list[QuorumPacket]:
        """All packets that are whole now, none behind a SNAP. Raises Malformed: the link is of no more use.

        Of acknowledgements of proposals without anything between them only the last is told: it says what they say.
        """
        pieces = self._pieces
        pieces.add(data)
        if pieces.size_bytes < self._wanted_bytes:
            return []
        self._wanted_bytes = _SMALLEST_BYTES
        whole, at, limit = pieces.take(), 0, self._max_data_bytes
        size = len(whole)
        packets: list[QuorumPacket] = []
        kind, acked_zxid = 0, _NO_ACK
        while kind != SNAP and size - at >= _SMALLEST_BYTES:
            kind, zxid, length = _TYPE_ZXID_SIZE.unpack_from(whole, at)
            end = at + 16 + (length if length > 0 else 0)
            is_ack = kind == ACK and counter_of(zxid) != 0  # 0: of NEWLEADER
            if is_ack and zxid == acked_zxid + 1 and length == -1 and whole.startswith(NULL, end):
                packets[-1].zxid = acked_zxid = zxid
                at = end + 4
                continue
            acked_zxid = zxid if is_ack else _NO_ACK
            if -1 <= length <= limit and whole.startswith(NULL, end):  # nearly all packets: no identities
                packets.append(QuorumPacket(kind, zxid, whole[at + 16 : end] if length >= 0 else None, None))
                at = end + 4
            elif -1 <= length <= limit and whole.startswith(self._ids, end):
                request = whole[at + 16 : end] if length >= 0 else None
                packets.append(QuorumPacket(kind, zxid, request, self._authinfo))
                at = end + len(self._ids)
            elif self._is_whole(whole, at):
                self._wanted_bytes = _SMALLEST_BYTES
                reader = Reader(whole, at, limit)
                packet = decode_packet(reader)
                packets.append(packet)
                self._ids, self._authinfo = whole[end : reader.position], packet.authinfo
                at = reader.position
            else:
                break
        pieces.add(whole[at:])
        return packets

    def rest(self) -> bytes:
        """What was fed and belongs to no packet that `feed` returned; it is forgotten here."""
        self._wanted_bytes = _SMALLEST_BYTES
        return self._pieces.take()

    def _is_whole(self, data: bytes, at: int) -> bool:
        """Whether the packet at `at`, whose length is there, is whole; if not, notes how many bytes it needs."""
        size = len(data) - at
        end = 16 + self._length(data, at + 12)
        if size >= end + 4 and data.startswith(NULL, at + end):
            return True
        self._wanted_bytes = end + 4
        return size >= end + 4 and self._has_ids(data, at, end)

    def _has_ids(self, data: bytes, at: int, end: int) -> bool:
        """Whether the identities, whose count is at `at` + `end`, are all there."""
        count = int(I32.unpack_from(data, at + end)[0])
        if not 0 <= count <= MAX_IDS:
            raise Malformed(f"{count} identities in a packet")
        start, end = end, end + 4
        for _ in range(2 * count):
            if len(data) - at < end + 4:
                self._wanted_bytes = end + 4
                return False
            end += 4 + self._length(data, at + end)
            if end - start > MAX_AUTHINFO_BYTES:
                raise Malformed("identities too long")
        self._wanted_bytes = end
        return len(data) - at >= end

    def _length(self, data: bytes, at: int) -> int:
        length = int(I32.unpack_from(data, at)[0])
        if not -1 <= length <= self._max_data_bytes:
            raise Malformed(f"unreasonable length {length} of a field")
        return max(length, 0)


class LearnerInfo(NamedTuple):
    """Who a learner is.

    Args:
        sid: its server id.
        protocol_version: PROTOCOL_VERSION, or OLDEST_PROTOCOL_VERSION if it did not say.
        config_version: the version of the last configuration it knows; 0 if it did not say.
    """

    sid: int
    protocol_version: int = PROTOCOL_VERSION
    config_version: int = 0


_LEARNER_INFO: Final = Struct(">qiq")


def encode_learner_info(info: LearnerInfo) -> bytes:
    """20 bytes."""
    return _LEARNER_INFO.pack(info.sid, info.protocol_version, info.config_version)


def decode_learner_info(data: bytes | None) -> LearnerInfo:
    """The data of FOLLOWERINFO or OBSERVERINFO: 20 bytes, or 8 or 12 from older servers. Raises Malformed for less."""
    reader = Reader(data or b"")
    sid = reader.i64()
    protocol_version = reader.i32() if reader.rest() >= 4 else OLDEST_PROTOCOL_VERSION
    return LearnerInfo(sid, protocol_version, reader.i64() if reader.rest() >= 8 else 0)


class Vote(NamedTuple):
    """Whom a server would follow.

    Args:
        leader: sid of the proposed leader.
        zxid: the last zxid the proposed leader has logged; -1 before its database is loaded.
        peer_epoch: the current epoch of the proposed leader.
    """

    leader: int
    zxid: int
    peer_epoch: int


class Notification(NamedTuple):
    """One message of the election channel.

    Args:
        state: of the sender: LOOKING, FOLLOWING, LEADING or OBSERVING; other numbers may come.
        vote: whom it would follow, or follows.
        round: the sender's logical clock (electionEpoch); of the vote it follows by, if it is not LOOKING.
        version: NOTIFICATION_VERSION; 0 and 1 from older servers.
        config: the text of its committed configuration, if its version is 2 or more.
    """

    state: int
    vote: Vote
    round: int
    version: int = NOTIFICATION_VERSION
    config: bytes = b""


_NOTIFICATION: Final = Struct(">iqqqqii")
_STATE_AND_VOTE: Final = Struct(">iqqq")


def encode_notification(notification: Notification) -> bytes:
    """The notification with its length in front, in the form of version 2, which all servers since 3.5 read."""
    vote, config = notification.vote, notification.config
    fixed = _NOTIFICATION.pack(
        notification.state,
        vote.leader,
        vote.zxid,
        notification.round,
        vote.peer_epoch,
        NOTIFICATION_VERSION,
        len(config),
    )
    assert len(fixed) + len(config) <= MAX_NOTIFICATION_BYTES, len(config)
    return I32.pack(len(fixed) + len(config)) + fixed + config


def decode_notification(data: bytes) -> Notification:
    """A notification of any version without its length; Malformed if it is too short for its version."""
    size = len(data)
    if size < _STATE_AND_VOTE.size:
        raise Malformed(f"a notification of {size} bytes")
    state, leader, zxid, round_ = _STATE_AND_VOTE.unpack_from(data)
    if size == 28:
        return Notification(state, Vote(leader, zxid, epoch_of(zxid)), round_, 0)
    reader = Reader(data, 28)
    vote = Vote(leader, zxid, reader.i64())
    version = reader.i32() if size != 40 else 0
    config = reader.buffer() if version > 1 else b""
    if config is None:
        raise Malformed("a notification with a null config")
    return Notification(state, vote, round_, version, config)


_V1: Final = -65536
_V2: Final = -65535

Address: TypeAlias = tuple[str, int]
"""(host, port); an IPv6 host without its brackets."""


class Opening(NamedTuple):
    """The first message on an election link, from the side that dialled.

    Args:
        sid: of the dialler; 2**63-1 is an observer without one.
        addresses: where its election port can be reached; none from servers before 3.5.
    """

    sid: int
    addresses: tuple[Address, ...]


def encode_opening(opening: Opening, is_multi_address: bool = False) -> bytes:
    """The opening with its first address, or with all of them, which servers before 3.6 do not understand."""
    addresses = opening.addresses if is_multi_address else opening.addresses[:1]
    text = "|".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in addresses).encode()
    assert 1 <= len(text) <= MAX_ADDRESS_BYTES, text
    return I64.pack(_V2 if is_multi_address else _V1) + I64.pack(opening.sid) + pack_buffer(text)


def decode_opening(reader: Reader) -> Opening:
    """The opening that the reader stands before; Malformed if it is not whole."""
    protocol = reader.i64()
    if protocol >= 0:
        return Opening(protocol, ())
    if protocol not in (_V1, _V2):
        raise Malformed(f"unknown election protocol {protocol}")
    sid = reader.i64()
    text = reader.buffer()
    if not text or len(text) > MAX_ADDRESS_BYTES:
        raise Malformed("an unreasonable length of an address")
    return Opening(sid, tuple([_address(part) for part in text.split(b"|")]))


def _address(text: bytes) -> Address:
    host, colon, port = text.rpartition(b":")
    if host.startswith(b"[") and host.endswith(b"]"):
        host = host[1:-1]
    if not (host and colon and 1 <= len(port) <= 5 and port.isdigit() and int(port) <= 0xFFFF):
        raise Malformed(f"not an address: {text!r}")
    try:
        return host.decode(), int(port)
    except UnicodeDecodeError as error:
        raise Malformed(f"not an address: {text!r}") from error


@final
class ElectionReader:
    """Cuts the bytes of one election link into its opening and notifications.

    Args:
        is_accepted: whether the other side dialled, so that its opening comes first.
    """

    __slots__ = ("_is_accepted", "_pieces", "opening")

    def __init__(self, is_accepted: bool) -> None:
        self._is_accepted = is_accepted
        self._pieces = Pieces()
        self.opening: Opening | None = None
        """What the other side opened with, once it is whole."""

    def feed(self, data: bytes) -> list[Notification]:
        """All notifications that are whole now. Raises Malformed: the link is of no more use."""
        self._pieces.add(data)
        if self._is_accepted and self.opening is None and not self._open():
            return []
        if not self._pieces.has_frame(MAX_NOTIFICATION_BYTES):
            return []
        notifications: list[Notification] = []
        data, at = self._pieces.take(), 0
        while (end := _frame_end(data, at)) <= len(data):
            notifications.append(decode_notification(data[at + LENGTH_BYTES : end]))
            at = end
        self._pieces.add(data[at:])
        return notifications

    def _open(self) -> bool:
        data = self._pieces.take()
        size = _opening_size(data)
        self._pieces.add(data[size:] if len(data) >= size else data)
        if len(data) < size:
            return False
        self.opening = decode_opening(Reader(data[:size]))
        return True


def _frame_end(data: bytes, at: int) -> int:
    """Where the frame at `at` ends; behind the data if its length is not there yet."""
    if len(data) - at < LENGTH_BYTES:
        return at + LENGTH_BYTES
    length = int(I32.unpack_from(data, at)[0])
    if not 1 <= length <= MAX_NOTIFICATION_BYTES:
        raise Malformed(f"a notification of {length} bytes")
    return at + LENGTH_BYTES + length


def _opening_size(data: bytes) -> int:
    """How many bytes the opening takes that `data` begins with; more than there are if that cannot be known yet."""
    if len(data) < 8:
        return 8
    if data[0] < 0x80:
        return 8
    if int(I64.unpack_from(data)[0]) not in (_V1, _V2):
        raise Malformed("an unknown election protocol")
    if len(data) < 20:
        return 20
    length = int(I32.unpack_from(data, 16)[0])
    if not 1 <= length <= MAX_ADDRESS_BYTES:
        raise Malformed(f"an address of {length} bytes")
    return 20 + length
