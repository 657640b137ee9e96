from __future__ import annotations

import pytest

from ledger_service.commands.waiting import look_at_waiting
from ledger_service.domain.records import Order
from tests.unit.services.site import Site, World


@pytest.fixture
def site() -> Site:
    return Site(World())


async def proposed(site: Site) -> Order:
    packed = site.world.gateway.pack()
    await site.post(packed)
    return await site.propose(packed)


async def looked_at(site: Site, *, minutes: int = 0) -> list[tuple[bool | None, str]]:
    world = site.world
    world.clock.advance(seconds=60 * minutes)
    findings = await look_at_waiting(world.store, world.ledger, world.clock.now())
    return [(item.ok, item.text) for item in findings]


async def test_an_order_that_was_just_proposed_does_not_wait_yet(site: Site) -> None:
    await proposed(site)

    assert await looked_at(site) == [(True, "none waits for an approval")]


async def test_an_order_names_the_organisations_that_have_not_spoken(site: Site) -> None:
    order = await proposed(site)
    await site.world.approve(order, 1, 3)
    await site.world.ledger.mine()
    name = f"order {order.id.hex()[:12]}… waits for organisation"

    ((ok, text),) = await looked_at(site, minutes=6)
    assert (ok, text.startswith(f"{name} 2 since ")) == (True, True)
    ((ok, text),) = await looked_at(site, minutes=6)
    assert (ok, text.startswith(f"{name} 2 since 1")) == (False, True)


async def test_an_order_that_all_approved_waits_no_more(site: Site) -> None:
    order = await proposed(site)
    await site.world.approve(order)
    await site.world.ledger.mine()

    assert await looked_at(site, minutes=60) == [(True, "none waits for an approval")]


async def test_of_many_orders_the_oldest_are_named_and_the_others_counted(site: Site) -> None:
    orders = [await proposed(site) for _ in range(7)]

    found = await looked_at(site, minutes=2)

    assert len(found) == 6
    assert orders[0].id.hex()[:12] in found[0][1]
    assert "organisations 1, 2, 3" in found[0][1]
    assert "2 more are open" in found[-1][1]
