from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace

import pytest

from ledger_service.chain.client import ChainLedger
from ledger_service.chain.keys import LocalSigner
from ledger_service.domain import calls, errors, headers, ids, seals, tries
from ledger_service.domain.calls import Call, Receipt, Sent
from ledger_service.domain.facts import Approved, Fact, Moved, OrderWord, Proposed, Skipped
from ledger_service.domain.lifecycle import Outcome, Status
from ledger_service.domain.order import order_id
from tests.peers.consortium import ASSET, RESULT, Founded, approve, mined, polling, send


@pytest.fixture
async def ledger(founded: Founded) -> AsyncIterator[ChainLedger]:
    opened = founded.ledger()
    yield opened
    await opened.close()


async def do(ledger: ChainLedger, key: LocalSigner, call: Call) -> Receipt:
    return await mined(ledger, await send(ledger, key, call))


async def facts_of(ledger: ChainLedger, receipts: Sequence[Receipt]) -> list[Fact]:
    found: list[Fact] = []
    for number in sorted({receipt.block for receipt in receipts}):
        block = await ledger.block(number)
        assert block is not None
        found += await ledger.facts(block)
    return found


async def test_proposal_and_verdicts_sent_together_validate_the_order(
    ledger: ChainLedger, founded: Founded
) -> None:
    content = founded.content()
    order = order_id(content, ledger.orders)
    verdicts: list[tuple[LocalSigner, Call]] = [
        (founded.verdict(number), approve(content, number - 1)) for number in (1, 2, 3)
    ]

    sent = [
        await send(ledger, key, call)
        for key, call in [*verdicts[:2], (founded.builder, calls.Propose((content,))), verdicts[2]]
    ]
    receipts = [await mined(ledger, transaction) for transaction in sent]
    own = [fact for fact in await facts_of(ledger, receipts) if fact.event.order == order]

    assert all(receipt.succeeded for receipt in receipts)
    assert [type(fact.event) for fact in own] == [Approved, Approved, Proposed, Approved, Moved]
    assert own[2].event == Proposed(order, content)
    assert own[3].event == Approved(order, founded.verdict(3).address, 3, 2, RESULT)
    assert isinstance(own[4].event, Moved)
    assert own[4].event.status is Status.VALIDATED
    assert [fact.place.id for fact in own] == sorted(fact.place.id for fact in own)
    assert (await ledger.word(order)).status is Status.VALIDATED
    assert await ledger.latest_order(ASSET, content.evidence) == order


async def test_a_word_is_the_one_that_the_events_tell(
    ledger: ChainLedger, founded: Founded
) -> None:
    content = founded.content()
    order = order_id(content, ledger.orders)
    assert await ledger.word(order) == OrderWord.unpack(0)

    proposed = await do(ledger, founded.builder, calls.Propose((content,)))
    await do(ledger, founded.verdict(1), approve(content, 0))
    refused = await do(ledger, founded.verdict(2), calls.Refuse(content, 1, 7, RESULT))

    blocks = [await ledger.block(receipt.block) for receipt in (proposed, refused)]
    assert await ledger.word(order) == OrderWord(
        approved=1,
        against=2,
        proposed_at=blocks[0].time if blocks[0] else 0,
        moved_at=blocks[1].time if blocks[1] else 0,
        attempt=1,
        outcome=0,
        was_emergency=False,
        was_contested=False,
        status=Status.REFUSED,
    )


async def test_what_is_captured_verifies_without_the_node(
    ledger: ChainLedger, founded: Founded
) -> None:
    content = founded.content()
    order = order_id(content, ledger.orders)
    await do(ledger, founded.builder, calls.Propose((content,)))
    for number in (1, 2, 3):
        last = await do(ledger, founded.verdict(number), approve(content, number - 1))
    block = await ledger.block(last.block)
    assert block is not None

    proof = await ledger.capture(order, block)

    assert proof is not None
    header = headers.Header(tuple(bytes.fromhex(f) for f in proof.header["fields"]))
    assert header.keccak() == block.hash
    account = tries.prove_account(
        header.state_root,
        founded.deployment.orders,
        [bytes.fromhex(node) for node in proof.account_proof["account"]],
    )
    assert account is not None
    word = tries.prove_slot(
        account.storage_root,
        bytes.fromhex(proof.account_proof["slot"]),
        [bytes.fromhex(node) for node in proof.account_proof["storage"]],
    )
    assert OrderWord.unpack(word) == await ledger.word(order)
    assert OrderWord.unpack(word).approved == 0b111
    for index, nodes in proof.receipt_proof.items():
        path = [bytes.fromhex(node) for node in nodes]
        assert bytes(order) in tries.prove_item(header.receipts_root, int(index), path)
    assert proof.receipt_proof
    if founded.settings.kind == "clique":
        assert seals.clique_signer(header)


async def test_a_block_of_another_chain_is_not_captured(ledger: ChainLedger) -> None:
    head = await ledger.head()
    order = ids.OrderId(bytes(32))

    ledger.patience = 0
    assert await ledger.capture(order, replace(head, hash=ids.BlockHash(b"\x01" * 32))) is None
    assert await ledger.capture(order, replace(head, number=head.number + 1000)) is None


