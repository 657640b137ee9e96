"""What both dialects need a little help with."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from typing import Any

from sqlalchemy import Table, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

#: PostgreSQL's LISTEN and NOTIFY of this program.
CHANNEL = "mol"


def insert(connection: AsyncConnection, table: Table) -> Any:
    """Return an INSERT that knows ON CONFLICT, for the dialect in use."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


async def lock(connection: AsyncConnection, table: Table) -> None:
    """Let one writer after the other at a table, to the end of the transaction; readers go on.

    SQLite needs nothing: it has one writer at a time.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(text(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE"))


async def notify(connection: AsyncConnection, word: str) -> None:
    """Tell every process that listens to this PostgreSQL database, at the commit."""
    await connection.execute(
        text("SELECT pg_notify(:channel, :word)"), {"channel": CHANNEL, "word": word}
    )


def values_of(record: Any) -> dict[str, Any]:
    """Return a record's fields as column values."""
    return {field.name: _plain(getattr(record, field.name)) for field in fields(record)}


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
