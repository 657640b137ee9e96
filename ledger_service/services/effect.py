"""Effect: what proposals that ended left without an order, by what the chain says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from ledger_service import ports
from ledger_service.domain import ids
from ledger_service.domain.facts import Skipped
from ledger_service.domain.records import TxState
from ledger_service.services.send import PROPOSE, Ended

Without = dict[ids.OrderId, str]  #: orders that were not proposed, and the reason


async def without_effect(
    ledger: ports.Ledger, ended: Sequence[Ended]
) -> list[tuple[Ended, Without]]:
    """Return with each the orders that it did not propose and nobody else did.

    What the chain cannot say now is left out: it is asked again.
    """
    skipped = await _skipped(ledger, ended)
    judged = await asyncio.gather(*(_without(ledger, item, skipped) for item in ended))
    pairs = zip(ended, judged, strict=True)
    return [(item, without) for item, without in pairs if without is not None]


async def _without(
    ledger: ports.Ledger, ended: Ended, skipped: Mapping[ids.TxHash, Without]
) -> Without | None:
    if not ended.outgoing.key.startswith(PROPOSE):
        return {}
    suspects = dict.fromkeys(ended.outgoing.orders, ended.reason)
    if ended.state is TxState.MINED:
        assert ended.receipt is not None, "it was mined"
        if len(ended.outgoing.orders) > 1 and ended.receipt.hash not in skipped:
            return None
        suspects = skipped.get(ended.receipt.hash, {})
    words = await asyncio.gather(*(ledger.word(order) for order in suspects))
    pairs = zip(suspects.items(), words, strict=True)
    return {order: reason for (order, reason), word in pairs if not word.proposed_at}


async def _skipped(ledger: ports.Ledger, ended: Sequence[Ended]) -> Mapping[ids.TxHash, Without]:
    """Return what each batch left out, by the events of this very transaction.

    Agents' batches skip too, an order that is not proposed yet among others: that is no failure.
    A batch whose block is another one by now is not in the answer.
    """
    receipts = [
        item.receipt
        for item in ended
        if item.receipt and item.state is TxState.MINED and len(item.outgoing.orders) > 1
    ]
    heights = sorted({receipt.block for receipt in receipts})
    blocks = await asyncio.gather(*(ledger.block(height) for height in heights))
    there = {block.hash: block for block in blocks if block is not None}
    found: dict[ids.TxHash, Without] = {
        receipt.hash: {} for receipt in receipts if receipt.block_hash in there
    }
    for facts in await asyncio.gather(*map(ledger.facts, there.values())):
        for fact in facts:
            if isinstance(fact.event, Skipped) and fact.place.transaction in found:
                why = f"Skipped by the contract: reason {fact.event.why}, found {fact.event.found}."
                found[fact.place.transaction][fact.event.order] = why
    return found
