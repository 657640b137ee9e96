"""Result documents of orders that a service does not have, or no longer."""

from __future__ import annotations

from tests.unit.validators.world import Running, World
from validators.rules.case import Announced


async def approved_and_lost(world: World, us: Running) -> Announced:
    """Approve an order of which only the service told, and which it lost before it was proposed."""
    item = world.order()
    world.service.takes_results = False
    await us.agent.consider(item)
    world.service.refused.add(item.order)
    world.service.takes_results = True
    return item


async def tended(world: World, us: Running, minutes: int) -> None:
    for _ in range(2):
        world.clock.advance(minutes=minutes)
        await world.ledger.mine()
        await us.house.tend()


async def test_a_result_of_an_order_that_is_nowhere_is_given_up_once_the_approval_is_taken_back(
    world: World, us: Running
) -> None:
    item = await approved_and_lost(world, us)
    await tended(world, us, 10)
    assert item.order in us.memory.results
    await tended(world, us, 10)

    assert item.order not in us.memory.unproposed
    await tended(world, us, 2)
    assert us.memory.results == {}
    assert us.house._retries == {}


async def test_a_result_that_was_given_up_is_handed_in_when_its_order_is_proposed_after_all(
    world: World, us: Running
) -> None:
    item = await approved_and_lost(world, us)
    us.book.write({"kind": "ended", "order": item.order.hex()})
    await tended(world, us, 31)
    assert us.memory.results == {}
    world.service.refused.clear()
    await world.propose_anyhow(item)
    await us.house._watcher.scan()
    await us.house.drain()
    await us.house.tend()
    world.clock.advance(seconds=2)
    await us.house.tend()

    assert item.order in world.service.handed
    assert us.memory.results == {}


async def test_a_result_of_an_order_on_chain_is_offered_for_ever(world: World, us: Running) -> None:
    item = await approved_and_lost(world, us)
    await world.propose(item)
    await us.house._watcher.scan()
    for _ in range(5):
        await tended(world, us, 31)

    assert item.order in us.memory.results


async def test_a_node_that_stands_still_makes_nobody_give_a_result_up(
    world: World, us: Running
) -> None:
    item = await approved_and_lost(world, us)
    await world.ledger.mine()
    us.book.write({"kind": "ended", "order": item.order.hex()})
    for _ in range(5):
        world.clock.advance(minutes=31)
        await us.house.tend()

    assert item.order in us.memory.results
