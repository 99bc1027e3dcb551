"""The steps of Zab's phases, claim by claim, over whole peers a, b, c: sids 1, 2, 3, of whom c leads if logs are equal.

Source: Junqueira, Reed, Serafini, DSN 2011, section IV (discovery, synchronisation, broadcast), and the ambiguities of
the paper that the authors of ZooKeeper's specifications list. The claims are in our words.
"""

from tests.scripts.peer_desk import PeerDesk

ALIKE = ("a has 1:1", "b has 1:1", "c has 1:1")


def desk_of(*commands: str) -> tuple[PeerDesk, list[str]]:
    """A desk and all that came of these commands."""
    desk = PeerDesk()
    return desk, desk.perform(list(commands))


def formed() -> PeerDesk:
    """b follows c in epoch 2; a is down."""
    desk, lines = desk_of(*ALIKE, "b starts", "c starts", "wait 200")
    assert lines[-1] == "b: FOLLOWING c, serving epoch 2"
    return desk


def in_order(lines: list[str], *wanted: str) -> bool:
    """Whether lines that begin so are there, one behind the other."""
    rest = iter(lines)
    return all(any(line.startswith(want) for line in rest) for want in wanted)


def test_discovery_begins_with_the_promises_of_followers() -> None:
    """Step 1.1: a follower tells the prospective leader which epoch it has promised last."""
    _, lines = desk_of("b has 1:1 accepted 4", "c has 1:1", "b starts", "c starts", "wait 200")
    assert "b -> c: FOLLOWERINFO 4:0 of b" in lines


def test_a_new_epoch_is_greater_than_all_that_a_quorum_has_promised() -> None:
    """Step 1.2: with the promises of a quorum, its own among them, the leader chooses an epoch above all of them."""
    _, lines = desk_of("b has 1:1 accepted 4", "c has 1:1", "b starts", "c starts", "wait 200")
    assert "c -> b: LEADERINFO 5:0 00010000" in lines


def test_no_epoch_is_proposed_without_a_quorum() -> None:
    """Step 1.2: alone, a leader of three proposes nothing."""
    _, lines = desk_of(*ALIKE, "link b c holds", "b starts", "c starts", "wait 5000")
    assert "c: LEADING" in lines
    assert not any("LEADERINFO" in line for line in lines)


def test_a_promise_is_durable_before_it_is_given() -> None:
    """Step 1.3: the follower records the new epoch, then acknowledges it, with its history's epoch and end."""
    desk, _ = desk_of(*ALIKE, "disk b holds", "b starts", "c starts")
    assert "b: save acceptedEpoch 2" in desk.perform(["wait 200"])
    assert desk.perform(["disk b once"]) == [
        "b disk: save acceptedEpoch 2",
        "b -> c: ACKEPOCH 1:1 epoch 1",
        "c: save currentEpoch 2",
        "c disk: save currentEpoch 2",
        "c -> b: DIFF 1:1, NEWLEADER 2:0 version=0",
        "b: save currentEpoch 2",
    ]


def test_an_epoch_below_the_promise_is_refused() -> None:
    """Step 1.3: who has promised a later epoch follows no earlier one."""
    desk = formed()
    lines = desk.perform(["a has 1:1 accepted 9", "a starts", "wait 100"])
    assert "a -> c: FOLLOWERINFO 9:0 of a" in lines
    assert not any(line.startswith("a -> c: ACKEPOCH") for line in lines)


def test_the_leader_has_the_most_recent_history_of_a_quorum() -> None:
    """Step 1.4: the history an epoch begins with is the latest by epoch, then zxid, among a quorum that promised."""
    _, lines = desk_of("a has 1:1-1:9", "b has 1:1 2:1", "a starts", "b starts", "wait 300")
    assert in_order(lines, "a: FOLLOWING b", "b -> a: SNAP 2:1", "b: LEADING, serving epoch 3")
    _, lines = desk_of("a has 1:1-1:9", "b has 1:1-1:3", "a starts", "b starts", "wait 300")
    assert in_order(lines, "b: FOLLOWING a", "a -> b: DIFF 1:9, PROPOSAL 1:4", "a: LEADING, serving epoch 2")


def test_any_two_quorums_share_a_member() -> None:
    """What a quorum has acknowledged is known to every later quorum: b alone carries it over to a."""
    desk = formed()
    desk.perform(["c proposes 3"])
    lines = desk.perform(["c crashes", "a starts", "wait 30000"])
    assert "b: LEADING, serving epoch 3" in lines
    assert any(line.startswith("a: deliver") and line.endswith("2:3") for line in lines)


def test_synchronisation_makes_the_history_durable_before_it_is_acknowledged() -> None:
    """Step 2.2: accept the leader's history, and only then answer NEWLEADER; ZooKeeper adds the epoch in between."""
    desk = formed()
    desk.perform(["c proposes 2", "disk a holds", "a starts"])
    assert not any("ACK 2:0" in line for line in desk.perform(["disk a once"]) + desk.perform(["disk a once"]))
    assert desk.perform(["disk a once"])[:2] == ["a disk: save currentEpoch 2", "a -> c: ACK 2:0"]


def test_an_epoch_is_established_by_a_quorum() -> None:
    """Step 2.3: the leader commits the initial history, and serves, once a quorum has acknowledged NEWLEADER."""
    desk, lines = desk_of(*ALIKE, "disk b holds", "b starts", "c starts", "wait 200")
    assert not any("serving" in line for line in lines + desk.perform(["disk b once"]))
    assert in_order(desk.perform(["disk b once"]), "b -> c: ACK 2:0", "c -> b: UPTODATE", "c: LEADING, serving")


