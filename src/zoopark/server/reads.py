"""Requests that change nothing: answered from the committed tree, in the order of their session.

A refused read raises RefusedError; a record that cannot be read raises Malformed or struct.error. Watches are
registered here, under the id of the connection that asked.
"""

import re
import struct
from typing import Final, final

from zoopark import errors, paths
from zoopark.errors import Malformed
from zoopark.jute import proto
from zoopark.jute import stat as stats
from zoopark.jute.buffer import I32, Reader, pack_buffer, pack_vector
from zoopark.jute.txn import require
from zoopark.server.config import Config
from zoopark.server.prepare import RefusedError, Requester
from zoopark.tree import acl as acls
from zoopark.tree import watches
from zoopark.tree.tree import Tree, keep, pack_children
from zoopark.tree.znode import Znode

CHILDREN_WATCHER: Final = 1
DATA_WATCHER: Final = 2
ANY_WATCHER: Final = 3
PERSISTENT_WATCHER: Final = 4
RECURSIVE_WATCHER: Final = 5
REPLAYED_ZXID: Final = -1
UNREADABLE: Final = -1000
"""In the place of an opcode: a write whose record cannot be read, which is answered like a read, without a zxid."""
THROTTLED: Final = -1001
"""In the place of an opcode: a request that waited too long, which is refused in its turn."""
NOT_READ_ONLY: Final = -1002
"""In the place of an opcode: what a read-only server refuses in its turn."""
_IN_THEIR_TURN: Final = {
    UNREADABLE: errors.MARSHALLING_ERROR,
    THROTTLED: errors.THROTTLED_OP,
    NOT_READ_ONLY: errors.NOT_READ_ONLY,
    proto.CLOSE_SESSION: errors.OK,
}
"""What needs nothing but an answer behind everything before it; a closeSession is among it if its session is local."""
_ENCODED_SURROGATE: Final = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_REPLACEMENT: Final = "\ufffd".encode()
NODE_WORK: Final = 64
MAX_ANSWER_BYTES: Final = 1024
MAX_LIST_BYTES: Final = 64 << 10
MAX_MULTI_READS: Final = 16
NULL_PATH: Final = b"\x00"


