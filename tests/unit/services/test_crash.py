from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from ledger_service.domain import errors
from ledger_service.testing import MemoryObjects
from tests.unit.services.crash import Crash, Doom
from tests.unit.services.gateway import DETECTOR, Packed
from tests.unit.services.site import Site, World, check_nothing_lost_or_doubled

Verb = Callable[[Site, list[Packed]], Awaitable[None]]


async def seal(site: Site, packed: list[Packed]) -> None:
    for item in packed:
        await site.post(item)


async def anchor(site: Site, _: list[Packed]) -> None:
    await site.anchor.step()
    await site.world.ledger.mine()
    await site.anchor.reconcile()


async def follow(site: Site, _: list[Packed]) -> None:
    await site.take_in()


async def relay(site: Site, _: list[Packed]) -> None:
    await site.deliver()


async def voted(site: Site, _: list[Packed]) -> None:
    await site._vote()
    await site.world.ledger.mine()


async def prepared(verb: Verb) -> tuple[World, list[Packed]]:
    """Make a world in which all that comes before the verb has been done."""
    world = World()
    packed = [world.gateway.pack() for _ in range(2 if verb is anchor else 1)]
    for step in STEPS[: STEPS.index(verb)]:
        await step(Site(world), packed)
    return world, packed


STEPS: list[Verb] = [seal, anchor, follow, voted, follow, relay]


@pytest.mark.parametrize("verb", [seal, anchor, follow, relay], ids=lambda verb: verb.__name__)
async def test_a_process_that_ends_at_any_line_loses_nothing_and_doubles_nothing(
    verb: Verb,
) -> None:
    at = 0
    while True:
        world, packed = await prepared(verb)
        doom = Doom(at)
        try:
            await verb(Site(world, doom=doom), packed)
            break
        except Crash:
            at += 1
        restarted = Site(world)
        await seal(restarted, packed)  # a gateway without an answer posts again
        await restarted.run_to_the_end()
        check_nothing_lost_or_doubled(world, packed)
    assert at > 5


async def test_whoever_was_answered_finds_the_evidence_after_any_crash() -> None:
    at = 0
    while True:
        world = World()
        packed, answered = [world.gateway.pack()], []
        try:
            site = Site(world, doom=Doom(at))
            for item in packed:
                answer = await site.post(item)
                answered.append(answer)
            break
        except Crash:
            at += 1
        after = Site(world)
        for answer in answered:
            assert (await after.track.evidence(answer.evidence)).state == "Sealed"
        for item in packed:
            answer = await after.post(item)
            assert answer.dataset_root == item.claim.dataset_root
        world.clock.advance(days=2)
        await after.seal.tidy()
        assert isinstance(world.objects, MemoryObjects)
        assert all(key.startswith("files/") for key in world.objects.objects)
    assert at > 15


async def test_a_failure_is_told_however_often_the_process_ends_while_writing_it_down() -> None:
    at = 0
    while True:
        world = World()
        packed = [world.gateway.pack()]
        await seal(Site(world), packed)
        await Site(world).anchor.step()
        world.ledger.revoke_detector(DETECTOR)
        await world.ledger.mine()
        try:
            await Site(world, doom=Doom(at)).anchor.reconcile()
            break
        except Crash:
            at += 1
        after = Site(world)
        await after.anchor.reconcile(at_start=True)
        journey = await after.track.evidence(packed[0].id)
        assert (journey.state, journey.reason) == ("Failed", "It was mined and reverted.")
    assert at > 5


async def test_a_withdrawal_that_ends_at_any_line_is_not_sent_twice() -> None:
    at = 0
    while True:
        world, packed = World(), []
        packed.append(world.gateway.pack())
        site = Site(world)
        await site.post(packed[0])
        order = await site.propose(packed[0])
        try:
            await Site(world, doom=Doom(at)).close.withdraw(order.id)
            break
        except Crash:
            at += 1
        after = Site(world)
        await after.anchor.reconcile(at_start=True)
        if not world.ledger.pending:
            await after.close.withdraw(order.id)
        else:
            with pytest.raises(errors.Conflict):
                await after.close.withdraw(order.id)
        assert len(world.ledger.pending) == 1
        await world.ledger.mine()
        await after.take_in()
        assert (await after.track.evidence(packed[0].id)).state == "Withdrawn"
    assert at > 5


async def test_a_nonce_that_is_signed_anew_at_any_line_is_used_once_and_nothing_is_doubled() -> (
    None
):
    at = 0
    while True:
        world = World()
        packed, usual = [world.gateway.pack()], world.ledger.most_gas
        world.ledger.most_gas = 50_000  # enough for a transfer, not for a call
        await seal(Site(world), packed)
        await Site(world).anchor.step()
        world.clock.advance(seconds=301)
        try:
            await Site(world, doom=Doom(at)).anchor.reconcile()
            break
        except Crash:
            at += 1
        after = Site(world)
        await after.anchor.reconcile(at_start=True)
        assert len(world.ledger.pending) == 1
        await world.ledger.mine()
        await after.anchor.reconcile()
        assert (await after.track.evidence(packed[0].id)).state == "Failed"
        world.ledger.most_gas = usual
        await after.anchor.again(packed[0].id)
        await after.run_to_the_end()
        check_nothing_lost_or_doubled(world, packed)
    assert at > 10
