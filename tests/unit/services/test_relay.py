from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from ledger_service.domain import errors
from ledger_service.domain.records import DeliveryState
from ledger_service.services.pace import Pace
from ledger_service.services.relay import Relay, give_up, prune
from ledger_service.services.wakes import Wake
from ledger_service.testing import MemoryStore
from tests.unit.services.relaying import (
    DOWN,
    NO,
    circuit,
    completed,
    documents,
    gated,
    kinds,
    rows,
    run,
)
from tests.unit.services.site import Site, World

LEASE = Pace().lease


@pytest.fixture
def site() -> Site:
    return Site(World())


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


async def test_a_slow_delivery_holds_up_its_own_order_and_no_other(site: Site) -> None:
    slow, others = await completed(site), [await completed(site) for _ in range(5)]
    relay, destination = gated(site, slow, pace=Pace(hands=2))

    while len(destination.delivered) < 2 * len(others):
        assert await relay.step()
    assert [item.state for item in await rows(site, slow)] == [DeliveryState.PENDING] * 2
    assert destination.begun.count(slow.id.hex()) == 1

    destination.gates[slow.id.hex()].set()
    await run(relay)
    assert [item.state for item in await rows(site, slow)] == [DeliveryState.DONE] * 2


async def test_no_more_are_under_way_than_there_are_hands(site: Site) -> None:
    orders = [await completed(site) for _ in range(5)]
    relay, destination = gated(site, *orders, pace=Pace(hands=3))

    await relay.step()
    await relay.step()

    assert len(destination.begun) == 3
    for gate in destination.gates.values():
        gate.set()
    await run(relay)
    assert len(destination.delivered) == 10


async def test_what_ended_meanwhile_is_written_in_one_commit(site: Site) -> None:
    for _ in range(6):
        await completed(site)
    relay, _ = documents(site)
    assert isinstance(site.world.store, MemoryStore)
    before = site.world.store.commits

    await run(relay)

    assert site.world.store.commits - before == 3  # take on, write and take on, write


async def test_a_destination_that_is_down_is_tried_again_and_nothing_overtakes(site: Site) -> None:
    order = await completed(site)
    relay, destination = documents(site)
    destination.faults.extend([DOWN, DOWN])

    await run(relay)  # not due yet, and the later fact waits behind it
    first, second = await rows(site, order)
    assert (first.state, first.attempts, second.attempts) == (DeliveryState.PENDING, 1, 0)
    assert "It is away." in first.reason
    for _ in range(3):
        site.world.clock.advance(seconds=5)
        await run(relay)

    assert kinds(destination) == ["order.validated", "order.completed"]
    hops = {hop.name: hop for hop in (await site.track.evidence(order.content.evidence)).hops}
    assert (hops["documents: validated"].tries, hops["documents: validated"].detail) == (3, "done")


async def test_a_refusal_for_good_blocks_visibly_and_later_facts_wait_behind_it(site: Site) -> None:
    order, other = await completed(site), await completed(site)
    relay, destination = documents(site)
    destination.faults.append(NO)
    await run(relay)
    site.world.clock.advance(hours=1)
    await run(relay)

    first, second = await rows(site, order)
    assert (first.state, second.state) == (DeliveryState.BLOCKED, DeliveryState.PENDING)
    assert "Unknown supplier." in first.reason
    assert [item.state for item in await rows(site, other)] == [DeliveryState.DONE] * 2
    hops = [hop.detail for hop in (await site.track.evidence(order.content.evidence)).hops]
    assert any(detail.startswith("blocked: ") for detail in hops)
    assert await circuit(site) is None  # it answered

    async with site.world.store.transaction() as held:
        assert await held.outbox.release("documents") >= 1
    await run(relay)
    assert [item.state for item in await rows(site, order)] == [DeliveryState.DONE] * 2


async def test_what_a_person_gives_up_is_over_said_so_and_later_facts_go_on(site: Site) -> None:
    order = await completed(site)
    relay, destination = documents(site)
    destination.faults.append(NO)
    await run(relay)
    dedup = (await rows(site, order))[0].dedup

    async with site.world.store.transaction() as held:
        await give_up(held, "documents", dedup, "sent by post", site.world.clock.now())
    with pytest.raises(errors.Conflict):
        async with site.world.store.transaction() as held:
            await give_up(held, "documents", dedup, "again", site.world.clock.now())
    await run(relay)

    assert [item.state.value for item in await rows(site, order)] == ["dead", "done"]
    assert kinds(destination) == ["order.completed"]
    hops = {
        hop.name: hop.detail for hop in (await site.track.evidence(order.content.evidence)).hops
    }
    assert hops["documents: validated"] == "given up by a person: sent by post"


