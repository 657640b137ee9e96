from __future__ import annotations

from pathlib import Path

import pytest

from edge.detectors import Detector
from ledger_service.domain import profile, result
from ledger_service.domain.profile import Agreement
from tests.unit.validators.conftest import put_model
from tests.unit.validators.world import DETECTOR, Running, World
from validators.rerun.models import Models
from validators.rules.policy import RULES


def with_threshold(threshold: int) -> Detector:
    card = DETECTOR.card.model_copy(update={"threshold": threshold})
    return Detector(card, DETECTOR.model)


@pytest.mark.parametrize(
    ("claimed", "threshold", "expected"),
    [
        (0, -1, "bit-equal"),
        (1, -1, "within tolerance"),
        (-1, -2, "within tolerance"),
        (1, 0, "borderline"),  # claimed above, our own run at the threshold
        (-1, -1, "borderline"),  # claimed at the threshold, our own run above
    ],
)
async def test_a_score_that_is_near_is_approved_with_its_class(
    tmp_path: Path, claimed: int, threshold: int, expected: str
) -> None:
    world = World(tmp_path, Models(tmp_path / "models"))
    honest = world.claim().score.value
    detector = with_threshold(honest + threshold)
    put_model(tmp_path / "models" / "robot", detector)
    world.ledger.add_detector(detector.id)
    claim = world.claim(detector=detector, score=profile.quantity(honest + claimed))
    item = world.order(claim)
    async with world.agent() as us:
        await us.house.start()
        await us.agent.consider(item)
    world.models.close()

    assert us.verdict(item) == ("approve", "")
    document = result.loads(world.service.handed[item.order])
    assert (document.score, document.agreement) == (honest, expected)
    assert Agreement(expected)


@pytest.mark.parametrize("threshold", [0, 1])
async def test_a_score_at_the_threshold_or_below_does_not_alarm(
    tmp_path: Path, threshold: int
) -> None:
    world = World(tmp_path, Models(tmp_path / "models"))
    detector = with_threshold(world.claim().score.value + threshold)
    put_model(tmp_path / "models" / "robot", detector)
    world.ledger.add_detector(detector.id)
    item = world.order(world.claim(detector=detector))
    async with world.agent() as us:
        await us.house.start()
        await us.agent.consider(item)
    world.models.close()

    assert us.verdict(item) == ("refuse", "BELOW_THRESHOLD")


@pytest.mark.parametrize(
    "policy",
    [
        {"cost_limit": 23_800, "person_above": 23_800},
        {"suppliers": ("SUP-0009", "SUP-1")},
        {"currency": "EUR"},
        {"window_max_hours": 1},
    ],
)
async def test_an_order_at_the_edge_of_the_policy_is_approved(
    world: World, policy: dict[str, object]
) -> None:
    world.policy = world.policy.model_copy(update=policy)
    claim = world.claim()
    world.clock.advance(hours=1)
    item = world.order(claim)
    async with world.agent() as us:
        await us.house.start()
        await us.agent.consider(item)

        assert us.verdict(item) == ("approve", "")


async def test_a_clock_that_is_two_minutes_behind_is_forgiven(world: World, us: Running) -> None:
    claim = world.claim()
    world.clock.advance(minutes=-2)
    item = world.order(claim)
    await us.agent.consider(item)

    assert us.verdict(item) == ("approve", "")


def test_every_rule_says_in_its_docstring_what_it_does() -> None:
    assert len({rule.__name__ for rule in RULES}) == 15
    assert all((rule.__doc__ or "").startswith(("Refuse", "Ask")) for rule in RULES)
