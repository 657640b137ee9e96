from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from ledger_service.domain import errors, jobplan
from ledger_service.domain.jobplan import JobPlan, JobPlans
from tests.vectors.sample import PLAN


def text(**changes: Any) -> str:
    return yaml.safe_dump(copy.deepcopy(PLAN) | changes)


def test_a_plan_knows_its_duration_and_its_cost() -> None:
    plan = jobplan.loads(text())

    assert (plan.expected_minutes, plan.cost) == (45, 2 * 12_300 + 9_000)
    assert plan == JobPlan.model_validate(PLAN)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"priority": 0}, "priority"),
        ({"priority": "2"}, "priority"),
        ({"priority": 2.0}, "priority"),
        ({"priority": True}, "priority"),
        ({"deadlineHours": 90 * 24}, "deadlineHours"),
        ({"labourCost": -1}, "labourCost"),
        ({"tasks": []}, "tasks"),
        ({"tasks": [{"description": "", "minutes": 1}]}, r"tasks\.0\.description"),
        ({"parts": [{**PLAN["parts"][0], "quantity": 0}]}, r"parts\.0\.quantity"),
        ({"parts": [{**PLAN["parts"][0], "unit": False}]}, r"parts\.0\.unit"),
        ({"assetType": "Robot"}, "assetType"),
        ({"assetType": "robot\n"}, "assetType"),
        ({"title": "a\u0007"}, "title"),
        ({"title": None}, "title"),
        ({"mood": "bad"}, "mood"),
        ({"supplier": {"id": "1"}}, r"supplier\.name"),
        ({"parts": [{**PLAN["parts"][0], "quantity": 10**6, "unitPrice": 10**12}]}, "whole cost"),
    ],
)
def test_the_field_that_is_wrong_is_named(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(errors.BadJobPlan, match=rf"plan\.yaml: .*{place}"):
        jobplan.loads(text(**changes), source="plan.yaml")


def test_a_lock_out_may_have_lines() -> None:
    plan = jobplan.loads(text(lockOut=["first\nthen\tnext"]))

    assert plan.lock_out == ("first\nthen\tnext",)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "- 1",
        "a: [",
        "a: 1\n--- \nb: 2",
        "\x00",
        "a: !!python/object/apply:os.system ['true']",
        "a: 2026-13-45",
        "a: !!bool x",
        "a: !!timestamp x",
        "a: " + "1" * 5000,
        "? [a]\n: 1",
        "[" * 300,
        "a: &a [*a]",
        "<<: 1",
    ],
)
def test_what_is_no_plan_is_refused_whatever_yaml_makes_of_it(wrong: str) -> None:
    with pytest.raises(errors.BadJobPlan):
        jobplan.loads(wrong)


def test_a_name_that_stands_twice_is_refused() -> None:
    with pytest.raises(errors.BadJobPlan, match="twice"):
        jobplan.loads(text() + "labourCost: 1\n")
    with pytest.raises(errors.BadJobPlan, match="twice"):
        jobplan.loads(text().replace("minutes: 45", "minutes: 45\n  minutes: 1"))


@pytest.mark.timeout(10)
def test_a_bomb_of_aliases_does_not_go_off() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join(['*' + before] * 10)}]")

    with pytest.raises(errors.BadJobPlan):
        jobplan.loads("\n".join([*lines, "tasks: *i", "title: *i"]))


def test_plans_are_found_by_type_and_failure_mode_and_never_doubled() -> None:
    plan = JobPlan.model_validate(PLAN)
    plans = JobPlans([plan])

    assert plans.find("robot", "bearing-wear") is plan
    with pytest.raises(errors.NoJobPlan, match="robot / dull-tool"):
        plans.find("robot", "dull-tool")
    with pytest.raises(errors.BadJobPlan, match="robot / bearing-wear"):
        JobPlans([plan, plan.model_copy(update={"id": "other"})])
