"""Hearing what other processes tell by PostgreSQL's NOTIFY. A ring that is missed costs a look later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger_service.db.sql import CHANNEL
from ledger_service.domain import errors

#: A connection that died without a word is found by asking it something this often.
ASK_SECONDS = 15.0
ANSWER_SECONDS = 10.0


async def words(
    engine: AsyncEngine, *, ask_seconds: float = ASK_SECONDS, answer_seconds: float = ANSWER_SECONDS
) -> AsyncGenerator[str]:
    """Yield what is told, and an empty word at the beginning: what was told before is unknown.

    Raise StorageError when the connection is lost; begin again then.
    """
    try:
        async with engine.connect() as connection:
            queue: asyncio.Queue[str] = asyncio.Queue()
            async with _listening(connection, queue):
                yield ""
                while True:
                    try:
                        yield await asyncio.wait_for(queue.get(), ask_seconds)
                    except TimeoutError:
                        async with asyncio.timeout(answer_seconds):
                            await connection.execute(text("SELECT 1"))
    except (SQLAlchemyError, OSError) as exc:
        raise errors.StorageError("Not listening to the database.", found=str(exc)[:200]) from exc


@asynccontextmanager
async def _listening(connection: AsyncConnection, queue: asyncio.Queue[str]) -> AsyncIterator[None]:
    autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
    raw = (await autocommit.get_raw_connection()).driver_connection
    assert raw is not None, "a connected asyncpg connection"

    def heard(_connection: Any, _pid: int, _channel: str, word: str) -> None:
        queue.put_nowait(word)

    await raw.add_listener(CHANNEL, heard)
    try:
        yield
    finally:
        if not raw.is_closed():
            await raw.remove_listener(CHANNEL, heard)
