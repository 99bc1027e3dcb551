"""From a request to a transaction: who is refused and why, in which order, and what the transaction says."""

import pytest

from tests.compat import requests as ask
from tests.compat import wire
from tests.compat.requests import Acl, Request
from tests.properties.workshop import KINDS, START_MS, Workshop, err_of
from zoopark import errors
from zoopark.jute import txn as txns
from zoopark.server.config import default_config
from zoopark.server.prepare import Preparer, Requester
from zoopark.server.sessions import SessionTracker
from zoopark.tree.owners import OwnerKinds
from zoopark.tree.tree import Tree

ME, OTHER, GONE = 1, 2, 99
BAD_ACL = [Acl(31, "nonsense", "x")]
NO_AUTH_ACL = [Acl(31, "auth", "")]


def shop_of_all_sorts() -> Workshop:
    """Nodes to stumble over: see the rows."""
    shop = Workshop()
    shop.open(ME, OTHER)
    for request in (
        ask.create("/a", b"data"),
        ask.create("/full"),
        ask.create("/full/child"),
        ask.create("/eph", flags=1),
        ask.create("/locked"),
        ask.create("/locked/child"),
        ask.set_acl("/locked", ask.READ_ONLY),
        ask.create("/secret", acls=[Acl(16, "world", "anyone")]),
        ask.create("/box", flags=4, opcode=wire.CREATE_CONTAINER),
        ask.create("/limited"),
        ask.create("/zookeeper/quota/limited"),
        ask.create("/zookeeper/quota/limited/zookeeper_limits", b"count=-1,bytes=-1=;byteHardLimit=5;countHardLimit=1"),
        ask.create("/zookeeper/quota/limited/zookeeper_stats", b"count=0,bytes=0"),
    ):
        assert shop.do(request, OTHER) == errors.OK, request.text
    return shop


SHOP = shop_of_all_sorts()

