"""The Cosmos peer as a process of its own. It is not the service: see decision 0050."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

HERE = Path(__file__).parent
KEY = "a2V5"


@dataclass(frozen=True)
class CosmosPeer:
    """A running peer. A fault is `before`, `after` (answer lost), `hang`, or an HTTP status."""

    url: str

    async def fault(self, kind: str | int, method: str, count: int = 1) -> None:
        fault = {"kind": kind, "method": method, "count": count}
        async with httpx.AsyncClient() as client:
            (await client.post(f"{self.url}/__fault", json=fault)).raise_for_status()

    async def requests(self) -> list[dict[str, Any]]:
        """Return the requests for documents so far."""
        async with httpx.AsyncClient() as client:
            found: list[dict[str, Any]] = (await client.get(f"{self.url}/__requests")).json()
        return found


@pytest.fixture(scope="session")
def cosmos_peer() -> Iterator[CosmosPeer]:
    node = shutil.which("node")
    if node is None or not (HERE / "node_modules" / "@vercel" / "cosmosdb-server").is_dir():
        pytest.skip("the Cosmos peer is not installed: needs node, npm and `make setup-peers`")
    with subprocess.Popen(
        [node, HERE / "cosmos_peer.js"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready "), "the Cosmos peer did not start; node says why above"
        yield CosmosPeer(f"http://127.0.0.1:{line.split()[1]}")
        process.kill()
