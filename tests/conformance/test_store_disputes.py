"""Disputes about a block: the store in memory and the SQL stores, held to one suite."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ledger_service import ports
from ledger_service.domain import ids
from ledger_service.domain.facts import Dispute

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def block(number: int) -> ids.BlockHash:
    return ids.BlockHash(bytes([number]) * 32)


def dispute(number: int) -> Dispute:
    at = NOON + timedelta(minutes=number)
    return Dispute(number, block(number), block(number + 100), "node-1", "node-2", at)


async def last(store: ports.Store) -> Dispute | None:
    async with store.reading() as rows:
        return await rows.disputes.last()


async def test_a_dispute_is_open_until_one_of_its_blocks_is_accepted(store: ports.Store) -> None:
    assert await last(store) is None
    async with store.transaction() as rows:
        assert await rows.disputes.add(dispute(7)) == dispute(7)
        assert await rows.disputes.add(replace(dispute(7), node="another")) == dispute(7)
    assert await last(store) == dispute(7)

    async with store.transaction() as rows:
        assert await rows.disputes.settle(block(9)) is None
        settled = await rows.disputes.settle(block(107))

    assert settled == replace(dispute(7), accepted=block(107)) == await last(store)


async def test_what_is_open_comes_before_what_is_settled_and_the_lowest_first(
    store: ports.Store,
) -> None:
    async with store.transaction() as rows:
        for number in (9, 7, 8):
            await rows.disputes.add(dispute(number))
    assert await last(store) == dispute(7)

    async with store.transaction() as rows:
        await rows.disputes.settle(block(7))
    assert await last(store) == dispute(8)
    async with store.transaction() as rows:
        await rows.disputes.settle(block(108))
        await rows.disputes.settle(block(9))
    assert await last(store) == replace(dispute(9), accepted=block(9))


async def test_of_what_is_settled_the_highest_is_the_last_and_of_one_height_the_newest(
    store: ports.Store,
) -> None:
    again = replace(dispute(9), theirs=block(110), noted_at=NOON + timedelta(hours=1))
    low = replace(dispute(7), noted_at=NOON + timedelta(hours=2))
    async with store.transaction() as rows:
        for item in (again, dispute(9), low):
            await rows.disputes.add(item)
        for accepted in (block(7), block(109), block(110)):
            await rows.disputes.settle(accepted)

    assert await last(store) == replace(again, accepted=block(110))


async def test_a_settled_dispute_is_not_opened_again(store: ports.Store) -> None:
    async with store.transaction() as rows:
        await rows.disputes.add(dispute(7))
        await rows.disputes.settle(block(7))
    async with store.transaction() as rows:
        standing = await rows.disputes.add(dispute(7))
        assert await rows.disputes.settle(block(107)) is None
    assert standing.accepted == block(7)

    assert await last(store) == replace(dispute(7), accepted=block(7))
