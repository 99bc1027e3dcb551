"""Who somebody is: the schemes by which a connection proves an identity.

Source: ZooKeeper programmer's guide, "Builtin ACL Schemes"; the auth packet of the client protocol.
"""

from typing import Final

from zoopark.server.config import Config
from zoopark.tree.acl import SUPER, Identity, digest_identity

DIGEST: Final = b"digest"
IP: Final = b"ip"
ENSEMBLE: Final = b"ensemble"


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


def is_admitted(config: Config, identities: list[Identity]) -> bool:
    """Whether a connection with these identities may send requests (`enforce.auth.enabled`)."""
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
