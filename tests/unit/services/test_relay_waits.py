from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

import pytest

from ledger_service import ports
from ledger_service.domain import errors
from ledger_service.domain.records import Delivery, DeliveryState
from ledger_service.services.pace import Pace
from ledger_service.services.relay import Relay
from ledger_service.testing import MemoryDestination
from tests.unit.services.relaying import (
    DOWN,
    NO,
    circuit,
    completed,
    documents,
    gated,
    rows,
    run,
)
from tests.unit.services.site import Site, World


@pytest.fixture
def site() -> Site:
    return Site(World())


class Standing:
    """A store whose process stands still after its first commit."""

    def __init__(self, store: ports.Store, stand: Callable[[], None]) -> None:
        self._store, self._stand = store, stand

    def reading(self) -> AbstractAsyncContextManager[ports.Transaction]:
        return self._store.reading()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ports.Transaction]:
        async with self._store.transaction() as held:
            yield held
        self._stand()
        self._stand = lambda: None


class Broken(MemoryDestination):
    """A destination whose code is wrong."""

    async def deliver(self, delivery: Delivery) -> dict[str, object]:
        raise ZeroDivisionError(delivery.kind)


async def test_a_destination_that_fails_in_a_row_is_left_alone_and_costs_no_attempts(
    site: Site,
) -> None:
    orders = [await completed(site) for _ in range(8)]
    relay, destination = gated(site, pace=Pace(hands=2, failures=3))
    destination.faults.extend([DOWN] * 4)
    await run(relay)

    assert destination.calls == 4  # two, and the two that were under way by then
    known = await circuit(site)
    assert known is not None
    assert (known.failures, known.until is not None, "away" in known.reason) == (3, True, True)
    await run(relay)
    assert destination.calls == 4
    untouched = [item for order in orders for item in await rows(site, order) if not item.attempts]
    assert len(untouched) == 12


async def test_one_delivery_tries_whether_it_is_back_and_then_all_go_at_once(site: Site) -> None:
    for _ in range(8):
        await completed(site)
    pace = Pace(
        hands=2, failures=2, first_pause=timedelta(hours=1), longest_silence=timedelta(minutes=1)
    )
    relay, destination = gated(site, pace=pace)
    destination.faults.extend([DOWN] * 4)
    await run(relay)
    assert destination.calls == 2
    for calls in (3, 4):
        site.world.clock.advance(seconds=60)
        await run(relay)
        assert destination.calls == calls

    site.world.clock.advance(seconds=60)
    await run(relay)  # what failed is due again too, long before its own hour

    assert len(destination.delivered) == 16
    assert await circuit(site) is None


async def test_a_pause_that_a_destination_asks_for_is_kept_by_all_deliveries(site: Site) -> None:
    orders = [await completed(site) for _ in range(3)]
    relay, destination = gated(site, pace=Pace(hands=1))
    destination.faults.append(errors.DestinationDown("Busy.", retry_after=90))
    await run(relay)
    site.world.clock.advance(seconds=89)
    await run(relay)
    assert destination.calls == 1

    site.world.clock.advance(seconds=1)
    await run(relay)

    assert len(destination.delivered) == 2 * len(orders)


async def test_a_paused_destination_gets_nothing_until_it_is_resumed(site: Site) -> None:
    await completed(site)
    relay, destination = documents(site)
    async with site.world.store.transaction() as held:
        await held.outbox.pause("documents", True)
    assert not await relay.step()
    async with site.world.store.transaction() as held:
        await held.outbox.pause("documents", False)
    assert await relay.step()
    assert len(destination.delivered) == 1


async def test_a_destination_that_says_nothing_is_not_waited_for_for_ever(site: Site) -> None:
    order = await completed(site)
    relay, _ = gated(site, order, pace=Pace(answer_seconds=0.01))

    await run(relay)

    assert "No answer in time." in (await rows(site, order))[0].reason
    known = await circuit(site)
    assert known is not None
    assert known.failures == 1


async def test_a_destination_that_refuses_answers_and_is_not_left_alone(site: Site) -> None:
    orders = [await completed(site) for _ in range(4)]
    relay, destination = gated(site, pace=Pace(hands=1, failures=5))
    destination.faults.extend([DOWN] * 4)
    await run(relay)
    known = await circuit(site)
    assert known is not None
    assert known.failures == 4
    destination.faults.extend([NO] * 4)
    site.world.clock.advance(seconds=10)

    await run(relay)

    assert await circuit(site) is None  # the failures before are forgotten
    states = [item.state.value for order in orders for item in await rows(site, order)]
    assert states == ["blocked", "pending"] * 4


async def test_what_was_refused_stays_blocked_when_the_destination_is_back(site: Site) -> None:
    refused, other = await completed(site), await completed(site)
    relay, destination = gated(site, pace=Pace(hands=1, failures=1))
    destination.faults.extend([NO, DOWN])
    await run(relay)
    site.world.clock.advance(minutes=1)

    await run(relay)

    assert [item.state.value for item in await rows(site, other)] == ["done", "done"]
    assert [item.state.value for item in await rows(site, refused)] == ["blocked", "pending"]


async def test_of_two_processes_one_tries_whether_a_destination_is_back(site: Site) -> None:
    orders = [await completed(site) for _ in range(4)]
    pace = Pace(hands=4, failures=1, first_pause=timedelta(seconds=1))
    relay, destination = gated(site, *orders, pace=pace)
    destination.faults.append(DOWN)
    destination.gates[orders[0].id.hex()].set()
    await relay.step()
    await relay.step()
    known = await circuit(site)
    assert known is not None
    assert known.until is not None
    site.world.clock.advance(seconds=pace.answer_seconds + 1)
    first, one = gated(site, *orders, pace=pace)
    second, other = gated(site, pace=pace)

    await first.step()
    await second.step()

    assert (len(one.begun), len(other.begun)) == (1, 0)
    now = site.world.clock.now()
    probing = await circuit(site)
    assert probing is not None
    assert (probing.held_at, probing.until) == (now, now + timedelta(seconds=pace.answer_seconds))


async def test_what_was_taken_on_and_not_begun_before_the_lease_ended_is_no_attempt(
    site: Site,
) -> None:
    order = await completed(site)
    relay, destination = documents(site)
    stopped = Standing(site.world.store, lambda: site.world.clock.advance(minutes=1))
    late = Relay(store=stopped, destination=destination, clock=site.world.clock)

    await late.step()
    await late.stop()

    assert destination.calls == 0
    assert [item.attempts for item in await rows(site, order)] == [0, 0]
    await run(relay)
    assert [item.attempts for item in await rows(site, order)] == [1, 1]


async def test_the_row_itself_waits_for_as_long_as_the_destination_asked(site: Site) -> None:
    order = await completed(site)
    relay, destination = gated(site, pace=Pace(hands=1))
    destination.faults.append(errors.DestinationDown("Busy.", retry_after=90))
    now = site.world.clock.now()

    await run(relay)

    assert (await rows(site, order))[0].due == now + timedelta(seconds=90)


async def test_a_fault_in_a_destination_is_kept_and_tried_again_and_hurts_no_other(
    site: Site,
) -> None:
    order = await completed(site)
    broken = Relay(store=site.world.store, destination=Broken(), clock=site.world.clock)

    await run(broken)

    first, _ = await rows(site, order)
    assert (first.state, first.attempts) == (DeliveryState.PENDING, 1)
    assert "ZeroDivisionError" in first.reason
    assert await circuit(site) is None
