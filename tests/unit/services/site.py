from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from ledger_service import ports
from ledger_service.domain import errors, ids, jobplan
from ledger_service.domain.calls import Approve, Call, Refuse
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.records import Order, Result
from ledger_service.domain.result import ResultDocument
from ledger_service.services.adopt import Adopt
from ledger_service.services.anchor import Anchor
from ledger_service.services.close import Close
from ledger_service.services.deliveries import ROUTES
from ledger_service.services.due import Due
from ledger_service.services.fetch import Fetch
from ledger_service.services.follow import Follow
from ledger_service.services.inline import Inline
from ledger_service.services.relay import Relay
from ledger_service.services.seal import Limits, Seal, Sealed
from ledger_service.services.send import Sender
from ledger_service.services.track import Track
from ledger_service.services.wakes import Wakes
from ledger_service.testing import (
    FakeClock,
    MemoryDestination,
    MemoryLedger,
    MemoryObjects,
    MemorySigner,
    MemoryStore,
    memory_address,
)
from tests.unit.services.crash import Doom, Doomed, DoomedStore
from tests.unit.services.gateway import ASSET, DETECTOR, MODE, Gateway, Packed, pieces

PLAN = f"""
id: robot-{MODE}
assetType: robot
failureMode: {MODE}
title: Change the drill
tasks: [{{description: Change the drill, minutes: 10}}]
parts: [{{number: DRL-12, description: Drill, quantity: 2, unitPrice: 8900}}]
supplier: {{id: SUP-9, name: Tools Depot}}
skill: operator
lockOut: []
labourCost: 6000
priority: 3
deadlineHours: 48
"""
BUILDER = "builder"
PLANS = jobplan.JobPlans([jobplan.loads(PLAN)])


class MemoryLocations:
    """The Locations port over a dictionary: URL/path -> bytes. Empty: a service that copies nothing."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.files = files or {}

    async def open(self, location: str, path: str) -> AsyncIterator[bytes]:
        if not any(name.startswith(f"{location}/") for name in self.files):
            raise errors.LocationNotAllowed(found=location)
        if f"{location}/{path}" not in self.files:
            raise errors.NotFound(found=path)
        yield self.files[f"{location}/{path}"]


class World:
    """What outlives a process: chain, database, bytes, destinations, time."""

    def __init__(
        self,
        *,
        finality_depth: int = 0,
        store: ports.Store | None = None,
        objects: ports.ObjectStore | None = None,
        locations: ports.Locations | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.ledger = MemoryLedger(finality_depth=finality_depth, clock=self.clock)
        self.store = store or MemoryStore()
        self.objects = objects or MemoryObjects()
        self.locations = locations or MemoryLocations()
        self.destinations = [MemoryDestination(name) for name in ROUTES]
        self.gateway = Gateway()
        for number in (1, 2, 3):
            verdict, governance = (
                memory_address(f"{role} {number}") for role in ("verdict", "gov")
            )
            self.ledger.add_organisation(number, verdict, governance)
        asset = ids.asset_id(ASSET)
        self.version = self.ledger.register_version(asset, (1, 2, 3), 1, 3)
        self.ledger.add_builder(memory_address(BUILDER))
        self.ledger.add_detector(DETECTOR)
        self.ledger.add_device(asset, self.gateway.id)

    async def vote(self, number: int, call: Call) -> None:
        """Let an organisation's key send a call."""
        signer = MemorySigner(f"verdict {number}")
        waiting = sum(1 for tx in self.ledger._pool.values() if tx.signer == signer.address)
        nonce = await self.ledger.nonce(signer.address) + waiting
        await self.ledger.send(signer.sign(self.ledger.prepare(call), nonce).raw)

    async def approve(self, order: Order, *numbers: int) -> None:
        """Let organisations approve, all of them if none is named."""
        for number in numbers or (1, 2, 3):
            digest = result_of(order, number).digest()
            call = Approve((order.content,), (number - 1,), (digest,))
            await self.vote(number, call)

    async def refuse(self, order: Order, number: int, reason: int = 7) -> None:
        """Let an organisation refuse."""
        await self.vote(number, Refuse(order.content, number - 1, reason, bytes(32)))

    def proposed(self) -> list[ids.OrderId]:
        """Return every order that is on the chain, whatever became of it."""
        return [
            name for name, word in self.ledger._chain[-1].book.words.items() if word.proposed_at
        ]


