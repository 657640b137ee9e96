from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from ledger_service.domain import errors
from ledger_service.domain.lifecycle import Status
from tests.peers.cosmos import CosmosPeer, cosmos_peer
from tests.peers.deliveries import told
from tests.peers.mailserver import serving
from tests.peers.receiver import receiving
from tests.peers.worlds import (
    Cosmos,
    Folder,
    Hook,
    Lines,
    Maildir,
    Memory,
    OnDisk,
    Smtp,
    Ubl,
    World,
)

__all__ = ["cosmos_peer"]

ON_DISK: dict[str, Callable[[Path], OnDisk]] = {
    "folder": Folder,
    "ubl": Ubl,
    "maildir": Maildir,
    "lines": Lines,
}


@pytest.fixture(params=["memory", *ON_DISK, "smtp", "webhook", "cosmos"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Every destination in turn, with what stands behind it."""
    async with AsyncExitStack() as stack:
        made: World
        match request.param:
            case "memory":
                made = Memory()
            case "smtp":
                made = Smtp(await stack.enter_async_context(serving()))
            case "webhook":
                made = Hook(await stack.enter_async_context(receiving()))
            case "cosmos":
                peer: CosmosPeer = request.getfixturevalue("cosmos_peer")
                made = Cosmos(peer)
            case kind:
                made = ON_DISK[kind](tmp_path)
        await made.start()
        yield made
        await made.destination.close()


async def test_a_delivery_has_its_effect_and_a_reference(world: World) -> None:
    delivery = told(world.name)

    reference = await world.destination.deliver(delivery)

    assert await world.effects() == [world.effect(delivery)]
    assert reference
    assert world.destination.name == world.name


async def test_the_same_delivery_twice_has_one_effect_and_the_same_reference(world: World) -> None:
    delivery = told(world.name)

    first = await world.destination.deliver(delivery)
    second = await world.destination.deliver(delivery)

    assert await world.effects() == [world.effect(delivery)]
    assert first == second


async def test_the_same_delivery_twice_at_once_has_one_effect(world: World) -> None:
    delivery = told(world.name)

    await asyncio.gather(*(world.destination.deliver(delivery) for _ in range(4)))

    assert await world.effects() == [world.effect(delivery)]


async def test_a_lost_answer_and_a_repeat_after_a_restart_have_one_effect(world: World) -> None:
    delivery = told(world.name)
    await world.lose_answer()

    with suppress(errors.DestinationDown):  # the outcome is open, and the relay is told so
        await world.destination.deliver(delivery)
    await world.restart()
    await world.destination.deliver(delivery)

    assert await world.effects() == [world.effect(delivery)]


async def test_an_order_s_deliveries_arrive_in_order(world: World) -> None:
    deliveries = [
        told(world.name, status, of=order)
        for status in (Status.VALIDATED, Status.CANCELLED)
        for order in (1, 2)
    ]

    for delivery in deliveries:
        await world.destination.deliver(delivery)

    assert await world.effects() == [world.effect(delivery) for delivery in deliveries]


async def test_a_late_repeat_of_an_older_delivery_changes_nothing(world: World) -> None:
    older, newer = told(world.name), told(world.name, Status.CANCELLED)
    await world.destination.deliver(older)
    await world.destination.deliver(newer)

    await world.destination.deliver(older)

    assert await world.effects() == [world.effect(older), world.effect(newer)]


async def test_what_fails_for_now_says_so_and_succeeds_later(world: World) -> None:
    delivery = told(world.name)
    await world.down()

    with pytest.raises(errors.DestinationDown):
        await world.destination.deliver(delivery)
    await world.up()
    await world.destination.deliver(delivery)

    assert await world.effects() == [world.effect(delivery)]


async def test_what_is_refused_for_good_says_so(world: World) -> None:
    refused = await world.refusal()

    with pytest.raises(errors.DestinationRefused):
        await world.destination.deliver(refused)


async def test_closing_twice_is_no_error(world: World) -> None:
    await world.destination.deliver(told(world.name))

    await world.destination.close()
    await world.destination.close()
