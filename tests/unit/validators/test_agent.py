from __future__ import annotations

import pytest

from ledger_service.domain import result
from ledger_service.domain.calls import Escalate
from ledger_service.domain.lifecycle import Status
from tests.unit.validators.outside import US
from tests.unit.validators.world import SEAT, Running, World, line


async def test_an_order_that_holds_is_approved_with_a_result_that_opens(
    world: World, us: Running
) -> None:
    item = world.order()
    await world.propose(item)
    await us.agent.consider(item)
    await world.ledger.mine()

    assert us.verdict(item) == ("approve", "")
    assert (await world.word(item)).approved == 1 << SEAT
    document = world.service.handed[item.order]
    opened = result.loads(document)
    assert (opened.organisation, opened.order, opened.agreement) == (US, item.order, "bit-equal")
    head = await world.ledger.head()
    events = [fact.event for fact in await world.ledger.facts(head)]
    assert [getattr(event, "result", None) for event in events] == [result.result_digest(document)]


async def test_it_does_not_wait_for_the_proposal(world: World, us: Running) -> None:
    item = world.order()
    await us.agent.consider(item)
    await world.ledger.mine()

    word = await world.word(item)
    assert (word.status, word.approved) == (Status.NONE, 1 << SEAT)
    await world.propose(item)
    await world.approve(item, 1)
    await world.approve(item, 3)
    assert (await world.word(item)).status is Status.VALIDATED


async def test_an_order_that_is_told_of_often_is_judged_once(world: World, us: Running) -> None:
    item = world.order()
    world.service.lines += [line(item)] * 3
    await us.house.read_feed()
    await us.agent.consider(item)
    await us.house.drain()
    await us.agent.learn(item.order, item.content)

    assert len(us.wire.sent) == 1
    assert world.service.fetched == ["note.txt", "samples.csv"]


@pytest.mark.parametrize("hours", [1, 60])
async def test_an_emergency_is_checked_like_any_order_and_ratified_even_after_its_deadline(
    world: World, us: Running, hours: int
) -> None:
    world.version = world.ledger.register_version(
        world.asset, (1, 2, 3), 1, 3, ratify_period=80 * 3600, emergency_cap=10**6, emergency_max=1
    )
    good, bad = world.order(world.claim(seed=1)), world.order(world.claim(seed=2), cost=1)
    await world.propose(good)
    await world.say("gov 3", Escalate(good.content, bytes(32)))
    world.clock.advance(hours=hours)
    await us.agent.learn(good.order, good.content)
    await us.agent.learn(bad.order, bad.content)
    await world.ledger.mine()
    for number in (1, 3):
        await world.approve(good, number)

    assert (await world.word(good)).status is Status.RATIFIED
    assert us.verdict(bad)[0] == ("refuse" if hours == 1 else "nothing")
