"""Many questions at once, for a chain in memory: one after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Call, Receipt, Sent
from ledger_service.domain.facts import Block, CapturedProof


class Many(ABC):
    """The part of the Ledger port that asks the same many times."""

    finality_depth: int

    @abstractmethod
    async def simulate(self, call: Call, sender: ids.Address) -> None:
        """Try one call. Raise CallReverted."""

    @abstractmethod
    async def send(self, raw: bytes) -> Sent:
        """Take one transaction."""

    @abstractmethod
    async def receipt(self, transaction: ids.TxHash) -> Receipt | None:
        """Return one receipt."""

    @abstractmethod
    async def head(self) -> Block:
        """Return the newest block."""

    @abstractmethod
    async def block(self, number: int) -> Block | None:
        """Return the block at a height."""

    @abstractmethod
    async def capture(self, order: ids.OrderId, block: Block) -> CapturedProof | None:
        """Return the proof of one order."""

    async def final_blocks(self, after: Block | None, start: int, most: int) -> list[Block]:
        """Return final blocks that are linked."""
        number = start if after is None else after.number + 1
        last = min((await self.head()).number - self.finality_depth, number + most - 1)
        found: list[Block] = []
        while number <= last:
            block = await self.block(number)
            if block is None or (found and block.parent != found[-1].hash):
                break  # it was rewritten meanwhile
            found.append(block)
            number += 1
        return found

    async def captures(
        self, orders: Sequence[ids.OrderId], block: Block
    ) -> list[CapturedProof | None]:
        """Return the proof of each."""
        return [await self.capture(order, block) for order in orders]

    async def simulate_many(
        self, tried: Sequence[Call], sender: ids.Address
    ) -> list[errors.LedgerError | None]:
        """Try each call by itself."""
        found: list[errors.LedgerError | None] = []
        for call in tried:
            try:
                await self.simulate(call, sender)
            except errors.CallReverted as exc:
                found.append(exc)
            else:
                found.append(None)
        return found

    async def send_many(self, raws: Sequence[bytes]) -> list[Sent]:
        """Take them in their order."""
        return [await self.send(raw) for raw in raws]

    async def receipts(self, transactions: Sequence[ids.TxHash]) -> list[Receipt | None]:
        """Return each receipt."""
        return [await self.receipt(name) for name in transactions]
