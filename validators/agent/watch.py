"""Watching the chain: every order that is proposed is learned of, whatever the service tells."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.facts import Block, Fact, Place

AT_ONCE = 32


class Watcher:
    """Goes through the blocks up to the newest. Blocks that may still be rewritten are read again."""

    def __init__(
        self, ledger: ports.Ledger, first: int, take: Callable[[Fact], Awaitable[None]]
    ) -> None:
        """`first`: the number of the block to begin with. `take` may be given a fact twice."""
        self._ledger = ledger
        self._take = take
        self._next = first
        self._read: dict[int, ids.BlockHash] = {}
        self._final = -1

    def is_final(self, place: Place) -> bool:
        """Say whether a fact that `take` is given stands in a block that is not rewritten any more."""
        return place.block <= self._final

    @property
    def position(self) -> int:
        """Return the last block that is final and was taken in."""
        return self._next - 1

    async def scan(self) -> bool:
        """Read from the position to the newest block; False. Raise ChainError."""
        head = await self._ledger.head()
        self._final = final = head.number - self._ledger.finality_depth
        start = self._next
        while start <= head.number:
            last = min(start + AT_ONCE - 1, head.number)
            numbers = range(start, last + 1)
            for block, facts in await asyncio.gather(*(self._facts(n, head) for n in numbers)):
                for fact in facts:
                    await self._take(fact)
                self._read[block.number] = block.hash
            start = last + 1
            self._next = max(self._next, min(last, final) + 1)
        self._read = {number: seen for number, seen in self._read.items() if number >= self._next}
        return False

    async def _facts(self, number: int, head: Block) -> tuple[Block, Sequence[Fact]]:
        """Return a block and its facts; none if exactly this block was read before."""
        block = head if number == head.number else await self._ledger.block(number)
        if block is None:
            raise errors.BadAnswer("The node lost a block.", found=number)
        if self._read.get(number) == block.hash:
            return block, ()
        return block, await self._ledger.facts(block)
