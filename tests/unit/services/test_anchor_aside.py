"""What holds up no other: evidence whose questions fail, ends that cannot be written down."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest

from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Call, Propose, Sent
from ledger_service.domain.facts import Block
from ledger_service.domain.lifecycle import Stage
from ledger_service.domain.records import TxState
from ledger_service.services.anchor import ASIDE_FOR
from ledger_service.services.effect import without_effect
from ledger_service.services.send import Wanted, using_up
from ledger_service.testing import MemorySigner
from tests.unit.services.gateway import Packed
from tests.unit.services.site import BUILDER, Site, World
from tests.unit.services.test_send import anchored, stored_all


@pytest.fixture
def site() -> Site:
    return Site(World())


async def sealed(site: Site, count: int) -> list[Packed]:
    packed = [site.world.gateway.pack() for _ in range(count)]
    for item in packed:
        await site.post(item)
    return packed


async def stages(site: Site, packed: Sequence[Packed]) -> list[Stage]:
    return [(await site.track.evidence(item.id)).evidence.stage for item in packed]


class Asked:
    """Lets what the chain is asked of some evidence fail, and counts how often it is asked."""

    def __init__(self, site: Site, failing: Collection[Packed], fault: errors.LedgerError) -> None:
        self.times = 0
        self._failing = {item.id for item in failing}
        self._fault = fault
        self._usual = site.world.ledger.simulate
        self._ledger = site.world.ledger
        site.world.ledger.simulate = self.simulate  # type: ignore[method-assign]
        site.world.ledger.simulate_many = self.many  # type: ignore[method-assign]

    async def simulate(self, call: Call, sender: ids.Address) -> None:
        if isinstance(call, Propose) and call.contents[0].evidence in self._failing:
            self.times += 1
            raise self._fault
        await self._usual(call, sender)

    async def many(
        self, tried: Sequence[Call], sender: ids.Address
    ) -> list[errors.LedgerError | None]:
        found: list[errors.LedgerError | None] = []
        for call in tried:
            try:
                await self.simulate(call, sender)
            except errors.LedgerError as exc:
                found.append(exc)
            else:
                found.append(None)
        return found


async def test_where_a_node_answers_of_others_one_that_it_does_not_answer_of_is_put_aside(
    site: Site,
) -> None:
    silent, good = await sealed(site, 2)
    asked = Asked(site, [silent], errors.NodeUnreachable())

    assert await site.anchor.step()

    assert await stages(site, [silent, good]) == [Stage.SEALED, Stage.ANCHORING]
    site.world.clock.advance(seconds=ASIDE_FOR.total_seconds() - 1)
    times = asked.times
    assert not await site.anchor.step()
    assert asked.times == times  # it is not asked again before its time
    site.world.clock.advance(seconds=1)
    with pytest.raises(errors.NodeUnreachable):  # alone: then it is the node
        await site.anchor.step()
    assert asked.times > times


async def test_what_fails_for_itself_is_put_aside_also_where_nothing_else_is_answered(
    site: Site,
) -> None:
    (bad,) = await sealed(site, 1)
    Asked(site, [bad], errors.BadAnswer())

    assert not await site.anchor.step()

    assert await stages(site, [bad]) == [Stage.SEALED]


async def test_however_many_are_put_aside_what_came_after_them_is_anchored(site: Site) -> None:
    bad = await sealed(site, 101)
    asked = Asked(site, bad, errors.BadAnswer())
    assert not await site.anchor.step()
    times = asked.times
    late = await sealed(site, 100)

    assert await site.anchor.step()

    assert set(await stages(site, late)) == {Stage.ANCHORING}
    assert asked.times == times


async def test_a_first_attempt_that_was_refused_for_a_moment_is_the_first_attempt(
    site: Site,
) -> None:
    (packed,) = await sealed(site, 1)
    usual = site.world.ledger.simulate_many

    async def once(tried: Sequence[Call], sender: ids.Address) -> list[errors.LedgerError | None]:
        site.world.ledger.simulate_many = usual  # type: ignore[method-assign]
        return [errors.CallReverted(found=sender.hex()) for _ in tried]

    site.world.ledger.simulate_many = once  # type: ignore[method-assign]
    await site.run_to_the_end()

    journey = await site.track.evidence(packed.id)
    assert (journey.state, journey.orders[0].content.attempt) == ("Validated", 1)


async def test_of_ends_that_are_seen_at_once_one_that_cannot_be_written_down_holds_up_no_other(
    site: Site,
) -> None:
    nobodys = ids.OrderId(bytes(32))
    async with site.world.store.transaction() as rows:
        await site.sender.ready()
        await site.sender.store(rows, [Wanted("propose:nobody", Propose(()), (nobodys,))])
    packed = [await anchored(site), await anchored(site)]
    site.world.ledger.drop()
    elsewhere = MemorySigner(BUILDER)
    used = using_up(site.world.ledger.prepare(Propose(())), elsewhere.address)
    for nonce in range(3):
        await site.world.ledger.send(elsewhere.sign(used, nonce).raw)
    await site.world.ledger.mine()
    await site.anchor.reconcile()
    site.world.clock.advance(seconds=31)

    assert not await site.anchor.reconcile()

    assert await stages(site, packed) == [Stage.SEALED] * 2
    assert [item.key for item in await stored_all(site)] == ["propose:nobody"]


async def test_a_withdrawal_that_was_mined_is_not_told_as_a_failure(site: Site) -> None:
    packed = await anchored(site)
    await site.world.ledger.mine()
    await site.take_in()
    (order,) = (await site.track.evidence(packed.id)).orders
    await site.close.withdraw(order.id)
    await site.world.ledger.mine()
    await site.take_in()

    await site.anchor.reconcile()

    assert await stored_all(site) == []
    journey = await site.track.evidence(packed.id)
    assert journey.state == "Withdrawn"
    assert not [hop.name for hop in journey.hops if "failed" in hop.name]


async def test_what_a_batch_did_is_not_judged_by_a_block_that_is_no_longer_there(
    site: Site,
) -> None:
    packed = await sealed(site, 2)
    await site.anchor.step()
    await site.world.ledger.mine()
    (ended,) = await site.sender.look()
    assert (ended.state, len(ended.outgoing.orders)) == (TxState.MINED, 2)
    assert await without_effect(site.world.ledger, [ended]) == [(ended, {})]
    block = site.world.ledger.block

    async def another(number: int) -> Block | None:
        await block(number)
        return None

    site.world.ledger.block = another  # type: ignore[method-assign]

    assert await without_effect(site.world.ledger, [ended]) == []
    assert await stages(site, packed) == [Stage.ANCHORING] * 2


async def test_what_a_pool_still_has_lets_what_is_not_due_wait_for_its_own_time(site: Site) -> None:
    await anchored(site)
    site.world.clock.advance(seconds=10)
    await site.anchor.reconcile()  # the first: sent twice, next in 6 s
    site.world.clock.advance(seconds=5)
    await anchored(site)  # sent once, next in 3 s
    site.world.clock.advance(seconds=2)

    await site.anchor.reconcile()

    assert [item.sends for item in await stored_all(site)] == [3, 1]


async def test_patience_with_a_refusal_goes_on_while_nothing_is_known(site: Site) -> None:
    site.world.ledger.most_gas = 50_000
    await anchored(site)
    answered = []
    for at in range(36):
        site.world.clock.advance(seconds=10)
        away = at in range(10, 16)
        site.world.ledger.answers.extend([Sent.RETRY] * away)  # what is asked then knows nothing
        await site.anchor.reconcile()
        answered.append(away and not site.world.ledger.answers)
        site.world.ledger.answers.clear()

    assert any(answered)
    assert (await stored_all(site))[0].void


async def test_where_nothing_is_stored_nothing_is_under_way(site: Site) -> None:
    assert await site.sender.under_way() == 0
    await anchored(site)
    assert await site.sender.under_way() == 1
