"""Cost of an order by what is stored already: the verbs on a database with a thousand, and with many.

The verbs are the real ones and so is the database; the chain is the one in memory, so that what
is measured is the service's own work: post, propose, follow, deliver.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from sqlalchemy import Table, select

from ledger_service.db import tables
from ledger_service.db.migrations import upgrade
from ledger_service.db.session import SqlStore, make_engine
from tests.bench.figures import Against, Result, Target, median
from tests.bench.options import Options, fresh
from tests.unit.services.site import Site, World

FEW, MANY = 1_000, 100_000
ORDERS, BATCH = 100, 20
SAME = Target(1.25, "at most")
AT_ONCE = 1_000
FIRST = 1_000_000
COPIED = (
    *(tables.evidence, tables.maintenance_order, tables.hop, tables.feed, tables.outgoing),
    *(tables.fact, tables.proof, tables.outbox),
)


async def measure(options: Options) -> list[Result]:
    """Measure on SQLite."""
    folder = fresh("stored")
    few, many = [await _cost(options, folder / f"{count}.db", count) for count in (FEW, MANY)]
    against = Against(f"with {FEW:,} stored", few)
    return [Result(f"an order with {MANY:,} stored", many, "ms", against, SAME)]


async def _cost(options: Options, file: Path, count: int) -> float:
    """Return milliseconds an order, of a batch in the middle."""
    options.say(f"{count:,} orders are stored")
    engine = make_engine(f"sqlite+aiosqlite:///{file}")
    await upgrade(engine)
    store = SqlStore(engine)
    site = Site(World(store=store))
    await _fill(store, site, count)
    each = [await _batch(site) for _ in range(ORDERS // BATCH)]
    await store.close()
    return 1000 * median(each) / BATCH


async def _batch(site: Site) -> float:
    packed = [site.world.gateway.pack() for _ in range(BATCH)]
    began = time.perf_counter()
    for item in packed:
        await site.post(item)
    order = await site.propose(packed[0])
    await site.anchor.reconcile()
    for item in packed:
        order = (await site.track.evidence(item.id)).orders[-1]
        await site.world.approve(order)
        await site.world.ledger.mine()
    await site.take_in()
    await site.deliver()
    return time.perf_counter() - began


async def _fill(store: SqlStore, site: Site, count: int) -> None:
    """Copy one order that went all the way so many times, each under names of its own."""
    await site.validate(site.world.gateway.pack())
    await site.anchor.reconcile()
    for table in COPIED:
        async with store.engine.connect() as connection:
            found = (await connection.execute(select(table))).mappings().all()
        for start in range(0, count, AT_ONCE):
            copies = [
                _copy(table, dict(row), number, at)
                for number in range(start, min(start + AT_ONCE, count))
                for at, row in enumerate(found)
            ]
            async with store.engine.begin() as connection:
                await connection.execute(table.insert(), copies)


def _copy(table: Table, row: dict[str, Any], number: int, at: int) -> dict[str, Any]:
    """Return a row under other names: what points to a thing points to its copy of the same number."""
    name = (number + 1).to_bytes(32)
    named: dict[str, Any] = {
        "evidence": {"id": name, "dataset_root": name, "device": name},
        "maintenance_order": {"id": name, "evidence": name, "dataset_root": name},
        "hop": {"evidence": name},
        "feed": {"order": name, "sequence": FIRST + number},
        "outgoing": {"key": f"propose:{name.hex()}", "nonce": FIRST + number, "hash": name},
        "fact": {"order": name, "id": f"{FIRST + number:012d}/000000/{at:06d}"},
        "proof": {"order": name},
        "outbox": {"key": name.hex(), "dedup": f"{FIRST + number:012d}/000000/{at:06d}"},
    }
    own: dict[str, Any] = named[table.name]
    return {k: v for k, v in row.items() if k != "number"} | own
