"""Bringing a copy back: all of it is checked before anything is touched, the database comes last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import partial

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger_service import ports
from ledger_service import settings as config
from ledger_service.db import filling, transfer
from ledger_service.db.migrations import knows
from ledger_service.db.tables import token
from ledger_service.db.transfer import Shape
from ledger_service.domain import errors
from ledger_service.domain.backup_errors import NotEmpty
from ledger_service.storage import named
from ledger_service.storage.copies import Copy, Reached
from ledger_service.storage.named import Copied
from ledger_service.storage.objects import Objects, open_objects
from ledger_service.wiring.backup import Progress, chain_of, check, kept_in
from ledger_service.wiring.service import database_url, open_ledger

STAGING = "staging"
#: A restored feed goes on at seconds since 1970 times this: beyond every number it ever gave, also
#: after earlier restores, and within what JSON holds for two hundred years.
LINES_A_SECOND = 2**20


class End(Enum):
    """What a node says of the last block of a copy. `ABANDONED`: the chain has another one by now."""

    SEEN = "seen"
    UNKNOWN = "unknown"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Wanted:
    """How to bring it back."""

    replace: bool = False
    revoke_tokens: bool = False
    allow_missing: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """A token that opens the restored service."""

    id: str
    role: str
    subject: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Restored:
    """What was brought back. `end`: what became of the copy's last block.

    `copied.missing`: objects that neither the copy nor the object store has whole.
    """

    copied: Copied
    tokens: Sequence[Access]
    end: End


async def bring_back(
    settings: config.Settings, copy: Copy, wanted: Wanted, progress: Progress
) -> Restored:
    """Bring a copy back.

    Raise BackupDamaged, WrongChain, NotEmpty, InUse, StorageError; ConfigError for a newer schema.
    """
    _check_fit(settings, copy)
    url = database_url(settings)
    await filling.check_room(url, replace=wanted.replace)
    end = await _check_chain(settings, copy.manifest.cursor)
    await check(copy, progress, allow_missing=wanted.allow_missing)
    target = open_objects(settings.storage.url, root=settings.root)
    sizes: dict[str, int | None] = dict(copy.objects())
    if not wanted.replace:
        await _check_objects(target, sizes)
    source = kept_in(copy.folder.parent)
    copied = await named.copy(source, target, sizes, partial(progress, "objects"))
    async with filling.filling(url, replace=wanted.replace) as connection:
        await _fill(connection, copy, progress)
        if wanted.revoke_tokens:
            await _revoke(connection)
        tokens = await _living(connection)
    return Restored(copied, tokens, end)


def _check_fit(settings: config.Settings, copy: Copy) -> None:
    """Raise WrongChain for a copy of another service, ConfigError for one of a newer program."""
    ours, theirs = chain_of(settings), copy.manifest.chain
    for name in type(ours).model_fields:
        expected, found = getattr(ours, name), getattr(theirs, name)
        if expected != found:
            raise errors.WrongChain(
                "The backup is of another chain or contract.",
                field=name,
                found=found,
                expected=expected,
            )
    if not knows(copy.manifest.schema_):
        text = "The backup was made by a newer program than this one."
        raise errors.ConfigError(text, found=copy.manifest.schema_)


async def look_for(cursor: Reached | None, ledger: ports.Ledger) -> End:
    """Ask a node for the copy's last block.

    Raise WrongChain if it has another one where none is ever taken back. Elsewhere the service goes
    back from it by itself, as it does when it runs.
    """
    if cursor is None:
        return End.UNKNOWN
    try:
        block = await ledger.block(cursor.number)
    except errors.WrongChain:
        raise
    except errors.ChainError:
        return End.UNKNOWN
    if block is None:
        return End.UNKNOWN
    if block.hash.hex() == cursor.hash:
        return End.SEEN
    if ledger.rewritable:
        return End.ABANDONED
    raise errors.WrongChain(
        "The chain has another block where the backup ends.",
        block=cursor.number,
        found=block.hash.hex(),
        expected=cursor.hash,
    )


async def _check_chain(settings: config.Settings, cursor: Reached | None) -> End:
    ledger = open_ledger(settings)
    try:
        return await look_for(cursor, ledger)
    finally:
        await ledger.close()


async def _check_objects(target: Objects, sizes: dict[str, int | None]) -> None:
    """Raise NotEmpty for an object that the copy does not have: what a killed restore left is none."""
    async for key in target.keys(""):
        if key not in sizes and not key.startswith((f"{STAGING}/", f"{named.INCOMING}/")):
            raise NotEmpty("The object store is in use.", found=key, todo="--replace adds to it")


async def _fill(connection: AsyncConnection, copy: Copy, progress: Progress) -> None:
    manifest = copy.manifest
    parts = {part.name: part for part in manifest.tables}
    wanted = [Shape(part.name, part.columns) for part in manifest.tables]
    shapes = await transfer.make_schema(connection, manifest.schema_, wanted)
    for at, shape in enumerate(shapes):
        progress("database", at, len(shapes))
        await transfer.write(connection, shape, copy.rows(parts[shape.name]))
    now = datetime.now(UTC)
    sequence = int(now.timestamp()) * LINES_A_SECOND
    await transfer.finish(connection, sequence, copy_of=manifest.made_at, at=now)
    progress("database", len(shapes), len(shapes))


async def _revoke(connection: AsyncConnection) -> None:
    living = token.c.revoked_at.is_(None)
    await connection.execute(update(token).where(living).values(revoked_at=datetime.now(UTC)))


async def _living(connection: AsyncConnection) -> list[Access]:
    now = datetime.now(UTC)
    query = select(token).where(token.c.revoked_at.is_(None)).order_by(token.c.created_at)
    rows = (await connection.execute(query)).all()
    return [
        Access(row.id, row.role, row.subject, row.created_at)
        for row in rows
        if row.expires_at is None or row.expires_at > now
    ]
