from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.backup.service import SQLITE, Make, Service
from tests.peers.postgres import PostgresCluster, postgres

__all__ = ["postgres"]


@pytest.fixture
def make_service(tmp_path: Path, request: pytest.FixtureRequest) -> Make:
    """Make empty services on either database, each in a folder of its own."""

    def made(kind: str) -> Service:
        url = SQLITE
        if kind == "postgres":
            cluster: PostgresCluster = request.getfixturevalue("postgres")
            url = cluster.create()
        number = len(list(tmp_path.glob("service-*")))
        return Service(tmp_path / f"service-{number}", url)

    return made
