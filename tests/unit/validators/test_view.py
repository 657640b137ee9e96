from __future__ import annotations

import json

import pytest

from tests.unit.validators.world import PLAN, Running, World
from validators.commands import agent_view as view
from validators.journal.memory import Memory

DEAR = PLAN.model_copy(update={"labour_cost": 6_000_000})


@pytest.mark.parametrize("text", ["a\x1b[2Jb", "a\u202eb", "a\nb", "a\x00b", "a\u2028b"])
def test_what_moves_a_terminal_is_shown_as_a_mark(text: str) -> None:
    assert "\ufffd" in view.plain(text)
    assert view.plain(text).isprintable()


async def test_a_title_that_rewrites_the_screen_is_refused_before_anybody_sees_it(
    world: World, us: Running
) -> None:
    title = "Change the drill\x1b[1A\x1b[2Kcost 1 EUR"
    item = world.order(plan=DEAR.model_copy(update={"title": title}))
    await us.agent.consider(item)

    assert us.verdict(item) == ("refuse", "DOCUMENT_MISMATCH")


async def test_a_person_sees_all_that_is_signed(
    world: World, us: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    item = world.order(plan=DEAR)
    await us.agent.consider(item)
    review = await us.agent.review(item.order)
    capsys.readouterr()
    view.fields(view.case(review.case), as_json=True)
    shown = json.loads(capsys.readouterr().out)

    assert shown["score claimed"] == shown["score recomputed"]
    assert shown["cost"] == {"amount": 6_017_800, "currency": "EUR"}
    assert shown["order digest"] == item.content.order_digest.hex()
    assert shown["parts"] == ["2 C62 DRL-12 Drill 12 mm at 89.00 EUR"]
    view.fields(view.case(review.case), as_json=False)
    assert f"{'cost':18} 60178.00 EUR\n" in capsys.readouterr().out


async def test_what_waits_is_listed_with_money_as_people_write_it(
    world: World, us: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    await us.agent.consider(world.order(plan=DEAR))
    capsys.readouterr()
    view.pending(us.memory, as_json=False)
    shown = capsys.readouterr().out
    view.pending(us.memory, as_json=True)

    assert "  60178.00 EUR  until" in shown
    assert "it costs 60178.00 EUR, more than 50000.00" in shown
    assert json.loads(capsys.readouterr().out)[0]["cost"] == 6_017_800


def test_scores_and_costs_of_a_record_are_told_in_their_units(
    capsys: pytest.CaptureFixture[str],
) -> None:
    view.fields({"score": 644_914, "content": {"cost": 110_600}}, as_json=False)

    assert capsys.readouterr().out.split("\n")[:3] == [
        f"{'score':18} 6.44914",
        "content",
        f"  {'cost':18} 110600 (minor units)",
    ]


async def test_the_status_counts_what_was_said_and_what_waits(
    world: World, us: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    await us.agent.consider(world.order(world.claim(seed=1)))
    second = world.order(world.claim(seed=2))
    await world.propose(second)
    await us.agent.consider(second)
    world.clock.advance(hours=30)
    await us.agent.consider(world.order(world.claim(seed=3), plan=DEAR))
    capsys.readouterr()
    view.status(us.memory, running=True, as_json=True)
    shown = json.loads(capsys.readouterr().out)

    assert (shown["approved"], shown["refused"], shown["waiting for a person"]) == (1, 1, 1)
    assert shown["reasons"] == {"Episode repeated": 1}


async def test_nothing_that_waits_is_said_plainly(capsys: pytest.CaptureFixture[str]) -> None:
    view.pending(Memory(), as_json=False)

    assert capsys.readouterr().out == "no order waits for a person\n"
