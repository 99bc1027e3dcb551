"""Every invariant must be able to fail: for each a history that breaks it, and one like it that does not."""

from collections.abc import Callable

import pytest

from zoopark.jute import quorum as wire
from zoopark.jute.quorum import QuorumPacket
from zoopark.sim.checkers import Violation
from zoopark.sim.checkers.ledger import LEADING, Ledger
from zoopark.zxid import make_zxid

FOLLOWING = 1
E1, E2, E3 = make_zxid(1, 0), make_zxid(2, 0), make_zxid(3, 0)


def txn(zxid: int) -> bytes:
    return b"txn %x" % zxid


class Play:
    """Three voters in epoch 1, led by member 1, that did everything right so far."""

    def __init__(self) -> None:
        self.committed: list[int] = []
        self.ledger = Ledger([1, 2, 3], [4], lambda sids: len(sids) >= 2, lambda zxid, txn: self.committed.append(zxid))
        for sid in (1, 2, 3, 4):
            self.ledger.on_start(sid, 0, (0, 0), is_forgiven=False)
        self.lead(1, 1)

    def lead(self, sid: int, epoch: int) -> None:
        self.ledger.on_epoch(sid, False, epoch)
        self.ledger.on_epoch(sid, True, epoch)
        self.ledger.on_role(sid, (LEADING, True, sid, epoch))

    def follow(self, sid: int) -> None:
        """A member acknowledges NEWLEADER of epoch 1."""
        self.send(1, wire.NEWLEADER, E1)
        self.ledger.on_epoch(sid, True, 1)
        self.send(sid, wire.ACK, E1)

    def write(self, zxid: int, *sids: int, is_durable: bool = True) -> None:
        for sid in sids:
            self.ledger.on_append(sid, [(zxid, txn(zxid))])
            if is_durable:
                self.ledger.on_logged(sid, zxid)

    def apply(self, zxid: int, *sids: int, digest: int = 0) -> None:
        for sid in sids:
            self.ledger.on_applied(sid, zxid, digest)

    def send(self, sid: int, kind: int, zxid: int, link: int = 1) -> None:
        data = txn(zxid) if kind == wire.PROPOSAL else None
        self.ledger.on_sent(sid, link, [QuorumPacket(kind, zxid, data)])


def test_a_history_without_fault_is_accepted() -> None:
    play = Play()
    play.follow(2)
    play.send(1, wire.PROPOSAL, E1 + 1)
    play.write(E1 + 1, 1, 2, 3)
    play.send(2, wire.ACK, E1 + 1)
    play.send(1, wire.COMMIT, E1 + 1)
    play.apply(E1 + 1, 1, 2, digest=5)
    play.write(E1 + 2, 1, 2)
    play.ledger.on_crash(1)
    play.lead(2, 2)
    play.write(E2 + 1, 2)
    play.ledger.on_append(3, [(E1 + 2, txn(E1 + 2)), (E2 + 1, txn(E2 + 1))])
    play.ledger.on_logged(3, E2 + 1)
    play.apply(E2 + 1, 2, 3)
    assert play.committed == [E1 + 1, E1 + 2, E2 + 1]


def two_leaders(play: Play) -> None:
    play.lead(2, 1)


def never_broadcast(play: Play) -> None:
    play.write(E1 + 1, 2)


def never_given(play: Play) -> None:
    play.apply(E1 + 1, 1)


def left_out(play: Play) -> None:
    play.write(E1 + 1, 1, 2)
    play.lead(2, 2)
    play.write(E2 + 1, 2)
    play.ledger.on_append(3, [(E1 + 1, txn(E1 + 1)), (E2 + 1, txn(E2 + 1))])
    play.ledger.on_logged(3, E2 + 1)
    play.apply(E2 + 1, 2)
    play.write(E1 + 2, 1)
    play.apply(E1 + 2, 1)


def hole(play: Play) -> None:
    play.write(E1 + 1, 1)
    play.write(E1 + 3, 1)


def other_history(play: Play) -> None:
    play.write(E1 + 1, 1)
    play.lead(2, 2)
    play.write(E2 + 1, 2)
    play.write(E2 + 1, 1)


