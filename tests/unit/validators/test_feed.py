from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.validators.world import Running, World, line
from validators.agent.feed import FULL_PAGE
from validators.agent.source import SourceDown
from validators.journal.memory import Memory


async def read(us: Running) -> None:
    await us.house.read_feed()
    await us.house.drain()
    us.house._save_cursors()


def filler(order: int) -> dict[str, Any]:
    return {"kind": "of a later version", "order": f"{order:064x}"}


@pytest.mark.parametrize("number", [10**30, -1, 0, True, 1.5, "7", None, 2**53])
async def test_a_number_that_is_none_moves_nothing_on(
    world: World, us: Running, number: Any
) -> None:
    world.service.lines = [filler(1), {**filler(2), "sequence": number}]
    await read(us)
    assert us.memory.feed == 1
    item = world.order()
    world.service.lines[1] = line(item)
    await read(us)

    assert us.verdict(item) == ("approve", "")


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("then", ["fewer", "more"])
async def test_after_a_restore_the_feed_is_read_anew(
    world: World, then: str, *, restarted: bool
) -> None:
    judged, lost = world.order(world.claim(seed=1)), world.order(world.claim(seed=2))
    world.service.lines = [line(judged), filler(2), filler(3)]
    async with world.agent() as us:
        await us.house.start()
        await read(us)
        assert us.memory.feed == 3
        world.service.lines = [
            line(judged),
            line(lost),
            *([filler(4)] * 5 if then == "more" else []),
        ]
        if not restarted:
            world.service.down = True
            with pytest.raises(SourceDown):
                await read(us)
            world.service.down = False
            await read(us)
            assert us.verdict(lost) != ("nothing", "")
            return
    async with world.agent() as us:
        await us.house.start()
        await read(us)
        assert us.verdict(lost) != ("nothing", "")
        assert us.memory.feed == len(world.service.lines)


async def test_a_service_that_is_not_there_yet_is_read_from_its_first_line_when_it_is(
    world: World, us: Running
) -> None:
    item = world.order()
    world.service.lines = [line(item)]
    world.service.down = True
    for _ in range(2):
        with pytest.raises(SourceDown):
            await read(us)
    world.service.down = False
    await read(us)

    assert us.verdict(item) == ("approve", "")


async def test_a_lie_about_a_number_is_found_out_once_it_is_told_no_more(
    world: World, us: Running
) -> None:
    world.service.lines = [{**filler(1), "sequence": 2**53 - 1}]
    await read(us)
    item = world.order()
    world.service.lines = [line(item)]
    for _ in range(2):
        await read(us)

    assert us.verdict(item) == ("approve", "")


def restored(world: World, minutes: float) -> dict[str, Any]:
    at = world.clock.now() - timedelta(minutes=minutes)
    body = {"copyOf": at.isoformat(), "at": world.clock.now().isoformat()}
    return {"kind": "restored", "order": "00" * 32, "body": body, "sequence": 2**51}


@pytest.mark.parametrize(("minutes", "again"), [(5, True), (-60, False)])
async def test_a_service_that_was_restored_is_given_the_results_it_lost(
    world: World, us: Running, minutes: float, *, again: bool
) -> None:
    item = world.order()
    world.service.lines = [line(item)]
    await read(us)
    await us.house.tend()
    handed = dict(world.service.handed)
    world.service.handed.clear()
    world.service.lines = [restored(world, minutes)]

    await read(us)
    await us.house.tend()

    assert item.order in handed
    assert world.service.handed == (handed if again else {})
    assert us.memory.results == {}


async def test_a_result_approved_long_before_the_copy_and_handed_in_after_it_is_given_again(
    world: World, us: Running
) -> None:
    item = world.order()
    world.service.takes_results = False
    world.service.lines = [line(item)]
    await read(us)
    world.clock.advance(minutes=20)
    copied = restored(world, 0)
    world.service.takes_results = True
    world.clock.advance(minutes=2)
    await us.house.tend()
    handed = dict(world.service.handed)
    world.service.handed.clear()
    world.service.lines = [copied]

    await read(us)
    world.clock.advance(minutes=2)  # it is tried again, later each time
    await us.house.tend()

    assert item.order in handed
    assert world.service.handed == handed


async def test_a_result_of_a_journal_that_does_not_tell_when_it_was_handed_in_is_given_again(
    world: World, us: Running
) -> None:
    item = world.order()
    world.service.lines = [line(item)]
    await read(us)
    await us.house.tend()
    entries = [us.memory.verdicts[item.order], {"kind": "handed", "order": item.order.hex()}]

    assert Memory(entries).results_since(world.clock.now() + timedelta(days=1)) == [item.order]


@pytest.mark.parametrize("body", [{}, {"copyOf": 7}, {"copyOf": "yesterday"}, [], None])
async def test_a_restore_that_is_told_wrongly_is_passed_over(
    world: World, us: Running, body: Any
) -> None:
    world.service.lines = [{**restored(world, 5), "body": body}]
    await read(us)

    assert us.memory.feed == 2**51


async def test_what_the_feed_is_about_to_tell_of_is_not_fetched_beside_it_and_never_missed(
    world: World,
) -> None:
    told, untold = world.order(world.claim(seed=1)), world.order(world.claim(seed=2), cost=1)
    world.service.lines += [*[{}] * (FULL_PAGE - 1), line(told)]
    async with world.agent() as us:
        await us.house.start()
        await us.house.read_feed()
        for item in (told, untold):
            await world.propose(item)
        await us.house._watcher.scan()
        us.house._save_cursors()
        await us.house.drain()
        assert (us.verdict(told), us.verdict(untold)) == (("approve", ""), ("nothing", ""))
        assert us.memory.block is None  # what was met is not passed over
        world.clock.advance(seconds=6)
        await us.house.tend()
        await us.house.drain()
        await us.house.tend()

        assert us.verdict(untold) == ("refuse", "COST_DIFFERS")
        assert us.memory.block is not None


async def test_a_feed_that_falls_silent_makes_the_chain_be_believed_at_once(world: World) -> None:
    told, untold = world.order(world.claim(seed=1)), world.order(world.claim(seed=2), cost=1)
    world.service.lines += [*[{}] * (FULL_PAGE - 1), line(told)]
    async with world.agent() as us:
        await us.house.start()
        await us.house.read_feed()
        await world.propose(untold)
        await us.house._watcher.scan()
        await us.house.read_feed()
        await us.house.tend()
        await us.house.drain()

        assert us.verdict(untold) == ("refuse", "COST_DIFFERS")
