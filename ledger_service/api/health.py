"""Health and metrics, for whoever runs it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from ledger_service.api.auth import Credentials, identify
from ledger_service.api.parts import Parts, parts_of

router = APIRouter(tags=["health"])
WithParts = Annotated[Parts, Depends(parts_of)]


@router.get("/health/live")
async def live() -> dict[str, str]:
    """Say that the process serves."""
    return {"status": "live"}


@router.get("/health/ready")
async def ready(parts: WithParts) -> dict[str, int | str]:
    """Say that database and chain are reachable; 503 with the reason otherwise."""
    return {"status": "ready", **await parts.ready()}


@router.get("/metrics", response_class=Response)
async def metrics(parts: WithParts, credentials: Credentials) -> Response:
    """Return figures in the Prometheus text format."""
    if not parts.public_metrics:
        await identify(parts, credentials)
    registry = CollectorRegistry()
    backlog = Gauge("mol_backlog", "Evidence without a settled order", registry=registry)
    outbox = Gauge("mol_outbox_rows", "Deliveries", ["destination", "state"], registry=registry)
    lag = Gauge("mol_follow_lag_blocks", "Final blocks not taken in", registry=registry)
    async with parts.store.reading() as rows:
        backlog.set(await rows.evidence.waiting())
        for (destination, state), count in (await rows.outbox.counts()).items():
            outbox.labels(destination, state).set(count)
    lag.set((await parts.ready())["lag"])
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
