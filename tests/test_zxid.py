"""Transaction ids: 32 bits of epoch above 32 bits of counter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoopark.zxid import COUNTER_MASK, MAX_EPOCH, counter_of, epoch_of, make_zxid

EPOCHS = st.integers(0, MAX_EPOCH)
COUNTERS = st.integers(0, COUNTER_MASK)


@pytest.mark.parametrize(
    ("epoch", "counter", "zxid"),
    [
        (0, 0, 0),
        (0, COUNTER_MASK, 0xFFFFFFFF),
        (1, 0, 0x100000000),
        (MAX_EPOCH, COUNTER_MASK, (1 << 63) - 1),
    ],
)
def test_halves(epoch: int, counter: int, zxid: int) -> None:
    assert make_zxid(epoch, counter) == zxid


@given(EPOCHS, COUNTERS)
def test_both_halves_come_back(epoch: int, counter: int) -> None:
    zxid = make_zxid(epoch, counter)
    assert (epoch_of(zxid), counter_of(zxid)) == (epoch, counter)


@given(st.tuples(EPOCHS, COUNTERS), st.tuples(EPOCHS, COUNTERS))
def test_zxids_are_ordered_by_epoch_then_counter(left: tuple[int, int], right: tuple[int, int]) -> None:
    """Everything in Zab rests on this order."""
    assert (make_zxid(*left) < make_zxid(*right)) == (left < right)


@pytest.mark.parametrize(("epoch", "counter"), [(0, -1), (0, 1 << 32), (-1, 0), (1 << 31, 0)])
def test_what_does_not_fit_is_a_bug(epoch: int, counter: int) -> None:
    with pytest.raises(AssertionError):
        make_zxid(epoch, counter)


def test_a_negative_zxid_has_a_negative_epoch() -> None:
    """As in Java, whose shift is arithmetic: -1 is a zxid on the wire that means none."""
    assert (epoch_of(-1), counter_of(-1)) == (-1, COUNTER_MASK)
