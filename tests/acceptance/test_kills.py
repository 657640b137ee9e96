"""kill -9 of one process after another, at random moments: every order still ends right, once."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from edge.evidence import bundle, send
from ledger_service.demo import claims as claiming
from ledger_service.demo import journeys, plant, report
from ledger_service.demo.claims import Claim
from ledger_service.demo.journeys import Journey
from ledger_service.demo.plant import Built
from ledger_service.demo.site import Site
from ledger_service.demo.supervisor import Supervisor
from tests.acceptance.demos import Ended, check_validated, node_or_skip
from validators.network.files import Kind

KILLS = 20
MOMENT_SECONDS = 2.0
#: A process is left alone for so long after a kill: the promise is about any one process, not all.
REST_SECONDS = 4.0
#: So long a node needs until it seals again, and a chain bears one lost at a time. Besu is a JVM.
NODE_REST_SECONDS: dict[Kind, float] = {"embedded": 15.0, "clique": 15.0, "qbft": 60.0}
WATCH_SECONDS = 150.0


class Killer:
    """Kills one process at a time, chosen by the seed."""

    def __init__(self, supervisor: Supervisor, kind: Kind, rng: random.Random) -> None:
        self._supervisor = supervisor
        self._node_rest = NODE_REST_SECONDS[kind]
        self._rng = rng
        self._rests: dict[str, float] = {}
        self.killed: Counter[str] = Counter()

    def _able(self) -> list[str]:
        now = time.monotonic()
        return [name for name in self._supervisor.names() if self._rests.get(name, 0) <= now]

    async def strike(self) -> None:
        await asyncio.sleep(self._rng.uniform(0, MOMENT_SECONDS))
        while not (able := self._able()):  # noqa: ASYNC110  a rest ends by itself, with no event
            await asyncio.sleep(0.1)
        name, now = self._rng.choice(able), time.monotonic()
        self._supervisor.kill(name)
        self.killed[name] += 1
        self._rests[name] = now + REST_SECONDS
        if not name.startswith(("service", "agent")):
            nodes = [n for n in self._supervisor.names() if not n.startswith(("service", "agent"))]
            self._rests |= dict.fromkeys(nodes, now + self._node_rest)


async def post(client: httpx.AsyncClient, built: Built, claim: Claim) -> Journey:
    packed = await asyncio.to_thread(claiming.seal, built.site, claim, datetime.now(UTC))
    with bundle.read(packed.file) as opened:
        await send.send(client, opened, tries=20)
    name = packed.evidence.hex()
    return Journey(name, claim.title, claim.asset, claim.expected, packed.score, time.time())


async def run(site: Site, kind: Kind, rng: random.Random) -> tuple[Ended, Counter[str]]:
    gathered = claiming.simulated(site, KILLS, datetime.now(UTC))
    machines = claiming.machines(site, gathered.claims)
    detectors = claiming.keep_models(site, gathered.claims)
    async with Supervisor() as supervisor:
        built = await plant.build(site, kind, machines, detectors, supervisor, print)
        await plant.start_parties(built, supervisor)
        killer = Killer(supervisor, kind, rng)
        token = site.token("operator").read_text(encoding="utf-8").strip()
        watched = []
        async with send.Service(built.base_url, token).client() as client:
            for claim in gathered.claims:
                journey, _ = await asyncio.gather(post(client, built, claim), killer.strike())
                watched.append(journey)
            await journeys.watch(client, watched, lambda _: None, seconds=WATCH_SECONDS)
        supervisor.check()
        restarts = Counter(supervisor.restarts)
    journeys.check(watched)
    report.check_approvals(watched)
    assert restarts.total() == killer.killed.total() == KILLS
    return Ended(site.root, report.make(built.network, watched)), killer.killed


def seed_of_today() -> int:
    return int(os.environ.get("MOL_TEST_SEED") or secrets.randbelow(10**9))


@pytest.mark.parametrize(
    "kind",
    [
        "embedded",
        pytest.param("clique", marks=pytest.mark.clique),
        pytest.param("qbft", marks=pytest.mark.besu),
    ],
)
@pytest.mark.timeout(900)
async def test_twenty_kills_lose_nothing_and_double_nothing(tmp_path: Path, kind: Kind) -> None:
    await node_or_skip(kind)
    seed = seed_of_today()
    sys.stdout.write(f"MOL_TEST_SEED={seed}\n")

    ended, killed = await run(Site(tmp_path), kind, random.Random(seed))  # noqa: S311  repeatable, no secret

    sys.stdout.write(f"killed {dict(killed)}\n")
    validated = ended.orders("Validated")
    assert (len(validated), len(ended.orders("Refused"))) == (KILLS - 1, 1)
    for order in validated:
        check_validated(ended, order)
    assert len(ended.purchase_orders) == len(ended.notes) == len(validated)
    assert sorted(ended.notes) == sorted(set(ended.notes))
