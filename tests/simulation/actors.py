"""Who acts in a world beside the processes: blocks, devices, people, and everything that goes wrong."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ledger_service.domain import errors, ids
from ledger_service.domain.facts import Block
from ledger_service.domain.lifecycle import MAY_TRY_AGAIN, Outcome, Stage, Status
from ledger_service.services.close import COMPLETABLE
from ledger_service.testing.ledger import GAS
from ledger_service.testing.signer import MemorySigner
from tests.simulation import deeds, losses
from tests.simulation.evidence import DETECTOR, Packed
from tests.simulation.service import BUILDER, Gone, Site
from validators.agent.desk import Decision

if TYPE_CHECKING:
    from tests.simulation.world import World

REPORT = b"the drill was changed"
STOPPED = 0.1  #: how often one who looks after things stops a process
MANY = 100  #: more than there ever is
COPIED = 0.15  #: the share of evidence whose files the service copies from a folder


def outside() -> contextvars.Context:
    """Return a context of no process."""
    return contextvars.Context()


async def mine(world: World) -> None:
    """Make blocks for ever, unless the chain is halted; tell some nodes' listeners at once."""
    rng = world.rng
    while True:
        await asyncio.sleep(rng.uniform(0.5, 2.0))
        if not world.halted:
            await make_block(world)


async def make_block(world: World) -> None:
    """Make one block."""
    await world.ledger.mine()
    world.check.mined()
    for port in world.ledgers.values():
        if world.rng.random() < 0.8:
            port.ring()


async def device(world: World, items: list[Packed]) -> None:
    """Post evidence until it is accepted, each after the other."""
    for packed in items:
        await asyncio.sleep(world.rng.expovariate(1 / world.shape.hurry))
        if world.faults.hit("post doubled"):
            world.loop.create_task(post(world, packed))
        await post(world, packed)


async def post(world: World, packed: Packed) -> None:
    """Post evidence until it is accepted."""
    pause = 0.5
    folder = world.rng.random() < COPIED
    while True:
        try:
            sealed = await world.services.ask(lambda site: site.post(packed, folder=folder))
        except errors.DetectorNotLive:
            return  # revoked before it was taken
        except errors.LedgerError:
            await asyncio.sleep(pause)
            pause = min(pause * 2, 20.0)
        else:
            break
    if sealed.evidence not in world.accepted:
        world.note(f"accepted {sealed.evidence.hex()[:8]}")
    world.accepted[sealed.evidence] = None
    if sealed.evidence not in world.watched.present.evidence:
        world.check.wrong("lost", f"{sealed.evidence.hex()[:8]} was accepted and is not there")
    world.check.bytes_of(sealed.evidence)


# ---- people


async def operate(world: World) -> None:
    """Do what an operator does: look now and then, release, try again, resume."""
    while True:
        await asyncio.sleep(world.rng.uniform(5, 15) if world.faults.on else 5)
        await _try(world, lambda site: deeds.settle(world, site))
        await _try(world, lambda site: _release(world, site))
        await _try(world, lambda site: _again(world, site))
        if world.faults.on:
            await _now_and_then(world)


async def _now_and_then(world: World) -> None:
    """Do one of the things that people do seldom."""
    rng = world.rng
    for deed, share in deeds.DEEDS:
        if rng.random() < share:
            await _try(world, partial(deed, world))
    if rng.random() < STOPPED:
        deeds.stop(world, rng.choice(sorted(world.running)))


async def _release(world: World, site: Site) -> None:
    for name in world.shape.destinations:
        async with site.store.transaction() as rows:
            if not world.faults.on:
                await rows.outbox.pause(name, paused=False)
            await rows.outbox.release(name)


async def _again(world: World, site: Site) -> None:
    for journey in await site.track.latest(MANY):
        evidence = journey.evidence
        last = journey.orders[-1].status if journey.orders else None
        stuck = evidence.stage is Stage.FAILED and not world.revoked
        lied = evidence.id in world.known and world.known[evidence.id].true
        refused = last is Status.REFUSED and evidence.stage is Stage.ANCHORING
        # With episodes it is refused again, for as long as the other order of the asset stands.
        useful = lied and not world.revoked and (world.faults.on or not world.shape.episodes)
        if stuck or (refused and useful):
            await site.anchor.again(evidence.id)


