from __future__ import annotations

import asyncio

from ledger_service import ports
from ledger_service.domain import errors
from ledger_service.domain.lifecycle import Stage, Status
from ledger_service.domain.records import Outgoing
from tests.unit.services.site import Site, World


async def test_two_that_anchor_the_same_evidence_make_one_order_of_it(store: ports.Store) -> None:
    world = World(store=store)
    sites = Site(world), Site(world)
    packed = world.gateway.pack()
    await sites[0].post(packed)
    async with store.reading() as rows:
        (evidence,) = await rows.evidence.to_anchor(1)
    built = []
    for site in sites:  # a second apart: other deadlines, so other orders
        await site.sender.ready()
        built += await site.anchor._build_all([evidence])
        world.clock.advance(seconds=1)
    assert built[0].order.id != built[1].order.id

    stored = await asyncio.gather(
        *(site.anchor._commit([item]) for site, item in zip(sites, built, strict=True))
    )
    sent = [outgoing for found in stored for outgoing in found]

    assert len(sent) == 1
    await _finish(sites[0], sent[0])
    journey = await sites[0].track.evidence(packed.id)
    assert [order.status for order in journey.orders] == [Status.VALIDATED]
    assert (journey.state, journey.evidence.stage) == ("Validated", Stage.ANCHORING)
    assert len([told for told in await sites[0].track.feed(0, 9) if told.kind == "order"]) == 1


async def _finish(site: Site, outgoing: Outgoing) -> None:
    await site.sender.broadcast([outgoing])
    await site.run_to_the_end()


async def test_an_order_under_way_is_not_thrown_back_by_a_late_look(store: ports.Store) -> None:
    world = World(store=store)
    first, second = Site(world), Site(world)
    packed = world.gateway.pack()
    await first.post(packed)
    async with store.transaction() as rows:
        await rows.evidence.move(packed.id, Stage.FAILED, "no plan", expected=Stage.SEALED)

    async def press(site: Site) -> str:
        try:
            await site.anchor.again(packed.id)
        except errors.LedgerError as exc:
            return type(exc).__name__
        await site.anchor.step()
        return "anchored"

    told = await asyncio.gather(press(first), press(second))
    await second.anchor.step()

    assert "anchored" in told
    journey = await first.track.evidence(packed.id)
    assert (journey.evidence.stage, len(journey.orders)) == (Stage.ANCHORING, 1)
