"""What a stored ephemeralOwner says about a znode: ordinary, ephemeral, container or TTL.

    0                           ordinary
    0x8000000000000000          container, always recognised
    0xFF00 | 0 (2 bytes) | ttl  TTL in ms in the low 40 bits, only with extended types
    negative otherwise          TTL in the low 63 bits, only when 3.5.3's encoding is emulated
    anything else               the session id of an ephemeral's owner

Source: ZooKeeper's EphemeralType; with extended types off, a stored TTL mark reads as a session id.
"""

from typing import Final, final

from zoopark.jute.proto import MAX_TTL_MS

ORDINARY: Final = 0
EPHEMERAL: Final = 1
CONTAINER: Final = 2
TTL: Final = 3

CONTAINER_OWNER: Final = -(1 << 63)
_TTL_MARK: Final = -(1 << 56)
_TTL_MASK: Final = (1 << 40) - 1
_MAX_TTL_353_MS: Final = (1 << 63) - 1


@final
class OwnerKinds:
    """Tells the kinds of owners apart.

    Args:
        is_extended: TTL nodes are enabled (`extendedTypesEnabled`).
        is_353_emulated: every other negative owner is a TTL (`emulate353TTLNodes`).
    """

    __slots__ = ("is_353_emulated", "is_extended")

    def __init__(self, is_extended: bool, is_353_emulated: bool = False) -> None:
        self.is_extended = is_extended
        self.is_353_emulated = is_353_emulated

    def kind_of(self, owner: int) -> int:
        """ORDINARY, EPHEMERAL, CONTAINER or TTL."""
        if owner == 0:
            return ORDINARY
        if owner == CONTAINER_OWNER:
            return CONTAINER
        if owner < 0 and self.is_353_emulated:
            return TTL
        if self.is_extended and owner >> 40 == _TTL_MARK >> 40:
            return TTL
        return EPHEMERAL

    def owner_of_ttl(self, ttl_ms: int) -> int:
        """The owner to store for a TTL of `ttl_ms`, 1 … MAX_TTL_MS."""
        assert 0 < ttl_ms <= MAX_TTL_MS, ttl_ms
        if self.is_353_emulated:
            return ttl_ms - (1 << 63)
        return _TTL_MARK | ttl_ms

    def ttl_of(self, owner: int) -> int:
        """The TTL in ms that a TTL node's owner holds."""
        assert self.kind_of(owner) == TTL, owner
        if self.is_353_emulated:
            return owner & _MAX_TTL_353_MS
        return owner & _TTL_MASK
