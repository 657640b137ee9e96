from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from ledger_service import ports
from ledger_service.domain import ids, jobplan
from ledger_service.domain.lifecycle import Stage, Status
from ledger_service.testing import MemorySigner, MemoryStore, memory_address
from ledger_service.testing.store import State
from tests.unit.services.gateway import DETECTOR, Packed
from tests.unit.services.site import PLAN, Site, World, check_nothing_lost_or_doubled


class Kept(MemoryStore):
    """A database of which a copy is kept after each commit."""

    def __init__(self) -> None:
        super().__init__()
        self.copies = [self._state.copy()]

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ports.Transaction]:
        async with super().transaction() as rows:
            yield rows
        self.copies.append(self._state.copy())

    def bring_back(self, copy: State) -> None:
        self._state = copy.copy()


@pytest.fixture
def world() -> World:
    return World(store=Kept())


def kept(world: World) -> Kept:
    assert isinstance(world.store, Kept)
    return world.store


async def heard(world: World) -> list[list[tuple[str, str]]]:
    return [
        sorted((item.key, item.kind) for item in place.delivered.values())
        for place in world.destinations
    ]


async def state(site: Site, packed: Packed) -> str:
    return (await site.track.evidence(packed.id)).state


async def test_evidence_that_was_lost_with_its_order_brings_the_order_back_when_it_is_posted_again(
    world: World,
) -> None:
    site, packed = Site(world), world.gateway.pack()
    order = await site.validate(packed)
    before = await heard(world)
    kept(world).bring_back(kept(world).copies[0])

    after = Site(world)
    with capture_logs() as logs:
        await after.take_in()
    (said,) = [line for line in logs if line["log_level"] == "error"]
    assert (said["order"], said["evidence"]) == (order.id.hex(), packed.id.hex())
    await after.post(packed)
    await after.run_to_the_end()

    (adopted,) = (await after.track.evidence(packed.id)).orders
    assert (adopted.id, adopted.document, adopted.status) == (
        order.id,
        order.document,
        Status.VALIDATED,
    )
    assert world.proposed() == [order.id]
    assert await heard(world) == before
    check_nothing_lost_or_doubled(world, [packed])
    assert [hop.name for hop in (await after.track.evidence(packed.id)).hops][:3] == [
        "sealed",
        "adopted",
        "proposed",
    ]


async def test_the_organisations_hear_of_an_adopted_order_that_is_still_open(world: World) -> None:
    site, packed = Site(world), world.gateway.pack()
    await site.post(packed)
    copy = kept(world).copies[-1]
    order = await site.propose(packed)
    (told,) = await site.track.feed(0, 10)
    kept(world).bring_back(copy)

    after = Site(world)
    assert not await after.anchor.step(), "its block is not taken in yet"
    assert (await after.track.evidence(packed.id)).evidence.stage is Stage.SEALED
    await after.take_in()
    world.clock.advance(seconds=1)
    assert await after.anchor.step()

    (told_again,) = await after.track.feed(0, 10)
    assert (told_again.kind, told_again.order) == ("order", order.id)
    assert told_again.body == told.body
    assert await state(after, packed) == "Proposed"
    await after.run_to_the_end()
    check_nothing_lost_or_doubled(world, [packed])


async def test_what_failed_in_the_copy_and_was_tried_again_since_is_adopted_without_a_word(
    world: World,
) -> None:
    site, packed = Site(world), world.gateway.pack()
    await site.post(packed)
    world.ledger.revoke_detector(DETECTOR)
    await site.anchor.step()
    assert await state(site, packed) == "Failed"
    copy = kept(world).copies[-1]
    world.ledger.add_detector(DETECTOR)
    await site.anchor.again(packed.id)
    await site.run_to_the_end()
    kept(world).bring_back(copy)

    after = Site(world)
    await after.run_to_the_end()

    assert await state(after, packed) == "Validated"
    check_nothing_lost_or_doubled(world, [packed])


async def test_all_attempts_that_were_lost_come_back_and_a_refusal_makes_no_new_one(
    world: World,
) -> None:
    site, packed = Site(world), world.gateway.pack()
    other = world.gateway.pack()
    await site.validate(other)
    await site.post(packed)
    await world.refuse(await site.propose(packed), 2)
    await world.ledger.mine()
    await site.take_in()
    await site.anchor.again(packed.id)
    world.clock.advance(seconds=1)
    await world.refuse(await site.propose(packed), 3)
    await world.ledger.mine()
    await site.take_in()
    await site.deliver()
    before = await heard(world)
    kept(world).bring_back(kept(world).copies[0])

    after = Site(world)
    for each in (packed, other):  # one after the other: what is lost of another is nobody's here
        await after.post(each)
        await after.run_to_the_end()

    journey = await after.track.evidence(packed.id)
    assert [item.content.attempt for item in journey.orders] == [1, 2]
    assert (journey.state, len(world.proposed())) == ("Refused", 3)
    assert await state(after, other) == "Validated"
    assert await heard(world) == before


