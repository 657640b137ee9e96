"""`agent`: one organisation's agent over a backlog; nothing else of the product runs.

The agent is the real process, on one real node with blocks of one second; the service is a stand-in
that answers from memory, so what is measured is the agent: orders checked, approved and mined a
second, and what an order costs it in CPU, beside the bare run of the detector over the same bytes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from eth_account import Account as Keys
from eth_hash.auto import keccak

from ledger_service.chain.client import ChainLedger
from ledger_service.chain.keys import LocalSigner
from ledger_service.chain.settings import ChainSettings
from ledger_service.domain import ids
from ledger_service.domain.calls import Propose
from ledger_service.domain.facts import Approved
from tests.bench.figures import Against, Result, Target
from tests.bench.options import Options, fresh
from tests.integration.agent.feed import Feed, line, serving
from tests.integration.agent.plant import DETECTOR, US, AgentFolder, Plant
from tests.peers.consortium import found, send, signer
from validators.network import control
from validators.network.files import Kind, Network
from validators.network.layout import Wanted, create
from validators.rules.case import Announced

CLAN = "bench agent"
POLICY = "episode_hours = 0"
BATCH = 20
WAIT_SECONDS = 600.0
LOOK_SECONDS = 0.25
TICKS = os.sysconf("SC_CLK_TCK")


async def measure(options: Options) -> list[Result]:
    """Measure. Raise NodeBinaryMissing without the chain's program, TimeoutError."""
    folder = fresh("agent")
    async with _plant(options, folder) as plant:
        options.say(f"{options.orders} pieces of evidence are sealed by their device")
        items = [plant.order(told=False) for _ in range(options.orders)]
        plant.agent.start()
        await _until_log(plant, "agent runs")
        before, began = _cpu(plant.agent), time.monotonic()
        plant.feed.lines.extend(line(item) for item in items)
        ledger = plant.founded.ledger()
        try:
            proposing = asyncio.create_task(_propose(plant, ledger, items))
            await _until_approved(ledger, len(items))
            took, cpu = time.monotonic() - began, _cpu(plant.agent) - before
            await proposing
            nonce = await ledger.nonce(plant.founded.verdict(US).address)
        finally:
            await ledger.close()
            plant.agent.end(signal.SIGTERM)
    return _results(len(items), took, cpu, _bare(plant, items), nonce)


@asynccontextmanager
async def _plant(options: Options, folder: Path) -> AsyncIterator[Plant]:
    funder = LocalSigner(Keys.from_key(keccak(b"funder of the agent's bench")))
    kind: Kind = options.chain
    count, period = {"embedded": (1, 0), "clique": (1, 1), "qbft": (4, 1)}[kind]
    wanted = Wanted(kind, count, period, fund=[ids.checksum(funder.address)])
    await create(folder / "network", wanted, options.say)
    try:
        network: Network = await control.start(folder / "network", options.say)
        settings = ChainSettings.load(network.save(folder))
        founded = await found(settings, CLAN, funder=funder)
        key = bytes(signer(f"{CLAN} verdict {US}")._account.key)
        with serving(Feed()) as feed:
            agent = AgentFolder(folder / "agent", key)
            agent.write(network, founded, feed, POLICY)
            plant = Plant(folder, founded, feed, agent)
            await plant.found()
            yield plant
    finally:
        await control.stop(folder / "network")


async def _propose(plant: Plant, ledger: ChainLedger, items: Sequence[Announced]) -> None:
    """Propose all of them in batches, as the service does beside the agents."""
    key = plant.founded.builder
    nonce = await ledger.nonce(key.address)
    for at in range(0, len(items), BATCH):
        contents = tuple(item.content for item in items[at : at + BATCH])
        await send(ledger, key, Propose(contents), nonce=nonce + at // BATCH)


async def _until_approved(ledger: ChainLedger, count: int) -> None:
    number, approved = ledger.deployment.block, 0
    async with asyncio.timeout(WAIT_SECONDS):
        while approved < count:
            block = await ledger.block(number)
            if block is None:
                await asyncio.sleep(LOOK_SECONDS)
                continue
            events = [fact.event for fact in await ledger.facts(block)]
            approved += sum(isinstance(event, Approved) for event in events)
            number += 1


async def _until_log(plant: Plant, text: str) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while text not in plant.agent.log:  # noqa: ASYNC110  another process's file
            await asyncio.sleep(LOOK_SECONDS)


def _cpu(agent: AgentFolder) -> float:
    """Return the CPU seconds that an agent's process took so far."""
    assert agent.process is not None
    stat = (Path("/proc") / str(agent.process.pid) / "stat").read_text(encoding="ascii")
    user, system = stat.rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / TICKS


def _bare(plant: Plant, items: Sequence[Announced]) -> float:
    """Return the CPU seconds of the detector's runs alone, over the same bytes."""
    data = [plant.feed.files[item.content.evidence.hex(), "samples.csv"] for item in items]
    before = time.process_time()
    for samples in data:
        DETECTOR.run(samples)
    return time.process_time() - before


def _results(count: int, took: float, cpu: float, bare: float, sent: int) -> list[Result]:
    alone = Against("the detector's run alone", 1000 * bare / count)
    return [
        Result("orders checked, approved and mined, one agent", count / took, "orders/s"),
        Result("CPU of an order", 1000 * cpu / count, "ms", alone, Target(8, "at most", "value")),
        Result("orders in a transaction", count / sent, "orders"),
        Result("orders", count, "orders"),
    ]
