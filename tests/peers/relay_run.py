"""Relays as processes, with a backlog before them and a receiver behind them; what came is judged."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import httpx

from ledger_service.db.session import SqlStore
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.records import Delivery
from tests.conformance import rows as make
from tests.peers.deliveries import told
from tests.peers.fast_hook import Arrivals

ROOT = Path(__file__).parents[2]
#: What an order is told of, in chain order.
LIFE = (Status.EMERGENCY, Status.RATIFIED, Status.COMPLETED)
BLOCKS = 1_000_000


def facts(to: str, orders: Sequence[int], life: Sequence[Status] = LIFE) -> list[Delivery]:
    """Return the deliveries of these orders to one destination, in chain order."""
    return [
        told(to, status, of=number % BLOCKS, block=at * BLOCKS + number)
        for at, status in enumerate(life)
        for number in orders
    ]


async def fill(store: SqlStore, deliveries: Sequence[Delivery]) -> None:
    """Put the deliveries into the outbox, with the evidence that they belong to."""
    known: set[str] = set()
    for start in range(0, len(deliveries), 500):
        async with store.transaction() as rows:
            for item in deliveries[start : start + 500]:
                evidence = item.payload["evidence"]
                if evidence not in known:
                    known.add(evidence)
                    number = int(bytes.fromhex(evidence).decode().split()[1].rstrip("."))
                    await rows.evidence.add(make.evidence(number))
                await rows.outbox.add(replace(item, created_at=make.NOW))


@dataclass
class Worker:
    """How a relay process is started; `processes` are those that live."""

    url: str
    kind: str
    target: str
    lease_seconds: float = 15
    hands: int = 32
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def start(self) -> asyncio.subprocess.Process:
        """Start one more."""
        arguments = (self.url, self.kind, self.target, str(self.lease_seconds), str(self.hands))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.peers.relay_worker", *arguments),
            cwd=ROOT,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self.processes.append(process)
        return process

    async def kill(self, process: asyncio.subprocess.Process) -> None:
        """End one, without a word."""
        self.processes.remove(process)
        process.kill()
        await process.wait()

    async def stop(self) -> None:
        """End all."""
        for process in list(self.processes):
            await self.kill(process)


async def counts(store: SqlStore) -> dict[str, int]:
    """Return state -> number of rows, over all destinations."""
    async with store.reading() as rows:
        found: dict[str, int] = {}
        for (_, state), count in (await rows.outbox.counts()).items():
            found[state] = found.get(state, 0) + count
    return found


async def until_done(store: SqlStore, seconds: float) -> None:
    """Wait until nothing is pending. Raise TimeoutError."""
    async with asyncio.timeout(seconds):
        while (await counts(store)).get("pending"):  # noqa: ASYNC110  other processes do it
            await asyncio.sleep(0.1)


@asynccontextmanager
async def receiving(pause: float = 0) -> AsyncIterator[str]:
    """Run a receiver as a process, which thinks for so many seconds; yield its address."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.peers.fast_hook", str(pause)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.kill()
        await process.wait()


async def arrivals(url: str) -> Arrivals:
    """Ask a receiver what came."""
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        return [(identity, at) for identity, at in (await client.get(url)).json()]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Facts lost; facts that took effect twice; facts that came before an earlier one of their order.

    `repeats`: requests for a fact that was there already, which the receiver knows by its id.
    """

    lost: int
    doubled: int
    out_of_order: int
    repeats: int


def judge(planned: Sequence[Delivery], came: Arrivals) -> Verdict:
    """Look at what came as a receiver does that takes each id once."""
    order_of = {str(item.payload["eventId"]): item.key for item in planned}
    effects: dict[str, list[str]] = {}
    seen: set[str] = set()
    for identity, _ in came:
        if identity not in seen:
            seen.add(identity)
            effects.setdefault(order_of[identity], []).append(identity)
    taken = [identity for own in effects.values() for identity in own]
    return Verdict(
        lost=len(order_of.keys() - seen),
        doubled=len(taken) - len(set(taken)),
        out_of_order=sum(
            later < earlier for own in effects.values() for earlier, later in pairwise(own)
        ),
        repeats=len(came) - len(seen),
    )
