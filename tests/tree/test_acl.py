"""Access control lists: who may do what, what may stand in a list, and the table that keeps each list once."""

import pytest

from tests.compat import requests as ask
from zoopark.jute.buffer import Reader
from zoopark.jute.txn import OPEN_ACL
from zoopark.tree.acl import (
    ADMIN,
    ALL,
    CREATE,
    DELETE,
    OPEN_ID,
    READ,
    READ_ACL,
    WRITE,
    Acl,
    AclEntry,
    AclTable,
    Identity,
    digest_identity,
    encode_acl,
    expand,
    is_valid_id,
    masked,
    read_acl,
)

ALICE: Identity = (b"digest", b"alice:hash")
BOB: Identity = (b"digest", b"bob:hash")
LOCAL: Identity = (b"ip", b"10.1.2.3")
SUPER: Identity = (b"super", b"")
WORLD_READ: AclEntry = (READ, b"world", b"anyone")


def test_bits_are_those_of_the_protocol() -> None:
    assert (READ, WRITE, CREATE, DELETE, ADMIN, ALL) == (1, 2, 4, 8, 16, 31)


def test_bytes_of_the_lists_everybody_has() -> None:
    assert ask.acl_list(ask.OPEN) == OPEN_ACL
    assert ask.acl_list(ask.READ_ONLY) == READ_ACL


@pytest.mark.parametrize("entries", [[], [WORLD_READ], [(ALL, *ALICE), (READ, b"ip", None)], [(-1, None, b"")]])
def test_a_list_comes_back(entries: list[AclEntry]) -> None:
    assert read_acl(Reader(encode_acl(entries))) == entries


@pytest.mark.parametrize(
    ("entries", "permissions", "identities", "expected"),
    [
        ([WORLD_READ], READ, [], True),
        ([WORLD_READ], WRITE, [], False),
        ([WORLD_READ], READ | ADMIN, [], True),
        ([(ALL, *ALICE)], WRITE, [ALICE], True),
        ([(ALL, *ALICE)], WRITE, [BOB], False),
        ([(ALL, *ALICE)], WRITE, [BOB, LOCAL, ALICE], True),
        ([(READ, *ALICE)], WRITE, [ALICE], False),
        ([(READ, *ALICE), (WRITE, *BOB)], WRITE, [BOB], True),
        ([(ALL, *ALICE)], ADMIN, [SUPER], True),
        ([(ALL, b"world", b"nobody")], READ, [], False),
        ([(ALL, b"ip", b"10.1.2.3")], READ, [LOCAL], True),
        ([(ALL, b"ip", b"10.1.2.4")], READ, [LOCAL], False),
        ([(ALL, b"ip", b"10.0.0.0/8")], READ, [LOCAL], True),
        ([(ALL, b"ip", b"10.0.0.0/15")], READ, [LOCAL], True),
        ([(ALL, b"ip", b"10.0.0.0/16")], READ, [LOCAL], False),
        ([(ALL, b"ip", b"0.0.0.0/0")], READ, [LOCAL], True),
        ([(ALL, b"ip", b"10.1.2.3/32")], READ, [LOCAL], True),
        ([(ALL, b"digest", b"10.1.2.3")], READ, [LOCAL], False),
        ([], DELETE, [], True),
    ],
)
def test_who_may(entries: list[AclEntry], permissions: int, identities: list[Identity], expected: bool) -> None:
    assert Acl(1, encode_acl(entries)).allows(permissions, identities) == expected


