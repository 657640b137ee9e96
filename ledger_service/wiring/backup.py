"""A copy of the service while it runs: all rows on one snapshot, then every object that they name."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from ledger_service import settings as config
from ledger_service.chain.settings import Deployment
from ledger_service.db import transfer
from ledger_service.db.session import LONG_SECONDS, SqlStore, make_engine
from ledger_service.db.transfer import Shape
from ledger_service.domain import dsse, statement
from ledger_service.domain.backup_errors import BackupDamaged, BackupIncomplete
from ledger_service.services.seal import file_key
from ledger_service.storage import copies, named
from ledger_service.storage.copies import OBJECTS, ChainIdentity, Copy, Making, Manifest, Reached
from ledger_service.storage.named import Copied
from ledger_service.storage.objects import Objects, open_objects
from ledger_service.storage.parts import ROWS_AT_ONCE, Part
from ledger_service.wiring.service import database_url

Progress = Callable[[str, int, int], None]  #: what is under way, how much is done, of how much
Named = dict[str, int | None]


@dataclass(frozen=True, slots=True)
class Rows:
    """What was read of the rows. `named`: key -> size of every object that they name, if it is told."""

    schema: str
    tables: tuple[Part, ...]
    named: Named
    cursor: Reached | None


async def make(
    settings: config.Settings, home: Path, progress: Progress, *, allow_missing: bool = False
) -> tuple[Copy, Copied]:
    """Make a copy in a folder; return it, and what became of the objects.

    Rows first: an object is there before a row names it, and is never changed or deleted. Its time is
    of before the rows were read: whoever gives again what came since gives too much, never too little.
    Raise BackupIncomplete, StorageError, ConfigError, InUse.
    """
    chain = chain_of(settings)
    source = open_objects(settings.storage.url, root=settings.root)
    store = SqlStore(make_engine(database_url(settings), command_seconds=LONG_SECONDS))
    try:
        with copies.making(home) as making:
            made_at = datetime.now(UTC)
            async with store.snapshot() as connection:
                rows = await _read_rows(connection, making, progress)
            told = partial(progress, "objects")
            copied = await named.copy(source, kept_in(home), rows.named, told)
            if copied.missing and not allow_missing:
                raise BackupIncomplete(
                    found=f"{len(copied.missing)} missing", first=copied.missing[0]
                )
            return making.finish(_manifest(making, made_at, chain, rows, copied)), copied
    finally:
        await store.close()


async def check(copy: Copy, progress: Progress, *, allow_missing: bool = False) -> tuple[str, ...]:
    """Read all of a copy and compare it with what its names tell; return the objects that are not so.

    Raise BackupDamaged: for such an object too, unless they are allowed to be missing.
    """
    for at, part in enumerate(copy.parts):
        progress("rows", at, len(copy.parts))
        copy.check(part)
    kept, count = kept_in(copy.folder.parent), copy.manifest.objects.rows
    damaged = []
    for at, (key, size) in enumerate(copy.objects()):
        progress("objects", at, count)
        if not await named.is_whole(kept, key, size):
            damaged.append(key)
            if not allow_missing:
                text = "An object is missing, cut short, or not what its name tells."
                raise BackupDamaged(text, object=key)
    progress("objects", count, count)
    return tuple(damaged)


def chain_of(settings: config.Settings) -> ChainIdentity:
    """Return which chain and contracts the service works on. Raise ConfigError."""
    fields = Deployment.load(settings.path(settings.chain.deployment)).as_json()
    return ChainIdentity.model_validate({name: fields[name] for name in ChainIdentity.model_fields})


def kept_in(home: Path) -> Objects:
    """Return the objects of all copies in a folder."""
    return open_objects(str((home / "objects").resolve()))


async def _read_rows(connection: AsyncConnection, making: Making, progress: Progress) -> Rows:
    revision, shapes = await transfer.schema_of(connection)
    found: Named = {}
    reached: list[Reached] = []
    tables = []
    for at, shape in enumerate(shapes):
        progress("rows", at, len(shapes))
        part = making.part(shape.name, dict(shape.columns))
        async for batch in transfer.read(connection, shape):
            part.write(batch)
            for row in _dicts(shape, batch):
                found.update(_objects_of(shape.name, row))
                if shape.name == "cursor":
                    reached.append(_reached(row))
        tables.append(part.close())
    progress("rows", len(shapes), len(shapes))
    return Rows(revision, tuple(tables), found, reached[0] if reached else None)


def _dicts(shape: Shape, batch: list[list[Any]]) -> Iterator[Mapping[str, Any]]:
    for row in batch:
        yield dict(zip(shape.columns, row, strict=True))


def _objects_of(table: str, row: Mapping[str, Any]) -> Iterator[tuple[str, int | None]]:
    """Yield key and size of the objects that a row names."""
    if table == "evidence":
        envelope = dsse.loads(base64.b64decode(row["envelope"]))
        for entry in statement.loads(envelope.payload).entries:
            yield file_key(entry), entry.size
    elif table == "feed" and row["kind"] == "close-out":
        yield f"close-outs/{row['body']['closeOut']}", None


def _reached(row: Mapping[str, Any]) -> Reached:
    return Reached(number=row["block"], hash=base64.b64decode(row["hash"]).hex())


def _manifest(
    making: Making, made_at: datetime, chain: ChainIdentity, rows: Rows, copied: Copied
) -> Manifest:
    part = making.part(OBJECTS, {"key": "text", "size": "integer"})
    sizes = sorted(copied.sizes.items())
    for at in range(0, len(sizes), ROWS_AT_ONCE):
        part.write([key, size] for key, size in sizes[at : at + ROWS_AT_ONCE])
    return Manifest(
        made_at=made_at,
        program=version("maintenance-order-ledger"),
        schema_=rows.schema,
        chain=chain,
        cursor=rows.cursor,
        tables=rows.tables,
        objects=part.close(),
        object_bytes=sum(copied.sizes.values()),
        missing=copied.missing,
    )
