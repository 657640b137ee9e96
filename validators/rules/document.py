"""The order document as an organisation reads it: strictly, from the bytes whose digest is on chain."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ledger_service.domain import canonical, errors
from ledger_service.domain.jobplan import Part, Supplier, Task, Text

Scalar = int | str


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class Money(_Strict):
    """An amount in minor units, and its currency (ISO 4217)."""

    amount: int = Field(ge=0)
    currency: str = Field(pattern=r"^[A-Z]{3}$")


class OrderDocument(_Strict):
    """Every field of `domain.order.document`, each of its type; nothing else."""

    version: Literal[1]
    evidence: str
    attempt: int
    asset: str
    asset_type: str = Field(alias="assetType")
    failure_mode: str = Field(alias="failureMode")
    title: Text
    detector: str
    score: dict[str, Scalar]
    threshold: dict[str, Scalar]
    window: dict[str, str]
    features: tuple[dict[str, Scalar], ...] = Field(strict=False)
    plan: str
    tasks: tuple[Task, ...] = Field(strict=False, min_length=1)
    parts: tuple[Part, ...] = Field(strict=False, min_length=1)
    supplier: Supplier
    skill: Text
    lock_out: tuple[Text, ...] = Field(strict=False, alias="lockOut")
    expected_minutes: int = Field(alias="expectedMinutes")
    labour_cost: int = Field(ge=0, alias="labourCost")
    cost: Money
    priority: int = Field(ge=1, le=5)
    deadline: str

    @property
    def sum(self) -> int:
        """Return what labour and parts come to, in minor units."""
        return self.labour_cost + sum(part.quantity * part.unit_price for part in self.parts)


def loads(data: bytes) -> OrderDocument:
    """Read a document. Raise MalformedJson, FloatInHashedPlace, IntegerTooLarge, UnknownField."""
    fields: Any = canonical.loads(data)
    try:
        return OrderDocument.model_validate(fields)
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "document"
        raise errors.UnknownField(f"Order document: {place}: {first['msg']}") from exc
