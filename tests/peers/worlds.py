"""Each destination with what stands behind it: what arrived there, and how to make it fail."""

from __future__ import annotations

import json
import mailbox
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from azure.cosmos.aio import CosmosClient
from lxml import etree

from integrations.cosmos import CosmosDocuments
from integrations.documents.folder import FolderDocuments
from integrations.documents.mapping import document_id
from integrations.erp.mapping import CBC
from integrations.erp.purchase import number_of
from integrations.erp.ubl import UblOrders
from integrations.events import EventsFile, Webhook
from integrations.notifications import MaildirNotes, SmtpNotes
from ledger_service.domain import errors
from ledger_service.domain.records import Delivery
from ledger_service.testing import MemoryDestination
from ledger_service.wiring.destinations import Closable
from tests.peers.cosmos import KEY, CosmosPeer
from tests.peers.deliveries import told
from tests.peers.mailserver import Mailserver
from tests.peers.receiver import SECRET, Receiver

SENDER, TECHNICIAN = "maintenance@plant.example", "technician@plant.example"
SOURCE = "urn:plant:ledger"
UBL_KINDS = {"Order": "Validated", "OrderCancellation": "Cancelled"}


class World(ABC):
    """A destination and what is behind it. `effects`: what arrived, as the far side counts it."""

    name: str
    destination: Closable

    async def start(self) -> None:
        self.destination = self.open()

    async def restart(self) -> None:
        """What a killed process leaves: nothing of the old object is used again."""
        await self.destination.close()
        self.destination = self.open()

    @abstractmethod
    def open(self) -> Closable: ...

    @abstractmethod
    async def effects(self) -> list[str]: ...

    def effect(self, delivery: Delivery) -> str:
        return str(delivery.payload["eventId"])

    @abstractmethod
    async def lose_answer(self) -> None:
        """Let the next delivery take effect and its answer be lost."""

    @abstractmethod
    async def down(self) -> None:
        """Make the next delivery fail for now."""

    @abstractmethod
    async def up(self) -> None:
        """Undo `down`."""

    @abstractmethod
    async def refusal(self) -> Delivery:
        """Return a delivery that will be refused for good."""


class Asked(World):
    """Something that is asked, and fails as often as it was told to."""

    async def up(self) -> None:
        return None


class Memory(Asked):
    name = "documents"

    def __init__(self) -> None:
        self.memory = MemoryDestination(self.name)

    def open(self) -> Closable:
        return self.memory

    async def effects(self) -> list[str]:
        return [str(item.payload["eventId"]) for item in self.memory.delivered.values()]

    async def lose_answer(self) -> None:
        self.memory.lose_answer = 1

    async def down(self) -> None:
        self.memory.faults.append(errors.DestinationDown())

    async def refusal(self) -> Delivery:
        self.memory.faults.append(errors.DestinationRefused())
        return told(self.name)


class OnDisk(World):
    """Something below a folder that can be made impossible. A file has no answer to lose."""

    def __init__(self, folder: Path) -> None:
        self.above = folder / "disk"
        self.place = self.above / "place"

    async def down(self) -> None:
        self.above.write_text("a file where the folder should be", encoding="utf-8")

    async def up(self) -> None:
        self.above.unlink()

    async def lose_answer(self) -> None:
        return None


class Folder(OnDisk):
    name = "documents"

    def open(self) -> Closable:
        return FolderDocuments(self.place)

    async def effects(self) -> list[str]:
        documents = [json.loads(path.read_bytes()) for path in self.place.glob("*.json")]
        return sorted(step["eventId"] for document in documents for step in document["history"])

    async def refusal(self) -> Delivery:
        delivery = told(self.name)
        self.place.mkdir(parents=True, exist_ok=True)
        (self.place / f"{document_id(delivery.payload)}.json").write_bytes(b"not ours")
        return delivery


class Ubl(OnDisk):
    name = "erp"

    def open(self) -> Closable:
        return UblOrders(self.place, buyer="Plant 1")

    def effect(self, delivery: Delivery) -> str:
        return f"{delivery.payload['status']} {number_of(delivery.payload['order'])}"

    async def effects(self) -> list[str]:
        found = sorted(self.place.glob("*/*.xml"), key=lambda path: path.stat().st_mtime_ns)
        return [self._read(path) for path in found]

    def _read(self, path: Path) -> str:
        root = etree.parse(path).getroot()
        identity = root.findtext(f"{{{CBC}}}ID").removesuffix("-C")
        return f"{UBL_KINDS[etree.QName(root).localname]} {identity}"

    async def refusal(self) -> Delivery:
        return told(self.name, asset="1/robot-\x07")


