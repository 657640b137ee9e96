"""A plant of the demo whose parts are started, stopped and deleted one by one."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from edge.evidence import bundle, send
from ledger_service.demo import claims as claiming
from ledger_service.demo import journeys, plant
from ledger_service.demo.claims import Claim, Packed
from ledger_service.demo.journeys import Journey
from ledger_service.demo.plant import Built
from ledger_service.demo.site import PARTIES, Site
from ledger_service.demo.supervisor import Process, Supervisor
from validators.network.files import Kind

WATCH_SECONDS = 150.0
COMMAND_SECONDS = 120


@dataclass
class Plant:
    """A chain and three agents that run; the service does as the test says."""

    built: Built
    claims: Sequence[Claim]
    service: Supervisor
    packed: list[Packed] = field(default_factory=list)

    @property
    def site(self) -> Site:
        return self.built.site

    async def start_service(self, name: str = "service", **environment: str) -> None:
        """Start a whole copy of the service; it comes up again if it dies."""
        url = environment.get("MOL_API__BASE_URL", self.built.base_url)

        async def serves() -> bool:
            try:
                async with httpx.AsyncClient(timeout=1.0) as client:
                    return (await client.get(f"{url}/health/live")).is_success
            except httpx.HTTPError:
                return False

        argv = plant.mol("up", "--config", self.site.config)
        log = self.site.logs / f"{name}.log"
        await self.service.start(Process(name, argv, log, env=environment, ready=serves))

    def client(self, url: str = "") -> httpx.AsyncClient:
        token = self.site.token("operator").read_text(encoding="utf-8").strip()
        return send.Service(url or self.built.base_url, token).client()

    async def seal(self, claim: Claim) -> Packed:
        """Let the machine's device seal a claim; the gateway keeps the bundle."""
        self.packed.append(
            await asyncio.to_thread(claiming.seal, self.site, claim, datetime.now(UTC))
        )
        return self.packed[-1]

    async def post(self, packed: Packed, url: str = "") -> Journey:
        """Post a bundle, for the first time or again."""
        async with self.client(url) as client:
            with bundle.read(packed.file) as opened:
                await send.send(client, opened, tries=20)
        claim, name = packed.claim, packed.evidence.hex()
        now = datetime.now(UTC).timestamp()
        return Journey(name, claim.title, claim.asset, claim.expected, packed.score, now)

    async def watch(self, watched: Sequence[Journey], url: str = "") -> None:
        """Wait until all have ended, everywhere, as expected."""
        async with self.client(url) as client:
            await journeys.watch(client, watched, lambda _: None, seconds=WATCH_SECONDS)
        journeys.check(watched)

    def mol(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run a command as an operator does."""
        return subprocess.run(
            plant.mol(*words, "--config", self.site.config),
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
            env=dict(os.environ),
        )

    async def done(self, *words: object) -> str:
        """Run a command that must succeed; return what it printed."""
        ended = await asyncio.to_thread(self.mol, *words)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout


@asynccontextmanager
async def running(folder: Path, kind: Kind, count: int) -> AsyncIterator[Plant]:
    """Build a plant; the last of its `count` claims is false. Its chain and agents run, no service."""
    site = Site(folder)
    gathered = claiming.simulated(site, count, datetime.now(UTC))
    machines = claiming.machines(site, gathered.claims)
    detectors = claiming.keep_models(site, gathered.claims)
    async with Supervisor() as others, Supervisor() as service:
        built = await plant.build(site, kind, machines, detectors, others, print)
        await others.start(*(_agent(site, party.name, site.agent(party)) for party in PARTIES))
        yield Plant(built, gathered.claims, service)
        others.check()


def _agent(site: Site, name: str, folder: Path) -> Process:
    argv = plant.mol("agent", "--config", folder / "agent.toml")
    return Process(f"agent-{name}", argv, site.logs / f"agent-{name}.log")


def orders_of(watched: Sequence[Journey]) -> list[dict[str, Any]]:
    """Return the orders as the API shows them."""
    return [journey.order for journey in watched]
