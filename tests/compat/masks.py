"""Answers of a server as text that is equal for equal behaviour.

What two right servers may do differently is written relative to the run; everything else is shown to the last byte:

    zxid           <k.n>: the n-th transaction of step k; "old" for one from before the run
    ctime, mtime   "t" when equal to the first time that was seen for the same zxid and within the step's wall clock
    session ids    the order in which the run saw them; the password as right or wrong
    children, ephemerals, who-am-i     sorted: ZooKeeper keeps them in hash sets and promises no order
    ACL entries    sorted among neighbours of equal permissions: what `auth` expands to comes from a hash set

A record that is not what its opcode promises is shown as hex, so nothing is lost.
"""

from bisect import bisect_left
from collections.abc import Callable
from itertools import groupby
from typing import Final

from tests.compat import wire
from tests.compat.wire import Reader, ShortError

CLOCK_SLACK_MS: Final = 50
NEVER: Final = (0, -1)


class Masks:
    """What is known of one server's zxids, times and sessions during one run.

    Args:
        zxid: the server's last zxid at the start of the run.
    """

    def __init__(self, zxid: int) -> None:
        self.marks = [zxid]
        self.sessions: dict[int, str] = {}
        self._times: dict[int, int] = {}
        self.wall_ms = (0, 0)

    def end_step(self, zxid: int) -> None:
        """The step that begins now ended with this zxid at the server."""
        self.marks.append(max(zxid, self.marks[-1]))

    def zxid(self, value: int) -> str:
        if value in NEVER:
            return str(value)
        if value <= self.marks[0]:
            return "old"
        step = bisect_left(self.marks, value)
        return f"<{step}.{value - self.marks[step - 1]}>" if step < len(self.marks) else f"<+{value - self.marks[-1]}>"

    def time(self, value_ms: int, zxid: int) -> str:
        if zxid <= self.marks[0] or value_ms in NEVER:
            return "t" if value_ms else "0"
        first = self._times.setdefault(zxid, value_ms)
        if first != value_ms:
            return f"another time than that of {self.zxid(zxid)}"
        step = bisect_left(self.marks, zxid)
        started_ms, ended_ms = self.wall_ms
        if step == len(self.marks) - 1 and not started_ms - CLOCK_SLACK_MS <= value_ms <= ended_ms + CLOCK_SLACK_MS:
            return f"{value_ms - started_ms} ms off"
        return "t"

    def session(self, session_id: int) -> str:
        if session_id in NEVER:
            return str(session_id)
        return self.sessions.get(session_id, f"unknown session of server {session_id >> 56 & 0xFF}")


def connect_reply(payload: bytes, masks: Masks) -> tuple[str, int]:
    """A ConnectResponse as text, and its session id (0 when refused or unreadable)."""
    reader = Reader(payload)
    try:
        version, timeout_ms, session_id, password = reader.i32(), reader.i32(), reader.i64(), reader.buf()
    except ShortError:
        return f"unreadable connect reply {payload.hex()}", 0
    known = password.hex() if session_id == 0 and password is not None else "right"
    if session_id != 0 and password != wire.session_password(session_id):
        known = "wrong"
    masks.sessions.setdefault(session_id, f"S{len(masks.sessions)}")
    text = f"connected version={version} timeout={timeout_ms} session={masks.session(session_id)} password={known}"
    return f"{text} rest={reader.rest().hex()}", session_id


def event(payload: bytes, masks: Masks) -> str:
    reader = Reader(payload)
    xid, zxid, err = reader.i32(), reader.i64(), reader.i32()
    try:
        kind, state, path = reader.i32(), reader.i32(), reader.buf()
    except ShortError:
        return f"unreadable event {payload.hex()}"
    return f"event xid={xid} zxid={masks.zxid(zxid)} err={err} type={kind} state={state} {path!r}{tail(reader)}"


def reply(payload: bytes, opcode: int, masks: Masks) -> str:
    """A reply to a request of `opcode` as text."""
    reader = Reader(payload)
    try:
        xid, zxid, err = reader.i32(), reader.i64(), reader.i32()
    except ShortError:
        return f"unreadable header {payload.hex()}"
    head = f"reply xid={xid} zxid={masks.zxid(zxid)} err={err}"
    if err == 0 or (opcode == wire.MULTI_READ and reader.position < len(payload)):
        # 3.9 sends what a multiRead has read so far behind the error of a part that is no read
        return f"{head} {body(reader, opcode, masks)}{tail(reader)}".rstrip()
    return head + tail(reader)


