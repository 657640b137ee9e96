"""Many questions at once, for a chain in memory: one after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Call, Receipt, Sent


class Many(ABC):
    """The part of the Ledger port that asks the same many times."""

    @abstractmethod
    async def simulate(self, call: Call, sender: ids.Address) -> None:
        """Try one call. Raise CallReverted."""

    @abstractmethod
    async def send(self, raw: bytes) -> Sent:
        """Take one transaction."""

    @abstractmethod
    async def receipt(self, transaction: ids.TxHash) -> Receipt | None:
        """Return one receipt."""

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
