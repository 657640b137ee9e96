from __future__ import annotations

from pathlib import Path

import pytest

from ledger_service.domain import errors
from ledger_service.domain.calls import Approve, Refuse, Sent
from ledger_service.testing.signer import decode
from tests.unit.validators.lives import HOME, sweep, tend
from tests.unit.validators.world import PLAN, Running, World
from validators.journal import file
from validators.rerun.models import Models


@pytest.mark.parametrize(("life", "stride"), [("approve", 6), ("refuse", 7), ("person", 11)])
async def test_a_kill_at_some_steps_leaves_one_verdict_after_a_restart(
    tmp_path: Path, models: Models, life: str, stride: int
) -> None:
    """Every step of every life: tests/integration/agent/test_every_kill.py."""
    assert 20 < await sweep(tmp_path, models, life, next_home=HOME, stride=stride) < 200


async def test_what_is_sent_stands_in_the_journal_before(world: World) -> None:
    async with world.agent() as us:
        seen = []

        def look(raw: bytes) -> None:
            lines = file.read(world.folder / HOME)
            entries = [inner for entry in lines for inner in entry.get("entries", [entry])]
            assert {"verdict", "seen", "signed"} <= {entry["kind"] for entry in entries}
            seen.append(any(entry.get("raw") == raw.hex() for entry in entries))

        us.wire.before.append(look)
        await us.house.start()
        await us.agent.consider(world.order())

    assert seen == [True]


async def test_of_one_key_and_nonce_there_are_never_two_transactions(world: World) -> None:
    items = []
    async with world.agent() as us:
        await us.house.start()
        for seed in range(1, 5):
            items.append(world.order(world.claim(seed=seed), cost=seed % 2 or PLAN.cost))
            await world.propose(items[-1])
            us.house._spawn(us.agent.consider(items[-1]))
        await us.house.drain()
        await tend(world, us)

    sent = [decode(raw) for raw in world.sent]
    assert len({tx.nonce for tx in sent}) == len({tx.raw for tx in sent}) == 4
    assert {type(tx.call) for tx in sent} == {Approve, Refuse}


async def test_the_pool_may_forget_and_the_same_bytes_are_sent_again(world: World) -> None:
    item = world.order()
    async with world.agent() as us:
        await us.house.start()
        await us.agent.consider(item)
        for _ in range(2):
            world.ledger.drop()
            world.clock.advance(seconds=30)
            await us.house.tend()
        await world.ledger.mine()
        await us.house.tend()

        assert len(set(world.sent)) == 1
        assert len(world.sent) == 3
        assert us.memory.unmined == {}


async def test_a_rewrite_of_the_chain_takes_a_verdict_out_and_it_is_sent_again(
    tmp_path: Path, models: Models
) -> None:
    world = World(tmp_path / "deep", models, depth=2)
    item = world.order()
    async with world.agent() as us:
        await us.house.start()
        await us.agent.consider(item)
        await world.ledger.mine()
        await us.house.tend()
        assert len(us.memory.unmined) == 1  # not final yet
        world.ledger.fork(1, forget=True)
        world.clock.advance(seconds=10)
        await us.house.tend()
        await world.ledger.mine_many(3)
        await us.house.tend()

        assert len(set(world.sent)) == 1
        assert us.memory.unmined == {}
        assert (await world.word(item)).approved == 2


async def test_a_nonce_that_another_wallet_took_is_replaced_and_the_verdict_said_once(
    world: World,
) -> None:
    item, other = world.order(world.claim(seed=1)), world.order(world.claim(seed=2))
    async with world.agent() as us:
        await us.house.start()
        await us.agent.consider(item)
        world.ledger.drop()
        await world.approve(other, 2)  # the same key, by hand
        world.clock.advance(seconds=31)
        await us.house.tend()
        await world.ledger.mine()
        await us.house.tend()

        assert (await world.word(item)).approved == 2
        assert [decode(raw).nonce for raw in world.sent] == [0, 1]
        assert us.memory.failures == []


async def refused_for(world: World, us: Running, *, seconds: int) -> None:
    for _ in range(seconds // 10):
        world.clock.advance(seconds=10)
        await us.house.tend()


async def test_what_every_node_refuses_is_told_of_and_signed_anew_at_the_fees_of_now(
    world: World,
) -> None:
    item, other = world.order(world.claim(seed=1)), world.order(world.claim(seed=2), cost=1)
    await world.propose(other)
    world.ledger.least_price = 5
    async with world.agent() as us:
        await us.house.start()
        await us.agent.consider(item)
        await refused_for(world, us, seconds=200)
        assert len(set(us.wire.sent)) == 2  # two verdicts
        assert [entry["purpose"] for entry in us.memory.stuck.values()] == ["refuse"]
    world.ledger.price = 6
    async with world.agent() as us:
        await us.house.start()
        await refused_for(world, us, seconds=200)
        await world.ledger.mine()
        await refused_for(world, us, seconds=200)
        await world.ledger.mine()
        await us.house.tend()

        assert (us.memory.stuck, us.memory.unmined) == ({}, {})
        assert us.memory.failures == []
    assert ((await world.word(item)).approved, (await world.word(other)).against) == (2, 2)
    assert {decode(raw).nonce for raw in world.sent} == {0, 1}


async def test_a_transaction_that_was_replaced_counts_if_it_is_mined_after_all(
    world: World,
) -> None:
    item = world.order()
    async with world.agent() as us:
        await us.house.start()
        world.ledger.least_price = 5
        await us.agent.consider(item)
        world.ledger.price = 6
        await refused_for(world, us, seconds=120)
        assert len(set(world.sent)) == 2
        world.ledger.drop()
        world.ledger.least_price = 0
        await world.ledger.send(world.sent[0])  # another node had it
        await world.ledger.mine()
        await us.house.tend()

        assert us.memory.unmined == {}
        assert us.memory.failures == []
    assert (await world.word(item)).approved == 2


@pytest.mark.parametrize("answer", [Sent.REFUSED, Sent.RETRY])
async def test_fees_that_are_refused_once_are_not_given_up(world: World, answer: Sent) -> None:
    async with world.agent() as us:
        await us.house.start()
        world.ledger.answers.append(answer)
        world.ledger.price = 6
        await us.agent.consider(world.order())
        await refused_for(world, us, seconds=200)

        assert len(set(world.sent)) == 1


@pytest.mark.parametrize(
    ("first", "second", "allowed"),
    [
        ("approve", "approve", False),
        ("approve", "refuse", False),
        ("refuse", "approve", False),
        ("unapprove", "unapprove", False),
        ("approve", "unapprove", True),
        ("approve", "complete", True),
    ],
)
async def test_the_pen_signs_one_verdict_an_order_whoever_asks(
    world: World, first: str, second: str, *, allowed: bool
) -> None:
    item = world.order()
    call = Refuse(item.content, 1, 1, bytes(32))
    async with world.agent() as us:
        await us.pen.ready()
        us.pen.sign(first, item.order, call)
        if allowed:
            us.pen.sign(second, item.order, call)
            return
        with pytest.raises(errors.Conflict):
            us.pen.sign(second, item.order, call)

        assert len(us.memory.unmined) == 1
