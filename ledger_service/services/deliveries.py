"""What destinations are told of a fact: one payload for all, and which destination hears what."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ledger_service.domain import ids, result
from ledger_service.domain.facts import Approved, Block, Fact, Moved
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.order import OrdersDomain
from ledger_service.domain.records import Delivery, Order, Result

ALL = frozenset(Status) - {Status.NONE, Status.PROPOSED}

#: A document for every state; money only for what all approved (a draft in an emergency, and its end).
ROUTES: Mapping[str, frozenset[Status]] = {
    "documents": ALL,
    "erp": frozenset(
        {
            Status.VALIDATED,
            Status.RATIFIED,
            Status.EMERGENCY,
            Status.CONTESTED,
            Status.CANCELLED,
        }
    ),
    "notifications": frozenset(
        {
            Status.VALIDATED,
            Status.RATIFIED,
            Status.EMERGENCY,
            Status.CONTESTED,
            Status.CANCELLED,
        }
    ),
    "events": ALL,
}


def delivery(destination: str, payload: dict[str, Any], now: datetime) -> Delivery:
    """Return the outbox row of a payload for one destination."""
    return Delivery(
        dedup=f"{payload['eventId']}:{destination}",
        destination=destination,
        key=payload["order"],
        kind=payload["kind"],
        payload=payload,
        created_at=now,
    )


def payload(
    order: Order,
    fact: Fact,
    block: Block,
    *,
    facts: Sequence[Fact],
    results: Sequence[Result],
    domain: OrdersDomain,
) -> dict[str, Any]:
    """Return what a destination needs, as JSON; `at` is the block's time."""
    assert isinstance(fact.event, Moved)
    status = fact.event.status
    return {
        "eventId": fact.place.id,
        "kind": f"order.{status.name.lower()}",
        "at": datetime.fromtimestamp(block.time, UTC).isoformat().replace("+00:00", "Z"),
        "block": block.number,
        "transaction": fact.place.transaction.hex(),
        "order": order.id.hex(),
        "evidence": order.content.evidence.hex(),
        "datasetRoot": order.content.dataset_root.hex(),
        "asset": order.asset,
        "status": status.title,
        "reason": order.reason,
        "document": json.loads(order.document),
        "content": order.content.as_json(),
        "approvals": approvals(facts, results),
        "chain": {"chainId": domain.chain_id, "contract": ids.checksum(domain.contract)},
    }


def approvals(facts: Sequence[Fact], results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return the approvals on chain, each with its result document if it was handed in and fits."""
    documents = {result.result_digest(item.document): item.document for item in results}
    found = []
    for fact in facts:
        if isinstance(fact.event, Approved):
            document = documents.get(fact.event.result)
            opened = result.loads(document) if document is not None else None
            found.append(
                {
                    "organisation": fact.event.organisation,
                    "resultDigest": fact.event.result.hex(),
                    "score": opened.score if opened else None,
                    "class": opened.agreement if opened else None,
                    "block": fact.place.block,
                }
            )
    return found
