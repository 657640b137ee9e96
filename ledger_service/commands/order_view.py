"""How orders look: tables for people, JSON (money in minor units, ids whole) for machines."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ledger_service.commands.show import SHORT, table
from ledger_service.domain.profile import points
from ledger_service.domain.records import Order
from ledger_service.domain.units import amount
from ledger_service.services.deliveries import approvals
from ledger_service.services.track import OrderView

ID_DIGITS = 64


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
    digits = _enough([row["order"] for row in found])
    told = [
        {**row, "order": row["order"][:digits], "cost": amount(row["cost"], row["currency"])}
        for row in found
    ]
    table("Orders", names, [[row[name] or "" for name in names] for row in told], whole=("order",))


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
    print("On chain: block, event, transaction")
    for fact in found["facts"]:  # no table: the hashes are to be copied, however wide the terminal
        print(f"{fact['block']:>8}  {fact['kind']:17}  0x{fact['transaction']}")
    rows = [[a["organisation"], a["class"] or "", _score(a["score"])] for a in found["approvals"]]
    table("Approvals", ("organisation", "class", "score"), rows)
    rows = [
        [d["destination"], d["kind"], d["state"], _pairs(d["reference"])]
        for d in found["deliveries"]
    ]
    table("Deliveries", ("destination", "kind", "state", "reference"), rows)


def _enough(whole: Sequence[str]) -> int:
    """Return how many digits tell these ids apart; twelve at the least."""
    return next(
        (n for n in range(SHORT, ID_DIGITS) if len({text[:n] for text in whole}) == len(whole)),
        ID_DIGITS,
    )


def _pairs(reference: Mapping[str, object] | None) -> str:
    """Return a destination's reference as names and values."""
    return ", ".join(f"{name} {value}" for name, value in (reference or {}).items())


def _score(score: int | None) -> str:
    return "" if score is None else points(score)
