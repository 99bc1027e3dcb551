"""Access control: which lists are accepted, how they are stored and shown, what they forbid."""

from collections.abc import Sequence
from typing import Final

from tests.compat import requests as ask
from tests.compat import wire
from tests.compat.requests import Acl, Request, Text
from tests.compat.steps import Step, script, sends

USER, OTHER = ask.digest_id("u", "p"), ask.digest_id("v", "q")
WORLD: Final = Acl(31, "world", "anyone")
IDS: Final[tuple[tuple[Text, Text], ...]] = (
    *(("world", "anyone"), ("world", ""), ("world", "someone"), ("world", None), ("World", "anyone"), (None, "anyone")),
    *(
        ("auth", ""),
        ("auth", "ignored"),
        ("auth", None),
        ("digest", USER),
        ("digest", "u:p"),
        ("digest", "u"),
        ("digest", ""),
    ),
    *(
        ("digest", "a:b:c"),
        ("digest", ":"),
        ("digest", "u:"),
        ("digest", ":p"),
        ("digest", None),
        ("super", ""),
        ("super", "x"),
    ),
    *(("ip", "127.0.0.1"), ("ip", "127.0.0.0/8"), ("ip", "127.0.0.1/32"), ("ip", "10.0.0.0/0"), ("ip", "127.0.0.1/33")),
    *(
        ("ip", "127.0.0"),
        ("ip", "127.0.0.1.1"),
        ("ip", "256.1.1.1"),
        ("ip", "a.b.c.d"),
        ("ip", "1.2.3.4/"),
        ("ip", "/8"),
    ),
    *(
        ("ip", "1.2.3.4/-1"),
        ("ip", "1.2.3.4/x"),
        ("ip", "1.2.3.4/8/8"),
        ("ip", ""),
        ("ip", "-1.2.3.4"),
        ("ip", " 1.2.3.4"),
    ),
    *(
        ("x509", "CN=a"),
        ("sasl", "user"),
        ("host", "localhost"),
        ("", ""),
        ("nope", "x"),
        ("digest ", USER),
        ("ip", "01.2.3.4"),
    ),
)
LISTS: Final[tuple[tuple[Acl, ...] | None, ...]] = (
    None,
    (),
    (WORLD, WORLD),
    (WORLD, Acl(1, "world", "anyone"), WORLD),
    (Acl(1, "world", "anyone"), Acl(2, "world", "anyone")),
    (WORLD, Acl(31, "nope", "x")),
    (Acl(31, "nope", "x"), WORLD),
    (Acl(3, "digest", OTHER), Acl(1, "digest", USER), Acl(31, "world", "anyone"), Acl(1, "ip", "127.0.0.1")),
    (Acl(31, "auth", ""), Acl(31, "auth", ""), Acl(1, "auth", "")),
    (Acl(0, "world", "anyone"),),
    (Acl(32, "world", "anyone"),),
    (Acl(-1, "world", "anyone"),),
    (Acl(2**31 - 1, "digest", USER),),
    (Acl(31, "auth", ""), WORLD),
)
AS_USER: Final = ask.auth("digest", b"u:p")
AS_OTHER: Final = ask.auth("digest", b"v:q")
AS_SUPER: Final = ask.auth("digest", b"super:secret")


def _accepted(*first: Request) -> list[Step]:
    """Every id and every list, on create and setACL, after the given authentications."""
    lists = [(Acl(31, scheme, id_),) for scheme, id_ in IDS] + list(LISTS)
    steps = script(sends(0, *first, ask.create("/l")))
    for number, acls in enumerate(lists):
        name = f"/l/{number}"
        steps += sends(0, ask.create(name, acls=acls), ask.get_acl(name), ask.set_acl("/l", ask.OPEN))
        steps += sends(0, ask.set_acl(name, acls), ask.get_acl(name), ask.multi(ask.create(f"{name}m", acls=acls)))
    return steps


def _every_act(path: str) -> list[Request]:
    child = f"{path}/child"
    return [
        *(ask.exists(path), ask.get_data(path), ask.get_children(path), ask.get_children2(path), ask.get_acl(path)),
        *(
            ask.set_data(path, b"n"),
            ask.create(child),
            ask.create(f"{path}/s", flags=2),
            ask.exists(child),
            ask.delete(child),
        ),
        *(
            ask.multi(ask.check(path)),
            ask.multi(ask.create(child), ask.delete(child)),
            ask.multi(ask.set_data(path, b"")),
        ),
        *(ask.multi(ask.get_data(path), ask.get_children(path), opcode=wire.MULTI_READ), ask.add_watch(path, 0)),
        *(
            ask.named(wire.GET_ALL_CHILDREN_NUMBER, path),
            ask.named(wire.SYNC, path),
            ask.watches(wire.REMOVE_WATCHES, path, 3),
        ),
        *(
            ask.create(path),
            ask.create(child, flags=1),
            ask.set_acl(path, (Acl(31, "auth", ""),), 7),
            ask.delete(path, 77),
        ),
    ]