async def test_an_order_of_another_job_plan_is_not_adopted_before_the_plan_is_put_back(
    world: World,
) -> None:
    site, packed = Site(world), world.gateway.pack()
    await site.validate(packed)
    kept(world).bring_back(kept(world).copies[0])
    dearer = jobplan.loads(PLAN.replace("unitPrice: 8900", "unitPrice: 9900"))
    other = Site(world, plans=jobplan.JobPlans([dearer]))
    await other.post(packed)
    await other.run_to_the_end()
    journey = await other.track.evidence(packed.id)
    assert (journey.state, journey.orders) == ("Failed", [])
    assert "another job plan" in journey.reason

    after = Site(world)
    await after.anchor.again(packed.id)
    await after.run_to_the_end()

    check_nothing_lost_or_doubled(world, [packed])
    assert await state(after, packed) == "Validated"


async def test_an_order_is_adopted_on_a_machine_whose_time_is_another(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, packed = Site(world), world.gateway.pack()
    order = await site.validate(packed)
    kept(world).bring_back(kept(world).copies[0])
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        after = Site(world)
        await after.take_in()
        await after.post(packed)
        await after.run_to_the_end()
    finally:
        monkeypatch.undo()
        time.tzset()

    (adopted,) = (await after.track.evidence(packed.id)).orders
    assert (adopted.id, adopted.document) == (order.id, order.document)


async def test_an_order_of_another_builder_is_never_adopted(world: World) -> None:
    site, packed = Site(world), world.gateway.pack()
    await site.post(packed)
    copy = kept(world).copies[-1]
    order = await site.propose(packed)
    kept(world).bring_back(copy)
    after = Site(world)
    after.adopt._builder = after.follow._apply._builder = memory_address("another")
    with capture_logs() as logs:
        await after.take_in()

    await after.anchor.step()

    journey = await after.track.evidence(packed.id)
    assert (journey.state, journey.orders) == ("Failed", [])
    assert order.id.hex() in journey.reason
    assert [line["log_level"] for line in logs] == ["info"] * len(logs)


async def test_the_strays_are_told_until_they_are_adopted(world: World) -> None:
    site, packed = Site(world), world.gateway.pack()
    order = await site.validate(packed)
    builder = site.sender.address
    kept(world).bring_back(kept(world).copies[0])
    after = Site(world)
    await after.take_in()

    async def strays(of: ids.Address = builder) -> list[ids.OrderId]:
        async with world.store.reading() as rows:
            return [item.order for item in await rows.chain.strays(of, None)]

    assert await strays() == [order.id]
    assert await strays(MemorySigner("another").address) == []
    await after.post(packed)
    await after.run_to_the_end()
    assert await strays() == []


async def run(site: Site, packed: list[Packed]) -> None:
    for item in packed:
        await site.post(item)
    await site.run_to_the_end()


async def test_a_copy_of_any_moment_is_caught_up_with_and_nothing_is_lost_or_doubled() -> None:
    first = World(store=Kept())
    await run(Site(first), [first.gateway.pack() for _ in range(3)])
    count = len(kept(first).copies)
    assert count > 20
    for at in range(count):
        world = World(store=Kept())
        packed = [world.gateway.pack() for _ in range(3)]
        await run(Site(world), packed)
        before = await heard(world)

        kept(world).bring_back(kept(world).copies[at])
        await run(Site(world), packed)

        check_nothing_lost_or_doubled(world, packed)
        assert await heard(world) == before
        states = [await state(Site(world), item) for item in packed]
        assert states == ["Validated"] * 3, f"copy {at}"


async def test_a_copy_brought_back_in_the_middle_of_things_is_caught_up_with() -> None:
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)  # noqa: T201  the way back to a failure
    chance = random.Random(seed)  # noqa: S311  moments of a test
    for _ in range(40):
        world = World(store=Kept(), finality_depth=chance.choice([0, 2]))
        site, packed = Site(world), [world.gateway.pack() for _ in range(3)]
        for item in packed[: chance.randint(1, 3)]:
            await site.post(item)
        for _ in range(chance.randint(0, 6)):
            steps: list[Callable[[], Awaitable[object]]]
            steps = [site.anchor.step, world.ledger.mine, site.take_in, site._vote, site.deliver]
            await chance.choice(steps)()
        kept(world).bring_back(chance.choice(kept(world).copies))
        after = Site(world)
        for _ in range(3):
            await run(after, packed)
            await world.ledger.mine_many(2)
        await run(after, packed)

        check_nothing_lost_or_doubled(world, packed)
        assert [await state(after, item) for item in packed] == ["Validated"] * 3
