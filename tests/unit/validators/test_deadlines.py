from __future__ import annotations

from datetime import timedelta

import pytest

from ledger_service.domain.calls import Expire
from ledger_service.testing import FakeClock
from ledger_service.testing.ledger import MemoryLedger
from tests.unit.validators.world import PLAN, Running, World
from validators.agent.pace import MOST, Pace
from validators.agent.skew import Skew
from validators.commands import agent_view as view
from validators.rules.case import Announced

SECOND = timedelta(seconds=1)


def due_in(world: World, seconds: float) -> Announced:
    deadline = world.clock.now() + timedelta(seconds=seconds)
    return world.order(deadline=int(deadline.timestamp()))


def short_plan_order(world: World, us: Running, needed: float) -> Announced:
    """An order due in an hour, at an organisation whose verdicts take `needed` seconds."""
    us.agent._pace.mined(timedelta(seconds=needed))
    return world.order(plan=PLAN.model_copy(update={"deadline_hours": 1}))


async def learned(world: World, us: Running, item: Announced) -> None:
    await world.propose(item)
    await us.house._watcher.scan()
    await us.house.drain()


async def test_an_order_that_cannot_be_approved_in_time_is_said_early_and_costs_no_gas(
    world: World, us: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    item = short_plan_order(world, us, needed=40)
    world.clock.advance(minutes=59, seconds=30)
    await learned(world, us, item)
    capsys.readouterr()
    view.pending(us.memory, as_json=False)

    assert us.wire.sent == []
    assert us.memory.late[item.order]["why"] == (
        "Its deadline is in 30 s, and a verdict takes 40 s here."
    )
    assert f"{item.order.hex()}  too late, until" in capsys.readouterr().out


async def test_one_with_time_enough_is_approved(world: World, us: Running) -> None:
    item = short_plan_order(world, us, needed=40)
    world.clock.advance(minutes=59)
    await learned(world, us, item)

    assert us.verdict(item) == ("approve", "")
    assert us.memory.late == {}


async def test_it_is_closed_once_the_chain_itself_is_past_the_deadline_and_forgotten_when_it_ends(
    world: World, us: Running
) -> None:
    item = short_plan_order(world, us, needed=40)
    world.clock.advance(minutes=59, seconds=30)
    await learned(world, us, item)
    assert item.order in us.memory.open
    world.clock.advance(minutes=3)
    await world.ledger.mine()
    await us.house.tend()
    await us.house.drain()
    assert us.memory.closed[item.order] == "Its deadline has passed."
    assert item.order in us.memory.late

    await world.say("builder", Expire(item.content))
    await us.house._watcher.scan()
    assert us.memory.late == {}
    assert us.wire.sent == []


async def test_what_waits_for_a_person_is_told_of_before_its_deadline(
    world: World, us: Running
) -> None:
    item = world.order(plan=PLAN.model_copy(update={"labour_cost": 6_000_000}))
    await us.agent.consider(item)
    await us.house.tend()
    assert us.memory.late == {}
    world.clock.advance(hours=47, minutes=45)
    await us.house.tend()

    assert "waits for a person" in us.memory.late[item.order]["why"]


async def test_our_clock_alone_closes_no_order(world: World, us: Running) -> None:
    item = world.order()
    await world.propose(item)
    world.clock.advance(days=3)  # ours; the chain's last block is of three days ago
    await us.house._watcher.scan()
    await us.house.drain()
    assert item.order in us.memory.open
    world.clock.advance(days=-3)
    world.clock.advance(minutes=2)
    await us.house.tend()
    await us.house.drain()

    assert us.verdict(item) == ("approve", "")


async def test_a_clock_that_is_behind_refuses_no_new_data(world: World, us: Running) -> None:
    item = world.order()
    await world.propose(item)
    world.clock.advance(hours=-5)
    await us.house._watcher.scan()
    await us.house.drain()

    assert us.verdict(item) == ("approve", "")


def test_the_pace_is_the_typical_one_and_never_more_than_a_minute() -> None:
    pace = Pace()
    assert pace.needed == timedelta()
    for seconds in (2, 3, 4000):
        pace.mined(seconds * SECOND)
    pace.checked(SECOND)
    assert pace.needed == 4 * SECOND
    for _ in range(3):
        pace.mined(timedelta(hours=1))

    assert pace.needed == MOST


@pytest.mark.parametrize(("off", "found"), [(-300, -300), (0, None), (100, None), (300, 300)])
async def test_a_clock_that_is_not_the_chains_is_found_at_new_blocks(
    off: int, found: int | None
) -> None:
    ours, theirs = FakeClock(), FakeClock()
    ledger, skew = MemoryLedger(clock=theirs), Skew(ours)
    ours.advance(seconds=off)
    for _ in range(3):
        ours.advance(seconds=5)
        theirs.advance(seconds=5)
        ahead = skew.look(await ledger.mine())

    assert ahead == (None if found is None else timedelta(seconds=found))


async def test_a_node_that_catches_up_is_no_clock_that_is_wrong() -> None:
    ours, theirs = FakeClock(), FakeClock()
    ledger, skew = MemoryLedger(clock=theirs), Skew(ours)
    ours.advance(hours=3)
    found = []
    for _ in range(20):
        theirs.advance(seconds=5)
        ours.advance(seconds=0.01)
        found.append(skew.look(await ledger.mine()))

    assert found == [None] * 20