async def test_a_call_that_would_revert_is_named_before_it_is_sent(
    ledger: ChainLedger, founded: Founded
) -> None:
    content = founded.content()
    cases: list[tuple[Call, LocalSigner, str]] = [
        (calls.Propose((content,)), founded.stranger, "Caller"),
        (calls.Propose((replace(content, attempt=2),)), founded.builder, "Attempt"),
        (calls.Propose((replace(content, deadline=1),)), founded.builder, "Late"),
        (calls.Propose((replace(content, deadline=2**40 - 1),)), founded.builder, "TooFar"),
        (approve(content, 1), founded.verdict(1), "Seat"),
        (
            approve(replace(content, detector=ids.DetectorId(RESULT)), 0),
            founded.verdict(1),
            "Detector",
        ),
        (calls.Withdraw(content), founded.builder, "State"),
        (calls.Complete(content, Outcome.CURED, RESULT), founded.verdict(1), "State"),
    ]
    for call, key, why in cases:
        with pytest.raises(errors.CallReverted) as refused:
            await ledger.simulate(call, key.address)
        assert refused.value.fields["why"] == why

    await ledger.simulate(calls.Propose((content,)), founded.builder.address)


async def test_a_reverted_transaction_has_a_receipt_and_no_facts(
    ledger: ChainLedger, founded: Founded
) -> None:
    receipt = await do(ledger, founded.builder, calls.Withdraw(founded.content()))

    assert not receipt.succeeded
    assert [
        f for f in await facts_of(ledger, [receipt]) if f.place.transaction == receipt.hash
    ] == []


async def test_a_batch_skips_what_no_longer_applies(ledger: ChainLedger, founded: Founded) -> None:
    first, held, last = (founded.content() for _ in range(3))
    await do(ledger, founded.builder, calls.Propose((held,)))

    receipt = await do(ledger, founded.builder, calls.Propose((first, held, last)))
    events = [
        f.event for f in await facts_of(ledger, [receipt]) if f.place.transaction == receipt.hash
    ]

    assert [type(event) for event in events] == [Proposed, Skipped, Proposed]
    assert events[1].order == order_id(held, ledger.orders)


async def test_a_batch_of_twenty_fits_its_gas_limit(ledger: ChainLedger, founded: Founded) -> None:
    contents = tuple(founded.content() for _ in range(20))
    batch = calls.Approve(contents, (0,) * 20, (RESULT,) * 20)

    proposed = await do(ledger, founded.builder, calls.Propose(contents))
    approved = await do(ledger, founded.verdict(1), batch)

    assert proposed.succeeded
    assert approved.succeeded
    assert len(await facts_of(ledger, [approved])) >= 20


async def test_what_became_of_a_broadcast_is_told_in_the_closed_vocabulary(
    ledger: ChainLedger, founded: Founded
) -> None:
    content, key = founded.content(), founded.stranger
    call = calls.Expire(content)
    nonce = await ledger.nonce(key.address)
    signed = key.sign(ledger.prepare(call), nonce)
    foreign = key.sign(replace(ledger.prepare(call), chain_id=4711), nonce)
    gap = key.sign(ledger.prepare(call), nonce + 5)

    assert await ledger.send(foreign.raw) is Sent.REFUSED
    assert await ledger.send(b"\x02nonsense") is Sent.REFUSED
    assert await ledger.send(gap.raw) is Sent.ACCEPTED
    assert await ledger.send(gap.raw) is Sent.KNOWN
    assert await ledger.send(signed.raw) is Sent.ACCEPTED
    await mined(ledger, signed.hash)
    assert await ledger.send(key.sign(ledger.prepare(calls.Contest(content)), nonce).raw) is (
        Sent.NONCE_USED
    )
    assert await ledger.receipt(gap.hash) is None


@pytest.mark.parametrize("way", ["websocket", "polling"])
async def test_heads_come_as_blocks_are_made(founded: Founded, way: str) -> None:
    settings = founded.settings if way == "websocket" else polling(founded.settings)
    ledger = founded.ledger(settings)
    seen = []

    async with asyncio.timeout(30), aclosing(ledger.heads()) as heads:  # type: ignore[type-var]  # a generator behind the port
        first = await anext(heads)
        await do(ledger, founded.stranger, calls.Withdraw(founded.content()))
        async for block in heads:
            seen.append(block)
            if block.number > first.number:
                break
    await ledger.close()

    assert seen[-1] == await ledger_block(founded, seen[-1].number)


async def ledger_block(founded: Founded, number: int) -> object:
    ledger = founded.ledger()
    block = await ledger.block(number)
    await ledger.close()
    return block


async def test_a_node_that_is_away_is_passed_over(founded: Founded) -> None:
    settings = founded.settings
    nowhere = replace(settings, rpc=("http://127.0.0.1:9", *settings.rpc), ws=("ws://127.0.0.1:9",))
    ledger = founded.ledger(nowhere)

    await ledger.check()
    receipt = await do(ledger, founded.builder, calls.Propose((founded.content(),)))
    async with asyncio.timeout(10):
        head = await anext(ledger.heads())
    await ledger.close()

    assert receipt.succeeded
    assert head.number >= receipt.block


async def test_when_no_node_answers_it_is_said(founded: Founded) -> None:
    ledger = founded.ledger(replace(founded.settings, rpc=("http://127.0.0.1:9",), ws=()))

    with pytest.raises(errors.NodeUnreachable):
        await ledger.head()
    with pytest.raises(errors.NodeUnreachable):
        await ledger.check()
    assert await ledger.send(b"anything") is Sent.RETRY
    await ledger.close()
