"""Access control lists: the table that gives each distinct list an id, and the rules of the schemes.

An ACL is kept as the bytes of its vector and decoded once per distinct list. Schemes: world, auth (only on the way in),
digest, ip, and the super identity, which may do everything. This module never learns who is connected: identities are
arguments.
Source: ZooKeeper programmer's guide, "ZooKeeper access control using ACLs".
"""

import base64
import hashlib
from ipaddress import AddressValueError, IPv6Address
from typing import Final, TypeAlias, final

from zoopark.jute.buffer import I32, Reader, pack_buffer, pack_vector
from zoopark.jute.txn import OPEN_ACL

READ: Final = 1
WRITE: Final = 2
CREATE: Final = 4
DELETE: Final = 8
ADMIN: Final = 16
ALL: Final = 31

OPEN_ID: Final = -1
MAX_ENTRIES: Final = 100_000
"""Of one list, once `auth` is expanded; more do not fit into a request of the usual size anyway."""
SUPER: Final = b"super"
IP: Final = b"ip"
MAX_NUMBER_DIGITS: Final = 10

Identity: TypeAlias = tuple[bytes, bytes]
"""(scheme, id) of somebody who is authenticated."""
AclEntry: TypeAlias = tuple[int, bytes | None, bytes | None]
"""(permissions, scheme, id)."""


def encode_acl(entries: list[AclEntry]) -> bytes:
    """The vector of ACL records."""
    return pack_vector([I32.pack(perms) + pack_buffer(scheme) + pack_buffer(who) for perms, scheme, who in entries])


def read_acl(reader: Reader) -> list[AclEntry] | None:
    """A vector of ACL records; None if it is null."""
    return reader.vector(lambda: (reader.i32(), reader.string(), reader.string()))


READ_ACL: Final = encode_acl([(READ, b"world", b"anyone")])
UNKNOWN_ACL: Final = encode_acl([(0, b"world", b"anyone")])
"""Stands for the ACL of a node whose id a fuzzy snapshot's table lacks, until replay tells it: nobody may anything."""


@final
class Acl:
    """One distinct list: its id in the tree's table, its encoded vector, its entries, what it grants to everybody, and
    how many nodes use it."""

    __slots__ = ("_granted", "_networks", "acl_id", "encoded", "entries", "uses", "world")

    def __init__(self, acl_id: int, encoded: bytes) -> None:
        self.acl_id = acl_id
        self.encoded = encoded
        self.entries = read_acl(Reader(encoded)) or []
        self.world = _world_permissions(self.entries)
        self.uses = 0
        self._granted: dict[tuple[bytes | None, bytes | None], int] = {}
        self._networks: list[tuple[int, bytes, int]] = []
        for perms, scheme, who in self.entries:
            network = _network(who) if scheme == IP and who is not None else None
            if network is not None:
                self._networks.append((perms, *network))
            else:
                self._granted[scheme, who] = self._granted.get((scheme, who), 0) | perms

    def allows(self, permissions: int, identities: list[Identity]) -> bool:
        """Whether somebody with these identities holds one of the permissions."""
        if self.world & permissions or is_super(identities):
            return True
        if any(self._granted.get(identity, 0) & permissions for identity in identities):
            return True
        return bool(self._networks) and any(
            self._holds_address(permissions, who) for scheme, who in identities if scheme == IP
        )

    def _holds_address(self, permissions: int, who: bytes) -> bool:
        address = _address(who)
        if address is None:
            return False
        number = int.from_bytes(address, "big")
        for perms, network, bits in self._networks:
            shift = len(address) * 8 - bits
            is_same = len(network) == len(address) and int.from_bytes(network, "big") >> shift == number >> shift
            if is_same and perms & permissions:
                return True
        return False


@final
class AclTable:
    """The distinct ACLs of a tree. Ids start at 1; OPEN_ID stands for world:anyone with all permissions.

    Counts the nodes that use each ACL and forgets one that is no longer used, so that a stranger cannot fill it.
    """

    def __init__(self) -> None:
        self.open = Acl(OPEN_ID, OPEN_ACL)
        self.by_id: dict[int, Acl] = {OPEN_ID: self.open}
        self._by_bytes: dict[bytes, Acl] = {}
        self._next_id = 1

    def find(self, encoded: bytes) -> Acl | None:
        """The list with these bytes if a node uses it."""
        return self._by_bytes.get(encoded)

    def intern(self, encoded: bytes) -> Acl:
        """The list with these bytes, new if need be; counts one more use."""
        acl = self._by_bytes.get(encoded)
        if acl is None:
            acl = self.add(self._next_id, encoded)
        acl.uses += 1
        return acl

    def add(self, acl_id: int, encoded: bytes) -> Acl:
        """Record a list under a given id, with no use yet, as when a snapshot is loaded."""
        acl = Acl(acl_id, encoded)
        self._by_bytes[encoded] = acl
        self.by_id[acl_id] = acl
        self._next_id = max(self._next_id, acl_id + 1)
        return acl

    def release(self, acl: Acl) -> None:
        """Count one use less; the last one takes the list along."""
        if acl is self.open:
            return
        assert acl.uses > 0, acl.acl_id
        acl.uses -= 1
        if acl.uses == 0:
            self._forget(acl)

    def forget_unused(self) -> None:
        """Drop every list that no node uses, as after loading a snapshot."""
        for acl in list(self.by_id.values()):
            if acl.uses == 0 and acl is not self.open:
                self._forget(acl)

    def _forget(self, acl: Acl) -> None:
        del self.by_id[acl.acl_id]
        if self._by_bytes.get(acl.encoded) is acl:
            del self._by_bytes[acl.encoded]


