"""Random requests as hypothesis draws them: each can be made of the model, and of the server."""

from dataclasses import dataclass
from typing import Final

from hypothesis import strategies as st

from tests.compat import requests as ask
from tests.compat import wire
from tests.compat.requests import Acl, Request
from tests.properties.model import OPEN, Model

PATHS: Final = ("/a", "/b", "/a/a", "/a/b", "/b/a", "/a/a/a", "/none/x")
SESSIONS: Final = (1, 2, 3)
EPHEMERAL: Final = 1
SEQUENTIAL: Final = 2
CONTAINER_OWNER: Final = -(1 << 63)
TTL_OWNER: Final = -(1 << 56) | 5000


@dataclass(frozen=True)
class Move:
    """One request: its verb and what the verb needs; `parts` only for a multi."""

    verb: str
    path: str = ""
    data: bytes | None = b""
    number: int = 0
    session_id: int = 1
    parts: tuple["Move", ...] = ()

    def request(self) -> Request:
        """`number` is the flags of a create, the permissions of a setACL, else a version."""
        if self.verb == "create":
            return ask.create(self.path, self.data, flags=self.number)
        if self.verb == "container":
            return ask.create(self.path, self.data, flags=4, opcode=wire.CREATE_CONTAINER)
        if self.verb == "ttl":
            return ask.create_ttl(self.path, 5000)
        if self.verb == "delete":
            return ask.delete(self.path, self.number)
        if self.verb == "set":
            return ask.set_data(self.path, self.data, self.number)
        if self.verb == "acl":
            return ask.set_acl(self.path, [Acl(self.number, "world", "anyone")])
        if self.verb == "check":
            return ask.check(self.path, self.number)
        if self.verb == "multi":
            return ask.multi(*(part.request() for part in self.parts))
        return ask.close_session()

    def act(self, model: Model) -> None:
        """Do it to the model; raises RefusedError."""
        if self.verb == "create":
            owner = self.session_id if self.number & EPHEMERAL else 0
            model.create(self.path, self.data, owner, bool(self.number & SEQUENTIAL))
        elif self.verb == "container":
            model.create(self.path, self.data, CONTAINER_OWNER)
        elif self.verb == "ttl":
            model.create(self.path, b"ttl", TTL_OWNER)
        elif self.verb == "delete":
            model.delete(self.path, self.number)
        elif self.verb == "set":
            model.set_data(self.path, self.data, self.number)
        elif self.verb == "acl":
            model.set_acl(self.path, self.number)
        elif self.verb == "check":
            model.check(self.path, self.number)
        elif self.verb == "multi":
            for part in self.parts:
                part.act(model)
        else:
            model.close(self.session_id)


_PATHS = st.sampled_from(PATHS)
_DATA = st.none() | st.binary(max_size=3)
_VERSIONS = st.sampled_from([-1, -1, -1, 0, 1])
_PERMS = st.sampled_from([OPEN, OPEN, OPEN, OPEN & ~2, OPEN & ~4, OPEN & ~8, 1, OPEN & ~1])


def _singles(session_id: int) -> st.SearchStrategy[Move]:
    who = st.just(session_id)
    creates = st.builds(Move, st.just("create"), _PATHS, _DATA, st.sampled_from([0, 0, 1, 2, 3]), who)
    return st.one_of(
        creates,
        creates,
        st.builds(Move, st.sampled_from(["container", "ttl"]), _PATHS, _DATA, session_id=who),
        st.builds(Move, st.just("delete"), _PATHS, number=_VERSIONS, session_id=who),
        st.builds(Move, st.just("set"), _PATHS, _DATA, _VERSIONS, who),
        st.builds(Move, st.just("acl"), _PATHS, number=_PERMS, session_id=who),
    )


def _multis(session_id: int) -> st.SearchStrategy[Move]:
    checks = st.builds(Move, st.just("check"), _PATHS, number=_VERSIONS)
    inside = _singles(session_id).filter(lambda move: move.verb != "acl")
    parts = st.lists(st.one_of(inside, inside, inside, checks), max_size=4).map(tuple)
    return st.builds(Move, st.just("multi"), session_id=st.just(session_id), parts=parts)


def _moves(session_id: int) -> st.SearchStrategy[Move]:
    singles = _singles(session_id)
    close = st.builds(Move, st.just("close"), session_id=st.just(session_id))
    return st.one_of(*[singles] * 6, *[_multis(session_id)] * 2, close)


MOVES: Final = st.sampled_from(SESSIONS).flatmap(_moves)
HISTORIES: Final = st.lists(MOVES, max_size=30)

_FEW_PATHS = st.sampled_from(["/a", "/a/a", "/a/a/a", "/b"])
_CREATES = st.builds(Move, st.just("create"), _FEW_PATHS, st.just(b""), st.sampled_from([0, 0, 0, 1, 2]))
_DELETES = st.builds(Move, st.just("delete"), _FEW_PATHS, number=st.just(-1))
_CHANGES = st.one_of(
    st.builds(Move, st.just("set"), _FEW_PATHS, st.binary(max_size=2), st.just(-1)),
    st.builds(Move, st.just("acl"), _FEW_PATHS, number=st.sampled_from([OPEN, OPEN & ~1, OPEN & ~2])),
    st.builds(Move, st.just("multi"), parts=st.lists(_CREATES | _DELETES, min_size=1, max_size=3).map(tuple)),
)
TURMOIL: Final = st.lists(st.one_of(_CREATES, _CREATES, _DELETES, _CHANGES), min_size=4, max_size=16)
"""A few nodes that come and go and come again."""
