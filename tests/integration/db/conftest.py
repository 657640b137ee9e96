from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.postgres import PostgresCluster, postgres

__all__ = ["postgres"]


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without any table."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'service.db'}"
    cluster: PostgresCluster = request.getfixturevalue("postgres")
    return cluster.create()