# Each row breaks the rule of its error and, where it can, every rule that is looked at later (protocol §1.10).
ORDER: list[tuple[Request, int, int]] = [
    (ask.create("/locked/..", acls=BAD_ACL, flags=9), GONE, errors.BAD_ARGUMENTS),
    (ask.create("/a", acls=BAD_ACL, flags=5), GONE, errors.BAD_ARGUMENTS),
    (ask.create_ttl("/a", 0, acls=BAD_ACL), GONE, errors.BAD_ARGUMENTS),
    (ask.create_ttl("/a", 1 << 40, acls=BAD_ACL), GONE, errors.BAD_ARGUMENTS),
    (ask.create_ttl("/a", 5, flags=0), GONE, errors.BAD_ARGUMENTS),
    (ask.create("no slash", acls=BAD_ACL), GONE, errors.SESSION_EXPIRED),
    (ask.create("no slash", acls=BAD_ACL), ME, errors.BAD_ARGUMENTS),
    (ask.create("/a\0", acls=BAD_ACL), ME, errors.BAD_ARGUMENTS),
    (ask.create("/none/..", acls=BAD_ACL), ME, errors.INVALID_ACL),
    (ask.create("/none/..", acls=NO_AUTH_ACL), ME, errors.INVALID_ACL),
    (ask.create("/none/..", acls=[]), ME, errors.INVALID_ACL),
    (ask.create("/none/.."), ME, errors.NO_NODE),
    (ask.create("/locked/.."), ME, errors.NO_AUTH),
    (ask.create("/locked/child"), ME, errors.NO_AUTH),
    (ask.create("/eph/.."), ME, errors.BAD_ARGUMENTS),
    (ask.create("/a"), ME, errors.NODE_EXISTS),
    (ask.create("/eph/x"), ME, errors.NO_CHILDREN_FOR_EPHEMERALS),
    (ask.create("/limited/x", b"1"), ME, errors.QUOTA_EXCEEDED),
    (ask.delete("/", 9), GONE, errors.SESSION_EXPIRED),
    (ask.delete("/", 9), ME, errors.BAD_ARGUMENTS),
    (ask.delete("/zookeeper"), ME, errors.BAD_ARGUMENTS),
    (ask.delete("/zookeeper/quota"), ME, errors.BAD_ARGUMENTS),
    (ask.delete("/zookeeper/config"), ME, errors.BAD_ARGUMENTS),
    (ask.delete("/none/x", 9), ME, errors.NO_NODE),
    (ask.delete("/full/none", 9), ME, errors.NO_NODE),
    (ask.delete("/locked/none", 9), ME, errors.NO_AUTH),
    (ask.delete("/locked/child", 9), ME, errors.NO_AUTH),
    (ask.delete("/full", 9), ME, errors.BAD_VERSION),
    (ask.delete("/full"), ME, errors.NOT_EMPTY),
    (ask.set_data("bad", b"", 9), GONE, errors.SESSION_EXPIRED),
    (ask.set_data("bad", b"", 9), ME, errors.BAD_ARGUMENTS),
    (ask.set_data("/none", b"", 9), ME, errors.NO_NODE),
    (ask.set_data("/locked", b"", 9), ME, errors.NO_AUTH),
    (ask.set_data("/limited", b"123456", 9), ME, errors.QUOTA_EXCEEDED),
    (ask.set_data("/limited", b"12345", 9), ME, errors.BAD_VERSION),
    (ask.set_acl("bad", BAD_ACL, 9), GONE, errors.SESSION_EXPIRED),
    (ask.set_acl("bad", BAD_ACL, 9), ME, errors.BAD_ARGUMENTS),
    (ask.set_acl("/none", BAD_ACL, 9), ME, errors.INVALID_ACL),
    (ask.set_acl("/none", ask.OPEN, 9), ME, errors.NO_NODE),
    (ask.set_acl("/locked", ask.OPEN, 9), ME, errors.NO_AUTH),
    (ask.set_acl("/a", ask.OPEN, 9), ME, errors.BAD_VERSION),
    (ask.multi(ask.check("/none", 9)), ME, errors.NO_NODE),
    (ask.multi(ask.check("/secret", 9)), ME, errors.NO_AUTH),
    (ask.multi(ask.check("/a", 9)), ME, errors.BAD_VERSION),
    (ask.multi(ask.create("/a", flags=9)), ME, errors.MARSHALLING_ERROR),
    (ask.multi(ask.get_data("/a")), ME, errors.MARSHALLING_ERROR),
    (ask.multi(ask.delete("/a"), ask.get_data("/a")), ME, errors.MARSHALLING_ERROR),
    (ask.raw(wire.MULTI, b"\x00"), ME, errors.MARSHALLING_ERROR),
    (ask.reconfig(None, None, None), ME, errors.RECONFIG_DISABLED),
    (ask.raw(wire.DELETE_CONTAINER, wire.string("/none")), 0, errors.NO_NODE),
    (ask.raw(wire.DELETE_CONTAINER, wire.string("/full")), 0, errors.NOT_EMPTY),
    (ask.raw(wire.DELETE_CONTAINER, wire.string("/a")), 0, errors.BAD_VERSION),
]


@pytest.mark.parametrize(("request_", "session_id", "err"), ORDER, ids=lambda value: getattr(value, "text", None))
def test_the_first_rule_that_is_broken_decides(request_: Request, session_id: int, err: int) -> None:
    """The refusal takes a zxid and is logged, and nothing else changes."""
    digest, zxid = SHOP.preparer.view.digest, SHOP.preparer.zxid
    assert err_of(SHOP.prepare(request_, session_id)) == err
    SHOP.apply()
    assert (SHOP.preparer.view.digest, SHOP.preparer.zxid) == (digest, zxid + 1)


