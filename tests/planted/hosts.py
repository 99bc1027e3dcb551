"""Planted faults of what surrounds agreement: snapshots, truncation, sessions. Each re-creates one known bug."""

from collections.abc import Iterator
from typing import Any

from tests.planted.parts import Parts
from zoopark.jute import txn as txns
from zoopark.jute.buffer import Reader, pack_buffer
from zoopark.log.logreader import read_from, truncate
from zoopark.record import Now
from zoopark.server.effects import TakeSnapshot
from zoopark.server.recovery import log_directory, snapshot_directory
from zoopark.tree.tree import Tree

Self = Any
"""A copied part; a planted fault knows its insides."""


def snapshot_of_the_uncommitted(parts: Parts) -> None:
    """1549: a member that is LOOKING saves its tree, uncommitted tail and all; truncation cuts nothing but the log."""
    build = parts.bare.build_bare

    def save_at_start(machine: Self, found: Any, now: Now) -> Any:
        member = build(machine, found, now)
        member._effects = [TakeSnapshot(member.tree.last_zxid)]
        member._is_snapshot_running = True
        return member

    def truncate_log(self: Self, zxid: int) -> None:
        truncate(self.disk, log_directory(self.config), zxid)

    parts.bare.build_bare = save_at_start
    parts.storage.Storage._truncate_files = truncate_log


def snapshot_kept_in_memory(parts: Parts) -> None:
    """3642, 2872: a snapshot that came by SNAP is loaded, and not on disk when the next transactions rely on it."""
    reload = parts.storage.Storage._reload

    def load_and_lose(self: Self) -> None:
        reload(self)
        for path, _ in self.disk.files(snapshot_directory(self.config), "snapshot."):
            if not path.endswith(".0"):
                self.disk.remove(path)

    parts.storage.Storage._reload = load_and_lose


def sessions_saved_before_nodes(parts: Parts) -> None:
    """3144: the session table of a snapshot is older than its nodes: some have an owner that nobody knows."""
    write = parts.storage.write_snapshot

    def write_apart(tree: Tree, has_digest: bool, has_last_zxid: bool) -> Iterator[bytes]:
        sessions = dict(tree.sessions)
        for session_id in list(sessions)[len(sessions) // 2 :]:
            del tree.sessions[session_id]
        pieces = list(write(tree, has_digest, has_last_zxid))
        tree.sessions.clear()
        tree.sessions.update(sessions)
        return iter(pieces)

    parts.storage.write_snapshot = write_apart


def close_session_half_done(parts: Parts) -> None:
    """2355: a server that dies while it applies closeSession comes back without the session and with its ephemerals."""
    recover = parts.storage.recover

    def recover_half(config: Any, disk: Any, tell: Any) -> Any:
        found = recover(config, disk, tell)
        tree = found.tree
        for _, txn in read_from(disk, log_directory(config), max(1, tree.last_zxid - 2)):
            session_id, _, _, _, kind = txns.HEADER.unpack_from(txn)
            if kind == txns.CLOSE_SESSION and session_id not in tree.sessions:
                _bring_back(tree, session_id, txns.decode_close_session(Reader(txn, txns.HEADER_BYTES)) or [])
        return found

    parts.storage.recover = recover_half


def _bring_back(tree: Tree, session_id: int, paths: list[bytes]) -> None:
    for path in paths:
        if path not in tree.nodes:
            body = txns.encode_create(path, pack_buffer(b"") + txns.OPEN_ACL, True, txns.CURRENT_CVERSION)
            tree.apply(txns.HEADER.pack(session_id, 0, tree.last_zxid, 0, txns.CREATE) + body)
