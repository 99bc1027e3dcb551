"""A tree as a stream of bytes: what is written is read, and what is damaged is refused."""

from zlib import adler32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compat import requests as ask
from tests.compat import wire
from tests.log.samples import golden
from tests.properties.moves import HISTORIES, SESSIONS, Move
from tests.properties.workshop import KINDS, Workshop, digest_from_scratch, state_of
from zoopark.errors import CorruptSnapshot
from zoopark.tree.snapshot import (
    CHUNK_BYTES,
    STREAM_END,
    read_snapshot,
    read_stream,
    write_snapshot,
    write_stream,
)
from zoopark.tree.tree import Tree

SEAL_BYTES = 13
DIGEST_BYTES = 20 + SEAL_BYTES
ZXID_BYTES = 8 + SEAL_BYTES


def furnished() -> Tree:
    """A small tree with some of everything."""
    shop = Workshop()
    shop.open(0x1234, 0x5678)
    shop.do(ask.create("/a", b"data"), 0x1234)
    shop.do(ask.create("/a/empty", None, flags=1), 0x1234)
    shop.do(ask.create("/a/secret", b"", [ask.Acl(31, "digest", "u:h"), ask.Acl(1, "ip", "10.0.0.0/8")]), 0x1234)
    shop.do(ask.create("/c", flags=4, opcode=wire.CREATE_CONTAINER), 0x1234)
    shop.do(ask.create_ttl("/t", 5000), 0x1234)
    shop.do(ask.set_data("/a", b"more data"), 0x1234)
    return shop.tree


def written(tree: Tree, has_digest: bool = True, has_last_zxid: bool = True) -> bytes:
    return b"".join(write_snapshot(tree, has_digest, has_last_zxid))


def read(data: bytes, piece_bytes: int = 1 << 20) -> tuple[Tree, tuple[int, int]]:
    tree = Tree(KINDS)
    pieces = [data[at : at + piece_bytes] for at in range(0, len(data), piece_bytes)]
    return tree, read_snapshot(tree, pieces)


def acl_ids(tree: Tree) -> dict[int, bytes]:
    return {acl_id: acl.encoded for acl_id, acl in tree.acls.by_id.items()}


@settings(max_examples=60)
@given(HISTORIES, st.integers(1, 200))
def test_a_tree_comes_back(history: list[Move], piece_bytes: int) -> None:
    """All fields, indexes, sessions, ACL ids and the digest, however the stream is cut."""
    shop = Workshop()
    shop.open(*SESSIONS)
    for move in history:
        shop.do(move.request(), move.session_id)
    found, digest = read(written(shop.tree), piece_bytes)
    assert digest == (shop.tree.last_zxid, shop.tree.digest)
    assert found.last_zxid == 0
    found.last_zxid = shop.tree.last_zxid
    assert state_of(found) == state_of(shop.tree)
    assert acl_ids(found) == acl_ids(shop.tree)
    assert found.digest == digest_from_scratch(found)


@pytest.mark.parametrize("piece_bytes", range(1, 100))
def test_a_piece_may_end_anywhere(piece_bytes: int) -> None:
    """Also right behind the slash that begins a path, which alone would be the end of the nodes."""
    tree = furnished()
    assert state_of(read(written(tree), piece_bytes)[0]) == state_of(read(written(tree))[0])


