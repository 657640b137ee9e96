"""What an agent makes of a chain that knows more than its folder: it recalls before it judges."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from ledger_service.domain.facts import Block, Fact
from tests.unit.validators.lives import DEAR, started
from tests.unit.validators.outside import files_of_at_most
from tests.unit.validators.world import Running, World
from validators.agent.desk import Decision
from validators.journal.file import FILE_NAME
from validators.rules.case import Announced, CannotSay, Refused


async def approved_and_proposed(world: World, *items: Announced) -> None:
    """An earlier life approves, in a folder that the next one does not have."""
    async with world.agent("lost") as before:
        await before.house.start()
        for item in items:
            await before.agent.consider(item)
        await world.ledger.mine()
    for item in items:
        await world.propose(item)


def read_slowly(us: Running) -> None:
    """Let whatever is being judged be judged before the next block is read."""
    facts = us.house._watcher._ledger.facts

    async def slow(block: Block) -> Sequence[Fact]:
        await us.house.drain()
        return await facts(block)

    us.house._watcher._ledger.facts = slow  # type: ignore[method-assign]


async def test_an_order_in_an_early_block_waits_for_what_a_late_block_says_that_we_said(
    world: World,
) -> None:
    first, second = world.order(world.claim(seed=1)), world.order(world.claim(seed=2))
    async with world.agent("lost") as before:
        await before.house.start()
        await before.agent.consider(first)
        await world.propose(second)
        await world.ledger.mine_many(40)
    await world.propose(first)
    async with world.agent() as us:
        read_slowly(us)
        await us.house.start()

        assert us.verdict(first) == ("approve", "")
        assert us.verdict(second) == ("refuse", "EPISODE_REPEATED")


async def test_what_a_person_decided_since_the_folder_was_copied_is_recalled(world: World) -> None:
    first = world.order(world.claim(seed=1), plan=DEAR)
    async with world.agent() as before:
        await before.house.start()
        await world.propose(first)
        await before.agent.consider(first)
        assert first.order in before.memory.pending
    shutil.copytree(world.folder / "agent", world.folder / "older")
    async with world.agent() as before:
        await before.house.start()
        await before.agent.decide(first.order, Decision(approve=True, text="", by="anna"))
        await world.ledger.mine()
    second = world.order(world.claim(seed=2))
    async with world.agent("older") as us:
        await us.house.start()
        await us.agent.consider(second)

        assert us.verdict(first) == ("approve", "")
        assert us.verdict(second) == ("refuse", "EPISODE_REPEATED")


async def lost_without_envelopes(world: World) -> tuple[Announced, Announced, dict[Any, bytes]]:
    """One order that an earlier life approved, another of its episode, and the envelope of the first."""
    first, second = world.order(world.claim(seed=1)), world.order(world.claim(seed=2))
    await approved_and_proposed(world, first)
    gone = {first.content.evidence: world.service.envelopes.pop(first.content.evidence)}
    return first, second, gone


async def test_while_the_statement_of_what_we_approved_is_gone_a_person_decides_of_its_asset(
    world: World,
) -> None:
    first, second, gone = await lost_without_envelopes(world)
    async with world.agent() as us:
        await us.house.start()
        await us.agent.consider(second)
        assert us.verdict(first) == ("approve", "")
        assert (us.wire.sent, list(us.memory.pending)) == ([], [second.order])

    world.service.envelopes.update(gone)
    async with world.agent() as us:
        await us.house.start()
        await us.house.tend()
        await us.agent.copies.drain()
        with pytest.raises(Refused, match="Episode repeated"):
            await us.agent.review(second.order)


async def test_what_was_measured_an_episode_after_the_loss_waits_for_no_statement(
    world: World,
) -> None:
    await lost_without_envelopes(world)
    async with world.agent() as us:
        await us.house.start()
        world.clock.advance(hours=25)
        later = world.order(world.claim(seed=3))
        await us.agent.consider(later)

        assert us.verdict(later) == ("approve", "")


async def test_a_persons_decision_waits_on_the_desk_until_what_we_said_is_recalled(
    world: World,
) -> None:
    dear, since = world.order(world.claim(seed=1), plan=DEAR), world.order(world.claim(seed=2))
    async with world.agent() as before:
        await before.house.start()
        await before.agent.consider(dear)
    await approved_and_proposed(world, since)
    world.service.down = True
    async with world.agent() as us:
        await us.house.start()
        us.desk.drop(dear.order, Decision(approve=True, text="", by="anna"))
        await us.house.read_desk()
        with pytest.raises(CannotSay, match="recalled"):
            await us.agent.review(dear.order)
        assert [order for order, _ in us.desk.read()] == [dear.order]
        world.service.down = False
        world.clock.advance(seconds=3)
        await us.house.tend()
        await us.house.drain()
        await us.house.read_desk()

        assert us.wire.sent == []
        assert "Episode repeated" in us.memory.pending[dear.order]["declined"]


async def test_what_an_earlier_life_sent_is_waited_for_and_not_signed_with_other_words(
    world: World,
) -> None:
    item = world.order()
    await world.propose(item)
    async with world.agent("lost") as before:
        await before.house.start()
        await before.agent.consider(item)
    result = world.service.handed[item.order]
    async with world.agent() as us:
        await started(world, us)

        assert us.verdict(item) == ("approve", "")
        assert us.memory.verdicts[item.order]["by"] == "the chain"
        assert len(world.sent) == 1
        assert world.service.handed[item.order] == result


async def test_a_transaction_that_no_block_takes_is_waited_for_by_the_chains_clock_and_not_for_ever(
    world: World,
) -> None:
    item = world.order()
    await world.propose(item)
    async with world.agent("lost") as before:
        await before.house.start()
        await before.agent.consider(item)
    async with world.agent() as us:
        starting, begun = asyncio.create_task(us.house.start()), world.clock.now()
        for _ in range(3000):
            await asyncio.sleep(0)
        assert world.clock.now() > begun + timedelta(minutes=1)
        assert not starting.done()
        assert len(world.sent) == 1
        await world.ledger.mine([])
        await starting

        assert len(world.sent) == 2


async def test_a_disk_that_is_full_at_the_start_puts_the_recall_off_and_stops_nothing_else(
    world: World,
) -> None:
    first, second = world.order(world.claim(seed=1)), world.order(world.claim(seed=2))
    async with world.agent() as before:
        await before.house.start()
        before.book.write({"kind": "of a later version", "padding": "x" * 200_000})
    await approved_and_proposed(world, first)
    sent = len(world.sent)
    async with world.agent() as us:
        with files_of_at_most((world.folder / "agent" / FILE_NAME).stat().st_size + 10):
            await us.house.start()
        await us.agent.consider(second)
        assert us.memory.verdicts == {}
        world.clock.advance(minutes=2)
        await us.house.tend()
        await us.house.drain()
        await us.house.tend()
        await us.house.drain()

        assert us.verdict(first) == ("approve", "")
        assert len(world.sent) == sent