class Maildir(OnDisk):
    name = "notifications"

    def open(self) -> Closable:
        return MaildirNotes(self.place, SENDER, lambda _: TECHNICIAN)

    def effect(self, delivery: Delivery) -> str:
        return told_subject(delivery)

    async def effects(self) -> list[str]:
        box = mailbox.Maildir(self.place, create=False)
        arrived = sorted(self.place.glob("new/*"), key=lambda path: path.stat().st_mtime_ns)
        assert len(arrived) == len(box)
        return [key_of(box[path.name]) for path in arrived]

    async def refusal(self) -> Delivery:
        return told(self.name, asset="1/robot-\x07")


class Smtp(Asked):
    name = "notifications"

    def __init__(self, server: Mailserver) -> None:
        self.server = server

    def open(self) -> Closable:
        return SmtpNotes(
            host="127.0.0.1",
            port=self.server.port,
            sender=SENDER,
            recipient_of=lambda _: TECHNICIAN,
            tls=False,
        )

    def effect(self, delivery: Delivery) -> str:
        return told_subject(delivery)

    async def effects(self) -> list[str]:
        """Count as a mail store does that keeps one of each Message-ID."""
        known = {str(message["Message-ID"]): key_of(message) for message in self.server.received}
        return list(known.values())

    async def lose_answer(self) -> None:
        self.server.lose = 1

    async def down(self) -> None:
        self.server.at_rcpt.append("451 4.7.1 Greylisted, come back later")

    async def refusal(self) -> Delivery:
        self.server.at_data.append("554 5.7.1 We do not want this")
        return told(self.name)


class Lines(OnDisk):
    name = "events"

    def open(self) -> Closable:
        return EventsFile(self.place / "events.jsonl", SOURCE)

    async def effects(self) -> list[str]:
        lines = (self.place / "events.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["id"] for line in lines]

    async def refusal(self) -> Delivery:
        self.place.mkdir(parents=True, exist_ok=True)
        (self.place / "events.jsonl").write_bytes(b"somebody else's line\n")
        return told(self.name)


class Hook(Asked):
    name = "events"

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver

    def open(self) -> Closable:
        return Webhook(self.receiver.url, SECRET, SOURCE)

    async def effects(self) -> list[str]:
        assert not self.receiver.problems
        return list(self.receiver.events)

    async def lose_answer(self) -> None:
        self.receiver.lose = 1

    async def down(self) -> None:
        self.receiver.answers.append((503, {}))

    async def refusal(self) -> Delivery:
        self.receiver.answers.append((410, {}))
        return told(self.name)


class Cosmos(Asked):
    name = "documents"

    def __init__(self, peer: CosmosPeer) -> None:
        self.peer = peer
        self.database = f"test-{uuid.uuid4().hex}"

    def open(self) -> Closable:
        return CosmosDocuments(self.peer.url, KEY, self.database, "orders", read_seconds=0.5)

    async def effects(self) -> list[str]:
        return sorted(step["eventId"] for item in await self.items() for step in item["history"])

    async def items(self) -> list[dict[str, Any]]:
        async with items_of(self.peer.url, self.database) as found:
            return found

    async def lose_answer(self) -> None:
        await self.peer.fault("after", "POST")

    async def down(self) -> None:
        await self.peer.fault(503, "GET")

    async def refusal(self) -> Delivery:
        await self.peer.fault(400, "POST")
        return told(self.name)


@asynccontextmanager
async def items_of(url: str, database: str) -> AsyncIterator[list[dict[str, Any]]]:
    """Read all items with a client of our own."""
    async with CosmosClient(url, KEY, enable_endpoint_discovery=False) as client:
        container = client.get_database_client(database).get_container_client("orders")
        yield [dict(item) async for item in container.read_all_items()]


def told_subject(delivery: Delivery) -> str:
    return f"{delivery.payload['order']} {delivery.payload['status']}"


def key_of(message: Any) -> str:
    """Return order and state, as the message tells them."""
    parts = [part for part in message.walk() if part.get_content_type() == "text/plain"]
    text = parts[0].get_payload(decode=True).decode()
    state = next(line.split()[1] for line in text.splitlines() if line.startswith("State "))
    return f"{message['X-Order-Id']} {state}"
