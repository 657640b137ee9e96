"""Signed transactions and the nonce of each key, in SQL. Safety sits in the constraints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger_service.db import sql
from ledger_service.db.tables import outgoing, signer
from ledger_service.domain import errors, ids
from ledger_service.domain.records import Outgoing, TxState


class SqlOutgoing:
    """The OutgoingRows port."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def next_nonce(self, key: ids.Address, at_least: int) -> int:
        """Return the next nonce and count it up; the row stays locked to the commit."""
        insert = sql.insert(self._connection, signer).values(address=key, next_nonce=at_least)
        await self._connection.execute(insert.on_conflict_do_nothing(index_elements=["address"]))
        query = select(signer.c.next_nonce).where(signer.c.address == key).with_for_update()
        nonce = max(int((await self._connection.execute(query)).scalar_one()), at_least)
        await self._connection.execute(
            update(signer).where(signer.c.address == key).values(next_nonce=nonce + 1)
        )
        return nonce

    async def add(self, item: Outgoing) -> None:
        """Insert. Raise Conflict (purpose used) or NonceTaken."""
        values = {**sql.values_of(item), "orders": [order.hex() for order in item.orders]}
        insert = sql.insert(self._connection, outgoing).values(**values)
        done = await self._connection.execute(
            insert.on_conflict_do_nothing().returning(outgoing.c.key)
        )
        if done.first() is not None:
            return
        if await self.get(item.key) is not None:
            raise errors.Conflict("This transaction is already stored.", found=item.key)
        raise errors.NonceTaken(found=item.nonce, signer=item.signer.hex())

    async def get(self, key: str) -> Outgoing | None:
        """Return it by purpose."""
        row = (
            await self._connection.execute(select(outgoing).where(outgoing.c.key == key))
        ).first()
        return _read(row) if row else None

    async def unfinished(self, key: ids.Address) -> Sequence[Outgoing]:
        """Return what is stored and not mined, by nonce."""
        query = (
            select(outgoing)
            .where(outgoing.c.signer == key, outgoing.c.state == TxState.STORED.value)
            .order_by(outgoing.c.nonce)
        )
        return [_read(row) for row in await self._connection.execute(query)]

    async def settle(self, key: str, state: TxState, reason: str = "") -> None:
        """Say what became of it."""
        await self._connection.execute(
            update(outgoing).where(outgoing.c.key == key).values(state=state.value, reason=reason)
        )

    async def sent(self, key: str) -> None:
        """Count a broadcast."""
        await self._connection.execute(
            update(outgoing).where(outgoing.c.key == key).values(sends=outgoing.c.sends + 1)
        )


def _read(row: Row[Any]) -> Outgoing:
    return Outgoing(
        key=row.key,
        signer=ids.Address(row.signer),
        nonce=row.nonce,
        hash=ids.TxHash(row.hash),
        raw=row.raw,
        created_at=row.created_at,
        orders=tuple(ids.OrderId(bytes.fromhex(order)) for order in row.orders),
        state=TxState(row.state),
        sends=row.sends,
        reason=row.reason,
    )
