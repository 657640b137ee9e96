"""Engine and transactions: the only place that commits."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, event, func, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from ledger_service import ports
from ledger_service.db.chain import SqlChain
from ledger_service.db.circuits import SqlCircuits
from ledger_service.db.disputes import SqlDisputes
from ledger_service.db.evidence import SqlEvidence
from ledger_service.db.orders import SqlOrders
from ledger_service.db.outbox import SqlOutbox
from ledger_service.db.outgoing import SqlOutgoing
from ledger_service.db.tokens import SqlTokens
from ledger_service.domain import errors
from ledger_service.ports.outbox import CircuitRows, OutboxRows

WAIT_SECONDS = 30
RETRY_SECONDS = 0.02
TAKEN, PRIMARY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED), 0xFF  #: of its error codes
CONNECT_SECONDS = 10
#: A command that has no answer by then has none: the server hangs, or the network went silent.
COMMAND_SECONDS = 60.0
#: The same for what makes, copies or fills whole tables.
LONG_SECONDS = 3600.0
#: What a commit promises may not hang on how somebody set the server up; nobody waits for ever for
#: a process that stopped in the middle of a transaction.
SERVER_SETTINGS = {
    "synchronous_commit": "on",
    "lock_timeout": f"{WAIT_SECONDS}s",
    "idle_in_transaction_session_timeout": "60s",
    "application_name": "maintenance-order-ledger",
}


class SqlTransaction:
    """One open transaction: the repositories on one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.evidence: ports.EvidenceRows = SqlEvidence(connection)
        self.orders: ports.OrderRows = SqlOrders(connection)
        self.outgoing: ports.OutgoingRows = SqlOutgoing(connection)
        self.chain: ports.ChainRows = SqlChain(connection)
        self.outbox: OutboxRows = SqlOutbox(connection)
        self.circuits: CircuitRows = SqlCircuits(connection)
        self.disputes: ports.DisputeRows = SqlDisputes(connection)
        self.tokens: ports.TokenRows = SqlTokens(connection)


class SqlStore:
    """The Store port on a database URL."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        # SQLite's writers look again and again, longer and longer, until it is free: the unlucky ones
        # of many wait seconds. Those of one process queue instead.
        self._turn: AbstractAsyncContextManager[Any] = (
            asyncio.Lock() if engine.dialect.name == "sqlite" else nullcontext()
        )
        # SQLite knows what to do from `reading` (below); its readers have snapshots anyway.
        self._reading: dict[str, Any] = {"reading": True}
        if engine.dialect.name == "postgresql":
            self._reading |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ports.Transaction]:
        """Begin a writing transaction; commit at the end, roll back on any exception."""
        async with self._turn, self._open(self.engine) as rows:
            yield rows

    def reading(self) -> AbstractAsyncContextManager[ports.Transaction]:
        """Begin a transaction that only reads, on one snapshot: it never waits for a writer."""
        return self._open(self.engine.execution_options(**self._reading))

    def snapshot(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Begin a transaction that only reads and give its connection, to copy whole tables."""
        return begun(self.engine.execution_options(**self._reading))

    @asynccontextmanager
    async def _open(self, engine: AsyncEngine) -> AsyncIterator[ports.Transaction]:
        async with begun(engine) as connection:
            yield SqlTransaction(connection)

    async def clock(self) -> datetime | None:
        """Return what the database's clock says; None for SQLite, which has that of this machine."""
        if self.engine.dialect.name == "sqlite":
            return None
        async with begun(self.engine) as connection:
            query = select(func.clock_timestamp(type_=DateTime(timezone=True)))
            return (await connection.execute(query)).scalar_one()

    async def close(self) -> None:
        """Give all connections back."""
        await self.engine.dispose()


@asynccontextmanager
async def begun(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Begin; commit at the end, roll back on any exception. Raise StorageError for the database's."""
    try:
        async with engine.begin() as connection:
            yield connection
    except (SQLAlchemyError, OSError) as exc:
        raise errors.StorageError(_explain(exc)) from exc


def make_engine(url: str, *, command_seconds: float = COMMAND_SECONDS) -> AsyncEngine:
    """Return an engine. SQLite: write-ahead log, full synchronisation, BEGIN IMMEDIATE for writers.

    Full, because a commit must survive a power cut before its transaction is broadcast.
    `command_seconds`: how long PostgreSQL may take for one command.
    """
    if url.startswith("sqlite"):
        # A writer waits for another one rather than failing; readers never wait.
        engine = create_async_engine(url, connect_args={"timeout": WAIT_SECONDS})
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    return create_async_engine(
        url,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
        connect_args={
            "timeout": CONNECT_SECONDS,
            "command_timeout": command_seconds,
            "server_settings": SERVER_SETTINGS,
        },
    )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver would begin late (at the first write), so two readers could both decide to write.
    connection.isolation_level = None
    cursor = connection.cursor()
    _write_ahead(cursor)
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _write_ahead(cursor: Any) -> None:
    """Turn the write-ahead log on. A new file has it off, and those who open it at once collide.

    SQLite does not wait where waiting for each other could be for ever (its busy handler is passed
    over: https://www.sqlite.org/c3ref/busy_handler.html), so it is tried again here.
    """
    patience = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & PRIMARY not in TAKEN or time.monotonic() > patience:
                raise
            await_only(asyncio.sleep(RETRY_SECONDS))
        else:
            return


def _begin_sqlite(connection: Any) -> None:
    reading = connection.get_execution_options().get("reading", False)
    # Each statement is two trips to the driver's thread, so it is said only where it changes.
    if connection.info.pop("reading", None) is not reading:
        connection.exec_driver_sql(f"PRAGMA query_only = {int(reading)}")
    connection.info["reading"] = reading
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _explain(exc: Exception) -> str:
    cause = exc.orig if isinstance(exc, DBAPIError) else exc
    return f"database: {type(cause).__name__}: {str(cause)[:200]}"