def _permissions() -> list[Step]:
    """Each set of permissions for the world, tried with each request."""
    steps: list[Step] = []
    for perms in range(32):
        path = f"/p{perms}"
        steps += sends(0, ask.create(path, acls=(Acl(perms, "world", "anyone"),)))
        steps += sends(1, *_every_act(path))
    return steps


def _identities() -> list[Step]:
    """One node, tried as nobody, as its owner, as somebody else, as super."""
    owned = (Acl(31, "digest", USER), Acl(1, "world", "anyone"))
    steps = script(sends(0, ask.create("/o", b"o", owned), ask.create("/i", acls=(Acl(31, "ip", "127.0.0.0/24"),))))
    for link, first in enumerate(((), (AS_USER,), (AS_OTHER,), (AS_USER, AS_OTHER), (AS_SUPER,)), 1):
        steps += sends(link, *first, ask.who_am_i(), *_every_act("/o"), *_every_act("/i"))
    return steps


def _shown() -> list[Step]:
    """Hashes are hidden from those who may not administer."""
    lists = {
        "/a": (Acl(1, "world", "anyone"), Acl(31, "digest", USER), Acl(31, "digest", "plain:hash")),
        "/b": (Acl(16, "world", "anyone"), Acl(31, "digest", USER)),
        "/c": (Acl(17, "world", "anyone"), Acl(31, "digest", USER), Acl(31, "ip", "10.0.0.1")),
        "/d": (Acl(14, "world", "anyone"), Acl(31, "digest", USER)),
        "/e": (Acl(1, "world", "anyone"), Acl(1, "digest", ":"), Acl(1, "digest", "user:")),
    }
    look = [ask.get_acl(path) for path in lists]
    makes = [ask.create(path, acls=acls) for path, acls in lists.items()]
    return script(
        sends(0, *makes, *look), sends(1, AS_USER, *look), sends(2, AS_OTHER, *look), sends(3, AS_SUPER, *look)
    )


def _authentication() -> list[Step]:
    """Each on a link of its own, as those that fail end the connection."""
    calls = [
        *(
            ask.auth("digest", data)
            for data in (b"u:p", b"", None, b"nocolon", b":", b"a:b:c", b"\xff:\xff", b"super:wrong")
        ),
        *(
            ask.auth(scheme, b"x")
            for scheme in ("", None, "nope", "Digest", "world", "auth", "super", "x509", "sasl", "ip")
        ),
        *(ask.auth("digest", b"u:p", kind) for kind in (1, -1, 2147483647)),
        *(ask.auth("ip", data) for data in (b"", None, b"10.1.1.1")),
        AS_SUPER,
    ]
    each = [sends(0, ask.ping(), call, ask.who_am_i(), ask.close_session()) for call in calls]
    return script(*each, sends(1, AS_USER, AS_USER, AS_OTHER, AS_SUPER, ask.who_am_i()))


def _filtered_events() -> list[Step]:
    """Who may not read a node does not hear of it."""
    hidden, shown = (Acl(30, "world", "anyone"),), ask.OPEN
    arms = [ask.add_watch("/f", 1), ask.add_watch("/f/x", 0), ask.add_watch("/f", 0), ask.exists("/f/x", True)]
    acts: Sequence[Request] = (
        *(ask.create("/f/x", acls=hidden), ask.set_data("/f/x", b""), ask.create("/f/x/y"), ask.delete("/f/x/y")),
        *(ask.set_acl("/f/x", shown), ask.set_data("/f/x", b""), ask.create("/f/x/y"), ask.delete("/f/x/y")),
        *(
            ask.set_acl("/f", hidden),
            ask.create("/f/z"),
            ask.delete("/f/z"),
            ask.delete("/f/x"),
            ask.create("/f/x", acls=hidden),
        ),
        *(ask.multi(ask.delete("/f/x"), ask.create("/f/x"), ask.set_data("/f/x", b"")), ask.set_acl("/f", shown)),
        *(ask.delete("/f/x"), ask.delete("/f")),
    )
    return script(
        sends(0, ask.create("/f")), sends(1, *arms), sends(2, AS_SUPER, *arms), sends(3, *arms[:1]), sends(0, *acts)
    )


def _enforced() -> list[Step]:
    """Settings `enforce.auth`: nothing is served before an accepted scheme was used."""
    return script(
        sends(0, ask.get_data("/")),
        sends(1, ask.create("/x")),
        sends(2, ask.auth("ip", b"")),
        sends(3, ask.close_session()),
    )


SCENARIOS: Final = {
    "acl lists of nobody": _accepted(),
    "acl lists of a user": _accepted(AS_USER),
    "acl lists of two users": _accepted(AS_USER, AS_OTHER),
    "permissions": _permissions(),
    "identities": _identities(),
    "acls as shown": _shown(),
    "authentication": _authentication(),
    "filtered events": _filtered_events(),
}
ENFORCED: Final = {"enforced authentication": _enforced()}
