from __future__ import annotations

import pytest

from ledger_service.domain.calls import Sent, Unsigned
from ledger_service.testing.ledger import CHAIN_ID
from tests.unit.validators.lives import all_approved, consider_all, many, transactions
from tests.unit.validators.world import Running, World
from validators.agent.batches import Limits
from validators.rules.policy import Policy


@pytest.fixture
def world(world: World) -> World:
    world.policy = Policy(episode_hours=0)
    return world


@pytest.mark.parametrize("size", [1, 3])
async def test_what_nodes_never_take_gives_its_nonce_up_and_is_said_again(
    world: World, us: Running, size: int
) -> None:
    us.agent.batches.limits = Limits(few=1 if size == 1 else 0)
    items = many(world, size)
    world.ledger.most_gas = 50_000  # less than any call here, more than a transfer
    await consider_all(us, items)
    await us.agent.say(now=True)
    for _ in range(8):
        world.clock.advance(seconds=20)
        await us.house.tend()
    voided = transactions(us)[-1]
    assert (voided.nonce, voided.call) == (0, None)
    world.ledger.most_gas = 100_000
    for _ in range(4):
        await world.ledger.mine()
        await us.house.tend()
        await us.agent.say(now=True)

    assert await all_approved(world, items)
    assert (us.memory.unmined, us.memory.stuck, us.memory.failures) == ({}, {}, [])


async def test_what_nodes_never_take_blocks_nothing_and_is_given_up_in_the_end(
    world: World, us: Running
) -> None:
    (item,) = many(world, 1)
    world.ledger.most_gas = 50_000
    await us.agent.consider(item)
    for _ in range(60):
        world.clock.advance(seconds=20)
        await us.house.tend()
        await world.ledger.mine()
    await us.house.tend()

    assert us.memory.unmined == {}
    assert [entry["why"] for entry in us.memory.failures] == [
        "Every node refuses it, whatever its nonce."
    ]
    assert await world.ledger.nonce(us.pen.address) == 3  # each used for nothing


async def test_a_nonce_is_used_for_nothing_where_the_order_is_settled_meanwhile(
    world: World, us: Running
) -> None:
    (item,) = many(world, 1)
    await world.propose(item)
    world.ledger.least_price = 5
    await us.agent.consider(item)
    await world.ledger.mine()
    world.ledger.least_price = 0
    await world.refuse(item, 1)
    world.ledger.least_price, world.ledger.price = 5, 6
    for _ in range(6):
        world.clock.advance(seconds=20)
        await us.house.tend()

    assert [tx.call is None for tx in transactions(us)] == [False, True]
    await world.ledger.mine()
    await us.house.tend()
    assert us.memory.unmined == {}
    assert world.ledger.pending == []


async def test_a_transaction_counts_if_it_is_mined_although_its_nonce_was_given_up(
    world: World, us: Running
) -> None:
    (item,) = many(world, 1)
    world.ledger.most_gas = 50_000
    await us.agent.consider(item)
    for _ in range(8):
        world.clock.advance(seconds=20)
        await us.house.tend()
    world.ledger.drop()
    world.ledger.most_gas = 100_000
    assert await world.ledger.send(us.wire.sent[0]) is Sent.ACCEPTED  # another node had it
    await world.ledger.mine()
    await us.house.tend()

    assert await all_approved(world, [item])
    assert (us.memory.unmined, us.memory.failures) == ({}, [])
    assert await world.ledger.nonce(us.pen.address) == 1


async def test_a_chain_that_went_back_behind_what_was_final_is_told_the_same_again(
    world: World, us: Running
) -> None:
    *items, last = many(world, 4)
    for item in items:
        await us.agent.consider(item)
        await world.ledger.mine()
    await us.house.tend()
    assert us.memory.unmined == {}
    world.ledger.fork(3, forget=True)  # restored from an older copy
    await us.agent.consider(last)
    for _ in range(3):
        world.clock.advance(seconds=31)
        await us.house.tend()
        await world.ledger.mine()
    await us.house.tend()

    assert await all_approved(world, [*items, last])
    assert len(set(us.wire.sent)) == 4  # the same bytes
    assert us.memory.unmined == {}


