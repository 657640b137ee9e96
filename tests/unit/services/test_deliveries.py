from __future__ import annotations

import json

from ledger_service.domain import ids
from ledger_service.domain.lifecycle import RELEASES_PURCHASE, Status
from ledger_service.domain.records import Order
from ledger_service.services.deliveries import ROUTES
from ledger_service.testing.ledger import CHAIN_ID
from tests.unit.services.gateway import ASSET
from tests.unit.services.site import Site, World, result_of


def approval(
    order: Order, number: int, score: int | None, agreement: str | None
) -> dict[str, object]:
    return {
        "organisation": number,
        "resultDigest": result_of(order, number).digest().hex(),
        "score": score,
        "class": agreement,
        "block": 2,
    }


async def test_a_delivery_says_all_that_a_destination_needs() -> None:
    site = Site(World())
    packed = site.world.gateway.pack()
    await site.post(packed)
    order = await site.propose(packed)
    for number in (1, 2):
        await site.hand_in(order.id, number, result_of(order, number).dumps())
    await site.world.approve(order)
    await site.world.ledger.mine()
    await site.take_in()

    (item, *others) = (await site.track.order(order.id)).deliveries

    assert (item.dedup, item.key) == ("000000000002/000002/000003:documents", order.id.hex())
    assert all(other.payload == item.payload for other in others)
    said = item.payload
    facts = (await site.track.order(order.id)).facts
    assert said == {
        "eventId": "000000000002/000002/000003",
        "kind": "order.validated",
        "at": "2026-11-24T09:00:02Z",
        "block": 2,
        "transaction": facts[-1].place.transaction.hex(),
        "order": order.id.hex(),
        "evidence": packed.id.hex(),
        "datasetRoot": packed.claim.dataset_root.hex(),
        "asset": ASSET,
        "status": "Validated",
        "reason": "",
        "document": json.loads(order.document),
        "content": order.content.as_json(),
        "approvals": [
            approval(order, 1, 1_500_000, "bit-equal"),
            approval(order, 2, 1_500_000, "bit-equal"),
            approval(order, 3, None, None),  # approved on chain, its document not handed in
        ],
        "chain": {
            "chainId": CHAIN_ID,
            "contract": ids.checksum(site.world.ledger.orders.contract),
        },
    }
    assert said["document"]["title"] == "Change the drill"


async def test_a_document_that_does_not_fit_the_digest_on_chain_is_worth_nothing() -> None:
    site = Site(World())
    packed = site.world.gateway.pack()
    await site.post(packed)
    order = await site.propose(packed)
    forged = result_of(order, 1).dumps().replace(b"1500000", b"1500001")
    await site.hand_in(order.id, 1, forged)
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
