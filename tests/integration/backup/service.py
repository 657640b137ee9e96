from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger_service import settings as config
from ledger_service.db.migrations import upgrade
from ledger_service.db.session import SqlStore, make_engine
from ledger_service.db.tables import metadata
from ledger_service.domain import ids
from ledger_service.domain.facts import Dispute
from ledger_service.domain.lifecycle import Outcome
from ledger_service.domain.records import Result
from ledger_service.storage import copies
from ledger_service.storage.objects import Objects, open_objects
from ledger_service.wiring import backup
from ledger_service.wiring.restore import Restored, Wanted, bring_back
from ledger_service.wiring.service import database_url
from tests.conformance import rows as make
from tests.unit.services.gateway import Packed
from tests.unit.services.site import Site, World

GENESIS = ids.BlockHash(bytes(range(32)))
DEPLOYMENT = {
    "chainId": 1337,
    "genesis": GENESIS.hex(),
    "consortium": ids.checksum(ids.Address(b"\x0c" * 20)),
    "orders": ids.checksum(ids.Address(b"\x0d" * 20)),
    "block": 0,
}
#: Nobody answers there: what a node would say of the copy's last block is another test's.
NETWORK = {
    "kind": "embedded",
    "chainId": 1337,
    "nodes": [
        {"name": "n", "validator": True, "rpc": "http://127.0.0.1:9", "ws": "ws://127.0.0.1:9"}
    ],
    "validators": ["0x" + "00" * 20],
    "finality": {"depth": 0},
    "blockPeriod": 0,
    "feePolicy": {"type": 0, "gasPrice": 0},
}
DISPUTE = Dispute(
    7,
    ids.BlockHash(make.word("ours", 7)),
    ids.BlockHash(make.word("theirs", 7)),
    "a",
    "b",
    make.NOW,
)
SQLITE = "sqlite+aiosqlite:///mol.db"


def quiet(what: str, done: int, total: int) -> None:
    """Show nobody how far it is."""
    assert 0 <= done <= total, what


@dataclass
class Service:
    """A service's folder with its settings, database and objects; no process runs on it."""

    folder: Path
    url: str

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.write("deployment.json", json.dumps(DEPLOYMENT))
        self.write("network.json", json.dumps(NETWORK))
        self.write("mol.toml", f'[database]\nurl = "{self.url}"\n')

    def write(self, name: str, content: str) -> None:
        (self.folder / name).write_text(content, encoding="utf-8")

    @property
    def settings(self) -> config.Settings:
        return config.load(self.folder / "mol.toml")

    @property
    def objects(self) -> Objects:
        return open_objects(str(self.folder / "objects"))

    @property
    def database(self) -> str:
        return database_url(self.settings)

    def store(self) -> SqlStore:
        return SqlStore(make_engine(self.database))

    async def fill(self, count: int = 3) -> list[Packed]:
        """Let a service work: orders approved, one completed, one refused, one under way."""
        store = self.store()
        await upgrade(store.engine)
        world = World(store=store, objects=self.objects)
        site = Site(world)
        packed = [world.gateway.pack() for _ in range(count)]
        order = await site.validate(packed[0])
        await site.close.complete(order.id, Outcome.CURED, b"done")
        await site.post(packed[1])
        await world.refuse(await site.propose(packed[1]), 2)
        await world.ledger.mine()
        await site.take_in()
        for item in packed[2:]:
            await site.post(item)
        await site.anchor.step()
        async with store.transaction() as rows:
            await rows.tokens.add(make.token(1))
            await rows.tokens.add(make.token(2))
            await rows.tokens.revoke("token-2", make.NOW)
            await rows.outbox.pause("erp", paused=True)
            await rows.orders.add_result(Result(order.id, 1, b"{}"))
            await rows.disputes.add(DISPUTE)
        await store.close()
        return packed

    async def back_up(self, home: Path, **options: Any) -> copies.Copy:
        made, _ = await backup.make(self.settings, home, quiet, **options)
        return made

    async def restore(self, home: Path, name: str = "", **wanted: bool) -> Restored:
        with copies.reading(home, name) as copy:
            return await bring_back(self.settings, copy, Wanted(**wanted), quiet)

    async def rows(self) -> dict[str, list[Any]]:
        """Return all rows of all tables, but the feed's line that tells of a restore."""
        store = self.store()
        async with store.snapshot() as connection:
            found = {name: await _rows(connection, name) for name in metadata.tables}
        await store.close()
        return found

    def stored(self) -> dict[str, bytes]:
        """Return every object, half-written ones too."""
        root = self.folder / "objects"
        files = (path for path in root.rglob("*") if path.is_file())
        return {str(path.relative_to(root)): path.read_bytes() for path in files}

    async def has_database(self) -> bool:
        """Say whether there is one that a service would work with."""
        if self.url == SQLITE:
            return (self.folder / "mol.db").exists()
        store = self.store()
        async with store.snapshot() as connection:
            query = text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            found = (await connection.execute(query)).scalar_one()
        await store.close()
        return bool(found)

    async def is_untouched(self) -> bool:
        """Say whether there is neither a database nor an object."""
        left = [*self.folder.glob("mol.db*"), *self.stored()]
        return not left and not await self.has_database()


async def _rows(connection: AsyncConnection, name: str) -> list[Any]:
    table = metadata.tables[name]
    key = [column.name for column in table.primary_key]
    query = select(table).order_by(*(table.c[column] for column in key))
    found = [tuple(row) for row in await connection.execute(query)]
    return [row for row in found if "restored" not in row] if name == "feed" else found


Make = Callable[[str], Service]
