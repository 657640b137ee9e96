"""What nodes contradicted each other about, in SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger_service.db import sql
from ledger_service.db.tables import dispute
from ledger_service.domain import ids
from ledger_service.domain.facts import Dispute


class SqlDisputes:
    """The DisputeRows port."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, item: Dispute) -> Dispute:
        """Insert; a dispute that is there stays as it is, and is returned."""
        insert = sql.insert(self._connection, dispute).values(**sql.values_of(item))
        places = ["number", "ours", "theirs"]
        await self._connection.execute(insert.on_conflict_do_nothing(index_elements=places))
        same = [dispute.c[place] == getattr(item, place) for place in places]
        return _read((await self._connection.execute(select(dispute).where(*same))).one())

    async def last(self) -> Dispute | None:
        """Return the lowest that is open, else the highest that is settled."""
        opened = select(dispute).where(dispute.c.accepted.is_(None)).order_by(dispute.c.number)
        settled = select(dispute).order_by(dispute.c.number.desc(), dispute.c.noted_at.desc())
        for query in (opened, settled):
            row = (await self._connection.execute(query.limit(1))).first()
            if row is not None:
                return _read(row)
        return None

    async def settle(self, block: ids.BlockHash) -> Dispute | None:
        """Accept a block of an open dispute."""
        has_it = or_(dispute.c.ours == block, dispute.c.theirs == block)
        settled = await self._connection.execute(
            update(dispute)
            .where(dispute.c.accepted.is_(None), has_it)
            .values(accepted=block)
            .returning(dispute)
        )
        row = settled.first()
        return _read(row) if row else None


def _read(row: Row[Any]) -> Dispute:
    return Dispute(
        number=row.number,
        ours=ids.BlockHash(row.ours),
        theirs=ids.BlockHash(row.theirs),
        node=row.node,
        other=row.other,
        noted_at=row.noted_at,
        accepted=None if row.accepted is None else ids.BlockHash(row.accepted),
    )
