"""Our own copies are fetched anew where the folder was lost: patiently, and behind everything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from ledger_service.domain import ids
from tests.unit.validators.lives import consider_all, many
from tests.unit.validators.world import Running, World, line
from validators.agent.copies import AT_ONCE
from validators.rules.case import Announced
from validators.rules.policy import Policy


@pytest.fixture
async def items(world: World) -> Sequence[Announced]:
    """Orders that an earlier life approved, in a folder that is lost."""
    world.policy = Policy(episode_hours=0)
    found = many(world, 5)
    async with world.agent("lost") as before:
        await before.house.start()
        await consider_all(before, found)
        await before.agent.say(now=True)
        await world.ledger.mine()
    for item in found:
        await world.propose(item)
    return found


@pytest.fixture
async def us(world: World, items: Sequence[Announced]) -> AsyncIterator[Running]:
    async with world.agent() as running:
        await running.house.start()
        assert len(running.memory.copies) == len(items)
        yield running
        await running.house.stop()


async def fetched(us: Running) -> None:
    for _ in range(3):
        await us.house.tend()
        await us.agent.copies.drain()


@pytest.mark.parametrize("wrong", ["a file has other bytes", "the envelope is gone"])
async def test_a_copy_that_cannot_be_had_now_is_fetched_when_the_service_is_mended(
    world: World, us: Running, items: Sequence[Announced], wrong: str
) -> None:
    evidence = items[0].content.evidence
    files, envelopes = world.service.files, world.service.envelopes
    good = files[evidence], envelopes[evidence]
    if wrong == "the envelope is gone":
        del envelopes[evidence]
    else:
        files[evidence] = {path: data[::-1] for path, data in files[evidence].items()}
    await fetched(us)
    assert list(us.memory.copies) == [items[0].order]

    files[evidence], envelopes[evidence] = good
    world.clock.advance(minutes=59)
    await fetched(us)
    assert list(us.memory.copies) == [items[0].order]  # it is not asked for all the time
    world.clock.advance(minutes=2)
    await fetched(us)
    assert us.memory.copies == {}
    assert us.memory.failures == []


async def test_a_copy_that_nobody_has_for_a_month_is_given_up_and_shown_as_a_failure(
    world: World, us: Running, items: Sequence[Announced]
) -> None:
    world.service.envelopes.clear()
    await fetched(us)
    assert len(us.memory.copies) == len(items)
    world.clock.advance(days=30)
    await fetched(us)

    assert us.memory.copies == {}
    assert {entry["order"] for entry in us.memory.failures} == {it.order.hex() for it in items}


async def test_copies_that_take_long_hold_up_neither_the_feed_nor_its_cursor(
    world: World, us: Running, items: Sequence[Announced]
) -> None:
    asked: list[ids.EvidenceId] = []
    envelope = world.service.envelope

    async def never(evidence: ids.EvidenceId) -> bytes:
        asked.append(evidence)
        await asyncio.Event().wait()
        return await envelope(evidence)

    world.service.envelope = never  # type: ignore[method-assign]
    for _ in range(5):
        world.clock.advance(minutes=2)
        await us.house.tend()
    await asyncio.sleep(0)
    assert len(asked) == AT_ONCE

    world.service.lines.append(line(items[0]))
    await us.house.read_feed()
    await us.house.drain()
    us.house._save_cursors()
    assert us.memory.feed == 1
