"""What agreement asks its host to do. Effects are carried out in the order of `take()`.

Nothing here says how: a link is a number the host chose, a transaction is bytes, and whatever takes time is answered
by an input of `Peer`, named with each effect. Every effect that has an answer gets exactly one.
"""

from typing import final

from zoopark.jute.quorum import Notification, QuorumPacket
from zoopark.record import Effect


@final
class Notify(Effect):
    """Send a notification to a server on the election channel; a newer one replaces one that has not left."""

    __slots__ = ("notification", "sid")

    def __init__(self, sid: int, notification: Notification) -> None:
        self.sid = sid
        self.notification = notification


@final
class Dial(Effect):
    """Open a quorum link to a server. Answer: `on_link`, or `on_dial_failed` with its sid."""

    __slots__ = ("sid",)

    def __init__(self, sid: int) -> None:
        self.sid = sid


@final
class CloseLink(Effect):
    """Write what is left to send, then close the link; `why` is one line for the log. No input of it follows."""

    __slots__ = ("link", "why")

    def __init__(self, link: int, why: str) -> None:
        self.link = link
        self.why = why


@final
class Send(Effect):
    """Send packets on a link, in order, at least one. Several links may be given the very same list."""

    __slots__ = ("link", "packets")

    def __init__(self, link: int, packets: list[QuorumPacket]) -> None:
        self.link = link
        self.packets = packets


@final
class SendSnapshot(Effect):
    """Stream the tree as it is right now, at `zxid`, behind the SNAP packet that was sent before."""

    __slots__ = ("link", "zxid")

    def __init__(self, link: int, zxid: int) -> None:
        self.link = link
        self.zxid = zxid


@final
class ReceiveSnapshot(Effect):
    """What follows on the link is a snapshot stream of a tree at `zxid`.

    Answer: `on_snapshot_saved(zxid)` when it is whole, durable and loaded, and nothing that was logged before counts
    any more; or `on_snapshot_lost` when the link ended or was closed before it was whole, or nothing came for
    `idle_ms`: then everything is as if it had never begun.
    """

    __slots__ = ("idle_ms", "link", "zxid")

    def __init__(self, link: int, zxid: int, idle_ms: int) -> None:
        self.link = link
        self.zxid = zxid
        self.idle_ms = idle_ms


@final
class ReadLog(Effect):
    """Read logged transactions for a learner whose last zxid is `from_zxid`.

    Answer: `on_log_read(link, entries)` with all entries from the last one whose zxid is at most `from_zxid` to
    `upto_zxid`; or None if the log does not reach back to such an entry, has a gap, or the files to read are larger
    than `size_factor` times the newest snapshot.
    """

    __slots__ = ("from_zxid", "link", "size_factor", "upto_zxid")

    def __init__(self, link: int, from_zxid: int, upto_zxid: int, size_factor: float) -> None:
        self.link = link
        self.from_zxid = from_zxid
        self.upto_zxid = upto_zxid
        self.size_factor = size_factor


@final
class Append(Effect):
    """Make transactions durable. Answer: `on_logged` with `zxid`, the last one's; it may stand for earlier ones too.

    `entries` holds (zxid, transaction) in order, at least one.
    """

    __slots__ = ("entries", "zxid")

    def __init__(self, entries: list[tuple[int, bytes]], zxid: int) -> None:
        self.entries = entries
        self.zxid = zxid


@final
class Truncate(Effect):
    """Forget every transaction after `zxid`, in the log and in snapshots, and load the tree anew from what is left.

    Answer: `on_truncated(zxid)`. A snapshot that is newer than `zxid` must not be loaded (ZOOKEEPER-4837). If no
    transaction of exactly this zxid is there, the answer is the last one before it that is.
    """

    __slots__ = ("zxid",)

    def __init__(self, zxid: int) -> None:
        self.zxid = zxid


@final
class SaveEpoch(Effect):
    """Make an epoch durable; `name` is "currentEpoch" or "acceptedEpoch". Answer: `on_epoch_saved`. One at a time."""

    __slots__ = ("epoch", "name")

    def __init__(self, name: str, epoch: int) -> None:
        self.name = name
        self.epoch = epoch


@final
class Deliver(Effect):
    """Apply transactions to the tree now: they are committed, in order, (zxid, transaction) each, at least one."""

    __slots__ = ("entries",)

    def __init__(self, entries: list[tuple[int, bytes]]) -> None:
        self.entries = entries


@final
class Replay(Effect):
    """Apply transactions to the tree now as at a start: they are logged, but whether they count is not agreed yet.

    Sent on the way to LOOKING, while nobody is served, so that the tree stands where the log does (ZOOKEEPER-2845).
    A later Truncate or snapshot may take them back.
    """

    __slots__ = ("entries",)

    def __init__(self, entries: list[tuple[int, bytes]]) -> None:
        self.entries = entries


@final
class Became(Effect):
    """The role changed.

    Args:
        state: LOOKING, FOLLOWING, LEADING or OBSERVING of `zoopark.jute.quorum`.
        is_serving: clients may be served: the tree is that of an established epoch.
        leader_sid: whom this member follows, itself if it leads, -1 while LOOKING.
        epoch: the established epoch while serving, else the last one this member has taken part in. A serving leader
            assigns zxids from (epoch, 1) on.
    """

    __slots__ = ("epoch", "is_serving", "leader_sid", "state")

    def __init__(self, state: int, is_serving: bool, leader_sid: int, epoch: int) -> None:
        self.state = state
        self.is_serving = is_serving
        self.leader_sid = leader_sid
        self.epoch = epoch


@final
class Passed(Effect):
    """Packets that are the server's business: REQUEST, REVALIDATE, the payload of a PING, the answer to a SYNC.

    `link` is where they came from, in this order; None for the answer to a sync of the leader's own clients.
    """

    __slots__ = ("link", "packets")

    def __init__(self, link: int | None, packets: list[QuorumPacket]) -> None:
        self.link = link
        self.packets = packets


@final
class Pinged(Effect):
    """The leader asks which sessions were active. Answer: `pong` with the payload, which may be empty."""

    __slots__ = ("link",)

    def __init__(self, link: int) -> None:
        self.link = link


@final
class Note(Effect):
    """One line for the server's log; what a client brings about, at the address `who`, is told of only so often."""

    __slots__ = ("text", "who")

    def __init__(self, text: str, who: str = "") -> None:
        self.text = text
        self.who = who
