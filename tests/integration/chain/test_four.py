"""Four real nodes, a block a second: what only a network shows."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ledger_service.domain import calls, headers, seals
from ledger_service.domain.calls import Sent
from ledger_service.domain.facts import Moved
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.order import order_id
from tests.peers.consortium import Founded, approve, mined, send
from tests.peers.networks import RealNetwork

pytestmark = [pytest.mark.clique, pytest.mark.xdist_group("clique-four")]


async def test_each_organisation_uses_its_own_node_and_all_see_one_order(on_four: Founded) -> None:
    settings = on_four.settings
    ledgers = [
        on_four.ledger(replace(settings, rpc=(url,), ws=(ws,)))
        for url, ws in zip(settings.rpc, settings.ws, strict=True)
    ]
    content = on_four.content()
    order = order_id(content, ledgers[0].orders)

    sent = [await send(ledgers[3], on_four.builder, calls.Propose((content,)))]
    for number in (1, 2, 3):
        key, call = on_four.verdict(number), approve(content, number - 1)
        sent.append(await send(ledgers[number - 1], key, call))
    receipts = [await mined(ledgers[0], transaction) for transaction in sent]
    last = max(receipt.block for receipt in receipts)

    async with asyncio.timeout(30):
        for ledger in ledgers:
            while (await ledger.head()).number < last + settings.finality_depth:  # noqa: ASYNC110  seconds apart
                await asyncio.sleep(0.2)
    blocks = [await ledger.block(last) for ledger in ledgers]
    assert len(set(blocks)) == 1
    block = blocks[0]
    assert block is not None
    statuses = [
        fact.event.status
        for ledger in ledgers
        for fact in await ledger.facts(block)
        if isinstance(fact.event, Moved) and fact.event.order == order
    ]
    assert statuses == [Status.VALIDATED] * 4
    proof = await ledgers[2].capture(order, block)
    await asyncio.gather(*(ledger.close() for ledger in ledgers))

    assert proof is not None
    header = headers.Header(tuple(bytes.fromhex(field) for field in proof.header["fields"]))
    genesis = await _genesis(on_four)
    assert seals.check_clique(header, seals.clique_signers(genesis)) == block.hash


async def test_with_one_node_killed_the_others_take_and_mine(
    on_four: Founded, clique_four: RealNetwork
) -> None:
    first = clique_four.network.nodes[0].name
    ledger = on_four.ledger()
    clique_four.kill(first)
    try:
        content = on_four.content()
        key = on_four.builder
        nonce = await ledger.nonce(key.address)
        signed = key.sign(ledger.prepare(calls.Propose((content,))), nonce)

        assert await ledger.send(signed.raw) is Sent.ACCEPTED
        assert (await mined(ledger, signed.hash)).succeeded
        await ledger.check()
        async with asyncio.timeout(30):
            seen = set()
            async for head in ledger.heads():
                seen.add(head.number)
                if len(seen) == 3:
                    break
    finally:
        await ledger.close()
        await clique_four.start()


async def _genesis(founded: Founded) -> headers.Header:
    ledger = founded.ledger()
    fields = await ledger.ask("eth_getBlockByNumber", "0x0", False)
    await ledger.close()
    return headers.from_rpc(fields)
