from __future__ import annotations

import pytest

from ledger_service.domain import errors
from ledger_service.domain.calls import Refuse
from ledger_service.domain.result import Reason
from ledger_service.testing.signer import decode
from tests.unit.validators.world import PLAN, Running, World
from validators.agent.desk import Decision
from validators.rules.case import Announced, Refused

DEAR = PLAN.model_copy(update={"labour_cost": 6_000_000})
YES = Decision(approve=True, text="", by="anna")
NO = Decision(approve=False, text="the line is stopped anyway", by="anna")


@pytest.fixture
async def item(world: World, us: Running) -> Announced:
    made = world.order(plan=DEAR)
    await us.agent.consider(made)
    return made


async def test_a_dear_order_waits_and_nothing_is_signed(us: Running, item: Announced) -> None:
    assert us.verdict(item) == ("nothing", "")
    assert us.wire.sent == []
    entry = us.memory.pending[item.order]
    assert "it costs 60178.00 EUR, more than 50000.00" in entry["why"]
    assert (entry["cost"], entry["currency"]) == (6_017_800, "EUR")


async def test_another_diagnosis_than_our_own_asks_a_person(world: World, us: Running) -> None:
    plan = PLAN.model_copy(update={"failure_mode": "bearing-wear"})
    made = world.order(world.claim(failure_mode="bearing-wear"), plan=plan)
    await us.agent.consider(made)

    assert "our own run points to dull-tool" in us.memory.pending[made.order]["why"]


async def test_it_is_reminded_of_while_it_waits_and_not_more_often_than_wished(
    world: World, us: Running, item: Announced, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    reminded = []
    for minutes in (29, 2, 10, 21):
        world.clock.advance(minutes=minutes)
        await us.house.tend()
        reminded.append("still waits for a person" in capsys.readouterr().out)

    assert reminded == [False, True, False, True]
    assert us.memory.pending[item.order]["reminded"] == "2026-11-24T10:02:00Z"


async def test_what_a_person_approves_is_checked_again_and_signed(
    us: Running, item: Announced
) -> None:
    us.desk.drop(item.order, YES)
    await us.house.read_desk()

    assert us.verdict(item) == ("approve", "")
    assert us.memory.verdicts[item.order]["by"] == "anna"
    assert list(us.desk.read()) == []
    assert item.order not in us.memory.pending


async def test_what_a_person_refuses_goes_on_chain_with_the_digest_of_their_words(
    us: Running, item: Announced
) -> None:
    await us.agent.decide(item.order, NO)

    assert us.verdict(item) == ("refuse", "OTHER")
    (call,) = [decode(raw).call for raw in us.wire.sent]
    assert isinstance(call, Refuse)
    assert call.reason == Reason.OTHER
    assert us.memory.verdicts[item.order]["text"] == NO.text


@pytest.mark.parametrize("damage", ["detector", "bytes", "device"])
async def test_nobody_approves_what_the_checks_refuse_by_now(
    world: World, us: Running, item: Announced, damage: str
) -> None:
    world.clock.advance(seconds=3)
    match damage:
        case "detector":
            world.ledger.revoke_detector(item.content.detector)
        case "device":
            world.ledger.revoke_device(world.asset, world.device.id)
        case "bytes":
            for kept in (us.kept._folder).iterdir():
                kept.unlink()
            world.service.files[item.content.evidence]["samples.csv"] = b"other"
    us.desk.drop(item.order, YES)
    await us.house.read_desk()

    assert us.verdict(item) == ("nothing", "")
    assert us.wire.sent == []
    assert us.memory.pending[item.order]["declined"]


async def test_nobody_approves_what_a_stricter_policy_refuses_since_the_last_start(
    world: World,
) -> None:
    item = world.order(plan=DEAR)
    async with world.agent() as before:
        await before.house.start()
        await before.agent.consider(item)
    world.policy = world.policy.model_copy(update={"cost_limit": 1})
    async with world.agent() as us:
        await us.house.start()
        us.desk.drop(item.order, YES)
        await us.house.read_desk()

        assert us.wire.sent == []
        assert "Cost over limit" in us.memory.pending[item.order]["declined"]


async def test_our_own_damaged_copy_is_fetched_again_and_never_scored(
    world: World, us: Running, item: Announced
) -> None:
    kept = next(path for path in us.kept._folder.iterdir() if path.stat().st_size > 1_000)
    kept.write_bytes(b"x" * kept.stat().st_size)
    us.desk.drop(item.order, YES)
    await us.house.read_desk()
    assert us.verdict(item) == ("nothing", "")
    assert "damaged" in us.memory.pending[item.order]["declined"]

    us.desk.drop(item.order, YES)
    await us.house.read_desk()
    assert us.verdict(item) == ("approve", "")
    assert world.service.fetched.count("samples.csv") == 2


async def test_a_decision_waits_on_the_desk_while_the_node_is_away(
    world: World, us: Running, item: Announced
) -> None:
    us.desk.drop(item.order, YES)
    world.ledger.down = True
    with pytest.raises(errors.NodeUnreachable):
        await us.house.read_desk()
    world.ledger.down = False
    await us.house.read_desk()

    assert us.verdict(item) == ("approve", "")


async def test_a_decision_on_what_does_not_wait_signs_nothing(world: World, us: Running) -> None:
    cheap = world.order()
    for name, text in {
        f"{cheap.order.hex()}.json": '{"approve": true, "text": "", "by": "anna"}',
        "nonsense.json": "{}",
        "0" * 64 + ".json": '{"approve": "yes", "text": "", "by": "anna"}',
        "1" * 64 + ".json": "not json",
    }.items():
        us.desk._folder.mkdir(exist_ok=True)
        (us.desk._folder / name).write_text(text, encoding="utf-8")
    await us.house.read_desk()

    assert us.wire.sent == []
    assert list(us.desk._folder.glob("*.json")) == []


async def test_a_review_shows_what_was_recomputed_here(us: Running, item: Announced) -> None:
    review = await us.agent.review(item.order)

    assert review.case.recomputed == review.case.claimed
    assert review.doomed is None
    assert us.wire.sent == []
    with pytest.raises(errors.NotFound):
        await us.agent.review(type(item.order)(bytes(32)))


async def test_an_order_that_settled_meanwhile_waits_no_longer(
    world: World, us: Running, item: Announced
) -> None:
    await world.propose(item)
    await world.refuse(item, 3)
    await us.house._watcher.scan()

    assert us.memory.pending == {}
    assert us.memory.closed[item.order] == "It is Refused."


async def test_an_approval_after_the_deadline_is_declined(
    world: World, us: Running, item: Announced
) -> None:
    world.clock.advance(days=3)
    await world.ledger.mine()
    us.desk.drop(item.order, YES)
    await us.house.read_desk()

    assert us.wire.sent == []
    assert us.memory.pending[item.order]["declined"] == "Its deadline has passed."


async def test_the_rules_refusal_is_told_as_a_refusal(world: World, us: Running) -> None:
    first = world.order(world.claim(seed=1), plan=DEAR)
    second = world.order(world.claim(seed=2), plan=DEAR)
    for made in (first, second):
        await us.agent.consider(made)
    await us.agent.decide(first.order, YES)

    with pytest.raises(Refused, match="Episode repeated"):
        await us.agent.decide(second.order, YES)
