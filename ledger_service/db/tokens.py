"""API access, in SQL. Only digests of secrets are kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger_service.db import sql
from ledger_service.db.tables import token
from ledger_service.domain import errors
from ledger_service.domain.records import Role, Token


class SqlTokens:
    """The TokenRows port."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, item: Token) -> None:
        """Insert. Raise Conflict for an id or a secret that is there."""
        insert = sql.insert(self._connection, token).values(**sql.values_of(item))
        done = await self._connection.execute(insert.on_conflict_do_nothing().returning(token.c.id))
        if done.first() is None:
            raise errors.Conflict("There is such a token.", found=item.id)

    async def by_digest(self, digest: bytes) -> Token | None:
        """Return the token whose secret has this SHA-256."""
        query = select(token).where(token.c.digest == digest)
        row = (await self._connection.execute(query)).first()
        return _read(row) if row else None

    async def revoke(self, wanted: str, at: datetime) -> bool:
        """End it; False if there is none that lives."""
        done = await self._connection.execute(
            update(token)
            .where(token.c.id == wanted, token.c.revoked_at.is_(None))
            .values(revoked_at=at)
        )
        return done.rowcount == 1

    async def list(self) -> Sequence[Token]:
        """Return all, newest first."""
        query = select(token).order_by(token.c.created_at.desc(), token.c.id)
        return [_read(row) for row in await self._connection.execute(query)]


def _read(row: Row[Any]) -> Token:
    return Token(
        id=row.id,
        digest=row.digest,
        role=Role(row.role),
        subject=row.subject,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
