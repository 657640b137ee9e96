"""Shipped fakes: complete in-memory implementations of the ports, for our tests and for yours."""

from __future__ import annotations

from ledger_service.testing.clock import FakeClock
from ledger_service.testing.destination import MemoryDestination
from ledger_service.testing.ledger import MemoryLedger
from ledger_service.testing.objects import MemoryObjects
from ledger_service.testing.signer import MemorySigner, memory_address
from ledger_service.testing.store import MemoryStore

__all__ = [
    "FakeClock",
    "MemoryDestination",
    "MemoryLedger",
    "MemoryObjects",
    "MemorySigner",
    "MemoryStore",
    "memory_address",
]