def test_ttl_nodes_need_extended_types() -> None:
    shop = Workshop({"extendedTypesEnabled": "false"}, Tree(OwnerKinds(is_extended=False)))
    shop.open(ME)
    assert shop.do(ask.create_ttl("/t", 5)) == errors.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("keys", "request_"),
    [({"skipACL": "yes"}, ask.create("/locked/x")), ({"enforceQuota": "false"}, ask.create("/limited/x", b"1"))],
    ids=["skipACL", "enforceQuota"],
)
def test_rules_that_can_be_switched_off(keys: dict[str, str], request_: Request) -> None:
    shop = Workshop(keys, SHOP.tree)
    shop.sessions.add(ME, 1000, 0)
    assert shop.do(request_, ME) == errors.OK


def test_the_super_user_may_everything() -> None:
    shop = shop_of_all_sorts()
    assert shop.do(ask.delete("/locked/child"), ME, [(b"super", b"")]) == errors.OK


UNREADABLE = [
    ask.raw(wire.CREATE, b""),
    ask.raw(wire.CREATE, ask.plain(ask.create("/x"))[:-1]),
    ask.raw(wire.DELETE, wire.string("/a")),
    ask.raw(wire.SET_DATA, wire.string("/a") + wire.i32(-2) + wire.i32(-1)),
    ask.raw(wire.SET_DATA, wire.string("/a") + wire.i32(99) + wire.i32(-1)),
    ask.raw(wire.SET_ACL, wire.string("/a") + wire.i32(99)),
]


@pytest.mark.parametrize("request_", UNREADABLE, ids=lambda request_: request_.text)
def test_what_cannot_be_read_is_no_transaction(request_: Request) -> None:
    """Its answer is MARSHALLINGERROR, without a zxid and without a line in the log. Only a multi takes both."""
    preparer = SHOP.preparer
    zxid, digest = preparer.zxid, preparer.view.digest
    assert preparer.prepare(Requester(ME, []), 1, request_.opcode, ask.plain(request_), START_MS) is None
    assert (preparer.zxid, preparer.view.digest) == (zxid, digest)


def body_of(txn: bytes) -> bytes:
    """A transaction without its header and digest."""
    return txn[32:-12]


TRANSACTIONS = {
    "create": (
        ask.create("/a", b"x"),
        wire.CREATE2,
        wire.string("/a") + wire.buf(b"x") + ask.acl_list(ask.OPEN) + b"\0" + wire.i32(1),
    ),
    "null data": (
        ask.create("/a", None, opcode=wire.CREATE),
        wire.CREATE,
        wire.string("/a") + wire.NULL + ask.acl_list(ask.OPEN) + b"\0" + wire.i32(1),
    ),
    "ephemeral sequential": (
        ask.create("/a-", b"", flags=3),
        wire.CREATE2,
        wire.string("/a-0000000000") + wire.buf(b"") + ask.acl_list(ask.OPEN) + b"\1" + wire.i32(1),
    ),
    "a number alone": (
        ask.create("/", b"", flags=2),
        wire.CREATE2,
        wire.string("/0000000000") + wire.buf(b"") + ask.acl_list(ask.OPEN) + b"\0" + wire.i32(1),
    ),
    "container": (
        ask.create("/a", b"", flags=4, opcode=wire.CREATE_CONTAINER),
        wire.CREATE_CONTAINER,
        wire.string("/a") + wire.buf(b"") + ask.acl_list(ask.OPEN) + wire.i32(1),
    ),
    "TTL": (
        ask.create_ttl("/a", 77),
        wire.CREATE_TTL,
        wire.string("/a") + wire.buf(b"ttl") + ask.acl_list(ask.OPEN) + wire.i32(1) + wire.i64(77),
    ),
    "setData": (ask.set_data("/n", b"new"), wire.SET_DATA, wire.string("/n") + wire.buf(b"new") + wire.i32(1)),
    "setACL": (
        ask.set_acl("/n", ask.READ_ONLY),
        wire.SET_ACL,
        wire.string("/n") + ask.acl_list(ask.READ_ONLY) + wire.i32(1),
    ),
    "auth becomes the requester": (
        ask.set_acl("/n", [Acl(31, "auth", "ignored")]),
        wire.SET_ACL,
        wire.string("/n") + ask.acl_list([Acl(31, "digest", "me:hash")]) + wire.i32(1),
    ),
    "delete": (ask.delete("/n"), wire.DELETE, wire.string("/n")),
    "closeSession": (ask.close_session(), wire.CLOSE_SESSION, wire.vector([wire.string("/e")])),
    "empty multi": (ask.multi(), wire.MULTI, wire.vector([])),
    "multi": (
        ask.multi(ask.check("/n", 0), ask.delete("/n")),
        wire.MULTI,
        wire.vector(
            [
                wire.i32(13) + wire.buf(wire.string("/n") + wire.i32(1)),
                wire.i32(2) + wire.buf(wire.string("/n")),
            ]
        ),
    ),
    "failed multi": (
        ask.multi(ask.delete("/n"), ask.delete("/none"), ask.delete("/e")),
        wire.MULTI,
        wire.vector(
            [wire.i32(2) + wire.buf(wire.string("/n"))]
            + [wire.i32(-1) + wire.buf(wire.i32(code)) for code in (errors.NO_NODE, errors.RUNTIME_INCONSISTENCY)]
        ),
    ),
}


