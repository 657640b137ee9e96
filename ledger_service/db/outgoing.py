"""Signed transactions and the nonce of each key, in SQL. Safety sits in the constraints."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, String, bindparam, cast, func, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger_service.db import sql
from ledger_service.db.tables import outgoing, signer
from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Signed
from ledger_service.domain.records import Earlier, Outgoing, TxState

#: In words and no parameter: SQLite takes the partial index only where it sees that it applies.
_STORED = outgoing.c.state == literal_column(f"'{TxState.STORED.value}'")
_UNFINISHED = (
    select(outgoing)
    .where(outgoing.c.signer == bindparam("key"), _STORED)
    .order_by(outgoing.c.nonce)
)


class SqlOutgoing:
    """The OutgoingRows port."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def next_nonce(self, key: ids.Address, at_least: int, count: int = 1) -> int:
        """Return the first of the next nonces and count them up; the row stays locked to the commit."""
        insert = sql.insert(self._connection, signer).values(address=key, next_nonce=at_least)
        await self._connection.execute(insert.on_conflict_do_nothing(index_elements=["address"]))
        query = select(signer.c.next_nonce).where(signer.c.address == key).with_for_update()
        nonce = max(int((await self._connection.execute(query)).scalar_one()), at_least)
        await self._connection.execute(
            update(signer).where(signer.c.address == key).values(next_nonce=nonce + count)
        )
        return nonce

    async def add(self, *items: Outgoing) -> None:
        """Insert. Raise Conflict (purpose used) or NonceTaken."""
        await self._set_aside([item.key for item in items])
        values = [
            {
                **sql.values_of(item),
                "orders": [order.hex() for order in item.orders],
                "earlier": _plain(item.earlier),
            }
            for item in items
        ]
        insert = sql.insert(self._connection, outgoing).on_conflict_do_nothing()
        done = await self._connection.execute(insert.returning(outgoing.c.key), values)
        added = {row.key for row in done}
        left = next((item for item in items if item.key not in added), None)
        if left is None:
            return
        if await self.get(left.key) is not None:
            raise errors.Conflict("This transaction is already stored.", found=left.key)
        raise errors.NonceTaken(found=left.nonce, signer=left.signer.hex())

    async def get(self, key: str) -> Outgoing | None:
        """Return it by purpose."""
        row = (
            await self._connection.execute(select(outgoing).where(outgoing.c.key == key))
        ).first()
        return _read(row) if row else None

    async def unfinished(self, key: ids.Address) -> Sequence[Outgoing]:
        """Return what is stored and not mined, by nonce."""
        rows = await self._connection.execute(_UNFINISHED, {"key": key})
        return [_read(row) for row in rows]

    async def at(self, signer: ids.Address, nonce: int) -> Outgoing | None:
        """Return what a nonce was used for."""
        table = outgoing.c
        query = select(outgoing).where(table.signer == signer, table.nonce == nonce)
        row = (await self._connection.execute(query)).first()
        return _read(row) if row else None

    async def overdue(self, before: datetime) -> Sequence[Outgoing]:
        """Return what was stored before a moment and is not mined."""
        query = (
            select(outgoing)
            .where(_STORED, outgoing.c.created_at < before)
            .order_by(outgoing.c.nonce)
        )
        return [_read(row) for row in await self._connection.execute(query)]

    async def settle(self, keys: Sequence[str], state: TxState, reason: str = "") -> None:
        """Say what became of them."""
        if keys:
            settled = update(outgoing).where(outgoing.c.key.in_(keys))
            await self._connection.execute(settled.values(state=state.value, reason=reason))

    async def end(self, item: Outgoing, state: TxState, reason: str = "") -> bool:
        """Say what became of this very nonce: the purpose alone may be another one's by now."""
        table = outgoing.c
        done = await self._connection.execute(
            update(outgoing)
            .where(table.key == item.key, table.nonce == item.nonce, _STORED)
            .values(state=state.value, reason=reason)
        )
        return bool(done.rowcount)

    async def sent(self, keys: Sequence[str], at: datetime, *, refused: bool | None) -> None:
        """Count a broadcast of each."""
        values: dict[str, Any] = {"sends": outgoing.c.sends + 1, "sent_at": at}
        if refused is not None:
            values["refused_at"] = func.coalesce(outgoing.c.refused_at, at) if refused else None
        await self._connection.execute(
            update(outgoing).where(outgoing.c.key.in_(keys)).values(values)
        )

    async def refused(self) -> Sequence[Outgoing]:
        """Return what is stored and taken by no node."""
        query = (
            select(outgoing)
            .where(_STORED, outgoing.c.refused_at.is_not(None))
            .order_by(outgoing.c.nonce)
        )
        return [_read(row) for row in await self._connection.execute(query)]

    async def sign_anew(self, item: Outgoing, signed: Signed, *, void: bool, why: str) -> None:
        """Replace the bytes by an UPDATE that says which they were."""
        earlier = (*item.earlier, Earlier(item.hash, item.void))
        done = await self._connection.execute(
            update(outgoing)
            .where(
                outgoing.c.key == item.key,
                outgoing.c.hash == item.hash,
                outgoing.c.state == TxState.STORED.value,
            )
            .values(hash=signed.hash, raw=signed.raw, void=void, earlier=_plain(earlier))
            .values(reason=why, sends=0, sent_at=None, refused_at=None)
        )
        if not done.rowcount:
            raise errors.Conflict("It was settled or signed anew meanwhile.", found=item.key)

    async def _set_aside(self, keys: Sequence[str]) -> None:
        """Give purposes that failed another name, so that they may be tried again."""
        table = outgoing.c
        await self._connection.execute(
            update(outgoing)
            .where(table.key.in_(keys), table.state == TxState.FAILED.value)
            .values(key=table.key + "~" + cast(table.nonce, String))
        )


def _plain(earlier: Sequence[Earlier]) -> list[list[Any]]:
    return [[item.hash.hex(), item.void] for item in earlier]


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
        sent_at=row.sent_at,
        refused_at=row.refused_at,
        void=row.void,
        earlier=tuple(Earlier(ids.TxHash(bytes.fromhex(of)), void) for of, void in row.earlier),
    )
