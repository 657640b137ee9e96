"""Blocks followed, the cursor, facts and proofs, in SQL. The cursor defends itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger_service.db import facts as codec
from ledger_service.db import sql
from ledger_service.db.outbox import OPEN
from ledger_service.db.tables import block, cursor, fact, maintenance_order, outbox, proof
from ledger_service.domain import errors, ids
from ledger_service.domain.facts import Block, CapturedProof, Fact, Place, Proposed

CURSOR = "final"


class SqlChain:
    """The ChainRows port."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def cursor(self) -> Block | None:
        """Return the last block taken in."""
        query = select(block).join(cursor, cursor.c.block == block.c.number)
        row = (await self._connection.execute(query.where(cursor.c.name == CURSOR))).first()
        return _block(row) if row else None

    async def advance(self, to: Block, expected: Block | None) -> None:
        """Move the cursor by an UPDATE whose WHERE says what is believed.

        The cursor before the block: of two that follow, the second waits here and is told.
        """
        if expected is None:
            await self._begin(to)
        else:
            await self._move(to, expected)
        await self._connection.execute(block.insert().values(**sql.values_of(to)))

    async def _move(self, to: Block, expected: Block) -> None:
        moved = await self._connection.execute(
            update(cursor)
            .where(
                cursor.c.name == CURSOR,
                cursor.c.block == expected.number,
                cursor.c.hash == expected.hash,
            )
            .values(block=to.number, hash=to.hash)
        )
        if moved.rowcount != 1:
            raise errors.CursorMoved(expected=expected.number, wanted=to.number)

    async def hold(self) -> None:
        """Lock the cursor, which whoever takes a block in moves first."""
        query = select(cursor.c.block).where(cursor.c.name == CURSOR)
        await self._connection.execute(query.with_for_update())

    async def strays(self, builder: ids.Address, of: ids.EvidenceId | None) -> Sequence[Proposed]:
        """Return proposals of a builder without a row of the order."""
        known = select(1).where(maintenance_order.c.id == fact.c.order)
        content = fact.c.fields["content"]
        query = select(fact).where(
            fact.c.kind == Proposed.__name__,
            ~known.exists(),
            content["builder"].as_string() == ids.checksum(builder),
        )
        if of is not None:
            query = query.where(content["evidence"].as_string() == of.hex())
        rows = await self._connection.execute(query.order_by(fact.c.id))
        events = [_fact(row).event for row in rows]
        return [event for event in events if isinstance(event, Proposed)]

    async def block(self, number: int) -> Block | None:
        """Return a block taken in."""
        row = (
            await self._connection.execute(select(block).where(block.c.number == number))
        ).first()
        return _block(row) if row else None

    async def rewind(self, to: Block, expected: Block) -> Sequence[ids.OrderId]:
        """Move the cursor back and drop all above `to`; deliveries that are over stay so.

        The cursor first: what another that follows has not committed yet, no DELETE would see.
        """
        await self._move(to, expected)
        query = select(fact.c.order).where(fact.c.block > to.number).distinct()
        touched = [ids.OrderId(row.order) for row in await self._connection.execute(query)]
        for table in (fact, proof):
            await self._connection.execute(delete(table).where(table.c.block > to.number))
        await self._connection.execute(
            delete(outbox).where(outbox.c.block > to.number, outbox.c.state.in_(OPEN))
        )
        await self._connection.execute(delete(block).where(block.c.number > to.number))
        return touched

    async def add_fact(self, *items: Fact) -> frozenset[str]:
        """Insert those that are not there."""
        if not items:
            return frozenset()
        insert = sql.insert(self._connection, fact).returning(fact.c.id)
        done = await self._connection.execute(
            insert.on_conflict_do_nothing(index_elements=["id"]), [_fact_row(it) for it in items]
        )
        return frozenset(row.id for row in done)

    async def facts(self, *orders: ids.OrderId) -> Sequence[Fact]:
        """Return the facts of orders, in chain order."""
        query = select(fact).where(fact.c.order.in_(orders)).order_by(fact.c.id)
        return [_fact(row) for row in await self._connection.execute(query)]

    async def add_proof(self, *items: CapturedProof) -> None:
        """Keep proofs; the same place again changes nothing."""
        if items:
            insert = sql.insert(self._connection, proof)
            await self._connection.execute(
                insert.on_conflict_do_nothing(index_elements=["order", "block"]),
                [sql.values_of(item) for item in items],
            )

    async def proofs(self, order: ids.OrderId) -> Sequence[CapturedProof]:
        """Return an order's proofs in chain order."""
        query = select(proof).where(proof.c.order == order).order_by(proof.c.block)
        return [
            CapturedProof(
                order=ids.OrderId(row.order),
                block=row.block,
                block_hash=ids.BlockHash(row.block_hash),
                header=row.header,
                account_proof=row.account_proof,
                receipt_proof=row.receipt_proof,
            )
            for row in await self._connection.execute(query)
        ]

    async def _begin(self, at: Block) -> None:
        insert = sql.insert(self._connection, cursor).values(
            name=CURSOR, block=at.number, hash=at.hash
        )
        done = await self._connection.execute(
            insert.on_conflict_do_nothing(index_elements=["name"])
        )
        if done.rowcount != 1:
            raise errors.CursorMoved(expected="no cursor", wanted=at.number)


def _block(row: Row[Any]) -> Block:
    return Block(row.number, ids.BlockHash(row.hash), ids.BlockHash(row.parent), row.time)


def _fact_row(item: Fact) -> dict[str, Any]:
    kind, values = codec.dump(item.event)
    return {
        "id": item.place.id,
        "order": item.event.order,
        "block": item.place.block,
        "block_hash": item.place.block_hash,
        "transaction": item.place.transaction,
        "kind": kind,
        "fields": values,
    }


def _fact(row: Row[Any]) -> Fact:
    number, transaction_index, log_index = (int(part) for part in row.id.split("/"))
    place = Place(
        block=number,
        block_hash=ids.BlockHash(row.block_hash),
        transaction_index=transaction_index,
        log_index=log_index,
        transaction=ids.TxHash(row.transaction),
    )
    return Fact(place, codec.load(row.kind, row.fields))