@final
class Reads:
    """Answers reads of every connection."""

    def __init__(self, config: Config, tree: Tree) -> None:
        self.config = config
        self.tree = tree
        self._n_visited = 0

    def serve(self, requester: Requester, watcher: int, op: int, body: bytes) -> tuple[int, bytes, list[bytes]]:
        """(err, body of the reply, framed notifications that go before it) for a read of any kind.

        `op` may also be UNREADABLE, THROTTLED, NOT_READ_ONLY or closeSession: they get nothing but an error, or OK,
        in their turn.
        """
        try:
            if op == proto.GET_DATA:
                return errors.OK, self.get_data(requester, watcher, body), []
            if op == proto.MULTI_READ:
                return *self.multi_read(requester, body), []
            if op in (proto.SET_WATCHES, proto.SET_WATCHES2):
                return errors.OK, b"", self.set_watches(watcher, op, body)
            if op < 0:
                return _IN_THEIR_TURN[op], b"", []
            return errors.OK, self.answer(requester, watcher, op, body), []
        except RefusedError as refusal:
            return refusal.err, b"", []
        except (Malformed, struct.error, IndexError):
            return errors.MARSHALLING_ERROR, b"", []

    def take_work(self) -> int:
        """What answers since the last call cost beyond their bytes, in bytes: NODE_WORK for each node visited."""
        work, self._n_visited = self._n_visited * NODE_WORK, 0
        return work

    def answer(self, requester: Requester, watcher: int, op: int, body: bytes) -> bytes:
        """The body of the reply to a read other than getData, setWatches and multiRead.

        Args:
            watcher: the id to register watches under.
            body: the request's record.
        """
        reader = Reader(body)
        if op == proto.PING:
            return b""
        if op == proto.EXISTS:
            return self._exists(requester, watcher, reader)
        if op in (proto.GET_CHILDREN, proto.GET_CHILDREN2):
            return self._children(requester, watcher, reader, op)
        if op == proto.GET_ACL:
            return self._acl(requester, reader)
        if op == proto.SYNC:
            path = reader.string()
            return pack_buffer(None if path is None else java_text(path))
        if op in (proto.CHECK_WATCHES, proto.REMOVE_WATCHES):
            return self._watches(watcher, reader, op)
        if op == proto.ADD_WATCH:
            return self._add_watch(watcher, reader)
        if op == proto.GET_EPHEMERALS:
            return self._ephemerals(requester, reader)
        if op == proto.GET_ALL_CHILDREN_NUMBER:
            return self._descendants(requester, reader)
        if op == proto.WHO_AM_I:
            return _who_am_i(requester)
        raise AssertionError(f"opcode {op} is no read")

    def get_data(self, requester: Requester, watcher: int, body: bytes) -> bytes:
        """The body of the reply to getData."""
        path_end = 4 + I32.unpack_from(body)[0]
        if path_end < 4:
            raise Malformed("a path of negative length")
        path = body[4:path_end]
        answer = self.tree.answers.get(path)
        if answer is None:
            answer = self._get_data(requester, path, len(body) - path_end)
        if body[path_end]:
            self.tree.watches.data.add(path, watcher, watches.STANDARD)
        return answer

    def _get_data(self, requester: Requester, path: bytes, rest: int) -> bytes:
        node = self._require_node(path, rest)
        self._require_permission(node, acls.READ, requester)
        answer = pack_buffer(node.data) + self.tree.wire_stat(node)
        if node.acl.world & acls.READ and len(answer) <= MAX_ANSWER_BYTES and path:
            keep(self.tree.answers, path, answer, self.config.max_response_cache_size)
        return answer

    def multi_read(self, requester: Requester, body: bytes) -> tuple[int, bytes]:
        """(err, body) of the reply to multiRead: each read on its own, none registers a watch.

        A read that cannot be understood ends the reply with what was read before it, under the error's code. A reply
        that grows beyond MAX_MULTI_READS times jute.maxbuffer is refused: no client could take it.
        """
        parts: list[bytes] = []
        room = MAX_MULTI_READS * self.config.jute_max_buffer_bytes
        operations = proto.read_multi(Reader(body))
        err = errors.OK
        for op, start, end in operations:
            unwatched = body[start : end - 1] + b"\x00"
            try:
                if op not in (proto.GET_DATA, proto.GET_CHILDREN):
                    raise Malformed("a write in a multiRead")
                if op == proto.GET_DATA:
                    answer = self.get_data(requester, 0, unwatched)
                else:
                    answer = self.answer(requester, 0, op, unwatched)
                parts.append(proto.encode_multi_part(op, errors.OK, answer))
                room -= len(answer)
            except RefusedError as refusal:
                parts.append(proto.encode_multi_part(-1, refusal.err, I32.pack(refusal.err)))
            except Malformed:
                err = errors.MARSHALLING_ERROR
                break
            if room < 0:
                raise RefusedError(errors.MARSHALLING_ERROR)
        return err, b"".join(parts) + proto.MULTI_END

    def set_watches(self, watcher: int, op: int, body: bytes) -> list[bytes]:
        """Register a reconnected client's watches again; the events it missed, as framed notifications in order."""
        reader = Reader(body)
        zxid = reader.i64()
        lists = [reader.vector(reader.string) for _ in range(3 if op == proto.SET_WATCHES else 5)]
        events: list[bytes] = []
        for kind, wanted in enumerate(lists):
            if wanted is None:
                raise Malformed("a null list of watches")
            for path in wanted:
                event = self._rearm(kind, require(path), watcher, zxid)
                if event:
                    events.append(proto.encode_event(event, java_text(require(path)), REPLAYED_ZXID))
        return events

    def _rearm(self, kind: int, path: bytes, watcher: int, zxid: int) -> int:
        """The event that a watch of the kind-th list missed, 0 if it is armed again."""
        table = self.tree.watches
        if kind >= 3:
            table.add_persistent(path, watcher, is_recursive=kind == 4)
            return 0
        node = self.tree.get(path)
        if kind == 1:
            if node is not None:
                return watches.NODE_CREATED
        elif node is None:
            return watches.NODE_DELETED
        elif kind == 0 and stats.mzxid_of(node.stat) > zxid:
            return watches.NODE_DATA_CHANGED
        elif kind == 2 and stats.pzxid_of(node.stat) > zxid:
            return watches.NODE_CHILDREN_CHANGED
        (table.child if kind == 2 else table.data).add(path, watcher, watches.STANDARD)
        return 0

    def _exists(self, requester: Requester, watcher: int, reader: Reader) -> bytes:
        path, is_watched = require(reader.string()), reader.bool()
        if b"\x00" in path:
            raise RefusedError(errors.BAD_ARGUMENTS)
        node = self.tree.get(path)
        if node is not None:
            self._require_permission(node, acls.READ, requester)
        if is_watched:
            self.tree.watches.data.add(path, watcher, watches.STANDARD)
        if node is None:
            raise RefusedError(errors.NO_NODE)
        return self.tree.wire_stat(node)

    def _children(self, requester: Requester, watcher: int, reader: Reader, op: int) -> bytes:
        path, is_watched = require(reader.string()), reader.bool()
        node = self._require_node(path, 1)
        self._require_permission(node, acls.READ, requester)
        if is_watched:
            self.tree.watches.child.add(path, watcher, watches.STANDARD)
        if op == proto.GET_CHILDREN:
            return pack_children(node)
        answer = self.tree.lists.get(path)
        if answer is None:
            answer = pack_children(node) + self.tree.wire_stat(node)
            if path and len(answer) <= MAX_LIST_BYTES:
                keep(self.tree.lists, path, answer, self.config.max_get_children_response_cache_size)
        return answer

    def _acl(self, requester: Requester, reader: Reader) -> bytes:
        node = self._require_node(require(reader.string()), 1)
        self._require_permission(node, acls.READ | acls.ADMIN, requester)
        is_shown = self.config.is_acl_skipped or node.acl.allows(acls.ADMIN, requester.identities)
        encoded = node.acl.encoded if is_shown else acls.encode_acl(acls.masked(node.acl.entries))
        return encoded + self.tree.wire_stat(node)

    def _watches(self, watcher: int, reader: Reader, op: int) -> bytes:
        path, kind = _watched(reader), reader.i32()
        table = self.tree.watches
        wanted = _WATCHES_OF_TYPE.get(kind)
        if wanted is None:
            raise Malformed(f"watcher type {kind}")
        in_data, in_child = wanted
        if not (table.data.has(path, watcher, in_data) or table.child.has(path, watcher, in_child)):
            raise RefusedError(errors.NO_WATCHER)
        if op == proto.REMOVE_WATCHES:
            table.data.remove(path, watcher, in_data)
            table.child.remove(path, watcher, in_child)
        return b""

    def _add_watch(self, watcher: int, reader: Reader) -> bytes:
        path, mode = _watched(reader), reader.i32()
        if mode not in (0, 1):
            raise Malformed(f"addWatch mode {mode}")
        self.tree.watches.add_persistent(path, watcher, is_recursive=mode == 1)
        return I32.pack(errors.OK)

    def _ephemerals(self, requester: Requester, reader: Reader) -> bytes:
        prefix = reader.string() or b""
        if not prefix.strip() or prefix == paths.ROOT:
            prefix = b""
        owned = self.tree.ephemerals.get(requester.session_id, {})
        return pack_vector([pack_buffer(path) for path in owned if path.startswith(prefix)])

    def _descendants(self, requester: Requester, reader: Reader) -> bytes:
        path = require(reader.string())
        node = self._require_node(path, 1)
        self._require_permission(node, acls.READ, requester)
        if node is self.tree.nodes[paths.ROOT]:
            # ZooKeeper knows the root under two names and counts the other one here.
            return I32.pack(len(self.tree.nodes) - (path == paths.ROOT))
        count = 0
        waiting = list(node.children or ())
        while waiting:
            count += 1
            waiting.extend(self.tree.nodes[waiting.pop()].children or ())
        self._n_visited += count
        return I32.pack(count)

    def _require_node(self, path: bytes, rest: int) -> Znode:
        if rest < 1:
            raise Malformed("the record ends before its last field")
        node = self.tree.get(path)
        if node is None:
            raise RefusedError(errors.NO_NODE)
        return node

    def _require_permission(self, node: Znode, permissions: int, requester: Requester) -> None:
        if not self.config.is_acl_skipped and not node.acl.allows(permissions, requester.identities):
            raise RefusedError(errors.NO_AUTH)


