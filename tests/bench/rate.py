"""How many orders a chain validated a second, by its own blocks: the same for whoever sent them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from ledger_service import ports
from ledger_service.chain.client import ChainLedger
from ledger_service.domain.facts import Moved, Proposed
from ledger_service.domain.lifecycle import Status

POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Mined:
    """What a block has: its time, orders proposed and validated in it, the share of its gas used."""

    number: int
    time: int
    proposed: int
    validated: int
    full: float


@dataclass(frozen=True, slots=True)
class Span:
    """The blocks from the first proposal to the last validation, and the time of the one before."""

    before: int
    blocks: Sequence[Mined]

    @property
    def validated(self) -> int:
        return sum(block.validated for block in self.blocks)

    @property
    def seconds(self) -> int:
        return self.blocks[-1].time - self.before

    @property
    def rate(self) -> float:
        """Return validated orders a second, by the blocks' own time."""
        return self.validated / max(self.seconds, 1)

    @property
    def full(self) -> float:
        """Return the share of all these blocks' gas that was used."""
        return sum(block.full for block in self.blocks) / len(self.blocks)


async def until_validated(ledger: ChainLedger, start: int, count: int, *, seconds: float) -> Span:
    """Wait until so many orders are validated behind a height; return the span. Raise TimeoutError."""
    blocks: list[Mined] = []
    async with asyncio.timeout(seconds):
        while sum(block.validated for block in blocks) < count:
            head = await ledger.head()
            first = blocks[-1].number + 1 if blocks else start + 1
            blocks += [await _read(ledger, number) for number in range(first, head.number + 1)]
            await asyncio.sleep(POLL_SECONDS)
    return await span_of(ledger, blocks)


async def span_of(ledger: ports.Ledger, blocks: Sequence[Mined]) -> Span:
    """Return the span of what blocks did."""
    first = next(at for at, block in enumerate(blocks) if block.proposed)
    last = max(at for at, block in enumerate(blocks) if block.validated)
    before = await ledger.block(blocks[first].number - 1)
    assert before is not None
    return Span(before.time, blocks[first : last + 1])


async def _read(ledger: ChainLedger, number: int) -> Mined:
    block = await ledger.block(number)
    assert block is not None
    facts, fields = await asyncio.gather(
        ledger.facts(block), ledger.ask("eth_getBlockByNumber", hex(number), False)
    )
    events = [fact.event for fact in facts]
    return Mined(
        number=number,
        time=block.time,
        proposed=sum(isinstance(event, Proposed) for event in events),
        validated=sum(
            isinstance(event, Moved) and event.status is Status.VALIDATED for event in events
        ),
        full=int(fields["gasUsed"], 16) / int(fields["gasLimit"], 16),
    )
