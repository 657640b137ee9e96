from __future__ import annotations

import asyncio

import pytest

from ledger_service.domain import errors
from ledger_service.domain.calls import Approve, Refuse
from ledger_service.domain.lifecycle import Status
from ledger_service.testing.signer import decode
from tests.unit.validators.lives import all_approved, consider_all, many, transactions
from tests.unit.validators.outside import files_of_at_most
from tests.unit.validators.world import Running, World
from validators.agent.batches import Limits
from validators.journal.file import FILE_NAME
from validators.rules.policy import Policy

MANY_EPISODES = Policy(episode_hours=0)

FEW, BATCH = Limits().few, Limits().batch


@pytest.fixture
def world(world: World) -> World:
    world.policy = MANY_EPISODES
    return world


async def lingered(world: World, us: Running) -> None:
    """Let as much time pass as anybody waits for company."""
    world.clock.advance(seconds=1)
    await us.agent.say()


def sizes(us: Running) -> list[int]:
    calls = [tx.call for tx in transactions(us)]
    assert all(isinstance(call, Approve) for call in calls)
    return [len(call.contents) for call in calls if isinstance(call, Approve)]


async def test_alone_and_at_once_while_little_is_under_way(world: World, us: Running) -> None:
    for item in many(world, 4):
        await us.agent.consider(item)
        assert item.order not in us.memory.decided
        await world.ledger.mine()

    assert sizes(us) == [1, 1, 1, 1]


async def test_under_load_they_go_together_when_one_has_waited_long_enough(
    world: World, us: Running
) -> None:
    items = many(world, FEW + 5)
    await consider_all(us, items)
    assert sizes(us) == [1] * FEW  # the others wait for company
    assert len(us.memory.decided) == 5

    await lingered(world, us)
    await world.ledger.mine()
    assert sizes(us) == [*[1] * FEW, 5]
    assert await all_approved(world, items)


async def test_a_full_batch_waits_for_nothing_and_is_no_larger(world: World, us: Running) -> None:
    us.agent.batches.limits = Limits(batch=3)
    await consider_all(us, many(world, FEW + 7))

    assert sizes(us) == [*[1] * FEW, 3, 3]


async def test_what_waits_goes_as_soon_as_the_others_are_mined(world: World, us: Running) -> None:
    await consider_all(us, many(world, FEW + 2))
    await world.ledger.mine()
    await us.agent.say()  # no time passed

    assert sizes(us) == [*[1] * FEW, 2]


async def test_a_chain_that_stands_still_gets_so_many_transactions_and_no_more(
    world: World, us: Running
) -> None:
    us.agent.batches.limits = Limits(batch=1, most=4)
    items = many(world, 7)
    await consider_all(us, items)
    await lingered(world, us)
    assert len(us.wire.sent) == 4
    assert len(us.memory.decided) == 3

    await us.agent.say(now=True)  # for a person, say
    assert len(us.wire.sent) == 4
    assert len(us.memory.decided) == 3

    for _ in range(3):
        await world.ledger.mine()
        await lingered(world, us)
    assert await all_approved(world, items[:4])
    assert us.memory.decided == {}


async def test_the_gas_limit_of_a_batch_leaves_room_in_a_block_of_ten_million() -> None:
    from ledger_service.chain import binding  # noqa: PLC0415  the real figures, not the fake's

    first, further = binding.GAS[Approve]
    assert 4 * (first + (BATCH - 1) * further) < 10_000_000


async def test_a_bad_order_does_not_sink_the_others_and_is_not_said_again_in_vain(
    world: World, us: Running
) -> None:
    items = many(world, FEW + 3)
    for item in items:
        await world.propose(item)
    await consider_all(us, items)
    bad = items[FEW]
    await us.agent.say(now=True)
    refusal = Refuse(bad.content, 0, 1, bytes(32))
    await world.say("verdict 1", refusal, only=True)  # a moment before the batch
    await world.ledger.mine()
    await us.house.tend()

    others = [item for item in items if item is not bad]
    assert await all_approved(world, others)
    assert (await world.word(bad)).status is Status.REFUSED
    assert sizes(us) == [*[1] * FEW, 3]
    assert (us.memory.unmined, us.memory.decided, us.memory.failures) == ({}, {}, [])
    assert bad.order in us.memory.closed


async def test_what_a_batch_left_out_is_decided_again_and_said_when_the_chain_takes_it(
    world: World, us: Running
) -> None:
    items = many(world, FEW + 2)
    await consider_all(us, items)
    await us.agent.say(now=True)
    world.ledger.revoke_detector(items[0].content.detector)  # as the batch is mined, and not after
    await world.ledger.mine()
    world.ledger.add_detector(items[0].content.detector)
    assert not await all_approved(world, items[FEW:])
    await us.house.tend()
    for _ in range(2):
        await world.ledger.mine()
        await lingered(world, us)
    await world.ledger.mine()
    await us.house.tend()

    assert await all_approved(world, items[FEW:])
    assert us.memory.decided == {}


async def test_a_batch_that_reverts_as_a_whole_is_said_one_by_one(
    world: World, us: Running
) -> None:
    items = many(world, FEW + 3)
    await consider_all(us, items)
    await us.agent.say(now=True)
    batch = transactions(us)[-1]
    us.book.write(  # as the journal has it after the receipt of a batch that reverted
        {
            "kind": "mined",
            "purpose": "approve",
            "order": items[FEW].order.hex(),
            "hash": batch.hash.hex(),
            "succeeded": True,
            "why": "",
        },
        {"kind": "unsaid", "orders": [it.order.hex() for it in items[FEW:]], "alone": True},
    )
    world.ledger.drop(batch.hash)
    await us.agent.say(now=True)

    assert sizes(us)[-3:] == [1, 1, 1]


