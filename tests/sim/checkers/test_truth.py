"""What znodes held when, and what transactions must never do."""

import pytest

from zoopark.jute import txn as txns
from zoopark.jute.buffer import I32, pack_buffer
from zoopark.sim.checkers import Violation
from zoopark.sim.checkers.truth import Truth

SESSION = 0x77


def body_of_create(path: bytes, data: bytes = b"x", is_ephemeral: bool = False) -> bytes:
    flag = b"\x01" if is_ephemeral else b"\x00"
    return pack_buffer(path) + pack_buffer(data) + txns.OPEN_ACL + flag + I32.pack(-1)


def body_of_set(path: bytes, data: bytes, version: int) -> bytes:
    return pack_buffer(path) + pack_buffer(data) + I32.pack(version)


class Told:
    """A truth that is told one transaction after the other."""

    def __init__(self) -> None:
        self.truth = Truth()

    def tell(self, kind: int, body: bytes, session_id: int = SESSION) -> int:
        zxid = self.truth.last_zxid + 1
        self.truth.on_committed(zxid, txns.HEADER.pack(session_id, 0, zxid, 0, kind) + body)
        return zxid

    def create(self, path: bytes, is_ephemeral: bool = False, session_id: int = SESSION) -> int:
        return self.tell(txns.CREATE, body_of_create(path, is_ephemeral=is_ephemeral), session_id)


def test_every_version_stays_known() -> None:
    told = Told()
    told.create(b"/a")
    told.tell(txns.SET_DATA, body_of_set(b"/a", b"y", 1))
    told.tell(txns.DELETE, pack_buffer(b"/a"))
    truth = told.truth
    assert [truth.at(b"/a", zxid) for zxid in range(5)] == [None, (b"x", 0, 1), (b"y", 1, 1), None, None]
    assert [truth.changed_after(b"/a", zxid) for zxid in range(4)] == [1, 2, 3, 0]


def test_children_come_and_go() -> None:
    told = Told()
    for path in (b"/p", b"/p/a", b"/p/b"):
        told.create(path)
    told.tell(txns.DELETE, pack_buffer(b"/p/a"))
    assert [list(told.truth.children(b"/p", zxid)) for zxid in range(1, 5)] == [[], [b"a"], [b"a", b"b"], [b"b"]]
    assert told.truth.children_changed_after(b"/p", 3) == 4


def test_a_multi_is_one_moment() -> None:
    told = Told()
    parts = [(txns.CREATE, body_of_create(b"/a")), (txns.SET_DATA, body_of_set(b"/a", b"z", 1))]
    assert told.tell(txns.MULTI, txns.encode_multi(parts)) == 1
    assert told.truth.at(b"/a", 1) == (b"z", 1, 1)


def test_a_failed_multi_does_nothing() -> None:
    told = Told()
    told.tell(txns.MULTI, txns.encode_multi([(txns.CREATE, body_of_create(b"/a")), (txns.ERROR, I32.pack(-101))]))
    assert told.truth.at(b"/a", 1) is None


def test_ephemerals_go_with_their_session_and_only_they() -> None:
    told = Told()
    told.tell(txns.CREATE_SESSION, I32.pack(1000))
    told.create(b"/mine", is_ephemeral=True)
    told.create(b"/stays")
    told.tell(txns.CLOSE_SESSION, txns.encode_close_session([b"/mine"]))
    assert told.truth.at(b"/mine", 4) is None and told.truth.at(b"/stays", 4) is not None
    assert told.truth.n_gone == 1 and told.truth.is_closed(SESSION, 4)


def create_twice(told: Told) -> None:
    told.create(b"/a")
    told.create(b"/a")


def delete_nothing(told: Told) -> None:
    told.tell(txns.DELETE, pack_buffer(b"/a"))


def skip_a_version(told: Told) -> None:
    told.create(b"/a")
    told.tell(txns.SET_DATA, body_of_set(b"/a", b"", 2))


def set_nothing(told: Told) -> None:
    told.tell(txns.SET_DATA, body_of_set(b"/a", b"", 1))


def ephemeral_of_a_closed_session(told: Told) -> None:
    """ZOOKEEPER-1496: it would never be removed."""
    told.tell(txns.CREATE_SESSION, I32.pack(1000))
    told.tell(txns.CLOSE_SESSION, txns.encode_close_session([]))
    told.create(b"/mine", is_ephemeral=True)


def ephemeral_of_a_session_that_never_began(told: Told) -> None:
    """A local session owns something before everybody was told of it."""
    told.create(b"/mine", is_ephemeral=True)


def ephemeral_of_another_session(told: Told) -> None:
    told.tell(txns.CREATE_SESSION, I32.pack(1000), session_id=0x99)
    told.create(b"/theirs", is_ephemeral=True, session_id=0x99)
    told.tell(txns.CLOSE_SESSION, txns.encode_close_session([b"/theirs"]))


def the_past(told: Told) -> None:
    told.create(b"/a")
    told.truth.on_committed(1, txns.HEADER.pack(0, 0, 1, 0, txns.CREATE) + body_of_create(b"/b"))


@pytest.mark.parametrize(
    "act",
    [
        create_twice,
        delete_nothing,
        skip_a_version,
        set_nothing,
        ephemeral_of_a_closed_session,
        ephemeral_of_a_session_that_never_began,
        ephemeral_of_another_session,
        the_past,
    ],
)
def test_what_no_server_may_commit_is_found(act: object) -> None:
    assert callable(act)
    with pytest.raises(Violation):
        act(Told())


@pytest.mark.parametrize(
    ("sessions", "owners", "word"),
    [
        ((), (), "open and unknown"),
        ((SESSION, SESSION + 1), (), "closed and known"),
        ((SESSION,), (SESSION + 1,), "keeps some"),
    ],
)
def test_a_member_at_rest_knows_the_sessions_that_are_open(
    sessions: tuple[int, ...], owners: tuple[int, ...], word: str
) -> None:
    """ZOOKEEPER-3144: whoever comes back with another session table leaves ephemerals without an owner."""
    told = Told()
    told.tell(txns.CREATE_SESSION, I32.pack(1000))
    told.tell(txns.CREATE_SESSION, I32.pack(1000), SESSION + 1)
    told.tell(txns.CLOSE_SESSION, txns.encode_close_session([]), SESSION + 1)
    told.truth.check_sessions(1, [SESSION], [SESSION])
    with pytest.raises(Violation, match=word):
        told.truth.check_sessions(1, sessions, owners)
