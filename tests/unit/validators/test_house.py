from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger_service.domain.calls import Refuse, Withdraw
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.order import order_id
from ledger_service.domain.result import Reason
from ledger_service.testing.signer import decode
from tests.unit.validators.outside import files_of_at_most
from tests.unit.validators.world import Running, World, line
from validators.journal.file import FILE_NAME
from validators.rerun.models import Models


async def caught_up(us: Running) -> None:
    await us.house._watcher.scan()
    await us.house.drain()


async def test_an_order_is_learned_from_the_chain_when_the_feed_tells_nothing(
    world: World, us: Running
) -> None:
    item = world.order()
    await world.propose(item)
    await caught_up(us)

    assert us.verdict(item) == ("approve", "")


async def test_an_order_in_a_block_that_replaced_another_is_learned_too(
    tmp_path: Path, models: Models
) -> None:
    world = World(tmp_path / "deep", models, depth=2)
    item = world.order()
    async with world.agent() as us:
        await us.house.start()
        await world.ledger.mine()
        await caught_up(us)
        world.ledger.fork(1)
        await world.propose(item)  # at the height that was read before
        await caught_up(us)

        assert us.verdict(item) == ("approve", "")


async def test_an_order_learned_while_the_service_is_down_is_judged_when_it_is_back(
    world: World, us: Running
) -> None:
    item = world.order()
    await world.propose(item)
    world.service.down = True
    await caught_up(us)
    assert us.verdict(item) == ("nothing", "")
    assert item.order in us.memory.open

    world.service.down = False
    for _ in range(3):
        world.clock.advance(seconds=3)
        await us.house.tend()
        await us.house.drain()

    assert us.verdict(item) == ("approve", "")
    assert us.memory.open == {}


async def test_an_order_met_while_the_disk_is_full_is_judged_when_there_is_room(
    world: World, us: Running
) -> None:
    item = world.order()
    us.book.write({"kind": "of a later version", "padding": "x" * 200_000})  # more than a log has
    size = (world.folder / "agent" / FILE_NAME).stat().st_size
    with files_of_at_most(size + 10):
        await world.propose(item)
        await caught_up(us)
        us.house._save_cursors()
    assert us.verdict(item) == ("nothing", "")
    assert (us.wire.sent, us.memory.block) == ([], None)

    world.clock.advance(minutes=2)
    await us.house.tend()
    await us.house.drain()
    assert us.verdict(item) == ("approve", "")
    assert not us.agent.busy


async def test_an_order_told_of_while_the_disk_is_full_is_judged_when_it_is_proposed_meanwhile(
    world: World, us: Running
) -> None:
    item = world.order()
    files = world.service.files[item.content.evidence].copy()
    world.service.files[
        item.content.evidence
    ].clear()  # no verdict yet, which is to be written down
    us.book.write({"kind": "of a later version", "padding": "x" * 200_000})
    size = (world.folder / "agent" / FILE_NAME).stat().st_size
    with files_of_at_most(size + 10):
        world.service.lines.append(line(item))
        await us.house.read_feed()
        await world.propose(item)
        await us.house._watcher.scan()
        await us.house.drain()
    assert us.verdict(item) == ("nothing", "")

    world.service.files[item.content.evidence].update(files)
    world.clock.advance(minutes=2)
    await us.house.tend()
    await us.house.drain()
    assert us.verdict(item) == ("approve", "")


@pytest.mark.parametrize("gone", ["envelope", "document", "file"])
async def test_what_the_service_does_not_have_costs_time_and_signs_nothing(
    world: World, us: Running, gone: str
) -> None:
    item = world.order()
    match gone:
        case "envelope":
            world.service.envelopes.clear()
        case "document":
            world.service.documents.clear()
        case "file":
            world.service.files[item.content.evidence].clear()
    await world.propose(item)
    await caught_up(us)

    assert us.verdict(item) == ("nothing", "")
    assert us.wire.sent == []
    assert item.order in us.memory.open


def other_content(world: World) -> dict[str, Any]:
    item = world.order()
    return line(replace(item, content=replace(item.content, cost=1)))


def other_order(world: World) -> dict[str, Any]:
    return {**line(world.order()), "order": "00" * 32}


def other_evidence(world: World) -> dict[str, Any]:
    good, other = world.order(world.claim(seed=1)), world.order(world.claim(seed=2))
    return line(replace(good, envelope=other.envelope))


def no_envelope(world: World) -> dict[str, Any]:
    return line(replace(world.order(), envelope=b"{}"))


def a_chain_apart(world: World) -> dict[str, Any]:
    item = world.order()
    domain = replace(world.ledger.orders, chain_id=1)
    return line(replace(item, order=order_id(item.content, domain)))


def too_large_a_number(world: World) -> dict[str, Any]:
    item = world.order()
    return line(replace(item, content=replace(item.content, deadline=2**60)))


def not_our_seat(world: World) -> dict[str, Any]:
    version = world.ledger.register_version(world.asset, (1, 3), 1, 3)
    return line(world.order(asset_version=version))


def no_such_version(world: World) -> dict[str, Any]:
    return line(world.order(asset_version=type(world.version)(bytes(32))))


def past_its_deadline(world: World) -> dict[str, Any]:
    found = line(world.order())
    world.clock.advance(days=3)
    return found


LIES = [
    other_content,
    other_order,
    other_evidence,
    no_envelope,
    a_chain_apart,
    too_large_a_number,
    not_our_seat,
    no_such_version,
    past_its_deadline,
]


