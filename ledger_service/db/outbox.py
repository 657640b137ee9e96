"""Deliveries, in SQL. `pending` stays true while leased or backing off, so order needs no lock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger_service.db import sql
from ledger_service.db.tables import outbox, pause
from ledger_service.domain.records import Delivery, DeliveryState

PENDING, DONE, BLOCKED = (state.value for state in DeliveryState)
NOBODY = ""


class SqlOutbox:
    """The OutboxRows port."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, item: Delivery) -> bool:
        """Insert; False if its dedup key was there."""
        values = {
            **sql.values_of(item),
            "due": item.due or item.created_at,
            "owner": NOBODY,
            "lease_until": item.created_at,
            "block": int(item.dedup.split("/", 1)[0]),
        }
        insert = sql.insert(self._connection, outbox).values(**values)
        done = await self._connection.execute(
            insert.on_conflict_do_nothing(index_elements=["dedup"])
        )
        return done.rowcount == 1

    async def claim(
        self, destination: str, owner: str, now: datetime, lease_until: datetime, limit: int
    ) -> Sequence[Delivery]:
        """Lease rows that are due and head their key, in one statement."""
        if destination in await self.paused():
            return []
        head = _heads(destination, now, limit).cte("head")
        statement = (
            update(outbox)
            .where(
                outbox.c.dedup.in_(select(head.c.dedup)),
                outbox.c.state == PENDING,
                outbox.c.lease_until <= now,
            )
            .values(owner=owner, lease_until=lease_until, attempts=outbox.c.attempts + 1)
            .returning(*outbox.c)
        )
        rows = (await self._connection.execute(statement)).all()
        return sorted((_read(row) for row in rows), key=lambda item: item.dedup)

    async def done(self, dedup: str, owner: str, reference: dict[str, Any]) -> bool:
        """Finish a row that is still ours."""
        return await self._settle(dedup, owner, state=DONE, reference=reference, reason="")

    async def retry(self, dedup: str, owner: str, due: datetime, reason: str) -> bool:
        """Give a row back, to be claimed again from `due`."""
        return await self._settle(dedup, owner, due=due, reason=reason)

    async def block(self, dedup: str, owner: str, reason: str) -> bool:
        """Mark a row as refused for good."""
        return await self._settle(dedup, owner, state=BLOCKED, reason=reason)

    async def release(self, destination: str, dedup: str | None = None) -> int:
        """Make blocked and backing-off rows due again at once."""
        statement = update(outbox).where(
            outbox.c.destination == destination,
            outbox.c.state.in_([PENDING, BLOCKED]),
            outbox.c.owner == NOBODY,
        )
        if dedup is not None:
            statement = statement.where(outbox.c.dedup == dedup)
        done = await self._connection.execute(
            statement.values(state=PENDING, due=outbox.c.created_at)
        )
        return int(done.rowcount)

    async def replay(self, destination: str, key: str) -> int:
        """Make all deliveries of a key due once more, done ones too."""
        done = await self._connection.execute(
            update(outbox)
            .where(outbox.c.destination == destination, outbox.c.key == key)
            .values(
                state=PENDING,
                due=outbox.c.created_at,
                owner=NOBODY,
                lease_until=outbox.c.created_at,
                attempts=0,
            )
        )
        return int(done.rowcount)

    async def of_order(self, key: str) -> Sequence[Delivery]:
        """Return the deliveries of one key, all destinations."""
        query = select(outbox).where(outbox.c.key == key).order_by(outbox.c.dedup)
        return [_read(row) for row in await self._connection.execute(query)]

    async def counts(self) -> dict[tuple[str, str], int]:
        """Return (destination, state) -> number of rows."""
        query = select(outbox.c.destination, outbox.c.state, func.count()).group_by(
            outbox.c.destination, outbox.c.state
        )
        return {
            (destination, state): int(count)
            for destination, state, count in await self._connection.execute(query)
        }

    async def pause(self, destination: str, paused: bool) -> None:  # noqa: FBT001  a state, not a mode
        """Stop or resume claims for a destination."""
        if paused:
            insert = sql.insert(self._connection, pause).values(destination=destination)
            await self._connection.execute(
                insert.on_conflict_do_nothing(index_elements=["destination"])
            )
        else:
            await self._connection.execute(delete(pause).where(pause.c.destination == destination))

    async def paused(self) -> frozenset[str]:
        """Return the paused destinations."""
        rows = await self._connection.execute(select(pause.c.destination))
        return frozenset(row.destination for row in rows)

    async def _settle(self, dedup: str, owner: str, **values: Any) -> bool:
        # The owner is the fencing token: who lost the lease changes nothing.
        done = await self._connection.execute(
            update(outbox)
            .where(outbox.c.dedup == dedup, outbox.c.owner == owner, outbox.c.state == PENDING)
            .values(owner=NOBODY, lease_until=outbox.c.created_at, **values)
        )
        return done.rowcount == 1


def _heads(destination: str, now: datetime, limit: int) -> Select[tuple[str]]:
    """Rows that are due, free, and have no unfinished row of their key before them.

    A CTE, because PostgreSQL may evaluate a plain IN-subselect with LIMIT more than once. SQLite
    ignores FOR UPDATE: there BEGIN IMMEDIATE serialises.
    """
    this, earlier = outbox.alias("this"), outbox.alias("earlier")
    blocked_by = select(1).where(
        earlier.c.destination == this.c.destination,
        earlier.c.key == this.c.key,
        earlier.c.dedup < this.c.dedup,
        earlier.c.state != DONE,
    )
    return (
        select(this.c.dedup)
        .where(
            this.c.destination == destination,
            this.c.state == PENDING,
            this.c.due <= now,
            this.c.lease_until <= now,
            ~blocked_by.exists(),
        )
        .order_by(this.c.dedup)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )


def _read(row: Row[Any]) -> Delivery:
    return Delivery(
        dedup=row.dedup,
        destination=row.destination,
        key=row.key,
        kind=row.kind,
        payload=row.payload,
        created_at=row.created_at,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        due=row.due,
        reason=row.reason,
        reference=row.reference,
    )
