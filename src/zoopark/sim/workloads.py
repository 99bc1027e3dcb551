"""What clients do. A workload is a function from a client to its next request; a scenario mixes them.

Nothing here checks an answer: the checkers compare all of them with what was committed. A workload only has to go where
it hurts: many clients on one znode, names that the server counts, several operations in one transaction, queues that
must not lose or double, sessions that end, watches that must come first.

The first six are those of ClickHouse Keeper's Jepsen tests; each keeps its znodes below one parent, and takes a new
znode every now and then, so that histories stay short.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from zoopark.jute import proto
from zoopark.sim import asks
from zoopark.sim.asks import Ask
from zoopark.sim.client import SimClient
from zoopark.sim.world import SECOND

Workload: TypeAlias = Callable[[SimClient], Ask]

ERA_US: Final = 4 * SECOND
ROOTS: Final = (
    b"/cas",
    b"/set",
    b"/ids",
    b"/counter",
    b"/total",
    b"/linear",
    b"/alive",
    b"/seen",
    b"/both",
    b"/synced",
)
N_PARTS: Final = 4


def _chance(client: SimClient) -> float:
    return client.network.world.random.random()


def _pick(client: SimClient, count: int) -> int:
    return client.network.world.random.randrange(count)


def _era(client: SimClient) -> bytes:
    """Which znodes are in use now."""
    return b"%d" % (client.network.world.now_us // ERA_US)


def _value(client: SimClient) -> bytes:
    """Data that nobody else writes."""
    return b"%d.%d" % (client.place, client.network.world.count)


def prologue(client: SimClient) -> Ask:
    """Make the parents; who comes second is told that they are there."""
    return asks.create(ROOTS[_pick(client, len(ROOTS))])


def cas_register(client: SimClient) -> Ask:
    """Read, write and compare-and-set one znode."""
    path = b"/cas/r" + _era(client)
    chance = _chance(client)
    if path not in client.seen or chance < 0.1:
        client.seen.setdefault(path, 0)
        return asks.create(path, _value(client))
    if chance < 0.4:
        return asks.get_data(path)
    if chance < 0.5:
        return asks.sync(path)
    if chance < 0.55:
        return asks.delete(path, client.seen[path])
    return asks.set_data(path, _value(client), client.seen[path] if chance < 0.9 else asks.ANY_VERSION)


def growing_set(client: SimClient) -> Ask:
    """Add elements, read all of them."""
    parent = b"/set/s" + _era(client)
    chance = _chance(client)
    if chance < 0.1:
        return asks.create(parent)
    return asks.create(parent + b"/" + _value(client)) if chance < 0.6 else asks.children(parent)


def unique_ids(client: SimClient) -> Ask:
    """Names that the server counts."""
    return asks.create(b"/ids/n", _value(client), proto.SEQUENTIAL_FLAG)


def counter(client: SimClient) -> Ask:
    """Several sequential creates in one transaction: their numbers follow each other."""
    if _chance(client) < 0.3:
        return asks.children(b"/counter")
    parts = [asks.create(b"/counter/c", b"", proto.SEQUENTIAL_FLAG) for _ in range(1 + _pick(client, N_PARTS))]
    return asks.multi(*parts)


def total_queue(client: SimClient) -> Ask:
    """Put elements in, take any of them out; each comes out once at most."""
    chance = _chance(client)
    if chance < 0.45:
        return asks.create(b"/total/" + _value(client))
    if client.mine and chance < 0.75:
        path = client.mine.pop(0)
        if path.startswith(b"/total/"):
            return asks.delete(path)
    return asks.children(b"/total")


def linear_queue(client: SimClient) -> Ask:
    """Put elements in under numbers, take the first one that was seen out."""
    chance = _chance(client)
    if chance < 0.4:
        return asks.create(b"/linear/q", _value(client), proto.SEQUENTIAL_FLAG)
    heads = [path for path in client.mine if path.startswith(b"/linear/")]
    if heads and chance < 0.7:
        client.mine.remove(min(heads))
        return asks.delete(min(heads))
    return asks.children(b"/linear", is_watched=chance > 0.9)


def sessions(client: SimClient) -> Ask:
    """Ephemerals, and sessions that end."""
    chance = _chance(client)
    if chance < 0.45:
        flags = proto.EPHEMERAL_SEQUENTIAL_FLAG if chance < 0.1 else proto.EPHEMERAL_FLAG
        return asks.create(b"/alive/%d-%d" % (client.place, _pick(client, 5)), _value(client), flags)
    if chance < 0.48:
        return asks.close()
    if chance < 0.5:
        client.hang_up_soon()
    elif chance < 0.52:
        client.die_soon()
    return asks.children(b"/alive", is_watched=chance > 0.8)


def watches(client: SimClient) -> Ask:
    """Leave watches on znodes that others change."""
    path = b"/seen/w%d" % _pick(client, 4)
    chance = _chance(client)
    if chance < 0.3:
        return asks.get_data(path, is_watched=True)
    if chance < 0.45:
        return asks.exists(path, is_watched=True)
    if chance < 0.55:
        return asks.children(b"/seen", is_watched=True)
    if chance < 0.7:
        return asks.create(path, _value(client))
    return asks.set_data(path, _value(client)) if chance < 0.9 else asks.delete(path)


def pairs(client: SimClient) -> Ask:
    """Transactions over two znodes: both change, or none."""
    era, chance = _era(client), _chance(client)
    first, second = b"/both/a" + era, b"/both/b" + era
    if chance < 0.2:
        return asks.multi(asks.create(first, b"0"), asks.create(second, b"0"))
    if chance < 0.5:
        return asks.get_data(first if chance < 0.35 else second)
    value = _value(client)
    writes = (asks.set_data(first, value), asks.set_data(second, value))
    if chance < 0.7 and first in client.seen:
        return asks.multi(asks.check(first, client.seen[first]), *writes)
    return asks.multi(*writes)


def synced(client: SimClient) -> Ask:
    """Read behind a sync what others write."""
    path = b"/synced/z" + _era(client)
    chance = _chance(client)
    if chance < 0.35:
        return asks.sync(path)
    if chance < 0.7:
        return asks.get_data(path)
    return asks.create(path, _value(client)) if chance < 0.75 else asks.set_data(path, _value(client))


WORKLOADS: Final[dict[str, Workload]] = {
    "cas register": cas_register,
    "set": growing_set,
    "unique ids": unique_ids,
    "counter": counter,
    "total queue": total_queue,
    "linear queue": linear_queue,
    "sessions": sessions,
    "watches": watches,
    "multi": pairs,
    "sync": synced,
}


def mix(names: list[str]) -> Workload:
    """A client that does a bit of each of these, and first makes their parents."""
    parts = [WORKLOADS[name] for name in names]

    def draw(client: SimClient) -> Ask:
        if client.n_answers < len(ROOTS) or _chance(client) < 0.01:
            return prologue(client)
        return parts[_pick(client, len(parts))](client)

    return draw
