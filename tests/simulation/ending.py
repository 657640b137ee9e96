"""A run from its begin to its end: trouble for some minutes, then none; then all must be well in time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ledger_service import ports
from ledger_service.domain import ids, records
from ledger_service.domain.facts import Approved
from ledger_service.domain.lifecycle import Stage, Status
from ledger_service.domain.records import DeliveryState
from ledger_service.domain.result import result_digest
from ledger_service.testing.ledger import GAS
from tests.simulation import actors, losses
from tests.simulation.evidence import pool
from tests.simulation.store import WatchedStore

if TYPE_CHECKING:
    from tests.simulation.world import World
    from validators.agent.copies import Copies
    from validators.journal.memory import Memory

LOOK_SECONDS = 5.0
PATIENCE_SECONDS = 1800.0
OVER = frozenset({DeliveryState.DONE, DeliveryState.DEAD})


async def play(world: World) -> None:
    """Play it."""
    for name, _ in world.names():
        world.start(name)
    for name in losses.AGENTS:
        world.start(name)
    tasks = [world.loop.create_task(actors.mine(world)), *_devices(world)]
    world.posting += tasks[1:]
    tasks += [
        world.loop.create_task(actors.operate(world)),
        world.loop.create_task(actors.people(world)),
    ]
    if isinstance(world.watched, WatchedStore):
        tasks.append(world.loop.create_task(losses.back_up(world)))
    trouble = world.loop.create_task(actors.trouble(world))
    await asyncio.sleep(60 * world.shape.minutes)
    trouble.cancel()
    _mend(world)
    await _until_well(world)
    for task in [*tasks, *world.posting]:
        if task.done() and task.exception() is not None:
            raise task.exception()  # type: ignore[misc]  # it is there
        task.cancel()


def _devices(world: World) -> list[asyncio.Task[None]]:
    share = [world.shape.evidence] * world.shape.devices
    return [
        world.loop.create_task(actors.device(world, list(pool(number)[:count])))
        for number, count in enumerate(share)
    ]


def _mend(world: World) -> None:
    """End all faults, those at the destinations some time later."""
    world.note("== no more faults")
    world.faults.on = False
    world.outside(world.shape.outlasting, _mend_outside, world)
    world.loop.doomed = 0
    world.halted = False
    world.turns.down = False
    world.ledger.rivals.clear()
    world.ledger.most_gas = GAS
    world.ledger.price = max(world.ledger.price, world.ledger.least_price)
    for name, process in world.running.items():
        if process.frozen:
            world.loop.thaw(process)
        world.start(name)
    for clock in world.clocks.values():
        clock.off = 0.0
    for port in world.ledgers.values():
        port.behind = 0


def _mend_outside(world: World) -> None:
    world.note("== nor at the destinations")
    world.faults.outside = False


async def _until_well(world: World) -> None:
    end = world.loop.time() + PATIENCE_SECONDS
    while world.loop.time() < end:
        await asyncio.sleep(LOOK_SECONDS)
        left = [f"{sum(not t.done() for t in world.posting)} devices still post"]
        if all(task.done() for task in world.posting):
            left = await unfinished(world)
        if not left:
            return
    world.violate("liveness", "; ".join(left[:4]))


async def unfinished(world: World) -> list[str]:
    """Return what is not well yet."""
    left: list[str] = []
    async with world.open_store().reading() as rows:
        for evidence in world.accepted:
            left += await _evidence(world, rows, evidence)
        counts = await rows.outbox.counts()
        left += [f"{n} deliveries {at}" for at, n in counts.items() if at[1] not in OVER]
        for signer in sorted(world.ledger.registry.builders):
            left += [f"{row.key[:20]} is stored" for row in await rows.outgoing.unfinished(signer)]
    for name, life in world.lives.items():
        memory = life.book.memory
        left += [f"{name}: {purpose} is not mined" for purpose, _ in memory.unmined]
        left += [f"{name}: {text}" for text in _in_hand(memory, life.copies)]
    return left


def _in_hand(memory: Memory, copies: Copies) -> list[str]:
    """Return what an agent has begun and not ended. What only the service told of may wait to be forgotten.

    So may a copy that the service did not have when it was asked, or gave wrongly: it is asked in an hour.
    """
    begun: dict[str, Iterable[ids.OrderId]] = {
        "decided, not signed": memory.decided,
        "result not handed in": memory.results,
        "no copy": [it for it in memory.copies if it not in copies._not_before],
        "not judged": [it for it, entry in memory.open.items() if "told" not in entry],
    }
    return [f"{order.hex()[:8]}: {text}" for text, orders in begun.items() for order in orders]


async def _evidence(world: World, rows: ports.Transaction, evidence: ids.EvidenceId) -> list[str]:
    short = evidence.hex()[:8]
    found = await rows.evidence.get(evidence)
    orders = await rows.orders.of_evidence(evidence)
    spoken = [order for order in orders if order.status is not Status.NONE]
    last = orders[-1].status if orders else Status.NONE
    if found.stage is Stage.FAILED and spoken:
        last = spoken[-1].status
    if not actors.ended(world, evidence, last, found.stage):
        return [f"{short} is {found.stage} and its order {last.title}: {found.reason}"]
    left = []
    for order in spoken:
        word = await world.ledger.word(order.id)
        if word.status is not order.status:
            left.append(f"{short} is {word.status.title} on chain, {order.status.title} here")
        left += _told(world, order.id.hex())
        documents = await rows.orders.results(order.id)
        left += _without_result(world, order.id, documents)
    return left


def _without_result(
    world: World, order: ids.OrderId, documents: Sequence[records.Result]
) -> list[str]:
    """Return whose approvals on chain have no document here that is theirs, byte for byte."""
    here = {(it.organisation, result_digest(it.document)) for it in documents}
    return [
        f"no result of organisation {fact.event.organisation} for {order.hex()[:8]}"
        for mined in world.ledger._chain
        for fact in mined.facts
        if isinstance(fact.event, Approved)
        and fact.event.order == order
        and (fact.event.organisation, fact.event.result) not in here | world.check.forgiven
    ]


def _told(world: World, order: str) -> list[str]:
    """Return which destinations were not told of all."""
    if world.shape.deep:
        return []
    return [
        f"{name} heard {len(heard)} of {len(told)} of {order[:8]}"
        for name in world.shape.destinations
        if (name, order) not in world.unordered
        and len(heard := world.check._heard[name, order])
        != len(told := world.check.moves(order, name))
    ]
