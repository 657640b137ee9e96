"""Taking back what the chain took back: the store in memory and the SQL stores, held to one suite."""

from __future__ import annotations

import asyncio

import pytest

from ledger_service import ports
from ledger_service.domain import errors, facts
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.records import DeliveryState
from tests.conformance import rows as make
from tests.conformance.test_store_chain import ORDER, follow


async def test_a_rewind_takes_all_above_back_but_deliveries_that_are_over(
    store: ports.Store,
) -> None:
    await follow(store, 5, 6, 7)
    async with store.transaction() as rows:
        for number, of in ((5, 1), (6, 2), (7, 3)):
            await rows.chain.add_fact(make.fact(number, of=of))
            await rows.chain.add_proof(make.proof(number, of=of))
            await rows.outbox.add(make.delivery(number, key=str(number)))
            await rows.outbox.add(make.delivery(number, to="erp", key=str(number)))
        await rows.outbox.claim("erp", "me", make.NOW, make.later(60), 9)
        await rows.outbox.settle([make.outcome(make.delivery(7, to="erp"), "me")])
        await rows.outbox.give_up("documents", make.delivery(7).dedup, "scrapped", make.NOW)

    async with store.transaction() as rows:
        concerned = await rows.chain.rewind(make.block(5), make.block(7))

    assert set(concerned) == {make.order(2).id, make.order(3).id}
    async with store.reading() as rows:
        assert await rows.chain.cursor() == make.block(5)
        assert [await rows.chain.block(number) for number in (6, 7)] == [None, None]
        assert [len(await rows.chain.facts(make.order(of).id)) for of in (1, 2, 3)] == [1, 0, 0]
        assert [len(await rows.chain.proofs(make.order(of).id)) for of in (1, 2, 3)] == [1, 0, 0]
        left = [await rows.outbox.of_order(key) for key in ("5", "6", "7")]
    assert [len(items) for items in left] == [2, 0, 2]
    assert [item.state for item in left[2]] == [DeliveryState.DEAD, DeliveryState.DONE]
    async with store.transaction() as rows:
        late = make.outcome(make.delivery(6, to="erp"), "me")
        assert await rows.outbox.settle([late]) == [False]
        await rows.chain.advance(make.block(6, fork=1), make.block(5))


async def test_what_was_rewound_can_be_taken_in_anew(store: ports.Store) -> None:
    await follow(store, 5, 6)
    async with store.transaction() as rows:
        await rows.chain.add_fact(make.fact(6))
        await rows.chain.rewind(make.block(5), make.block(6))

    async with store.transaction() as rows:
        assert await rows.chain.add_fact(make.fact(6, status=Status.EMERGENCY))
        await rows.chain.advance(make.block(6), make.block(5))
    async with store.reading() as rows:
        assert list(await rows.chain.facts(ORDER)) == [make.fact(6, status=Status.EMERGENCY)]


async def rewind(store: ports.Store, to: facts.Block, expected: facts.Block) -> None:
    async with store.transaction() as rows:
        await rows.chain.rewind(to, expected)


async def test_a_second_rewind_from_the_same_cursor_is_told_and_drops_nothing(
    store: ports.Store,
) -> None:
    await follow(store, 3, 4, 5, 6)
    await rewind(store, make.block(3), make.block(6))
    async with store.transaction() as rows:
        for number in (4, 5, 6):
            await rows.chain.advance(make.block(number, fork=1), await rows.chain.cursor())
        await rows.chain.add_fact(make.fact(6))

    for expected in (make.block(6), make.block(5, fork=1), make.block(7)):
        with pytest.raises(errors.CursorMoved):
            await rewind(store, make.block(5), expected)

    async with store.reading() as rows:
        assert await rows.chain.cursor() == make.block(6, fork=1)
        assert len(await rows.chain.facts(ORDER)) == 1


async def test_who_rewinds_while_another_takes_a_block_in_is_told_and_nobody_is_stuck(
    store: ports.Store,
) -> None:
    await follow(store, 5, 6)
    await rewind(store, make.block(5), make.block(6))
    writing = asyncio.Event()

    async def take_in() -> None:
        async with store.transaction() as rows:
            await rows.chain.advance(make.block(6, fork=1), make.block(5))
            writing.set()
            await asyncio.sleep(0.2)

    async def rewind_as_well() -> None:
        await writing.wait()
        await rewind(store, make.block(5), make.block(6))

    told = await asyncio.gather(take_in(), rewind_as_well(), return_exceptions=True)

    assert [type(item) for item in told] == [type(None), errors.CursorMoved]
    await follow(store, 7)
    async with store.reading() as rows:
        assert await rows.chain.cursor() == make.block(7)
