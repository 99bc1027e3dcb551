"""What a stored ephemeralOwner means: the table of the protocol (§1.6), bit by bit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoopark.jute.proto import MAX_TTL_MS
from zoopark.tree.owners import CONTAINER, CONTAINER_OWNER, EPHEMERAL, ORDINARY, TTL, OwnerKinds

PLAIN = OwnerKinds(is_extended=False)
EXTENDED = OwnerKinds(is_extended=True)
EMULATED = OwnerKinds(is_extended=True, is_353_emulated=True)


def signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


@pytest.mark.parametrize(
    ("stored", "plain", "extended", "emulated"),
    [
        (0, ORDINARY, ORDINARY, ORDINARY),
        (0x0100000000000001, EPHEMERAL, EPHEMERAL, EPHEMERAL),
        (0x7FFFFFFFFFFFFFFF, EPHEMERAL, EPHEMERAL, EPHEMERAL),
        (0x8000000000000000, CONTAINER, CONTAINER, CONTAINER),
        (0x8000000000000001, EPHEMERAL, EPHEMERAL, TTL),
        (0xFE00000000000001, EPHEMERAL, EPHEMERAL, TTL),
        (0xFF00000000000001, EPHEMERAL, TTL, TTL),
        (0xFF0000FFFFFFFFFF, EPHEMERAL, TTL, TTL),
        (0xFF00010000000001, EPHEMERAL, EPHEMERAL, TTL),
        (0xFFFFFFFFFFFFFFFF, EPHEMERAL, EPHEMERAL, TTL),
    ],
    ids=hex,
)
def test_kinds(stored: int, plain: int, extended: int, emulated: int) -> None:
    owner = signed(stored)
    assert [kinds.kind_of(owner) for kinds in (PLAIN, EXTENDED, EMULATED)] == [plain, extended, emulated]


@pytest.mark.parametrize("kinds", [EXTENDED, EMULATED], ids=["extended", "3.5.3"])
@given(st.integers(1, MAX_TTL_MS))
def test_a_ttl_comes_back(kinds: OwnerKinds, ttl_ms: int) -> None:
    owner = kinds.owner_of_ttl(ttl_ms)
    assert (kinds.kind_of(owner), kinds.ttl_of(owner)) == (TTL, ttl_ms)


@pytest.mark.parametrize(
    ("kinds", "owner"), [(EXTENDED, 0xFF000000000000FF), (EMULATED, 0x80000000000000FF)], ids=["extended", "3.5.3"]
)
def test_the_bits_of_a_ttl(kinds: OwnerKinds, owner: int) -> None:
    assert kinds.owner_of_ttl(0xFF) == signed(owner)


def test_the_mark_of_a_container() -> None:
    assert signed(0x8000000000000000) == CONTAINER_OWNER


@pytest.mark.parametrize("ttl_ms", [0, -1, MAX_TTL_MS + 1])
def test_a_ttl_out_of_range_is_a_bug(ttl_ms: int) -> None:
    """Requests are validated before."""
    with pytest.raises(AssertionError):
        EXTENDED.owner_of_ttl(ttl_ms)
