"""The port to what nodes contradicted each other about."""

from __future__ import annotations

from typing import Protocol

from ledger_service.domain import ids
from ledger_service.domain.facts import Dispute


class DisputeRows(Protocol):
    """Final blocks of which nodes had two. While one is open nothing is taken in."""

    async def add(self, item: Dispute) -> Dispute:
        """Open a dispute; the same again changes nothing. Return it as it stands, perhaps settled."""

    async def last(self) -> Dispute | None:
        """Return the open one at the lowest height, else the settled one at the highest."""

    async def settle(self, block: ids.BlockHash) -> Dispute | None:
        """Accept one of the two blocks of an open dispute, and return it; None if none has this block."""