async def people(world: World) -> None:
    """Decide what waits for a person; end the work; take an order back."""
    while True:
        await asyncio.sleep(world.rng.uniform(3, 10))
        _decide(world)
        if world.shape.ends:
            await _try(world, lambda site: _complete(world, site))
        if world.shape.withdraws and world.faults.on and world.rng.random() < 0.3:
            await _try(world, lambda site: _withdraw(world, site))


def _decide(world: World) -> None:
    for life in world.lives.values():
        if not life.process.alive:
            continue
        for order in life.book.memory.pending:
            if world.rng.random() < 0.5 or not world.faults.on:
                life.desk.drop(order, Decision(approve=True, text="", by="anna"))


async def _complete(world: World, site: Site) -> None:
    for order in await site.track.orders(limit=MANY):
        if order.status in COMPLETABLE and world.rng.random() < 0.5:
            await site.close.complete(order.id, Outcome.CURED, REPORT)


async def _withdraw(world: World, site: Site) -> None:
    for order in await site.track.orders(limit=5, status=Status.PROPOSED):
        world.withdrawn.add(order.content.evidence)
        await site.close.withdraw(order.id)
        return


async def _try(world: World, work: Callable[[Site], object]) -> None:
    try:
        await world.services.ask(work)  # type: ignore[arg-type]  # a coroutine function, as a lambda
    except errors.LedgerError as exc:
        if not isinstance(exc, Gone):
            world.note(f"an operator was told: {exc!r}")


# ---- what goes wrong


async def trouble(world: World) -> None:
    """Let things happen to the world, again and again."""
    rng = world.faults.rng
    if world.shape.revokes:
        world.outside(rng.uniform(10, 60), _revoke, world)
    waiting: list[str] = []
    while True:
        await asyncio.sleep(rng.expovariate(1 / world.shape.calm))
        waiting.append(world.faults.event())
        for kind in waiting[:]:  # what cannot happen now does later
            if HAPPENS[kind](world):
                waiting.remove(kind)
                world.faults.counts[kind] += 1
                world.note(f"-- {kind}")


def _revoke(world: World) -> None:
    world.revoked = True
    world.ledger.revoke_detector(DETECTOR.id)
    world.note("-- the detector is revoked")


def _some(world: World) -> str:
    return world.faults.rng.choice(sorted(world.running))


def _crash(world: World) -> bool:
    name = _some(world)
    alive = world.running[name].alive
    world.crash(name, world.faults.rng.uniform(0.1, 20))
    return alive


def _freeze(world: World) -> bool:
    process = world.running[_some(world)]
    if process.frozen or not process.alive:
        return False
    world.freeze(process)
    return True


def _reorganise(world: World, *, forget: bool) -> bool:
    ledger = world.ledger
    height = ledger._chain[-1].block.number
    lowest = (
        0 if world.shape.deep and world.faults.rng.random() < 0.3 else max(0, world.check.final)
    )
    deepest = min(height - lowest, ledger.finality_depth + (4 if world.shape.deep else 0))
    if deepest < 1:
        return False
    # What a chain lost that was final, nobody says again: there the pool keeps it.
    forget = forget and not world.shape.deep
    ledger.fork(world.faults.rng.randint(1, deepest), forget=forget)
    return True


def _drop_pool(world: World) -> bool:
    found = bool(world.ledger.pending) and not world.shape.deep
    if not found:
        return False
    world.ledger.drop()
    return True


def _roll_back(world: World) -> bool:
    name = _some(world)
    if world.calm_until.get(name, 0.0) > world.loop.time():
        return False
    port = world.ledgers[name]
    port.behind = world.faults.rng.randint(1, 12)

    def back() -> None:
        port.behind = 0

    world.outside(world.faults.rng.uniform(1, 45), back)
    return True


