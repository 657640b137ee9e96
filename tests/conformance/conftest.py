from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from ledger_service import ports
from ledger_service.db.migrations import upgrade
from ledger_service.db.session import SqlStore, make_engine
from ledger_service.db.tables import metadata
from ledger_service.testing import MemoryStore
from tests.peers.founded import on_embedded, on_geth, on_qbft
from tests.peers.geth import clique_one
from tests.peers.postgres import PostgresCluster, postgres
from tests.peers.qbft import qbft_four

__all__ = ["clique_one", "on_embedded", "on_geth", "on_qbft", "postgres", "qbft_four"]


async def make_schema(url: str) -> None:
    """Bring a database to the present schema."""
    engine = make_engine(url)
    await upgrade(engine)
    await engine.dispose()


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the schema and no rows, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "empty.db"
    asyncio.run(make_schema(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(scope="module")
def postgres_url(postgres: PostgresCluster) -> str:
    """A database of this module, with the schema."""
    url = postgres.create()
    asyncio.run(make_schema(url))
    return url


@pytest.fixture
async def sqlite_store(empty_sqlite: Path, tmp_path: Path) -> AsyncIterator[SqlStore]:
    shutil.copy(empty_sqlite, tmp_path / "service.db")
    store = SqlStore(make_engine(f"sqlite+aiosqlite:///{tmp_path / 'service.db'}"))
    yield store
    await store.close()


@pytest.fixture
async def postgres_store(postgres_url: str) -> AsyncIterator[SqlStore]:
    store = SqlStore(make_engine(postgres_url))
    names = ", ".join(f'"{name}"' for name in metadata.tables)
    async with store.engine.begin() as connection:
        await connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))
    yield store
    await store.close()


@pytest.fixture
def memory_store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> ports.Store:
    """Each implementation of the Store port, without rows."""
    chosen: ports.Store = request.getfixturevalue(f"{request.param}_store")
    return chosen


@pytest.fixture(params=["sqlite", "postgres"])
def sql_store(request: pytest.FixtureRequest) -> SqlStore:
    """Each database, without rows."""
    chosen: SqlStore = request.getfixturevalue(f"{request.param}_store")
    return chosen
