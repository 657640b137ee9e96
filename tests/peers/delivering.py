"""Delivers to the embedded destinations from a position on, and says what is settled: to be killed.

python -m tests.peers.delivering FOLDER POSITION
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from integrations.documents.folder import FolderDocuments
from integrations.erp.ubl import UblOrders
from integrations.events import EventsFile
from integrations.notifications import MaildirNotes
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.records import Delivery
from ledger_service.ports import Destination
from tests.peers.deliveries import told

ORDERS = 12
LIFE = (Status.EMERGENCY, Status.RATIFIED, Status.CANCELLED)
NAMES = ("documents", "erp", "notifications", "events")


def plan() -> list[Delivery]:
    """Return all deliveries, in the order in which they are made."""
    return [
        told(name, status, of=order, block=int(status) * 1000 + order)
        for order in range(ORDERS)
        for status in LIFE
        for name in NAMES
    ]


def destinations(folder: Path) -> dict[str, Destination]:
    """Return the four, below one folder."""
    return {
        "documents": FolderDocuments(folder / "documents"),
        "erp": UblOrders(folder / "purchase-orders", buyer="Plant 1"),
        "notifications": MaildirNotes(
            folder / "mailbox", "maintenance@plant.example", lambda _: "technician@plant.example"
        ),
        "events": EventsFile(folder / "events.jsonl", "urn:plant:ledger"),
    }


async def deliver(folder: Path, start: int) -> None:
    """Deliver; a line with its position follows each delivery that is settled."""
    known = destinations(folder)
    for position, delivery in list(enumerate(plan()))[start:]:
        await known[delivery.destination].deliver(delivery)
        sys.stdout.write(f"{position}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(deliver(Path(sys.argv[1]), int(sys.argv[2])))
