"""What a test sequence is made of: steps, each a value that means the same for every server.

A step names links by small numbers. A `Send` or `Raw` on a link that is not connected connects it first, with a new
session, so that any step may be left out of a sequence and the rest still makes sense.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.compat.requests import Request

SESSION_TIMEOUT_MS = 120_000


@dataclass(frozen=True, slots=True)
class Send:
    """Requests written to one link in one burst; `piece_bytes` cuts the burst into packets of that size."""

    link: int
    requests: tuple[Request, ...]
    piece_bytes: int = 0

    def __str__(self) -> str:
        cut = f" in pieces of {self.piece_bytes}" if self.piece_bytes else ""
        return f"#{self.link}{cut}: " + " | ".join(request.text for request in self.requests)


@dataclass(frozen=True, slots=True)
class Open:
    """A new connection on a link, its old one left as it is for the server to find out.

    Args:
        session_of: link whose last session to present; None asks for a new session.
        password: None sends the right one.
        ahead: how far lastZxidSeen is beyond the server's zxid; None sends 0.
        read_only: the last byte of the request; None leaves it out, as clients before 3.4 did.
        session_id: an id to present instead of that of `session_of`.
        payload: the whole ConnectRequest, instead of all the above.
        requests: sent in the same burst, before the answer is there.
    """

    link: int
    session_of: int | None = None
    timeout_ms: int = SESSION_TIMEOUT_MS
    password: bytes | None = None
    ahead: int | None = None
    read_only: bool | None = False
    session_id: int | None = None
    payload: bytes | None = None
    requests: tuple[Request, ...] = ()

    def __str__(self) -> str:
        if self.payload is not None:
            return f"#{self.link}: connect with {self.payload.hex()}"
        whose = "a new session" if self.session_of is None else f"the session of #{self.session_of}"
        extra = f" id={self.session_id}" if self.session_id is not None else ""
        extra += "".join(f" | {request.text}" for request in self.requests)
        words = f"timeout={self.timeout_ms} password={self.password!r} ahead={self.ahead} readOnly={self.read_only}"
        return f"#{self.link}: connect for {whose}{extra} {words}"


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes on a link, or on a connection without a session (`is_bare`), after which the server must close it."""

    link: int
    data: bytes
    is_bare: bool = False

    def __str__(self) -> str:
        shown = self.data.hex() if len(self.data) < 100 else f"{self.data[:40].hex()}… {len(self.data)} bytes"
        return f"#{self.link}: {'bare ' if self.is_bare else ''}bytes {shown}"


@dataclass(frozen=True, slots=True)
class Drop:
    """The client closes a connection without a word; its session stays."""

    link: int

    def __str__(self) -> str:
        return f"#{self.link}: drop"


@dataclass(frozen=True, slots=True)
class Await:
    """Wait until a link has received so many frames, or was closed: for what the server does by itself.

    Args:
        after: what makes it do so, on another link, if it may do so at once: then it is all one step.
    """

    link: int
    frames: int
    seconds: float
    after: Send | None = None

    def __str__(self) -> str:
        return f"{'' if self.after is None else f'{self.after} '}#{self.link}: wait for {self.frames} frames"


@dataclass(frozen=True, slots=True)
class Word:
    """A four-letter word on a connection of its own."""

    word: bytes

    def __str__(self) -> str:
        return f"word {self.word!r}"


Step = Send | Open | Raw | Drop | Await | Word


def sends(link: int, *requests: Request) -> list[Step]:
    """One step for each request, all on one link."""
    return [Send(link, (request,)) for request in requests]


def burst(link: int, *requests: Request, piece_bytes: int = 0) -> Send:
    """All requests in one step, without waiting for replies in between."""
    return Send(link, requests, piece_bytes)


def script(*parts: Step | Sequence[Step]) -> list[Step]:
    """Steps and lists of steps, flattened."""
    flat: list[Step] = []
    for part in parts:
        flat.extend([part] if isinstance(part, Step) else part)
    return flat
