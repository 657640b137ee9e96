"""A destination in memory, with faults to order."""

from __future__ import annotations

from collections import deque

from ledger_service.domain import errors
from ledger_service.domain.records import Delivery


class MemoryDestination:
    """The Destination port: keeps each dedup key once; `faults` are raised first, one a call.

    `lose_answer`: the effect happens, then the answer is lost (DestinationDown).
    """

    def __init__(self, name: str = "documents") -> None:
        self.name = name
        self.delivered: dict[str, Delivery] = {}
        self.calls = 0
        self.faults: deque[errors.RelayError] = deque()
        self.lose_answer = 0

    async def deliver(self, delivery: Delivery) -> dict[str, object]:
        """Take it once."""
        self.calls += 1
        if self.faults:
            raise self.faults.popleft()
        self.delivered.setdefault(delivery.dedup, delivery)
        if self.lose_answer:
            self.lose_answer -= 1
            raise errors.DestinationDown("The answer was lost.")
        return {"id": delivery.dedup}

    async def close(self) -> None:
        """Hold nothing open."""
