"""Many rows by one statement: what the Store's ports say of it, on every database."""

from __future__ import annotations

import asyncio

import pytest

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.lifecycle import Stage
from ledger_service.domain.records import TxState
from tests.conformance import rows as make


async def test_of_those_that_are_claimed_only_what_is_where_it_was_believed_moves(
    store: ports.Store,
) -> None:
    numbers = range(1, 5)
    names = [make.evidence(number).id for number in numbers]
    async with store.transaction() as rows:
        for number in numbers:
            await rows.evidence.add(make.evidence(number))
        await rows.evidence.add(make.evidence(5))
        await rows.evidence.move(names[1], Stage.FAILED, "why", expected=Stage.SEALED)
        await rows.evidence.move(names[2], Stage.SEALED, "before", expected=Stage.SEALED)

    async def claim() -> frozenset[ids.EvidenceId]:
        async with store.transaction() as rows:
            return await rows.evidence.claim(
                [*names, make.evidence(9).id], Stage.ANCHORING, expected=Stage.SEALED
            )

    found = await asyncio.gather(claim(), claim(), claim())

    assert sorted(map(len, found)) == [0, 0, 3]
    assert max(found, key=len) == {names[0], names[2], names[3]}
    async with store.reading() as rows:
        assert (await rows.evidence.get(names[1])).reason == "why"
        assert (await rows.evidence.get(names[2])).reason == ""
        assert (await rows.evidence.get(make.evidence(5).id)).stage is Stage.SEALED


async def test_many_orders_are_added_and_announced_and_their_evidence_found(
    store: ports.Store,
) -> None:
    orders = [make.order(number) for number in (1, 2, 3)]
    async with store.transaction() as rows:
        for number in (1, 2, 3):
            await rows.evidence.add(make.evidence(number))
        await rows.orders.add(orders[0])
        await rows.orders.add(*orders)
        await rows.orders.announce_all("order", {orders[1].id: {"n": 1}})
        await rows.orders.announce_all("order", {order.id: {"n": 2} for order in orders})
        with pytest.raises(errors.Conflict):
            await rows.orders.add(make.order(7, of=make.evidence(1)))

    async with store.reading() as rows:
        told = await rows.orders.announcements(0, 9)
        found = await rows.orders.evidence_of([*(order.id for order in orders), make.order(9).id])
    assert [(item.sequence, item.order, item.body) for item in told] == [
        (1, orders[1].id, {"n": 1}),
        (2, orders[0].id, {"n": 2}),
        (3, orders[2].id, {"n": 2}),
    ]
    assert found == {order.id: order.content.evidence for order in orders}


async def test_many_transactions_take_nonces_in_a_row_or_none_of_them_is_there(
    store: ports.Store,
) -> None:
    async with store.transaction() as rows:
        first = await rows.outgoing.next_nonce(make.SIGNER, 7, 3)
        await rows.outgoing.add(*(make.outgoing(first + at) for at in range(3)))
        assert await rows.outgoing.next_nonce(make.SIGNER, 0) == 10

    async def add_again() -> None:
        async with store.transaction() as rows:
            await rows.outgoing.add(make.outgoing(20), make.outgoing(21, nonce=8))

    with pytest.raises(errors.NonceTaken):
        await add_again()

    async with store.reading() as rows:
        stored = await rows.outgoing.unfinished(make.SIGNER)
        assert [item.nonce for item in stored] == [7, 8, 9]
        assert await rows.outgoing.at(make.SIGNER, 8) == stored[1]
        assert await rows.outgoing.at(make.SIGNER, 20) is None


async def test_what_was_stored_long_ago_and_has_not_ended_is_found(store: ports.Store) -> None:
    async with store.transaction() as rows:
        await rows.outgoing.add(*(make.outgoing(number) for number in (4, 3, 1, 2)))
        await rows.outgoing.settle([make.outgoing(1).key], TxState.MINED)
        await rows.outgoing.sent([make.outgoing(2).key, "no such"], make.NOW, refused=None)

    async with store.reading() as rows:
        found = await rows.outgoing.overdue(make.outgoing(4).created_at)

    assert [(item.nonce, item.sends) for item in found] == [(2, 1), (3, 0)]
