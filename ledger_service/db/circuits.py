"""Destinations that do not answer, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger_service.db import sql
from ledger_service.db.tables import circuit
from ledger_service.domain.records import Circuit


class SqlCircuits:
    """The CircuitRows port."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, destination: str) -> Circuit | None:
        """Return it, locked: of two processes one tries whether the destination is back."""
        row = (await self._connection.execute(_GET, {"name": destination})).first()
        return _read(row) if row else None

    async def put(self, item: Circuit) -> None:
        """Insert or replace."""
        values = sql.values_of(item)
        insert = sql.insert(self._connection, circuit).values(**values)
        await self._connection.execute(
            insert.on_conflict_do_update(index_elements=["destination"], set_=values)
        )

    async def drop(self, destination: str) -> bool:
        """Delete it."""
        done = await self._connection.execute(
            delete(circuit).where(circuit.c.destination == destination)
        )
        return done.rowcount == 1

    async def all(self) -> Sequence[Circuit]:
        """Return all, by name."""
        query = select(circuit).order_by(circuit.c.destination)
        return [_read(row) for row in await self._connection.execute(query)]


_GET = select(circuit).where(circuit.c.destination == bindparam("name")).with_for_update()


def _read(row: Row[Any]) -> Circuit:
    return Circuit(row.destination, row.failures, row.since, row.held_at, row.until, row.reason)
