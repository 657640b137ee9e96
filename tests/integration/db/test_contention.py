"""What PostgreSQL does when transactions meet: errors with a name, and connections that come back."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from ledger_service.db.migrations import upgrade
from ledger_service.db.session import SqlStore, make_engine
from ledger_service.domain import errors
from ledger_service.domain.records import DeliveryState
from tests.conformance import rows as make
from tests.peers.postgres import PostgresCluster

CUT_ALL = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND datname = current_database()
"""


@pytest.fixture
async def url(postgres: PostgresCluster) -> str:
    created = postgres.create()
    engine = make_engine(created)
    await upgrade(engine)
    await engine.dispose()
    return created


async def test_of_two_that_wait_for_each_other_one_is_told_and_the_other_goes_on(url: str) -> None:
    store = SqlStore(make_engine(url))
    signers = (make.SIGNER, make.OTHER_SIGNER)
    both = asyncio.Barrier(2)

    async def cross(first: int) -> str:
        try:
            async with store.transaction() as rows:
                await rows.outgoing.next_nonce(signers[first], 0)
                await both.wait()
                await rows.outgoing.next_nonce(signers[1 - first], 0)
        except errors.StorageError as exc:
            return str(exc)
        return ""

    told = sorted(await asyncio.gather(cross(0), cross(1)))
    await store.close()

    assert told[0] == ""
    assert "eadlock" in told[1]


async def test_a_connection_that_was_cut_is_replaced(url: str) -> None:
    store = SqlStore(make_engine(url))
    async with store.transaction() as rows:
        await rows.evidence.add(make.evidence(1))
    other = make_engine(url)

    async def lose_it_in_the_middle() -> None:
        async with store.transaction() as rows:
            await rows.evidence.add(make.evidence(2))
            async with other.connect() as connection:
                await connection.execute(text(CUT_ALL))
            await rows.evidence.add(make.evidence(3))

    with pytest.raises(errors.StorageError):
        await lose_it_in_the_middle()
    async with store.reading() as rows:
        assert [item.sequence for item in await rows.evidence.list(limit=9)] == [1]

    async with other.connect() as connection:
        await connection.execute(text(CUT_ALL))
    async with store.transaction() as rows:
        await rows.evidence.add(make.evidence(2))
    await other.dispose()
    await store.close()


async def test_more_at_once_than_there_are_connections_wait_for_their_turn(url: str) -> None:
    store = SqlStore(make_engine(url))

    async def look() -> int:
        async with store.reading() as rows:
            await asyncio.sleep(0.005)
            return await rows.evidence.waiting()

    assert await asyncio.gather(*(look() for _ in range(100))) == [0] * 100
    await store.close()


async def test_a_delivery_whose_relay_died_in_its_transaction_is_free_at_once(url: str) -> None:
    stores = [SqlStore(make_engine(url)) for _ in range(2)]
    async with stores[0].transaction() as rows:
        for number in (1, 2):
            await rows.outbox.add(make.delivery(number, key=str(number)))

    async with stores[0].transaction() as rows:
        first = await rows.outbox.claim("documents", "a", make.NOW, make.later(60), 1)
        async with asyncio.timeout(5), stores[1].transaction() as others:
            second = await others.outbox.claim("documents", "b", make.NOW, make.later(60), 9)
        await rows.outbox.settle([make.outcome(first[0], state=DeliveryState.PENDING)])

    assert [item.key for item in (*first, *second)] == ["1", "2"]
    for store in stores:
        await store.close()
