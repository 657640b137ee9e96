"""Job plans: asset type + failure mode -> tasks, parts, supplier, skill, lock-out, duration, cost.

Kept as YAML files that people edit; the shape is `JobPlan`'s JSON Schema. Money is an integer in
minor units of the consortium's one currency; durations are minutes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from ledger_service.domain import canonical, errors

# Control characters would break the purchase order's XML; new lines may stand in a long text.
Text = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=500, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f\uFFFE\uFFFF]*$"
    ),
]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]


# What PyYAML lets through of values such as `2026-13-45`, `!!bool x` or a number of 5000 digits.
_LEAKS = (ValueError, LookupError, AttributeError, TypeError)


class _Loader(yaml.SafeLoader):
    """Refuses a name that stands twice in one mapping, where YAML libraries take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  PyYAML's signature
        names = [key.value for key, _ in node.value]
        if len(names) != len(set(map(str, names))):
            raise yaml.constructor.ConstructorError(
                problem="a name stands twice in one mapping", problem_mark=node.start_mark
            )
        return super().construct_mapping(node, deep)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class Task(_Strict):
    """One step of the work."""

    description: Text
    minutes: int = Field(ge=1, le=100_000)


class Part(_Strict):
    """One line of the purchase order. `unit` is a UN/ECE Rec 20 code (C62 = one)."""

    number: Text
    description: Text
    quantity: int = Field(ge=1, le=1_000_000)
    unit: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2,3}$")] = "C62"
    unit_price: int = Field(ge=0, le=10**12, alias="unitPrice")


class Supplier(_Strict):
    """Who delivers the parts; `id` as the buyer's ERP knows it."""

    id: Text
    name: Text


class JobPlan(_Strict):
    """What is to be done about one failure mode of one type of asset."""

    id: Slug
    asset_type: Slug = Field(alias="assetType")
    failure_mode: Slug = Field(alias="failureMode")
    title: Text
    tasks: tuple[Task, ...] = Field(min_length=1, max_length=100, strict=False)
    parts: tuple[Part, ...] = Field(min_length=1, max_length=100, strict=False)
    supplier: Supplier
    skill: Text
    lock_out: tuple[Text, ...] = Field(max_length=50, alias="lockOut", strict=False)
    labour_cost: int = Field(ge=0, le=10**12, alias="labourCost")
    priority: int = Field(ge=1, le=5, description="1 is the most urgent")
    deadline_hours: int = Field(ge=1, le=89 * 24, alias="deadlineHours")

    @model_validator(mode="after")
    def _cost_can_be_written(self) -> Self:
        if self.cost > canonical.MAX_SAFE_INTEGER:
            raise ValueError("the whole cost is beyond 2^53 - 1")
        return self

    @property
    def expected_minutes(self) -> int:
        """Return the expected duration of the stop."""
        return sum(task.minutes for task in self.tasks)

    @property
    def cost(self) -> int:
        """Return the whole cost in minor units: labour and parts."""
        return self.labour_cost + sum(part.quantity * part.unit_price for part in self.parts)


def loads(text: str, *, source: str = "job plan") -> JobPlan:
    """Read one YAML document. Raise BadJobPlan, naming the field, for anything else."""
    try:
        return JobPlan.model_validate(_read(text))
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "document"
        raise errors.BadJobPlan(f"{source}: {place}: {first['msg']}") from exc


def _read(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  a SafeLoader, stricter
    except (yaml.YAMLError, RecursionError, *_LEAKS) as exc:
        raise errors.BadJobPlan("Not YAML:", found=str(exc)[:200]) from exc


class JobPlans:
    """The plans of a site, found by asset type and failure mode."""

    def __init__(self, plans: Iterable[JobPlan]) -> None:
        """Raise BadJobPlan if two plans claim the same failure mode of the same type."""
        self._plans: dict[tuple[str, str], JobPlan] = {}
        for plan in plans:
            key = (plan.asset_type, plan.failure_mode)
            if key in self._plans:
                raise errors.BadJobPlan("Two plans for one failure mode.", found=" / ".join(key))
            self._plans[key] = plan

    def find(self, asset_type: str, failure_mode: str) -> JobPlan:
        """Return the plan. Raise NoJobPlan."""
        try:
            return self._plans[asset_type, failure_mode]
        except KeyError as exc:
            raise errors.NoJobPlan(found=f"{asset_type} / {failure_mode}") from exc
