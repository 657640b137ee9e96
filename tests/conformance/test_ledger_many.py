"""Many at once: what the Ledger port says of it, on every chain."""

from __future__ import annotations

from ledger_service.domain import calls, errors, ids
from ledger_service.domain.calls import Sent
from tests.conformance.plants import Plant
from tests.conformance.test_ledger import founded, plant

__all__ = ["founded", "plant"]


async def test_many_that_are_sent_at_once_are_taken_in_their_order_and_each_has_its_receipt(
    plant: Plant,
) -> None:
    ledger, key = plant.ledger, plant.builder
    start = await ledger.nonce(key.address)
    contents = [plant.content() for _ in range(5)]
    signed = [
        key.sign(ledger.prepare(calls.Propose((content,))), nonce)
        for nonce, content in enumerate(contents, start)
    ]
    used = key.sign(ledger.prepare(calls.Propose((plant.content(),))), max(start - 1, 0))
    nonsense = b"\x02nonsense"

    outcomes = await ledger.send_many([item.raw for item in signed])
    await plant.mined(signed[-1].hash)
    wrong = await ledger.send_many([nonsense, used.raw, signed[0].raw])
    receipts = await ledger.receipts([*(item.hash for item in signed), used.hash])

    assert set(outcomes) <= {Sent.ACCEPTED, Sent.KNOWN}
    assert wrong[:2] == [Sent.REFUSED, Sent.NONCE_USED]
    assert wrong[2] in {Sent.NONCE_USED, Sent.KNOWN}
    assert [r.hash if r else None for r in receipts] == [*(item.hash for item in signed), None]
    assert all(receipt.succeeded for receipt in receipts if receipt)
    assert all([(await ledger.word(plant.order(content))).proposed_at for content in contents])


async def test_each_of_many_calls_is_tried_by_itself(plant: Plant) -> None:
    good, late = plant.content(), plant.content(deadline=1)
    tried = [calls.Propose((item,)) for item in (good, late, good)]

    found = await plant.ledger.simulate_many(tried, plant.builder.address)

    assert [type(item) for item in found] == [type(None), errors.CallReverted, type(None)]
    assert await plant.ledger.simulate_many([], plant.builder.address) == []
    assert await plant.ledger.receipts([]) == []


async def test_what_waits_in_a_pool_counts_for_the_next_nonce_and_still_does_when_it_is_mined(
    plant: Plant,
) -> None:
    ledger, key = plant.ledger, plant.stranger
    nonce = await ledger.nonce(key.address)
    assert await ledger.waiting_nonce(key.address) == nonce
    signed = key.sign(ledger.prepare(calls.Withdraw(plant.content())), nonce)
    await ledger.send(signed.raw)

    assert await ledger.waiting_nonce(key.address) == nonce + 1
    await plant.mined(signed.hash)
    assert await ledger.waiting_nonce(key.address) == nonce + 1


async def test_nonces_are_counted_up_to_a_block_and_a_block_has_its_gas(plant: Plant) -> None:
    ledger, key = plant.ledger, plant.stranger
    before = await ledger.nonce(key.address)
    receipt = await plant.do(key, calls.Withdraw(plant.content()))

    assert await ledger.nonce(key.address, receipt.block - 1) == before
    assert await ledger.nonce(key.address, receipt.block) == before + 1
    assert await ledger.nonce(ids.Address(bytes(20)), receipt.block) == 0
    assert await ledger.block_gas() >= 1_000_000
