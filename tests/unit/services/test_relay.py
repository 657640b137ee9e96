from __future__ import annotations

from datetime import timedelta

import pytest

from ledger_service.domain import errors
from ledger_service.domain.calls import Complete
from ledger_service.domain.lifecycle import Outcome
from ledger_service.domain.records import Delivery, DeliveryState, Order
from ledger_service.services.relay import LEASE, MAX_PAUSE, Relay, backoff
from ledger_service.testing import MemoryDestination
from tests.unit.services.site import Site, World

DOWN = errors.DestinationDown("It is away.")
NO = errors.DestinationRefused("Unknown supplier.")


@pytest.fixture
def site() -> Site:
    return Site(World())


async def completed(site: Site) -> Order:
    """Return an order with two facts for the documents: validated and completed, none delivered."""
    packed = site.world.gateway.pack()
    await site.post(packed)
    order = await site.propose(packed)
    await site.world.approve(order)
    await site.world.ledger.mine()
    await site.world.vote(1, Complete(order.content, Outcome.CURED, bytes(32)))
    await site.world.ledger.mine()
    await site.take_in()
    return order


def documents(site: Site) -> tuple[Relay, MemoryDestination]:
    return site.relays[0], site.world.destinations[0]


async def rows(site: Site, order: Order) -> list[Delivery]:
    found = (await site.track.order(order.id)).deliveries
    return [item for item in found if item.destination == "documents"]


def kinds(destination: MemoryDestination) -> list[str]:
    return [item.kind for item in destination.delivered.values()]


async def test_the_facts_of_an_order_arrive_in_chain_order_one_after_the_other(site: Site) -> None:
    order = await completed(site)
    relay, destination = documents(site)

    assert await relay.step()
    assert kinds(destination) == ["order.validated"]
    assert await relay.step()
    assert kinds(destination) == ["order.validated", "order.completed"]
    assert not await relay.step()
    assert [item.state for item in await rows(site, order)] == [DeliveryState.DONE] * 2
    assert (await rows(site, order))[0].reference == {"id": (await rows(site, order))[0].dedup}


async def test_a_destination_that_is_down_is_tried_again_and_nothing_overtakes(site: Site) -> None:
    order = await completed(site)
    relay, destination = documents(site)
    destination.faults.extend([DOWN, DOWN])

    await relay.step()
    assert not await relay.step()  # not due yet, and the later fact waits behind it
    first, second = await rows(site, order)
    assert (first.state, first.attempts, second.attempts) == (DeliveryState.PENDING, 1, 0)
    assert "It is away." in first.reason
    for _ in range(3):
        site.world.clock.advance(seconds=5)
        await relay.step()

    assert kinds(destination) == ["order.validated", "order.completed"]
    hops = {hop.name: hop for hop in (await site.track.evidence(order.content.evidence)).hops}
    assert (hops["documents: validated"].tries, hops["documents: validated"].detail) == (3, "done")


async def test_a_refusal_for_good_blocks_visibly_and_later_facts_wait_behind_it(site: Site) -> None:
    order, other = await completed(site), await completed(site)
    relay, destination = documents(site)
    destination.faults.append(NO)
    await relay.step()
    site.world.clock.advance(hours=1)
    while await relay.step():
        pass

    first, second = await rows(site, order)
    assert (first.state, second.state) == (DeliveryState.BLOCKED, DeliveryState.PENDING)
    assert "Unknown supplier." in first.reason
    assert [item.state for item in await rows(site, other)] == [DeliveryState.DONE] * 2
    hops = [hop.detail for hop in (await site.track.evidence(order.content.evidence)).hops]
    assert any(detail.startswith("blocked: ") for detail in hops)

    async with site.world.store.transaction() as held:
        assert await held.outbox.release("documents") >= 1
    while await relay.step():
        pass
    assert [item.state for item in await rows(site, order)] == [DeliveryState.DONE] * 2


async def test_an_answer_that_was_lost_leads_to_one_effect(site: Site) -> None:
    order = await completed(site)
    relay, destination = documents(site)
    destination.lose_answer = 1

    await relay.step()
    site.world.clock.advance(seconds=5)
    await relay.step()

    assert kinds(destination) == ["order.validated"]
    assert destination.calls == 2
    assert (await rows(site, order))[0].state is DeliveryState.DONE


async def test_a_lease_keeps_others_away_until_it_ends(site: Site) -> None:
    order = await completed(site)
    now = site.world.clock.now()
    async with site.world.store.transaction() as held:
        assert len(await held.outbox.claim("documents", "dead", now, now + LEASE, 16)) == 1
    relay, destination = documents(site)

    assert not await relay.step()
    site.world.clock.advance(seconds=LEASE.total_seconds())
    assert await relay.step()

    assert kinds(destination) == ["order.validated"]
    async with site.world.store.transaction() as held:
        assert not await held.outbox.done((await rows(site, order))[0].dedup, "dead", {})


async def test_who_lost_the_lease_changes_nothing_and_leaves_no_hop(site: Site) -> None:
    order = await completed(site)
    relay, _ = documents(site)
    (item, _) = await rows(site, order)

    await relay._later(item, "too late")
    await relay._block(item, "too late")
    await relay._done(item, {})

    assert (await rows(site, order))[0].state is DeliveryState.PENDING
    names = [hop.name for hop in (await site.track.evidence(order.content.evidence)).hops]
    assert "documents: validated" not in names


async def test_a_paused_destination_gets_nothing_until_it_is_resumed(site: Site) -> None:
    await completed(site)
    relay, destination = documents(site)
    async with site.world.store.transaction() as held:
        await held.outbox.pause("documents", True)
    assert not await relay.step()
    async with site.world.store.transaction() as held:
        await held.outbox.pause("documents", False)
    assert await relay.step()
    assert len(destination.delivered) == 1


class Broken(MemoryDestination):
    """A destination whose code is wrong."""

    async def deliver(self, delivery: Delivery) -> dict[str, object]:
        raise ZeroDivisionError(delivery.kind)


async def test_a_fault_in_a_destination_is_kept_and_tried_again_and_hurts_no_other(
    site: Site,
) -> None:
    order = await completed(site)
    broken = Relay(store=site.world.store, destination=Broken(), clock=site.world.clock)

    assert await broken.step()

    first, _ = await rows(site, order)
    assert (first.state, first.attempts) == (DeliveryState.PENDING, 1)
    assert "ZeroDivisionError" in first.reason


def test_pauses_double_up_to_five_minutes_and_never_end() -> None:
    assert timedelta(seconds=0.5) <= backoff(1) <= timedelta(seconds=1)
    assert timedelta(seconds=8) <= backoff(5) <= timedelta(seconds=16)
    assert MAX_PAUSE / 2 <= backoff(10_000) <= MAX_PAUSE
