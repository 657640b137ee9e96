from __future__ import annotations

import pytest

from ledger_service.domain.calls import Approve, Refuse
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.result import Reason
from ledger_service.testing import MemorySigner
from ledger_service.testing.signer import decode
from tests.unit.validators.world import Running, World, line
from validators.rules.case import Announced


def rotate(world: World) -> None:
    world.key = "verdict 2 new"
    world.ledger.rotate(2, MemorySigner(world.key).address)


async def settle(us: Running) -> None:
    await us.house.start()
    await us.house.tend()
    await us.house.drain()


def refusals(us: Running) -> list[tuple[bytes, int]]:
    calls = [decode(raw).call for raw in us.wire.sent]
    return [(call.content.evidence, call.reason) for call in calls if isinstance(call, Refuse)]


@pytest.mark.parametrize("journal", ["kept", "lost"])
async def test_what_a_thief_approved_is_refused_after_the_key_was_replaced(
    world: World, journal: str
) -> None:
    async with world.agent() as before:
        await before.house.start()
        stolen = world.order()
        await world.propose(stolen)
        await world.approve(stolen, 2, "verdict 2")
        await before.house._watcher.scan()
        await before.house.drain()
        assert before.verdict(stolen) == ("approve", "")
        assert before.memory.verdicts[stolen.order]["by"] == "the chain"
    rotate(world)
    async with world.agent("agent" if journal == "kept" else "anew") as us:
        await settle(us)
        assert refusals(us) == [(stolen.content.evidence, Reason.NOT_ACCOUNTED)]
        await world.ledger.mine()

    assert (await world.word(stolen)).status is Status.REFUSED


async def test_what_we_approved_ourselves_stays_after_the_key_was_replaced(world: World) -> None:
    item = world.order()
    async with world.agent() as before:
        await before.house.start()
        await before.agent.consider(item)
        await world.ledger.mine()
        await world.propose(item)
    rotate(world)
    async with world.agent() as us:
        await settle(us)

        assert us.wire.sent == []
        assert us.memory.unaccounted == {}
    assert (await world.word(item)).approved == 2


async def test_an_approval_before_its_proposal_is_refused_once_the_feed_names_its_content(
    world: World,
) -> None:
    stolen = world.order()
    await world.approve(stolen, 2, "verdict 2")
    rotate(world)
    async with world.agent() as us:
        await settle(us)
        assert refusals(us) == []
        assert list(us.memory.unaccounted) == [stolen.order]
        world.service.lines.append(line(stolen))
        await us.house.read_feed()
        await us.house.drain()
        await us.house.tend()

        assert refusals(us) == [(stolen.content.evidence, Reason.NOT_ACCOUNTED)]


async def test_what_settled_with_a_stolen_approval_is_shouted_about(world: World) -> None:
    stolen = world.order()
    await world.propose(stolen)
    for number in (1, 2, 3):
        await world.approve(stolen, number)
    rotate(world)
    async with world.agent() as us:
        await settle(us)

        assert us.wire.sent == []
        assert [entry["why"] for entry in us.memory.failures] == ["It is Validated."]
        assert us.memory.unaccounted == {}


async def test_a_journal_that_is_lost_with_the_same_key_takes_its_approvals_as_its_own(
    world: World,
) -> None:
    item = world.order()
    async with world.agent("one") as before:
        await before.house.start()
        await before.agent.consider(item)
        await world.ledger.mine()
        await world.propose(item)
    async with world.agent("two") as us:
        await settle(us)

        assert us.wire.sent == []
        assert us.verdict(item) == ("approve", "")


async def test_the_new_key_begins_with_its_own_nonce(world: World) -> None:
    items: list[Announced] = []
    async with world.agent() as before:
        await before.house.start()
        for seed in (1, 2):
            world.clock.advance(hours=25)
            items.append(world.order(world.claim(seed=seed)))
            await before.agent.consider(items[-1])
        await world.ledger.mine()
    rotate(world)
    async with world.agent() as us:
        await settle(us)
        world.clock.advance(hours=25)
        items.append(world.order(world.claim(seed=3)))
        await us.agent.consider(items[-1])
        await world.ledger.mine()

    assert [decode(raw).nonce for raw in us.wire.sent] == [0, 1]
    assert (await world.word(items[-1])).approved == 2


@pytest.mark.parametrize("fate", ["lost", "reverted"])
async def test_a_verdict_that_the_old_key_could_not_bring_in_is_said_again_by_the_new_one(
    world: World, fate: str
) -> None:
    item = world.order()
    async with world.agent() as before:
        await before.house.start()
        await before.agent.consider(item)
        rotate(world)
        if fate == "reverted":
            await world.ledger.mine()  # it reverts: the key is not the seat's any more
            await before.house.tend()
        else:
            world.ledger.drop()
    async with world.agent() as us:
        await settle(us)
        await world.ledger.mine()
        await us.house.tend()

        assert (await world.word(item)).approved == 2
        assert [type(decode(raw).call) for raw in us.wire.sent] == [Approve]
        assert us.memory.failures == []
        assert us.memory.unmined == {}


async def test_an_order_met_with_a_key_that_is_replaced_waits_for_the_next_key(
    world: World,
) -> None:
    item = world.order()
    async with world.agent() as before:
        await before.house.start()
        world.ledger.rotate(2, MemorySigner("verdict 2 new").address)
        await before.agent.consider(item)
        assert before.verdict(item) == ("nothing", "")
        assert item.order in before.memory.open
    world.key = "verdict 2 new"
    async with world.agent() as us:
        await settle(us)

        assert us.verdict(item) == ("approve", "")
