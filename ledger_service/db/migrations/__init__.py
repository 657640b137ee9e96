"""Alembic migrations; `upgrade` brings a database of any age to the present schema."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger_service.domain import errors

#: Any number that is ours alone: PostgreSQL's advisory lock for those who start at the same time.
STARTING = 0x6D6F6C


async def upgrade(engine: AsyncEngine) -> None:
    """Bring the database to the newest schema, in one transaction; processes take turns.

    Raise ConfigError for a database of a newer program, StorageError where it cannot be done.
    """
    try:
        async with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({STARTING})"))
            await connection.run_sync(bring)
    except CommandError as exc:
        raise errors.ConfigError(
            "The database was made by a newer program than this one.", found=str(exc)[:120]
        ) from exc
    except (SQLAlchemyError, OSError) as exc:
        raise errors.StorageError("The schema cannot be made.", found=str(exc)[:200]) from exc


def bring(connection: Connection, revision: str = "head") -> None:
    """Bring the schema to a revision, on the caller's transaction. Raise CommandError."""
    command.upgrade(_config(connection), revision)


def knows(revision: str) -> bool:
    """Say whether a revision is one of this program's."""
    script = ScriptDirectory.from_config(_config())
    return any(known.revision == revision for known in script.walk_revisions())


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
