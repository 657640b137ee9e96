from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ledger_service.domain import ids
from ledger_service.domain.lifecycle import Status
from tests.unit.validators.world import Running, World
from validators.rerun.models import Models


async def test_the_same_number_with_other_bytes_is_refused(world: World, us: Running) -> None:
    first = world.claim(seed=1)
    await us.agent.consider(world.order(first))
    world.clock.advance(days=2)
    fork = world.order(replace(world.claim(seed=2), sequence=1, previous=None))
    await us.agent.consider(fork)

    assert us.verdict(fork) == ("refuse", "SEQUENCE_FORK")


async def test_a_statement_that_follows_another_one_than_ours_is_refused(
    world: World, us: Running
) -> None:
    await us.agent.consider(world.order())
    world.clock.advance(days=2)
    other = ids.EvidenceId(bytes(32))
    fork = world.order(world.claim(seed=2, previous=other))
    await us.agent.consider(fork)

    assert us.verdict(fork) == ("refuse", "SEQUENCE_FORK")


async def test_a_late_statement_must_be_the_one_that_its_successor_named(
    world: World, us: Running
) -> None:
    named, successor = world.order(world.claim(seed=1)), world.order(world.claim(seed=2))
    await us.agent.consider(successor)
    world.clock.advance(hours=30)
    other = world.order(replace(world.claim(seed=3), sequence=1, previous=None))
    await us.agent.consider(other)
    await us.agent.consider(named)

    assert us.verdict(other) == ("refuse", "SEQUENCE_FORK")
    assert us.verdict(named) == ("refuse", "EPISODE_REPEATED")


async def test_a_gap_in_the_sequence_is_accepted_and_flagged(world: World, us: Running) -> None:
    first = world.order(world.claim(seed=1))
    await us.agent.consider(first)
    world.clock.advance(days=2)
    world.order(world.claim(seed=2))  # never comes here
    third = world.order(world.claim(seed=3))
    await us.agent.consider(third)

    assert us.verdict(third) == ("approve", "")
    assert us.memory.verdicts[first.order]["gap"] is False
    assert us.memory.verdicts[third.order]["gap"] is True


async def test_a_number_is_used_even_if_its_order_was_refused(world: World, us: Running) -> None:
    old = world.claim(seed=1)
    world.clock.advance(days=40)
    stale = world.order(old)
    await us.agent.consider(stale)
    fork = world.order(replace(world.claim(seed=2), sequence=1, previous=None))
    await us.agent.consider(fork)

    assert us.verdict(stale) == ("refuse", "WINDOW_STALE")
    assert us.verdict(fork) == ("refuse", "SEQUENCE_FORK")


async def test_a_number_is_used_even_if_a_check_failed_after_its_signature_held(
    world: World, us: Running
) -> None:
    mismatched = world.order(world.claim(seed=1), document=b"no document")
    await us.agent.consider(mismatched)
    fork = world.order(replace(world.claim(seed=2), sequence=1, previous=None))
    await us.agent.consider(fork)

    assert us.verdict(mismatched) == ("refuse", "DOCUMENT_MISMATCH")
    assert us.verdict(fork) == ("refuse", "SEQUENCE_FORK")


async def test_a_forged_statement_does_not_use_up_a_devices_number(
    world: World, us: Running
) -> None:
    claim = world.claim(seed=5)
    forged = world.build(
        replace(claim, failure_mode="bearing-wear"),
        replace(
            world.device.seal(replace(claim, failure_mode="bearing-wear").dumps()), signatures=()
        ).dumps(),
    )
    await us.agent.consider(forged)
    honest = world.order(world.claim(seed=6))
    await us.agent.consider(honest)

    assert us.verdict(forged) == ("refuse", "BAD_SIGNATURE")
    assert us.verdict(honest) == ("approve", "")


async def test_a_dataset_under_another_statement_is_refused(world: World, us: Running) -> None:
    first = world.claim(seed=1)
    await us.agent.consider(world.order(first))
    world.clock.advance(days=2)
    second = world.claim(seed=1)
    again = world.order(replace(second, entries=first.entries, dataset_root=first.dataset_root))
    await us.agent.consider(again)

    assert us.verdict(again) == ("refuse", "DATASET_REPEATED")


