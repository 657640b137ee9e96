"""What people do seldom: look into things, cancel, give up, settle a dispute, stop a process, copy from a folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from ledger_service.domain import errors, ids
from ledger_service.domain.records import DeliveryState
from ledger_service.services import dispute
from ledger_service.services.relay import give_up
from tests.simulation.evidence import pieces
from tests.simulation.loop import Process

if TYPE_CHECKING:
    from tests.simulation.service import Site
    from tests.simulation.world import World

MISSING = 0.1  #: the share of copies from a folder where a file is not there yet


class Folders:
    """The Locations port: each piece of evidence lies in a folder that has its id for a name."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def open(self, location: str, path: str) -> AsyncIterator[bytes]:
        """Stream a file. Raise NotFound."""
        packed = self._world.known[ids.EvidenceId(bytes.fromhex(location))]
        if self._world.faults.on and self._world.faults.chance(MISSING):
            raise errors.NotFound("Not copied there yet.", found=path)
        async for piece in pieces(packed.files[path]):
            yield piece


async def look(_: World, site: Site) -> None:
    """Look at what there is, as pages, health and doctor do."""
    for journey in (await site.track.latest(20))[:3]:
        await site.track.evidence(journey.evidence.id)
        await site.track.dataset(journey.evidence.dataset_root)
        for order in journey.orders:
            await site.track.order(order.id)
    await site.follow.lag()
    await dispute.check(site.store)


async def cancel(world: World, site: Site) -> None:
    """Cancel a transaction that is not mined."""
    async with site.store.reading() as rows:
        waiting = await rows.outgoing.unfinished(site.sender.address)
    if waiting:
        await site.sender.cancel(world.faults.rng.choice([it.nonce for it in waiting]))


async def end_delivery(world: World, site: Site) -> None:
    """Give a delivery up that waits."""
    async with site.store.transaction() as rows:
        counts = await rows.outbox.counts()
        waiting = [name for name, state in counts if state == DeliveryState.BLOCKED]
        if not waiting:
            return
        blocked = await rows.outbox.blocked(5)
        item = world.faults.rng.choice(list(blocked))
        world.given_up.add(item.dedup)
        world.unordered.add((item.destination, item.key))
        await give_up(rows, item.destination, item.dedup, "it was done by hand", world.clock.now())


async def settle(world: World, site: Site) -> None:
    """Say of two final blocks that the one which the chain has is right."""
    async with site.store.reading() as rows:
        found = await rows.disputes.last()
    if found is None or found.accepted is not None:
        return
    chain = world.ledger._chain
    there = chain[found.number].block.hash if found.number < len(chain) else None
    await dispute.accept(site.store, found.ours if found.ours == there else found.theirs)


DEEDS: Sequence[tuple[Callable[[World, Site], Awaitable[None]], float]] = (
    (look, 1.0),
    (cancel, 0.4),
    (end_delivery, 0.4),
)


async def stop_site(tasks: Sequence[asyncio.Task[Any]], site: Site, role: str) -> None:
    """End as a process of the service does when it is told to."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if role in {"relay", "all"}:
        await asyncio.gather(*(relay.stop() for relay in site.relays))


def stop(world: World, name: str) -> bool:
    """Tell a process to stop; another life begins some seconds after it has."""
    process = world.running[name]
    if not process.alive or process.leaving:
        return False
    process.leaving = True
    world.note(f"{name} is told to stop")
    work = world.lives[name].stop() if name in world.lives else world.services.stop(name)
    process.spawn(world.loop, work).add_done_callback(lambda _: _gone(world, process))
    return True


def _gone(world: World, process: Process) -> None:
    process.leaving = False
    world.ended(process)
