"""The service's processes: the real verbs over faulting ports, run by the real loops, and who asks them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ledger_service.domain import errors, ids
from ledger_service.services.adopt import Adopt
from ledger_service.services.anchor import Anchor
from ledger_service.services.close import Close
from ledger_service.services.deliveries import ROUTES
from ledger_service.services.due import Due
from ledger_service.services.fetch import Fetch
from ledger_service.services.follow import Follow
from ledger_service.services.inline import Inline
from ledger_service.services.loops import forever
from ledger_service.services.pace import Pace
from ledger_service.services.relay import Relay, prune
from ledger_service.services.seal import Limits, Seal, Sealed
from ledger_service.services.send import Sender
from ledger_service.services.track import Track
from ledger_service.services.wakes import Wake, Wakes, wait
from ledger_service.testing.signer import MemorySigner
from tests.simulation import deeds
from tests.simulation.evidence import CARD, PLANS, Packed, asset_of, pieces
from tests.simulation.loop import Process
from tests.simulation.ports import DestinationPort, LedgerPort, ObjectsPort, SimClock
from tests.simulation.store import StorePort

if TYPE_CHECKING:
    from tests.simulation.world import World

BUILDER = "builder"
ASK_SECONDS = 40.0
FEED_PAGE = 20
INLINE_BYTES = 64 * 1024
PATIENCE = timedelta(seconds=20)
PERIOD = 1.0
KEEP = timedelta(minutes=1)
PACE = Pace(longest_pause=timedelta(minutes=2))


class Site:
    """One life of one process of the service."""

    def __init__(self, world: World, process: Process, clock: SimClock) -> None:
        faults = world.faults
        self.ledger = LedgerPort(process, faults, world.ledger, world.check.broadcast_by_service)
        self.store = StorePort(
            process, world.open_store(process), world.turns, faults, world.check.fenced
        )
        objects = ObjectsPort(process, faults, world.objects)
        self.wakes = Wakes()
        ledger: Any = self.ledger
        common: dict[str, Any] = {"store": self.store, "ledger": ledger, "clock": clock}
        common["wakes"] = self.wakes
        self.sender = sender = Sender(
            self.store, ledger, MemorySigner(BUILDER), clock, patience=PATIENCE
        )
        assets = {asset_of(device): CARD.asset_type for device in range(world.shape.devices)}
        known: dict[str, Any] = {"plans": PLANS, "asset_types": assets}
        limits = Limits(backlog=100)
        self.seal = Seal(
            objects=objects, locations=deeds.Folders(world), limits=limits, **known, **common
        )
        routes = {name: ROUTES[name] for name in world.shape.destinations}
        builder = sender.address
        self.follow = Follow(start=0, builder=builder, routes=routes, **common)
        adopt = Adopt(builder=builder, follow=self.follow, **common)
        self.anchor = Anchor(sender=sender, adopt=adopt, currency="EUR", **known, **common)
        self.close = Close(objects=objects, sender=sender, **common)
        self.relays = self._relays(world, process, clock)
        self.track = Track(self.store)
        self.fetch = Fetch(self.store, objects)
        self.inline = Inline(objects)

    def _relays(self, world: World, process: Process, clock: SimClock) -> list[Relay]:
        due = Due(self.store, clock, world.shape.destinations)
        return [
            Relay(
                store=self.store,
                destination=DestinationPort(
                    process, world.faults, world.destinations[name], world.freeze
                ),
                clock=clock,
                wake=self.wakes.outbox,
                pace=PACE,
                due=due,
            )
            for name in world.shape.destinations
        ]

    def loops(self, role: str, clock: SimClock) -> list[Any]:
        """Return what a process of this role runs for ever, as the wiring has it."""
        wakes = self.wakes
        roles: dict[str, list[Any]] = {
            "api": [forever("tidy", self.seal.tidy, Wake(), period=60.0)],
            "anchor": [
                forever("anchor", self.anchor.step, wakes.sealed, period=PERIOD),
                self._reconcile(),
                forever("expire", self.close.expire_overdue, Wake(), period=10.0),
            ],
            "follow": [
                forever("heads", self._hear, Wake(), period=0),
                forever("follow", self.follow.step, wakes.heads, period=PERIOD),
            ],
            "relay": [
                forever(f"relay {relay.name}", relay.step, wakes.outbox, period=PERIOD)
                for relay in self.relays
            ]
            + [forever("prune", lambda: prune(self.store, clock, KEEP), Wake(), period=60.0)],
        }
        wanted = roles if role == "all" else [role]
        chosen = [work for name in wanted for work in roles[name]]
        for work in (work for works in roles.values() for work in works):
            if work not in chosen:
                work.close()
        return chosen

    async def _reconcile(self) -> None:
        first = True

        async def step() -> bool:
            nonlocal first
            await self.anchor.reconcile(at_start=first)
            first = False
            return False

        await forever("reconcile", step, Wake(), period=PERIOD)

    async def _hear(self) -> bool:
        async for _ in self.ledger.heads():
            self.wakes.heads.ring()
        return True

    # ---- what the API makes of the verbs

    async def post(self, packed: Packed, *, folder: bool = False) -> Sealed:
        """Post evidence, or let its files be copied from a `folder`."""
        if folder:
            return await self.seal.from_location(packed.envelope, packed.id.hex())
        sealing = await self.seal.begin(packed.envelope)
        if isinstance(sealing, Sealed):
            return sealing
        async with sealing:
            for path, data in packed.files.items():
                await sealing.file(path, pieces(data))
            return await sealing.finish()

    async def read_feed(self, after: int, left: float) -> list[dict[str, Any]]:
        """Wait for lines of the feed."""
        while True:
            bell = self.wakes.announced.listen()
            found = await self.track.feed(after, FEED_PAGE)
            if found or left <= 0:
                break
            await wait(bell, min(left, PERIOD))
            left -= PERIOD
        files = await self.inline.files(found, INLINE_BYTES)
        return [
            {
                "sequence": item.sequence,
                "kind": item.kind,
                "order": item.order.hex(),
                "body": item.body,
                "files": files.get(item.order, {}),
            }
            for item in found
        ]

    async def document(self, order: ids.OrderId) -> bytes:
        """Return an order's document."""
        return (await self.track.order(order)).order.document

    async def report(self, digest: bytes) -> bytes:
        """Return a close-out's report."""
        return b"".join([chunk async for chunk in await self.fetch.close_out(digest)])

    async def file(self, evidence: ids.EvidenceId, path: str) -> bytes:
        """Return a file."""
        opened = await self.fetch.file(evidence, path)
        return b"".join([chunk async for chunk in opened.chunks])


