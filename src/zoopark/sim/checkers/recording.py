"""What clients were told, written down to be checked later, and the check.

Where members are processes, nobody knows what is committed at the moment a client is told something. So it is recorded
in the order in which it was told, and replayed beside the committed transactions once somebody has them: each is known
to be committed from the moment at which somebody was told of its zxid. A recorded call is a name and literals, so that
a line of text can carry it.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from operator import itemgetter
from typing import Any, Final, TypeAlias, final

from zoopark.jute import txn as txns
from zoopark.sim.asks import Answer, Ask
from zoopark.sim.checkers import Violation
from zoopark.sim.checkers.sessions import SessionView
from zoopark.sim.checkers.truth import Truth
from zoopark.sim.session import Session

Tell: TypeAlias = Callable[[str, tuple[Any, ...]], None]
"""Is given the name of a call of a SessionView and its arguments, as literals."""

CONNECTED: Final = "connected"
EXPIRED: Final = "expired"
LINK_LOST: Final = "link lost"
SYNC_SENT: Final = "sync sent"
OVER: Final = "over"
ZXID: Final = "zxid"
EVENT: Final = "event"
REARMED: Final = "rearmed"
ANSWER: Final = "answer"


@final
class Recording:
    """Takes the place of a SessionView: it believes everything and tells what it was told."""

    __slots__ = ("_tell", "name", "session")

    def __init__(self, name: str, tell: Tell) -> None:
        self.name = name
        self.session = Session()
        self._tell = tell

    def on_connected(self, session_id: int) -> None:
        self._tell(CONNECTED, (session_id,))
        self.session.on_connected(session_id)

    def on_expired(self) -> None:
        self._tell(EXPIRED, ())
        self.session.on_over()

    def on_link_lost(self) -> None:
        self._tell(LINK_LOST, ())

    def on_sync_sent(self) -> None:
        self._tell(SYNC_SENT, ())

    def on_over(self) -> None:
        self._tell(OVER, ())
        self.session.on_over()

    def on_zxid(self, zxid: int) -> None:
        self._tell(ZXID, (zxid,))
        self.session.on_zxid(zxid)

    def on_event(self, event: int, path: bytes, zxid: int) -> None:
        self._tell(EVENT, (event, path, zxid))
        self.session.on_event(event, path)

    def on_rearmed(self, zxid: int) -> None:
        self._tell(REARMED, (zxid,))
        self.session.on_rearmed(zxid)

    def on_answer(self, ask: Ask, answer: Answer) -> None:
        self._tell(ANSWER, (ask_as_literal(ask), answer_as_literal(answer)))
        self.session.on_answer(ask, answer)


@final
class Replay:
    """Recorded calls, checked one after the other in the order in which they were made.

    Args:
        committed: every committed (zxid, transaction), in order.

    Attributes:
        truth: what is known to be committed so far.
        views: by the name of the client.
    """

    __slots__ = ("_at", "_committed", "_ended", "truth", "views")

    def __init__(self, committed: Sequence[tuple[int, bytes]]) -> None:
        self.truth = Truth()
        self.views: dict[str, SessionView] = {}
        self._committed = committed
        self._at = 0
        self._ended = {header[0] for header in _headers(committed) if header[4] == txns.CLOSE_SESSION}

    def on_told(self, name: str, what: str, arguments: tuple[Any, ...]) -> None:
        """The next recorded call. Raises Violation."""
        view = self.views.get(name)
        if view is None:
            view = self.views[name] = SessionView(name, self.truth, self._ended.__contains__)
        if what == CONNECTED:
            self._reveal_session(arguments[0])
            view.on_connected(arguments[0])
        elif what in (ZXID, REARMED):
            self._reveal(arguments[0])
            (view.on_zxid if what == ZXID else view.on_rearmed)(arguments[0])
        elif what == EVENT:
            self._reveal(arguments[2])
            view.on_event(*arguments)
        elif what == ANSWER:
            view.on_answer(ask_from_literal(arguments[0]), answer_from_literal(arguments[1]))
        elif what == SYNC_SENT:
            view.on_sync_sent()
        elif what == LINK_LOST:
            view.on_link_lost()
        else:
            (view.on_expired if what == EXPIRED else view.on_over)()

    def finish(self) -> None:
        """All that is committed is known."""
        while self._at < len(self._committed):
            self._reveal_next()

    def _reveal(self, zxid: int) -> None:
        """Somebody was told of `zxid`, so it is committed, with all that comes before."""
        while self._at < len(self._committed) and self._committed[self._at][0] <= zxid:
            self._reveal_next()

    def _reveal_session(self, session_id: int) -> None:
        """Somebody was let into a session, so it is committed."""
        while session_id not in self.truth.sessions and self._at < len(self._committed):
            self._reveal_next()

    def _reveal_next(self) -> None:
        self.truth.on_committed(*self._committed[self._at])
        self._at += 1


def one_history(histories: Iterable[Sequence[tuple[int, bytes]]]) -> list[tuple[int, bytes]]:
    """The committed transactions out of what several members hold at rest.

    A member that was sent a snapshot has nothing from before; from there on each must hold the same.
    Raises Violation if they do not.
    """
    longest, *others = sorted(map(list, histories), key=lambda history: history[0][0] if history else 1 << 63)
    for other in others:
        start = bisect_left(longest, other[0][0], key=itemgetter(0)) if other else len(longest)
        for mine, its in zip_longest(longest[start:], other, fillvalue=(0, b"")):
            if mine != its:
                raise Violation(f"I-10: a member holds {its[0]:#x} where another holds {mine[0]:#x}")
    return longest


def _headers(committed: Sequence[tuple[int, bytes]]) -> Iterable[tuple[int, int, int, int, int]]:
    return (txns.HEADER.unpack_from(txn) for _, txn in committed)


def ask_as_literal(ask: Ask) -> tuple[Any, ...]:
    """An Ask as its arguments; `ask_from_literal` undoes it."""
    parts = tuple(ask_as_literal(part) for part in ask.parts)
    return ask.op, ask.path, ask.body, ask.call, ask.is_watched, parts


def ask_from_literal(literal: tuple[Any, ...]) -> Ask:
    op, path, body, call, is_watched, parts = literal
    return Ask(op, path, body, call, is_watched, tuple(ask_from_literal(part) for part in parts))


def answer_as_literal(answer: Answer) -> tuple[Any, ...]:
    """An Answer; `answer_from_literal` undoes it."""
    return answer.err, answer.zxid, answer.path, answer.value, list(answer.names), answer.parts


def answer_from_literal(literal: tuple[Any, ...]) -> Answer:
    answer = Answer(*literal[:2])
    answer.path, answer.value, answer.parts = literal[2], literal[3], literal[5]
    answer.names = dict.fromkeys(literal[4])
    return answer