def java_text(value: bytes) -> bytes:
    """The bytes of a string as ZooKeeper sends it back.

    What is not UTF-8 was replaced when it was read, and each half of a surrogate pair is written as three bytes.
    """
    if value.isascii():
        return value
    value = _ENCODED_SURROGATE.sub(_REPLACEMENT, value)
    units = value.decode("utf-8", "replace").encode("utf-16-be")
    return b"".join(
        chr(int.from_bytes(units[at : at + 2], "big")).encode("utf-8", "surrogatepass")
        for at in range(0, len(units), 2)
    )


def _watched(reader: Reader) -> bytes:
    """A path to watch; the null path is a key of its own, which nothing ever happens to."""
    path = reader.string()
    return NULL_PATH if path is None else path


def _who_am_i(requester: Requester) -> bytes:
    """The identities without secrets: of a digest only the user."""
    shown = []
    for scheme, who in requester.identities:
        user = who.split(b":", 1)[0] if scheme == b"digest" else who
        shown.append(pack_buffer(scheme) + pack_buffer(user))
    return pack_vector(shown)


# Which modes a WatcherType of checkWatches and removeWatches looks at: (in the data table, in the child table).
_WATCHES_OF_TYPE: Final = {
    CHILDREN_WATCHER: (0, watches.STANDARD),
    DATA_WATCHER: (watches.STANDARD, 0),
    ANY_WATCHER: (watches.ANY, watches.ANY),
    PERSISTENT_WATCHER: (watches.PERSISTENT, watches.PERSISTENT),
    RECURSIVE_WATCHER: (watches.RECURSIVE, 0),
}
