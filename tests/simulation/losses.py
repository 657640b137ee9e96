"""What is lost for good: an agent's folder, and what the service wrote since its last copy."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ledger_service.domain import ids
from ledger_service.domain.records import Announcement
from ledger_service.testing.store import State
from tests.simulation.evidence import Packed
from tests.simulation.store import WatchedStore

if TYPE_CHECKING:
    from tests.simulation.world import World

AGENTS = ("agent 1", "agent 2", "agent 3")
NEW_KEY = 0.3  #: the share of lost folders after which the organisation takes another key
#: Seconds until another machine stands in for one that is lost: what that one sent has arrived or never will.
AWAY = (30.0, 60.0)
CALM = 60.0  #: seconds from then on in which its node does not fall behind
MARK = "restored"
LINES = 1_000_000  #: by how much a restored feed goes on beyond what it was


def lose_folder(world: World) -> bool:
    """Let an agent's machine go, with its folder; another one begins with an empty one."""
    rng = world.faults.rng
    name = rng.choice(AGENTS)
    process, now = world.running[name], world.loop.time()
    if not process.alive or world.shape.deep:
        return False
    life = world.lives[name]
    after = rng.uniform(*AWAY)
    world.away[name] = now + after
    world.calm_until[name] = now + after + CALM
    world.crash(name, after)
    life.ledger.behind = 0
    home = life.home
    world.check.forget(home.number, home.signer.address)
    home.lose()
    if rng.random() < NEW_KEY:
        home.keys += 1
        world.ledger.rotate(home.number, home.signer.address)
        world.note(f"organisation {home.number} has a new key")
    return True


async def back_up(world: World) -> None:
    """Make a copy of the rows now and then."""
    store = world.watched
    assert isinstance(store, WatchedStore)
    while True:
        await asyncio.sleep(world.faults.rng.uniform(5, 30))
        world.copies.append((world.loop.time(), world.clock.now().isoformat(), store.present))


def restore(world: World) -> bool:
    """Bring the service's rows back as they were at an older copy, all its processes being down."""
    store, rng = world.watched, world.faults.rng
    if not isinstance(store, WatchedStore) or not world.copies or world.shape.deep:
        return False
    _, made_at, rows = rng.choice(world.copies[-3:])
    for name, _ in world.names():
        world.crash(name, rng.uniform(2, 15))
    fresh = rows.copy()
    _mark(fresh, made_at, world)
    store.present = fresh  # nobody's commit
    lost = [it for it in world.accepted if it not in fresh.evidence]
    for evidence in lost:
        del world.accepted[evidence]
    world.note(f"the rows are those of {made_at}: {len(lost)} lost")
    world.restores += 1
    again = [world.known[evidence] for evidence in lost]
    world.posting.append(world.loop.create_task(_post_again(world, again)))
    return True


def _mark(rows: State, made_at: str, world: World) -> None:
    """Let the feed tell of it, under a number that it never gave, as a restore does."""
    key = (MARK, ids.OrderId(bytes(32)))
    before = rows.feed.pop(key, None)
    oldest = min(made_at, before.body["copyOf"]) if before else made_at
    number = LINES * (world.restores + 1)
    rows.feed[key] = Announcement(number, MARK, key[1], {"copyOf": oldest})


async def _post_again(world: World, items: list[Packed]) -> None:
    """Let the devices' senders give the service what it no longer has."""
    from tests.simulation.actors import post  # noqa: PLC0415

    for packed in items:
        await asyncio.sleep(world.rng.uniform(1, 10))
        await post(world, packed)
