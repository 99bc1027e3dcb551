"""Who somebody is: the schemes by which a connection proves an identity.

Source: ZooKeeper programmer's guide, "Builtin ACL Schemes"; the auth packet of the client protocol.
"""

from typing import Final

from zoopark import errors
from zoopark.errors import Malformed
from zoopark.jute.buffer import Reader
from zoopark.server.config import Config
from zoopark.tree.acl import SUPER, Identity, digest_identity

DIGEST: Final = b"digest"
IP: Final = b"ip"
ENSEMBLE: Final = b"ensemble"
MAX_IDENTITIES: Final = 100
MAX_IDENTITY_BYTES: Final = 1 << 16
"""That one connection may prove, in number and in bytes."""


def authenticate(config: Config, scheme: bytes, auth: bytes | None, address: bytes) -> list[Identity] | None:
    """The identities that an auth packet proves, None if it proves nothing.

    Args:
        scheme: the packet's scheme; one that is not known proves nothing.
        auth: its secret.
        address: the peer's IP address as text.
    """
    if scheme == IP:
        return [(IP, address)]
    if scheme == DIGEST and config.has_digest_scheme and auth is not None:
        # ZooKeeper reads the secret as text first, which replaces what is not UTF-8.
        identity = digest_identity(auth.decode("utf-8", "replace").encode(), config.digest_alg)
        is_super = identity == config.super_digest.encode()
        return [(SUPER, b""), (DIGEST, identity)] if is_super else [(DIGEST, identity)]
    if scheme == ENSEMBLE and config.has_ensemble_scheme:
        return _ensemble(config, auth)
    return None


def prove(config: Config, packet: bytes, address: bytes, known: list[Identity]) -> tuple[int | None, str]:
    """Add what an auth packet proves to the identities `known`.

    Returns (err to answer, or None for no answer; why the connection is to be closed, or "").
    """
    try:
        reader = Reader(packet)
        reader.i32()
        scheme, auth = reader.string(), reader.buffer()
    except Malformed as error:
        return None, f"a malformed auth packet: {error}"
    proven = authenticate(config, scheme or b"", auth, address)
    if proven is None:
        return errors.AUTH_FAILED, f"authentication failed, scheme {scheme!r}"
    known.extend(identity for identity in proven if identity not in known)
    if len(known) > MAX_IDENTITIES or sum(len(who) for _, who in known) > MAX_IDENTITY_BYTES:
        return None, f"more than {MAX_IDENTITIES} identities, or {MAX_IDENTITY_BYTES} bytes of them"
    return errors.OK, ""


def has_sasl_token(packet: bytes) -> bool:
    """Whether a SASL packet carries a token.

    Without a login configuration ZooKeeper has no SASL server, answers any token with a null one, and fails without.
    """
    try:
        return Reader(packet).buffer() is not None
    except Malformed:
        return False


def is_admitted(config: Config, identities: list[Identity]) -> bool:
    """Whether a connection with these identities may send requests (`enforce.auth.enabled`).

    Where SASL is required (`sessionRequireClientSASLAuth`) nobody may, as long as there is none.
    """
    if config.is_client_sasl_required:
        return False
    if not config.is_auth_enforced:
        return True
    wanted = [scheme.encode() for scheme in config.enforced_auth_schemes]
    return any(scheme in wanted for scheme, _ in identities)


def _ensemble(config: Config, auth: bytes | None) -> list[Identity] | None:
    """The guard against clients of another ensemble: a right name is let through, and proves nothing."""
    names = config.ensemble_auth_names
    if not auth or not names or auth.decode("utf-8", "replace") in names:
        return []
    return None