async def test_the_rules_see_what_is_decided_and_not_signed_yet(world: World) -> None:
    world.policy = Policy()  # one order an episode
    async with world.agent() as us:
        await us.house.start()
        us.agent.batches.limits = Limits(few=0)  # everything waits for company
        await us.agent.consider(world.order(world.claim(seed=1)))
        second = world.order(world.claim(seed=2))
        await us.agent.consider(second)

        assert len(us.memory.decided) == 1
        assert us.verdict(second) == ("refuse", "EPISODE_REPEATED")


async def test_what_was_decided_and_not_signed_is_judged_anew_after_a_kill(world: World) -> None:
    items = many(world, FEW + 3)
    async with world.agent() as us:
        await us.house.start()
        await consider_all(us, items)
        assert len(us.memory.decided) == 3
    for item in items:
        await world.propose(item)
    async with world.agent() as us:
        await us.house.start()
        for _ in range(3):
            world.clock.advance(seconds=2)
            await us.house.tend()
            await us.house.drain()
            await world.ledger.mine()
        await us.house.tend()

        assert await all_approved(world, items)
        assert us.memory.open == {}
        assert us.memory.failures == []
    calls = [decode(raw).call for raw in set(world.sent)]
    said = [content for call in calls if isinstance(call, Approve) for content in call.contents]
    assert len(said) == len(items)  # none of them in two transactions


async def test_an_order_that_settles_while_it_waits_costs_no_gas(world: World, us: Running) -> None:
    items = many(world, FEW + 1)
    for item in items:
        await world.propose(item)
    await consider_all(us, items)
    late = items[-1]
    await world.refuse(late, 3)
    await us.house._watcher.scan()
    await lingered(world, us)

    assert sizes(us) == [1] * FEW
    assert us.verdict(late) == ("nothing", "")
    assert late.order not in us.memory.results


async def test_what_waited_long_is_asked_of_the_chain_before_it_is_signed(
    world: World, us: Running
) -> None:
    us.agent.batches.limits = Limits(most=FEW)
    items = many(world, FEW + 1)
    await consider_all(us, items)
    world.clock.advance(days=3)  # behind its deadline
    await world.ledger.mine()
    await us.agent.say()

    assert sizes(us) == [1] * FEW
    assert us.memory.decided == {}
    assert "Late" in us.memory.closed[items[-1].order]


async def test_a_result_is_handed_in_when_its_approval_is_sent_and_not_before(
    world: World, us: Running
) -> None:
    items = many(world, FEW + 1)
    await consider_all(us, items)
    world.clock.advance(milliseconds=1)
    await us.house.tend()
    assert items[-1].order not in world.service.handed

    await lingered(world, us)
    assert items[-1].order in world.service.handed


async def test_a_batch_that_is_lost_is_sent_again_as_the_same_bytes(
    world: World, us: Running
) -> None:
    items = many(world, FEW + 3)
    await consider_all(us, items)
    await lingered(world, us)
    world.ledger.drop()  # the node was started again, and lost its pool
    world.clock.advance(seconds=10)
    await us.house.tend()
    await world.ledger.mine()
    await us.house.tend()

    assert len(set(us.wire.sent)) == FEW + 1
    assert len(us.wire.sent) == 2 * (FEW + 1)
    assert await all_approved(world, items)
    assert us.memory.unmined == {}


async def test_a_batch_whose_nonce_another_wallet_took_is_said_under_another(
    world: World, us: Running
) -> None:
    *items, other = many(world, FEW + 4)
    await consider_all(us, items)
    await lingered(world, us)
    *first, batch = [tx.hash for tx in transactions(us)]
    await world.ledger.mine(first)
    world.ledger.drop(batch)
    await world.approve(other, 2)  # the same key, by hand
    world.clock.advance(seconds=31)
    await us.house.tend()
    await world.ledger.mine()
    await us.house.tend()

    assert await all_approved(world, items)
    assert (us.memory.unmined, us.memory.decided, us.memory.failures) == ({}, {}, [])


async def test_a_disk_that_is_full_keeps_everything_unsaid_until_there_is_room(
    world: World, us: Running
) -> None:
    items = many(world, FEW + 2)
    await consider_all(us, items)
    us.book.write({"kind": "of a later version", "padding": "x" * 200_000})  # more than a log has
    sent, size = len(us.wire.sent), (world.folder / "agent" / FILE_NAME).stat().st_size
    world.clock.advance(seconds=1)
    with files_of_at_most(size + 10), pytest.raises(errors.StorageError):
        await us.agent.say()
    assert len(us.wire.sent) == sent
    await lingered(world, us)
    await world.ledger.mine()

    assert await all_approved(world, items)


async def test_many_that_decide_at_once_sign_each_once(world: World, us: Running) -> None:
    items = many(world, 12)
    await asyncio.gather(*(us.agent.consider(item) for item in items))
    for _ in range(3):
        await lingered(world, us)
        await world.ledger.mine()
    await us.house.tend()

    assert await all_approved(world, items)
    assert sum(sizes(us)) == len(items)
    assert len(transactions(us)) < len(items)
