"""What the chain says of our approvals, written down once it is final."""

from __future__ import annotations

import asyncio

from ledger_service import ports
from ledger_service.domain import ids
from ledger_service.domain.facts import Place
from validators.journal.book import Book


class Finals:
    """Facts of blocks that may still be rewritten, each as the entry that it becomes.

    An approval whose order is Refused in a block that is rewritten counts again: who forgot it would
    approve a second order of its episode.
    """

    def __init__(self, ledger: ports.Ledger, book: Book) -> None:
        self._ledger = ledger
        self._book = book
        self._waiting: dict[tuple[str, ids.OrderId], Place] = {}

    def wait(self, kind: str, order: ids.OrderId, place: Place) -> None:
        """Write down that an order is `proposed`, or `ended`, once this place of it is final."""
        self._waiting[kind, order] = place

    def first(self, position: int) -> int:
        """Return the last block up to `position` of which nothing waits to be written down."""
        return min([position, *(place.block - 1 for place in self._waiting.values())])

    async def note(self, position: int) -> None:
        """Write down what is final now, `position` being so. Raise ChainError, StorageError."""
        final = {it: at for it, at in self._waiting.items() if at.block <= position}
        if not final:
            return
        numbers = sorted({place.block for place in final.values()})
        blocks = await asyncio.gather(*(self._ledger.block(number) for number in numbers))
        hashes = {block.hash for block in blocks if block is not None}
        entries = [
            {"kind": kind, "order": order.hex()}
            for (kind, order), place in final.items()
            if place.block_hash in hashes and self._matters(kind, order)
        ]
        if entries:
            self._book.jot(*entries)
        for it, place in final.items():
            if self._waiting.get(it) == place:
                del self._waiting[it]

    def _matters(self, kind: str, order: ids.OrderId) -> bool:
        memory = self._book.memory
        if kind == "proposed":
            return order in memory.unproposed
        return memory.approved(order) or order in memory.late