async def test_a_chain_that_went_back_is_told_the_same_at_the_fees_of_now(
    world: World, us: Running
) -> None:
    item, last = many(world, 2)
    await us.agent.consider(item)
    await world.ledger.mine()
    await us.house.tend()
    world.ledger.fork(1, forget=True)
    world.ledger.least_price = world.ledger.price = 5
    await us.agent.consider(last)
    await tended_and_mined(world, us)

    assert await all_approved(world, [item, last])
    assert [tx.nonce for tx in transactions(us)].count(0) == 2  # the other one at other fees
    assert (us.memory.unmined, us.memory.failures) == ({}, [])


async def test_a_nonce_that_came_free_is_used_up_where_its_order_is_said_with_another(
    world: World, us: Running
) -> None:
    (item,) = many(world, 1)
    await us.agent.consider(item)
    world.ledger.drop()
    us.pen.sign_again(us.memory.unmined["approve", item.order])  # its nonce was taken, for a while
    world.ledger.least_price = world.ledger.price = 5
    await tended_and_mined(world, us)

    assert await all_approved(world, [item])
    assert [tx.call is None for tx in transactions(us) if tx.nonce == 0] == [False, True]
    assert (us.memory.unmined, us.memory.failures) == ({}, [])


@pytest.mark.parametrize("strange", [1, 2])
async def test_what_another_program_signed_and_a_rewrite_dropped_blocks_nothing_for_ever(
    world: World, us: Running, strange: int
) -> None:
    first, last = many(world, 2)
    for nonce in range(strange):
        assert await world.ledger.send(with_our_key(world, us, nonce)) is Sent.ACCEPTED
    await world.ledger.mine()
    await us.pen.ready()
    await us.agent.consider(first)
    await us.agent.consider(last)
    assert [tx.nonce for tx in transactions(us)] == [strange, strange + 1]
    world.ledger.fork(1, forget=True)
    await tended_and_mined(world, us)

    assert await all_approved(world, [first, last])
    assert {tx.nonce for tx in transactions(us) if tx.call is None} == set(range(strange))
    assert (us.memory.unmined, us.memory.failures) == ({}, [])


async def test_what_another_program_signed_and_a_rewrite_brings_back_is_left_alone(
    world: World, us: Running
) -> None:
    (item,) = many(world, 1)
    await world.ledger.send(with_our_key(world, us, 0))
    await world.ledger.mine()
    await us.pen.ready()
    await us.agent.consider(item)
    world.ledger.fork(1)
    await us.house.tend()
    await world.ledger.mine()
    await tended_and_mined(world, us)

    assert await all_approved(world, [item])
    assert {tx.nonce for tx in transactions(us)} == {1}


def with_our_key(world: World, us: Running, nonce: int) -> bytes:
    """Sign a transfer of nothing that our journal does not know of."""
    fees = (("gasPrice", world.ledger.price),)
    return us.pen._signer.sign(Unsigned(CHAIN_ID, us.pen.address, b"", 21_000, fees), nonce).raw


async def tended_and_mined(world: World, us: Running) -> None:
    for _ in range(8):
        world.clock.advance(seconds=31)
        await us.house.tend()
        await world.ledger.mine()
    await us.house.tend()


async def test_a_chain_that_went_back_is_told_what_was_mined_and_not_what_gave_its_nonce_up(
    world: World, us: Running
) -> None:
    (item,) = many(world, 1)
    world.ledger.most_gas = 50_000
    await us.agent.consider(item)
    for _ in range(8):
        world.clock.advance(seconds=20)
        await us.house.tend()
    assert [tx.call is None for tx in transactions(us)].count(True) == 1
    world.ledger.drop()
    world.ledger.most_gas = 100_000
    await world.ledger.send(us.wire.sent[0])  # another node had it
    await world.ledger.mine()
    await us.house.tend()
    assert us.memory.unmined == {}
    world.ledger.fork(1, forget=True)
    for _ in range(2):
        world.clock.advance(seconds=31)
        await us.house.tend()
    await world.ledger.mine()

    assert await all_approved(world, [item])


async def test_a_node_that_is_behind_and_catches_up_is_told_nothing_twice(
    world: World, us: Running
) -> None:
    (item,) = many(world, 1)
    await us.agent.consider(item)
    await world.ledger.mine()
    await us.house.tend()
    sent = len(us.wire.sent)
    world.ledger.fork(1)
    world.clock.advance(seconds=31)
    await us.house.tend()
    await world.ledger.mine()  # it is there again
    world.clock.advance(seconds=31)
    await us.house.tend()

    assert len(us.wire.sent) == sent
    assert await all_approved(world, [item])
