"""A PostgreSQL that takes a question and gives no answer is given up in time; the next one is served."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger_service.db.listen import words
from ledger_service.db.migrations import upgrade
from ledger_service.db.session import SqlStore, make_engine
from ledger_service.domain import errors
from tests.peers.postgres import PostgresCluster

SECONDS = 30.0
FIND = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture
async def url(postgres: PostgresCluster) -> str:
    made = postgres.create()
    engine = make_engine(made)
    await upgrade(engine)
    await engine.dispose()
    return made


@asynccontextmanager
async def frozen(url: str) -> AsyncIterator[None]:
    """Freeze each backend that serves a connection to the database; in the end let them go on."""
    engine = make_engine(url)
    async with engine.connect() as connection:
        pids = await _pids(connection)
    await engine.dispose()
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def _pids(connection: AsyncConnection) -> list[int]:
    return list((await connection.execute(text(FIND))).scalars())


@pytest.mark.parametrize("begun", [True, False], ids=["within a transaction", "before it"])
async def test_a_database_that_falls_silent_is_an_error_and_not_a_wait_for_ever(
    url: str, *, begun: bool
) -> None:
    store = SqlStore(make_engine(url, command_seconds=0.5))
    async with store.reading() as rows:
        await rows.chain.cursor()

    async def work(freezing: AsyncExitStack) -> None:
        if not begun:
            await freezing.enter_async_context(frozen(url))
        async with store.transaction() as rows:
            await rows.chain.cursor()
            await freezing.enter_async_context(frozen(url))
            await rows.chain.cursor()

    async with asyncio.timeout(SECONDS):
        async with AsyncExitStack() as freezing:  # it does not wake up for a rollback either
            with pytest.raises(errors.StorageError):
                await work(freezing)
        async with store.transaction() as rows:
            assert await rows.chain.cursor() is None
        await store.close()


async def test_who_listens_to_a_database_that_falls_silent_is_told(url: str) -> None:
    engine = make_engine(url)
    async with (
        asyncio.timeout(SECONDS),
        aclosing(words(engine, ask_seconds=0.1, answer_seconds=0.5)) as told,
    ):
        assert await anext(told) == ""
        async with frozen(url):
            with pytest.raises(errors.StorageError):
                await anext(told)
    await engine.dispose()
