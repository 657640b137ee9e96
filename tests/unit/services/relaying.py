from __future__ import annotations

import asyncio

from ledger_service.domain import errors
from ledger_service.domain.calls import Complete
from ledger_service.domain.lifecycle import Outcome
from ledger_service.domain.records import Circuit, Delivery, Order
from ledger_service.services.pace import Pace
from ledger_service.services.relay import Relay
from ledger_service.testing import MemoryDestination
from tests.unit.services.site import Site

DOWN = errors.DestinationDown("It is away.")
NO = errors.DestinationRefused("Unknown supplier.")


async def completed(site: Site) -> Order:
    """Return an order with two facts for the documents: validated and completed, none delivered."""
    packed = site.world.gateway.pack()
    await site.post(packed)
    order = await site.propose(packed)
    await site.world.approve(order)
    await site.world.ledger.mine()
    await site.world.vote(1, Complete(order.content, Outcome.CURED, bytes(32)))
    await site.world.ledger.mine()
    await site.take_in()
    return order


def documents(site: Site) -> tuple[Relay, MemoryDestination]:
    return site.relays[0], site.world.destinations[0]


async def rows(site: Site, order: Order) -> list[Delivery]:
    found = (await site.track.order(order.id)).deliveries
    return [item for item in found if item.destination == "documents"]


def kinds(destination: MemoryDestination) -> list[str]:
    return [item.kind for item in destination.delivered.values()]


async def run(relay: Relay) -> None:
    """Step until nothing is due."""
    while await relay.step():
        pass


async def circuit(site: Site) -> Circuit | None:
    async with site.world.store.transaction() as held:
        return await held.circuits.get("documents")


class Gated(MemoryDestination):
    """Answers for an order when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.gates: dict[str, asyncio.Event] = {}
        self.begun: list[str] = []

    async def deliver(self, delivery: Delivery) -> dict[str, object]:
        self.begun.append(delivery.key)
        if delivery.key in self.gates:
            await self.gates[delivery.key].wait()
        return await super().deliver(delivery)


def gated(site: Site, *orders: Order, pace: Pace | None = None) -> tuple[Relay, Gated]:
    """Return a relay whose destination keeps these orders waiting."""
    destination = Gated()
    destination.gates = {order.id.hex(): asyncio.Event() for order in orders}
    store, clock = site.world.store, site.world.clock
    return Relay(store=store, destination=destination, clock=clock, pace=pace), destination