def body(reader: Reader, opcode: int, masks: Masks) -> str:
    """The body that `opcode` promises, as text; nothing, and the reader where it was, if the bytes do not fit."""
    start = reader.position
    try:
        return " ".join(field(reader, masks) for field in BODIES.get(opcode, ()))
    except ShortError:
        reader.position = start
        return "unreadable"


def tail(reader: Reader) -> str:
    """Bytes after the last field: none, for a right server."""
    rest = reader.rest()
    return f" tail={rest.hex()}" if rest else ""


def stat(reader: Reader, masks: Masks) -> str:
    czxid, mzxid, ctime, mtime = (reader.i64() for _ in range(4))
    version, cversion, aversion, owner = reader.i32(), reader.i32(), reader.i32(), reader.i64()
    length, children, pzxid = reader.i32(), reader.i32(), reader.i64()
    zxids = f"c={masks.zxid(czxid)}@{masks.time(ctime, czxid)} m={masks.zxid(mzxid)}@{masks.time(mtime, mzxid)}"
    counts = f"v={version} cv={cversion} av={aversion} owner={masks.session(owner)} len={length} n={children}"
    return f"({zxids} p={masks.zxid(pzxid)} {counts})"


def buf(reader: Reader, masks: Masks) -> str:
    value = reader.buf()
    return repr(value) if value is None or len(value) <= 200 else f"{len(value)} bytes {hash_text(value)}"


def hash_text(value: bytes) -> str:
    """A short stand-in for long data that still tells two of them apart."""
    return f"{value[:20]!r}…{value[-20:]!r} sum {sum(value)}"


def number(reader: Reader, masks: Masks) -> str:
    return str(reader.i32())


def names(reader: Reader, masks: Masks) -> str:
    count = reader.i32()
    return repr(sorted(str(reader.buf()) for _ in range(count))) if count >= 0 else f"count {count}"


def identities(reader: Reader, masks: Masks) -> str:
    count = reader.i32()
    return repr(sorted((str(reader.buf()), str(reader.buf())) for _ in range(count))) if count >= 0 else "null"


def acls(reader: Reader, masks: Masks) -> str:
    count = reader.i32()
    entries = [(reader.i32(), str(reader.buf()), str(reader.buf())) for _ in range(count)]
    ordered = [entry for _, same in groupby(entries, lambda entry: entry[0]) for entry in sorted(same)]
    return f"{count}:{ordered!r}"


def results(reader: Reader, masks: Masks) -> str:
    """The parts of a multi or multiRead reply, up to and with the closing header."""
    parts: list[str] = []
    while True:
        kind, done, err = reader.i32(), reader.boolean(), reader.i32()
        fields = RESULTS.get(kind, ())
        if done:
            return f"{parts!r} end({kind},{done},{err})"
        parts.append(f"{kind}/{done}/{err} " + " ".join(field(reader, masks) for field in fields))


Field = Callable[[Reader, Masks], str]
RESULTS: Final[dict[int, tuple[Field, ...]]] = {
    wire.CREATE: (buf,),
    wire.CREATE2: (buf, stat),
    wire.SET_DATA: (stat,),
    wire.GET_DATA: (buf, stat),
    wire.GET_CHILDREN: (names,),
    wire.ERROR: (number,),
}
BODIES: Final[dict[int, tuple[Field, ...]]] = {
    wire.CREATE: (buf,),
    wire.CREATE2: (buf, stat),
    wire.CREATE_CONTAINER: (buf, stat),
    wire.CREATE_TTL: (buf, stat),
    wire.EXISTS: (stat,),
    wire.GET_DATA: (buf, stat),
    wire.SET_DATA: (stat,),
    wire.GET_ACL: (acls, stat),
    wire.SET_ACL: (stat,),
    wire.GET_CHILDREN: (names,),
    wire.GET_CHILDREN2: (names, stat),
    wire.SYNC: (buf,),
    wire.MULTI: (results,),
    wire.MULTI_READ: (results,),
    wire.RECONFIG: (buf, stat),
    wire.SASL: (buf,),
    wire.GET_EPHEMERALS: (names,),
    wire.GET_ALL_CHILDREN_NUMBER: (number,),
    wire.ADD_WATCH: (number,),
    wire.WHO_AM_I: (identities,),
}