async def test_the_same_episode_is_not_ordered_again(world: World, us: Running) -> None:
    first, second = world.order(world.claim(seed=1)), world.order(world.claim(seed=2))
    await us.agent.consider(first)
    await us.agent.consider(second)
    assert us.verdict(second) == ("refuse", "EPISODE_REPEATED")
    world.clock.advance(hours=25)
    later = world.order(world.claim(seed=3))
    await us.agent.consider(later)

    assert us.verdict(later) == ("approve", "")


@pytest.mark.parametrize(
    ("status", "expected"),
    [(Status.REFUSED, "approve"), (Status.VALIDATED, "refuse")],
)
async def test_an_episode_whose_order_came_to_nothing_may_be_ordered_again(
    world: World, us: Running, status: Status, expected: str
) -> None:
    first = world.order(world.claim(seed=1))
    await us.agent.consider(first)
    await world.ledger.mine()
    await world.propose(first)
    await world.approve(first, 1)
    if status is Status.REFUSED:
        await world.refuse(first, 3)
    else:
        await world.approve(first, 3)
    await us.house._watcher.scan()
    second = world.order(world.claim(seed=2))
    await us.agent.consider(second)

    assert (await world.word(first)).status is status
    assert us.verdict(second)[0] == expected


@pytest.mark.parametrize(("rewritten", "expected"), [(True, "refuse"), (False, "approve")])
async def test_an_end_that_may_be_rewritten_sets_no_episode_free(
    tmp_path: Path, models: Models, *, rewritten: bool, expected: str
) -> None:
    world = World(tmp_path / "deep", models, depth=3)
    first = world.order(world.claim(seed=1))
    async with world.agent() as us:
        await us.house.start()
        await us.agent.consider(first)
        await world.ledger.mine()
        await world.propose(first)
        await world.ledger.mine_many(3)
        await world.refuse(first, 3)
        await us.house._watcher.scan()
        await us.house.tend()
        if rewritten:
            world.ledger.fork(1, forget=True)
        await world.ledger.mine_many(4)
        await us.house._watcher.scan()
        await us.house.tend()
        second = world.order(world.claim(seed=2))
        await us.agent.consider(second)

        assert (await world.word(first)).status is (
            Status.PROPOSED if rewritten else Status.REFUSED
        )
        assert us.memory.approved(first.order) is rewritten
        assert us.verdict(second)[0] == expected


async def test_another_attempt_of_the_same_evidence_is_no_repetition(
    world: World, us: Running
) -> None:
    claim = world.claim()
    first = world.order(claim)
    await us.agent.consider(first)
    await world.ledger.mine()
    await world.propose(first)
    await world.refuse(first, 3)
    await us.house._watcher.scan()
    again = world.build(claim, first.envelope, attempt=2)
    await us.agent.consider(again)

    assert us.verdict(again) == ("approve", "")


async def test_episodes_and_numbers_outlive_a_restart(world: World) -> None:
    async with world.agent() as before:
        await before.house.start()
        await before.agent.consider(world.order(world.claim(seed=1)))
    async with world.agent() as after:
        await after.house.start()
        second = world.order(world.claim(seed=2))
        fork = world.order(replace(world.claim(seed=3), sequence=1, previous=None))
        await after.agent.consider(second)
        await after.agent.consider(fork)

        assert after.verdict(second) == ("refuse", "EPISODE_REPEATED")
        assert after.verdict(fork) == ("refuse", "SEQUENCE_FORK")


async def test_two_orders_of_one_episode_that_come_at_once_are_not_both_approved(
    world: World, us: Running
) -> None:
    items = [world.order(world.claim(seed=seed)) for seed in (1, 2)]
    for item in items:
        us.house._spawn(us.agent.consider(item))
    await us.house.drain()

    assert sorted(us.verdict(item)[0] for item in items) == ["approve", "refuse"]
