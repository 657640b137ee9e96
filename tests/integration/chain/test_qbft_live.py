"""Live QBFT validators: what only they show. The Ledger suite runs on them as well (conformance)."""

from __future__ import annotations

import pytest

from ledger_service.domain import calls, headers, ids, seals
from ledger_service.domain.order import order_id
from tests.peers.consortium import Founded, approve, mined, send

pytestmark = [pytest.mark.besu, pytest.mark.timeout(900)]


async def test_an_order_is_final_at_once_and_sealed_by_the_validators_of_block_0(
    on_qbft: Founded,
) -> None:
    ledger = on_qbft.ledger()
    content = on_qbft.content()
    order = order_id(content, ledger.orders)
    first = headers.from_rpc(await ledger.ask("eth_getBlockByNumber", "0x0", False))
    validators = [ids.Address(listed) for listed in seals.qbft_extra(first).validators]

    sent = [await send(ledger, on_qbft.builder, calls.Propose((content,)))]
    sent += [
        await send(ledger, on_qbft.verdict(number), approve(content, number - 1))
        for number in (1, 2, 3)
    ]
    receipts = [await mined(ledger, transaction) for transaction in sent]
    block = await ledger.block(max(receipt.block for receipt in receipts))
    assert block is not None
    proof = await ledger.capture(order, block)
    await ledger.close()

    assert ledger.finality_depth == 0
    assert proof is not None
    header = headers.Header(tuple(bytes.fromhex(field) for field in proof.header["fields"]))
    assert seals.check_qbft(header, validators) == block.hash
    assert len(validators) >= 4
