"""Rewrites of several blocks, and of what came in another order than it is told in."""

from __future__ import annotations

import pytest

from ledger_service.domain.calls import Approve
from ledger_service.domain.lifecycle import Status
from tests.unit.services.site import Site, World, result_of


@pytest.fixture
def site() -> Site:
    return Site(World())


@pytest.mark.parametrize("depth", [2, 3, 4])
async def test_a_rewrite_of_many_blocks_goes_back_to_the_last_one_that_is_left(
    site: Site, depth: int
) -> None:
    packed = site.world.gateway.pack()
    await site.post(packed)
    order = await site.propose(packed)
    await site.world.ledger.mine_many(2)
    await site.world.approve(order)
    await site.world.ledger.mine_many(depth)
    await site.take_in()
    site.world.ledger.fork(depth, forget=True)
    await site.world.ledger.mine_many(depth + 1)

    assert await site.follow.step()  # there is more to do
    await site.take_in()

    found = (await site.track.order(order.id)).order
    assert (found.status, found.block) == (Status.PROPOSED, 1)
    hops = {hop.name: hop for hop in (await site.track.evidence(packed.id)).hops}
    assert hops["chain rewritten"].detail == "to block 3, now Proposed"
    assert hops["chain rewritten"].tries == 1


async def test_a_proposal_that_a_rewrite_lost_after_a_verdict_on_it_is_sent_again(
    site: Site,
) -> None:
    packed = site.world.gateway.pack()
    await site.post(packed)
    await site.anchor.step()
    (order,) = (await site.track.evidence(packed.id)).orders
    (proposal,) = site.world.ledger.pending
    await site.world.approve(order, 1)
    (verdict,) = (name for name in site.world.ledger.pending if name != proposal)
    await site.world.ledger.mine([verdict])
    await site.world.ledger.mine([proposal])
    await site.take_in()
    await site.anchor.reconcile()
    site.world.ledger.fork(1, forget=True)
    await site.world.ledger.mine_many(2)

    await site.follow.step()
    await site.take_in()
    assert (await site.track.order(order.id)).order.status is Status.NONE
    site.world.clock.advance(seconds=10)
    await site.anchor.reconcile()
    await site.world.ledger.mine()
    await site.take_in()

    assert (await site.track.evidence(packed.id)).state == "Proposed"


async def test_before_the_first_block_is_taken_in_all_from_the_deployment_on_is_behind(
    site: Site,
) -> None:
    await site.world.ledger.mine_many(9)
    site.follow._start = 7

    assert await site.follow.lag() == 3
    await site.take_in()
    assert await site.follow.lag() == 0


@pytest.mark.parametrize("stays", [True, False], ids=["told before", "new"])
async def test_a_fact_at_the_place_of_a_delivered_one_is_delivered_whatever_stands_before_it(
    site: Site,
    stays: bool,  # noqa: FBT001  a case
) -> None:
    packed = [site.world.gateway.pack() for _ in range(3)]
    for item in packed:
        await site.post(item)
    await site.propose(packed[0])
    one, gone, moved = [(await site.track.evidence(item.id)).orders[0] for item in packed]
    if stays:
        await site.world.refuse(one, 1)
    else:  # as many facts, and nothing to deliver
        digests = tuple(result_of(order, 1).digest() for order in (one, moved))
        await site.world.vote(1, Approve((one.content, moved.content), (0, 0), digests))
    await site.world.refuse(gone, 2)
    await site.world.ledger.mine()
    await site.take_in()
    await site.deliver()
    site.world.ledger.fork(1, forget=True)
    await site.world.refuse(one, 1)
    await site.world.refuse(moved, 2)
    for _ in range(2):
        await site.world.ledger.mine()

    await site.take_in()
    await site.deliver()

    heard = list(site.world.destinations[0].delivered.values())
    assert sorted(item.key for item in heard) == sorted(it.id.hex() for it in (one, gone, moved))
    names = {item.key: item.payload["eventId"] for item in heard}
    place, _, block = names[moved.id.hex()].partition("~")
    assert (place, len(block)) == (names[gone.id.hex()], 8)
