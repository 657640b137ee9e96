from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from structlog.testing import capture_logs

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Complete, ProposeEmergency
from ledger_service.domain.lifecycle import Outcome, Status
from ledger_service.domain.order import order_id
from ledger_service.domain.records import DeliveryState, Order
from ledger_service.testing import MemorySigner, MemoryStore
from tests.unit.services.gateway import Packed
from tests.unit.services.site import Site, World, result_of


@pytest.fixture
def site() -> Site:
    return Site(World())


class Watched(MemoryStore):
    """A store that remembers what each writing transaction asked of the chain's rows."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ports.Transaction]:
        async with super().transaction() as rows:
            self.asked.append([])
            rows.chain = Noted(rows.chain, self.asked[-1])
            yield rows


class Noted:
    def __init__(self, target: ports.ChainRows, names: list[str]) -> None:
        self._target, self._names = target, names

    def __getattr__(self, name: str) -> Any:
        self._names.append(name)
        return getattr(self._target, name)


async def open_order(site: Site) -> tuple[Packed, Order]:
    packed = site.world.gateway.pack()
    await site.post(packed)
    return packed, await site.propose(packed)


async def cursor(site: Site) -> int:
    async with site.world.store.reading() as rows:
        block = await rows.chain.cursor()
    return -1 if block is None else block.number


async def test_a_block_has_its_facts_its_move_its_deliveries_its_proof_and_its_hops(
    site: Site,
) -> None:
    packed, order = await open_order(site)
    await site.hand_in(order.id, 1, result_of(order, 1).dumps())
    await site.world.approve(order)
    await site.world.ledger.mine()

    await site.take_in()

    view = await site.track.order(order.id)
    assert (view.order.status, view.order.block) == (Status.VALIDATED, 2)
    assert [type(fact.event).__name__ for fact in view.facts] == [
        "Proposed", "Approved", "Approved", "Approved", "Moved",
    ]  # fmt: skip
    assert [proof.block for proof in view.proofs] == [2]
    assert {item.destination for item in view.deliveries} == {
        "documents", "erp", "notifications", "events",
    }  # fmt: skip
    hops = [(hop.name, hop.detail) for hop in (await site.track.evidence(packed.id)).hops]
    assert hops == [
        ("sealed", "2 file(s), 12 bytes"),
        ("anchoring", ""),
        ("propose sent", "accepted"),
        ("proposed", "block 1"),
        ("approved by 1", "block 2"),
        ("approved by 2", "block 2"),
        ("approved by 3", "block 2"),
        ("validated", "block 2"),
    ]


async def test_nothing_is_taken_in_before_its_block_is_final() -> None:
    site = Site(World(finality_depth=3))
    packed = site.world.gateway.pack()
    await site.post(packed)
    order = await site.propose(packed)
    await site.world.approve(order)
    await site.world.ledger.mine_many(2)
    await site.take_in()
    assert (await site.track.order(order.id)).order.status is Status.NONE
    assert await site.follow.lag() == 0

    await site.world.ledger.mine()
    assert await site.follow.lag() == 1
    await site.take_in()
    assert (await site.track.order(order.id)).order.status is Status.PROPOSED
    await site.world.ledger.mine()
    await site.take_in()
    assert (await site.track.order(order.id)).order.status is Status.VALIDATED


async def test_verdicts_that_came_before_the_proposal_validate_it_in_the_same_block(
    site: Site,
) -> None:
    packed = site.world.gateway.pack()
    await site.post(packed)
    await site.anchor.step()
    order = (await site.track.evidence(packed.id)).orders[0]
    proposal = site.world.ledger.pending
    await site.world.approve(order)
    verdicts = [tx for tx in site.world.ledger.pending if tx not in proposal]

    await site.world.ledger.mine([*verdicts, *proposal])
    await site.take_in()

    assert (await site.track.evidence(packed.id)).state == "Validated"


async def test_a_refusal_has_its_reason_in_words_and_reaches_no_purchase(site: Site) -> None:
    packed, order = await open_order(site)
    await site.world.refuse(order, 2, reason=7)
    await site.world.ledger.mine()

    await site.take_in()

    journey = await site.track.evidence(packed.id)
    assert (journey.state, journey.reason) == ("Refused", "Score conflict")
    assert ("refused by 2", "block 2, Score conflict") in [(h.name, h.detail) for h in journey.hops]
    heard = {item.destination for item in (await site.track.order(order.id)).deliveries}
    assert heard == {"documents", "events"}


async def test_the_end_of_the_work_is_taken_in_too(site: Site) -> None:
    packed = site.world.gateway.pack()
    order = await site.validate(packed)

    await site.world.vote(1, Complete(order.content, Outcome.CURED, bytes(32)))
    await site.world.ledger.mine()
    await site.take_in()

    assert (await site.track.evidence(packed.id)).state == "Completed"


async def test_many_blocks_are_caught_up_in_steps_and_the_cursor_goes_with_them(site: Site) -> None:
    await site.world.ledger.mine_many(120)

    assert await site.follow.step()
    assert await cursor(site) == 49
    await site.take_in()
    assert await cursor(site) == 120
    assert not await site.follow.step()


async def test_two_followers_take_each_block_in_once(site: Site) -> None:
    _, order = await open_order(site)
    await site.world.approve(order)
    block = await site.world.ledger.mine()
    other = Site(site.world)
    taken = await other.follow._read(block)
    async with site.world.store.reading() as rows:
        before = await rows.chain.cursor()
    await site.take_in()

    with pytest.raises(errors.CursorMoved):
        await other.follow._take(taken, before)

    assert len((await site.track.order(order.id)).deliveries) == 4
    assert not await other.follow.step()


async def test_a_rewrite_takes_back_what_the_chain_took_back_and_says_so(site: Site) -> None:
    packed, order = await open_order(site)
    await site.world.approve(order)
    await site.world.ledger.mine()
    await site.take_in()
    site.world.ledger.fork(1)
    await site.world.ledger.mine([])
    await site.world.ledger.mine([])

    await site.follow.step()
    await site.take_in()

    view = await site.track.order(order.id)
    assert (view.order.status, view.deliveries, view.proofs) == (Status.PROPOSED, [], [])
    hops = (await site.track.evidence(packed.id)).hops
    assert ("chain rewritten", "to block 1, now Proposed") in [(h.name, h.detail) for h in hops]
    await site.world.ledger.mine()
    await site.take_in()
    assert (await site.track.order(order.id)).order.status is Status.VALIDATED


async def test_what_a_destination_has_stays_done_and_is_not_delivered_twice(site: Site) -> None:
    packed = site.world.gateway.pack()
    order = await site.validate(packed)
    site.world.ledger.fork(1)
    await site.world.ledger.mine()
    await site.world.ledger.mine()

    await site.follow.step()
    await site.take_in()
    await site.deliver()

    view = await site.track.order(order.id)
    assert view.order.status is Status.VALIDATED
    assert [item.state for item in view.deliveries] == [DeliveryState.DONE] * 4
    assert [item.calls for item in site.world.destinations] == [1] * 4


async def test_a_fact_at_the_place_of_one_that_was_delivered_is_not_lost(site: Site) -> None:
    first, second = site.world.gateway.pack(), site.world.gateway.pack()
    for item in (first, second):
        await site.post(item)
    await site.propose(first)
    orders = [(await site.track.evidence(item.id)).orders[0] for item in (first, second)]
    await site.world.refuse(orders[0], 1)
    await site.world.ledger.mine()
    await site.take_in()
    await site.deliver()
    site.world.ledger.fork(1, forget=True)
    await site.world.refuse(orders[1], 1)
    await site.world.ledger.mine()
    await site.world.ledger.mine()

    await site.follow.step()
    await site.take_in()
    await site.deliver()

    documents = site.world.destinations[0]
    assert sorted(item.key for item in documents.delivered.values()) == sorted(
        order.id.hex() for order in orders
    )
    assert len({item.payload["eventId"] for item in documents.delivered.values()}) == 2
    assert (await site.track.evidence(first.id)).state == "Proposed"
    assert (await site.track.evidence(second.id)).state == "Refused"


async def test_an_emergency_of_another_builder_is_said_aloud_and_not_delivered(site: Site) -> None:
    _, order = await open_order(site)
    ledger, authority = site.world.ledger, MemorySigner("gov 3")
    asset = ids.asset_id(order.asset)
    caps = {"emergency_cap": order.content.cost, "emergency_max": 1}
    content = replace(
        order.content,
        evidence=ids.EvidenceId(bytes(32)),
        builder=authority.address,
        asset_version=ledger.register_version(asset, (1, 2, 3), 1, 3, **caps),
    )
    call = ProposeEmergency(content, bytes(32))
    await ledger.send(authority.sign(ledger.prepare(call), 0).raw)
    await ledger.mine()

    with capture_logs() as logs:
        await site.take_in()
    await site.deliver()

    made = order_id(content, ledger.orders)
    assert (await ledger.word(made)).status is Status.EMERGENCY
    assert [
        (line["log_level"], line["order"]) for line in logs if "emergency" in line["event"]
    ] == [("warning", made.hex())]
    assert [item.calls for item in site.world.destinations] == [0] * 4


@pytest.mark.parametrize("count", [1, 3, 20])
async def test_a_proposal_that_a_rewrite_lost_is_sent_again(site: Site, count: int) -> None:
    packed = [site.world.gateway.pack() for _ in range(count)]
    for item in packed:
        await site.post(item)
    await site.propose(packed[0])
    await site.anchor.reconcile()
    site.world.ledger.fork(1, forget=True)
    await site.world.ledger.mine_many(2)
    await site.follow.step()
    assert {(await site.track.evidence(item.id)).state for item in packed} == {"Anchoring"}

    site.world.clock.advance(seconds=10)
    await site.run_to_the_end()

    assert {(await site.track.evidence(item.id)).state for item in packed} == {"Validated"}


async def test_a_rewrite_below_the_deployment_stops_aloud(site: Site) -> None:
    await site.world.ledger.mine()
    await site.take_in()
    late = Site(site.world)
    late.follow._start = 1
    site.world.ledger.fork(1)
    await site.world.ledger.mine_many(2)

    with pytest.raises(errors.ReorgTooDeep):
        await late.follow.step()


async def test_orders_of_other_builders_are_passed_over(site: Site) -> None:
    packed, _ = await open_order(site)
    elsewhere = Site(World())
    elsewhere.world.ledger = site.world.ledger
    blind = Site(elsewhere.world)

    await blind.take_in()

    assert await blind.track.orders(limit=5) == []
    assert (await site.track.evidence(packed.id)).state == "Proposed"


async def test_a_node_without_old_state_gives_no_proof_and_stops_nothing(site: Site) -> None:
    site.world.ledger.keeps_state = False

    order = await site.validate(site.world.gateway.pack())

    assert (await site.track.order(order.id)).proofs == []
    assert order.status is Status.VALIDATED


async def test_of_two_that_follow_the_slower_one_is_told_before_it_writes_anything() -> None:
    store = Watched()
    site, other = Site(World(store=store)), Site(World(store=store))
    await site.take_in()
    async with store.reading() as rows:
        before = await rows.chain.cursor()
    await site.post(packed := site.world.gateway.pack())
    await site.anchor.step()
    block = await site.world.ledger.mine()
    taken = await site.follow._read(block)
    await site.take_in()

    with pytest.raises(errors.CursorMoved):
        await other.follow._take(taken, before)

    assert store.asked[-1] == ["advance"]
    assert (await site.track.evidence(packed.id)).state == "Proposed"


@pytest.mark.parametrize("start", [0, 1, 7, 60, 119, 120, 121, 130])
async def test_from_any_start_every_block_is_taken_in_and_each_is_the_child_of_the_one_before(
    start: int,
) -> None:
    site = Site(World())
    site.follow._start = start
    await site.world.ledger.mine_many(120)

    await site.take_in()
    assert await cursor(site) == (120 if start <= 120 else -1)
    await site.world.ledger.mine_many(10)
    await Site(site.world).take_in() if start <= 120 else await site.take_in()

    async with site.world.store.reading() as rows:
        taken = [await rows.chain.block(number) for number in range(131)]
    blocks = [block for block in taken if block is not None]
    assert [block.number for block in blocks] == list(range(start, 131))
    assert all(above.parent == below.hash for below, above in pairwise(blocks))


async def test_where_the_depth_grows_fewer_blocks_are_final_at_once(site: Site) -> None:
    await site.world.ledger.mine_many(5)
    await site.take_in()
    site.world.ledger.finality_depth = 3
    await site.world.ledger.mine_many(3)
    await site.take_in()
    assert await cursor(site) == 5
    assert await site.follow.lag() == 0

    await site.world.ledger.mine()
    await site.take_in()
    assert await cursor(site) == 6
