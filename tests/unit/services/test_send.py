from __future__ import annotations

import pytest

from ledger_service.commands.doctor import look_at_sending
from ledger_service.domain import errors
from ledger_service.domain.calls import Sent
from ledger_service.domain.records import Outgoing
from tests.unit.services.gateway import Packed
from tests.unit.services.site import Site, World

TOO_LITTLE = 50_000  #: gas for a transfer and for no call


@pytest.fixture
def site() -> Site:
    return Site(World())


async def anchored(site: Site) -> Packed:
    packed = site.world.gateway.pack()
    await site.post(packed)
    await site.anchor.step()
    return packed


async def look_for(site: Site, minutes: int) -> None:
    for _ in range(minutes * 6):
        site.world.clock.advance(seconds=10)
        await site.anchor.reconcile()


async def stored(site: Site) -> Outgoing:
    async with site.world.store.reading() as rows:
        (found,) = await rows.outgoing.unfinished(site.sender.address)
    return found


async def hops(site: Site, packed: Packed) -> dict[str, str]:
    return {hop.name: hop.detail for hop in (await site.track.evidence(packed.id)).hops}


async def test_a_chain_that_stands_still_is_asked_once_a_minute_and_not_each_second(
    site: Site,
) -> None:
    await anchored(site)
    site.world.ledger.answers.extend([Sent.KNOWN] * 10_000)
    await look_for(site, 60)
    before = (await stored(site)).sends

    await look_for(site, 60)

    assert before > 50
    assert (await stored(site)).sends - before in range(50, 61)


async def test_what_every_node_refuses_gives_its_nonce_back_and_the_evidence_fails_with_the_reason(
    site: Site,
) -> None:
    site.world.ledger.most_gas = TOO_LITTLE
    packed = await anchored(site)
    first = await stored(site)
    await look_for(site, 4)
    assert (await stored(site)).hash == first.hash
    assert (await hops(site, packed))["propose sent"] == "refused"
    found = await look_at_sending(site.world.store)
    assert (found.ok, found.text[:24]) == (False, "1 refused by every node;")
    assert site.world.ledger.pending == []

    await look_for(site, 3)
    assert len(site.world.ledger.pending) == 1
    assert (await hops(site, packed))["propose void"].endswith("refused.")
    await site.world.ledger.mine()
    await site.anchor.reconcile()

    journey = await site.track.evidence(packed.id)
    assert journey.state == "Failed"
    assert journey.reason.startswith("Every node refused it for 300 s: refused.")
    assert site.world.proposed() == []
    site.world.ledger.most_gas = 10 * TOO_LITTLE
    await site.anchor.again(packed.id)
    await site.run_to_the_end()
    assert (await site.track.evidence(packed.id)).state == "Validated"
    assert (await look_at_sending(site.world.store)).ok


async def test_what_is_underpriced_is_proposed_at_the_fees_of_now_and_is_the_same_order(
    site: Site,
) -> None:
    site.world.ledger.least_price = 7
    packed = await anchored(site)
    order = (await site.track.evidence(packed.id)).orders[0].id
    await look_for(site, 7)  # nothing else can be signed while our fees are as they were
    assert (await stored(site)).earlier == ()

    site.world.ledger.price = 7
    await look_for(site, 2)
    assert (await hops(site, packed))["propose at new fees"].endswith("underpriced.")
    await site.run_to_the_end()

    journey = await site.track.evidence(packed.id)
    assert (journey.state, [item.id for item in journey.orders]) == ("Validated", [order])


async def test_a_refusal_that_ends_in_time_changes_no_byte(site: Site) -> None:
    site.world.ledger.most_gas = TOO_LITTLE
    packed = await anchored(site)
    first = await stored(site)
    await look_for(site, 4)
    site.world.ledger.answers.extend([Sent.RETRY] * 3)  # one node is away, nothing is known
    await look_for(site, 3)
    site.world.ledger.most_gas = 10 * TOO_LITTLE

    await look_for(site, 1)

    assert site.world.ledger.pending == [first.hash]
    await site.run_to_the_end()
    assert (await site.track.evidence(packed.id)).state == "Validated"


async def test_the_first_bytes_may_be_mined_after_all(site: Site) -> None:
    packed = await anchored(site)
    (first,) = site.world.ledger.pending
    site.world.ledger.answers.extend([Sent.REFUSED] * 50)  # though one pool holds it
    await look_for(site, 7)
    assert (await stored(site)).void

    site.world.ledger.answers.clear()
    await site.world.ledger.mine([first])
    await site.anchor.reconcile()
    await site.run_to_the_end()

    assert (await site.track.evidence(packed.id)).state == "Validated"
    async with site.world.store.reading() as rows:
        assert await rows.outgoing.unfinished(site.sender.address) == []


async def test_a_withdrawal_that_came_to_nothing_is_told_and_may_be_said_again(site: Site) -> None:
    packed = site.world.gateway.pack()
    await site.post(packed)
    order = await site.propose(packed)
    await site.anchor.reconcile()
    site.world.ledger.most_gas = TOO_LITTLE
    await site.close.withdraw(order.id)
    with pytest.raises(errors.Conflict):
        await site.close.withdraw(order.id)
    await look_for(site, 7)
    await site.world.ledger.mine()
    await site.anchor.reconcile()
    assert (await hops(site, packed))["withdraw failed"].startswith("Every node refused it")
    assert (await site.track.evidence(packed.id)).state == "Proposed"

    site.world.ledger.most_gas = 10 * TOO_LITTLE
    await site.close.withdraw(order.id)
    await site.world.ledger.mine()
    await site.take_in()

    assert (await site.track.evidence(packed.id)).state == "Withdrawn"
