"""What members of an ensemble say to four-letter words, beside what Apache 3.9.3 says in the same place.

Numbers, ids, moments and ports are masked; what is left, words and lines in their order, must be the same. Of `mntr`
the names: a member makes up none, and says all that tell of an ensemble.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tests.compat import oracle
from tests.compat.members import Members, until
from tests.compat.oracle import Flavour

pytestmark = [pytest.mark.compat, pytest.mark.xdist_group("words of members")]

ROLES: Final = ("leader", "follower", "observer")
WORDS: Final = ("srvr", "stat", "conf", "dump", "cons", "isro", "ruok", "wchs", "wchc", "wchp", "dirs", "gtmk", "hash")
OF_MEMBERS: Final = (
    *("peer_state", "quorum_size", "observer_master_id", "learners", "synced_followers", "synced_observers"),
    *("synced_non_voting_followers", "pending_syncs", "leader_uptime", "last_proposal_size", "proposal_size"),
    *("looking_count", "proposal_count", "commit_count", "learner_proposal_received_count", "election_time"),
    *("learner_commit_received_count", "snap_count", "diff_count", "revalidate_count", "unavailable_time"),
    *("leader_unavailable_time", "follower_sync_time", "observer_sync_time", "inflight_snap_count"),
    *("proposal_latency", "quorum_ack_latency", "commit_propagation_latency", "propagation_latency"),
)
"""What `mntr` of a leader, a follower and an observer tells together of their ensemble."""
COUNTS: Final = (
    *("peer_state", "quorum_size", "learners", "synced_followers", "synced_observers", "pending_syncs", "server_state"),
    *("synced_non_voting_followers", "last_proposal_size", "min_proposal_size", "max_proposal_size", "looking_count"),
    *("proposal_count", "commit_count", "learner_proposal_received_count", "learner_commit_received_count"),
    *("revalidate_count", "global_sessions", "cnt_unavailable_time", "cnt_election_time", "cnt_quorum_ack_latency"),
    *("cnt_proposal_latency", "cnt_commit_propagation_latency", "cnt_updatelatency", "cnt_propagation_latency"),
)
"""Those that are the same after the same few writes."""
Said = dict[tuple[str, str], str]
"""Answers by role and word."""


def _answers(members: Members) -> Said:
    """What the leader, a follower and the observer say, each with the same clients."""
    members.start(2, 3).start(
        1, 4
    )  # two elect the larger id at the first try; of three, a slow one may confuse the rest
    leader = members.leader()
    places = {"leader": leader, "follower": next(sid for sid in (1, 2, 3) if sid != leader), "observer": 4}
    clients = {sid: members.client(sid) for sid in places.values()}
    for sid, client in clients.items():
        client.create(f"/x{sid}", b"x")
        client.create(f"/e{sid}", b"", ephemeral=True)
        client.exists(f"/x{sid}", watch=print)
    for client in clients.values():
        client.sync("/")
    said = {(role, word): members.servers[sid].word(word) for role, sid in places.items() for word in (*WORDS, "mntr")}
    for sid in members.others(leader):
        members.servers[sid].kill()
    until(lambda: members.servers[leader].word("isro"), lambda answer: answer == "null")
    said.update((("nobody", word), members.servers[leader].word(word)) for word in (*WORDS, "mntr", "crst", "srst"))
    return said


@pytest.fixture(scope="module")
def answers(referee: Callable[[str], Flavour], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Said, Said]]:
    """Apache's and ours, from ensembles of three and an observer that ran one after the other."""
    found = []
    for flavour in (referee("3.9.3"), oracle.zoopark()):
        members = Members(tmp_path_factory.mktemp(flavour.name), [flavour] * 4, n_observers=1)
        try:
            found.append(_answers(members))
        finally:
            members.stop()
    yield found[0], found[1]


def _shape(text: str) -> list[str]:
    """The lines without what differs from run to run; those that hash tables order are sorted."""
    lines = []
    for line in text.split("\n"):
        if " expire at " in line:
            continue  # how many expire together is chance
        shown = re.sub(r"(?<=ersion: ).*|(?<=Dir=).*", "*", line)
        shown = re.sub(r"Session Sets \(\d+\)|Connections Sets \(\d+\)", "Sets", shown)
        shown = re.sub(r"0x[0-9a-f]+|-1(?=/)|\d+(\.\d+)?", "*", re.sub(r"\[[01]\]", "[.]", shown))
        lines.append(re.sub(r",(minlat|lcxid)=[^,)]*|/[xe]\*", "", shown))
    fixed = [line for line in lines if not line.startswith((" /", "\t", "*", "/"))]
    return fixed + sorted(line for line in lines if line not in fixed)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("word", WORDS)
def test_a_member_says_what_apache_says(answers: tuple[Said, Said], role: str, word: str) -> None:
    """Line for line, with the last newline or without."""
    theirs, ours = answers
    assert _shape(theirs[role, word]) == _shape(ours[role, word])


@pytest.mark.parametrize("word", [*WORDS, "mntr", "crst", "srst"])
def test_a_member_without_a_leader_says_what_apache_says(answers: tuple[Said, Said], word: str) -> None:
    """To the byte."""
    theirs, ours = answers
    assert theirs["nobody", word] == ours["nobody", word]


def _names(answer: str) -> set[str]:
    return {line.partition("\t")[0].removeprefix("zk_") for line in answer.splitlines()}


@pytest.mark.parametrize("role", ROLES)
def test_mntr_of_a_member_makes_up_no_name(answers: tuple[Said, Said], role: str) -> None:
    theirs, ours = answers
    assert _names(ours[role, "mntr"]) - _names(theirs[role, "mntr"]) == set()


@pytest.mark.parametrize("role", ROLES)
def test_mntr_of_a_member_tells_of_its_ensemble(answers: tuple[Said, Said], role: str) -> None:
    """What Apache's member in this role says of it, ours says, with every line of a summary."""
    theirs, ours = answers
    wanted = re.compile(rf"((avg|min|max|cnt|sum|p\d+)_)?({'|'.join(OF_MEMBERS)})")
    expected = {name for name in _names(theirs[role, "mntr"]) if wanted.fullmatch(name)}
    assert {name for name in _names(ours[role, "mntr"]) if wanted.fullmatch(name)} == expected


@pytest.mark.parametrize("role", ROLES)
def test_counts_of_members_are_apaches(answers: tuple[Said, Said], role: str) -> None:
    """After the same few writes the numbers that are no times are the same."""
    told = [dict(line.split("\t") for line in said[role, "mntr"].splitlines()) for said in answers]
    theirs, ours = ({name: rows.get(f"zk_{name}") for name in COUNTS} for rows in told)
    assert theirs == ours
