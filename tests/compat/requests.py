"""The requests of the client protocol as values: an opcode, a body, and words for a person to read.

Every function here takes what the wire can carry, legal or not. A body may be a function of the run it is sent in, for
the few requests that carry a zxid.
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from tests.compat import wire
from tests.compat.wire import boolean, buf, i32, i64, string, vector


class Clock(Protocol):
    """What a request may ask about the run it is sent in."""

    def zxid_of(self, steps_back: int) -> int:
        """The last zxid of the server before the last `steps_back` steps."""


Body = bytes | Callable[[Clock], bytes]
Text = str | bytes | None


@dataclass(frozen=True, slots=True)
class Acl:
    """One entry of an access control list."""

    perms: int
    scheme: Text
    id: Text

    def encode(self) -> bytes:
        return i32(self.perms) + string(self.scheme) + string(self.id)

    def __str__(self) -> str:
        return f"{self.scheme!r}:{self.id!r}:{self.perms}"


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `xid` None stands for the next number of the connection."""

    opcode: int
    body: Body
    text: str
    xid: int | None = None
    path: str = ""

    def body_for(self, clock: Clock) -> bytes:
        return self.body if isinstance(self.body, bytes) else self.body(clock)


OPEN: Final = (Acl(31, "world", "anyone"),)
READ_ONLY: Final = (Acl(1, "world", "anyone"),)
CREATOR: Final = (Acl(31, "auth", ""),)
PERSISTENT, EPHEMERAL, SEQUENTIAL, EPHEMERAL_SEQUENTIAL, CONTAINER, TTL, SEQUENTIAL_TTL = range(7)


def digest_id(user: str, password: str) -> str:
    """The id that scheme digest derives from a user and a password."""
    return f"{user}:{base64.b64encode(hashlib.sha1(f'{user}:{password}'.encode()).digest()).decode()}"


def acl_list(acls: Sequence[Acl] | None) -> bytes:
    return vector(None if acls is None else [acl.encode() for acl in acls])


def _acl_text(acls: Sequence[Acl] | None) -> str:
    if acls == OPEN:
        return "open"
    return "null" if acls is None else "[" + ", ".join(map(str, acls)) + "]"


def _create(opcode: int, name: str, path: Text, rest: bytes, words: str) -> Request:
    return Request(opcode, string(path) + rest, f"{name} {path!r} {words}", path=str(path))


def create(
    path: Text,
    data: bytes | None = b"",
    acls: Sequence[Acl] | None = OPEN,
    flags: int = 0,
    opcode: int = wire.CREATE2,
) -> Request:
    """create, create2 or createContainer."""
    name = {wire.CREATE: "create", wire.CREATE2: "create2", wire.CREATE_CONTAINER: "createContainer"}[opcode]
    words = f"{data!r} {_acl_text(acls)} flags={flags}"
    return _create(opcode, name, path, buf(data) + acl_list(acls) + i32(flags), words)


def create_ttl(path: Text, ttl_ms: int, flags: int = TTL, acls: Sequence[Acl] | None = OPEN) -> Request:
    rest = buf(b"ttl") + acl_list(acls) + i32(flags) + i64(ttl_ms)
    return _create(wire.CREATE_TTL, "createTTL", path, rest, f"{_acl_text(acls)} flags={flags} ttl={ttl_ms}")


def delete(path: Text, version: int = -1) -> Request:
    return Request(wire.DELETE, string(path) + i32(version), f"delete {path!r} v={version}", path=str(path))


def set_data(path: Text, data: bytes | None, version: int = -1) -> Request:
    body = string(path) + buf(data) + i32(version)
    shown = data if data is None or len(data) < 60 else f"{len(data)} bytes"
    return Request(wire.SET_DATA, body, f"setData {path!r} {shown!r} v={version}", path=str(path))


def set_acl(path: Text, acls: Sequence[Acl] | None, version: int = -1) -> Request:
    body = string(path) + acl_list(acls) + i32(version)
    return Request(wire.SET_ACL, body, f"setACL {path!r} {_acl_text(acls)} v={version}", path=str(path))


def check(path: Text, version: int = -1) -> Request:
    return Request(wire.CHECK, string(path) + i32(version), f"check {path!r} v={version}", path=str(path))


READS: Final = {
    wire.EXISTS: "exists",
    wire.GET_DATA: "getData",
    wire.GET_CHILDREN: "getChildren",
    wire.GET_CHILDREN2: "getChildren2",
}
NAMED: Final = {
    wire.GET_ACL: "getACL",
    wire.SYNC: "sync",
    wire.GET_EPHEMERALS: "getEphemerals",
    wire.GET_ALL_CHILDREN_NUMBER: "getAllChildrenNumber",
}


