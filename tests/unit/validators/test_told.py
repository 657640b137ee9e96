"""What a service that lies can make an agent do by telling of orders that nobody proposed: little."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ledger_service.domain import ids
from ledger_service.domain.calls import Approve, Refuse
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.order import order_id
from ledger_service.domain.result import Reason
from ledger_service.testing import MemorySigner
from ledger_service.testing.signer import decode
from tests.unit.validators.world import Running, World, line
from validators.agent.batches import Limits
from validators.agent.held import MOST, Held
from validators.agent.house import QUIET_BLOCKS
from validators.agent.undecided import MOST_TOLD
from validators.rules.case import Announced, Refusal


async def tell(world: World, us: Running, *items: Announced) -> None:
    world.service.lines += [line(item) for item in items]
    await us.house.read_feed()
    await us.house.drain()


async def caught_up(us: Running) -> None:
    await us.house._watcher.scan()
    await us.house.drain()


def size_of_journal(world: World) -> int:
    return (world.folder / "agent" / "journal.jsonl").stat().st_size


async def test_orders_over_one_genuine_evidence_that_nobody_proposed_are_not_refused(
    world: World, us: Running
) -> None:
    claim = world.claim()
    honest = world.order(claim)
    lies = [world.build(claim, honest.envelope, cost=cost) for cost in range(1, 200)]
    before = size_of_journal(world)
    await tell(world, us, *lies)

    assert us.wire.sent == []
    assert {us.verdict(lie) for lie in lies} == {("refuse", "COST_DIFFERS")}
    assert size_of_journal(world) - before < 1000  # that the statement was seen, once
    await tell(world, us, honest)
    assert us.verdict(honest) == ("approve", "")


async def test_of_one_evidence_one_order_is_approved_before_its_proposal(
    world: World, us: Running
) -> None:
    claim = world.claim()
    first = world.order(claim)
    items = [first]
    for _ in range(4):
        world.clock.advance(seconds=1)
        items.append(world.build(claim, first.envelope))
    await tell(world, us, *items)
    assert len(us.wire.sent) == 1

    other = next(item for item in items if us.verdict(item) == ("nothing", ""))
    await world.propose(other)
    await caught_up(us)
    assert us.verdict(other) == ("approve", "")
    assert [type(decode(raw).call) for raw in us.wire.sent] == [Approve, Approve]


async def test_what_its_builder_could_not_propose_is_not_judged(world: World, us: Running) -> None:
    claim = world.claim()
    honest = world.order(claim)
    stranger = MemorySigner("a stranger").address
    await tell(
        world,
        us,
        world.build(claim, honest.envelope, builder=stranger),
        world.build(claim, honest.envelope, attempt=2),
        world.build(claim, honest.envelope, detector=ids.DetectorId(bytes(32))),
    )

    assert us.wire.sent == []
    assert world.service.fetched == []
    assert us.memory.verdicts == {}


async def test_a_refusal_waits_for_the_proposal_and_is_said_at_once_then(
    world: World, us: Running
) -> None:
    item = world.order(cost=1)
    await tell(world, us, item)
    assert us.wire.sent == []
    world.service.down = True  # nothing needs to be fetched again
    await world.propose(item)
    await caught_up(us)

    (call,) = [decode(raw).call for raw in us.wire.sent]
    assert isinstance(call, Refuse)
    await world.ledger.mine()
    assert (await world.word(item)).against == 2


@pytest.mark.parametrize("when", ["before we sign", "in the same block"])
async def test_a_refusal_that_comes_after_anothers_is_no_failure(
    world: World, us: Running, when: str
) -> None:
    item = world.order(cost=1)
    await tell(world, us, item)
    await world.propose(item)
    if when == "before we sign":
        place = await us.agent.recall.place(item)
        await world.refuse(item, 3)
        await us.agent._say_no(item, place, Refusal(Reason.COST_DIFFERS, "no"), None)
    else:
        await caught_up(us)
        ours = world.ledger.pending
        await world.say("verdict 3", Refuse(item.content, 2, 1, bytes(32)), only=True)
        await world.ledger.mine(ours)
        await us.house.tend()

    assert (await world.word(item)).status is Status.REFUSED
    assert us.memory.failures == []
    assert us.memory.unmined == {}


async def test_an_order_that_is_proposed_while_it_is_judged_is_refused_too(
    world: World, us: Running
) -> None:
    item = world.order(cost=1)
    judging = asyncio.create_task(us.agent.consider(item))
    await asyncio.sleep(0)  # it asked the chain where the order stands
    assert us.agent.busy
    await world.propose(item)
    await us.agent.learn(item.order, item.content)
    await judging

    assert [type(decode(raw).call) for raw in us.wire.sent] == [Refuse]


async def test_a_refusal_that_was_held_too_long_is_judged_anew(world: World, us: Running) -> None:
    item = world.order(cost=1)
    await tell(world, us, item)
    world.clock.advance(minutes=11)
    assert us.verdict(item) == ("nothing", "")
    await world.propose(item)
    await caught_up(us)

    assert us.verdict(item) == ("refuse", "COST_DIFFERS")
    assert len(us.agent.held) == 0


async def test_a_refusal_that_is_held_is_found_again_after_a_restart(world: World) -> None:
    item = world.order(cost=1)
    async with world.agent() as us:
        await us.house.start()
        await us.agent.consider(item)
    await world.propose(item)
    async with world.agent() as us:
        await us.house.start()

        assert us.verdict(item) == ("refuse", "COST_DIFFERS")
        assert len(us.wire.sent) == 1


async def test_no_more_refusals_are_held_than_there_is_room_for(world: World) -> None:
    held, refusal = Held(world.clock), Refusal(Reason.OTHER, "no")
    orders = [ids.OrderId(number.to_bytes(32)) for number in range(MOST + 5)]
    for order in orders:
        held.put(order, refusal, None)

    assert len(held) == MOST
    assert [held.get(order) is None for order in (orders[4], orders[5])] == [True, False]
    world.clock.advance(minutes=11)
    held.put(orders[0], refusal, None)
    assert len(held) == 1


@pytest.mark.parametrize(("deadline", "most"), [(2**40 - 1, 0), (None, MOST_TOLD)])
async def test_junk_that_cannot_be_judged_is_remembered_for_a_while_and_up_to_a_limit(
    world: World, us: Running, deadline: int | None, most: int
) -> None:
    honest = world.order()
    junk = []
    for cost in range(300):
        content = replace(honest.content, cost=cost, deadline=deadline or honest.content.deadline)
        order = order_id(content, world.ledger.orders)
        junk.append(Announced(order, content, b"", b"{}"))
    await tell(world, us, *junk)
    assert len(us.memory.open) == most
    world.clock.advance(minutes=11)
    await us.house.tend()
    await us.house.drain()
    await us.house.tend()

    assert us.memory.open == {}
    assert us.house._retries == {}
    assert us.wire.sent == []


async def test_an_order_that_is_proposed_while_it_is_tried_again_stays_open(
    world: World, us: Running
) -> None:
    item = world.order()
    world.service.envelopes.clear()
    await us.agent.consider(replace(item, envelope=b"{}"))
    trying = asyncio.create_task(us.agent.learn(item.order, item.content, told=True))
    await asyncio.sleep(0)
    await world.propose(item)
    await us.agent.learn(item.order, item.content)
    await trying

    assert "told" not in us.memory.open[item.order]


async def test_an_order_that_is_told_of_twice_at_a_time_and_never_proposed_is_forgotten(
    world: World, us: Running
) -> None:
    item = world.order()
    world.service.envelopes.clear()
    await us.agent.consider(replace(item, envelope=b"{}"))
    trying = asyncio.create_task(us.agent.learn(item.order, item.content, told=True))
    await asyncio.sleep(0)
    await us.agent.learn(item.order, item.content, told=True)
    await trying
    world.clock.advance(minutes=11)
    us.agent.undecided.tidy()

    assert us.memory.open == {}


async def test_what_was_told_of_decided_and_not_signed_is_forgotten_too_when_nobody_proposes_it(
    world: World,
) -> None:
    item = await decided_and_killed(world)
    world.service.down = True
    async with world.agent() as us:
        await us.house.start()
        assert item.order in us.memory.open
        world.clock.advance(minutes=9)
        await us.house.tend()
        await us.house.drain()
        assert item.order in us.memory.open
        world.clock.advance(minutes=2)
        await us.house.tend()
        assert us.memory.open == {}


@pytest.mark.parametrize("when", ["told of first", "while it is decided", "while nobody runs"])
async def test_what_was_decided_and_not_signed_and_is_proposed_is_never_forgotten(
    world: World, when: str
) -> None:
    item = await decided_and_killed(world, when)
    if when == "while nobody runs":
        await world.propose(item)
    world.service.down = True
    async with world.agent() as us:
        await us.house.start()
        world.clock.advance(minutes=11)
        await us.house.tend()
        await us.house.drain()
        assert item.order in us.memory.open
        world.service.down = False
        world.clock.advance(minutes=2)
        await us.house.tend()
        await us.house.drain()
        assert us.verdict(item) == ("approve", "")


async def test_what_was_signed_in_vain_is_not_forgotten_as_if_it_had_never_been_proposed(
    world: World,
) -> None:
    item = await decided_and_killed(world, "signed in vain")
    world.service.down = True
    async with world.agent() as us:
        await us.house.start()
        world.clock.advance(minutes=11)
        await us.house.tend()
        assert item.order in us.memory.open


async def decided_and_killed(world: World, when: str = "") -> Announced:
    """Kill an agent that decided an order, signed nothing, and read far more blocks since."""
    item = world.order()
    async with world.agent() as us:
        await us.house.start()
        us.agent.batches.limits = Limits(few=0)  # everything waits for company
        if when == "told of first":
            world.service.down = True
            await us.agent.consider(replace(item, envelope=b"{}"))
            await world.propose(item)
            await caught_up(us)
            await read_on(world, us)
            world.service.down = False
            await us.agent.learn(item.order, item.content)
        else:
            await us.agent.consider(item)
        assert list(us.memory.decided) == [item.order]
        if when == "while it is decided":
            await world.propose(item)
        if when == "signed in vain":
            us.agent.batches.limits = Limits()
            await us.agent.say(now=True)
            us.book.write({"kind": "unsaid", "orders": [item.order.hex()], "alone": False})
            us.agent.batches.limits = Limits(few=0)
        await read_on(world, us)
        assert list(us.memory.decided) == [item.order]
    return item


async def read_on(world: World, us: Running) -> None:
    for _ in range(QUIET_BLOCKS + 5):
        await world.ledger.mine([])
    await caught_up(us)
    us.house._save_cursors()


async def test_what_was_told_of_and_is_proposed_by_now_is_never_forgotten(
    world: World, us: Running
) -> None:
    item = world.order()
    envelope = world.service.envelopes.pop(item.content.evidence)
    await us.agent.consider(replace(item, envelope=b"{}"))
    assert "told" in us.memory.open[item.order]
    await world.propose(item)
    await caught_up(us)
    world.clock.advance(hours=1)
    await us.house.tend()
    await us.house.drain()
    assert item.order in us.memory.open

    world.service.envelopes[item.content.evidence] = envelope
    world.clock.advance(minutes=2)
    await us.house.tend()
    await us.house.drain()
    assert us.verdict(item) == ("approve", "")


async def proposed_and_rewritten(world: World, us: Running) -> Announced:
    """Leave an order open that a rewrite of the chain took out, and that nobody can propose any more."""
    item = world.order()
    world.service.down = True
    await world.propose(item)
    await caught_up(us)
    assert "told" not in us.memory.open[item.order]
    world.ledger.fork(1, forget=True)
    world.ledger.revoke_detector(item.content.detector)
    return item


async def try_again(us: Running, world: World, minutes: int, *, blocks: bool) -> None:
    world.clock.advance(minutes=minutes)
    if blocks:
        await world.ledger.mine([])
    await us.house.tend()
    await us.house.drain()


async def test_what_a_rewrite_took_out_and_nobody_can_propose_is_forgotten_after_ten_minutes(
    world: World, us: Running
) -> None:
    item = await proposed_and_rewritten(world, us)
    await try_again(us, world, 2, blocks=True)
    await try_again(us, world, 8, blocks=True)
    assert item.order in us.memory.open
    await try_again(us, world, 3, blocks=True)

    assert us.memory.open == {}


async def test_a_node_that_stands_still_makes_nobody_forget_what_it_does_not_know(
    world: World, us: Running
) -> None:
    item = await proposed_and_rewritten(world, us)
    for _ in range(5):
        await try_again(us, world, 8, blocks=False)

    assert item.order in us.memory.open


async def test_what_comes_back_to_the_chain_begins_its_ten_minutes_anew(
    world: World, us: Running
) -> None:
    item = await proposed_and_rewritten(world, us)
    await try_again(us, world, 2, blocks=True)
    world.ledger.registry.detectors[item.content.detector] = True
    await try_again(us, world, 5, blocks=True)  # it could be proposed, and the service is away
    world.ledger.revoke_detector(item.content.detector)
    await try_again(us, world, 5, blocks=True)

    assert item.order in us.memory.open
