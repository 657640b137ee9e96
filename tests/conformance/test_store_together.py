"""What a block brings is written together: many rows of a kind by one call."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger_service import ports
from ledger_service.domain import errors
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.records import Move, Result, TxState
from tests.conformance import rows as make

FIRST, SECOND, THIRD = (make.order(number).id for number in (1, 2, 3))


@pytest.fixture
async def holding(store: ports.Store) -> ports.Store:
    """A store with two pieces of evidence, for orders to belong to."""
    async with store.transaction() as rows:
        for number in (1, 2):
            await rows.evidence.add(make.evidence(number))
    return store


async def test_of_many_facts_those_that_were_there_are_left_out(store: ports.Store) -> None:
    facts = [make.fact(5, log=at, of=1 + at % 2) for at in range(4)]
    async with store.transaction() as rows:
        first = await rows.chain.add_fact(*facts[:2])
        again = await rows.chain.add_fact(*facts)
        assert await rows.chain.add_fact() == frozenset()

    assert first == {fact.place.id for fact in facts[:2]}
    assert again == {fact.place.id for fact in facts[2:]}
    async with store.reading() as rows:
        assert list(await rows.chain.facts(FIRST, SECOND)) == facts
        assert list(await rows.chain.facts(SECOND)) == facts[1::2]
        assert list(await rows.chain.facts()) == []


async def test_proofs_are_kept_together_and_the_first_stays(store: ports.Store) -> None:
    proofs = [make.proof(7), make.proof(8), make.proof(7, of=2)]
    async with store.transaction() as rows:
        await rows.chain.add_proof(*proofs)
        await rows.chain.add_proof(replace(proofs[0], header={}), make.proof(9))
        await rows.chain.add_proof()

    async with store.reading() as rows:
        assert list(await rows.chain.proofs(FIRST)) == [*proofs[:2], make.proof(9)]
        assert list(await rows.chain.proofs(SECOND)) == proofs[2:]


async def test_results_of_several_orders_come_together(store: ports.Store) -> None:
    results = [
        Result(order, organisation, b"{}") for order in (FIRST, SECOND) for organisation in (1, 2)
    ]
    async with store.transaction() as rows:
        for item in results:
            await rows.orders.add_result(item)

    async with store.reading() as rows:
        assert list(await rows.orders.results(FIRST, SECOND)) == results
        assert list(await rows.orders.results(SECOND)) == results[2:]
        assert list(await rows.orders.results()) == []


async def test_of_many_orders_those_that_are_there_come(holding: ports.Store) -> None:
    async with holding.transaction() as rows:
        await rows.orders.add(make.order(1), make.order(2))

    async with holding.reading() as rows:
        assert await rows.orders.some(SECOND, THIRD) == {SECOND: make.order(2)}
        assert await rows.orders.some() == {}


async def test_an_order_moves_on_and_on_in_one_call_beside_others(holding: ports.Store) -> None:
    async with holding.transaction() as rows:
        await rows.orders.add(make.order(1), make.order(2))
        await rows.orders.move(
            Move(FIRST, Status.PROPOSED, 4),
            Move(SECOND, Status.PROPOSED, 4),
            Move(FIRST, Status.REFUSED, 4, "cost"),
        )
        await rows.orders.move()

    async with holding.reading() as rows:
        first, second = await rows.orders.get(FIRST), await rows.orders.get(SECOND)
    assert (first.status, first.block, first.reason) == (Status.REFUSED, 4, "cost")
    assert (second.status, second.block, second.reason) == (Status.PROPOSED, 4, "")


async def test_a_move_is_judged_by_the_ones_before_it_in_the_call(holding: ports.Store) -> None:
    async with holding.transaction() as rows:
        await rows.orders.add(make.order(1))

    with pytest.raises(errors.IllegalMove):
        async with holding.transaction() as rows:
            await rows.orders.move(
                Move(FIRST, Status.PROPOSED, 4),
                Move(FIRST, Status.REFUSED, 4),
                Move(FIRST, Status.VALIDATED, 4),
            )

    async with holding.reading() as rows:
        assert (await rows.orders.get(FIRST)).status is Status.NONE


async def test_of_many_deliveries_those_that_were_there_are_left_out(store: ports.Store) -> None:
    items = [make.delivery(number, key=str(number)) for number in range(1, 5)]
    async with store.transaction() as rows:
        first = await rows.outbox.add(*items[:2])
        again = await rows.outbox.add(*items)
        assert await rows.outbox.add() == frozenset()

    assert first == {item.dedup for item in items[:2]}
    assert again == {item.dedup for item in items[2:]}


async def test_several_purposes_are_settled_together(store: ports.Store) -> None:
    items = [make.outgoing(number) for number in (1, 2, 3)]
    async with store.transaction() as rows:
        await rows.outgoing.add(*items)
        keys = [items[0].key, "propose:nothing", items[2].key]
        await rows.outgoing.settle(keys, TxState.FAILED, "lost")
        await rows.outgoing.settle([], TxState.MINED)

    async with store.reading() as rows:
        found = [await rows.outgoing.get(item.key) for item in items]
    states = [(item.state, item.reason) for item in found if item]
    failed = (TxState.FAILED, "lost")
    assert states == [failed, (TxState.STORED, ""), failed]
