"""`latency`: from POST to Validated, beside one plain transaction on the same nodes.

The whole stack runs as the demo runs it: nodes, service, three agents, each a process. Orders are
posted one by one at random moments, and between them plain transfers are sent, each to every node.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from rich.progress import Progress, TaskID

from edge.evidence import bundle, send
from ledger_service.chain.account import Account
from ledger_service.chain.client import ChainLedger
from ledger_service.chain.settings import ChainSettings, Deployment
from ledger_service.demo import claims as claiming
from ledger_service.demo import keys, plant
from ledger_service.demo.claims import Packed
from tests.bench.clock import HeadClock
from tests.bench.figures import Against, Result, Target, median, percentile
from tests.bench.options import Options, fresh
from tests.bench.stack import Plant, plant_of

TRANSFER_GAS = 21_000
WARM_UP = 2
LEAST_PAUSE = 0.25
P50, P95 = Target(1.25, "at most"), Target(1.5, "at most")


@dataclass
class Times:
    """Seconds, one entry an order or a transaction."""

    accepted: list[float] = field(default_factory=list)
    validated: list[float] = field(default_factory=list)
    final: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)
    blocks_apart: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ends:
    """The two ways in: the service's API, and a funded key at the nodes."""

    client: httpx.AsyncClient
    account: Account
    clock: HeadClock
    depth: int


async def measure(options: Options) -> list[Result]:
    """Measure. Raise NodeBinaryMissing without the chain's program."""
    if options.chain == "embedded":
        options.say("The embedded chain is no network: it makes a block as soon as one is wanted.")
    async with plant_of(options, fresh("latency"), options.orders + WARM_UP) as running:
        options.say(f"{options.orders + WARM_UP} pieces of evidence are sealed by their devices")
        packed = [
            await asyncio.to_thread(claiming.seal, running.built.site, claim, datetime.now(UTC))
            for claim in running.claims
        ]
        await plant.start_parties(running.built, running.supervisor)
        async with _ends(running) as ends:
            await _run(ends, packed[:WARM_UP], options, Times(), "warming up")
            times = Times()
            await _run(ends, packed[WARM_UP:], options, times, "orders")
            await asyncio.sleep(1)
            hops = [await _hops(ends.client, item) for item in packed[WARM_UP:]]
        network = running.built.network
    where = f"plain transaction, {len(network.nodes)} {network.software} node(s)"
    _tell(options, times, hops)
    targets = (None, None) if options.chain == "embedded" else (P50, P95)
    return _results(times, where, *targets)


@asynccontextmanager
async def _ends(running: Plant) -> AsyncIterator[Ends]:
    site = running.built.site
    settings, deployment = ChainSettings.load(site.network), Deployment.load(site.deployment)
    account = Account(settings, plant.open_key(site, *keys.DEPLOYER))
    ledger = ChainLedger(settings, deployment)
    clock = HeadClock(ledger)
    listening = asyncio.create_task(clock.run())
    try:
        async with running.service("edge").client() as client:
            yield Ends(client, account, clock, settings.finality_depth)
    finally:
        listening.cancel()
        await asyncio.gather(listening, account.close(), ledger.close(), return_exceptions=True)


async def _run(
    ends: Ends, packed: Sequence[Packed], options: Options, times: Times, title: str
) -> None:
    chance = random.Random(options.seed)  # noqa: S311  moments, no secrets
    finals: list[asyncio.Task[None]] = []
    with Progress(console=options.console, transient=True) as bar:
        task: TaskID = bar.add_task(title, total=len(packed))
        for item in packed:
            for step in chance.sample(["order", "plain"], 2):
                await asyncio.sleep(LEAST_PAUSE + chance.random())
                if step == "order":
                    finals.append(await _order(ends, item, times))
                else:
                    await _plain(ends, times)
            bar.advance(task)
        await asyncio.gather(*finals)


async def _order(ends: Ends, item: Packed, times: Times) -> asyncio.Task[None]:
    """Post, wait for the validation; return the task that waits for its finality."""
    with bundle.read(item.file) as opened:
        posted = time.monotonic()
        await send.send(ends.client, opened)
        times.accepted.append(time.monotonic() - posted)
    arrival = await ends.clock.validated(item.evidence)
    times.validated.append(arrival.at - posted)
    times.blocks_apart.append(arrival.height - ends.clock.proposed(item.evidence).height)

    async def final() -> None:
        times.final.append(await ends.clock.reached(arrival.height + ends.depth) - posted)

    return asyncio.create_task(final())


async def _plain(ends: Ends, times: Times) -> None:
    account = ends.account
    await account.nonce()  # known before the clock starts
    sent = time.monotonic()
    transaction = await account.send(account.signer.address, b"", gas=TRANSFER_GAS)
    times.plain.append((await ends.clock.mined(transaction)).at - sent)


async def _hops(client: httpx.AsyncClient, item: Packed) -> dict[str, Any]:
    journey = await send.get(client, f"/v1/evidence/{item.evidence.hex()}")
    return {hop["name"]: datetime.fromisoformat(hop["at"]) for hop in journey["hops"]}


def _tell(options: Options, times: Times, hops: Sequence[dict[str, Any]]) -> None:
    """Tell where the time goes, for whoever looks at it."""
    apart = Counter(times.blocks_apart)
    options.say(f"blocks from proposal to validation: {dict(sorted(apart.items()))}")
    stored = [
        (hop["anchoring"] - hop["sealed"]).total_seconds() for hop in hops if "anchoring" in hop
    ]
    options.say(f"sealed to stored with its signed proposal: {median(stored):.3f} s")


def _results(times: Times, where: str, p50: Target | None, p95: Target | None) -> list[Result]:
    def against(percent: float) -> Against:
        return Against(where, percentile(times.plain, percent))

    same = sum(1 for apart in times.blocks_apart if apart <= 0) / len(times.blocks_apart)
    return [
        Result("POST to Validated, p50", median(times.validated), "s", against(50), p50),
        Result("POST to Validated, p95", percentile(times.validated, 95), "s", against(95), p95),
        Result("POST to final, p50", median(times.final), "s", against(50)),
        Result("POST to final, p95", percentile(times.final, 95), "s", against(95)),
        Result("POST to accepted (202), p50", median(times.accepted), "s"),
        Result("validated in the block of the proposal", 100 * same, "%"),
        Result("orders", len(times.validated), "orders"),
    ]
