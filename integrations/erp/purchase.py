"""From an order to what is bought: lines, exact money, a number that never changes. Pure."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from ledger_service.domain import ids
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.units import money


@dataclass(frozen=True, slots=True)
class Line:
    """A part to be bought. Prices are of one unit, exact."""

    part: str
    description: str
    quantity: int
    unit: str
    price: Decimal

    @property
    def amount(self) -> Decimal:
        """Return the price of the whole line."""
        return self.quantity * self.price


@dataclass(frozen=True, slots=True)
class Purchase:
    """What an ERP needs of an order. `approved` is the whole cost, labour included."""

    order: str
    status: Status
    number: str
    uuid: uuid.UUID
    at: datetime
    title: str
    asset: str
    reason: str
    evidence: str
    dataset_root: str
    deadline: datetime
    supplier_id: str
    supplier_name: str
    currency: str
    approved: Decimal
    lines: tuple[Line, ...]

    @property
    def total(self) -> Decimal:
        """Return what the supplier is to be paid: the sum of the lines."""
        return sum((line.amount for line in self.lines), money(0, self.currency))


def number_of(order: str) -> str:
    """Return the purchase order's number: `PO-` and 80 bits of the order id, 19 characters.

    ERPs allow 20; the whole order id stands in the document itself.
    """
    return "PO-" + base64.b32encode(ids.parse32(order)[:10]).decode()


def purchase_of(payload: Mapping[str, Any]) -> Purchase:
    """Read a delivery's payload."""
    document = payload["document"]
    currency = document["cost"]["currency"]
    return Purchase(
        order=payload["order"],
        status=Status[payload["status"].upper()],
        number=number_of(payload["order"]),
        uuid=uuid.uuid5(uuid.NAMESPACE_URL, f"urn:maintenance-order:{payload['order']}"),
        at=datetime.fromisoformat(payload["at"]),
        title=document["title"],
        asset=payload["asset"],
        reason=payload["reason"],
        evidence=payload["evidence"],
        dataset_root=payload["datasetRoot"],
        deadline=datetime.fromisoformat(document["deadline"]),
        supplier_id=document["supplier"]["id"],
        supplier_name=document["supplier"]["name"],
        currency=currency,
        approved=money(document["cost"]["amount"], currency),
        lines=tuple(_line(part, currency) for part in document["parts"]),
    )


def _line(part: Mapping[str, Any], currency: str) -> Line:
    return Line(
        part=part["number"],
        description=part["description"],
        quantity=part["quantity"],
        unit=part["unit"],
        price=money(part["unitPrice"], currency),
    )
