"""Following a real chain into a store in memory, beside a node of which every word is true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from ledger_service.chain.client import ChainLedger
from ledger_service.clock import SystemClock
from ledger_service.domain import calls, headers
from ledger_service.domain.facts import Block, Fact
from ledger_service.services.follow import Follow
from ledger_service.services.wakes import Wakes
from ledger_service.testing import MemoryStore
from tests.peers.consortium import Founded, approve, mined, send
from tests.peers.liar import Liar, between


@dataclass
class Follower:
    """A follower, its ledger behind liars, and its store."""

    ledger: ChainLedger
    follow: Follow
    store: MemoryStore
    liars: list[Liar]

    async def take_in(self) -> None:
        while await self.follow.step():
            pass

    async def cursor(self) -> Block | None:
        async with self.store.reading() as rows:
            return await rows.chain.cursor()

    async def until(self, number: int, seconds: float = 40) -> Block:
        """Follow until this block is taken in."""
        async with asyncio.timeout(seconds):
            while True:
                await self.take_in()
                cursor = await self.cursor()
                if cursor is not None and cursor.number >= number:
                    return cursor
                await asyncio.sleep(0.1)

    @property
    def facts(self) -> list[Fact]:
        return sorted(self.store._state.facts.values(), key=lambda fact: fact.place.id)

    @property
    def blocks(self) -> list[Block]:
        return [block for _, block in sorted(self.store._state.blocks.items())]


@asynccontextmanager
async def following(
    founded: Founded, *targets: str, start: int | None = None, **changes: Any
) -> AsyncIterator[Follower]:
    """Follow through a liar before each target, which are honest at first."""
    async with between(*targets) as liars:
        urls = tuple(liar.url for liar in liars)
        settings = replace(founded.settings, rpc=urls, ws=(), **changes)
        settings = replace(settings, names=tuple(f"node-{at + 1}" for at in range(len(urls))))
        ledger, store = founded.ledger(settings), MemoryStore()
        follow = Follow(
            store=store,
            ledger=ledger,
            start=founded.deployment.block if start is None else start,
            builder=founded.stranger.address,
            routes={},
            clock=SystemClock(),
            wakes=Wakes(),
        )
        try:
            yield Follower(ledger, follow, store, liars)
        finally:
            await ledger.close()


async def orders(founded: Founded, count: int) -> int:
    """Let orders be proposed and approved; return the number of the last block with one."""
    ledger = founded.ledger()
    try:
        for _ in range(count):
            content = founded.content()
            sent = [await send(ledger, founded.builder, calls.Propose((content,)))]
            for number in (1, 2, 3):
                key = founded.verdict(number)
                sent.append(await send(ledger, key, approve(content, number - 1)))
            receipts = [await mined(ledger, name) for name in sent]
        return max(receipt.block for receipt in receipts)
    finally:
        await ledger.close()


def forged(block: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a block with other fields, and the hash that goes with them."""
    changed = {**block, **fields}
    return {**changed, "hash": "0x" + headers.from_rpc(changed).keccak().hex()}


def is_block(method: str, result: Any, above: int = 0) -> bool:
    """Say whether this is an answer with a block above a height."""
    named = method in {"eth_getBlockByNumber", "eth_getBlockByHash"}
    return named and isinstance(result, dict) and int(result["number"], 16) > above


def told(facts: Sequence[Fact]) -> list[tuple[str, object]]:
    return [(fact.place.id, fact.event) for fact in facts]
