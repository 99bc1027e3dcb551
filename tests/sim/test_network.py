"""Links lose nothing but themselves, and never change the order."""

from typing import Any

import pytest

from zoopark.sim.network import GONE, Link, Network
from zoopark.sim.world import PACKET, SECOND, World


class Ends:
    """Two places and one link; `got` is what each side received."""

    def __init__(self, seed: int = 1) -> None:
        self.world = World(seed)
        self.network = Network(self.world)
        self.got: tuple[list[Any], list[Any]] = ([], [])
        self.link = self.network.open((1, 2), (self.receiver(0), self.receiver(1)), (PACKET, PACKET))

    def receiver(self, side: int) -> Any:
        def receive(link: Link, message: Any) -> None:
            self.got[side].append(message)

        return receive

    def send(self, *messages: int) -> None:
        for message in messages:
            self.network.send(self.link, 0, message, message)

    def settle(self) -> None:
        self.world.run(10_000)


@pytest.mark.parametrize("seed", range(5))
def test_messages_arrive_in_order(seed: int) -> None:
    ends = Ends(seed)
    ends.send(*range(300))
    ends.settle()
    assert ends.got[1] == list(range(300)) and ends.network.n_messages == 300


@pytest.mark.parametrize("seed", range(20))
def test_a_partition_holds_back_and_healing_lets_everything_through_in_order(seed: int) -> None:
    """Also what is under way when it heals: it was sent later."""
    ends = Ends(seed)
    ends.send(*range(5))
    ends.world.run(2)
    ends.network.block([(1, 2)])
    ends.send(*range(5, 10))
    ends.world.run(6)
    ends.network.heal()
    ends.send(*range(10, 15))
    ends.settle()
    assert ends.got[1] == list(range(15))


def test_a_partition_may_be_one_way() -> None:
    ends = Ends()
    ends.network.block([(1, 2)])
    ends.send(1)
    ends.network.send(ends.link, 1, 7, "back")
    ends.settle()
    assert ends.got == (["back"], [])
    assert not ends.network.is_reachable(2, 1) and ends.network.is_reachable(1, 3)


@pytest.mark.parametrize("seed", range(20))
def test_a_closed_link_delivers_a_beginning_and_then_its_end(seed: int) -> None:
    ends = Ends(seed)
    ends.send(*range(5))
    ends.network.close(ends.link, 0)
    ends.send(99)
    ends.settle()
    received = ends.got[1]
    assert received[-1] is GONE and received[:-1] == list(range(len(received) - 1)) and ends.got[0] == []
    assert ends.network.links == {}


def test_a_closed_link_delivers_all_or_not() -> None:
    counts = set()
    for seed in range(40):
        ends = Ends(seed)
        ends.send(1, 2)
        ends.network.close(ends.link, 0)
        ends.settle()
        counts.add(len(ends.got[1]))
    assert {1, 3} <= counts


def test_a_broken_link_is_told_to_both_once() -> None:
    for seed in range(20):
        ends = Ends(seed)
        ends.network.break_link(ends.link)
        ends.network.break_link(ends.link)
        ends.settle()
        assert ends.got == ([GONE], [GONE])


def test_a_lost_machine_is_noticed_late_and_says_nothing_more() -> None:
    ends = Ends(3)
    ends.send(1)
    ends.network.vanish(ends.link, 0)
    ends.world.run(100, until_us=SECOND // 10)
    ends.settle()
    assert ends.got == ([], [GONE])


def test_the_end_waits_behind_a_partition() -> None:
    for seed in range(10):
        ends = Ends(seed)
        ends.network.block([(1, 2)])
        ends.send(1)
        ends.settle()
        assert ends.got[1] == []