class Gone(errors.LedgerError):
    """Whoever was asked died, or does not answer."""

    code = "SIM1"


@dataclass
class Services:
    """All processes of the service, by name: the present life of each, if it lives."""

    world: World
    sites: dict[str, tuple[Process, Site]] = field(default_factory=dict)
    mains: dict[str, tuple[list[asyncio.Task[Any]], str]] = field(default_factory=dict)

    def start(self, name: str, role: str, clock: SimClock) -> Process:
        """Start a process."""
        process = Process(name)
        site = Site(self.world, process, clock)
        tasks = [process.spawn(self.world.loop, work) for work in site.loops(role, clock)]
        self.sites[name] = (process, site)
        self.mains[name] = (tasks, role)
        return process

    async def stop(self, name: str) -> None:
        """Let a process end as it does when it is told to."""
        tasks, role = self.mains[name]
        await deeds.stop_site(tasks, self.sites[name][1], role)

    async def ask(
        self, work: Callable[[Site], Awaitable[Any]], *, patience: float = ASK_SECONDS
    ) -> Any:
        """Let some process that answers do something; raise what it raises, Gone if it never answers."""
        answering = [pair for name, pair in self.sites.items() if self._answers(name, pair[0])]
        if not answering:
            raise Gone("nobody listens")
        process, site = self.world.rng.choice(answering)
        loop = self.world.loop
        answer = loop.create_future()

        async def serve() -> None:
            try:
                found = await work(site)
            except errors.LedgerError as exc:
                if not answer.done():
                    answer.set_exception(exc)
            else:
                if not answer.done():
                    answer.set_result(found)

        process.last_words.append(lambda: _gone(answer))
        timer = loop.call_later(patience, _gone, answer)
        process.spawn(loop, serve())
        try:
            await asyncio.sleep(0)
            return await answer
        finally:
            timer.cancel()

    def _answers(self, name: str, process: Process) -> bool:
        return process.alive and not process.leaving and name.startswith(("api", "all"))


def _gone(answer: asyncio.Future[Any]) -> None:
    if not answer.done():
        answer.set_exception(Gone("connection lost"))