async def test_an_answer_that_was_lost_leads_to_one_effect(site: Site) -> None:
    order = await completed(site)
    relay, destination = documents(site)
    destination.lose_answer = 1

    await run(relay)
    site.world.clock.advance(seconds=5)
    assert await relay.step()

    assert kinds(destination) == ["order.validated"]
    assert destination.calls == 2
    await run(relay)
    assert (await rows(site, order))[0].state is DeliveryState.DONE


async def test_an_answer_outlives_a_database_that_is_away(site: Site) -> None:
    order = await completed(site)
    relay, destination = documents(site)
    assert await relay.step()

    assert isinstance(site.world.store, MemoryStore)
    for _ in range(3):
        site.world.store.fail_at = 0
        with pytest.raises(errors.StorageError):
            await relay.step()
    assert (await rows(site, order))[0].state is DeliveryState.PENDING
    await run(relay)

    assert [item.state for item in await rows(site, order)] == [DeliveryState.DONE] * 2
    assert destination.calls == 2


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
    await run(relay)
    assert (await rows(site, order))[0].attempts == 2


async def test_while_a_process_lives_it_keeps_what_it_took_on(site: Site) -> None:
    slow = await completed(site)
    _, destination = gated(site, slow)
    clock, wake = site.world.clock, Wake()
    relay = Relay(store=site.world.store, destination=destination, clock=clock, wake=wake)
    await relay.step()
    other, elsewhere = documents(site)

    for part in [2] * 10 + [10] * 40:  # seldom, and so often that no look comes when it is time
        clock.advance(seconds=LEASE.total_seconds() / part)
        asyncio.get_running_loop().call_soon(wake.ring)
        await relay.step()
        await run(other)

    assert elsewhere.calls == 0
    assert len(destination.begun) == 1  # nor was it begun a second time here
    destination.gates[slow.id.hex()].set()
    await run(relay)
    assert kinds(destination) == ["order.validated", "order.completed"]


async def test_who_stood_still_lets_go_of_what_another_has_by_now(site: Site) -> None:
    order = await completed(site)
    relay, frozen = gated(site, order)
    await relay.step()
    site.world.clock.advance(seconds=2 * LEASE.total_seconds())
    other, destination = documents(site)
    await run(other)
    assert kinds(destination) == ["order.validated", "order.completed"]

    async with asyncio.timeout(10):  # it is ended, not waited for
        await run(relay)

    assert frozen.delivered == {}  # its delivery was ended when the lease was seen to be lost
    found = await rows(site, order)
    assert [(item.state, item.attempts) for item in found] == [
        (DeliveryState.DONE, 2),
        (DeliveryState.DONE, 1),
    ]
    hops = {hop.name: hop.tries for hop in (await site.track.evidence(order.content.evidence)).hops}
    assert hops["documents: validated"] == 1


async def test_who_ended_too_late_changes_nothing_and_leaves_no_hop(site: Site) -> None:
    order = await completed(site)
    relay, frozen = documents(site)
    frozen.faults.append(NO)
    assert await relay.step()  # refused, and not yet written
    site.world.clock.advance(seconds=LEASE.total_seconds())
    other, _ = gated(site)
    await run(other)

    await run(relay)

    assert [item.state for item in await rows(site, order)] == [DeliveryState.DONE] * 2
    hops = {
        hop.name: hop.detail for hop in (await site.track.evidence(order.content.evidence)).hops
    }
    assert hops["documents: validated"] == "done"


async def test_who_is_stopped_writes_what_ended_and_gives_the_rest_back(site: Site) -> None:
    slow, quick = await completed(site), await completed(site)
    relay, destination = gated(site, slow, pace=Pace(stop_seconds=0.01))
    await relay.step()

    await relay.stop()

    first, *_ = await rows(site, slow)
    assert (first.state, first.owner) == (DeliveryState.PENDING, "")
    assert (await rows(site, quick))[0].state is DeliveryState.DONE
    assert len(destination.delivered) == 1
    other, elsewhere = documents(site)
    await run(other)
    assert len(elsewhere.delivered) == 3


async def test_old_payloads_are_dropped_and_what_was_delivered_stays_known(site: Site) -> None:
    order = await completed(site)
    await run(documents(site)[0])
    keep = timedelta(days=90)
    assert not await prune(site.world.store, site.world.clock, keep)
    assert all(item.payload for item in await rows(site, order))

    site.world.clock.advance(hours=90 * 24 + 1)
    assert not await prune(site.world.store, site.world.clock, keep)

    found = await rows(site, order)
    assert [(item.payload, item.state) for item in found] == [({}, DeliveryState.DONE)] * 2