@pytest.mark.parametrize("lie", LIES, ids=[lie.__name__ for lie in LIES])
async def test_a_line_of_the_feed_that_is_not_an_order_of_ours_signs_nothing(
    world: World, us: Running, lie: Any
) -> None:
    world.service.lines.append(lie(world))
    await us.house.read_feed()
    await us.house.drain()

    assert us.wire.sent == []
    assert us.memory.verdicts == {}


@pytest.mark.parametrize(
    "junk",
    [
        5,
        "text",
        None,
        {},
        {"kind": "order"},
        {"kind": "order", "order": "zz", "body": {}},
        {"kind": "order", "order": "00" * 32, "body": []},
        {"kind": "order", "order": "00" * 32, "body": {"content": {"cost": float("inf")}}},
        {"kind": "close-out", "order": "00" * 32, "body": {"outcome": 99}},
        {"kind": "of a later version"},
    ],
)
async def test_junk_in_the_feed_is_passed_over_and_what_follows_is_judged(
    world: World, us: Running, junk: Any
) -> None:
    item = world.order()
    world.service.lines += [junk, line(item)]
    await us.house.read_feed()
    await us.house.drain()

    assert us.verdict(item) == ("approve", "")


async def test_junk_inside_an_announcement_is_no_announcement(world: World, us: Running) -> None:
    item = world.order()
    good = line(item)
    for name, value in {
        "cost": float("inf"),
        "deadline": "soon",
        "builder": "0x00",
        "evidence": None,
    }.items():
        body = {**good["body"], "content": {**good["body"]["content"], name: value}}
        world.service.lines.append({**good, "body": body})
    await us.house.read_feed()
    await us.house.drain()

    assert us.wire.sent == []


async def test_an_approval_that_is_not_proposed_in_time_is_taken_back(
    world: World, us: Running
) -> None:
    item = world.order()
    await us.agent.consider(item)
    await world.ledger.mine()
    world.clock.advance(minutes=29)
    await us.house.tend()
    assert len(us.wire.sent) == 1

    world.clock.advance(minutes=2)
    await world.ledger.mine()
    await us.house.tend()
    await world.ledger.mine()
    call = decode(us.wire.sent[-1]).call
    assert isinstance(call, Refuse)
    assert call.reason == Reason.NOT_PROPOSED
    word = await world.word(item)
    assert (word.approved, word.against) == (0, 2)
    await world.propose(item)
    assert (await world.word(item)).status is Status.REFUSED


async def test_a_node_that_stands_still_makes_no_approval_be_taken_back(
    world: World, us: Running
) -> None:
    item = world.order()
    await us.agent.consider(item)
    await world.ledger.mine()  # and no block after it, as far as our node knows
    world.clock.advance(hours=2)
    await us.house.tend()
    assert len(us.wire.sent) == 1

    await world.propose(item)
    await us.house.tend()
    assert us.memory.unproposed == {}
    assert len(us.wire.sent) == 1


async def test_an_approval_that_was_proposed_in_time_stays(world: World, us: Running) -> None:
    item = world.order()
    await us.agent.consider(item)
    await world.ledger.mine()
    await world.propose(item)
    world.clock.advance(minutes=31)
    await us.house.tend()

    assert us.memory.unproposed == {}
    assert len(us.wire.sent) == 1


async def test_the_episode_of_an_approval_taken_back_is_free_again(
    world: World, us: Running
) -> None:
    await us.agent.consider(world.order(world.claim(seed=1)))
    await world.ledger.mine()
    world.clock.advance(minutes=31)
    await world.ledger.mine()
    await us.house.tend()
    second = world.order(world.claim(seed=2))
    await us.agent.consider(second)

    assert us.verdict(second) == ("approve", "")


async def test_a_result_is_handed_in_again_until_the_service_takes_it(
    world: World, us: Running
) -> None:
    item = world.order()
    world.service.takes_results = False
    await us.agent.consider(item)
    assert item.order in us.memory.results
    world.clock.advance(seconds=2)
    await us.house.tend()
    world.service.takes_results = True
    await us.house.tend()
    assert world.service.handed == {}  # not due yet

    world.clock.advance(seconds=2)
    await us.house.tend()
    assert item.order in world.service.handed
    assert us.memory.results == {}


async def test_a_result_that_is_not_kept_holds_up_none_of_those_handed_in_with_it(
    world: World,
) -> None:
    world.policy = world.policy.model_copy(update={"episode_hours": 0})
    world.service.takes_results = False
    good, bad = world.order(world.claim(seed=1)), world.order(world.claim(seed=2))
    world.service.refused.add(bad.order)
    async with world.agent() as us:
        await us.house.start()
        for item in (good, bad):
            await us.agent.consider(item)
        world.service.takes_results = True
        await us.agent.results.hand_in([good.order, bad.order])

        assert list(world.service.handed) == [good.order]
        assert list(us.memory.results) == [bad.order]
        world.service.refused.clear()
        await us.agent.results.hand_in([good.order, bad.order])
        assert us.memory.results == {}


async def test_cursors_move_on_only_when_nothing_is_under_way(world: World, us: Running) -> None:
    world.service.lines.append(line(world.order()))
    await us.house.read_feed()
    us.house._save_cursors()
    assert us.memory.feed == 0
    await us.house.drain()
    us.house._save_cursors()

    assert us.memory.feed == 1


async def test_an_order_withdrawn_before_it_is_judged_is_left_alone(
    world: World, us: Running
) -> None:
    item = world.order()
    await world.propose(item)
    await world.say("builder", Withdraw(item.content))
    await caught_up(us)

    assert us.wire.sent == []
    assert us.memory.open == {}