@pytest.mark.parametrize("name", TRANSACTIONS)
def test_transactions(name: str) -> None:
    """Byte for byte as Apache logs them."""
    request, kind, expected = TRANSACTIONS[name]
    shop = Workshop()
    shop.open(ME)
    if request.opcode not in (wire.CREATE, wire.CREATE2, wire.CREATE_CONTAINER, wire.CREATE_TTL):
        shop.do(ask.create("/n"))
        shop.do(ask.create("/e", flags=1))
    txn = shop.prepare(request, ME, [(b"digest", b"me:hash")])
    zxid = shop.preparer.zxid
    assert txns.HEADER.unpack_from(txn) == (ME, len(shop.log) - 1, zxid, START_MS + zxid, kind)
    assert body_of(txn) == expected
    assert txn[-12:] == wire.i32(2) + shop.preparer.view.digest.to_bytes(8, "big")


def test_a_refusal_has_no_digest() -> None:
    """As in ZooKeeper's log."""
    shop = Workshop()
    shop.open(ME)
    assert shop.prepare(ask.delete("/none"))[32:] == wire.i32(errors.NO_NODE)


def test_digests_can_be_switched_off() -> None:
    sessions = SessionTracker(2000, 1)
    sessions.add(ME, 1000, 0)
    config = default_config("/data", {"digest.enabled": "false"})
    preparer = Preparer(config, Tree(OwnerKinds(is_extended=False)), sessions, 0)
    txn = preparer.prepare(Requester(ME, []), 1, wire.CREATE, ask.plain(ask.create("/a")), START_MS)
    assert txn is not None
    assert txn[32:] == wire.string("/a") + wire.buf(b"") + ask.acl_list(ask.OPEN) + b"\0" + wire.i32(1)


def test_close_session_may_leave_its_paths_out() -> None:
    """closeSessionTxn.enabled=false, for members of before 3.6."""
    shop = Workshop({"closeSessionTxn.enabled": "false"})
    shop.open(ME)
    shop.do(ask.create("/e", flags=1))
    assert body_of(shop.prepare(ask.close_session())) == b""
    shop.apply()
    assert b"/e" not in shop.tree.nodes


def test_a_closing_session_with_very_many_ephemerals_lists_none_of_them() -> None:
    """The list would be more than one member takes from another; those who apply it know what the session owns."""
    shop = Workshop()
    shop.open(1)
    for number in range(5_000):
        shop.prepare(ask.create(f"/{number:0250d}", flags=1))
    shop.apply()
    txn = shop.prepare(ask.raw(wire.CLOSE_SESSION, b""))
    assert len(txn) == txns.HEADER_BYTES + txns.DIGEST_BYTES
    shop.apply()
    assert shop.tree.ephemerals == {} and len(shop.tree.nodes) == len(Tree(KINDS).nodes)