def _halt(world: World) -> bool:
    if world.halted:
        return False
    world.halted = True
    world.outside(world.faults.rng.uniform(5, 40), _go_on, world)
    return True


def _go_on(world: World) -> None:
    world.halted = False


def _steal(world: World) -> bool:
    number = world.faults.rng.choice((0, 0, 1, 2, 3))
    signer = world.homes[number].signer if number else MemorySigner(BUILDER)
    from tests.simulation.stealing import steal  # noqa: PLC0415

    return steal(world.ledger, signer)


def _outage(world: World) -> bool:
    if world.turns.down:
        return False
    world.turns.down = True

    def back() -> None:
        world.turns.down = False

    world.outside(world.faults.rng.uniform(1, 30), back)
    return True


def _jump(world: World) -> bool:
    clock = world.clocks[_some(world)]
    clock.off = world.faults.rng.uniform(-100, 100)
    return True


def _fees(world: World) -> bool:
    if world.ledger.least_price > world.ledger.price:
        return False
    world.ledger.least_price = world.ledger.price + 5

    def follow() -> None:
        world.ledger.price = max(world.ledger.price, world.ledger.least_price)

    world.outside(world.faults.rng.uniform(5, 50), follow)
    return True


def _gas(world: World) -> bool:
    if world.ledger.most_gas < GAS:
        return False
    world.ledger.most_gas = GAS - 1

    def back() -> None:
        world.ledger.most_gas = GAS

    world.outside(world.faults.rng.uniform(5, 60), back)
    return True


def _pause(world: World) -> bool:
    name = world.faults.rng.choice(world.shape.destinations)
    if name in world.paused:
        return False
    world.paused.add(name)

    async def set_to(site: Site, *, paused: bool) -> None:
        async with site.store.transaction() as rows:
            await rows.outbox.pause(name, paused=paused)

    async def for_a_while() -> None:
        await _try(world, lambda site: set_to(site, paused=True))
        await asyncio.sleep(world.faults.rng.uniform(5, 40))
        await _try(world, lambda site: set_to(site, paused=False))
        world.paused.discard(name)

    world.loop.create_task(for_a_while())
    return True


def _disagree(world: World) -> bool:
    """Let another node have other blocks where the next ones become final."""
    rng, ledger = world.faults.rng, world.ledger
    if ledger.rivals:
        return False
    final = ledger._chain[-1].block.number - ledger.finality_depth
    for number in range(max(1, final), final + 4):
        ledger.rivals[number] = Block(number, _hash(rng), _hash(rng), 0)
    world.outside(rng.uniform(5, 40), ledger.rivals.clear)
    return True


def _hash(rng: random.Random) -> ids.BlockHash:
    return ids.BlockHash(rng.randbytes(32))


HAPPENS: dict[str, Callable[[World], bool]] = {
    "crash": _crash,
    "frozen": _freeze,
    "reorganisation": lambda world: _reorganise(world, forget=False),
    "reorganisation forgets": lambda world: _reorganise(world, forget=True),
    "pool lost": _drop_pool,
    "node rolled back": _roll_back,
    "chain halted": _halt,
    "nonce stolen": _steal,
    "database outage": _outage,
    "clock jumps": _jump,
    "fees rise": _fees,
    "gas falls": _gas,
    "paused": _pause,
    "folder lost": losses.lose_folder,
    "rows restored": losses.restore,
    "nodes disagree": _disagree,
}


def ended(world: World, evidence: ids.EvidenceId, status: Status, stage: Stage) -> bool:
    """Say whether this is where evidence may end."""
    if world.shape.deep:
        return True  # what the agents took for final may be gone
    good = world.known[evidence].true and not world.revoked and not world.shape.episodes
    if status in {Status.VALIDATED, Status.COMPLETED}:
        return True
    if status is Status.NONE or stage is Stage.FAILED:
        return world.revoked and stage is Stage.FAILED
    if status is Status.WITHDRAWN:
        return evidence in world.withdrawn
    return status in MAY_TRY_AGAIN and not good
