"""What is measured: whole plants, and bare networks, each in processes of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from edge.evidence.send import Service
from ledger_service.chain.settings import ChainSettings
from ledger_service.demo import claims as claiming
from ledger_service.demo import plant
from ledger_service.demo.claims import Claim
from ledger_service.demo.plant import Built
from ledger_service.demo.site import Site
from ledger_service.demo.supervisor import Process, Supervisor
from tests.bench.options import Options
from validators.network import control
from validators.network.files import Kind
from validators.network.layout import Wanted, create

HEALTH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Plant:
    """A plant that is built, its claims recorded and its processes watched."""

    built: Built
    supervisor: Supervisor
    claims: Sequence[Claim]

    def service(self, role: str = "operator") -> Service:
        """Return the service's address with a token."""
        token = self.built.site.token(role).read_text(encoding="utf-8").strip()
        return Service(self.built.base_url, token)


@asynccontextmanager
async def plant_of(options: Options, folder: Path, count: int) -> AsyncIterator[Plant]:
    """Build a plant whose robots have `count` honest claims; its chain runs, no service yet.

    Raise NodeBinaryMissing.
    """
    site = Site(folder)
    claims = claiming.simulated(site, count + 1, datetime.now(UTC)).claims[:-1]
    machines = claiming.machines(site, claims)
    detectors = claiming.keep_models(site, claims)
    async with Supervisor() as supervisor:
        built = await plant.build(site, options.chain, machines, detectors, supervisor, options.say)
        yield Plant(built, supervisor, claims)


async def start_service(running: Plant, part: str) -> None:
    """Start the service (`up`) or one of its parts (`api`) alone, without agents."""
    site, url = running.built.site, running.built.base_url
    argv = plant.mol(part, "--config", site.config)
    log = site.logs / "service.log"
    await running.supervisor.start(Process("service", argv, log, ready=answers(url)))


def answers(url: str) -> Callable[[], Awaitable[bool]]:
    """Return what says whether a server is there."""

    async def serves() -> bool:
        try:
            async with httpx.AsyncClient(timeout=HEALTH_SECONDS) as client:
                return (await client.get(f"{url}/health/live")).is_success
        except httpx.HTTPError:
            return False

    return serves


@asynccontextmanager
async def network_of(
    options: Options, kind: Kind, folder: Path, *, fund: Sequence[str]
) -> AsyncIterator[ChainSettings]:
    """Run the smallest network of a kind, with blocks as soon as its rules allow."""
    count, period = {"embedded": (1, 0), "clique": (1, 0), "qbft": (4, 1)}[kind]
    await create(folder, Wanted(kind, count, period, fund=fund), options.say)
    try:
        network = await control.start(folder, options.say)
        yield ChainSettings.load(network.save(folder))
    finally:
        await control.stop(folder)