class Site:
    """One process of the service, all verbs in it. `doom` ends it where it says."""

    def __init__(
        self,
        world: World,
        *,
        doom: Doom | None = None,
        limits: Limits | None = None,
        assets: tuple[str, ...] = (ASSET,),
        plans: jobplan.JobPlans = PLANS,
    ) -> None:
        self.world = world
        doomed: Any = (lambda port: Doomed(port, doom)) if doom else (lambda port: port)
        store: ports.Store = DoomedStore(world.store, doom) if doom else world.store
        ledger, objects = doomed(world.ledger), doomed(world.objects)
        common: dict[str, Any] = {"store": store, "ledger": ledger, "clock": world.clock}
        self.wakes = common["wakes"] = Wakes()
        self.sender = Sender(store, ledger, MemorySigner(BUILDER), world.clock)
        known: dict[str, Any] = {
            "plans": plans,
            "asset_types": dict.fromkeys(assets, "robot"),
        }
        self.seal = Seal(
            objects=objects,
            locations=doomed(world.locations),
            limits=limits or Limits(),
            **known,
            **common,
        )
        builder = self.sender.address
        self.follow = Follow(start=0, builder=builder, routes=ROUTES, **common)
        self.adopt = Adopt(builder=builder, follow=self.follow, **common)
        self.anchor = Anchor(
            sender=self.sender, adopt=self.adopt, currency="EUR", **known, **common
        )
        self.close = Close(objects=objects, sender=self.sender, **common)
        due = Due(store, world.clock, [item.name for item in world.destinations])
        relay = partial(Relay, store=store, clock=world.clock, wake=self.wakes.outbox, due=due)
        self.relays = [relay(destination=doomed(item)) for item in world.destinations]
        self.track = Track(store)
        self.fetch = Fetch(store, objects)
        self.inline = Inline(objects)

    async def post(self, packed: Packed) -> Sealed:
        """Post evidence as a gateway does."""
        sealing = await self.seal.begin(packed.envelope)
        if isinstance(sealing, Sealed):
            return sealing
        async with sealing:
            for path, data in packed.files.items():
                await sealing.file(path, pieces(data))
            return await sealing.finish()

    async def hand_in(self, order: ids.OrderId, organisation: int, document: bytes) -> None:
        """Hand one result in. Raise why it is not kept."""
        (why,) = await self.close.hand_in(Result(order, organisation, document))
        if why is not None:
            raise why

    async def take_in(self) -> None:
        """Follow to the end."""
        while await self.follow.step():
            pass

    async def deliver(self) -> None:
        """Relay to the end."""
        for relay in self.relays:
            while await relay.step():
                pass

    async def propose(self, packed: Packed) -> Order:
        """Anchor what waits, in one block, and return the evidence's newest order."""
        await self.anchor.step()
        await self.world.ledger.mine()
        await self.take_in()
        return (await self.track.evidence(packed.id)).orders[-1]

    async def validate(self, packed: Packed) -> Order:
        """Post, propose, approve, follow, deliver."""
        await self.post(packed)
        order = await self.propose(packed)
        await self.world.approve(order)
        await self.world.ledger.mine()
        await self.take_in()
        await self.deliver()
        return (await self.track.evidence(packed.id)).orders[-1]

    async def run_to_the_end(self) -> None:
        """Do as the loops of a running service and the agents do, until nothing moves."""
        for at in range(3):
            await self.anchor.reconcile(at_start=at == 0)
            while await self.anchor.step():
                pass
            await self.world.ledger.mine()
            await self._vote()
            await self.world.ledger.mine()
            await self.take_in()
            await self.deliver()
            self.world.clock.advance(seconds=100)

    async def _vote(self) -> None:
        for order in await self.track.orders(limit=100):
            if (await self.world.ledger.word(order.id)).status is Status.PROPOSED:
                await self.world.approve(order)


def result_of(order: Order, number: int) -> ResultDocument:
    """Return what an organisation computed."""
    return ResultDocument(bytes(16), number, order.id, 1_500_000, "onnxruntime 1.31", "bit-equal")


def check_nothing_lost_or_doubled(world: World, evidence: list[Packed]) -> None:
    """Every evidence has one order on the chain; every destination heard of each once."""
    orders = world.proposed()
    words = [world.ledger._chain[-1].book.words[order] for order in orders]
    assert [word.status for word in words] == [Status.VALIDATED] * len(evidence)
    for destination in world.destinations:
        heard = sorted((item.key, item.kind) for item in destination.delivered.values())
        assert heard == sorted((order.hex(), "order.validated") for order in orders)