def late_in_an_old_epoch(play: Play) -> None:
    play.lead(2, 2)
    play.write(E1 + 1, 1, 3)
    play.apply(E1 + 1, 1)


def new_epoch_lacks_the_committed(play: Play) -> None:
    play.write(E1 + 1, 1, 2)
    play.apply(E1 + 1, 1)
    play.lead(3, 2)


def new_epoch_lacks_an_initial_history(play: Play) -> None:
    play.write(E1 + 1, 1)
    play.lead(1, 2)
    play.lead(2, 3)


def truncated_after_commit(play: Play) -> None:
    play.write(E1 + 1, 1, 2)
    play.apply(E1 + 1, 1)
    play.ledger.on_truncated(2, 0)


def committed_without_a_quorum(play: Play) -> None:
    play.write(E1 + 1, 1)
    play.write(E1 + 1, 2, is_durable=False)
    play.apply(E1 + 1, 1)


def commit_sent_without_a_quorum(play: Play) -> None:
    play.send(1, wire.NEWLEADER, E1)
    play.send(1, wire.PROPOSAL, E1 + 1)
    play.write(E1 + 1, 1)
    play.send(1, wire.COMMIT, E1 + 1)


def observer_counts_as_voter(play: Play) -> None:
    play.write(E1 + 1, 1, 4)
    play.apply(E1 + 1, 1)


def acked_before_durable(play: Play) -> None:
    play.write(E1 + 1, 1)
    play.write(E1 + 1, 2, is_durable=False)
    play.send(2, wire.ACK, E1 + 1)


def acked_epoch_before_current(play: Play) -> None:
    play.send(2, wire.ACK, E1)


def acked_ahead_of_newleader(play: Play) -> None:
    play.send(1, wire.PROPOSAL, E1 + 1)
    play.write(E1 + 1, 1, 2)
    play.send(2, wire.ACK, E1 + 1)


def committed_with_a_hole(play: Play) -> None:
    play.send(1, wire.DIFF, 0)
    play.send(1, wire.PROPOSAL, E1 + 1)
    play.follow(2)
    play.write(E1 + 1, 1, 2)
    for zxid in (E1 + 2, E1 + 3):
        play.send(1, wire.PROPOSAL, zxid)
        play.write(zxid, 1, 2)
    play.send(1, wire.COMMIT, E1 + 1)
    play.send(1, wire.COMMIT, E1 + 3)


def acked_what_was_not_proposed(play: Play) -> None:
    play.send(1, wire.PROPOSAL, E1 + 1)
    play.write(E1 + 1, 1, 2)
    play.write(E1 + 2, 1, 2)
    play.send(2, wire.ACK, E1 + 2)


def proposed_with_a_hole(play: Play) -> None:
    play.send(1, wire.PROPOSAL, E1 + 1)
    play.send(1, wire.PROPOSAL, E1 + 3)


def committed_what_was_not_proposed(play: Play) -> None:
    play.send(1, wire.COMMIT, E1 + 1)


def epoch_proposed_before_accepted(play: Play) -> None:
    play.send(2, wire.LEADERINFO, E2)


def epoch_led_before_current(play: Play) -> None:
    play.ledger.on_epoch(2, False, 2)
    play.send(2, wire.NEWLEADER, E2)


def trees_differ(play: Play) -> None:
    play.write(E1 + 1, 1, 2)
    play.apply(E1 + 1, 1, digest=5)
    play.apply(E1 + 1, 2, digest=6)


def durable_and_lost(play: Play) -> None:
    play.write(E1 + 1, 1, 2)
    play.ledger.on_crash(2)
    play.ledger.on_start(2, 0, (0, 0), is_forgiven=False)


def recovered_from_nowhere(play: Play) -> None:
    play.ledger.on_start(2, E1 + 1, (1, 1), is_forgiven=False)


def epoch_lost(play: Play) -> None:
    play.ledger.on_start(1, 0, (0, 0), is_forgiven=False)


