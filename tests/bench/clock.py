"""One clock for everything that waits for the chain: when the head came that holds it.

Orders and plain transactions are timed by the same subscription to new heads, so whatever the node,
the network and this process add to one, they add to the other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ledger_service.chain.client import ChainLedger
from ledger_service.domain import ids
from ledger_service.domain.facts import Block, Fact, Moved, Proposed
from ledger_service.domain.lifecycle import Status

WAIT_SECONDS = 60.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Arrival:
    """When something was first in the chain (monotonic seconds), and at what height."""

    at: float
    height: int


class HeadClock:
    """Notes when each transaction, and each order's validation, was first in a head's chain."""

    def __init__(self, ledger: ChainLedger) -> None:
        self._ledger = ledger
        self._seen: set[ids.BlockHash] = set()
        self._heights: dict[int, float] = {}
        self._transactions: dict[bytes, Arrival] = {}
        self._orders: dict[ids.EvidenceId, ids.OrderId] = {}
        self._proposed: dict[ids.EvidenceId, Arrival] = {}
        self._validated: dict[ids.OrderId, Arrival] = {}
        self._grew = asyncio.Condition()

    async def run(self) -> None:
        """Listen until cancelled."""
        async for head in self._ledger.heads():
            await self._take(head, time.monotonic())

    async def validated(self, evidence: ids.EvidenceId) -> Arrival:
        """Wait until the order of this evidence is validated."""

        def find() -> Arrival | None:
            order = self._orders.get(evidence)
            return self._validated.get(order) if order is not None else None

        return await self._until(find)

    async def mined(self, transaction: ids.TxHash) -> Arrival:
        """Wait until a transaction is in the chain."""
        return await self._until(lambda: self._transactions.get(transaction))

    async def reached(self, height: int) -> float:
        """Wait until the chain has this height; return when it first had."""
        return await self._until(lambda: self._heights.get(height))

    def proposed(self, evidence: ids.EvidenceId) -> Arrival:
        """Return when the order of this evidence, now validated, was proposed."""
        return self._proposed[evidence]

    async def _take(self, head: Block, at: float) -> None:
        """Read the head, and blocks before it that were not announced (a rewrite of the chain)."""
        if not self._seen:
            self._seen.add(head.parent)
        block: Block | None = head
        while block is not None and block.hash not in self._seen:
            self._seen.add(block.hash)
            self._heights.setdefault(block.number, at)
            await self._read(block, Arrival(at, block.number))
            block = await self._ledger.block(block.number - 1)
        async with self._grew:
            self._grew.notify_all()

    async def _read(self, block: Block, arrival: Arrival) -> None:
        facts, fields = await asyncio.gather(
            self._ledger.facts(block),
            self._ledger.ask("eth_getBlockByHash", "0x" + block.hash.hex(), False),
        )
        for name in fields["transactions"]:
            self._transactions.setdefault(bytes.fromhex(name[2:]), arrival)
        for fact in facts:
            self._note(fact, arrival)

    def _note(self, fact: Fact, arrival: Arrival) -> None:
        event = fact.event
        if isinstance(event, Proposed):
            self._orders[event.content.evidence] = event.order
            self._proposed.setdefault(event.content.evidence, arrival)
        elif isinstance(event, Moved) and event.status is Status.VALIDATED:
            self._validated.setdefault(event.order, arrival)

    async def _until(self, find: Callable[[], T | None]) -> T:
        async with asyncio.timeout(WAIT_SECONDS), self._grew:
            while (found := find()) is None:
                await self._grew.wait()
            return found
