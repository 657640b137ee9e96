"""Evidence: post it, follow it, read its bytes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from ledger_service.api import bodies
from ledger_service.api.auth import Checker, Edge, Operator, Reader, asset_of
from ledger_service.api.parts import Parts, parts_of
from ledger_service.api.problems import PROBLEM
from ledger_service.api.schemas import (
    Again,
    EvidenceSummary,
    Hex32,
    JourneyAnswer,
    SealedAnswer,
    bytes_of,
)
from ledger_service.domain import ids

router = APIRouter(prefix="/v1/evidence", tags=["evidence"])
WithParts = Annotated[Parts, Depends(parts_of)]
ENVELOPE_TYPE = "application/vnd.dsse.envelope.v1+json"

BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["envelope", "file"],
                    "properties": {
                        "envelope": {"type": "string", "description": "DSSE envelope, first part"},
                        "file": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "One part per subject; filename = path, percent-encoded",
                        },
                    },
                }
            },
            "application/json": {
                "schema": {"type": "object"},
                "examples": {
                    "inline": {
                        "summary": "Small files inside",
                        "value": {
                            "envelope": {
                                "payload": "eyJfdHlwZSI6Li4ufQ==",
                                "payloadType": "application/vnd.in-toto+json",
                                "signatures": [{"keyid": "9f…", "sig": "MEUCIQ…"}],
                            },
                            "files": [{"path": "samples.csv", "content": "dGltZSxzcGVlZAo="}],
                        },
                    },
                    "statement": {
                        "summary": "A bare statement, where no signature is required",
                        "value": {"statement": {"_type": "https://in-toto.io/Statement/v1"}},
                    },
                    "location": {
                        "summary": "Files in an allowed object store",
                        "value": {
                            "envelope": {"payload": "…", "payloadType": "…", "signatures": []},
                            "location": {"url": "az://evidence/robot-7/2026-11-24"},
                        },
                    },
                },
            },
        },
    }
}


KNOWN: dict[int | str, dict[str, Any]] = {
    200: {"model": SealedAnswer, "description": "Known: the same answer as the first time"},
    429: PROBLEM | {"headers": {"Retry-After": {"schema": {"type": "integer"}}}},
}


@router.post("", status_code=202, openapi_extra=BODY, responses=KNOWN)
async def post_evidence(
    request: Request, response: Response, parts: WithParts, token: Edge
) -> SealedAnswer:
    """Seal evidence: 202 when bytes and row are durable; 200 with the same answer if it is known."""
    sealed = await bodies.receive(request, parts.seal, only=asset_of(token))
    response.status_code = 202 if sealed.new else 200
    response.headers["Location"] = f"{parts.base_url}/v1/evidence/{sealed.evidence.hex()}"
    return SealedAnswer.of(sealed, parts.base_url)


@router.get("")
async def list_evidence(
    parts: WithParts, _: Reader, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> list[EvidenceSummary]:
    """List the newest evidence first."""
    return [EvidenceSummary.of(item) for item in await parts.track.latest(limit)]


@router.get("/{evidence}")
async def get_evidence(evidence: Hex32, parts: WithParts, _: Reader) -> JourneyAnswer:
    """Where is my evidence? Every hop with its time, tries and reason."""
    return JourneyAnswer.of(await parts.track.evidence(_id(evidence)))


@router.get("/{evidence}/envelope", response_class=Response, responses=bytes_of(ENVELOPE_TYPE))
async def get_envelope(evidence: Hex32, parts: WithParts, _: Checker) -> Response:
    """Return the DSSE envelope, byte for byte as it was sealed."""
    data = await parts.fetch.envelope(_id(evidence))
    return Response(data, media_type=ENVELOPE_TYPE)


@router.get(
    "/{evidence}/files/{path:path}",
    response_class=StreamingResponse,
    responses=bytes_of("application/octet-stream"),
)
async def get_file(evidence: Hex32, path: str, parts: WithParts, _: Checker) -> StreamingResponse:
    """Return a file of the dataset, byte for byte as it was sealed."""
    opened = await parts.fetch.file(_id(evidence), path)
    # Never a type that a browser would run: these bytes are whatever somebody's device sealed.
    headers = {
        "Content-Length": str(opened.entry.size),
        "X-Content-Type-Options": "nosniff",
        "Content-Disposition": "attachment",
    }
    return StreamingResponse(opened.chunks, media_type="application/octet-stream", headers=headers)


@router.post("/{evidence}/again", status_code=202)
async def again(evidence: Hex32, parts: WithParts, _: Operator) -> Again:
    """Make another attempt for evidence that failed or whose order was refused or expired."""
    await parts.anchor.again(_id(evidence))
    return Again()


def _id(text: str) -> ids.EvidenceId:
    return ids.EvidenceId(ids.parse32(text))
