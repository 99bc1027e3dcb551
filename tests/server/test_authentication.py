"""Who somebody is."""

import pytest

from zoopark.server.authentication import authenticate, is_admitted
from zoopark.server.config import default_config
from zoopark.tree.acl import SUPER, Identity

ADDRESS = b"192.0.2.7"
ADMIN = b"super:admin"
ADMIN_DIGEST = b"super:xQJmxLMiHGwaqBvst5y6rkB6HQs="
"""The pair that ZooKeeper's guides show."""
PLAIN = default_config("/data")


def test_an_address_is_its_own_proof() -> None:
    """Whatever the packet says, the identity is where it came from."""
    assert authenticate(PLAIN, b"ip", b"10.0.0.1", ADDRESS) == [(b"ip", ADDRESS)]


def test_a_password_proves_its_digest() -> None:
    """The id is what an ACL holds: the user and a hash, not the password."""
    assert authenticate(PLAIN, b"digest", ADMIN, ADDRESS) == [(b"digest", ADMIN_DIGEST)]


def test_the_super_users_password_proves_both() -> None:
    """Super may do everything, and still is the owner of what it made with digest ACLs."""
    config = default_config("/data", {"DigestAuthenticationProvider.superDigest": ADMIN_DIGEST.decode()})
    assert authenticate(config, b"digest", ADMIN, ADDRESS) == [(SUPER, b""), (b"digest", ADMIN_DIGEST)]
    wrong = authenticate(config, b"digest", b"super:wrong", ADDRESS)
    assert wrong is not None
    assert [scheme for scheme, _ in wrong] == [b"digest"]


def test_nobody_is_super_without_a_super_digest() -> None:
    """An empty setting matches no password."""
    for auth in (b"", b":", b"super:"):
        proven = authenticate(PLAIN, b"digest", auth, ADDRESS)
        assert proven is not None
        assert all(scheme == b"digest" for scheme, _ in proven)


def test_the_hash_is_configurable() -> None:
    """Sites that must not use SHA-1 name another one."""
    config = default_config("/data", {"DigestAuthenticationProvider.digestAlg": "SHA-256"})
    proven = authenticate(config, b"digest", ADMIN, ADDRESS)
    assert proven is not None
    assert len(proven[0][1]) == len(b"super:") + 44


def test_digest_can_be_turned_off() -> None:
    """Then a right password proves nothing, the super user's neither."""
    keys = {
        "DigestAuthenticationProvider.enabled": "false",
        "DigestAuthenticationProvider.superDigest": ADMIN_DIGEST.decode(),
    }
    assert authenticate(default_config("/data", keys), b"digest", ADMIN, ADDRESS) is None


@pytest.mark.parametrize(
    ("scheme", "auth"),
    [
        (b"digest", None),
        (b"world", b"anyone"),
        (b"auth", b""),
        (b"super", b"x"),
        (b"sasl", b"x"),
        (b"", b""),
        (b"x" * 99, b""),
        (b"ensemble", b"any"),
    ],
)
def test_everything_else_proves_nothing(scheme: bytes, auth: bytes | None) -> None:
    """Above all, nobody becomes super by asking for it."""
    assert authenticate(PLAIN, scheme, auth, ADDRESS) is None


@pytest.mark.parametrize(
    ("names", "auth", "is_let_through"),
    [
        ("blue,green", b"green", True),
        ("blue,green", b"red", False),
        ("blue,green", b"\xff", False),
        ("blue,green", b"", True),
        ("blue,green", None, True),
        ("", b"red", True),
    ],
)
def test_clients_of_another_ensemble_are_turned_away(names: str, auth: bytes | None, is_let_through: bool) -> None:
    """A right name lets through and proves nothing; without a name on either side nobody is turned away."""
    keys = {
        "authProvider.1": "org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider",
        "ensembleAuthName": names,
    }
    expected: list[Identity] | None = [] if is_let_through else None
    assert authenticate(default_config("/data", keys), b"ensemble", auth, ADDRESS) == expected


@pytest.mark.parametrize(
    ("schemes", "identities", "is_in"),
    [
        (None, [], True),
        ("digest", [(b"ip", ADDRESS)], False),
        ("digest", [(b"ip", ADDRESS), (b"digest", ADMIN_DIGEST)], True),
        ("digest,ip", [(b"ip", ADDRESS)], True),
    ],
)
def test_enforced_schemes_are_asked_for(schemes: str | None, identities: list[Identity], is_in: bool) -> None:
    """Without `enforce.auth.enabled` everybody may send requests."""
    keys = {} if schemes is None else {"enforce.auth.enabled": "true", "enforce.auth.schemes": schemes}
    assert is_admitted(default_config("/data", keys), identities) == is_in
