from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ledger_service.db.migrations import upgrade
from ledger_service.db.session import SqlStore, make_engine
from tests.peers.postgres import PostgresCluster, postgres

__all__ = ["postgres"]


@pytest.fixture
async def postgres_url(postgres: PostgresCluster) -> str:
    return await migrated(postgres.create())


@pytest.fixture(params=["sqlite", "postgres"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with the schema and no rows, of each kind."""
    if request.param == "sqlite":
        return await migrated(f"sqlite+aiosqlite:///{tmp_path / 'service.db'}")
    cluster: PostgresCluster = request.getfixturevalue("postgres")
    return await migrated(cluster.create())


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlStore]:
    opened = SqlStore(make_engine(url))
    yield opened
    await opened.close()


async def migrated(url: str) -> str:
    engine = make_engine(url)
    await upgrade(engine)
    await engine.dispose()
    return url
