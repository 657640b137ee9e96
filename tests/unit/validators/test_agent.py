from __future__ import annotations

from ledger_service.domain import result
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
