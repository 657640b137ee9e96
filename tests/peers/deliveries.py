"""Deliveries as the service makes them: from a statement, a job plan and the facts of an order."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from ledger_service.domain import ids
from ledger_service.domain.facts import Block, Fact, Moved, Place
from ledger_service.domain.jobplan import JobPlan
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.order import Content, OrdersDomain, document, order_digest
from ledger_service.domain.records import Delivery, Order
from ledger_service.domain.statement import Feature, Runtime, Statement, Window
from ledger_service.domain.units import Quantity
from ledger_service.services import deliveries

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
BUILDER = ids.Address(b"\x01" * 20)
DOMAIN = OrdersDomain(1337, ids.Address(b"\x02" * 20), b"\x03" * 32)
PLAN: dict[str, Any] = {
    "id": "robot-dull-tool",
    "assetType": "robot",
    "failureMode": "dull-tool",
    "title": "Change the drill and re-measure the tool",
    "tasks": [
        {"description": "Change the drill", "minutes": 10},
        {"description": "Measure length & run-out < 0.02 mm", "minutes": 15},
    ],
    "parts": [
        {"number": "DRL-12", "description": "Drill Ø 12 mm", "quantity": 3, "unitPrice": 8999},
        {"number": "COL-1", "description": "Collet <ER32>", "quantity": 1, "unitPrice": 1},
    ],
    "supplier": {"id": "SUP-0009", "name": "Cutting Tools & Co"},
    "skill": "tool setter",
    "lockOut": ["Hold the spindle with the setup key", "Close the air valve"],
    "labourCost": 6000,
    "priority": 2,
    "deadlineHours": 48,
}


def word(kind: str, number: int) -> bytes:
    return f"{kind} {number}".encode().ljust(32, b".")


def statement(asset: str) -> Statement:
    return Statement(
        asset=asset,
        detector=ids.DetectorId(word("detector", 1)),
        failure_mode="dull-tool",
        window=Window(NOW - timedelta(hours=1), NOW, 60),
        input_path="window.csv",
        score=Quantity(1234, -3, "1"),
        threshold=Quantity(900, -3, "1"),
        features=(Feature("drill temperature", Quantity(61250, -3, "Cel")),),
        public_key=b"key",
        sequence=1,
        previous=None,
        runtime=Runtime("onnxruntime", "1.31", "float32"),
        entries=(),
        dataset_root=ids.DatasetRoot(word("root", 1)),
    )


def order(number: int, *, asset: str, currency: str, reason: str, plan: dict[str, Any]) -> Order:
    evidence = ids.EvidenceId(word("evidence", number))
    whole = JobPlan.model_validate(PLAN | plan)
    written = document(
        evidence=evidence,
        statement=statement(asset),
        plan=whole,
        currency=currency,
        deadline=NOW + timedelta(hours=48),
        attempt=1,
    )
    content = Content(
        evidence=evidence,
        dataset_root=ids.DatasetRoot(word("root", 1)),
        order_digest=order_digest(written),
        asset_version=ids.VersionId(word("version", 1)),
        detector=ids.DetectorId(word("detector", 1)),
        builder=BUILDER,
        cost=whole.cost,
        deadline=int(NOW.timestamp()),
        attempt=1,
    )
    identity = ids.OrderId(hashlib.sha256(b"order %d" % number).digest())
    return Order(identity, content, asset, written, NOW, reason=reason)


def told(
    to: str,
    status: Status = Status.VALIDATED,
    *,
    of: int = 1,
    block: int | None = None,
    asset: str = "1/robot-7",
    currency: str = "EUR",
    reason: str = "",
    **plan: Any,
) -> Delivery:
    """Return what a destination is told when order number `of` reaches a status."""
    height = int(status) if block is None else block
    place = Place(height, ids.BlockHash(word("block", height)), 0, of, ids.TxHash(word("tx", of)))
    concerned = order(of, asset=asset, currency=currency, reason=reason, plan=plan)
    payload = deliveries.payload(
        concerned,
        Fact(place, Moved(concerned.id, status, BUILDER, b"")),
        Block(height, place.block_hash, place.block_hash, int(NOW.timestamp()) + height),
        facts=(),
        results=(),
        domain=DOMAIN,
    )
    return deliveries.delivery(to, json.loads(json.dumps(payload)), NOW)
