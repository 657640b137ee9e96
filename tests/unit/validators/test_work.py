"""The end of the work: what the host's agent signs, and on whose word."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from ledger_service.domain.calls import Complete
from ledger_service.domain.lifecycle import Outcome, Status
from ledger_service.testing.signer import decode
from tests.unit.validators.outside import US
from tests.unit.validators.world import Running, World
from validators.agent.desk import Decision, Desk
from validators.agent.work import MOST
from validators.commands import agent as commands
from validators.commands import agent_view as view
from validators.rules.case import Announced

REPORT = b"Both bearings replaced: quiet."
DIGEST = hashlib.sha256(REPORT).digest()
YES = Decision(approve=True, text="", by="anna")


@pytest.fixture
def policy() -> dict[str, Any]:
    return {}


@pytest.fixture
def world(world: World, policy: dict[str, Any]) -> World:
    world.version = world.ledger.register_version(world.asset, (1, 2, 3), US, 3)
    world.policy = world.policy.model_copy(update=policy)
    return world


@pytest.fixture
async def item(world: World) -> Announced:
    made = world.order()
    await world.propose(made)
    for number in (1, 2, 3):
        await world.approve(made, number)
    return made


@pytest.fixture
async def us(world: World, item: Announced) -> AsyncIterator[Running]:
    assert (await world.word(item)).status is Status.VALIDATED
    async with world.agent() as running:
        await running.house.start()
        yield running


def close_out(item: Announced, digest: bytes = DIGEST, **changes: Any) -> dict[str, Any]:
    body = {"content": item.content.as_json(), "outcome": 1, "closeOut": digest.hex()}
    return {"kind": "close-out", "order": item.order.hex(), "body": {**body, **changes}}


async def tend(world: World, us: Running, *, seconds: int = 70) -> None:
    world.clock.advance(seconds=seconds)
    await us.house.read_feed()
    await us.house.read_desk()
    await us.house.tend()
    await world.ledger.mine()


async def test_the_host_signs_a_close_out_whose_report_it_holds(
    world: World, us: Running, item: Announced
) -> None:
    world.service.reports[DIGEST] = REPORT
    world.service.lines.append(close_out(item))
    await tend(world, us)

    assert decode(us.wire.sent[-1]).call == Complete(item.content, Outcome.CURED, DIGEST)
    assert (await world.word(item)).status is Status.COMPLETED
    kept = world.folder / "agent" / "close-outs" / DIGEST.hex()
    assert kept.read_bytes() == REPORT


@pytest.mark.parametrize("report", [None, b"another", b""])
async def test_an_end_without_its_report_is_not_signed_until_it_comes(
    world: World, us: Running, item: Announced, report: bytes | None
) -> None:
    if report is not None:
        world.service.reports[DIGEST] = report
    world.service.lines.append(close_out(item))
    for _ in range(3):
        await tend(world, us)
    assert us.wire.sent == []
    assert (await world.word(item)).status is Status.VALIDATED

    world.service.reports[DIGEST] = REPORT
    await tend(world, us)
    assert (await world.word(item)).status is Status.COMPLETED


async def test_a_close_out_whose_report_never_came_gives_way_to_one_whose_report_does(
    world: World, us: Running, item: Announced
) -> None:
    world.service.reports[DIGEST] = REPORT
    world.service.lines.append(close_out(item, bytes(32), outcome=3))
    await tend(world, us)
    assert us.wire.sent == []
    world.service.lines.append(close_out(item))
    await tend(world, us)

    assert [decode(raw).call for raw in us.wire.sent] == [
        Complete(item.content, Outcome.CURED, DIGEST)
    ]


async def test_a_close_out_that_is_not_ours_or_of_another_order_is_not_signed(
    world: World, item: Announced
) -> None:
    world.version = world.ledger.register_version(world.asset, (1, 2, 3), 1, 3)
    foreign = world.order(world.claim(seed=2))
    await world.propose(foreign)
    for number in (1, 2, 3):
        await world.approve(foreign, number)
    world.service.reports[DIGEST] = REPORT
    other = replace(item.content, cost=1).as_json()
    world.service.lines += [close_out(foreign), close_out(item, content=other)]
    async with world.agent() as us:
        await us.house.start()
        await tend(world, us)

        assert us.wire.sent == []
        assert us.memory.work == {}


async def test_close_outs_without_end_are_not_all_remembered(
    world: World, us: Running, item: Announced
) -> None:
    us.memory.work = {type(item.order)(n.to_bytes(32)): {} for n in range(MOST)}
    world.service.lines.append(close_out(item))
    await us.house.read_feed()

    assert item.order not in us.memory.work


@pytest.mark.parametrize("policy", [{"person_completes": True}])
async def test_where_the_policy_says_so_a_person_reads_the_report_first(
    world: World, us: Running, item: Announced, capsys: pytest.CaptureFixture[str]
) -> None:
    world.service.reports[DIGEST] = REPORT
    world.service.lines.append(close_out(item))
    await tend(world, us)
    assert us.wire.sent == []
    capsys.readouterr()
    view.pending(us.memory, as_json=True)
    (shown,) = json.loads(capsys.readouterr().out)
    assert (shown["outcome"], shown["SHA-256"], shown["bytes"]) == ("cured", DIGEST.hex(), 30)
    view.pending(us.memory, as_json=False)
    assert shown["report"] in capsys.readouterr().out

    us.desk.drop(item.order, YES)
    await tend(world, us, seconds=0)
    assert (await world.word(item)).status is Status.COMPLETED
    assert us.memory.to_complete() == {}


@pytest.mark.parametrize("policy", [{"person_completes": True}])
async def test_an_end_that_a_person_does_not_believe_is_not_signed(
    world: World, us: Running, item: Announced
) -> None:
    world.service.reports[DIGEST] = REPORT
    world.service.lines.append(close_out(item))
    await tend(world, us)
    us.desk.drop(item.order, Decision(approve=False, text="it still howls", by="anna"))
    await tend(world, us)

    assert us.wire.sent == []
    assert us.memory.work == {}
    assert [entry["why"] for entry in us.memory.failures] == ["anna: it still howls"]


@pytest.mark.parametrize("policy", [{"person_completes": True}])
async def test_a_person_decides_about_an_end_by_command_and_the_agent_signs(
    world: World, us: Running, item: Announced, capsys: pytest.CaptureFixture[str]
) -> None:
    world.service.reports[DIGEST] = REPORT
    world.service.lines.append(close_out(item))
    await tend(world, us)
    config = world.folder / "agent" / "agent.toml"
    config.write_text("organisation = 2\n", encoding="utf-8")
    options = commands.Options(config=config)
    capsys.readouterr()

    assert commands.approve(item.order.hex()[:12], yes=True, options=options) == 0
    shown = capsys.readouterr()
    assert DIGEST.hex() in shown.out
    assert "takes it up now" in shown.err
    ((order, decision),) = Desk(world.folder / "agent" / "decisions").read()
    assert (order, decision.approve) == (item.order, True)
