from __future__ import annotations

from ledger_service.domain.lifecycle import RELEASES_PURCHASE, Status
from ledger_service.services.deliveries import ROUTES
from ledger_service.testing.ledger import CHAIN_ID
from tests.unit.services.site import Site, World, result_of


async def test_a_delivery_says_all_that_a_destination_needs() -> None:
    site = Site(World())
    packed = site.world.gateway.pack()
    await site.post(packed)
    order = await site.propose(packed)
    for number in (1, 2):
        await site.close.hand_in(order.id, number, result_of(order, number).dumps())
    await site.world.approve(order)
    await site.world.ledger.mine()
    await site.take_in()

    (item, *others) = (await site.track.order(order.id)).deliveries

    assert (item.dedup, item.key) == ("000000000002/000002/000003:documents", order.id.hex())
    assert all(other.payload == item.payload for other in others)
    said = item.payload
    assert (said["kind"], said["status"], said["block"]) == ("order.validated", "Validated", 2)
    assert said["evidence"] == packed.id.hex()
    assert said["document"]["title"] == "Change the drill"
    assert said["content"] == order.content.as_json()
    assert said["at"] == "2026-11-24T09:00:02Z"
    assert said["chain"]["chainId"] == CHAIN_ID
    assert [(a["organisation"], a["class"], a["score"]) for a in said["approvals"]] == [
        (1, "bit-equal", 1_500_000),
        (2, "bit-equal", 1_500_000),
        (3, None, None),  # approved on chain, its document not handed in
    ]


async def test_a_document_that_does_not_fit_the_digest_on_chain_is_worth_nothing() -> None:
    site = Site(World())
    packed = site.world.gateway.pack()
    await site.post(packed)
    order = await site.propose(packed)
    forged = result_of(order, 1).dumps().replace(b"1500000", b"1500001")
    await site.close.hand_in(order.id, 1, forged)
    await site.world.approve(order)
    await site.world.ledger.mine()
    await site.take_in()

    (item, *_) = (await site.track.order(order.id)).deliveries

    assert item.payload["approvals"][0]["score"] is None


def test_money_moves_only_for_what_all_approved_and_its_draft_and_its_end() -> None:
    assert ROUTES["erp"] == RELEASES_PURCHASE | {
        Status.EMERGENCY,
        Status.CONTESTED,
        Status.CANCELLED,
    }
    for statuses in ROUTES.values():
        assert not statuses & {Status.NONE, Status.PROPOSED}
