from __future__ import annotations

from dataclasses import replace

import pytest

from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Sent
from ledger_service.domain.lifecycle import Stage, Status
from ledger_service.services.track import Journey
from tests.unit.services.gateway import ASSET
from tests.unit.services.site import Site, World


@pytest.fixture
def site() -> Site:
    return Site(World())


async def test_every_hop_has_its_time_its_tries_and_its_reason(site: Site) -> None:
    packed = site.world.gateway.pack()
    site.world.destinations[1].faults.append(errors.DestinationDown("Away."))
    await site.validate(packed)
    first = {hop.name: hop for hop in (await site.track.evidence(packed.id)).hops}
    site.world.clock.advance(seconds=10)
    await site.deliver()

    hops = {hop.name: hop for hop in (await site.track.evidence(packed.id)).hops}

    assert first["erp: validated"].detail.startswith("will be tried again: ")
    assert "Away." in first["erp: validated"].detail
    assert (hops["erp: validated"].tries, hops["erp: validated"].detail) == (2, "done")
    assert hops["erp: validated"].at > hops["documents: validated"].at
    assert list(hops)[:4] == ["sealed", "anchoring", "propose sent", "proposed"]
    assert {name for name in hops if ":" in name} == {
        f"{item.name}: validated" for item in site.world.destinations
    }


async def test_a_hop_that_is_stuck_says_how_often_it_was_tried_and_what_came_of_it(
    site: Site,
) -> None:
    packed = site.world.gateway.pack()
    await site.post(packed)
    site.world.ledger.answers.extend([Sent.RETRY] * 3)
    await site.anchor.step()
    for _ in range(2):
        site.world.clock.advance(seconds=10)
        await site.anchor.reconcile()

    journey = await site.track.evidence(packed.id)

    stuck = journey.hops[-1]
    assert (journey.state, stuck.name, stuck.tries) == ("Anchoring", "propose sent", 3)
    assert (stuck.detail, stuck.at) == ("retry", site.world.clock.now())


async def test_an_order_that_never_got_to_the_chain_hides_no_other(site: Site) -> None:
    packed = site.world.gateway.pack()
    order = await site.validate(packed)
    stray = replace(order, id=ids.OrderId(bytes(32)), status=Status.NONE, block=None)
    found = await site.track.evidence(packed.id)
    failed = replace(found.evidence, stage=Stage.FAILED, reason="It was mined and reverted.")

    journey = Journey(failed, found.hops, [order, stray])

    assert (journey.state, journey.reason) == ("Validated", "")
    refused = replace(order, status=Status.REFUSED)
    assert Journey(failed, (), [refused, stray]).state == "Failed"
    assert Journey(found.evidence, (), [refused, stray]).state == "Anchoring"
    assert Journey(found.evidence, (), [stray, refused]).state == "Refused"


async def test_orders_are_listed_newest_first_by_status_and_asset(site: Site) -> None:
    first, second = site.world.gateway.pack(), site.world.gateway.pack()
    done = await site.validate(first)
    await site.post(second)
    opened = await site.propose(second)

    assert [o.id for o in await site.track.orders(limit=9)] == [opened.id, done.id]
    assert [o.id for o in await site.track.orders(limit=1)] == [opened.id]
    found = await site.track.orders(limit=9, status=Status.VALIDATED, asset=ASSET)
    assert [o.id for o in found] == [done.id]
    assert await site.track.orders(limit=9, asset="1/robot-8") == []


async def test_a_dataset_leads_to_its_orders_and_unknown_things_to_nothing(site: Site) -> None:
    packed = site.world.gateway.pack()
    order = await site.validate(packed)

    assert [o.id for o in await site.track.dataset(packed.claim.dataset_root)] == [order.id]
    assert await site.track.dataset(ids.DatasetRoot(bytes(32))) == []
    with pytest.raises(errors.NotFound):
        await site.track.evidence(ids.EvidenceId(bytes(32)))
    with pytest.raises(errors.NotFound):
        await site.track.order(ids.OrderId(bytes(32)))
    with pytest.raises(errors.NotFound):
        await site.fetch.file(packed.id, "other.csv")


async def test_bytes_that_are_gone_are_missed_before_anything_is_sent(site: Site) -> None:
    packed = site.world.gateway.pack()
    await site.post(packed)
    async for key in site.world.objects.keys("files"):
        await site.world.objects.delete(key)

    with pytest.raises(errors.StorageError):
        await site.fetch.file(packed.id, "note.txt")
