"""Processes of one PostgreSQL database hear of each other's deliveries at the commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from sqlalchemy import text

from ledger_service.db.listen import words
from ledger_service.db.migrations import upgrade
from ledger_service.db.outbox import BELL
from ledger_service.db.session import SqlStore, make_engine
from ledger_service.domain import errors
from tests.conformance import rows as make
from tests.integration.db.test_contention import CUT_ALL
from tests.peers.postgres import PostgresCluster

SECONDS = 10.0
QUIET = 0.2


@pytest.fixture
async def store(postgres: PostgresCluster) -> AsyncIterator[SqlStore]:
    opened = SqlStore(make_engine(postgres.create()))
    await upgrade(opened.engine)
    yield opened
    await opened.close()


@pytest.fixture
async def listening(store: SqlStore) -> AsyncIterator[AsyncIterator[str]]:
    async with aclosing(words(store.engine, ask_seconds=0.1)) as opened:
        assert await heard(opened) == ""  # what was told before is not known
        yield opened


async def heard(listening: AsyncIterator[str]) -> str:
    return await asyncio.wait_for(anext(listening), SECONDS)


async def add(store: SqlStore, *numbers: int, fail: bool = False) -> None:
    async with store.transaction() as rows:
        for number in numbers:
            await rows.outbox.add(make.delivery(number))
        await asyncio.sleep(QUIET)
        if fail:
            raise ZeroDivisionError


async def test_a_delivery_is_heard_of_once_a_transaction_at_its_commit(
    store: SqlStore, listening: AsyncIterator[str]
) -> None:
    told = asyncio.ensure_future(heard(listening))
    adding = asyncio.ensure_future(add(store, 1, 2, 3))
    await asyncio.sleep(QUIET / 2)
    assert not told.done()
    await adding

    assert await told == BELL
    await add(store, 4)
    assert await heard(listening) == BELL
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(listening), QUIET)


async def test_what_was_rolled_back_was_never_told_and_what_is_freed_is(
    store: SqlStore, listening: AsyncIterator[str]
) -> None:
    told = asyncio.ensure_future(heard(listening))
    with pytest.raises(ZeroDivisionError):
        await add(store, 1, fail=True)
    assert not told.done()

    async with store.transaction() as rows:
        await rows.outbox.pause("documents", False)

    assert await told == BELL


async def test_a_connection_that_was_cut_is_an_error_and_listening_may_begin_again(
    store: SqlStore, listening: AsyncIterator[str]
) -> None:
    other = make_engine(str(store.engine.url))
    async with other.connect() as connection:
        await connection.execute(text(CUT_ALL))
    await other.dispose()

    with pytest.raises(errors.StorageError):
        await heard(listening)
    async with aclosing(words(store.engine)) as again:
        assert await heard(again) == ""