def test_followers_deliver_the_initial_history_when_the_epoch_is_established() -> None:
    """Step 2.4: not before; what is only logged is not delivered."""
    desk, lines = desk_of("b has 1:1", "c has 1:1-1:4", "disk b holds", "b starts", "c starts", "wait 200")
    lines += desk.perform(["disk b once"]) + desk.perform(["disk b once"])
    assert "b: append 1:2 1:3 1:4" in lines
    assert not any(line.startswith("b: deliver") for line in lines)
    assert in_order(desk.perform(["disk b goes"]), "c -> b: UPTODATE", "b: deliver 1:2 1:3 1:4")


def test_an_uncommitted_tail_that_nobody_needs_is_truncated() -> None:
    """A transaction that no established epoch begins with is forgotten by whoever comes back with it."""
    desk = formed()
    lines = desk.perform(["a has 1:1-1:2", "a starts"])
    assert any(line.startswith("c -> a: TRUNC 1:1") for line in lines)
    assert lines[-1] == "a: FOLLOWING c, serving epoch 2"


def test_a_proposal_goes_to_all_followers_in_the_order_of_zxids() -> None:
    """Step 3.1."""
    assert "c -> b: PROPOSAL 2:1, PROPOSAL 2:2" in formed().perform(["c proposes 2"])


def test_a_proposal_is_acknowledged_when_it_is_durable() -> None:
    """Step 3.2: a follower appends a proposal to its history, and then acknowledges it."""
    desk = formed()
    assert not any("ACK" in line for line in desk.perform(["disk b holds", "c proposes 1"]))
    assert desk.perform(["disk b once"])[:2] == ["b disk: append 2:1", "b -> c: ACK 2:1"]


def test_a_quorum_of_acknowledgements_commits() -> None:
    """Step 3.3: and no smaller set; the leader's own disk is one of them."""
    desk = formed()
    assert not any("COMMIT" in line for line in desk.perform(["disk b holds", "c proposes 1"]))
    assert "c -> b: COMMIT 2:1" in desk.perform(["disk b once"])
    desk = formed()
    assert not any("COMMIT" in line for line in desk.perform(["disk c holds", "c proposes 1"]))
    assert "c -> b: COMMIT 2:1" in desk.perform(["disk c once"])


def test_commits_are_in_the_order_of_proposals() -> None:
    """Step 3.3: a later transaction is never committed ahead of an earlier one of the same epoch."""
    lines = formed().perform(["c proposes 3"])
    committed = [word for line in lines if line.startswith("c -> b: ") for word in line.split(", ") if "COMMIT" in word]
    assert [word.split()[-1] for word in committed] == ["2:1", "2:2", "2:3"]


def test_a_follower_delivers_what_it_has_and_what_is_committed() -> None:
    """Step 3.4: in the order of zxids, all up to the committed one."""
    desk = formed()
    desk.perform(["link c b holds", "c proposes 2"])
    assert in_order(desk.perform(["link c b goes"]), "b: append 2:1 2:2", "b -> c: ACK 2:1", "b: deliver 2:1 2:2")


def test_a_joiner_is_sent_what_is_proposed_while_it_joins() -> None:
    """Ambiguity 1: proposals go to all who were sent NEWLEADER, acknowledged or not; else they would miss them."""
    desk = formed()
    desk.perform(["disk a holds", "a starts"])
    desk.perform(["disk a once"])
    lines = desk.perform(["c proposes 1"])
    assert "c -> a: PROPOSAL 2:1" in lines and not any("a -> c: ACK" in line for line in lines)
    assert desk.perform(["disk a goes"])[-2:] == ["a: deliver 2:1", "a: FOLLOWING c, serving epoch 2"]


def test_a_joiner_tolerates_what_it_has_already() -> None:
    """Ambiguity 2: the history and the broadcast may overlap; what comes twice is logged once."""
    desk = formed()
    desk.perform(["a starts"])
    desk.perform(["c proposes 1"])
    assert desk.perform(["c tells a PROPOSAL 2:1 txn"]) == []
    assert "a: append 2:2" in desk.perform(["c proposes 1"])


def test_a_joiner_serves_the_latest_that_is_committed() -> None:
    """Ambiguity 3: what was committed between NEWLEADER and its acknowledgement is part of what UPTODATE stands for."""
    desk = formed()
    desk.perform(["disk a holds", "a starts"])
    desk.perform(["disk a once"])
    desk.perform(["c proposes 2"])
    assert in_order(desk.perform(["disk a goes"]), "c -> a: UPTODATE", "a: deliver 2:1 2:2", "a: FOLLOWING c, serving")


def test_a_leader_without_a_quorum_stops_leading() -> None:
    """Section IV: a leader that does not hear a quorum within a timeout goes back to election; nothing is committed."""
    desk = formed()
    lines = desk.perform(["b crashes", "c proposes 1", "wait 20000"])
    assert "c: LOOKING" in lines and not any(line.startswith("c: deliver") for line in lines)


def test_a_follower_without_its_leader_elects_again() -> None:
    """Section IV: so does a follower that does not hear its leader."""
    assert "b: LOOKING" in formed().perform(["link c b holds", "wait 20000"])