def is_super(identities: list[Identity]) -> bool:
    """Whether one of the identities may do everything."""
    return any(scheme == SUPER for scheme, _ in identities)


def expand(entries: list[AclEntry] | None, identities: list[Identity]) -> list[AclEntry] | None:
    """An ACL from a request as it is stored: duplicates dropped, `auth` replaced by the requester's identities.

    Returns None if it is not allowed: empty, of an unknown scheme, with a malformed id, or `auth` from somebody who is
    not authenticated. Raises ValueError where ZooKeeper fails without an answer of its own, an entry without an id.
    """
    kept: list[AclEntry] = []
    for perms, scheme, who in dict.fromkeys(entries or ()):
        if scheme is None:
            return None
        if who is None and scheme in (b"world", b"digest", b"ip"):
            raise ValueError(f"an entry of scheme {scheme!r} without an id")
        if scheme == b"auth":
            known = [identity for identity in identities if identity[0] == b"digest"]
            if not known:
                return None
            kept.extend((perms, known_scheme, known_id) for known_scheme, known_id in known)
            if len(kept) > MAX_ENTRIES:
                return None
        elif is_valid_id(scheme, who):
            kept.append((perms, scheme, who))
        else:
            return None
    return list(dict.fromkeys(kept)) or None


def is_valid_id(scheme: bytes, who: bytes | None) -> bool:
    """Whether `scheme:who` may stand in an ACL."""
    if scheme == b"world":
        return who == b"anyone"
    if scheme == b"digest":
        return who is not None and len(_java_split(who)) == 2
    if scheme == b"ip":
        return who is not None and _network(who) is not None
    return False


def digest_identity(auth: bytes, algorithm: str) -> bytes:
    """The digest id of `user:password`: user, colon, base64 of the hash of the whole. `algorithm` as for hashlib."""
    user = auth.split(b":", 1)[0]
    hashed = base64.b64encode(hashlib.new(algorithm, auth).digest())
    return user + b":" + hashed


def masked(entries: list[AclEntry]) -> list[AclEntry]:
    """The ACL as shown to somebody without ADMIN: password hashes of digest ids hidden (CVE-2019-0201)."""
    return [
        (perms, scheme, who.split(b":", 1)[0] + b":x" if scheme == b"digest" and who is not None else who)
        for perms, scheme, who in entries
    ]


def _world_permissions(entries: list[AclEntry]) -> int:
    if not entries:
        return ALL
    granted = 0
    for perms, scheme, who in entries:
        if scheme == b"world" and who == b"anyone":
            granted |= perms
    return granted


def _network(text: bytes) -> tuple[bytes, int] | None:
    """(address, prefix bits) of `address` or `address/bits`."""
    host, slash, prefix = text.partition(b"/")
    address = _address(host)
    if address is None:
        return None
    if not slash:
        return address, len(address) * 8
    bits = _java_int(prefix)
    return (address, bits) if bits is not None and 0 <= bits <= len(address) * 8 else None


def _address(text: bytes) -> bytes | None:
    parts = text.split(b".")
    if len(parts) == 4:
        numbers = [_java_int(part) for part in parts]
        if all(number is not None and 0 <= number <= 255 for number in numbers):
            return bytes(number or 0 for number in numbers)
        return None
    try:
        return IPv6Address(text.decode("ascii", "replace")).packed
    except AddressValueError:
        return None


def _java_int(text: bytes) -> int | None:
    """Integer.parseInt: an optional sign and digits."""
    digits = text[1:] if text[:1] in (b"+", b"-") else text
    return int(text) if digits.isdigit() and len(digits) <= MAX_NUMBER_DIGITS else None


def _java_split(text: bytes) -> list[bytes]:
    """String.split(":"): trailing empty parts are dropped."""
    parts = text.split(b":")
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return parts
