"""How many statements the database gets: a block of many orders costs no more of them than one of few."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import event

from ledger_service.db.migrations import upgrade
from ledger_service.db.session import SqlStore, make_engine
from tests.unit.services.site import Site, World


class Statements:
    """Counts what a store's connections execute; many rows by one statement are one."""

    def __init__(self, store: SqlStore) -> None:
        self.count = 0
        event.listen(store.engine.sync_engine, "before_cursor_execute", self._seen)

    def _seen(self, *_: Any) -> None:
        self.count += 1


async def test_a_block_of_many_orders_is_taken_in_by_as_many_statements_as_one_of_one(
    tmp_path: Path,
) -> None:
    store = SqlStore(make_engine(f"sqlite+aiosqlite:///{tmp_path / 'service.db'}"))
    await upgrade(store.engine)
    statements, site = Statements(store), Site(World(store=store))

    async def spent(orders: int) -> int:
        for _ in range(orders):
            await site.post(site.world.gateway.pack())
        await site.anchor.step()
        await site.world.ledger.mine()
        for order in await site.track.orders(limit=orders):
            await site.world.approve(order)
        await site.world.ledger.mine()
        before = statements.count
        await site.take_in()
        return statements.count - before

    await spent(1)  # with the chain's first blocks
    one, many = await spent(1), await spent(12)
    async with store.reading() as rows:
        waiting = await rows.outbox.counts()
    await store.close()

    assert waiting == {(it.name, "pending"): 14 for it in site.world.destinations}
    assert many == one
