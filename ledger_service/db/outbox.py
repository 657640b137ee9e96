"""Deliveries, in SQL. `pending` stays true while leased or backing off, so order needs no lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Row,
    Select,
    Update,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger_service.db import sql
from ledger_service.db.tables import Moment, circuit, outbox, pause
from ledger_service.domain.records import Delivery, DeliveryState, Outcome

PENDING, DONE, BLOCKED, DEAD = (state.value for state in DeliveryState)
#: Nothing behind these of the same key is claimed.
OPEN = (PENDING, BLOCKED)
SETTLED = (DONE, DEAD)
NOBODY = ""
_THIS = outbox.alias("this")
_NOW = bindparam("now", type_=Moment())
#: What PostgreSQL tells the relays of other processes when deliveries were added or made due.
BELL = "outbox"


class SqlOutbox:
    """The OutboxRows port."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._rung = False

    async def add(self, *items: Delivery) -> frozenset[str]:
        """Insert those whose dedup key is not there."""
        if not items:
            return frozenset()
        insert = sql.insert(self._connection, outbox).returning(outbox.c.dedup)
        done = await self._connection.execute(
            insert.on_conflict_do_nothing(index_elements=["dedup"]), [_fresh(it) for it in items]
        )
        await self._ring()
        return frozenset(row.dedup for row in done)

    async def due(self, destinations: Sequence[str], now: datetime) -> frozenset[str]:
        """Look at the head of each one's turn, all in one statement that reads."""
        values = {"now": now} | {f"name{at}": name for at, name in enumerate(destinations)}
        row = (await self._connection.execute(_look(len(destinations)), values)).one()
        return frozenset(name for name, waits in zip(destinations, row, strict=True) if waits)

    async def claim(
        self, destination: str, owner: str, now: datetime, lease_until: datetime, limit: int
    ) -> Sequence[Delivery]:
        """Lease rows that are due and head their key, in one statement."""
        values = {
            "name": destination,
            "now": now,
            "most": limit,
            "claimant": owner,
            "until": lease_until,
        }
        rows = (await self._connection.execute(_CLAIM, values)).all()
        return sorted((_read(row) for row in rows), key=lambda item: item.dedup)

    async def renew(self, held: Mapping[str, str], lease_until: datetime) -> frozenset[str]:
        """Lengthen exactly these leases: one that we do not know of must run out."""
        statement = (
            update(outbox)
            .where(
                outbox.c.dedup.in_(sorted(held)),
                outbox.c.owner.in_(sorted(set(held.values()))),
                outbox.c.state == PENDING,
            )
            .values(lease_until=lease_until)
            .returning(outbox.c.dedup, outbox.c.owner)
        )
        rows = await self._connection.execute(statement)
        return frozenset(row.dedup for row in rows if held[row.dedup] == row.owner)

    async def settle(self, outcomes: Sequence[Outcome]) -> Sequence[bool]:
        """Write what is still held, all in two statements."""
        wanted = {"names": sorted(item.dedup for item in outcomes)}
        held = {row.dedup: row.owner for row in await self._connection.execute(_HELD, wanted)}
        ours = [held.get(item.dedup) == item.owner for item in outcomes]
        values = [_outcome(item) for item, mine in zip(outcomes, ours, strict=True) if mine]
        if values:
            await self._connection.execute(_SETTLE, values)
        return ours

    async def release(
        self, destination: str, dedup: str | None = None, *, blocked: bool = True
    ) -> int:
        """Make rows due again at once that nobody holds."""
        statement = update(outbox).where(
            outbox.c.destination == destination,
            outbox.c.state.in_(OPEN if blocked else [PENDING]),
            outbox.c.owner == NOBODY,
        )
        if dedup is not None:
            statement = statement.where(outbox.c.dedup == dedup)
        return await self._free(statement.values(state=PENDING, due=outbox.c.created_at))

    async def replay(self, destination: str, key: str) -> int:
        """Make all deliveries of a key due once more, done ones too; what is under way is fenced."""
        return await self._free(
            update(outbox)
            .where(outbox.c.destination == destination, outbox.c.key == key, outbox.c.whole)
            .values(
                state=PENDING,
                due=outbox.c.created_at,
                owner=NOBODY,
                lease_until=outbox.c.created_at,
                attempts=0,
                settled_at=None,
            )
        )

    async def give_up(
        self, destination: str, dedup: str, reason: str, at: datetime
    ) -> Delivery | None:
        """End a row that nobody holds: whoever holds it may have sent it already."""
        statement = (
            update(outbox)
            .where(
                outbox.c.destination == destination,
                outbox.c.dedup == dedup,
                outbox.c.state.in_(OPEN),
                (outbox.c.owner == NOBODY) | (outbox.c.lease_until <= at),
            )
            .values(state=DEAD, owner=NOBODY, reason=reason, settled_at=at)
            .returning(*outbox.c)
        )
        row = (await self._connection.execute(statement)).first()
        await self._ring()
        return _read(row) if row else None

    async def of_order(self, key: str) -> Sequence[Delivery]:
        """Return the deliveries of one key, all destinations."""
        query = select(outbox).where(outbox.c.key == key).order_by(outbox.c.dedup)
        return [_read(row) for row in await self._connection.execute(query)]

    async def blocked(self, limit: int) -> Sequence[Delivery]:
        """Return blocked rows, oldest first."""
        query = select(outbox).where(outbox.c.state == BLOCKED).order_by(outbox.c.dedup)
        return [_read(row) for row in await self._connection.execute(query.limit(limit))]

    async def counts(self) -> dict[tuple[str, str], int]:
        """Return (destination, state) -> number of rows."""
        query = select(outbox.c.destination, outbox.c.state, func.count()).group_by(
            outbox.c.destination, outbox.c.state
        )
        return {
            (destination, state): int(count)
            for destination, state, count in await self._connection.execute(query)
        }

    async def oldest(self) -> dict[str, datetime]:
        """Return destination -> when its oldest open row was added."""
        query = (
            select(outbox.c.destination, func.min(outbox.c.created_at).label("first"))
            .where(outbox.c.state.in_(OPEN))
            .group_by(outbox.c.destination)
        )
        return {row.destination: row.first for row in await self._connection.execute(query)}

    async def prune(self, before: datetime, limit: int) -> int:
        """Drop old payloads; a row's dedup key is what keeps its fact from a second delivery."""
        old = (
            select(outbox.c.dedup)
            .where(outbox.c.whole, outbox.c.settled_at < before, outbox.c.state.in_(SETTLED))
            .limit(limit)
        )
        done = await self._connection.execute(
            update(outbox)
            .where(outbox.c.dedup.in_(old), outbox.c.state.in_(SETTLED))
            .values(payload={}, whole=False)
        )
        return int(done.rowcount)

    async def pause(self, destination: str, paused: bool) -> None:  # noqa: FBT001  a state, not a mode
        """Stop or resume claims for a destination."""
        if paused:
            insert = sql.insert(self._connection, pause).values(destination=destination)
            await self._connection.execute(
                insert.on_conflict_do_nothing(index_elements=["destination"])
            )
        else:
            await self._free(delete(pause).where(pause.c.destination == destination))

    async def paused(self) -> frozenset[str]:
        """Return the paused destinations."""
        rows = await self._connection.execute(select(pause.c.destination))
        return frozenset(row.destination for row in rows)

    async def _free(self, statement: Any) -> int:
        done = await self._connection.execute(statement)
        await self._ring()
        return int(done.rowcount)

    async def _ring(self) -> None:
        """Let PostgreSQL wake relays of other processes at the commit; once a transaction will do."""
        if not self._rung and self._connection.dialect.name == "postgresql":
            await sql.notify(self._connection, BELL)
        self._rung = True


