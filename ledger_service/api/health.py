"""Health and metrics, for whoever runs it."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from ledger_service.api.auth import Credentials, identify
from ledger_service.api.parts import Parts, parts_of
from ledger_service.api.schemas import bytes_of
from ledger_service.domain import errors
from ledger_service.ports import Transaction
from ledger_service.services import dispute
from ledger_service.services.send import STUCK_AFTER

router = APIRouter(tags=["health"])
WithParts = Annotated[Parts, Depends(parts_of)]


@router.get("/health/live")
async def live() -> dict[str, str]:
    """Say that the process serves."""
    return {"status": "live"}


@router.get("/health/ready")
async def ready(parts: WithParts) -> dict[str, Any]:
    """Say that database and chain are reachable; 503 with the reason otherwise.

    Nodes that contradict each other about a final block are a reason, until an operator decides.

    `nodes` says which nodes are down, how many validators the chain needs to make blocks, and how
    many it is short of. It is ready all the same: what it takes in meanwhile is anchored later.
    """
    await dispute.check(parts.store)
    try:
        figures = await parts.ready()
    except errors.NodeUnreachable as exc:
        raise errors.NodeUnreachable(str((await parts.nodes())["text"])) from exc
    return {"status": "ready", **figures, "nodes": await parts.nodes()}


@router.get(
    "/metrics",
    response_class=Response,
    responses=bytes_of("text/plain"),
    openapi_extra={"security": [{}]},  # open where so set
)
async def metrics(parts: WithParts, credentials: Credentials) -> Response:
    """Return figures in the Prometheus text format, also while the chain is away."""
    if not parts.public_metrics:
        await identify(parts, credentials)
    registry = CollectorRegistry()
    backlog = Gauge("mol_backlog", "Evidence without a settled order", registry=registry)
    outbox = Gauge("mol_outbox_rows", "Deliveries", ["destination", "state"], registry=registry)
    lag = Gauge("mol_follow_lag_blocks", "Final blocks not taken in", registry=registry)
    refused = Gauge("mol_refused_transactions", "Stored, taken by no node", registry=registry)
    stuck = Gauge("mol_stuck_transactions", "Stored long ago, not final", registry=registry)
    async with parts.store.reading() as rows:
        stuck.set(len(await rows.outgoing.overdue(datetime.now(UTC) - STUCK_AFTER)))
        refused.set(len(await rows.outgoing.refused()))
        backlog.set(await rows.evidence.waiting())
        for (destination, state), count in (await rows.outbox.counts()).items():
            outbox.labels(destination, state).set(count)
        await _destinations(registry, rows, parts.clock.now())
        await _nodes(registry, rows, parts)
    up = Gauge("mol_chain_up", "1 if a node of the chain answers", registry=registry)
    try:
        lag.set((await parts.ready())["lag"])
        up.set(1)
    except errors.ChainError:
        lag.set(math.nan)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


async def _nodes(registry: CollectorRegistry, rows: Transaction, parts: Parts) -> None:
    """Measure each node as this process knows it."""
    last = await rows.disputes.last()
    disagree = Gauge("mol_nodes_disagree", "1: an operator must decide", registry=registry)
    disagree.set(last is not None and last.accepted is None)
    used = Gauge("mol_node_used", "1: it is asked first", ["node"], registry=registry)
    head = Gauge("mol_node_head", "Its newest block", ["node"], registry=registry)
    shunned = Gauge("mol_node_left_alone", "1: away, behind, or lied", ["node"], registry=registry)
    for view in parts.views():
        used.labels(view.name).set(view.used)
        head.labels(view.name).set(math.nan if view.head is None else view.head)
        shunned.labels(view.name).set(bool(view.why))


async def _destinations(registry: CollectorRegistry, rows: Transaction, now: datetime) -> None:
    oldest = Gauge(
        "mol_outbox_oldest_seconds",
        "Age of the oldest delivery that is not through",
        ["destination"],
        registry=registry,
    )
    failures = Gauge(
        "mol_relay_failures", "Deliveries failed in a row", ["destination"], registry=registry
    )
    silent = Gauge(
        "mol_relay_circuit_open", "1: it is left alone", ["destination"], registry=registry
    )
    for name, first in (await rows.outbox.oldest()).items():
        oldest.labels(name).set((now - first).total_seconds())
    for circuit in await rows.circuits.all():
        failures.labels(circuit.destination).set(circuit.failures)
        silent.labels(circuit.destination).set(circuit.until is not None)
