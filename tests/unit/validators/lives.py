"""Lives of an agent that end at any step, and what the next one makes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from ledger_service.domain.facts import Approved, Refused
from ledger_service.testing.signer import MemoryTransaction, decode
from tests.unit.validators.outside import Killed, Killer
from tests.unit.validators.world import PLAN, Running, World
from validators.agent.desk import Decision
from validators.rerun.models import Models
from validators.rules.case import Announced

Life = Callable[[World, Running, Announced], Awaitable[None]]
DEAR = PLAN.model_copy(update={"labour_cost": 6_000_000})
MOST_STEPS = 200
HOME = "agent"


def good(world: World) -> Announced:
    return world.order()


def bad(world: World) -> Announced:
    return world.order(cost=1)


def dear(world: World) -> Announced:
    return world.order(plan=DEAR)


async def judge(world: World, us: Running, item: Announced) -> None:
    """Start, judge, bring it in, look after it."""
    await started(world, us)
    await us.agent.consider(item)
    if us.agent.held.get(item.order) is not None:
        await world.propose(item)
        await us.house._watcher.scan()
        await us.house.drain()
    await tend(world, us)


async def started(world: World, us: Running) -> None:
    """Start; what an earlier life sent is mined at last, if the start waits for it."""
    starting, looked = asyncio.create_task(us.house.start()), world.clock.now()
    while not starting.done():
        await asyncio.sleep(0.001)
        if world.clock.now() != looked:
            await world.ledger.mine()
            looked = world.clock.now()
    await starting


async def decide(world: World, us: Running, item: Announced) -> None:
    """The same with a person, whose decision lies on the desk."""
    await started(world, us)
    await us.agent.consider(item)
    if item.order in us.memory.pending:
        us.desk.drop(item.order, Decision(approve=True, text="", by="anna"))
    await us.house.read_desk()
    await tend(world, us)


async def tend(world: World, us: Running) -> None:
    for _ in range(3):
        await world.ledger.mine()
        await us.house.tend()
        world.clock.advance(seconds=4)


async def killed(world: World, life: Life, item: Announced, at: int) -> bool:
    """Live until the kill; say whether it came."""
    world.killer = Killer(at)
    try:
        async with world.agent() as us:
            await life(world, us, item)
    except Killed:
        return True
    finally:
        world.killer = Killer()
    return False


async def said(world: World, item: Announced) -> list[object]:
    """Return the verdicts of ours that the chain has."""
    found: list[object] = []
    for number in range((await world.ledger.head()).number + 1):
        block = await world.ledger.block(number)
        assert block is not None
        events = [fact.event for fact in await world.ledger.facts(block)]
        found += [e for e in events if isinstance(e, Approved | Refused) and e.order == item.order]
    return found


LIVES: dict[str, tuple[Callable[[World], Announced], Life, type]] = {
    "approve": (good, judge, Approved),
    "refuse": (bad, judge, Refused),
    "person": (dear, decide, Approved),
}


async def sweep(folder: Path, models: Models, life: str, *, next_home: str, stride: int) -> int:
    """Kill at each `stride`-th step and go on in `next_home`; return the last step that there is."""
    make, live, kind = LIVES[life]
    for at in range(1, MOST_STEPS, stride):
        world = World(folder / str(at), models)
        item = make(world)
        if not await killed(world, live, item, at):
            return at
        async with world.agent(next_home) as us:
            await live(world, us, item)
        assert [type(event) for event in await said(world, item)] == [kind], f"killed at {at}"
        sent = [decode(raw) for raw in world.sent]
        assert len({type(tx.call) for tx in sent}) == 1, f"killed at {at}"
        if next_home == HOME:
            assert len({tx.raw for tx in sent}) == 1, f"killed at {at}"
    return MOST_STEPS


def many(world: World, count: int) -> list[Announced]:
    return [world.order(world.claim(seed=seed)) for seed in range(1, count + 1)]


async def consider_all(us: Running, items: Sequence[Announced]) -> None:
    for item in items:
        await us.agent.consider(item)


def transactions(us: Running) -> list[MemoryTransaction]:
    found = {tx.hash: tx for tx in map(decode, us.wire.sent)}
    return sorted(found.values(), key=lambda tx: tx.nonce)


async def all_approved(world: World, items: Sequence[Announced]) -> bool:
    return all([(await world.word(item)).approved == 2 for item in items])
