"""Cost of an order by what is stored already: the verbs on a database with a thousand, and with many.

The verbs are the real ones and so is the database; the chain is the one in memory, so that what
is measured is the service's own work: post, propose, follow, deliver.
"""

from __future__ import annotations

import time
from pathlib import Path

from sqlalchemy import Table, text

from ledger_service.db import tables
from ledger_service.db.migrations import upgrade
from ledger_service.db.session import SqlStore, make_engine
from tests.bench.figures import Against, Result, Target, median
from tests.bench.options import Options, fresh
from tests.unit.services.site import Site, World

FEW, MANY = 1_000, 100_000
ORDERS, BATCH = 100, 20
SAME = Target(1.25, "at most")
FIRST = 1_000_000
PLACE = "printf('%012d/000000/%06d', names.n, src.rowid)"
#: What points to a thing points to its copy of the same number.
COPIED: dict[Table, dict[str, str]] = {
    tables.evidence: dict.fromkeys(("id", "dataset_root", "device"), "names.name"),
    tables.maintenance_order: dict.fromkeys(("id", "evidence", "dataset_root"), "names.name"),
    tables.hop: {"evidence": "names.name"},
    tables.feed: {"order": "names.name", "sequence": "names.n"},
    tables.outgoing: {
        "key": "'propose:' || lower(hex(names.name))",
        "nonce": "names.n",
        "hash": "names.name",
    },
    tables.fact: {"order": "names.name", "id": PLACE},
    tables.proof: {"order": "names.name"},
    tables.outbox: {"key": "lower(hex(names.name))", "dedup": PLACE},
}


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
    names = [{"n": FIRST + n, "name": n.to_bytes(32)} for n in range(1, count + 1)]
    async with store.engine.begin() as connection:
        await connection.execute(text("CREATE TEMP TABLE names (n INTEGER, name BLOB)"))
        await connection.execute(text("INSERT INTO names VALUES (:n, :name)"), names)
        for table, changed in COPIED.items():
            columns = [column.name for column in table.columns if column.name != "number"]
            wanted = ", ".join(changed.get(name, f'src."{name}"') for name in columns)
            quoted = ", ".join(f'"{name}"' for name in columns)
            copy = (
                f"INSERT INTO {table.name} ({quoted}) SELECT {wanted} FROM {table.name} src, names"  # noqa: S608  our own names
            )
            await connection.execute(text(copy))