@pytest.mark.parametrize(
    ("scheme", "who", "expected"),
    [
        (b"world", b"anyone", True),
        (b"world", b"Anyone", False),
        (b"world", b"", False),
        (b"digest", b"user:hash", True),
        (b"digest", b"user", False),
        (b"digest", b"a:b:c", False),
        (b"digest", b":hash", True),
        (b"digest", b"user:", False),
        (b"digest", None, False),
        (b"ip", b"127.0.0.1", True),
        (b"ip", b"127.0.0.1/32", True),
        (b"ip", b"127.0.0.1/33", False),
        (b"ip", b"127.0.0.1/-1", False),
        (b"ip", b"127.0.0.1/x", False),
        (b"ip", b"127.0.0.256", False),
        (b"ip", b"127.0.1", False),
        (b"ip", b"", False),
        (b"ip", None, False),
        (b"auth", b"", False),
        (b"super", b"anyone", False),
        (b"x509", b"CN=me", False),
        (b"", b"", False),
    ],
)
def test_what_may_stand_in_a_list(scheme: bytes, who: bytes | None, expected: bool) -> None:
    assert is_valid_id(scheme, who) == expected


@pytest.mark.parametrize(
    ("entries", "identities", "expected"),
    [
        ([WORLD_READ], [], [WORLD_READ]),
        ([WORLD_READ, (ALL, *ALICE), WORLD_READ], [], [WORLD_READ, (ALL, *ALICE)]),
        ([(WRITE, b"auth", b"")], [ALICE, BOB], [(WRITE, *ALICE), (WRITE, *BOB)]),
        ([(WRITE, b"auth", b"whoever")], [LOCAL, ALICE], [(WRITE, *ALICE)]),
        ([(WRITE, b"auth", b"")], [LOCAL], None),
        ([(WRITE, b"auth", b"")], [], None),
        ([], [ALICE], None),
        (None, [ALICE], None),
        ([WORLD_READ, (READ, b"nonsense", b"x")], [], None),
        ([WORLD_READ, (READ, None, b"anyone")], [], None),
    ],
)
def test_a_list_as_it_is_stored(
    entries: list[AclEntry] | None, identities: list[Identity], expected: list[AclEntry] | None
) -> None:
    """None stands for INVALIDACL."""
    assert expand(entries, identities) == expected


def test_a_password_becomes_an_id() -> None:
    """The example of ZooKeeper's own guide: super:test."""
    assert digest_identity(b"super:test", "sha1") == b"super:D/InIHSb7yEEbrWz8b9l71RjZJU="


def test_hashes_are_hidden_from_those_who_may_not_administer() -> None:
    """CVE-2019-0201."""
    assert masked([(ALL, *ALICE), WORLD_READ, (READ, *LOCAL)]) == [
        (ALL, b"digest", b"alice:x"),
        WORLD_READ,
        (READ, *LOCAL),
    ]


def test_a_list_is_kept_once() -> None:
    table = AclTable()
    first, second = table.intern(READ_ACL), table.intern(READ_ACL)
    assert first is second
    assert (first.acl_id, first.uses) == (1, 2)


def test_ids_are_not_used_again() -> None:
    """As in ZooKeeper: an id that an old snapshot may hold must not come to mean something else."""
    table = AclTable()
    first = table.intern(READ_ACL)
    table.release(first)
    assert table.find(READ_ACL) is None
    assert table.intern(encode_acl([(ALL, *ALICE)])).acl_id == 2


def test_a_list_goes_with_its_last_use() -> None:
    """Else whoever makes new lists fills the memory."""
    table = AclTable()
    acl = table.intern(READ_ACL)
    table.intern(READ_ACL)
    table.release(acl)
    assert table.find(READ_ACL) is acl
    table.release(acl)
    assert list(table.by_id) == [OPEN_ID]


def test_the_open_list_stays() -> None:
    table = AclTable()
    table.release(table.open)
    table.forget_unused()
    assert table.by_id == {OPEN_ID: table.open}


def test_lists_of_a_snapshot_without_nodes_are_forgotten() -> None:
    table = AclTable()
    table.add(7, READ_ACL)
    table.forget_unused()
    assert table.find(READ_ACL) is None
    assert table.intern(READ_ACL).acl_id == 8


def test_releasing_too_often_is_a_bug() -> None:
    table = AclTable()
    acl = table.intern(READ_ACL)
    table.release(acl)
    with pytest.raises(AssertionError):
        table.release(acl)
