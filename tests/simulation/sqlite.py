"""Real SQLite under the real SQL: the driver's thread left out, so that every statement runs in its turn."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine, create_engine, event, select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ledger_service.db import chain, evidence, orders, outbox, outgoing, session, tables
from ledger_service.db.migrations import upgrade
from ledger_service.db.session import SqlStore
from ledger_service.testing.outbox import OutboxState
from ledger_service.testing.outgoing import OutgoingState
from ledger_service.testing.store import State
from tests.simulation.loop import Process

# The dead give nothing back.
logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", message="The garbage collector is trying")
warnings.filterwarnings("ignore", message="coroutine 'AsyncConnection.close' was never awaited")


class Connection:
    """An aiosqlite connection's shape; `committed` is called after each commit that wrote."""

    def __init__(self, path: Path, committed: Callable[[], None] | None) -> None:
        self._conn = self._connection = sqlite3.connect(path, timeout=0)
        self._committed = committed
        self._written = 0
        self._tx = self

    @property
    def isolation_level(self) -> str | None:
        """Return it."""
        return self._conn.isolation_level

    def put_nowait(self, item: tuple[asyncio.Future[Any], Callable[[], Any]]) -> None:
        """Do at once what the driver's thread would."""
        future, work = item
        future.set_result(work())

    async def create_function(self, *given: Any, **named: Any) -> None:
        """Define a function."""
        self._conn.create_function(*given, **named)

    def cursor(self) -> Cursor:
        """Open a cursor."""
        return Cursor(self._conn.cursor())

    async def commit(self) -> None:
        """Commit, and show it."""
        self._conn.commit()
        if self._conn.total_changes != self._written:
            self._written = self._conn.total_changes
            if self._committed is not None:
                self._committed()

    async def rollback(self) -> None:
        """Roll back."""
        self._conn.rollback()

    async def close(self) -> None:
        """Close."""
        self._conn.close()

    def stop(self) -> None:
        """Close at once."""
        self._conn.close()


class Cursor:
    """An aiosqlite cursor's shape."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, *given: Any) -> None:
        """Execute."""
        self._cursor.execute(*given)

    async def executemany(self, *given: Any) -> None:
        """Execute many."""
        self._cursor.executemany(*given)

    async def fetchall(self) -> list[Any]:
        """Return all rows."""
        return self._cursor.fetchall()

    async def close(self) -> None:
        """Close."""
        self._cursor.close()


def _engine(path: Path, committed: Callable[[], None] | None, opened: list[Any]) -> AsyncEngine:
    async def connect() -> Connection:
        connection = Connection(path, committed)
        opened.append(connection)
        return connection

    engine = create_async_engine("sqlite+aiosqlite:///rows.db", async_creator=connect)
    event.listen(engine.sync_engine, "connect", session._prepare_sqlite)
    event.listen(engine.sync_engine, "begin", session._begin_sqlite)
    return engine


@cache
def _template() -> bytes:
    """Return an empty database of the present schema."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "empty.db"
        asyncio.run(upgrade(_engine(path, None, [])))
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return path.read_bytes()


class Database:
    """A file that processes open; `watch` is shown the rows before and after each commit."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "service.db"
        self._path.write_bytes(_template())
        self.watch: Callable[[State, State], None] | None = None
        self._reader: Engine = create_engine(f"sqlite:///{self._path}")
        self._opened: list[list[Connection]] = []
        self.present = State()

    def open(self, process: Process | None = None) -> SqlStore:
        """Open it for a process; its connections end with it."""
        opened: list[Connection] = []
        self._opened.append(opened)
        if process is not None:
            process.last_words.append(lambda: _close(opened))
        return SqlStore(_engine(self._path, self._committed, opened))

    def close(self) -> None:
        """Close whatever is open."""
        for opened in self._opened:
            _close(opened)
        self._reader.dispose()

    def _committed(self) -> None:
        before, self.present = self.present, _rows(self._reader)
        if self.watch is not None:
            self.watch(before, self.present)


def _close(opened: list[Connection]) -> None:
    for connection in opened:
        connection.stop()
    opened.clear()


def _rows(engine: Engine) -> State:
    """Return all rows that the invariants look at."""
    state = State()
    with engine.connect() as rows:
        for row in rows.execute(select(tables.evidence).order_by(tables.evidence.c.number)):
            item = evidence._read(row)
            state.evidence[item.id] = item
        order = tables.maintenance_order
        for row in rows.execute(select(order).order_by(order.c.number)):
            state.orders[row.id] = orders._read(row)
            if row.attempt is None:
                state.void.add(row.id)
        found = (outgoing._read(row) for row in rows.execute(select(tables.outgoing)))
        state.outgoing = OutgoingState({item.key: item for item in found})
        state.facts = {row.id: chain._fact(row) for row in rows.execute(select(tables.fact))}
        state.outbox = OutboxState()
        for row in rows.execute(select(tables.outbox)):
            state.outbox.rows[row.dedup] = outbox._read(row)
            if row.owner:
                state.outbox.leases[row.dedup] = (row.owner, row.lease_until)
        joined = select(tables.block).join(
            tables.cursor, tables.cursor.c.block == tables.block.c.number
        )
        state.cursor = [chain._block(row) for row in rows.execute(joined)]
    return state


def folder() -> Path:
    """Return a new folder, in memory where there is one."""
    memory = Path("/dev/shm")  # noqa: S108  only a place that is fast
    return Path(tempfile.mkdtemp(prefix="simulation-", dir=memory if memory.is_dir() else None))


def remove(path: Path) -> None:
    """Remove it."""
    shutil.rmtree(path, ignore_errors=True)