_HELD = (
    select(outbox.c.dedup, outbox.c.owner)
    .where(outbox.c.dedup.in_(bindparam("names", expanding=True)), outbox.c.state == PENDING)
    .order_by(outbox.c.dedup)
    .with_for_update()
)
_SETTLE: Update = (
    update(outbox)
    .where(outbox.c.dedup == bindparam("of"))
    .values(
        state=bindparam("becomes"),
        due=func.coalesce(bindparam("at", type_=Moment()), outbox.c.due),
        reason=bindparam("why"),
        reference=bindparam("found"),
        settled_at=bindparam("settled"),
        attempts=outbox.c.attempts - bindparam("untried"),
        owner=NOBODY,
        lease_until=outbox.c.created_at,
    )
)


def _fresh(item: Delivery) -> dict[str, Any]:
    return {
        **sql.values_of(item),
        "due": item.due or item.created_at,
        "owner": NOBODY,
        "lease_until": item.created_at,
        "block": int(item.dedup.split("/", 1)[0]),
    }


def _outcome(item: Outcome) -> dict[str, Any]:
    return {
        "of": item.dedup,
        "becomes": item.state.value,
        "at": item.due,
        "why": item.reason,
        "found": item.reference,
        "settled": item.at if item.state.value in SETTLED else None,
        "untried": 0 if item.tried else 1,
    }


def _heads(destination: ColumnElement[str]) -> Select[tuple[str]]:
    """Rows (`this`) that are due, free, and have no open row of their key before them."""
    this, earlier = _THIS, outbox.alias("earlier")
    behind = select(1).where(
        earlier.c.destination == this.c.destination,
        earlier.c.key == this.c.key,
        earlier.c.dedup < this.c.dedup,
        earlier.c.state.in_(OPEN),
    )
    halted = select(1).where(pause.c.destination == destination)
    return select(this.c.dedup).where(
        this.c.destination == destination,
        this.c.state == PENDING,
        this.c.due <= _NOW,
        this.c.lease_until <= _NOW,
        ~behind.exists(),
        ~halted.exists(),
    )


@cache
def _look(count: int) -> Select[Any]:
    """Say of so many destinations, each in a column of its own, whether there is something to claim."""
    names = [bindparam(f"name{at}", type_=outbox.c.destination.type) for at in range(count)]
    found: list[ColumnElement[Any]] = [
        _waits(name).label(f"waits{at}") for at, name in enumerate(names)
    ]
    return select(*found)


def _waits(destination: ColumnElement[str]) -> ColumnElement[bool]:
    alone = select(1).where(circuit.c.destination == destination, circuit.c.until > _NOW)
    return _heads(destination).where(~alone.exists()).exists()


def _claim() -> Any:
    """Lease heads in order of due: who failed last is due last, and not always the first to be tried.

    A CTE, because PostgreSQL may evaluate a plain IN-subselect with LIMIT more than once. SQLite
    ignores FOR UPDATE: there BEGIN IMMEDIATE serialises.
    """
    head = (
        _heads(bindparam("name", type_=outbox.c.destination.type))
        .order_by(_THIS.c.due, _THIS.c.dedup)
        .limit(bindparam("most", type_=Integer()))
        .with_for_update(of=_THIS, skip_locked=True)
        .cte("head")
    )
    return (
        update(outbox)
        .where(
            outbox.c.dedup.in_(select(head.c.dedup)),
            outbox.c.state == PENDING,
            outbox.c.lease_until <= _NOW,
        )
        .values(
            owner=bindparam("claimant"),
            lease_until=bindparam("until"),
            attempts=outbox.c.attempts + 1,
        )
        .returning(*outbox.c)
    )


_CLAIM = _claim()


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
        owner=row.owner,
        settled_at=row.settled_at,
    )