@pytest.mark.parametrize(
    ("act", "name"),
    [
        (two_leaders, "I-1"),
        (never_broadcast, "I-2"),
        (never_given, "I-2"),
        (left_out, "I-3"),
        (hole, "I-5"),
        (late_in_an_old_epoch, "I-7"),
        (new_epoch_lacks_the_committed, "I-8"),
        (new_epoch_lacks_an_initial_history, "I-8"),
        (truncated_after_commit, "I-8"),
        (other_history, "I-10"),
        (acked_what_was_not_proposed, "I-12"),
        (acked_ahead_of_newleader, "I-12"),
        (proposed_with_a_hole, "I-13"),
        (committed_what_was_not_proposed, "I-14"),
        (committed_with_a_hole, "I-14"),
        (committed_without_a_quorum, "durability"),
        (commit_sent_without_a_quorum, "durability"),
        (observer_counts_as_voter, "durability"),
        (acked_before_durable, "durability"),
        (acked_epoch_before_current, "durability"),
        (epoch_proposed_before_accepted, "durability"),
        (epoch_led_before_current, "durability"),
        (durable_and_lost, "durability"),
        (recovered_from_nowhere, "durability"),
        (epoch_lost, "durability"),
        (trees_differ, "digest"),
    ],
)
def test_what_must_not_happen_is_found(act: Callable[[Play], None], name: str) -> None:
    with pytest.raises(Violation, match=f"^{name}:"):
        act(Play())


def test_what_a_quorum_keeps_may_be_truncated_elsewhere() -> None:
    """A plan to truncate what is outstanding may be carried out after the others have committed it."""
    play = Play()
    play.write(E1 + 1, 1, 2, 3)
    play.apply(E1 + 1, 1)
    play.ledger.on_truncated(3, 0)
    play.write(E1 + 1, 3)
    play.apply(E1 + 1, 3)
    assert play.committed == [E1 + 1]


def test_what_was_not_durable_may_be_lost() -> None:
    play = Play()
    play.write(E1 + 1, 1, is_durable=False)
    play.ledger.on_crash(1)
    play.ledger.on_start(1, 0, (1, 1), is_forgiven=False)
    assert play.ledger.mirrors[1].last_zxid() == 0


def test_a_damaged_disk_is_forgiven_and_a_wiped_one_is_new() -> None:
    play = Play()
    play.write(E1 + 1, 1, 2)
    play.ledger.on_start(2, 0, (0, 0), is_forgiven=True)
    play.ledger.on_wipe(1)
    play.ledger.on_start(1, 0, (0, 0), is_forgiven=False)
    assert play.ledger.mirrors[1].accepted_epoch == 0


def test_the_history_an_epoch_begins_with_needs_no_quorum_yet() -> None:
    """What comes ahead of NEWLEADER on a link is synchronisation."""
    play = Play()
    play.write(E1 + 1, 1)
    play.send(1, wire.DIFF, E1 + 1)
    play.send(1, wire.PROPOSAL, E1 + 1)
    play.send(1, wire.COMMIT, E1 + 1)
    assert play.committed == []


@pytest.mark.parametrize("found", [E1 + 1, E1 + 2, E1 + 3])
def test_an_interrupted_truncation_may_end_anywhere_behind_its_zxid(found: int) -> None:
    play = Play()
    for zxid in (E1 + 1, E1 + 2, E1 + 3):
        play.write(zxid, 1)
    play.ledger.on_interrupted(1, E1 + 1)
    play.ledger.on_crash(1)
    play.ledger.on_start(1, found, (1, 1), is_forgiven=False)
    assert play.ledger.mirrors[1].last_zxid() == found


def test_an_interrupted_truncation_loses_no_more() -> None:
    play = Play()
    for zxid in (E1 + 1, E1 + 2):
        play.write(zxid, 1)
    play.ledger.on_interrupted(1, E1 + 1)
    with pytest.raises(Violation, match="durability"):
        play.ledger.on_start(1, 0, (1, 1), is_forgiven=False)


def test_an_interrupted_snapshot_may_be_there() -> None:
    play = Play()
    play.write(E1 + 1, 1)
    play.write(E1 + 2, 1)
    play.ledger.on_interrupted(2, E1 + 2)
    play.ledger.on_start(2, E1 + 2, (1, 1), is_forgiven=False)
    assert play.ledger.mirrors[2].last_chain() == play.ledger.mirrors[1].last_chain()
