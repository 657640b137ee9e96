"""A database that is filled once: seen whole when all of it is there, and not before.

SQLite: a file beside the one wanted, renamed in the end. PostgreSQL: one transaction.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger_service.db import transfer
from ledger_service.db.migrations import STARTING
from ledger_service.db.session import LONG_SECONDS, SERVER_SETTINGS, begun, make_engine
from ledger_service.domain import errors
from ledger_service.domain.backup_errors import NotEmpty

BESIDE = ("", "-wal", "-shm", "-journal")
UNFINISHED = ".restoring-"
WAIT_SECONDS = 1.0


async def check_room(url: str, *, replace: bool) -> None:
    """Raise NotEmpty, or InUse for a database that a service works with; touch nothing."""
    path = _file(url)
    if path is not None:
        await asyncio.to_thread(_check_files, path, replace=replace)
        return
    engine = make_engine(url)
    try:
        async with begun(engine) as connection:
            await _check_tables(connection, replace=replace)
    finally:
        await engine.dispose()


@asynccontextmanager
async def filling(url: str, *, replace: bool) -> AsyncIterator[AsyncConnection]:
    """Give an empty database's connection; what is there in the end takes the place of the other.

    `replace`: a SQLite file that is there is kept under another name, PostgreSQL's tables are
    dropped. Raise NotEmpty, InUse, StorageError.
    """
    path = _file(url)
    if path is not None:
        async with _file_filled(path, replace=replace) as connection:
            yield connection
        return
    engine = make_engine(url, command_seconds=LONG_SECONDS)
    try:
        async with begun(engine) as connection:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({STARTING})"))
            await _check_tables(connection, replace=replace)
            await transfer.drop_all(connection)
            yield connection
    finally:
        await engine.dispose()


@asynccontextmanager
async def _file_filled(path: Path, *, replace: bool) -> AsyncIterator[AsyncConnection]:
    with _alone(path.parent):
        async with _beside_filled(path, replace=replace) as connection:
            yield connection


@asynccontextmanager
async def _beside_filled(path: Path, *, replace: bool) -> AsyncIterator[AsyncConnection]:
    _sweep(path)
    fresh = path.with_name(f"{path.name}{UNFINISHED}{uuid.uuid4().hex}")
    engine = make_engine(f"sqlite+aiosqlite:///{fresh}")
    try:
        async with begun(engine) as connection:
            yield connection
        await engine.dispose()
        await asyncio.to_thread(_publish, fresh, path, replace=replace)
    finally:
        await engine.dispose()
        _sweep(path)


async def _check_tables(connection: AsyncConnection, *, replace: bool) -> None:
    others = await connection.execute(
        text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = :name AND pid <> pg_backend_pid()"
        ),
        {"name": SERVER_SETTINGS["application_name"]},
    )
    if others.scalar_one():
        raise errors.InUse("A service is connected to this database; stop it first.")
    if not replace and not await transfer.is_empty(connection):
        raise NotEmpty("The database has rows.", todo="--replace drops them")


def _file(url: str) -> Path | None:
    """Return the file of a SQLite URL, None for a server's. Raise ConfigError for one in memory."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    if not parsed.database or parsed.database == ":memory:":
        raise errors.ConfigError("A backup is not brought back into memory.", found=url)
    return Path(parsed.database)


def _check_files(path: Path, *, replace: bool) -> None:
    there = [name for name in _beside(path) if name.exists()]
    if there and not replace:
        raise NotEmpty(found=there[0], todo="--replace keeps it under another name")
    if path.exists():
        _close(path)


def _close(path: Path) -> None:
    """Bring a database into one file, which only works if nobody has it open. Raise InUse.

    One that is no database any more is left as it is: it may be why there is a backup to bring back.
    """
    try:
        with closing(sqlite3.connect(path, timeout=WAIT_SECONDS)) as database:
            database.execute("PRAGMA journal_mode=DELETE").fetchall()
    except sqlite3.OperationalError as exc:
        if "locked" in str(exc):
            raise errors.InUse("A service works with this database; stop it first.") from exc
    except sqlite3.DatabaseError:
        return


def _publish(fresh: Path, path: Path, *, replace: bool) -> None:
    """Put the new file where the other one is, which is kept aside."""
    _close(fresh)
    _sync(fresh)
    _check_files(path, replace=replace)
    mark = f".before-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    # The database before what belongs to it: a log without its file is thrown away by SQLite, but
    # a file without its log would be taken for whole.
    for old in _beside(path):
        if old.exists():
            old.rename(old.with_name(f"{path.name}{mark}{old.name.removeprefix(path.name)}"))
    _sync(path.parent)
    fresh.rename(path)
    _sync(path.parent)


def _beside(path: Path) -> list[Path]:
    return [path.with_name(path.name + ending) for ending in BESIDE]


def _sweep(path: Path) -> None:
    """Throw away what a restore that was killed had begun."""
    if path.parent.is_dir():
        for left in path.parent.glob(f"{path.name}{UNFINISHED}*"):
            left.unlink()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder: of two that restore into it, one gets no further. Raise InUse."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as exc:
        raise errors.InUse("Another restore works in this folder.", found=folder) from exc
    finally:
        os.close(descriptor)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