def test_a_large_tree_comes_in_pieces() -> None:
    """The writer must not gather the whole tree, and a node may be longer than a piece."""
    shop = Workshop()
    shop.open(1)
    for number in range(300):
        shop.do(ask.create(f"/n{number}", bytes(3000)))
    shop.do(ask.create("/large", bytes(3 * CHUNK_BYTES)))
    pieces = list(write_snapshot(shop.tree, has_digest=True, has_last_zxid=True))
    assert len([piece for piece in pieces if len(piece) > CHUNK_BYTES // 2]) >= 3
    found = Tree(KINDS)
    read_snapshot(found, pieces)
    found.last_zxid = shop.tree.last_zxid
    assert state_of(found) == state_of(shop.tree)


def test_the_empty_tree_is_the_one_of_apache() -> None:
    """Byte for byte but for the order of /zookeeper's children, which is that of a hash table in Java."""
    data, expected = written(Tree(KINDS)), golden("snapshot.0")
    assert (len(data), data[:200]) == (len(expected), expected[:200])
    assert state_of(read(expected)[0]) == state_of(Tree(KINDS))


@pytest.mark.parametrize("name", ["snapshot.0", "snapshot.a"])
def test_a_snapshot_of_apache_comes_through(name: str) -> None:
    """Reading it, writing it and reading that again changes nothing; its digest is ours."""
    tree, (zxid, digest) = read(golden(name))
    assert zxid == 0 or digest == tree.digest == digest_from_scratch(tree)
    tree.last_zxid = zxid
    again, known = read(written(tree))
    again.last_zxid = zxid
    assert (state_of(again), known) == (state_of(tree), (zxid, digest))


def test_an_apache_snapshot_holds_what_was_requested() -> None:
    tree, _ = read(golden("snapshot.a"))
    assert sorted(path for path in tree.nodes if not path.startswith(b"/zookeeper")) == [
        b"/",
        b"/a",
        b"/a/s-0000000001",
    ]
    assert tree.nodes[b"/a"].data == b"two"


@pytest.mark.parametrize(
    ("has_digest", "has_last_zxid", "missing"),
    [(True, True, 0), (True, False, ZXID_BYTES), (False, False, ZXID_BYTES + DIGEST_BYTES)],
)
def test_sections_that_older_servers_lack(has_digest: bool, has_last_zxid: bool, missing: int) -> None:
    tree = furnished()
    whole, part = written(tree), written(tree, has_digest, has_last_zxid)
    assert part == whole[: len(whole) - missing]
    found, digest = read(part)
    assert digest == ((tree.last_zxid, tree.digest) if has_digest else (0, 0))
    found.last_zxid = tree.last_zxid
    assert state_of(found) == state_of(tree)


def test_a_stream_may_end_only_behind_a_seal() -> None:
    data = written(furnished())
    ends = {len(data), len(data) - ZXID_BYTES, len(data) - ZXID_BYTES - DIGEST_BYTES}
    for end in range(len(data)):
        if end in ends:
            read(data[:end])
            continue
        with pytest.raises(CorruptSnapshot):
            read(data[:end])


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_any_flipped_byte_is_noticed(mask: int) -> None:
    """In every single place: lengths, ids, paths, values, checksums. Nothing but CorruptSnapshot may come out."""
    data = written(furnished())
    for at in range(len(data)):
        with pytest.raises(CorruptSnapshot):
            read(data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :])


@settings(max_examples=300)
@given(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=8))
def test_any_run_of_bytes_is_noticed(at: int, run: bytes) -> None:
    """Also lengths that point backwards, over which a reader could go round for ever."""
    data = written(furnished())
    at %= len(data)
    spoiled = (data[:at] + run + data[at + len(run) :])[: len(data)]
    if spoiled != data:
        with pytest.raises(CorruptSnapshot):
            read(spoiled)


def sealed(nodes: bytes, acls: bytes = wire.vector([])) -> bytes:
    """A snapshot around a list of nodes, its checksum right."""
    body = b"ZKSN" + wire.i32(2) + wire.i64(-1) + wire.vector([]) + acls + nodes + wire.string("/")
    return body + wire.i64(adler32(body)) + wire.string("/")


def node(path: str, data: bytes | None = b"", acl_id: int = -1) -> bytes:
    return wire.string(path) + wire.buf(data) + wire.i64(acl_id) + bytes(60)


ROOT = node("")
BAD = {
    "a child before its parent": ROOT + node("/a/b") + node("/a"),
    "a path without a slash": ROOT + node("a"),
    "a length that points back to itself": ROOT + node("/a", b"") + wire.i32(-76) + wire.i32(0) + bytes(68),
    "a negative length of data": ROOT + wire.string("/a") + wire.i32(-2) + bytes(68),
    "no root": node("/a"),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", BAD)
def test_nodes_that_cannot_be(name: str) -> None:
    """With a checksum that matches: a program wrote this, and it must not bring the server down or hang it."""
    with pytest.raises(CorruptSnapshot):
        read(sealed(BAD[name]))


@pytest.mark.parametrize("header", [b"ZKLG" + wire.i32(2), b"ZKSN" + wire.i32(1), b""])
def test_another_kind_of_file(header: bytes) -> None:
    with pytest.raises(CorruptSnapshot):
        read(header + written(furnished())[8:])


@pytest.mark.parametrize("piece_bytes", [1, 7, 1 << 20])
def test_the_stream_between_servers_makes_the_same_tree(piece_bytes: int) -> None:
    tree, data = furnished(), b"".join(write_stream(furnished()))
    twin = Tree(KINDS)
    read_stream(twin, [data[at : at + piece_bytes] for at in range(0, len(data), piece_bytes)])
    twin.last_zxid = tree.last_zxid
    assert state_of(twin) == state_of(tree)
    assert twin.digest == tree.digest
    assert data.endswith(b"\x00\x00\x00\x01/\x00\x00\x00\x0aBenWasHere")
    assert written(tree)[16:].startswith(data[: -len(STREAM_END)])


def test_a_stream_that_is_cut_or_goes_on_is_refused() -> None:
    data = b"".join(write_stream(furnished()))
    for wrong in (*(data[:end] for end in range(len(data))), data + b"x", data[:-1] + b"x"):
        with pytest.raises(CorruptSnapshot):
            read_stream(Tree(KINDS), [wrong])
