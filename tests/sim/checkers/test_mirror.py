"""One member's history as a chain."""

import pytest

from zoopark.sim.checkers import Violation
from zoopark.sim.checkers.mirror import GENESIS, Mirror
from zoopark.zxid import make_zxid

E1 = make_zxid(1, 0)


def filled(*zxids: int) -> Mirror:
    mirror = Mirror(1)
    for zxid in zxids:
        mirror.append(zxid, b"%d" % zxid)
    return mirror


def test_equal_histories_have_equal_chains() -> None:
    assert filled(1, 2, E1 + 1).last_chain() == filled(1, 2, E1 + 1).last_chain()
    assert filled(1, 2).last_chain() == filled(1, 2, 3).chain_at(2)
    assert filled(1, 2).last_chain() != filled(1).last_chain()


def test_another_transaction_anywhere_makes_another_chain() -> None:
    one, other = filled(1), Mirror(2)
    other.append(1, b"other")
    for mirror in (one, other):
        mirror.append(2, b"2")
    assert one.last_chain() != other.last_chain()


@pytest.mark.parametrize(("last", "zxid"), [(1, 3), (1, 1), (2, 1), (1, E1 + 2), (1, E1)])
def test_a_hole_is_refused(last: int, zxid: int) -> None:
    mirror = filled(*range(1, last + 1))
    with pytest.raises(Violation, match="I-5"):
        mirror.append(zxid, b"")


def test_durable_is_what_the_disk_finished() -> None:
    mirror = filled(1, 2, 3)
    assert not mirror.holds(1) and mirror.durable_zxid() == 0
    mirror.log_up_to(2)
    assert mirror.holds(2) and not mirror.holds(3) and mirror.durable_zxid() == 2


def test_cutting_forgets_and_tells_what() -> None:
    mirror = filled(1, 2, 3)
    assert mirror.cut(1) == [2, 3]
    assert mirror.last_zxid() == 1 and mirror.holds(1) and mirror.between(0, 9) == [1]


def test_a_snapshot_stands_for_what_was_before() -> None:
    mirror = filled(1, 2)
    mirror.restart_at(E1 + 5, 77)
    assert mirror.chain_at(E1 + 5) == 77 and mirror.holds(E1 + 4) and mirror.last_zxid() == E1 + 5
    mirror.append(E1 + 6, b"")
    assert mirror.chain_at(E1 + 5) == 77


def test_wiped_is_as_new() -> None:
    mirror = filled(1, 2)
    mirror.wipe()
    assert mirror.last_zxid() == 0 and mirror.last_chain() == GENESIS
