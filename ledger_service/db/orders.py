"""Orders, results and the feed to the organisations, in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, Update, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger_service.db import sql
from ledger_service.db.tables import feed, maintenance_order, result
from ledger_service.domain import errors, ids, lifecycle
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.order import Content
from ledger_service.domain.records import Announcement, Move, Order, Result
from ledger_service.domain.result import result_digest


class SqlOrders:
    """The OrderRows port."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, *items: Order) -> None:
        """Insert; the same id again changes nothing. Raise Conflict if another has the attempt."""
        values = [
            {
                **sql.values_of(item),
                "content": item.content.as_json(),
                "evidence": item.content.evidence,
                "dataset_root": item.content.dataset_root,
                "attempt": item.content.attempt,
            }
            for item in items
        ]
        insert = sql.insert(self._connection, maintenance_order).on_conflict_do_nothing()
        done = await self._connection.execute(insert.returning(maintenance_order.c.id), values)
        there = {ids.OrderId(row.id) for row in done}
        if len(there) < len(items):
            there |= (await self.evidence_of([item.id for item in items])).keys()
        left = next((item for item in items if item.id not in there), None)
        if left is not None:
            raise errors.Conflict("Another order makes this attempt.", found=left.content.attempt)

    async def evidence_of(
        self, orders: Sequence[ids.OrderId]
    ) -> Mapping[ids.OrderId, ids.EvidenceId]:
        """Return the evidence of each order that is there."""
        table = maintenance_order.c
        query = select(table.id, table.evidence).where(table.id.in_(orders))
        return {
            ids.OrderId(row.id): ids.EvidenceId(row.evidence)
            for row in await self._connection.execute(query)
        }

    async def void(self, wanted: ids.OrderId) -> None:
        """Give its attempt free."""
        table = maintenance_order
        await self._connection.execute(
            update(table).where(table.c.id == wanted).values(attempt=None)
        )

    async def get(self, wanted: ids.OrderId) -> Order:
        """Return it. Raise NotFound."""
        query = select(maintenance_order).where(maintenance_order.c.id == wanted)
        row = (await self._connection.execute(query)).first()
        if row is None:
            raise errors.NotFound("No such order.", found=wanted.hex())
        return _read(row)

    async def some(self, *orders: ids.OrderId) -> Mapping[ids.OrderId, Order]:
        """Return those that are there."""
        return {item.id: item for item in await self._all(maintenance_order.c.id.in_(orders))}

    async def of_evidence(self, *evidence: ids.EvidenceId) -> Sequence[Order]:
        """Return all attempts, first one first."""
        return await self._all(maintenance_order.c.evidence.in_(evidence))

    async def opened(self, limit: int, after: ids.OrderId | None = None) -> Sequence[Order]:
        """Return a page of what is Proposed, oldest first."""
        table = maintenance_order
        query = select(table).where(table.c.status == int(Status.PROPOSED))
        if after is not None:
            behind = select(table.c.number).where(table.c.id == after).scalar_subquery()
            query = query.where(table.c.number > behind)
        query = query.order_by(table.c.number).limit(limit)
        return [_read(row) for row in await self._connection.execute(query)]

    async def of_dataset(self, root: ids.DatasetRoot) -> Sequence[Order]:
        """Return all orders of a dataset."""
        return await self._all(maintenance_order.c.dataset_root == root)

    async def beginning(self, digits: str) -> Sequence[Order]:
        """Return two of those whose id begins so; fewer if there are."""
        table = maintenance_order
        least, most = (bytes.fromhex(digits.ljust(64, digit)) for digit in "0f")
        query = select(table).where(table.c.id.between(least, most)).limit(2)
        return [_read(row) for row in await self._connection.execute(query)]

    async def list(
        self, *, limit: int, status: Status | None = None, asset: str | None = None
    ) -> Sequence[Order]:
        """Return the newest first."""
        query = select(maintenance_order).order_by(maintenance_order.c.number.desc()).limit(limit)
        if status is not None:
            query = query.where(maintenance_order.c.status == int(status))
        if asset is not None:
            query = query.where(maintenance_order.c.asset == asset)
        return [_read(row) for row in await self._connection.execute(query)]

    async def move(self, *moves: Move) -> None:
        """Set statuses by the lifecycle's table."""
        if not moves:
            return
        # Locked, so that what the table is asked about is still so when the status is set.
        table, names = maintenance_order.c, {to.order for to in moves}
        query = select(table.id, table.status).where(table.id.in_(sorted(names)))
        query = query.order_by(table.number).with_for_update()
        present = {row.id: Status(row.status) for row in await self._connection.execute(query)}
        for to in moves:
            if to.order not in present:
                raise errors.NotFound("No such order.", found=to.order.hex())
            lifecycle.check_move(present[to.order], to.status)
            present[to.order] = to.status
        await self._connection.execute(
            _SET, [_set(to.order, to.status, to.block, to.reason) for to in moves]
        )

    async def reset(self, wanted: ids.OrderId, status: Status, block: int | None) -> None:
        """Set the status anew after a rewind."""
        await self._connection.execute(_SET, [_set(wanted, status, block, "")])

    async def add_result(self, *items: Result) -> None:
        """Keep result documents beside the others; the same again changes nothing."""
        values = [{**sql.values_of(item), "digest": result_digest(item.document)} for item in items]
        if values:
            insert = sql.insert(self._connection, result).on_conflict_do_nothing()
            await self._connection.execute(insert, values)

    async def results(self, *orders: ids.OrderId) -> Sequence[Result]:
        """Return the result documents handed in, by order, organisation and digest."""
        table = result.c
        query = select(result).where(table.order.in_(orders))
        query = query.order_by(table.order, table.organisation, table.digest)
        return [
            Result(ids.OrderId(row.order), row.organisation, row.document)
            for row in await self._connection.execute(query)
        ]

    async def announce(self, kind: str, order: ids.OrderId, body: dict[str, Any]) -> int:
        """Append to the feed; one announcement per kind and order."""
        await self.announce_all(kind, {order: body})
        known = select(feed.c.sequence).where(feed.c.kind == kind, feed.c.order == order)
        return int((await self._connection.execute(known)).scalar_one())

    async def announce_all(self, kind: str, bodies: Mapping[ids.OrderId, dict[str, Any]]) -> None:
        """Append to the feed what is not there.

        One writer at a time, and the number from the table: numbers of a database sequence may be
        committed out of order, and a reader behind the higher one would never see the lower.
        """
        await sql.lock(self._connection, feed)
        known = select(feed.c.order).where(feed.c.kind == kind, feed.c.order.in_(bodies))
        told = {row.order for row in await self._connection.execute(known)}
        last = select(func.coalesce(func.max(feed.c.sequence), 0))
        following = int((await self._connection.execute(last)).scalar_one()) + 1
        fresh = [(order, body) for order, body in bodies.items() if order not in told]
        values = [
            {"sequence": at, "kind": kind, "order": order, "body": body}
            for at, (order, body) in enumerate(fresh, following)
        ]
        if values:
            await self._connection.execute(feed.insert(), values)

    async def told(self, kind: str, order: ids.OrderId) -> Announcement | None:
        """Return one announcement."""
        query = select(feed).where(feed.c.kind == kind, feed.c.order == order)
        row = (await self._connection.execute(query)).first()
        return _announcement(row) if row else None

    async def announcements(self, after: int, limit: int) -> Sequence[Announcement]:
        """Return the feed behind a sequence."""
        query = select(feed).where(feed.c.sequence > after).order_by(feed.c.sequence).limit(limit)
        return [_announcement(row) for row in await self._connection.execute(query)]

    async def _all(self, condition: Any) -> Sequence[Order]:
        query = select(maintenance_order).where(condition).order_by(maintenance_order.c.number)
        return [_read(row) for row in await self._connection.execute(query)]


_SET: Update = (
    update(maintenance_order)
    .where(maintenance_order.c.id == bindparam("of"))
    .values(status=bindparam("becomes"), block=bindparam("by"), reason=bindparam("why"))
)


def _set(order: ids.OrderId, status: Status, block: int | None, why: str) -> dict[str, Any]:
    return {"of": order, "becomes": int(status), "by": block, "why": why}


def _announcement(row: Row[Any]) -> Announcement:
    return Announcement(row.sequence, row.kind, ids.OrderId(row.order), row.body)


def _read(row: Row[Any]) -> Order:
    return Order(
        id=ids.OrderId(row.id),
        content=Content.from_json(row.content),
        asset=row.asset,
        document=row.document,
        created_at=row.created_at,
        status=Status(row.status),
        block=row.block,
        reason=row.reason,
    )
