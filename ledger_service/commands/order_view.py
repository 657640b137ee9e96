"""How orders look: tables for people, JSON (money in minor units, ids whole) for machines."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from ledger_service.commands.show import short, table
from ledger_service.domain.profile import points
from ledger_service.domain.records import Order
from ledger_service.domain.units import amount
from ledger_service.services.deliveries import approvals
from ledger_service.services.track import OrderView


def summary(order: Order) -> dict[str, Any]:
    """Return an order as one of many."""
    return {
        "order": order.id.hex(),
        "asset": order.asset,
        "status": order.status.title,
        "reason": order.reason,
        "block": order.block,
        "cost": order.content.cost,
        "currency": json.loads(order.document)["cost"]["currency"],
    }


def print_list(found: Sequence[dict[str, Any]]) -> None:
    """Print orders as a table."""
    names = ("order", "asset", "status", "reason", "block", "cost")
    told = [{**row, "cost": amount(row["cost"], row["currency"])} for row in found]
    table("Orders", names, [[row[name] or "" for name in names] for row in told])


def whole(view: OrderView) -> dict[str, Any]:
    """Return all that is known of an order."""
    order = view.order
    return {
        "order": order.id.hex(),
        "asset": order.asset,
        "status": order.status.title,
        "reason": order.reason,
        "content": order.content.as_json(),
        "document": json.loads(order.document),
        "documentBytes": base64.b64encode(order.document).decode(),
        "approvals": approvals(view.facts, view.results),
        "facts": [
            {
                "block": fact.place.block,
                "kind": type(fact.event).__name__,
                "transaction": fact.place.transaction.hex(),
            }
            for fact in view.facts
        ],
        "deliveries": [
            {
                "destination": item.destination,
                "kind": item.kind,
                "state": item.state.value,
                "reference": item.reference,
            }
            for item in view.deliveries
        ],
        "proofBlocks": [proof.block for proof in view.proofs],
    }


def print_order(found: dict[str, Any]) -> None:
    """Print an order that `whole` described."""
    document = found["document"]
    cost = amount(document["cost"]["amount"], document["cost"]["currency"])
    print(f"order     {found['order']}\nstatus    {found['status']} {found['reason']}".rstrip())
    print(f"asset     {found['asset']}  {document['failureMode']}: {document['title']}")
    print(f"cost      {cost}, deadline {document['deadline']}")
    rows = [[f["block"], f["kind"], short(f["transaction"])] for f in found["facts"]]
    table("On chain", ("block", "event", "transaction"), rows)
    rows = [[a["organisation"], a["class"] or "", _score(a["score"])] for a in found["approvals"]]
    table("Approvals", ("organisation", "class", "score"), rows)
    rows = [[d["destination"], d["kind"], d["state"], d["reference"]] for d in found["deliveries"]]
    table("Deliveries", ("destination", "kind", "state", "reference"), rows)


def _score(score: int | None) -> str:
    return "" if score is None else points(score)
