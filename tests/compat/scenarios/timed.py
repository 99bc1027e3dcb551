"""What a server does by itself, with short ticks: sessions expire, containers and timed nodes are reaped."""

from typing import Final

from tests.compat import requests as ask
from tests.compat import wire
from tests.compat.steps import Await, Drop, Open, Send, Step, script, sends

PATIENCE_SECONDS: Final = 60.0
SESSION_MS: Final = 3000
"""Longer than the steps take that the session is to outlive, also on a busy machine."""


def _expiry() -> list[Step]:
    """A session without a connection ends, with its ephemeral and one event at one zxid."""
    return script(
        Open(0, timeout_ms=SESSION_MS),
        sends(0, ask.create("/e", flags=1)),
        sends(1, ask.exists("/e", True)),
        Drop(0),
        Await(1, 1, PATIENCE_SECONDS),
        sends(1, ask.exists("/e")),
        Open(0, session_of=0),
        Open(2, session_of=0),
    )


def _silent_client() -> list[Step]:
    """A client that says nothing for too long is hung up on."""
    return script(
        Open(0, timeout_ms=SESSION_MS),
        sends(0, ask.create("/e", flags=1)),
        Await(0, 1, PATIENCE_SECONDS),
        sends(1, ask.exists("/e")),
    )


def _bounds() -> list[Step]:
    return script([Open(0, timeout_ms=timeout) for timeout in (0, 1, 399, 400, 401, 4000, 4001)], sends(0, ask.ping()))


def _time_to_live() -> list[Step]:
    """Only when it has no children, and counted from the last change."""
    return script(
        sends(0, ask.multi(ask.create_ttl("/t", 300), ask.create("/t/child")), ask.exists("/t")),
        sends(1, ask.exists("/t", True), ask.get_children("/t", True)),
        Await(1, 2, PATIENCE_SECONDS, after=Send(0, (ask.delete("/t/child"),))),
        sends(1, ask.exists("/t"), ask.get_children2("/")),
    )


def _container() -> list[Step]:
    """Reaped once its last child is gone; never while it has had none."""
    return script(
        sends(
            0,
            ask.create("/c", flags=4, opcode=wire.CREATE_CONTAINER),
            ask.create("/never", flags=4, opcode=wire.CREATE_CONTAINER),
        ),
        sends(1, ask.exists("/c", True), ask.exists("/never", True)),
        Await(1, 1, PATIENCE_SECONDS, after=Send(0, (ask.multi(ask.create("/c/child"), ask.delete("/c/child")),))),
        sends(1, ask.exists("/c"), ask.exists("/never"), ask.create("/c/child")),
    )


SCENARIOS: Final = {
    "a session expires": _expiry(),
    "a silent client": _silent_client(),
    "bounds of the session timeout": _bounds(),
    "time to live": _time_to_live(),
    "a container": _container(),
}
