"""Relays to one destination until it is killed, as `mol relay` does: the same loop, the same bells.

python -m tests.peers.relay_worker DATABASE_URL KIND TARGET LEASE_SECONDS HANDS
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

import uvloop

from integrations.documents.folder import FolderDocuments
from integrations.erp.ubl import UblOrders
from integrations.events import EventsFile, Webhook
from integrations.notifications import MaildirNotes
from ledger_service import logs
from ledger_service.clock import SystemClock
from ledger_service.db.session import SqlStore, make_engine
from ledger_service.ports import Destination
from ledger_service.services.loops import forever
from ledger_service.services.pace import Pace
from ledger_service.services.relay import LOOK_SECONDS, Relay
from ledger_service.services.wakes import Wakes
from ledger_service.wiring.running import hear_others
from tests.peers.receiver import SECRET

SOURCE = "urn:plant:ledger"


def destination(kind: str, target: str) -> Destination:
    """Return one of the embedded destinations below a folder, or a webhook at an address."""
    folder = Path(target)
    match kind:
        case "documents":
            return FolderDocuments(folder)
        case "erp":
            return UblOrders(folder, buyer="Plant 1")
        case "notifications":
            return MaildirNotes(folder, "ledger@plant.example", lambda _: "tech@plant.example")
        case "events":
            return EventsFile(folder / "events.jsonl", SOURCE)
        case "webhook":
            return Webhook(target, SECRET, SOURCE)
    raise ValueError(kind)


def relay_of(store: SqlStore, to: Destination, wakes: Wakes, pace: Pace) -> Relay:
    """Return the relay as the service makes it."""
    return Relay(store=store, destination=to, clock=SystemClock(), wake=wakes.outbox, pace=pace)


async def work(url: str, kind: str, target: str, pace: Pace) -> None:
    """Relay for ever."""
    logs.set_up()
    store, wakes = SqlStore(make_engine(url)), Wakes()
    relay = relay_of(store, destination(kind, target), wakes, pace)
    await asyncio.gather(
        forever("relay", relay.step, wakes.outbox, period=LOOK_SECONDS),
        *hear_others(store.engine, wakes),
    )


if __name__ == "__main__":
    chosen = Pace(lease=timedelta(seconds=float(sys.argv[4])), hands=int(sys.argv[5]))
    uvloop.run(work(sys.argv[1], sys.argv[2], sys.argv[3], chosen))
