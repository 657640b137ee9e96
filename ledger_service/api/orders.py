"""Orders: read them, take one back, end the work; datasets."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from ledger_service.api.auth import (
    Checker,
    Credentials,
    Operator,
    Reader,
    Technician,
    identify,
)
from ledger_service.api.bodies import read_small
from ledger_service.api.parts import Parts, parts_of
from ledger_service.api.schemas import (
    ClosedAnswer,
    Hex32,
    OrderAnswer,
    OrderSummary,
    Withdrawing,
    bytes_of,
)
from ledger_service.domain import errors, ids
from ledger_service.domain.lifecycle import Outcome, Status
from ledger_service.services.close import MAX_CLOSE_OUT_BYTES

router = APIRouter(prefix="/v1", tags=["orders"])
WithParts = Annotated[Parts, Depends(parts_of)]
StatusName = Literal[
    "Proposed", "Emergency", "Validated", "Ratified", "Refused", "Expired", "Withdrawn",
    "Contested", "Completed", "Cancelled",
]  # fmt: skip
OutcomeName = Literal["cured", "not-cured", "false-alarm", "not-carried-out"]
AssetName = Annotated[str, Query(max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]


def body_of(media_type: str) -> dict[str, Any]:
    """Return what OpenAPI says of a body that is read as it is."""
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {"requestBody": {"required": True, "content": content}}


@router.get("/orders")
async def list_orders(
    parts: WithParts,
    _: Reader,
    status: StatusName | None = None,
    asset: AssetName | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> list[OrderSummary]:
    """List orders, the newest first."""
    wanted = Status[status.upper()] if status else None
    found = await parts.track.orders(limit=limit, status=wanted, asset=asset)
    return [OrderSummary.of(order) for order in found]


@router.get("/orders/{order}")
async def get_order(order: Hex32, parts: WithParts, _: Reader) -> OrderAnswer:
    """Return an order: content, document, approvals, facts of the chain, deliveries."""
    view = await parts.track.order(_id(order))
    return OrderAnswer.of_view(view, base64.b64encode(view.order.document).decode())


@router.post("/orders/{order}/withdraw", status_code=202)
async def withdraw(order: Hex32, parts: WithParts, _: Operator) -> Withdrawing:
    """Take an open order back: the transaction is stored and sent; the tracker says when it is final."""
    await parts.close.withdraw(_id(order))
    return Withdrawing()


@router.post("/orders/{order}/close-out", status_code=202, openapi_extra=body_of("*/*"))
async def close_out(
    order: Hex32, outcome: OutcomeName, request: Request, parts: WithParts, _: Technician
) -> ClosedAnswer:
    """End the work. The body is the report, of any type, up to 256 KiB; its SHA-256 goes on chain."""
    report = await read_small(request, MAX_CLOSE_OUT_BYTES)
    word = Outcome[outcome.replace("-", "_").upper()]
    digest = await parts.close.complete(_id(order), word, report)
    return ClosedAnswer(order_id=_id(order).hex(), close_out=digest.hex())


@router.get(
    "/close-outs/{digest}",
    response_class=StreamingResponse,
    responses=bytes_of("application/octet-stream"),
)
async def get_close_out(digest: Hex32, parts: WithParts, _: Checker) -> StreamingResponse:
    """Return the report of a close-out by its SHA-256: whoever signs the end reads it first."""
    chunks = await parts.fetch.close_out(ids.parse32(digest))
    headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment"}
    return StreamingResponse(chunks, media_type="application/octet-stream", headers=headers)


@router.get("/datasets/{root}", tags=["datasets"], openapi_extra={"security": [{}]})
async def get_dataset(
    root: Hex32, parts: WithParts, credentials: Credentials
) -> list[OrderSummary]:
    """Return the orders that this dataset's hash belongs to. Open without login where so set."""
    if not parts.public_datasets:
        await identify(parts, credentials)
    found = await parts.track.dataset(ids.DatasetRoot(ids.parse32(root)))
    if not found:
        raise errors.NotFound("No order has this dataset.", found=root)
    return [OrderSummary.of(order) for order in found]


def _id(text: str) -> ids.OrderId:
    return ids.OrderId(ids.parse32(text))
