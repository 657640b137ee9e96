"""Nodes that contradict each other, in memory: what they have, and the rows about it."""

from __future__ import annotations

from dataclasses import replace

from ledger_service.domain import ids
from ledger_service.domain.facts import Block, Dispute, Rival

Disputes = dict[tuple[int, ids.BlockHash, ids.BlockHash], Dispute]


class MemoryDisputes:
    """The DisputeRows port."""

    def __init__(self, rows: Disputes) -> None:
        self._rows = rows

    async def add(self, item: Dispute) -> Dispute:
        """Keep it, if it is new; return what there is."""
        return self._rows.setdefault((item.number, item.ours, item.theirs), item)

    async def last(self) -> Dispute | None:
        """Return the lowest that is open, else the highest that is settled."""
        opened = [it for it in self._rows.values() if it.accepted is None]
        if opened:
            return min(opened, key=lambda it: it.number)
        return max(self._rows.values(), key=lambda it: (it.number, it.noted_at), default=None)

    async def settle(self, block: ids.BlockHash) -> Dispute | None:
        """Accept a block of an open dispute."""
        for key, it in self._rows.items():
            if it.accepted is None and block in {it.ours, it.theirs}:
                self._rows[key] = replace(it, accepted=block)
                return self._rows[key]
        return None


class Neighbours:
    """What another node says: `rivals` (height -> its final block), none at first.

    `rewritable` False: final blocks are never taken back, like under QBFT.
    """

    def __init__(self) -> None:
        self.rewritable = True
        self.rivals: dict[int, Block] = {}
        self.agreed: tuple[int, ids.BlockHash] | None = None

    async def rival(self, block: Block) -> Rival | None:
        """Return what the test says that another node has."""
        other = self.rivals.get(block.number)
        if other is None or other.hash == block.hash:
            return None
        return Rival(block, "memory", other, "another")

    def agree(self, number: int, block: ids.BlockHash) -> None:
        """Listen no more to a node that has another block there."""
        self.agreed = (number, block)
        if number in self.rivals and self.rivals[number].hash != block:
            del self.rivals[number]