def read(opcode: int, path: Text, watch: bool = False) -> Request:
    """exists, getData, getChildren or getChildren2."""
    words = f"{READS[opcode]} {path!r}{' +watch' if watch else ''}"
    return Request(opcode, string(path) + boolean(watch), words, path=str(path))


def exists(path: Text, watch: bool = False) -> Request:
    return read(wire.EXISTS, path, watch)


def get_data(path: Text, watch: bool = False) -> Request:
    return read(wire.GET_DATA, path, watch)


def get_children(path: Text, watch: bool = False) -> Request:
    return read(wire.GET_CHILDREN, path, watch)


def get_children2(path: Text, watch: bool = False) -> Request:
    return read(wire.GET_CHILDREN2, path, watch)


def named(opcode: int, path: Text) -> Request:
    """A request of a path and nothing else: getACL, sync, getEphemerals, getAllChildrenNumber."""
    return Request(opcode, string(path), f"{NAMED[opcode]} {path!r}", path=str(path))


def get_acl(path: Text) -> Request:
    return named(wire.GET_ACL, path)


def ping() -> Request:
    return Request(wire.PING, b"", "ping", wire.PING_XID)


def who_am_i() -> Request:
    return Request(wire.WHO_AM_I, b"", "whoAmI")


def close_session() -> Request:
    return Request(wire.CLOSE_SESSION, b"", "closeSession")


def sasl(token: bytes | None) -> Request:
    return Request(wire.SASL, buf(token), f"sasl {token!r}")


def auth(scheme: Text, credential: bytes | None, kind: int = 0) -> Request:
    body = i32(kind) + string(scheme) + buf(credential)
    return Request(wire.AUTH, body, f"auth {scheme!r} {credential!r}", wire.AUTH_XID)


def watches(opcode: int, path: Text, kind: int) -> Request:
    """checkWatches, removeWatches (kind: watcher type) or addWatch (kind: mode)."""
    name = {wire.CHECK_WATCHES: "checkWatches", wire.REMOVE_WATCHES: "removeWatches", wire.ADD_WATCH: "addWatch"}
    return Request(opcode, string(path) + i32(kind), f"{name[opcode]} {path!r} {kind}", path=str(path))


def add_watch(path: Text, mode: int) -> Request:
    return watches(wire.ADD_WATCH, path, mode)


def reconfig(joining: Text, leaving: Text, members: Text, config_id: int = -1) -> Request:
    body = string(joining) + string(leaving) + string(members) + i64(config_id)
    return Request(wire.RECONFIG, body, f"reconfig {joining!r} {leaving!r} {members!r} {config_id}")


def set_watches(steps_back: int, *lists: Sequence[str] | None) -> Request:
    """setWatches (three lists) or setWatches2 (five), relative to the zxid of `steps_back` steps ago."""
    encoded = b"".join(vector(None if paths is None else [string(path) for path in paths]) for paths in lists)
    opcode = wire.SET_WATCHES if len(lists) == 3 else wire.SET_WATCHES2
    words = f"setWatches relative to {steps_back} steps ago {lists!r}"
    return Request(opcode, lambda clock: i64(clock.zxid_of(steps_back)) + encoded, words, wire.SET_WATCHES_XID)


def multi(*parts: Request, opcode: int = wire.MULTI, end: bytes | None = None) -> Request:
    """multi or multiRead of the given requests; `end` replaces the closing header."""
    closing = i32(-1) + boolean(True) + i32(-1) if end is None else end
    pieces = [i32(part.opcode) + boolean(False) + i32(-1) + plain(part) for part in parts]
    name = "multi" if opcode == wire.MULTI else "multiRead"
    return Request(opcode, b"".join(pieces) + closing, f"{name} [{'; '.join(part.text for part in parts)}]")


def plain(request: Request) -> bytes:
    """The body of a request that does not depend on the run."""
    assert isinstance(request.body, bytes), request.text
    return request.body


def raw(opcode: int, body: bytes, text: str = "") -> Request:
    """Any opcode with any body."""
    return Request(opcode, body, text or f"opcode {opcode} body {body.hex()}")


def with_body(request: Request, body: bytes, how: str) -> Request:
    """The same request with another body, for bodies that are spoiled on purpose."""
    return replace(request, body=body, text=f"{how} {request.text}: {body.hex()}")


def with_xid(request: Request, xid: int) -> Request:
    return replace(request, xid=xid, text=f"{request.text} xid={xid}")
